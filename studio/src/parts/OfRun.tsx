import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { api, data, resource } from "../api/client";
import { jobs } from "../jobs/jobs";
import { goalOf } from "../jobs/spoken";
import { href, navigate } from "../router";
import { say } from "../words";
import { Go } from "./Button";
import { Loaded } from "./Loaded";
import { Next } from "./Next";
import "./of-run.css";

interface About {
  page: string;
  title: string;
  /** Of the address: the run, if it names one. */
  rest: string[];
  /** What is there without a model, too. */
  none?: ComponentChildren;
  children: (run: string) => ComponentChildren;
}

/** A page about one trained model: the newest, unless the address names another. */
export function OfRun({ page, title, rest, none, children }: About) {
  const [runs] = useState(() =>
    resource(async () => (await data(api.GET("/api/v1/runs"))).runs ?? []),
  );
  return (
    <>
      <header class="of-run">
        <h1 tabIndex={-1}>{title}</h1>
        <Choice page={page} names={runs.value.value ?? []} run={rest[0]} />
      </header>
      <Loaded from={runs}>
        {(names) => {
          const run = rest[0] ?? names.at(-1);
          if (run === undefined) {
            return (
              <>
                {none}
                <p>{say.create.none}</p>
                <Next>
                  <Go primary to={href("train")}>
                    {say.create.train}
                  </Go>
                </Next>
              </>
            );
          }
          return <>{children(run)}</>;
        }}
      </Loaded>
    </>
  );
}

/** Which of the trained models the page is about. */
function Choice({ page, names, run }: { page: string; names: string[]; run: string | undefined }) {
  const [last] = names.slice(-1);
  if (last === undefined) return null;
  if (names.length === 1) return <p class="soft">{called(last)}</p>;
  return (
    <div class="line">
      <label for="run" class="unseen">
        {say.create.choose}
      </label>
      <select
        id="run"
        value={run ?? last}
        onChange={(event) => navigate(page, [event.currentTarget.value])}
      >
        {names.map((name) => (
          <option key={name} value={name}>
            {called(name)}
          </option>
        ))}
      </select>
    </div>
  );
}

/** What a run came from, if that is known here. */
function called(run: string): string {
  const job = jobs.value.find((one) => one.id === run);
  return job === undefined ? run : goalOf(job);
}
