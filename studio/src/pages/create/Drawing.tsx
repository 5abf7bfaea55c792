import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import { announce } from "../../parts/announce";
import { Button, Go } from "../../parts/Button";
import { Sentence } from "../../parts/Sentence";
import { href, navigate } from "../../router";
import { say } from "../../words";
import { anySeed, askedOf, described, filled } from "./asked";
import { Controls } from "./Controls";
import { Enlarged } from "./Enlarged";
import { type Favourite, fileOf, placeOf, toggle } from "./favourites";
import {
  type Body,
  base64,
  type Described,
  type Made,
  made,
  post,
  type Recipe,
  release,
  type Sample,
  save,
} from "./made";
import { Tiles } from "./Tiles";
import { Tray } from "./Tray";

const SOON = 350;
const CHILDREN = 8;
/** Of the way to a stranger, where a model has no other way to vary. */
const SHARE = 3;
const NOTHING: Made = { samples: [], remarks: [] };

/** What is drawn in place of the seed's pictures: descendants of favourites. */
interface Descent {
  words: string;
  draw: (signal: AbortSignal) => Promise<Made>;
}

/** Pictures of a seed, favourites among them, and what descends from these. */
export function Drawing({ run, model }: { run: string; model: Described }) {
  const form = askedOf(run);
  const asked = form.value;
  const [shown, setShown] = useState<Made>(NOTHING);
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(true);
  const [large, setLarge] = useState<number>();
  const [chosen, setChosen] = useState<Favourite[]>([]);
  const [descent, setDescent] = useState<Descent>();
  const body: Body = { count: asked.count, seed: asked.seed, ...described(asked) };
  const words = JSON.stringify(body);

  useEffect(() => setDescent(undefined), [words]);
  useEffect(() => {
    const stop = new AbortController();
    setBusy(true);
    const draw = descent?.draw ?? ((signal) => made(run, "sample", body, signal));
    const wait = setTimeout(
      () => {
        draw(stop.signal).then(
          (drawn) => {
            if (stop.signal.aborted) return release(drawn.samples);
            setShown((before) => {
              release(before.samples);
              return drawn;
            });
            setTrouble("");
            setBusy(false);
            announce(descent?.words ?? say.create.drawn(drawn.samples.length, asked.seed));
          },
          (error) => {
            if (stop.signal.aborted) return;
            if (!(error instanceof ApiError)) throw error;
            setTrouble(error.message);
            setBusy(false);
          },
        );
      },
      shown === NOTHING ? 0 : SOON,
    );
    return () => {
      clearTimeout(wait);
      stop.abort();
    };
  }, [run, words, descent]);

  async function downloadAll(): Promise<void> {
    const told = JSON.stringify({ ...body, recipe: true });
    const answer = await post(run, "sample", told, "application/zip");
    save(URL.createObjectURL(await answer.blob()), `${run}-seed-${asked.seed}.zip`);
  }

  function vary(recipe: Recipe, file: () => Promise<Blob>, title: string): void {
    const draw = variations(run, model, recipe, file);
    if (draw === undefined) setTrouble(say.create.cannotVary);
    else setDescent({ words: title, draw });
  }

  function cross(): void {
    const [one, other] = chosen;
    if (one === undefined || other === undefined) return;
    const draw = between(run, model, one, other);
    if (draw === undefined) setTrouble(say.create.cannotCross);
    else setDescent({ words: say.create.children, draw });
  }

  function key(pressed: string, at: number): void {
    const sample = shown.samples[at];
    if (sample === undefined) return;
    const name = `${run}-seed-${asked.seed}-${at}.png`;
    const acts: Record<string, () => void> = {
      f: () => void toggle(sample).then(() => announce(say.create.kept)),
      s: () => save(sample.address, name),
      v: () => vary(sample.recipe, async () => sample.file, say.create.variations(at + 1)),
      b: cross,
      r: () => {
        form.value = { ...asked, seed: anySeed() };
      },
    };
    acts[pressed]?.();
  }

  const only = chosen.length === 1 ? chosen[0] : undefined;
  const canCross = model.verbs.interpolate !== undefined;
  return (
    <>
      <Controls
        model={model}
        verb="sample"
        asked={asked}
        counts
        onChange={(now) => {
          form.value = now;
        }}
      />
      {trouble !== "" && <Sentence tone="bad">{trouble}</Sentence>}
      {shown.remarks.map((one) => (
        <Sentence key={one} tone="fair">
          {one}
        </Sentence>
      ))}
      {busy && shown === NOTHING && <p class="soft">{say.create.drawing} …</p>}
      {descent !== undefined && (
        <div class="drop-line">
          <h2>{descent.words}</h2>
          <Button quiet icon="back" onClick={() => setDescent(undefined)}>
            {say.create.back}
          </Button>
        </div>
      )}
      <Tiles samples={shown.samples} busy={busy} onOpen={setLarge} onKey={key} />
      <p class="soft small">{say.create.keys}</p>
      <div class="drop-line">
        <Button
          quiet
          icon="download"
          disabled={shown.samples.length === 0}
          onClick={() => void downloadAll()}
        >
          {say.create.downloadAll}
        </Button>
        <p class="soft small">{say.create.dropRecipe}</p>
      </div>
      <Tray run={run} chosen={chosen} onChoose={setChosen}>
        {only !== undefined && (
          <>
            <Button onClick={() => vary(only.recipe, () => fileOf(only), say.create.variations(1))}>
              {say.create.vary}
            </Button>
            {only.recipe.verb === "sample" && (
              <Button
                onClick={() => {
                  form.value = filled(only.recipe.body, asked);
                }}
              >
                {say.create.recall}
              </Button>
            )}
            {model.verbs.complete !== undefined && (
              <Button
                icon="brush"
                onClick={() => {
                  chosenFor.set(run, only);
                  navigate("create", [run, "edit"]);
                }}
              >
                {say.create.edit}
              </Button>
            )}
          </>
        )}
        {chosen.length === 2 && canCross && (
          <>
            <Button onClick={cross}>{say.create.cross}</Button>
            <Button
              onClick={() => {
                ends.set(run, chosen);
                navigate("create", [run, "walk"]);
              }}
            >
              {say.create.walk}
            </Button>
          </>
        )}
      </Tray>
      {large !== undefined && shown.samples[large] !== undefined && (
        <Enlarged
          samples={shown.samples}
          at={large}
          name={`${run}-seed-${asked.seed}`}
          onAt={setLarge}
        />
      )}
    </>
  );
}

