import { useEffect, useState } from "preact/hooks";
import { ApiError, api, data, type Resource, resource } from "../../api/client";
import type { components } from "../../api/schema";
import { Form, isRight, type Values } from "../../forms/Form";
import type { Schema } from "../../forms/schema";
import { refresh, running, waiting } from "../../jobs/jobs";
import { GOALS, type Goal } from "../../jobs/spoken";
import { Button, Go } from "../../parts/Button";
import { Loaded } from "../../parts/Loaded";
import { Next } from "../../parts/Next";
import { Sentence } from "../../parts/Sentence";
import { href, navigate } from "../../router";
import { say } from "../../words";

type Entry = components["schemas"]["Entry"];
type Estimate = components["schemas"]["Estimate"];
type Facts = components["schemas"]["DatasetFacts"];
const PARTS = ["family", "training", "data", "machine"] as const;
type Settings = Record<(typeof PARTS)[number], Values>;
type Family = { config: Schema; controls: Schema; abilities: string[] };
type Families = { training: Schema; data: Schema; request: Schema };

const NONE: Settings = { family: {}, training: {}, data: {}, machine: {} };
const MINUTES = [3, 10, 30, 60] as const;
const GENERATED = ["height", "width", "channels", "conditions", "source"];
const OWN_CONTROLS = {
  family: GENERATED,
  training: ["seed"],
  data: ["pairs", "paired", "consent"],
  machine: [],
};
const SOON = 700;
/** Share of a training's time that steps have; samples, scores and saving take the rest. */
const STEPPING = 0.9;
/** Pixels of a tile, where all pictures are as large. */
const TILE = 96;

/** What to train on, for what, for how long. */
export function Begin({ set }: { set: string | undefined }) {
  const [sets] = useState(() =>
    resource(async () => (await data(api.GET("/api/v1/datasets"))).datasets ?? []),
  );
  return (
    <>
      <h1 tabIndex={-1}>{say.train.title}</h1>
      <Loaded from={sets}>
        {(found) => {
          const full = found.filter((one) => one.count > 0 || one.sample || one.id === set);
          const chosen = full.find((one) => one.id === set) ?? full[0];
          return chosen === undefined ? (
            <>
              <p>{say.train.noSets}</p>
              <Next>
                <Go primary to={href("gather")}>
                  {say.train.gather}
                </Go>
              </Next>
            </>
          ) : (
            <Chosen key={chosen.id} sets={full} set={chosen} />
          );
        }}
      </Loaded>
    </>
  );
}

function Chosen({ sets, set }: { sets: Entry[]; set: Entry }) {
  const [facts] = useState(() =>
    resource(async () =>
      data(api.GET("/api/v1/datasets/{dataset}", { params: { path: { dataset: set.id } } })),
    ),
  );
  return <Loaded from={facts}>{(told) => <Choices sets={sets} set={set} facts={told} />}</Loaded>;
}

