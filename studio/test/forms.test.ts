import { expect, test } from "vitest";
import {
  type Field,
  fields,
  labelled,
  parsed,
  type Schema,
  written,
  wrong,
} from "../src/forms/schema";

const pair = { type: "array", prefixItems: [{ type: "integer" }, { type: "integer" }] };
const schema: Schema = {
  $defs: { Fit: { enum: ["crop", "pad"], type: "string" } },
  properties: {
    steps: { type: "integer", minimum: 1, default: 1000, description: "Optimiser steps." },
    lr: { type: "number", exclusiveMinimum: 0, default: 0.001 },
    average_max: { type: "number", exclusiveMaximum: 1, default: 0.999 },
    flip: { type: "boolean", default: false },
    fit: { $ref: "#/$defs/Fit", default: "crop" },
    channels: { anyOf: [{ enum: [1, 3, 4], type: "integer" }, { type: "null" }], default: null },
    size: { anyOf: [pair, { type: "null" }], default: null },
    source: { type: "string", maxLength: 3 },
    overrides: { type: "object", properties: {} },
    conditions: { anyOf: [{ type: "array", items: { type: "string" } }, { type: "null" }] },
  },
  required: ["source"],
};

function field(name: string): Field {
  const found = fields(schema).find((one) => one.name === name);
  if (found === undefined) throw new Error(name);
  return found;
}

test("what is flat becomes a field of its kind", () => {
  const kinds = Object.fromEntries(fields(schema).map((one) => [one.name, one.kind]));
  expect(kinds).toEqual({
    steps: "integer",
    lr: "number",
    average_max: "number",
    flip: "switch",
    fit: "choice",
    channels: "choice",
    size: "list",
    source: "text",
  });
  expect(field("steps")).toMatchObject({
    label: "Steps",
    hint: "Optimiser steps.",
    fallback: 1000,
  });
  expect(field("channels").choices).toEqual([1, 3, 4]);
  expect(labelled("average_max")).toBe("Average max");
});

test.each([
  ["steps", "200", 200],
  ["steps", "", undefined],
  ["lr", "1e-4", 1e-4],
  ["lr", "0,5", 0.5],
  ["size", "64 x 48", [64, 48]],
  ["size", "64, 48", [64, 48]],
  ["channels", "3", 3],
  ["channels", "", undefined],
  ["source", " a ", "a"],
])("%s typed as %j is %j", (name, words, value) => {
  expect(parsed(field(name), words)).toEqual(value);
});

test.each([
  ["steps", 1, undefined],
  ["steps", 0, { problem: "low", bound: 1 }],
  ["steps", 1.5, { problem: "whole" }],
  ["steps", Number.NaN, { problem: "number" }],
  ["steps", undefined, undefined],
  ["lr", 0, { problem: "low", bound: 0, beyond: true }],
  ["average_max", 1, { problem: "high", bound: 1, beyond: true }],
  ["size", [64], { problem: "length", bound: 2 }],
  ["size", [64, 1.5], { problem: "whole" }],
  ["source", undefined, { problem: "missing" }],
  ["source", "long", { problem: "length", bound: 3 }],
])("%s as %j: %j", (name, value, told) => {
  expect(wrong(field(name), value)).toEqual(told);
});

test("a list is written as it may be typed", () => {
  expect(parsed(field("size"), written([64, 48]))).toEqual([64, 48]);
});
