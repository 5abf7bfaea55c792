import { useEffect, useState } from "preact/hooks";
import { api, data, resource } from "../../api/client";
import { jobs, over } from "../../jobs/jobs";
import { GOALS } from "../../jobs/spoken";
import { Loaded } from "../../parts/Loaded";
import { OfRun } from "../../parts/OfRun";
import { href } from "../../router";
import { say } from "../../words";
import { askedOf } from "./asked";
import { CHANGES, Changing } from "./Changing";
import { FEW } from "./Controls";
import { Drawing, Unable } from "./Drawing";
import { Editing } from "./Editing";
import type { Described } from "./made";
import { MODES, type Mode } from "./modes";
import { Painting } from "./Painting";
import { Plain } from "./Plain";
import { Restore, Restoring, times } from "./Restoring";
import { Walking } from "./Walking";
import "./create.css";

/** Families whose sources may be painted by hand, be they maps or pictures. */
const PAINTED = ["paint", "pix2pix", "palette"];

/** Families of the studio's goals that have a mode. */
const FAMILIES: Record<Mode, readonly string[]> = {
  grid: ["flow", "gan", "stylegan"],
  walk: ["flow", "gan", "stylegan"],
  edit: ["flow", "pixelcnn"],
  picture: ["flow", "pix2pix", "palette", "unpaired", "enhance"],
  paint: PAINTED,
  plain: [],
};

/** `#/create/RUN/MODE`: what can be made with a trained model, and without one. */
export function Create({ rest }: { rest: string[] }) {
  if (rest[1] === "plain") {
    return (
      <>
        <h1 tabIndex={-1}>{say.create.title}</h1>
        <Modes run={rest[0] ?? ""} mode="plain" />
        <Plain key={times.value} />
      </>
    );
  }
  return (
    <OfRun
      page="create"
      title={say.create.title}
      rest={rest}
      none={<Modes run="" mode={undefined} />}
    >
      {(run) => <Model key={run} run={run} mode={rest[1]} />}
    </OfRun>
  );
}

function Modes({ run, mode }: { run: string; mode: Mode | undefined }) {
  const shown = run === "" ? (["plain"] as const) : MODES;
  return (
    <>
      <nav class="modes" aria-label={say.create.modes}>
        {shown.map((one) => (
          <a
            key={one}
            href={href("create", run || "-", one)}
            aria-current={one === mode ? "page" : undefined}
          >
            {say.create.mode[one]}
          </a>
        ))}
      </nav>
      <Restore run={run} />
    </>
  );
}

function Model({ run, mode }: { run: string; mode: string | undefined }) {
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
  if (early) return <p class="soft">{say.create.notYet}</p>;
  return (
    <Loaded from={described}>
      {(model) => {
        const able = modesOf(model);
        const chosen = MODES.find((one) => one === mode) ?? able[0] ?? "plain";
        return (
          <>
            <Modes run={run} mode={chosen} />
            {able.includes(chosen) ? (
              <Shown key={times.value} run={run} model={model} mode={chosen} />
            ) : (
              <Unable
                words={say.create.unable[chosen as keyof typeof say.create.unable]}
                goals={goalsOf(chosen)}
              />
            )}
          </>
        );
      }}
    </Loaded>
  );
}

function modesOf({ family, verbs, source }: Described): Mode[] {
  const has: Record<Mode, boolean> = {
    grid: verbs.sample !== undefined,
    walk: verbs.interpolate !== undefined,
    edit: verbs.complete !== undefined,
    paint: PAINTED.includes(family) || (verbs.translate !== undefined && source?.kind === "map"),
    picture: CHANGES.some(({ verb }) => verbs[verb] !== undefined),
    plain: true,
  };
  const first: Mode[] = source?.kind === "map" ? ["paint", "picture"] : ["picture", "paint"];
  const order: Mode[] = ["grid", ...first, "walk", "edit", "plain"];
  return order.filter((one) => has[one]);
}

function goalsOf(mode: Mode): string[] {
  return GOALS.filter(({ family }) => FAMILIES[mode].includes(family)).map(
    ({ name }) => `“${say.train.goals[name].title}”`,
  );
}

function Shown({ run, model, mode }: { run: string; model: Described; mode: Mode }) {
  askedOf(run, model.alone ? FEW[0] : undefined);
  switch (mode) {
    case "grid":
    case "walk":
      return (
        <Restoring run={run}>
          {mode === "grid" ? (
            <Drawing run={run} model={model} />
          ) : (
            <Walking run={run} model={model} />
          )}
        </Restoring>
      );
    case "edit":
      return <Editing run={run} model={model} />;
    case "picture":
      return <Changing run={run} model={model} />;
    case "paint":
      return <Painting run={run} model={model} />;
    case "plain":
      return <Plain key={times.value} />;
  }
}
