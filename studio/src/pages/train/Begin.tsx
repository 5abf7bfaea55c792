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
type Part = "family" | "training" | "data";
type Overrides = Record<Part, Values>;
type Family = { config: Schema; controls: Schema; abilities: string[] };
type Families = { training: Schema; data: Schema };

const MINUTES = [3, 10, 30, 60];
const GENERATED = ["height", "width", "channels", "conditions", "source"];
const OWN_CONTROLS = { family: GENERATED, training: ["seed"], data: [] };
const SOON = 700;

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
            <Choices key={chosen.id} sets={full} set={chosen} />
          );
        }}
      </Loaded>
    </>
  );
}

function Choices({ sets, set }: { sets: Entry[]; set: Entry }) {
  const [goal, setGoal] = useState<Goal>(GOALS[0]);
  const [minutes, setMinutes] = useState(10);
  const [overrides, setOverrides] = useState<Overrides>({ family: {}, training: {}, data: {} });
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
  const timed = overrides.training.steps === undefined;
  const request = { family: goal.family, source: set.id, ...(timed && { minutes }), overrides };
  const right =
    schemas === undefined ||
    (isRight(without(schemas.config, GENERATED), overrides.family) &&
      isRight(all.value.value?.training ?? {}, overrides.training) &&
      isRight(all.value.value?.data ?? {}, overrides.data));
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
          {GOALS.filter((one) => able(families[one.family], one.needs)).map((one) => (
            <label key={one.name} class="goal">
              <input
                type="radio"
                name="goal"
                checked={one === goal}
                onChange={() => {
                  setGoal(one);
                  setOverrides({ ...overrides, family: {} });
                }}
              />
              <span class="goal-title">{say.train.goals[one.name].title}</span>
              <span class="soft">{say.train.goals[one.name].words}</span>
              <span class="small soft family">{one.family}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <fieldset class="choice">
        <legend>{say.train.time}</legend>
        <div class="dial">
          {MINUTES.map((one) => (
            <label key={one} class="minutes">
              <input
                type="radio"
                name="minutes"
                checked={one === minutes}
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
          all.value.value !== undefined &&
          (["family", "training", "data"] as const).map((part) => (
            <section key={`${goal.family}/${part}`}>
              <h3>{say.train.parts[part]}</h3>
              <Form
                schema={part === "family" ? schemas.config : (all.value.value as Families)[part]}
                values={overrides[part]}
                skip={OWN_CONTROLS[part]}
                onChange={(values) => setOverrides({ ...overrides, [part]: values })}
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
      <div class="cover" aria-hidden="true">
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
  const times = timed ? minutes / (MINUTES[0] ?? minutes) : 1;
  const steps = Math.max(1, Math.round(told.steps * times));
  const digits = timed ? 10 ** Math.max(0, Math.floor(Math.log10(steps)) - 1) : 1;
  return (
    <p class="soft">
      {say.train.costs(Math.round(steps / digits) * digits, told.memory_bytes, told.disk_bytes)}
    </p>
  );
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
