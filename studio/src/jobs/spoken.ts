/** What a job is and does, in words. */

import { say } from "../words";
import type { Job } from "./jobs";

type Kind = "names" | "halves" | "apart";

interface Reached {
  name: keyof typeof say.train.goals;
  family: string;
  /** Abilities of the family. */
  needs: readonly string[];
  /** How a set's pictures have to belong to one another. */
  pairs?: readonly Kind[];
}

/** Goals and the families that reach them, in the order of the cards. */
export const GOALS: readonly [Reached, ...Reached[]] = [
  { name: "many", family: "flow", needs: ["Generates"] },
  { name: "quick", family: "gan", needs: ["Generates"] },
  { name: "sliders", family: "stylegan", needs: ["Generates", "Interpolates"] },
  { name: "small", family: "pixelcnn", needs: ["Scores", "Completes"] },
  { name: "translate", family: "pix2pix", needs: ["Translates"], pairs: ["names", "halves"] },
  { name: "several", family: "palette", needs: ["Translates"], pairs: ["names", "halves"] },
  { name: "paint", family: "paint", needs: ["Translates"], pairs: ["names", "halves"] },
  { name: "apart", family: "unpaired", needs: ["Translates"], pairs: ["apart"] },
  { name: "larger", family: "enhance", needs: ["Translates"] },
];

export type Goal = (typeof GOALS)[number];

/** Whether its models make pictures of pictures. */
export const translates = (goal: Goal) => goal.needs.includes("Translates");

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
