import { expect, test } from "vitest";
import { arrange } from "../src/pages/gather/files";

function dropped(...paths: string[]) {
  return paths.map((path) => ({ path, file: new File([], path.split("/").at(-1) ?? "") }));
}

test.each([
  ["single files", ["a.png", "b.JPG"], true, "", ["a.png", "b.JPG"], 0],
  ["a folder of pictures", ["icons/a.png", "icons/b.png"], true, "icons", ["a.png", "b.png"], 0],
  [
    "classes in a folder",
    ["i/cats/a.png", "i/dogs/b.png"],
    true,
    "i",
    ["cats/a.png", "dogs/b.png"],
    0,
  ],
  ["two folders", ["cats/a.png", "dogs/b.png"], true, "", ["cats/a.png", "dogs/b.png"], 0],
  ["a class for a set with classes", ["cats/a.png"], false, "cats", ["cats/a.png"], 0],
  ["other files", ["icons/a.png", "icons/notes.txt"], true, "icons", ["a.png"], 1],
  ["hidden files", ["i/.DS_Store", "i/.thumbs/a.png", "i/a.png"], true, "i", ["a.png"], 0],
  ["nothing", ["notes.txt"], true, "", [], 1],
])("%s", (_, paths, strip, name, kept, others) => {
  const found = arrange(dropped(...paths), strip);
  expect(found.name).toBe(name);
  expect(found.files.map((one) => one.path)).toEqual(kept);
  expect(found.others).toBe(others);
});

test("a picture is known by its type where its name says nothing", () => {
  const file = new File([], "scan", { type: "image/png" });
  expect(arrange([{ path: "scan", file }], true).files).toHaveLength(1);
});
