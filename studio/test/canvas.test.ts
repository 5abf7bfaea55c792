import { describe, expect, it } from "vitest";
import { DEPTH, Layer } from "../src/canvas/layer";

const painted = (layer: Layer) => layer.pixels.reduce((n, value) => n + (value > 0 ? 1 : 0), 0);

describe("a layer", () => {
  it("puts down whole pixels within the brush, and says where", () => {
    const layer = new Layer(16, 8);
    expect(layer.begin(1, 1, 3.5, 2.5)).toEqual({ left: 3, top: 2, right: 4, bottom: 3 });
    expect([...layer.pixels].indexOf(1)).toBe(2 * 16 + 3);
    layer.move(9.5, 2.5);
    expect(painted(layer)).toBe(7);
    layer.begin(0, 1, 3.5, 2.5); // the eraser
    expect(painted(layer)).toBe(6);
  });

  it("leaves nothing out between far points, nor beyond its edge", () => {
    const layer = new Layer(32, 32);
    layer.begin(2, 3, -10, 16.5);
    layer.move(60, 16.5);
    expect(painted(layer)).toBe(3 * 32);
  });

  it("undoes a hundred strokes, and keeps what came before", () => {
    const layer = new Layer(256, 2);
    for (let i = 0; i < DEPTH + 20; i += 1) layer.begin(1, 1, i + 0.5, 0.5);
    let undone = 0;
    while (layer.undo()) undone += 1;
    expect([undone, painted(layer)]).toEqual([DEPTH, 20]);
    for (let i = 0; i < DEPTH; i += 1) expect(layer.redo()).toBe(true);
    expect([painted(layer), layer.redo()]).toEqual([DEPTH + 20, false]);
    layer.undo();
    layer.begin(1, 1, 0.5, 1.5);
    expect(layer.canRedo).toBe(false);
  });

  it("fills everything in one stroke", () => {
    const layer = new Layer(50, 20, 3);
    layer.fill(5);
    expect(layer.pixels.every((value) => value === 5)).toBe(true);
    layer.undo();
    expect(layer.pixels.every((value) => value === 3)).toBe(true);
  });
});
