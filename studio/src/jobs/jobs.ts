/** Jobs as the server knows them: one list for the drawer, the rail and the pages. */

import { computed, signal } from "@preact/signals";
import { API, ApiError, api, ask, data } from "../api/client";
import { onEvent, type Told } from "../api/events";
import type { components } from "../api/schema";

export type Job = components["schemas"]["JobFacts"];
export type Action = "pause" | "stop" | "resume" | "cancel";

export const jobs = signal<readonly Job[]>([]);
/** Whether the list has been read. */
export const read = signal(false);
export const running = computed(() => jobs.value.filter((job) => job.state === "running"));
export const waiting = computed(() => jobs.value.filter((job) => job.state === "queued"));
/** Why the last thing that was asked of a job was not done. */
export const refused = signal("");

export const over = (job: Job) =>
  ["stopped", "cancelled", "failed", "crashed", "finished"].includes(job.state);
export const resumable = (job: Job) =>
  ["paused", "stopped", "failed", "crashed", "cancelled"].includes(job.state);

/** Ask something of a job. */
export async function act(job: string, action: Action): Promise<void> {
  refused.value = "";
  const params = { path: { job } };
  try {
    if (action === "cancel") await api.DELETE("/api/v1/jobs/{job}", { params });
    else {
      const path = { job, action };
      await api.POST("/api/v1/jobs/{job}/{action}", { params: { path } });
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    refused.value = error.message;
  }
  await refresh();
}

export async function printed(job: string): Promise<string> {
  return (await ask(`${API}/jobs/${encodeURIComponent(job)}/log`)).text();
}

const SOONEST = 1500;
let due: ReturnType<typeof setTimeout> | undefined;

function later(): void {
  if (due !== undefined) return;
  due = setTimeout(() => {
    due = undefined;
    void refresh();
  }, SOONEST);
}

/** Read the list again. */
export async function refresh(): Promise<void> {
  try {
    jobs.value = (await data(api.GET("/api/v1/jobs"))).jobs;
    read.value = true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the frame says that the server is away
  }
}

/** Start, once there is a session. */
export function follow(): void {
  void refresh();
  onEvent((event: Told) => {
    if (event.kind === "job") void refresh();
    else later();
  });
}