function Choices({ sets, set, facts }: { sets: Entry[]; set: Entry; facts: Facts }) {
  const [goal, setGoal] = useState<Goal>(GOALS[0]);
  const [back, setBack] = useState(false);
  const [minutes, setMinutes] = useState<number>(10);
  const [settings, setSettings] = useState(NONE);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const [key] = useState(() => crypto.randomUUID());
  const [families] = useState(() =>
    Object.fromEntries(GOALS.map((one) => [one.family, family(one.family)])),
  );
  const [all] = useState(() =>
    resource(async () => (await data(api.GET("/api/v1/families"))) as unknown as Families),
  );
  const schemas = families[goal.family]?.value.value;
  const told = all.value.value;
  const { machine, ...overrides } = settings;
  const timed = overrides.training.steps === undefined;
  const request = {
    ...machine,
    family: goal.family,
    source: set.id,
    ...(timed && { minutes }),
    overrides: { ...overrides, data: { ...arranged(goal, facts, back), ...overrides.data } },
  };
  const forms: Record<keyof Settings, Schema> = {
    family: without(schemas?.config ?? {}, GENERATED),
    training: told?.training ?? {},
    data: told?.data ?? {},
    machine: {
      properties: {
        threads: told?.request.properties?.threads ?? {},
        faces: told?.request.properties?.faces ?? {},
      },
    },
  };
  const right = PARTS.every((part) => isRight(forms[part], settings[part]));
  const ahead = running.value.length + waiting.value.length;

  async function start(): Promise<void> {
    setBusy(true);
    setWrong("");
    try {
      const answer = await data(
        api.POST("/api/v1/jobs", {
          body: { kind: "train", request } as never,
          headers: { "Idempotency-Key": `${key}-${JSON.stringify(request).length}-${Date.now()}` },
        }),
      );
      void refresh();
      navigate("train", ["job", (answer as { id: string }).id]);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.message);
      setBusy(false);
    }
  }

  return (
    <>
      <SetChoice sets={sets} set={set} />
      <fieldset class="choice">
        <legend>{say.train.goal}</legend>
        <div class="goals">
          {GOALS.filter(
            ({ family, needs, pairs }) =>
              able(families[family], needs) &&
              (pairs === undefined || pairs.some((kind) => kind === facts.pairs?.kind)),
          ).map((one) => (
            <label key={one.name} class="goal">
              <input
                type="radio"
                name="goal"
                checked={one === goal}
                onChange={() => {
                  setGoal(one);
                  setSettings({ ...settings, family: {} });
                }}
              />
              <span class="goal-title">{say.train.goals[one.name].title}</span>
              <span class="soft">{say.train.goals[one.name].words}</span>
              <span class="small soft family">{one.family}</span>
            </label>
          ))}
        </div>
      </fieldset>
      {directed(goal) && facts.pairs !== null && (
        <fieldset class="choice">
          <legend>{say.train.way}</legend>
          <div class="dial">
            {[false, true].map((one) => (
              <label key={String(one)} class="minutes">
                <input
                  type="radio"
                  name="way"
                  checked={one === back}
                  onChange={() => setBack(one)}
                />
                <span>{way(facts.pairs?.sides ?? [], one)}</span>
              </label>
            ))}
          </div>
        </fieldset>
      )}
      <fieldset class="choice">
        <legend>{say.train.time}</legend>
        <div class="dial">
          {MINUTES.map((one) => (
            <label key={one} class="minutes">
              <input
                type="radio"
                name="minutes"
                checked={timed && one === minutes}
                disabled={!timed}
                onChange={() => setMinutes(one)}
              />
              <span>{say.train.minutes(one)}</span>
              <span class="small soft">{say.train.timeWords[one]}</span>
            </label>
          ))}
        </div>
        <Cost request={request} right={right} />
      </fieldset>
      <details class="advanced">
        <summary>{say.train.advanced}</summary>
        {schemas !== undefined &&
          told !== undefined &&
          PARTS.map((part) => (
            <section key={`${goal.family}/${part}`}>
              <h2>{say.train.parts[part]}</h2>
              <Form
                schema={forms[part]}
                values={settings[part]}
                skip={OWN_CONTROLS[part]}
                onChange={(values) => setSettings({ ...settings, [part]: values })}
              />
            </section>
          ))}
      </details>
      {wrong !== "" && <Sentence tone="bad">{wrong}</Sentence>}
      <Next note={right ? ahead > 0 && say.train.waitsFor(ahead) : say.train.wrongField}>
        <Button primary disabled={busy || !right} onClick={() => void start()}>
          {busy ? say.train.starting : say.train.start}
        </Button>
      </Next>
    </>
  );
}

