import { expect, test } from "vitest";
import { stretched } from "../src/words";
import { count, en } from "../src/words/en";

test.each([
  [0, "0 pictures"],
  [1, "1 picture"],
  [1200, "1,200 pictures"],
])("%d", (n, words) => {
  expect(count(n, "picture", "pictures")).toBe(words);
});

test("a stretched catalogue has every entry, two fifths longer", () => {
  const long = stretched(en);
  expect(long.frame.skip).toBe("Skîp tö thé págé·······");
  expect(long.gather.pictures(3)).toBe("3 pîctürés····");
  expect(long.gather.rename("cats")).toBe("Rénámé cats·····");
  expect(Object.keys(long.frame)).toEqual(Object.keys(en.frame));
});

/** Every string of the catalogue. */
function* strings(part: unknown): Generator<string> {
  if (typeof part === "string") yield part;
  else if (typeof part === "object")
    for (const one of Object.values(part as object)) yield* strings(one);
}

test("words are words: no jargon", () => {
  const jargon =
    /\b(dataset|epoch|batch|loss|checkpoint|hyperparameter|inference|tensor|GAN|VAE)s?\b/i;
  expect([...strings(en)].filter((words) => jargon.test(words))).toEqual([]);
});
