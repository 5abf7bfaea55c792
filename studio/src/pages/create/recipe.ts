/** Recipes in the files of pictures (`zeuxis:Recipe` in XMP), as the server writes them. */

import type { Body, Recipe } from "./made";
import { PLAIN } from "./modes";

const KEPT = [
  "count",
  "seed",
  "labels",
  "text",
  "numbers",
  "start",
  "end",
  "loop",
  "controls",
  "sigma",
];
/** What the recipe of a picture that no model made says of it; the rest are settings. */
const FACTS = ["file", "verb", "digital_source_type", "unmarked", "recipe"];
const ENTITIES: Record<string, string> = {
  "&quot;": '"',
  "&lt;": "<",
  "&gt;": ">",
  "&apos;": "'",
  "&#10;": "\n",
  "&amp;": "&",
};

/** The recipe in a file, if one is there. */
export async function recipeIn(file: Blob): Promise<Recipe | undefined> {
  const text = new TextDecoder("latin1").decode(await file.arrayBuffer());
  const found = /zeuxis:Recipe=("[^"]*"|'[^']*')/.exec(text)?.[1];
  if (found === undefined) return undefined;
  return parsed(found.slice(1, -1).replace(/&\w+;|&#10;/g, (name) => ENTITIES[name] ?? name));
}

/** A stranger's words as a recipe: only what a form has room for. */
export function parsed(text: string): Recipe | undefined {
  let told: Record<string, unknown>;
  try {
    told = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { run = "", verb, file } = told;
  if (typeof run !== "string" || typeof verb !== "string") return undefined;
  const plain = run === "" && PLAIN.some((one) => one === verb);
  const kept = ([name, value]: [string, unknown]) =>
    value !== null &&
    (plain ? typeof value !== "object" && !FACTS.includes(name) : KEPT.includes(name));
  const body: Body = Object.fromEntries(Object.entries(told).filter(kept));
  const number = Number(/^\d+/.exec(String(file))?.[0] ?? 0);
  return { run, verb, body, index: number };
}
