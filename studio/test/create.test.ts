import { describe, expect, it } from "vitest";
import { askedOf, changed, described, filled } from "../src/pages/create/asked";
import { controlsOf } from "../src/pages/create/made";
import { modeOf } from "../src/pages/create/modes";
import { parsed, recipeIn } from "../src/pages/create/recipe";
import { suggested } from "../src/pages/create/Words";

const TOLD = { run: "flow", verb: "sample", file: "0003.png", count: 16, seed: 9, weights: "ab" };
const FORM = filled({ seed: 3, count: 64, labels: { hair: "red" }, text: ["a cat"] }, {
  locked: true,
} as never);

describe("the form of a model", () => {
  it("asks for few pictures at first where each takes long, and stays", () => {
    expect(askedOf("slow", 1).value.count).toBe(1);
    expect(askedOf("slow").value.count).toBe(1);
    expect(askedOf("quick").value.count).toBe(16);
  });
});

describe("a recipe", () => {
  it("is read from a file as the server writes it, and holds only what a form has", async () => {
    const text = JSON.stringify({ ...TOLD, text: ['a "red" & <blue> cat'], unmarked: true });
    const quoted = text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
    const file = new Blob([new Uint8Array([137, 80]), `zeuxis:Recipe='${quoted}' x="1"`]);
    expect(await recipeIn(file)).toEqual({
      run: "flow",
      verb: "sample",
      index: 3,
      body: { count: 16, seed: 9, text: ['a "red" & <blue> cat'] },
    });
  });

  it.each([
    ["sample", false, "grid"],
    ["interpolate", false, "walk"],
    ["complete", false, "edit"],
    ["vary", false, "picture"],
    ["denoise", false, "picture"],
    ["reconstruct", false, "picture"],
    ["translate", false, "picture"],
    ["translate", true, "paint"],
    ["restyle", false, "plain"],
    ["dream", false, "plain"],
    ["texture", false, "plain"],
    ["story", false, undefined],
  ])("of %s (of a map: %j) belongs to the mode %s", (verb, maps, mode) => {
    expect(modeOf(verb, maps)).toBe(mode);
  });

  it("without a model holds its settings, and no files", () => {
    const told = {
      file: "0000.png",
      verb: "texture",
      mode: "vary",
      seed: 3,
      picture: { file: "a" },
    };
    const text = JSON.stringify({ ...told, digital_source_type: "compositeSynthetic" });
    expect(parsed(text)).toEqual({
      run: "",
      verb: "texture",
      index: 0,
      body: { mode: "vary", seed: 3 },
    });
  });

  it("is none where a file has none or a stranger's", async () => {
    expect(await recipeIn(new Blob(["PNG"]))).toBeUndefined();
    for (const text of ["{", "[]", '{"run": 3, "verb": "sample"}'])
      expect(parsed(text)).toBeUndefined();
  });
});

describe("the form", () => {
  it("asks for what is set alone, and comes back from a request", () => {
    expect(described(FORM)).toEqual({ labels: { hair: "red" }, text: ["a cat"] });
    expect([FORM.seed, FORM.count]).toEqual([3, 64]);
  });

  it("takes another seed for each change unless the seed is kept", () => {
    expect(changed(FORM, { text: "a dog" }).seed).toBe(3);
    const loose = { ...FORM, locked: false };
    expect(changed(loose, { text: "a dog" }).seed).not.toBe(3);
    expect(changed(loose, { seed: 5 }).seed).toBe(5);
  });

  it("finds the controls of a verb in its schema", () => {
    const schema = {
      properties: { controls: { anyOf: [{ $ref: "#/$defs/C" }, { type: "null" }] } },
      $defs: { C: { properties: { steps: { type: "integer" } } } },
    };
    expect(controlsOf(schema)?.properties).toEqual({ steps: { type: "integer" } });
    expect(controlsOf({ properties: {} })).toBeUndefined();
  });
});

describe("words", () => {
  const words = ["a", "red", "real", "cat"];
  it("are those that go on with what is typed", () => {
    expect(suggested(words, "re", new Set(["re"]))).toEqual(["red", "real"]);
    expect(suggested(words, "", new Set(["red"]))).toEqual(["real", "cat"]);
    expect(suggested(words, "red", new Set(["red"]))).toEqual([]);
  });
});
