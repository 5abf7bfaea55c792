import { useEffect, useState } from "preact/hooks";
import { api, data, resource } from "../../api/client";
import { jobs, over } from "../../jobs/jobs";
import { Loaded } from "../../parts/Loaded";
import { OfRun } from "../../parts/OfRun";
import { say } from "../../words";
import { CHANGES, Changing } from "./Changing";
import { Drawing } from "./Drawing";
import type { Described } from "./made";
import "./samples.css";

/** `#/samples/RUN`: what a trained model draws. */
export function Samples({ rest }: { rest: string[] }) {
  return (
    <OfRun page="samples" title={say.samples.title} rest={rest}>
      {(run) => <Model key={run} run={run} />}
    </OfRun>
  );
}

function Model({ run }: { run: string }) {
  const [described] = useState(() =>
    resource(
      async () =>
        (await data(
          api.GET("/api/v1/runs/{run}", { params: { path: { run } } }),
        )) as unknown as Described,
    ),
  );
  const job = jobs.value.find((one) => one.id === run);
  const early = described.error.value?.status === 404 && job !== undefined && !over(job);
  useEffect(() => {
    if (described.error.value !== undefined) void described.refresh();
  }, [job?.state, job?.progress?.done]);
  if (early) return <p class="soft">{say.samples.notYet}</p>;
  return (
    <Loaded from={described}>
      {(model) => {
        if (model.verbs.sample !== undefined) return <Drawing run={run} model={model} />;
        const change = CHANGES.find(({ verb }) => model.verbs[verb] !== undefined);
        if (change !== undefined) return <Changing run={run} change={change} />;
        return <p>{say.samples.noPictures}</p>;
      }}
    </Loaded>
  );
}
