import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import { labelled as named } from "../../forms/schema";
import { announce } from "../../parts/announce";
import { Button } from "../../parts/Button";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import { Enlarged } from "./Enlarged";
import { type Described, labelled, made, post, release, type Sample, save } from "./made";

const COUNTS = [16, 64];
const LARGEST_SEED = 2 ** 31;

/** Seed, labels and count, and the pictures that they give. */
export function Drawing({ run, model }: { run: string; model: Described }) {
  const [seed, setSeed] = useState(7);
  const [count, setCount] = useState(16);
  const [labels, setLabels] = useState<Record<string, string>>({});
  const [samples, setSamples] = useState<Sample[]>([]);
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(true);
  const [large, setLarge] = useState<number>();
  const asked = JSON.stringify({ count, seed, ...(Object.keys(labels).length > 0 && { labels }) });

  useEffect(() => {
    const stop = new AbortController();
    setBusy(true);
    made(run, "sample", asked, stop.signal).then(
      (drawn) => {
        setSamples((before) => {
          release(before);
          return drawn;
        });
        setTrouble("");
        setBusy(false);
        announce(say.samples.drawn(drawn.length, seed));
      },
      (error) => {
        if (stop.signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        setTrouble(error.message);
        setBusy(false);
      },
    );
    return () => stop.abort();
  }, [run, asked]);
  useEffect(() => () => release(samples), []);

  async function downloadAll(): Promise<void> {
    const answer = await post(run, "sample", asked, "application/zip");
    save(URL.createObjectURL(await answer.blob()), `${run}-seed-${seed}.zip`);
  }

  return (
    <>
      <div class="controls">
        <div class="line">
          <label for="seed">{say.samples.seed}</label>
          <div class="seed">
            <input
              id="seed"
              type="text"
              inputMode="numeric"
              value={seed}
              aria-describedby="seed-hint"
              onInput={(event) => {
                const typed = Number(event.currentTarget.value.trim() || "0");
                if (Number.isSafeInteger(typed) && typed >= 0) setSeed(typed);
              }}
            />
            <Button icon="dice" onClick={() => setSeed(Math.floor(Math.random() * LARGEST_SEED))}>
              {say.samples.dice}
            </Button>
          </div>
          <p id="seed-hint" class="small soft">
            {say.samples.seedHint}
          </p>
        </div>
        <fieldset class="line counts">
          <legend>{say.samples.count}</legend>
          {COUNTS.map((one) => (
            <label key={one}>
              <input
                type="radio"
                name="count"
                checked={one === count}
                onChange={() => setCount(one)}
              />
              {one}
            </label>
          ))}
        </fieldset>
        {Object.entries(model.conditions).map(([name, classes]) => (
          <div class="line" key={name}>
            <label for={`label-${name}`}>{named(name)}</label>
            <select
              id={`label-${name}`}
              value={labels[name] ?? ""}
              onChange={(event) => {
                const { [name]: _, ...others } = labels;
                const value = event.currentTarget.value;
                setLabels(value === "" ? others : { ...others, [name]: value });
              }}
            >
              <option value="">{say.samples.any}</option>
              {classes.map((one) => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </select>
          </div>
        ))}
        <Button
          quiet
          icon="download"
          disabled={samples.length === 0}
          onClick={() => void downloadAll()}
        >
          {say.samples.downloadAll}
        </Button>
      </div>
      {trouble !== "" && <Sentence tone="bad">{trouble}</Sentence>}
      {busy && samples.length === 0 && <p class="soft">{say.samples.drawing} …</p>}
      <Grid samples={samples} pixelated={model.width <= 64} busy={busy} onOpen={setLarge} />
      {large !== undefined && samples[large] !== undefined && (
        <Enlarged samples={samples} at={large} name={`${run}-seed-${seed}`} onAt={setLarge} />
      )}
    </>
  );
}

/** Tiles with one tab stop; arrow keys move, Enter enlarges. */
function Grid({
  samples,
  pixelated,
  busy,
  onOpen,
}: {
  samples: Sample[];
  pixelated: boolean;
  busy: boolean;
  onOpen: (at: number) => void;
}) {
  const [at, setAt] = useState(0);
  const grid = useRef<HTMLDivElement>(null);

  function key(event: KeyboardEvent): void {
    const box = grid.current;
    if (box === null) return;
    const across = getComputedStyle(box).gridTemplateColumns.split(" ").length;
    const steps: Record<string, number> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -across,
      ArrowDown: across,
      Home: -at,
      End: samples.length - 1 - at,
    };
    const to = at + (steps[event.key] ?? 0);
    if (!(event.key in steps) || to < 0 || to >= samples.length) return;
    event.preventDefault();
    setAt(to);
    box.querySelectorAll("button")[to]?.focus();
  }

  return (
    // biome-ignore lint/a11y/useSemanticElements: pictures, not fields of a form
    <div
      ref={grid}
      class={samples.length > 16 ? "tiles many" : "tiles"}
      role="group"
      aria-label={say.samples.grid}
      aria-busy={busy}
      onKeyDown={key}
    >
      {samples.map((sample, i) => (
        <button
          key={sample.address}
          type="button"
          tabIndex={i === at ? 0 : -1}
          onFocus={() => setAt(i)}
          onClick={() => onOpen(i)}
          aria-label={[say.samples.tile(i + 1), ...labelled(sample)].join(", ")}
        >
          <img class={pixelated ? "pixels" : ""} src={sample.address} alt="" />
        </button>
      ))}
    </div>
  );
}
