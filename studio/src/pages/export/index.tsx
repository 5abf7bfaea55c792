import { useEffect, useState } from "preact/hooks";
import { API, ApiError, api, ask, data, resource, sentence } from "../../api/client";
import { type Job, jobs, over, refresh } from "../../jobs/jobs";
import { spoken } from "../../jobs/spoken";
import { Button } from "../../parts/Button";
import { Icon } from "../../parts/Icon";
import { Loaded } from "../../parts/Loaded";
import { OfRun } from "../../parts/OfRun";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import { type Kind, snippet } from "./snippets";
import "./export.css";

const WRITTEN: readonly Kind[] = ["page", "npm", "onnx", "sheet", "folder"];
const SHOWN: readonly Kind[] = ["python", "rest"];

/** `#/export/RUN`: a trained model for use elsewhere. */
export function Export({ rest }: { rest: string[] }) {
  return (
    <OfRun page="export" title={say.exporting.title} rest={rest}>
      {(run) => <Tiles key={run} run={run} />}
    </OfRun>
  );
}

function Tiles({ run }: { run: string }) {
  const [described] = useState(() =>
    resource(
      async () =>
        (await data(api.GET("/api/v1/runs/{run}", { params: { path: { run } } }))) as unknown as {
          verbs: Record<string, unknown>;
        },
    ),
  );
  const own = jobs.value.some((one) => one.id === run);
  const place = own ? `jobs/${run}/run` : `runs/${run}`;
  return (
    <Loaded from={described}>
      {({ verbs }) => {
        const lines = (kind: Kind) => snippet(kind, run, place, verbs.sample !== undefined);
        return (
          <>
            <p class="soft">{say.exporting.safe}</p>
            <ul class="exports">
              {WRITTEN.map((kind) => (
                <Tile key={kind} kind={kind} lines={lines(kind)}>
                  <Written run={run} kind={kind} />
                </Tile>
              ))}
              {SHOWN.map((kind) => (
                <Tile key={kind} kind={kind} lines={lines(kind)} />
              ))}
            </ul>
          </>
        );
      }}
    </Loaded>
  );
}

function Tile({
  kind,
  lines,
  children,
}: {
  kind: Kind;
  lines: string;
  children?: preact.ComponentChildren;
}) {
  const [copied, setCopied] = useState(false);
  const words = say.exporting.kinds[kind];
  return (
    <li class="export">
      <h2>{words.title}</h2>
      <p class="small soft">{words.whom}</p>
      <p>{words.words}</p>
      {children}
      <details open={children === undefined}>
        <summary>{say.exporting.use}</summary>
        <pre class="small">{lines}</pre>
        <Button
          quiet
          onClick={() => void navigator.clipboard.writeText(lines).then(() => setCopied(true))}
        >
          {copied ? say.exporting.copied : say.exporting.copy}
        </Button>
      </details>
    </li>
  );
}

/** An export that a job writes: its state, its size, and the file. */
function Written({ run, kind }: { run: string; kind: Kind }) {
  const [wrong, setWrong] = useState("");
  const [size, setSize] = useState<number>();
  const job = jobs.value.findLast(
    (one) => one.kind === "export" && one.request.run === run && one.request.to === kind,
  );
  const path = `${API}/jobs/${encodeURIComponent(job?.id ?? "")}/export`;
  const finished = job?.state === "finished";

  useEffect(() => {
    if (!finished) return;
    const stop = new AbortController();
    ask(path, { signal: stop.signal }).then(
      (answer) => {
        setSize(Number(answer.headers.get("content-length")));
        stop.abort(); // its size is all that is wanted
      },
      (error) => {
        if (!(error instanceof ApiError)) return;
        setWrong(error.message);
      },
    );
    return () => stop.abort();
  }, [path, finished]);

  async function write(): Promise<void> {
    setWrong("");
    try {
      const body = { kind: "export", request: { run, to: kind } } as never;
      await data(api.POST("/api/v1/jobs", { body }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(error.message);
    }
    await refresh();
  }

  const going = job !== undefined && !over(job);
  const bad = failed(job) || wrong;
  return (
    <>
      {bad !== "" && <Sentence tone="bad">{bad}</Sentence>}
      {going && <p class="soft">{spoken(job)}</p>}
      <div class="export-tools">
        {finished && (
          <a class="button" href={path} download>
            <Icon name="download" size={20} />
            {say.exporting.download}
            {size !== undefined && ` · ${say.exporting.size(size)}`}
          </a>
        )}
        <Button quiet={finished} disabled={going} onClick={() => void write()}>
          {going ? say.exporting.writing : finished ? say.exporting.again : say.exporting.write}
        </Button>
      </div>
    </>
  );
}

function failed(job: Job | undefined): string {
  const bad = job !== undefined && (job.state === "failed" || job.state === "crashed");
  return bad ? sentence(job.sentence) : "";
}
