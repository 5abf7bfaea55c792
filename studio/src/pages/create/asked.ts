/** What the form of a model asks for; it stays while one goes from mode to mode. */

import { type Signal, signal } from "@preact/signals";
import type { Values } from "../../forms/Form";
import type { Body } from "./made";

export interface Asked {
  seed: number;
  count: number;
  labels: Record<string, string>;
  text: string;
  numbers: Record<string, number>;
  controls: Values;
  locked: boolean;
}

const FIRST: Asked = {
  seed: 7,
  count: 16,
  labels: {},
  text: "",
  numbers: {},
  controls: {},
  locked: true,
};
const LARGEST_SEED = 2 ** 31;
const forms = new Map<string, Signal<Asked>>();

/** The form of a model; `count` is how many pictures it asks for at first. */
export function askedOf(run: string, count = FIRST.count): Signal<Asked> {
  let found = forms.get(run);
  if (found === undefined) {
    found = signal({ ...FIRST, count });
    forms.set(run, found);
  }
  return found;
}

/** What goes into a request: only what is asked for. */
export function described({ labels, text, numbers, controls }: Asked): Body {
  return {
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(text !== "" && { text: [text] }),
    ...(Object.keys(numbers).length > 0 && { numbers }),
    ...(Object.keys(controls).length > 0 && { controls }),
  };
}

/** The form that a request comes from. */
export function filled(body: Body, now: Asked): Asked {
  const text = Array.isArray(body.text) ? body.text[0] : body.text;
  const labels = typeof body.labels === "object" ? body.labels : {};
  return {
    ...FIRST,
    locked: now.locked,
    seed: Number(body.seed ?? FIRST.seed),
    count: Number(body.count ?? FIRST.count),
    labels: labels as Record<string, string>,
    text: String(text ?? ""),
    numbers: (body.numbers ?? {}) as Record<string, number>,
    controls: (body.controls ?? {}) as Values,
  };
}

/** A seed that is typed. */
export function seedOf(typed: string): number | undefined {
  const value = Number(typed);
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

export function anySeed(): number {
  return Math.floor(Math.random() * LARGEST_SEED);
}

/** The form after a change: with another seed unless that is kept. */
export function changed(now: Asked, change: Partial<Asked>): Asked {
  return { ...now, ...(now.locked || "seed" in change ? {} : { seed: anySeed() }), ...change };
}
