import { useEffect, useState } from "preact/hooks";
import { API, ApiError, api, ask, data, resource } from "../../api/client";
import { jobs, over, refresh } from "../../jobs/jobs";
import { goalOf } from "../../jobs/spoken";
import { Button, Go } from "../../parts/Button";
import { Loaded } from "../../parts/Loaded";
import { Next } from "../../parts/Next";
import { OfRun } from "../../parts/OfRun";
import { Sentence } from "../../parts/Sentence";
import { href, navigate } from "../../router";
import { say } from "../../words";
import { Beside } from "./Beside";
import { Cut } from "./Cut";
import { Game } from "./Game";
import "./judge.css";

interface Row {
  title: string;
  value: string;
  interval: string;
  real: string;
  better: string;
}

interface Report {
  verdict: { word: string; sentence: string; action: string } | null;
  rows: Row[];
  words: string[];
  notes: string[];
  shown?: Partial<Shown>;
}

/** What the sheets of a report hold. */
export interface Shown {
  size: [number, number];
  tiles: number;
  real: number[];
  real_side: string;
  near: string[];
  nearest: number;
}

const LONGER = "Train longer";
const MORE = "Train on more images";
const DRAW = "Draw images";
/** Times as long. */
const TIMES = 2;

/** The request of the training that an action of a verdict means, if it means one. */
export function next(
  request: Record<string, unknown>,
  run: string,
  action: string,
): Record<string, unknown> | undefined {
  const { minutes, steps, overrides, ...others } = request as {
    minutes?: number;
    steps?: number;
    overrides?: Record<string, Record<string, unknown>>;
  };
  const given = { ...others, ...(overrides && { overrides }) };
  if (action === LONGER) {
    const time = steps ? { steps: TIMES * steps } : { minutes: TIMES * (minutes ?? 5) };
    return { ...given, ...time, start_from: run };
  }
  if (!action.startsWith(MORE)) return undefined;
  const data = { ...overrides?.data, flip: true, crop: 0.1 };
  const time = steps ? { steps } : { minutes: minutes ?? 5 };
  return { ...given, ...time, overrides: { ...overrides, data } };
}

const TONES: Record<string, "good" | "fair" | "bad"> = { good: "good", usable: "fair" };

/** `#/judge/RUN`: how good a trained model is, as its report says. */
export function Judge({ rest }: { rest: string[] }) {
  return (
    <OfRun page="judge" title={say.judge.title} rest={rest}>
      {(run) => <Told key={run} run={run} />}
    </OfRun>
  );
}

function Told({ run }: { run: string }) {
  const [report] = useState(() =>
    resource(
      async () =>
        (await data(
          api.GET("/api/v1/runs/{run}/report", { params: { path: { run } } }),
        )) as unknown as Report,
    ),
  );
  const job = jobs.value.find((one) => one.id === run);
  const measuring = jobs.value.find(
    (one) => one.kind === "evaluate" && one.request.run === run && !over(one),
  );
  const state = `${job?.state} ${measuring?.state}`;
  useEffect(() => void report.refresh(), [state]);
  if (report.error.value?.status === 404) {
    if (measuring || (job && !over(job))) return <p class="soft">{say.judge.later}</p>;
    return <Measure run={run} source={String(job?.request.source ?? "")} />;
  }
  return (
    <Loaded from={report}>
      {({ verdict, rows, words, notes, shown }) => (
        <>
          {verdict !== null && (
            <Sentence tone={TONES[verdict.word] ?? "bad"}>
              <p class="verdict">{verdict.sentence}</p>
            </Sentence>
          )}
          <ul class="scores">
            {rows.map((row) => (
              <li key={row.title}>
                <h2>{row.title}</h2>
                <p class="value">{row.value}</p>
                {row.interval !== "" && (
                  <p class="small soft">{say.judge.interval(row.interval)}</p>
                )}
                {row.real !== "" && <p class="small soft">{say.judge.real(row.real)}</p>}
                <p class="small">{say.judge.better(row.better)}</p>
              </li>
            ))}
          </ul>
          <Lines title={say.judge.words} of={words} />
          {shown?.tiles !== undefined && <Sheets run={run} shown={shown as Shown} />}
          <Beside run={run} called={called} />
          <Lines title={say.judge.notes} of={notes} />
          <Advice run={run} action={verdict?.action ?? ""} />
        </>
      )}
    </Loaded>
  );
}

