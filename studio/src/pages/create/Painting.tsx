import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import { Board, type Colours, pngOf } from "../../canvas/Board";
import { Layer } from "../../canvas/layer";
import { Button } from "../../parts/Button";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import { anySeed } from "./asked";
import { controlsOf, type Described, post, save } from "./made";

const SIDES = [64, 128, 256, 512, 1024];
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
  const [side, setSide] = useState(SIDES.includes(256) ? 256 : own);
  const isMap = model.source?.kind === "map";
  const [value, setValue] = useState(() => Math.min(isMap ? 2 : 1, classes.length - 1));
  const [seed, setSeed] = useState(7);
  const [steps, setSteps] = useState(1);
  const [took, setTook] = useState<number>();
  const [trouble, setTrouble] = useState("");
  const [filled, setFilled] = useState(0);
  const result = useRef<HTMLCanvasElement>(null);
  const going = useRef(false);
  const stale = useRef(false);
  const gone = useRef(false);
  const layer = useMemo(() => new Layer(side, side, isMap ? value : 0), [side]);
  const colours: Colours = useMemo(() => named.map((one) => [...rgb(one), 255] as const), [named]);
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

  async function download(): Promise<void> {
    const query = asked({ recipe: "true" });
    const map = await pngOf(layer, colours);
    const answer = await post(run, `translate?${query}`, map, "image/png");
    save(URL.createObjectURL(await answer.blob()), `${run}-seed-${seed}.png`);
    save(URL.createObjectURL(map), `${run}-map.png`);
  }

  return (
    <div class="painting">
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
            onChange={(event) => setSide(Number(event.currentTarget.value))}
          >
            {[...new Set([...SIDES, own])]
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
              {STEPS.map((one) => (
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
        <Button icon="dice" onClick={() => setSeed(anySeed())}>
          {say.create.dice}
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
          key={`${side}/${filled}`}
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
            width={side}
            height={side}
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
    </div>
  );
}

function rgb(colour: string): [number, number, number] {
  const value = Number.parseInt(colour.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
