// The page: draws what a seed and what is asked for say, enlarges, walks, saves.
import type { Meta } from "./meta";
import { Model, type Wanted } from "./model";
import { Drawn } from "./picture";

const FRAMES = 24;
const SMALL = 64;
const FEW = 4;

function of<T extends Element>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (!found) throw new Error(selector);
  return found;
}

const again = of<HTMLButtonElement>("#again");
const seed = of<HTMLInputElement>("#seed");
const count = of<HTMLSelectElement>("#count");
const walk = of<HTMLButtonElement>("#walk");
const status = of<HTMLElement>("#status");
const grid = of<HTMLElement>("#grid");
const large = of<HTMLDialogElement>("#large");

const unpacked = async (id: string): Promise<Uint8Array> => {
  const text = of<HTMLScriptElement>(`#${id}`).textContent ?? "";
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

/** Meta and networks: a line of JSON with their sizes, then their bytes. */
async function opened(): Promise<Model> {
  const packed = await unpacked("model");
  const end = packed.indexOf(10);
  const { meta, sizes } = JSON.parse(new TextDecoder().decode(packed.subarray(0, end))) as {
    meta: Meta;
    sizes: Record<string, number>;
  };
  const files = new Map<string, Uint8Array>();
  let at = end + 1;
  for (const [name, size] of Object.entries(sizes)) {
    files.set(name, packed.slice(at, at + size));
    at += size;
  }
  return Model.open(meta, await unpacked("wasm"), async (name) => {
    const found = files.get(name);
    if (!found) throw new Error(`${name} is not in this page`);
    return found;
  });
}

const pause = () => new Promise((resolve) => setTimeout(resolve));
let turn = 0;

/** What the form asks for, but for open ones. */
function asked(): Record<string, string> {
  const boxes = [...document.querySelectorAll<HTMLSelectElement>("#asked select[data-name]")];
  const chosen = boxes.filter((box) => box.value);
  return Object.fromEntries(chosen.map((box) => [box.dataset.name, box.value]));
}

function example(): { example?: number } {
  const box = document.querySelector<HTMLSelectElement>("#example");
  return box?.value ? { example: Number(box.value) } : {};
}

function said(picture: Drawn): string {
  const shown = Object.entries(picture.labels).map(([name, value]) =>
    `${name} ${value}`.replaceAll("_", " "),
  );
  const text = picture.text ? [picture.text] : [];
  const about = [...shown, ...text].join(", ");
  return `Picture ${picture.index + 1} of seed ${picture.seed}${about ? `: ${about}` : ""}`;
}

function paint(canvas: HTMLCanvasElement, picture: Drawn): void {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.classList.toggle("small", Math.max(picture.width, picture.height) <= SMALL);
  canvas.classList.remove("blank");
  const image = new ImageData(picture.rgba(), picture.width, picture.height);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

function enlarge(picture: Drawn): void {
  paint(of<HTMLCanvasElement>("#large canvas"), picture);
  of<HTMLElement>("#large p").textContent = said(picture);
  of<HTMLButtonElement>("#save").onclick = async () => {
    const link = document.createElement("a");
    const file = new Blob([await picture.png()], { type: "image/png" });
    link.href = URL.createObjectURL(file);
    link.download = `${picture.seed}-${String(picture.index).padStart(4, "0")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  large.showModal();
}

/** Empty places for pictures, as many as asked for. */
function places(model: Model, number: number): HTMLButtonElement[] {
  grid.style.setProperty("--columns", String(Math.ceil(Math.sqrt(number))));
  const made = Array.from({ length: number }, () => {
    const button = document.createElement("button");
    button.type = "button";
    const canvas = document.createElement("canvas");
    canvas.width = model.meta.image.width;
    canvas.height = model.meta.image.height;
    canvas.className = "blank";
    button.append(canvas);
    return button;
  });
  grid.replaceChildren(...made);
  return made;
}

function seedNow(): number {
  const value = Number(seed.value);
  return Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

async function draw(model: Model): Promise<void> {
  const mine = ++turn;
  walk.textContent = "Walk";
  const [from, number, labels] = [seedNow(), Number(count.value), asked()];
  const boxes = places(model, number);
  const batch = model.meta.loop.kind === "once" ? 1 : 4;
  for (let row = 0; row < number && mine === turn; row += batch) {
    const rows = Array.from({ length: Math.min(batch, number - row) }, (_, i) => row + i);
    const wanted = rows.map((each): Wanted => ({ seed: from, row: each, labels, ...example() }));
    status.textContent = `Drawing picture ${row + 1} of ${number} ...`;
    await pause();
    const drawn = await model.draw(wanted, async () => {
      await pause();
      if (mine !== turn) throw STOPPED;
    });
    if (mine !== turn) return;
    drawn.forEach((pixels, i) => {
      const picture = new Drawn(model.meta, pixels, from, row + i);
      const box = boxes[row + i];
      if (!box) return;
      paint(box.firstElementChild as HTMLCanvasElement, picture);
      box.setAttribute("aria-label", said(picture));
      box.onclick = () => enlarge(picture);
    });
  }
  if (mine === turn) status.textContent = "Choose a picture to enlarge and save it.";
}

const STOPPED = new Error("something else is drawn");

/** From the first picture of the seed to that of the next, and on: what `zeuxis interpolate` draws. */
async function stroll(model: Model): Promise<void> {
  const mine = ++turn;
  walk.textContent = "Stop";
  const [box] = places(model, 1);
  const canvas = box?.firstElementChild as HTMLCanvasElement;
  const labels = asked();
  for (let from = seedNow(); mine === turn; from++) {
    seed.value = String(from);
    status.textContent = `On the way from seed ${from} to ${from + 1}`;
    const first = await model.draw([{ seed: from, row: 0, labels }]);
    const kept = new Drawn(model.meta, first[0] as never, from, 0).labels;
    for (let frame = 0; frame < FRAMES && mine === turn; frame++) {
      const towards = { seed: from + 1, share: frame / FRAMES };
      const [pixels] = await model.draw([{ seed: from, row: 0, labels: kept, towards }]);
      if (pixels && mine === turn) paint(canvas, new Drawn(model.meta, pixels, from, 0));
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  }
}

/** A list of choices for each condition, and one of captions. */
function offer(model: Model): void {
  const { labels = [], examples = [], text } = model.meta.asked;
  const choice = (name: string, options: [string, string][]) => {
    const label = document.createElement("label");
    const box = document.createElement("select");
    box.append(new Option("any", ""), ...options.map(([shown, value]) => new Option(shown, value)));
    label.append(name.replaceAll("_", " "), box);
    of("#asked").append(label);
    return box;
  };
  for (const { name, classes } of labels)
    choice(
      name,
      classes.map((one) => [one.replaceAll("_", " "), one]),
    ).dataset.name = name;
  if (text && examples.length)
    choice(
      "Caption",
      examples.map((one, i) => [one.text || "(none)", String(i)]),
    ).id = "example";
  const choices = document.querySelectorAll("#asked select").length;
  of<HTMLDetailsElement>("#more").hidden = !choices;
  of<HTMLDetailsElement>("#more").open = choices > 0 && choices <= FEW;
}

async function start(): Promise<void> {
  const model = await opened();
  offer(model);
  of("#said").textContent =
    `A picture that you save says that it is AI-generated: in its metadata${model.meta.mark ? ", and in its pixels" : ""}.`;
  const redraw = () =>
    draw(model).catch((error) => {
      if (error !== STOPPED) status.textContent = `The pictures could not be drawn (${error}).`;
    });
  again.onclick = () => {
    seed.value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
    redraw();
  };
  of<HTMLFormElement>("#bar").onsubmit = (event) => {
    event.preventDefault();
    redraw();
  };
  of<HTMLFormElement>("#bar").onchange = redraw;
  of<HTMLButtonElement>("#close").onclick = () => large.close();
  walk.hidden = !model.meta.walks;
  walk.onclick = () => (walk.textContent === "Stop" ? redraw() : stroll(model));
  if (model.meta.loop.kind !== "once") count.value = "4";
  Object.assign(window, { zeuxis: { model, Drawn } }); // for scripts
  await redraw();
}

start().catch((error) => {
  status.textContent = `This browser cannot draw here (${error}). A current Chrome, Edge, Firefox or Safari can.`;
});
