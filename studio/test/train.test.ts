import { expect, test, vi } from "vitest";
import type { Job } from "../src/jobs/jobs";
import { goalOf, spoken } from "../src/jobs/spoken";
import {
  curve,
  Following,
  nearest,
  players,
  type Row,
  totals,
  trend,
} from "../src/pages/train/run";

const rows = (values: number[], name = "main/total"): Row[] =>
  values.map((value, i) => ({ step: i + 1, [name]: value }) as Row);
const duel = (real: number, fake: number): Row[] =>
  [1, 2, 3].map((step) => ({ step, "discriminator/real": real, "discriminator/fake": fake }));

test.each([
  [0, 0, "level"],
  [1, -1, "behind"],
  [9, -9, "lost"],
  [-2, 2, "ahead"],
])("a discriminator that says %d and %d leaves the generator %s", (real, fake, told) => {
  expect(players(duel(real, fake))).toBe(told);
});

test("without a discriminator, or with one line of the log, nobody is ahead", () => {
  expect(players(rows([1, 2, 3]))).toBeUndefined();
  expect(players(duel(1, 0).slice(0, 1))).toBeUndefined();
});

test.each([
  ["early", [3, 2, 1]],
  ["falling", Array.from({ length: 40 }, (_, i) => 40 - i)],
  ["rising", Array.from({ length: 40 }, (_, i) => i)],
  ["flat", Array.from({ length: 40 }, (_, i) => i % 2)],
])("a loss is %s", (told, values) => {
  expect(trend(rows(values))).toBe(told);
});

test("curves are of the steps that have a number, and the cursor takes the nearest sheet", () => {
  const log = [
    { step: 1, a: 2 },
    { step: 2, "a/total": null },
    { step: 3, a: 4 },
  ] as Row[];
  expect(curve(log, "a")).toEqual([
    [1, 3],
    [2, 4],
  ]);
  expect(totals(log)).toEqual(["a/total"]);
  expect([0, 7, 11, 99].map((step) => nearest([1, 10, 20], step))).toEqual([1, 10, 10, 20]);
  expect(nearest([], 3)).toBeUndefined();
});

test("a job is said in words", () => {
  const progress = { kind: "step", text: "", done: 120, total: 2300, seconds_left: 240 };
  const request = { family: "gan", source: "icons" };
  const job = { id: "1", kind: "train", state: "running", sentence: "", created: 0, place: null };
  expect(goalOf({ ...job, request, progress } as Job)).toBe("Sharp and quick · icons");
  expect(spoken({ ...job, request, progress } as Job)).toBe(
    "Learning · Step 120 of 2,300 · about 4 minutes left",
  );
  expect(spoken({ ...job, state: "queued", place: 2, request, progress: null } as Job)).toBe(
    "Waiting for its turn · 2 trainings before it",
  );
});

test("what is measured later is added once; a training that went back is read again", async () => {
  const log = [1, 2, 3].map((step) => ({ step, "main/total": step }));
  let [rows, rollbacks]: [Row[], number] = [log, 0];
  vi.stubGlobal("fetch", async (request: Request | string) => {
    const asked = typeof request === "string" ? request : request.url;
    const after = Number(/after=(-?\d+)/.exec(asked)?.[1] ?? -1);
    const found = rows.filter((row) => row.step > after);
    const happened = rollbacks > 0 ? [{ step: 3, text: "diverging: far" }] : [];
    return new Response(JSON.stringify({ log: found, rollbacks, happened, steps: [] }));
  });
  const run = new Following("run");
  await run.refresh();
  rows = [...log, { step: 3, kernel_distance: 1 } as Row];
  await Promise.all([run.refresh(), run.refresh()]);
  expect(run.rows.value).toEqual(rows);
  [rows, rollbacks] = [[...log.slice(0, 1), { step: 2, "main/total": 9 }], 1];
  await run.refresh();
  expect(run.rows.value).toEqual(rows);
  expect(run.happened.value).toEqual([{ step: 3, text: "diverging: far" }]); // though its row is gone
  run.close();
  vi.unstubAllGlobals();
});
