import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { sentence } from "../api/client";
import { Button } from "../parts/Button";
import { Icon } from "../parts/Icon";
import { Sentence } from "../parts/Sentence";
import { navigate } from "../router";
import { say } from "../words";
import "./drawer.css";
import {
  act,
  type Job,
  jobs,
  over,
  printed,
  refresh,
  refused,
  resumable,
  running,
  waiting,
} from "./jobs";
import { goalOf, spoken } from "./spoken";

const open = signal(false);

/** In the rail: how many run and wait; opens the drawer. */
export function JobsPill() {
  const [now, then] = [running.value.length, waiting.value.length];
  return (
    <button
      type="button"
      class="step"
      aria-haspopup="dialog"
      onClick={() => {
        open.value = true;
        void refresh();
      }}
    >
      <Icon name="jobs" />
      {say.jobs.short}
      <span class="unseen">{say.jobs.open(now, then)}</span>
      {now + then > 0 && (
        <span class="pill" aria-hidden="true">
          {now + then}
        </span>
      )}
    </button>
  );
}

/** All jobs, from the right. */
export function Drawer() {
  const dialog = useRef<HTMLDialogElement>(null);
  const shown = open.value;
  useEffect(() => {
    if (shown) dialog.current?.showModal();
    else dialog.current?.close();
  }, [shown]);
  const close = () => {
    open.value = false;
  };
  const ended = jobs.value.filter((job) => !running.value.includes(job) && job.state !== "queued");
  return (
    <dialog ref={dialog} class="drawer" aria-labelledby="drawer-title" onClose={close}>
      {shown && (
        <>
          <header>
            <h2 id="drawer-title">{say.jobs.title}</h2>
            <Button quiet icon="close" onClick={close}>
              {say.jobs.close}
            </Button>
          </header>
          {refused.value !== "" && <Sentence tone="bad">{refused}</Sentence>}
          {jobs.value.length === 0 && <p class="soft">{say.jobs.none}</p>}
          <Group title={say.jobs.running} of={running.value} close={close} />
          <Group title={say.jobs.waiting} of={waiting.value} close={close} />
          <Group title={say.jobs.ended} of={ended.reverse()} close={close} />
        </>
      )}
    </dialog>
  );
}

function Group({ title, of, close }: { title: string; of: readonly Job[]; close: () => void }) {
  if (of.length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      <ul>
        {of.map((job) => (
          <Entry key={job.id} job={job} close={close} />
        ))}
      </ul>
    </section>
  );
}

function Entry({ job, close }: { job: Job; close: () => void }) {
  const bad = job.state === "failed" || job.state === "crashed";
  return (
    <li class="job">
      <p class="job-name">{goalOf(job)}</p>
      <p class={bad ? "small bad" : "small soft"}>{spoken(job)}</p>
      {job.progress && job.state === "running" && job.progress.total > 0 && (
        <progress max={job.progress.total} value={job.progress.done} aria-label={spoken(job)} />
      )}
      {bad && job.sentence !== "" && <Sentence tone="bad">{sentence(job.sentence)}</Sentence>}
      <div class="job-tools">
        {job.kind === "train" && (
          <Button
            onClick={() => {
              close();
              navigate("train", ["job", job.id]);
            }}
          >
            {say.jobs.show}
          </Button>
        )}
        {job.state === "running" && (
          <Button quiet icon="pause" onClick={() => void act(job.id, "pause")}>
            {say.train.pause}
          </Button>
        )}
        {resumable(job) && (
          <Button quiet icon="play" onClick={() => void act(job.id, "resume")}>
            {say.train.resume}
          </Button>
        )}
        {!over(job) && (
          <Button quiet icon="close" onClick={() => void act(job.id, "cancel")}>
            {say.train.cancel}
          </Button>
        )}
      </div>
      <Printed job={job.id} />
    </li>
  );
}

/** What a job's process printed, read when it is opened. */
export function Printed({ job }: { job: string }) {
  const [text, setText] = useState<string>();
  return (
    <details
      class="printed"
      onToggle={(event) => {
        if (event.currentTarget.open) void printed(job).then(setText, (e) => setText(String(e)));
      }}
    >
      <summary>{say.train.log}</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard has to reach it */}
      <pre tabIndex={0}>{text === "" ? say.train.noLog : text}</pre>
    </details>
  );
}
