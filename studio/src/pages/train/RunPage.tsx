import { useEffect, useMemo, useState } from "preact/hooks";
import { sentence } from "../../api/client";
import { Printed } from "../../jobs/Drawer";
import { act, jobs, over, read, refused, resumable } from "../../jobs/jobs";
import { GOALS, goalOf, spoken, translates } from "../../jobs/spoken";
import { announce } from "../../parts/announce";
import { Button, Go } from "../../parts/Button";
import { Icon } from "../../parts/Icon";
import { Next } from "../../parts/Next";
import { Sentence } from "../../parts/Sentence";
import { href } from "../../router";
import { say } from "../../words";
import { Curves } from "./Curves";
import { Film } from "./Film";
import { Following, type Happened, nearest, players, type Row, trend } from "./run";

/** A training as it goes on, and what is left when it has ended. */
export function RunPage({ id }: { id: string }) {
  const run = useMemo(() => new Following(id), [id]);
  useEffect(() => () => run.close(), [run]);
  const job = jobs.value.find((one) => one.id === id);
  const [picked, setPicked] = useState<number>();
  const steps = run.steps.value;
  const newest = steps.at(-1);
  const at = picked !== undefined && steps.includes(picked) ? picked : newest;
  const state = job?.state;

  useEffect(() => {
    if (state !== undefined) announce(say.train.announce(say.train.state[state] ?? state));
    void run.refresh();
  }, [state]);

  if (job === undefined) {
    return <h1 tabIndex={-1}>{read.value ? say.train.gone : say.frame.loading}</h1>;
  }
  const { family } = job.request as { family?: string };
  const going = state === "running" || state === "queued";
  const bad = state === "failed" || state === "crashed";
  const progress = job.progress;
  return (
    <>
      <header class="run-head">
        <a class="back" href={href("train")}>
          <Icon name="back" size={18} />
          {say.train.all}
        </a>
        <h1 tabIndex={-1}>{goalOf(job)}</h1>
        <p class={bad ? "bad" : "soft"}>{spoken(job)}</p>
        {going && progress && progress.total > 0 && (
          <progress max={progress.total} value={progress.done} aria-label={spoken(job)} />
        )}
      </header>
      {bad && job.sentence !== "" && <Sentence tone="bad">{sentence(job.sentence)}</Sentence>}
      {refused.value !== "" && <Sentence tone="bad">{refused}</Sentence>}
      <div class="run-body">
        <section
          class="stage"
          aria-label={at === undefined ? say.train.noSamples : say.train.samplesAt(at)}
        >
          {at === undefined ? (
            going && <p class="stage-empty soft">{say.train.noSamples}</p>
          ) : (
            <img key={at} class="pixels sheet" src={run.sheet(at)} alt={say.train.samplesAt(at)} />
          )}
          {at !== undefined && GOALS.some((one) => one.family === family && translates(one)) && (
            <p class="small soft">{say.train.above}</p>
          )}
          {steps.length > 1 && (
            <Film
              run={run}
              steps={steps}
              at={at}
              onPick={(step) => setPicked(step === newest ? undefined : step)}
            />
          )}
          <Curves
            rows={run.rows.value}
            marks={run.happened.value.map((one) => one.step)}
            at={at}
            onAt={(step) => setPicked(nearest(steps, step))}
          />
        </section>
        <aside class="run-side">
          <Standing rows={run.rows.value} />
          <Doctor happened={run.happened.value} />
          <Notes of={run.notes.value} />
          {going && <p class="soft">{say.train.safe}</p>}
          <div class="run-tools">
            {state === "running" && (
              <Button icon="pause" onClick={() => void act(id, "pause")}>
                {say.train.pause}
              </Button>
            )}
            {going && (
              <Button icon="stop" onClick={() => void act(id, "stop")}>
                {say.train.stop}
              </Button>
            )}
            {!over(job) && (
              <Button quiet onClick={() => void act(id, "cancel")}>
                {say.train.cancel}
              </Button>
            )}
            {resumable(job) && (
              <Button icon="play" onClick={() => void act(id, "resume")}>
                {say.train.resume}
              </Button>
            )}
          </div>
          <Printed job={id} />
        </aside>
      </div>
      {newest !== undefined && (
        <Next>
          {going ? (
            <a href={href("create", id)}>{say.train.seeNow}</a>
          ) : (
            <>
              <Go to={href("judge", id)}>{say.judge.title}</Go>
              <Go primary to={href("create", id)}>
                {say.train.see}
              </Go>
            </>
          )}
        </Next>
      )}
    </>
  );
}

/** How the two networks stand, or the one that there is. */
function Standing({ rows }: { rows: readonly Row[] }) {
  if (rows.length === 0) return null;
  const ahead = players(rows);
  if (ahead === undefined) {
    return (
      <section>
        <h2>{say.train.progress}</h2>
        <p>{say.train.alone[trend(rows)]}</p>
      </section>
    );
  }
  return (
    <section>
      <h2>{say.train.players}</h2>
      <dl class="players">
        <dt>
          {say.train.generator} <span class="soft">{say.train.generatorDoes}</span>
        </dt>
        <dd>{say.train.generatorSays[ahead]}</dd>
        <dt>
          {say.train.discriminator} <span class="soft">{say.train.discriminatorDoes}</span>
        </dt>
        <dd>{say.train.discriminatorSays[ahead]}</dd>
      </dl>
    </section>
  );
}

/** What was found wrong, and done about it: of the log, so that it is there after a reload, too. */
function Doctor({ happened }: { happened: readonly Happened[] }) {
  if (happened.length === 0) return null;
  return (
    <section>
      <h2>{say.train.doctor}</h2>
      <p class="small soft">{say.train.marked}</p>
      <ul class="notes small">
        {happened.map((one, i) => (
          <li key={i}>{say.train.happened(one.step, one.text)}</li>
        ))}
      </ul>
    </section>
  );
}

function Notes({ of }: { of: readonly string[] }) {
  if (of.length === 0) return null;
  return (
    <details class="printed">
      <summary>{say.train.notes}</summary>
      <ul class="notes small">
        {of.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </details>
  );
}
