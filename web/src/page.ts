// The page: draws what a seed and what is asked for say, enlarges, walks, saves.
import type { Meta } from "./meta";
import { Model, type Turned, type Wanted } from "./model";
import { Drawn } from "./picture";
import { Board } from "./source";
import { unseen } from "./words";

const FRAMES = 24;
const SMALL = 64;
const FEW = 4;
const NAMED = 8;

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
function asked(): Pick<Wanted, "labels" | "numbers" | "text"> {
  const chosen = (kind: string) =>
    [...document.querySelectorAll<HTMLInputElement>(`[data-${kind}]`)]
      .filter((box) => box.value.trim())
      .map((box): [string, string] => [box.dataset[kind] ?? "", box.value.trim()]);
  const numbers = chosen("number").map(([name, value]) => [name, Number(value)]);
  const [text] = chosen("text");
  return {
    labels: Object.fromEntries(chosen("label")),
    numbers: Object.fromEntries(numbers),
    ...(text && { text: text[1] }),
  };
}

/** Controls that are turned. */
function turned(model: Model): Turned {
  return Object.fromEntries(
    model.meta.controls
      .map(({ name, usual }): [string, number, number] => [
        name,
        Number(of<HTMLInputElement>(`[data-control="${name}"]`).value),
        usual,
      ])
      .filter(([, value, usual]) => value !== usual)
      .map(([name, value]) => [name, value]),
  );
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

async function draw(model: Model, board: Board | undefined): Promise<void> {
  const mine = ++turn;
  if (board) return remade(model, board, mine);
  walk.textContent = "Walk";
  const [from, number, show, controls] = [seedNow(), Number(count.value), asked(), turned(model)];
  const boxes = places(model, number);
  const batch = model.meta.loop.kind === "once" ? 1 : 4;
  for (let row = 0; row < number && mine === turn; row += batch) {
    const rows = Array.from({ length: Math.min(batch, number - row) }, (_, i) => row + i);
    const wanted = rows.map((each): Wanted => ({ seed: from, row: each, ...show }));
    status.textContent = `Drawing picture ${row + 1} of ${number} ...`;
    await pause();
    const going = async () => {
      await pause();
      if (mine !== turn) throw STOPPED;
    };
    const drawn = await model.draw(wanted, going, controls);
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

/** What is made of a source; what is there stays until then, so that it follows a brush. */
async function remade(model: Model, board: Board, mine: number): Promise<void> {
  if (!board.filled) {
    status.textContent = "Choose a picture to begin with, or drop one.";
    return;
  }
  const [box] = grid.childElementCount ? [...grid.children] : places(model, 1);
  const from = seedNow();
  await pause();
  if (mine !== turn) return; // a brush has gone on
  const wanted = { seed: from, row: 0, ...asked(), source: board.read() };
  const going = async (done: number, all: number) => {
    status.textContent = `Step ${done} of ${all} ...`;
    await pause();
    if (mine !== turn) throw STOPPED;
  };
  const [pixels] = await model.draw([wanted], going, turned(model));
  if (!pixels || mine !== turn) return;
  const picture = new Drawn(model.meta, pixels, from, 0);
  const button = box as HTMLButtonElement;
  paint(button.firstElementChild as HTMLCanvasElement, picture);
  button.setAttribute("aria-label", said(picture));
  button.onclick = () => enlarge(picture);
  status.textContent = "Choose the picture to enlarge and save it.";
}

const STOPPED = new Error("something else is drawn");

/** From the first picture of the seed to that of the next, and on: what `zeuxis interpolate` draws. */
async function stroll(model: Model): Promise<void> {
  const mine = ++turn;
  walk.textContent = "Stop";
  const [box] = places(model, 1);
  const canvas = box?.firstElementChild as HTMLCanvasElement;
  const [show, controls] = [asked(), turned(model)];
  for (let from = seedNow(); mine === turn; from++) {
    seed.value = String(from);
    status.textContent = `On the way from seed ${from} to ${from + 1}`;
    const first = await model.draw([{ seed: from, row: 0, ...show }]);
    const kept = new Drawn(model.meta, first[0] as never, from, 0).labels;
    for (let frame = 0; frame < FRAMES && mine === turn; frame++) {
      const towards = { seed: from + 1, share: frame / FRAMES };
      const [pixels] = await model.draw(
        [{ seed: from, row: 0, ...show, labels: kept, towards }],
        undefined,
        controls,
      );
      if (pixels && mine === turn) paint(canvas, new Drawn(model.meta, pixels, from, 0));
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  }
}

/** A field for each thing that may be asked for, and a slider for each control. */
function offer({ meta }: Model): void {
  const { labels = [], numbers = [], examples = [], text } = meta.asked;
  const line = (into: string, name: string, ...fields: HTMLElement[]) => {
    const label = document.createElement("label");
    label.append(name.replaceAll("_", " "), ...fields);
    of(into).append(label);
    return label;
  };
  if (text) {
    const typed = document.createElement("input");
    typed.type = "text";
    typed.dataset.text = "";
    typed.setAttribute("list", "captions");
    const list = document.createElement("datalist");
    list.id = "captions";
    const texts = [...new Set(examples.map((one) => one.text))].filter(Boolean);
    list.append(...texts.map((one) => new Option(one, one)));
    const note = document.createElement("p");
    note.id = "unseen";
    note.setAttribute("role", "status");
    typed.onchange = () => {
      const found = unseen(typed.value, text.words);
      const more = found.length > NAMED ? ` and ${found.length - NAMED} more` : "";
      note.textContent = found.length
        ? `Not seen in training: ${found.slice(0, NAMED).join(", ")}${more}`
        : "";
    };
    line("#asked", "In words", typed, list).className = "wide";
    of("#asked").append(note);
  }
  for (const { name, classes } of labels) {
    const box = document.createElement("select");
    const shown = classes.map((one) => new Option(one.replaceAll("_", " "), one));
    box.append(new Option("any", ""), ...shown);
    box.dataset.label = name;
    line("#asked", name, box);
  }
  for (const { name, mean } of numbers) {
    const box = document.createElement("input");
    Object.assign(box, {
      type: "number",
      step: "any",
      placeholder: `such as ${+mean.toPrecision(2)}`,
    });
    box.dataset.number = name;
    line("#asked", name, box);
  }
  for (const { name, hint, least, most, step, usual } of meta.controls) {
    const slider = document.createElement("input");
    Object.assign(slider, {
      type: "range",
      min: least,
      max: most,
      step,
      value: usual,
      title: hint,
    });
    slider.dataset.control = name;
    const shown = document.createElement("output");
    const tell = () => {
      shown.value = slider.value;
    };
    slider.oninput = tell;
    line("#turned", name, slider, shown);
    tell();
  }
  const fields = document.querySelectorAll("#asked select, #asked input").length;
  of<HTMLDetailsElement>("#more").hidden = !fields;
  of<HTMLDetailsElement>("#more").open = fields > 0 && fields <= FEW;
  of<HTMLDetailsElement>("#settings").hidden = !meta.controls.length;
}

/** What a model that makes pictures of others is given: painted, chosen, or dropped anywhere. */
function sources(model: Model, redraw: () => void): Board | undefined {
  const { source } = model.meta;
  if (source === null) return undefined;
  const map = source.kind === "map";
  const from = of<HTMLElement>("#from");
  const board = new Board(of<HTMLCanvasElement>("#from canvas"), source, redraw);
  from.hidden = false;
  from.classList.toggle("small", Math.max(board.width, board.height) <= SMALL);
  of("#pair").classList.add("two");
  of("#from figcaption").textContent = map
    ? "Paint here. A picture in these colours may be dropped, too."
    : "Drop a picture anywhere; its middle is taken.";
  of<HTMLElement>("#file-line").hidden = false;
  const legend = of<HTMLFieldSetElement>("#legend");
  legend.hidden = !map;
  (source.classes ?? []).forEach((name, i) => {
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), {
      type: "radio",
      name: "brush",
      checked: i === 0,
      oninput: () => board.choose(i),
    });
    const swatch = document.createElement("span");
    swatch.style.background = source.colours?.[i] ?? "";
    label.append(radio, swatch, name.replaceAll("_", " "));
    legend.append(label);
  });
  const take = (file: File | undefined) =>
    file &&
    board.take(file).catch(() => {
      status.textContent = `${file.name} is no picture that this browser can read.`;
    });
  const file = of<HTMLInputElement>("#file");
  file.onchange = (event) => {
    event.stopPropagation(); // it draws once it is read
    take(file.files?.[0]);
  };
  document.ondragover = (event) => event.preventDefault();
  document.ondrop = (event) => {
    event.preventDefault();
    take(event.dataTransfer?.files[0]);
  };
  count.closest("label")?.remove();
  of("#same").textContent =
    "The same picture and seed give the same, here and by zeuxis translate, for pictures of this size.";
  if (!Object.keys(model.meta.random.noise ?? {}).length) {
    again.hidden = true;
    seed.closest("label")?.remove();
  }
  return board;
}

async function start(): Promise<void> {
  const model = await opened();
  offer(model);
  of("#said").textContent =
    `A picture that you save says that it is AI-generated: in its metadata${model.meta.mark ? ", and in its pixels" : ""}.`;
  const redraw = () =>
    draw(model, board).catch((error) => {
      if (error !== STOPPED) status.textContent = `The pictures could not be drawn (${error}).`;
    });
  const board = sources(model, () => redraw());
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
