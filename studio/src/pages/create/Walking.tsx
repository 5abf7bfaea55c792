import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import { announce } from "../../parts/announce";
import { Button } from "../../parts/Button";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import { askedOf, described, seedOf } from "./asked";
import { Controls } from "./Controls";
import { ends, endsOf } from "./Drawing";
import { type Favourite, placeOf } from "./favourites";
import { type Body, type Described, type Made, made, post, release, save } from "./made";
import { Missing, restored } from "./Restoring";
import { SeedField } from "./SeedField";
import { sharp, Tiles } from "./Tiles";
import { Tray } from "./Tray";

const COUNTS = [8, 12, 24, 48];
const SOON = 350;
const PACE = 1000 / 12; // as films are written
const NOTHING: Made = { samples: [], remarks: [] };

/** The way from one picture to another, as a film. */
export function Walking({ run, model }: { run: string; model: Described }) {
  const form = askedOf(run);
  const [recipe] = useState(() => restored(run, "walk"));
  const [chosen, setChosen] = useState<readonly Favourite[]>(() =>
    recipe === undefined ? (ends.get(run) ?? []) : [],
  );
  const [seeds, setSeeds] = useState<readonly [End, End]>(() => {
    const { seed } = form.value;
    return [endIn(recipe?.body.start) ?? seed, endIn(recipe?.body.end) ?? seed + 1];
  });
  const [count, setCount] = useState(Number(recipe?.body.count ?? 24));
  const [loop, setLoop] = useState(recipe?.body.loop === true);
  const [body, setBody] = useState<Body>();
  const [walk, setWalk] = useState<Made>(NOTHING);
  const [at, setAt] = useState(0);
  const [playing, setPlaying] = useState(false);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState("");
  const shown = useRef(NOTHING);
  const ofSeeds = model.verbs.sample !== undefined;
  useEffect(() => () => release(shown.current.samples), []);

  const words = JSON.stringify(described(form.value));
  useEffect(() => {
    const stop = new AbortController();
    const draw = async () => {
      const [one, other] = chosen;
      const own = { start: seeds[0], end: seeds[1], ...described(form.value) };
      const found =
        one !== undefined && other !== undefined
          ? await endsOf(model, one, other)
          : ofSeeds
            ? own
            : undefined;
      if (stop.signal.aborted) return;
      if (found === undefined) {
        if (chosen.length === 2) setTrouble(say.create.cannotCross);
        return;
      }
      const asked = { ...found, count, loop };
      setBusy(true);
      const now = await made(run, "interpolate", asked, stop.signal);
      release(shown.current.samples);
      shown.current = now;
      setWalk(now);
      setBody(asked);
      setAt(0);
      setTrouble("");
      setBusy(false);
      announce(say.create.changed(now.samples.length));
    };
    const failed = (error: unknown) => {
      if (stop.signal.aborted) return;
      setBusy(false);
      if (!(error instanceof ApiError)) throw error;
      setTrouble(error.message);
    };
    const wait = setTimeout(() => void draw().catch(failed), shown.current === NOTHING ? 0 : SOON);
    return () => {
      clearTimeout(wait);
      stop.abort();
    };
  }, [run, chosen, seeds, count, loop, words]);

  const frames = walk.samples.length;
  useEffect(() => {
    if (!playing || frames === 0) return;
    const timer = setInterval(() => setAt((now) => (now + 1) % frames), PACE);
    return () => clearInterval(timer);
  }, [playing, frames]);

  async function film(): Promise<void> {
    const answer = await post(run, "interpolate", JSON.stringify(body), "image/webp");
    save(URL.createObjectURL(await answer.blob()), `${run}-walk.webp`);
  }

  const between = chosen.length === 2;
  const frame = walk.samples[at];
  return (
    <>
      <div class="controls">
        {ofSeeds &&
          !between &&
          seeds.map((seed, i) => (
            <div class="line" key={i === 0 ? "from" : "to"}>
              <SeedField
                id={`end-${i}`}
                label={i === 0 ? say.create.from : say.create.to}
                value={typeof seed === "number" ? String(seed) : seed.join(":")}
                read={endOf}
                onChange={(typed) => {
                  const end = endOf(typed) ?? seed;
                  setSeeds(i === 0 ? [end, seeds[1]] : [seeds[0], end]);
                }}
              />
            </div>
          ))}
        {between && (
          <ul class="line">
            {chosen.map((one, i) => (
              <li key={JSON.stringify(one.recipe)}>
                {i === 0 ? say.create.from : say.create.to}: {nameOf(one)}
              </li>
            ))}
          </ul>
        )}
        <div class="line">
          <label for="frames">{say.create.steps}</label>
          <select
            id="frames"
            value={count}
            onChange={(event) => setCount(Number(event.currentTarget.value))}
          >
            {[...new Set([...COUNTS, count])].map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
          <label class="lock">
            <input
              type="checkbox"
              checked={loop}
              onChange={(event) => setLoop(event.currentTarget.checked)}
            />
            {say.create.loop}
          </label>
        </div>
      </div>
      {ofSeeds && !between && (
        <Controls
          model={model}
          verb="interpolate"
          asked={form.value}
          onChange={(now) => {
            form.value = now;
          }}
        />
      )}
      <Missing
        recipe={endIn(recipe?.body.start) === undefined ? recipe : undefined}
        there={between}
      />
      {trouble !== "" && <Sentence tone="bad">{trouble}</Sentence>}
      {walk.remarks.map((one) => (
        <Sentence key={one} tone="fair">
          {one}
        </Sentence>
      ))}
      {busy && frames === 0 && <p class="soft">{say.create.drawing} …</p>}
      {frame !== undefined && (
        <figure class="walk" aria-busy={busy}>
          <img src={frame.address} alt={say.create.frame(at + 1, frames)} onLoad={sharp} />
          <input
            type="range"
            min={0}
            max={frames - 1}
            value={at}
            aria-label={say.create.frame(at + 1, frames)}
            onInput={(event) => {
              setPlaying(false);
              setAt(Number(event.currentTarget.value));
            }}
          />
          <div class="drop-line">
            <Button icon={playing ? "pause" : "play"} onClick={() => setPlaying(!playing)}>
              {playing ? say.create.pause : say.create.play}
            </Button>
            <Button icon="download" onClick={() => void film()}>
              {say.create.film}
            </Button>
          </div>
        </figure>
      )}
      {frames > 0 && <Tiles samples={walk.samples} busy={busy} onOpen={setAt} />}
      <Tray
        run={run}
        chosen={chosen}
        onChoose={(now) => {
          ends.set(run, now);
          setChosen(now);
        }}
      />
    </>
  );
}

/** A seed, or one of its pictures. */
type End = number | readonly [number, number];

/** What is typed: 7, or 7:3 for picture 3 of seed 7. */
function endOf(typed: string): End | undefined {
  const [seed, number, ...more] = typed.split(":").map(seedOf);
  if (seed === undefined || more.length > 0) return undefined;
  if (!typed.includes(":")) return seed;
  return number === undefined || typed.endsWith(":") ? undefined : [seed, number];
}

/** What a recipe says of an end, unless that was a picture. */
function endIn(told: unknown): End | undefined {
  return endOf(Array.isArray(told) ? told.join(":") : String(told));
}

function nameOf({ recipe }: Favourite): string {
  const place = placeOf(recipe);
  return place === undefined ? say.create.aPicture : say.create.ofSeed(place[0], place[1] + 1);
}
