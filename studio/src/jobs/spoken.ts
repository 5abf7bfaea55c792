/** What a job is and does, in words. */

import { say } from "../words";
import type { Job } from "./jobs";

/** Goals and the families that reach them, in the order of the cards. */
export const GOALS = [
  { name: "many", family: "flow", needs: ["Generates"] },
  { name: "quick", family: "gan", needs: ["Generates"] },
  { name: "sliders", family: "stylegan", needs: ["Generates", "Interpolates"] },
  { name: "small", family: "pixelcnn", needs: ["Scores", "Completes"] },
] as const;

export type Goal = (typeof GOALS)[number];

/** "Many new pictures · icons". */
export function goalOf(job: Job): string {
  const request = job.request as { family?: string; source?: string; run?: string };
  const goal = GOALS.find((one) => one.family === request.family);
  const words = goal ? say.train.goals[goal.name].title : (request.family ?? job.kind);
  return say.train.of(words, request.source ?? request.run ?? "");
}

/** State, step and time left. */
export function spoken(job: Job): string {
  const words = say.train;
  const parts = [words.state[job.state] ?? job.state];
  const progress = job.progress;
  if (job.state === "queued" && job.place !== null && job.place > 0)
    parts.push(words.place(job.place));
  if (job.state === "running" && progress === null) parts.push(words.beginning);
  if (progress !== null && ["running", "paused", "stopped"].includes(job.state)) {
    if (progress.kind === "step") parts.push(words.at(progress.done, progress.total));
    else parts.push(words.doing[progress.text] ?? words.beginning);
    if (job.state === "running" && progress.seconds_left !== null) {
      parts.push(words.left(progress.seconds_left));
    }
  }
  return parts.join(" · ");
}
