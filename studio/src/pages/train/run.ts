/** A training as the page follows it: its log, and the steps with samples, fetched as it goes on. */

import { signal } from "@preact/signals";
import { API, ApiError, ask } from "../../api/client";
import { onEvent } from "../../api/events";

export type Row = { step: number } & Record<string, number | null>;

/** What the doctor found at a step, or did. */
export interface Happened {
  step: number;
  text: string;
}

interface Logged {
  log: Row[];
  rollbacks: number;
  happened: Happened[];
}

const SOONEST = 1500;

export class Following {
  readonly rows = signal<readonly Row[]>([]);
  readonly steps = signal<readonly number[]>([]);
  readonly happened = signal<readonly Happened[]>([]);
  readonly notes = signal<readonly string[]>([]);
  /** How often the training has gone back to an older step, whose rows were read again. */
  private rollbacks = 0;
  private due: ReturnType<typeof setTimeout> | undefined;
  private ended: () => void;

  constructor(readonly id: string) {
    this.ended = onEvent((event) => {
      if (event.job !== id) return;
      if (event.kind === "note") this.note(String(event.text ?? ""));
      this.due ??= setTimeout(() => {
        this.due = undefined;
        void this.refresh();
      }, SOONEST);
    });
    void this.refresh();
  }

  /** What has come since: also of the last step, which may be measured after its losses are there. */
  async refresh(): Promise<void> {
    try {
      const known = Math.max(-1, (this.rows.value.at(-1)?.step ?? 0) - 1);
      const [newest, samples] = await Promise.all([
        told<Logged>(`${this.path}/log?after=${known}`),
        told<{ steps: number[] }>(`${this.path}/samples`),
      ]);
      const back = newest.rollbacks !== this.rollbacks;
      const { log, rollbacks } = back ? await told<Logged>(`${this.path}/log`) : newest;
      const kept = back ? [] : this.rows.value.filter((row) => row.step <= known);
      if (back || kept.length + log.length > this.rows.value.length)
        this.rows.value = [...kept, ...log];
      this.rollbacks = rollbacks;
      if (newest.happened.length !== this.happened.value.length)
        this.happened.value = newest.happened;
      if (samples.steps.length !== this.steps.value.length) this.steps.value = samples.steps;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // before its first step there is no run
    }
  }

  sheet(step: number, size?: 96 | 512): string {
    return `${API}${this.path}/samples/${step}${size === undefined ? "" : `?size=${size}`}`;
  }

  close(): void {
    this.ended();
    clearTimeout(this.due);
  }

  private get path(): string {
    return `/runs/${encodeURIComponent(this.id)}`;
  }

  private note(text: string): void {
    if (text !== "" && !this.notes.value.includes(text))
      this.notes.value = [...this.notes.value, text];
  }
}

async function told<T>(path: string): Promise<T> {
  return (await ask(`${API}${path}`)).json();
}

/** (step, value) of a quantity where the log has it. */
export function curve(rows: readonly Row[], name: string): [number[], number[]] {
  const found = rows.filter((row) => typeof row[name] === "number");
  return [found.map((row) => row.step), found.map((row) => row[name] as number)];
}

/** Names of the losses that are minimised, one a phase. */
export function totals(rows: readonly Row[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) =>
    name.endsWith("/total"),
  );
}

export type Ahead = "level" | "behind" | "lost" | "ahead";

const REAL = "discriminator/real";
const FAKE = "discriminator/fake";
const LATELY = 10;

/** How generator and discriminator stand, seen by the first; undefined where there are none, or too early.
 *
 * The discriminator gives each picture a number; the logistic of the difference between yours and the
 * generator's is how surely it tells one from the other.
 */
export function players(rows: readonly Row[]): Ahead | undefined {
  const lately = rows.filter((row) => typeof row[REAL] === "number").slice(-LATELY);
  if (lately.length < 2) return undefined;
  const gap = mean(lately.map((row) => (row[REAL] as number) - (row[FAKE] as number)));
  const sure = 1 / (1 + Math.exp(-gap));
  if (sure < 0.4) return "ahead";
  if (sure < 0.65) return "level";
  return sure < 0.97 ? "behind" : "lost";
}

/** Whether a loss still falls: its last quarter beside the one before. */
export function trend(rows: readonly Row[]): "falling" | "flat" | "rising" | "early" {
  const [, values] = curve(rows, totals(rows)[0] ?? "");
  const quarter = Math.floor(values.length / 4);
  if (quarter < 3) return "early";
  const [before, after] = [values.slice(-2 * quarter, -quarter), values.slice(-quarter)];
  const change = mean(after) - mean(before);
  const spread =
    Math.sqrt(mean(before.map((one) => (one - mean(before)) ** 2))) || Math.abs(mean(before)) / 100;
  if (change < -0.2 * spread) return "falling";
  return change > spread ? "rising" : "flat";
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, one) => sum + one, 0) / values.length;
}

/** The step with samples that is nearest to a step. */
export function nearest(steps: readonly number[], step: number): number | undefined {
  let best: number | undefined;
  for (const one of steps) {
    if (best === undefined || Math.abs(one - step) < Math.abs(best - step)) best = one;
  }
  return best;
}
