import { expect, test } from "vitest";
import { type Item, sectioned } from "../src/pages/gather/set";

function item(id: string, given: Partial<Item> = {}): Item {
  const plain = { label: null, caption: "", excluded: false, problem: null };
  return { id, name: `${id}.png`, sha: id, width: 8, height: 8, ...plain, ...given };
}

test("pictures stand by class; what is not trained on comes last", () => {
  const found = sectioned([
    item("1", { label: "cats" }),
    item("2", { sha: null, problem: "truncated" }),
    item("3"),
    item("4", { label: "dogs" }),
    item("5", { label: "cats", excluded: true }),
    item("6", { label: "cats" }),
  ]);
  expect(found.map(({ key, items }) => [key, items.map((one) => one.id).join("")])).toEqual([
    ["unlabelled", "3"],
    ["class:cats", "16"],
    ["class:dogs", "4"],
    ["unreadable", "2"],
    ["excluded", "5"],
  ]);
});

test("a class may have any name", () => {
  const found = sectioned([item("1", { label: "excluded" }), item("2", { label: "__proto__" })]);
  expect(found.map((one) => one.key)).toEqual(["class:excluded", "class:__proto__"]);
});
