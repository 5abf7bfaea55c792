/** The words of the page, in the language of the browser as far as there is a catalogue. */

import { en } from "./en";

export type Words = typeof en;

const catalogues: Record<string, Words> = { en };

/** A catalogue with longer words in accents, to see what a translation would break. */
export function stretched<T>(words: T): T {
  if (typeof words === "string") return stretch(words) as T;
  if (typeof words === "function") {
    return ((...given: unknown[]) =>
      stretch(
        String(words(...given)),
        given.filter((one) => typeof one === "string"),
      )) as T;
  }
  const parts = Object.entries(words as object).map(([name, part]) => [name, stretched(part)]);
  return Object.fromEntries(parts) as T;
}

/** Words longer, but for the names in them that no catalogue translates. */
function stretch(words: string, names: readonly string[] = []): string {
  const accents: Record<string, string> = { a: "á", e: "é", i: "î", o: "ö", u: "ü" };
  const accent = (part: string) => part.replace(/[aeiou]/g, (letter) => accents[letter] ?? letter);
  const name = names.find((one) => one !== "" && words.includes(one));
  const accented = name === undefined ? accent(words) : words.split(name).map(accent).join(name);
  const more = "·".repeat(Math.ceil(0.4 * words.length));
  return accented + (more.match(/.{1,8}/g) ?? []).join(" ");
}

function chosen(): Words {
  const asked = globalThis.localStorage?.getItem("language");
  if (asked === "stretched") return stretched(en);
  const language = (asked ?? globalThis.navigator?.language ?? "en").split("-")[0] ?? "en";
  return catalogues[language] ?? en;
}

export const say: Words = chosen();
