import { expect, test } from "vitest";
import { href, read } from "../src/router";

test.each([
  ["", "", []],
  ["#", "", []],
  ["#/gather", "gather", []],
  ["#/gather/icons", "gather", ["icons"]],
  ["#/gather/a%2Fb/%C3%A9", "gather", ["a/b", "é"]],
  ["#/gather//icons/", "gather", ["icons"]],
  ["#/gather/100%", "gather", ["100%"]],
])("%s is a place", (hash, page, rest) => {
  expect(read(hash)).toEqual({ page, rest });
});

test("a place comes back from its address", () => {
  const rest = ["a/b", "ä #?", "100%"];
  expect(read(href("gather", ...rest))).toEqual({ page: "gather", rest });
});
