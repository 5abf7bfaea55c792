import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import { announce } from "../../parts/announce";
import { Button } from "../../parts/Button";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import { anySeed, askedOf, described } from "./asked";
import { ends, endsOf } from "./Drawing";
import { type Favourite, placeOf } from "./favourites";
import { type Body, type Described, type Made, made, post, release, save } from "./made";
import { sharp, Tiles } from "./Tiles";
import { Tray } from "./Tray";

const COUNTS = [8, 12, 24, 48];
const PACE = 1000 / 12; // as films are written
const NOTHING: Made = { samples: [], remarks: [] };

/** The way from one picture to another, as a film. */
export function Walking({ run, model }: { run: string; model: Described }) {
  const form = askedOf(run);
  const [chosen, setChosen] = useState<readonly Favourite[]>(() => ends.get(run) ?? []);
  const [seeds, setSeeds] = useState(() => [form.value.seed, form.value.seed + 1] as const);
  const [count, setCount] = useState(24);
  const [loop, setLoop] = useState(false);
  const [body, setBody] = useState<Body>();
  const [walk, setWalk] = useState<Made>(NOTHING);
  const [at, setAt] = useState(0);
  const [playing, setPlaying] = useState(false);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState("");
  const shown = useRef(NOTHING);
  const ofSeeds = model.verbs.sample !== undefined;
  useEffect(() => () => release(shown.current.samples), []);

  useEffect(() => {
    const stop = new AbortController();
    void (async () => {
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
    })().catch((error) => {
      if (stop.signal.aborted) return;
      setBusy(false);
      if (!(error instanceof ApiError)) throw error;
      setTrouble(error.message);
    });
    return () => stop.abort();
  }, [run, chosen, seeds, count, loop]);

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
              <label for={`end-${i}`}>{i === 0 ? say.create.from : say.create.to}</label>
              <div class="seed">
                <input
                  id={`end-${i}`}
                  type="text"
                  inputMode="numeric"
                  value={seed}
                  onChange={(event) => {
                    const typed = Number(event.currentTarget.value.trim() || "0");
                    if (Number.isSafeInteger(typed) && typed >= 0)
                      setSeeds(i === 0 ? [typed, seeds[1]] : [seeds[0], typed]);
                  }}
                />
                <Button
                  icon="dice"
                  aria-label={`${say.create.dice}: ${i === 0 ? say.create.from : say.create.to}`}
                  onClick={() => setSeeds(i === 0 ? [anySeed(), seeds[1]] : [seeds[0], anySeed()])}
                />
              </div>
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
            {COUNTS.map((one) => (
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
      {trouble !== "" && <Sentence tone="bad">{trouble}</Sentence>}
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

function nameOf({ recipe }: Favourite): string {
  const place = placeOf(recipe);
  return place === undefined ? say.create.aPicture : say.create.ofSeed(place[0], place[1] + 1);
}
