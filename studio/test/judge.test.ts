import { describe, expect, it } from "vitest";
import { next } from "../src/pages/judge";
import { interval, questions } from "../src/pages/judge/game";

describe("the game", () => {
  it("asks about as many made pictures as real ones, and no order gives them away", () => {
    const real = [60, 3, 17];
    expect(questions(64, real)).toEqual([0, 1, 2, 3, 17, 60]);
    expect(questions(4, [])).toEqual([]);
  });

  it("has Wilson's interval", () => {
    // of 8 in 16: 0.2800 to 0.7200 by Wilson (1927); of 16 in 16 the upper end is 1
    expect(interval(8, 16)).toEqual([28, 72]);
    expect(interval(16, 16)).toEqual([81, 100]);
  });
});

describe("advice", () => {
  const request = {
    family: "gan",
    source: "icons",
    minutes: 3,
    overrides: { data: { size: [32, 32] } },
  };
  it("is the next training", () => {
    expect(next(request, "run", "Train longer")).toEqual({
      ...request,
      minutes: 6,
      start_from: "run",
    });
    const more = next(
      { ...request, steps: 40 },
      "run",
      "Train on more images, or with augmentation",
    );
    expect(more).toMatchObject({ steps: 40, overrides: { data: { flip: true, size: [32, 32] } } });
    expect(next(request, "run", "Draw images")).toBeUndefined();
  });
});
