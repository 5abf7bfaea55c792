import { useEffect, useState } from "preact/hooks";
import { ApiError, api, data, resource } from "../../api/client";
import { jobs, over, refresh } from "../../jobs/jobs";
import { goalOf } from "../../jobs/spoken";
import { Button, Go } from "../../parts/Button";
import { Loaded } from "../../parts/Loaded";
import { Next } from "../../parts/Next";
import { OfRun } from "../../parts/OfRun";
import { Sentence } from "../../parts/Sentence";
import { href } from "../../router";
import { say } from "../../words";
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
      {({ verdict, rows, words, notes }) => (
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
          <Lines title={say.judge.notes} of={notes} />
          <Next note={job && goalOf(job)}>
            <Go primary to={href("train", ...(job ? [String(job.request.source)] : []))}>
              {verdict?.action || say.create.train}
            </Go>
          </Next>
        </>
      )}
    </Loaded>
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
