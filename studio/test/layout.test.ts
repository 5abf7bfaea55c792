import { expect, test } from "vitest";
import { GAP, HEADER, inView, laidOut, neighbour, placeOf, span } from "../src/pages/gather/layout";

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i);
/** Five columns: lines of 5 + 2, 3, and 5 tiles; items 0-6, 7-9, 10-14. */
const layout = laidOut(
  [7, 3, 5].map((n, i) => ({ key: String(i), items: numbers(n) })),
  5 * 96 + 4 * GAP,
  0,
);

test("tiles fill the width", () => {
  expect(layout).toMatchObject({ columns: 5, side: 96, line: 96 + GAP });
  expect(
    laidOut([], 1000, 0).columns * (laidOut([], 1000, 0).side + GAP) - GAP,
  ).toBeLessThanOrEqual(1000);
  expect(laidOut([], 1000, 0).height).toBe(0);
});

test.each([
  [0, "ArrowLeft", 0],
  [0, "ArrowRight", 1],
  [14, "ArrowRight", 14],
  [6, "ArrowRight", 7],
  [1, "ArrowDown", 6],
  [4, "ArrowDown", 6], // the last line is shorter
  [6, "ArrowDown", 8], // into the next class, in the same column
  [5, "ArrowUp", 0],
  [9, "ArrowUp", 6],
  [7, "ArrowUp", 5],
  [0, "ArrowUp", 0],
  [14, "ArrowDown", 14],
  [8, "Home", 7],
  [8, "End", 9],
  [8, "x", 8],
])("from %d, %s leads to %d", (from, key, to) => {
  expect(neighbour(layout, from, key)).toBe(to);
});

test("every item has a place, in order and without overlap", () => {
  for (const number of numbers(15)) {
    const [section, at] = placeOf(layout, number) ?? [];
    expect((section?.first ?? 0) + (at ?? 0)).toBe(number);
  }
  expect(placeOf(layout, 15)).toBeUndefined();
  const tops = numbers(15).map((number) => span(layout, number).top);
  expect(tops).toEqual([...tops].sort((a, b) => a - b));
  for (const [i, section] of layout.sections.entries()) {
    const before = layout.sections[i - 1];
    if (before !== undefined)
      expect(section.top).toBeGreaterThanOrEqual(before.top + before.height);
  }
});

test("of ten thousand pictures a window draws fewer than three hundred", () => {
  const large = laidOut([{ key: "a", items: numbers(10_000) }], 1100, 26);
  const [section] = large.sections;
  if (section === undefined) throw new Error();
  for (let top = -500; top < large.height; top += 977) {
    const { from, to } = inView(large, section, { top: top - 400, bottom: top + 1200 });
    expect(to - from).toBeLessThan(300);
    if (top > 0 && top + 800 < large.height) {
      // nothing of the window is empty
      expect(span(large, from).top).toBeLessThanOrEqual(Math.max(HEADER, top));
      expect(span(large, to - 1).bottom).toBeGreaterThanOrEqual(Math.min(large.height, top + 800));
    }
  }
});