function called(run: string): string {
  const job = jobs.value.find((one) => one.id === run);
  return job === undefined ? run : goalOf(job);
}

/** Pictures of the report: samples beside what they are most like, and the game. */
function Sheets({ run, shown }: { run: string; shown: Shown }) {
  const [sheets, setSheets] = useState<{ tiles: ImageBitmap; near: ImageBitmap | undefined }>();
  useEffect(() => {
    async function sheet(name: "tiles" | "near"): Promise<ImageBitmap> {
      const answer = await ask(`${API}/runs/${encodeURIComponent(run)}/report/${name}`);
      return createImageBitmap(await answer.blob());
    }
    void (async () => {
      const near = shown.near.length > 0 ? await sheet("near") : undefined;
      setSheets({ tiles: await sheet("tiles"), near });
    })().catch((error) => {
      if (!(error instanceof ApiError)) throw error; // a report without its pictures is still one
    });
  }, [run]);
  if (sheets === undefined) return null;
  const { near } = sheets;
  const columns = shown.nearest + 1;
  return (
    <>
      {near !== undefined && (
        <section class="said" aria-labelledby="near">
          <h2 id="near">{say.judge.near}</h2>
          <p>{say.judge.nearHow}</p>
          <ul class="near">
            {shown.near.map((caption, row) => (
              <li key={caption}>
                {Array.from({ length: columns }, (_, i) => (
                  <Cut
                    key={String(i)}
                    sheet={near}
                    at={row * columns + i}
                    columns={columns}
                    size={shown.size}
                    alt={i === 0 ? caption : say.judge.original(i)}
                  />
                ))}
                <p class="small soft">{caption}</p>
              </li>
            ))}
          </ul>
        </section>
      )}
      <Game sheet={sheets.tiles} shown={shown} />
    </>
  );
}

/** What may help, as the next training: one press starts it. */
function Advice({ run, action }: { run: string; action: string }) {
  const [wrong, setWrong] = useState("");
  const job = jobs.value.find((one) => one.id === run);
  const request = job === undefined ? undefined : next(job.request, run, action);
  async function start(): Promise<void> {
    try {
      const body = { kind: "train", request } as never;
      const begun = await data(api.POST("/api/v1/jobs", { body }));
      await refresh();
      navigate("train", ["job", (begun as { id: string }).id]);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.message);
    }
  }
  const source = job === undefined ? [] : [String(job.request.source)];
  const copies = action.startsWith(MORE);
  return (
    <>
      {wrong !== "" && <Sentence tone="bad">{wrong}</Sentence>}
      <Next note={job && goalOf(job)}>
        {copies && <Go to={href("gather", ...source)}>{say.judge.addPictures}</Go>}
        {request !== undefined ? (
          <Button primary onClick={() => void start()}>
            {copies ? say.judge.augmented : action}
          </Button>
        ) : action === DRAW ? (
          <Go primary to={href("create", run)}>
            {action}
          </Go>
        ) : (
          <Go primary to={href("train", ...source)}>
            {action || say.create.train}
          </Go>
        )}
      </Next>
    </>
  );
}

/** For a run that nobody has measured. */
function Measure({ run, source }: { run: string; source: string }) {
  const [wrong, setWrong] = useState("");
  async function start(): Promise<void> {
    const body = { kind: "evaluate", request: { run, source } };
    try {
      await data(api.POST("/api/v1/jobs", { body: body as never }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.message);
    }
    await refresh();
  }
  return (
    <>
      <p>{say.judge.none}</p>
      {wrong !== "" && <Sentence tone="bad">{wrong}</Sentence>}
      {source !== "" && (
        <Next>
          <Button primary onClick={() => void start()}>
            {say.judge.measure}
          </Button>
        </Next>
      )}
    </>
  );
}

function Lines({ title, of }: { title: string; of: readonly string[] }) {
  if (of.length === 0) return null;
  return (
    <section class="said">
      <h2>{title}</h2>
      <ul>
        {of.map((one) => (
          <li key={one}>{one}</li>
        ))}
      </ul>
    </section>
  );
}
