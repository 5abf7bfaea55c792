import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import { Board, type Colours, pngOf } from "../../canvas/Board";
import { Layer } from "../../canvas/layer";
import { Button } from "../../parts/Button";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import { usePicker } from "../gather/DropField";
import { seedOf } from "./asked";
import { controlsOf, type Described, post, type Recipe, save } from "./made";
import { Missing, Restoring, restored } from "./Restoring";
import { SeedField } from "./SeedField";

const SIDES = [64, 128, 256, 512, 1024];
const LARGEST = 1024;
const STEPS = [1, 2, 4];
/** What is painted with where a model starts from pictures, not from classes. */
const PAINTS: Record<string, string> = {
  white: "#ffffff",
  black: "#000000",
  grey: "#808080",
  red: "#d03030",
  orange: "#f09030",
  yellow: "#f0e040",
  green: "#40a040",
  blue: "#3060d0",
  violet: "#8040b0",
  brown: "#805030",
};

/** Names and colours of what a model is painted with. */
function palette({ source }: Described): { classes: string[]; colours: string[] } {
  if (source?.kind === "map") return source;
  return { classes: Object.keys(PAINTS), colours: Object.values(PAINTS) };
}

/** A map that is painted by hand, and what the model makes of it after each stroke. */
export function Painting({ run, model }: { run: string; model: Described }) {
  const { classes, colours: named } = useMemo(() => palette(model), [model]);
  const stepped = controlsOf(model.verbs.translate)?.properties?.steps !== undefined;
  const own = Math.max(model.height, model.width);
  const [recipe] = useState(() => restored(run, "paint"));
  const [ground, setGround] = useState<Ground>();
  const [side, setSide] = useState(SIDES.includes(256) ? 256 : own);
  const isMap = model.source?.kind === "map";
  const [value, setValue] = useState(() => Math.min(isMap ? 2 : 1, classes.length - 1));
  const [seed, setSeed] = useState(Number(recipe?.body.seed ?? 7));
  const [steps, setSteps] = useState(() => stepsIn(recipe) ?? 1);
  const [took, setTook] = useState<number>();
  const [trouble, setTrouble] = useState("");
  const [filled, setFilled] = useState(0);
  const result = useRef<HTMLCanvasElement>(null);
  const going = useRef(false);
  const stale = useRef(false);
  const gone = useRef(false);
  const layer = useMemo(() => {
    if (ground !== undefined) return new Layer(ground.width, ground.height, ground.pixels);
    return new Layer(side, side, isMap ? value : 0);
  }, [side, ground]);
  const colours: Colours = useMemo(() => named.map((one) => [...rgb(one), 255] as const), [named]);
  const picker = usePicker((files) => void begin(files[0]?.file));
  useEffect(
    () => () => {
      gone.current = true;
    },
    [],
  );
  useEffect(() => follow(), [layer, seed, steps]);

  /** Ask for the newest state; what was painted meanwhile is asked for once the answer is there. */
  function follow(): void {
    stale.current = true;
    if (going.current) return;
    going.current = true;
    void (async () => {
      while (stale.current && !gone.current) {
        stale.current = false;
        const began = performance.now();
        const map = await pngOf(layer, colours);
        const query = asked({ unmarked: "true" });
        const answer = await post(run, `translate?${query}`, map, "image/png");
        const picture = await createImageBitmap(await answer.blob());
        const canvas = result.current;
        if (canvas === null) break;
        if (canvas.width !== picture.width) canvas.width = picture.width;
        if (canvas.height !== picture.height) canvas.height = picture.height;
        canvas.getContext("2d")?.drawImage(picture, 0, 0);
        const ended = performance.now();
        performance.measure("painted", { start: began, end: ended });
        setTook(ended - began);
        setTrouble("");
      }
    })()
      .catch((error) => {
        if (!(error instanceof ApiError)) throw error;
        setTrouble(error.message);
      })
      .finally(() => {
        going.current = false;
      });
  }

  function asked(more: Record<string, string>): URLSearchParams {
    return new URLSearchParams({ seed: `${seed}`, ...(stepped && { steps: `${steps}` }), ...more });
  }

  /** Go on from a map that was painted before. */
  async function begin(file: File | undefined): Promise<void> {
    if (file === undefined) return;
    const map = await mapIn(file, colours);
    setGround(map);
    setSide(Math.max(map.width, map.height));
  }

  async function download(): Promise<void> {
    const query = asked({ recipe: "true" });
    const map = await pngOf(layer, colours);
    const answer = await post(run, `translate?${query}`, map, "image/png");
    save(URL.createObjectURL(await answer.blob()), `${run}-seed-${seed}.png`);
    save(URL.createObjectURL(map), `${run}-map.png`);
  }

  return (
    <Restoring run={run} otherwise={(file) => void begin(file)}>
      {picker.inputs}
      <Missing recipe={recipe} what="map" there={ground !== undefined} />
      <fieldset class="classes">
        <legend>{say.create.classes}</legend>
        {classes.map((name, number) => (
          <label key={name}>
            <input
              type="radio"
              name="class"
              checked={number === value}
              onChange={() => setValue(number)}
            />
            <span class="swatch" style={{ background: named[number] }} />
            {name}
          </label>
        ))}
      </fieldset>
      <div class="controls">
        <div class="line">
          <label for="side">{say.create.side}</label>
          <select
            id="side"
            value={side}
            onChange={(event) => {
              setGround(undefined);
              setSide(Number(event.currentTarget.value));
            }}
          >
            {[...new Set([...SIDES, own, side])]
              .sort((a, b) => a - b)
              .map((one) => (
                <option key={one} value={one}>
                  {say.create.pixels(one)}
                </option>
              ))}
          </select>
        </div>
        {stepped && (
          <div class="line">
            <label for="steps">{say.create.fineSteps}</label>
            <select
              id="steps"
              value={steps}
              aria-describedby="steps-hint"
              onChange={(event) => setSteps(Number(event.currentTarget.value))}
            >
              {[...new Set([...STEPS, steps])].map((one) => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </select>
            <p id="steps-hint" class="small soft">
              {say.create.stepsHint}
            </p>
          </div>
        )}
        <div class="line">
          <SeedField
            id="seed"
            label={say.create.seed}
            value={String(seed)}
            read={seedOf}
            onChange={(typed) => setSeed(Number(typed))}
          />
        </div>
        <Button icon="plus" onClick={picker.pickFiles}>
          {say.create.openMap}
        </Button>
        <Button
          onClick={() => {
            layer.fill(value);
            setFilled(filled + 1);
            follow();
          }}
        >
          {say.create.fillAll}
        </Button>
      </div>
      {trouble !== "" && <Sentence tone="bad">{trouble}</Sentence>}
      <div class="easel">
        <Board
          key={`${side}/${filled}/${ground?.number}`}
          layer={layer}
          colours={colours}
          value={value}
          erases={false}
          onStroke={follow}
        />
        <figure>
          <canvas
            ref={result}
            role="img"
            aria-label={say.create.painted}
            width={layer.width}
            height={layer.height}
          />
          <figcaption class="small soft">
            {say.create.painted} {took !== undefined && `· ${say.create.took(took)}`}
          </figcaption>
          <Button icon="download" onClick={() => void download()}>
            {say.create.paintKeep}
          </Button>
          <p class="small soft">{say.create.live}</p>
        </figure>
      </div>
    </Restoring>
  );
}

/** A map to go on from. */
interface Ground {
  number: number;
  width: number;
  height: number;
  pixels: Uint8Array;
}

/** A file as a map: of each pixel the class whose colour is nearest. */
async function mapIn(file: File, colours: Colours): Promise<Ground> {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((one) => Math.round(one * scale)) as [
    number,
    number,
  ];
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  if (pen === null) throw new Error("no canvas");
  pen.imageSmoothingEnabled = false;
  pen.drawImage(picture, 0, 0, width, height);
  const { data } = pen.getImageData(0, 0, width, height);
  const known = new Map<number, number>();
  const pixels = Uint8Array.from({ length: width * height }, (_, i) => {
    const [r = 0, g = 0, b = 0] = data.subarray(4 * i, 4 * i + 3);
    const colour = (r << 16) | (g << 8) | b;
    const found = known.get(colour) ?? nearest(colours, r, g, b);
    known.set(colour, found);
    return found;
  });
  return { number: performance.now(), width, height, pixels };
}

function nearest(colours: Colours, r: number, g: number, b: number): number {
  const away = colours.map(([cr, cg, cb]) => (r - cr) ** 2 + (g - cg) ** 2 + (b - cb) ** 2);
  return away.indexOf(Math.min(...away));
}

/** Of the loop that draws, if a recipe says it. */
function stepsIn(recipe: Recipe | undefined): number | undefined {
  const { steps } = (recipe?.body.controls ?? {}) as { steps?: number };
  return steps;
}

function rgb(colour: string): [number, number, number] {
  const value = Number.parseInt(colour.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