/** What the walk and the editor begin with. */
export const ends = new Map<string, readonly Favourite[]>();
export const chosenFor = new Map<string, Favourite>();

type Draw = (signal: AbortSignal) => Promise<Made>;

/** Pictures like one: redrawn, or on the way to others where a model cannot redraw. */
function variations(
  run: string,
  model: Described,
  recipe: Recipe,
  file: () => Promise<Blob>,
): Draw | undefined {
  const { count: _, seed: __, controls: ___, ...like } = recipe.body;
  if (model.verbs.vary !== undefined) {
    const { start: _s, end: _e, loop: _l, images: _i, ...rest } = like;
    return async (signal) => {
      const content = await base64(await file());
      const images = Array<string>(CHILDREN).fill(content);
      return made(run, "vary", { images, seed: anySeed(), ...rest }, signal);
    };
  }
  const start = placeOf(recipe);
  if (model.verbs.interpolate === undefined || start === undefined) return undefined;
  const { controls } = recipe.body;
  return async (signal) => {
    const ways = await Promise.all(
      Array.from({ length: CHILDREN }, () =>
        made(
          run,
          "interpolate",
          { start, end: anySeed(), count: SHARE + 1, ...like, ...(controls ? { controls } : {}) },
          signal,
        ),
      ),
    );
    return { samples: ways.map(({ samples }) => kept(samples, 1)), remarks: [] };
  };
}

/** One of some pictures; the others are let go. */
function kept(samples: readonly Sample[], at: number): Sample {
  const one = samples[at];
  if (one === undefined) throw new Error(`no picture ${at}`);
  release(samples.filter((each) => each !== one));
  return one;
}

/** Ends of a walk between favourites: places of seeds if both have one, else files if the model encodes. */
export async function endsOf(
  model: Described,
  one: Favourite,
  other: Favourite,
): Promise<Body | undefined> {
  const [a, b] = [placeOf(one.recipe), placeOf(other.recipe)];
  if (a !== undefined && b !== undefined && model.verbs.sample !== undefined) {
    const { count: _, seed: __, ...like } = one.recipe.body;
    return { start: a, end: b, ...like };
  }
  if (model.verbs.encode === undefined) return undefined;
  const files = await Promise.all([fileOf(one), fileOf(other)]);
  const [start, end] = await Promise.all(files.map(base64));
  return { start, end };
}

function between(
  run: string,
  model: Described,
  one: Favourite,
  other: Favourite,
): Draw | undefined {
  const seeds = placeOf(one.recipe) !== undefined && placeOf(other.recipe) !== undefined;
  if (!seeds && model.verbs.encode === undefined) return undefined;
  return async (signal) => {
    const body = { ...(await endsOf(model, one, other)), count: CHILDREN + 2 };
    const { samples, remarks } = await made(run, "interpolate", body, signal);
    release([...samples.slice(0, 1), ...samples.slice(-1)]);
    return { samples: samples.slice(1, -1), remarks };
  };
}

/** For a mode that a model has not got: what can. */
export function Unable({ words, goals }: { words: string; goals: string[] }) {
  return (
    <>
      <p>{words}</p>
      {goals.length > 0 && <p class="soft">{say.create.able(goals)}</p>}
      <p>
        <Go to={href("train")}>{say.create.trainOne}</Go>
      </p>
    </>
  );
}