function SetChoice({ sets, set }: { sets: Entry[]; set: Entry }) {
  return (
    <div class="set-choice">
      <div class="set-thumbs" aria-hidden="true">
        {set.cover.map((sha) => (
          <img key={sha} src={`/api/v1/images/${sha}?size=96`} alt="" />
        ))}
      </div>
      <div>
        <label for="set" class="small soft">
          {say.train.on}
        </label>
        <select
          id="set"
          value={set.id}
          onChange={(event) => navigate("train", [event.currentTarget.value], true)}
        >
          {sets.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
        </select>
        <p class="small soft">
          {set.count > 0 && `${say.train.holds(set.count)} · `}
          <a href={href("gather", set.id)}>{say.train.lookAt}</a>
        </p>
      </div>
    </div>
  );
}

/** What the training will cost, measured by the server for one time and scaled to the others. */
function Cost({ request, right }: { request: { minutes?: number } & object; right: boolean }) {
  const [told, setTold] = useState<Estimate>();
  const [trouble, setTrouble] = useState("");
  const { minutes, ...rest } = request;
  const timed = minutes !== undefined;
  const asked = JSON.stringify(rest);
  useEffect(() => {
    setTold(undefined);
    setTrouble("");
    if (!right) return;
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      const measured = { ...JSON.parse(asked), ...(timed && { minutes: MINUTES[0] }) };
      const body = { request: measured };
      try {
        setTold(
          await data(api.POST("/api/v1/estimate", { body: body as never, signal: stop.signal })),
        );
      } catch (error) {
        if (error instanceof ApiError) setTrouble(error.message);
        else if (!stop.signal.aborted) throw error;
      }
    }, SOON);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [asked, right]);
  if (trouble !== "") return <Sentence tone="bad">{trouble}</Sentence>;
  if (told === undefined) return <p class="soft">{right && `${say.train.measuring} …`}</p>;
  const more = timed ? (STEPPING * 60 * (minutes - MINUTES[0])) / told.seconds_per_step : 0;
  const steps = told.steps + more;
  const digits = timed ? 10 ** Math.max(0, Math.floor(Math.log10(steps)) - 1) : 1;
  return (
    <>
      <p class="soft">
        {say.train.costs(Math.round(steps / digits) * digits, told.memory_bytes, told.disk_bytes)}
      </p>
      {(running.value.length > 0 || told.remark !== "") && (
        <p class="small soft">{running.value.length > 0 ? say.train.alongside : say.train.busy}</p>
      )}
    </>
  );
}

/** Whether a goal learns one way, so that one has to be chosen. */
function directed(goal: Goal): boolean {
  return goal.pairs?.includes("names") ?? false;
}

/** How a set is read for a goal. */
function arranged(goal: Goal, facts: Facts, back: boolean): Values {
  const { pairs, smallest } = facts;
  if (goal.pairs === undefined) {
    return goal.name === "larger" && smallest >= TILE ? { tiles: TILE } : {};
  }
  const sides = pairs?.kind === "halves" ? ["left", "right"] : ["A", "B"];
  const read = { pairs: (back ? sides.reverse() : sides).join(":") };
  return goal.name === "apart" ? { ...read, paired: false } : read;
}

/** "sketches → photos". */
function way(sides: readonly string[], back: boolean): string {
  const [source = "", target = ""] = sides.map((one) => say.train.sides[one] ?? one);
  return back ? say.train.fromTo(target, source) : say.train.fromTo(source, target);
}

function family(name: string): Resource<Family> {
  return resource(
    async () =>
      (await data(
        api.GET("/api/v1/families/{family}", { params: { path: { family: name } } }),
      )) as unknown as Family,
  );
}

/** Whether a family can what a goal needs; as long as it is not known, yes. */
function able(family: Resource<Family> | undefined, needs: readonly string[]): boolean {
  const abilities = family?.value.value?.abilities;
  return abilities === undefined || needs.every((one) => abilities.includes(one));
}

/** A schema without some of its fields. */
function without(schema: Schema, names: string[]): Schema {
  const properties = Object.fromEntries(
    Object.entries(schema.properties ?? {}).filter(([name]) => !names.includes(name)),
  );
  return { ...schema, properties };
}
