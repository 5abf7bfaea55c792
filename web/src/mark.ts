// The watermark of src/zeuxis/marks/watermark.py, for pictures of one size and one model: what depends on the
// key, the payload and the size was computed when the page was written.
import type { Mark } from "./meta";
import { round } from "./round";

const GROUND = 128;
const LUMA = [77, 150, 29];
const HIDES: [number, number] = [0.35, 1.6];
const GREATEST = 10;
const ROUNDS = 6;
const STEPS = 12;
const RIDGE = 0.03;

type Plane = Float64Array;

interface Matrix {
  values: Plane;
  high: number;
  wide: number;
}

const unpacked = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
const shares = (text: string) =>
  Float64Array.from(new Int32Array(unpacked(text)), (x) => x / 65536);
const at = (values: ArrayLike<number>, i: number) => values[i] as number;
const fixed = (values: Plane, bits: number): Plane =>
  values.map((x) => round(x * 2 ** bits) / 2 ** bits);

function product(a: Matrix, b: Matrix): Matrix {
  const values = new Float64Array(a.high * b.wide);
  for (let i = 0; i < a.high; i++)
    for (let k = 0; k < a.wide; k++) {
      const x = at(a.values, i * a.wide + k);
      if (x)
        for (let j = 0; j < b.wide; j++)
          values[i * b.wide + j] = at(values, i * b.wide + j) + x * at(b.values, k * b.wide + j);
    }
  return { values, high: a.high, wide: b.wide };
}

function turned(a: Matrix): Matrix {
  const values = new Float64Array(a.values.length);
  for (let i = 0; i < a.high; i++)
    for (let j = 0; j < a.wide; j++) values[j * a.high + i] = at(a.values, i * a.wide + j);
  return { values, high: a.wide, wide: a.high };
}

/** The product of three: `times` of marks/planes.py. */
function times(left: Matrix, plane: Matrix, right: Matrix): Matrix {
  const grid = (a: Matrix): Matrix => ({ ...a, values: fixed(a.values, 10) });
  if (left.high * plane.wide > left.wide * right.wide)
    return product(left, grid(product(grid(plane), right)));
  return product(grid(product(left, grid(plane))), right);
}

/** Marked levels; the same where the picture is mostly black or white and small, and carries none. */
export function marked(levels: Uint8Array, channels: number, mark: Mark): Uint8Array | null {
  const { height, width, side, step, slack } = mark;
  const matrix = (text: string, high: number, wide: number): Matrix => ({
    values: shares(text),
    high,
    wide,
  });
  const rows = matrix(mark.rows, side, height);
  const columns = matrix(mark.columns, side, width);
  const [rowsT, columnsT] = [turned(rows), turned(columns)];
  const places = new Int32Array(unpacked(mark.at));
  const mix = shares(mark.mix);
  const goal = new Float64Array(unpacked(mark.goal));
  const count = goal.length;
  const luma = (from: Uint8Array): Matrix => ({
    values: lumaOf(from, channels),
    high: height,
    wide: width,
  });
  const dark = luma(levels).values;
  if (side <= 32 && dark.filter((x) => x === 0 || x === 255).length > dark.length / 2) return null;
  const weight = hiding(levels, channels, luma(levels), mark);
  if (!weight.some((x) => x !== 0)) return null;
  const valuesOf = (plane: Matrix): Plane =>
    Float64Array.from(
      { length: count },
      (_, k) =>
        at(plane.values, at(places, k)) * at(mix, k) +
        at(plane.values, at(places, count + k)) * at(mix, count + k),
    );
  const change = (value: Plane): Plane => {
    const spread: Matrix = { values: new Float64Array(side * side), high: side, wide: side };
    for (let k = 0; k < count; k++) {
      spread.values[at(places, k)] = at(mix, k) * at(value, k);
      spread.values[at(places, count + k)] = at(mix, count + k) * at(value, k);
    }
    return times(rowsT, spread, columns).values.map((x, i) => x * at(weight, i));
  };
  const moved = (value: Plane): Plane => {
    const plane: Matrix = { values: change(value), high: height, wide: width };
    return valuesOf(times(rows, plane, columnsT)).map((x, k) => x + RIDGE * at(value, k));
  };
  let whole: Plane = new Float64Array(height * width);
  let out = levels;
  for (let number = 0; number < ROUNDS; number++) {
    const value = valuesOf(times(rows, luma(out), columnsT));
    const missing = value.map((x, k) => {
      const off = x / step - at(goal, k);
      const left = off - round(off);
      return -Math.sign(left) * Math.max(Math.abs(left) - slack, 0) * step;
    });
    const more = change(solved(moved, missing));
    whole = whole.map((x, i) => Math.min(GREATEST, Math.max(-GREATEST, x + at(more, i))));
    out = added(levels, channels, whole);
  }
  return out;
}

/** Solve operator(x) = goal by conjugate gradients, nearly. */
function solved(operator: (x: Plane) => Plane, goal: Plane): Plane {
  const dot = (a: Plane, b: Plane) => a.reduce((sum, x, i) => sum + x * at(b, i), 0);
  let x: Plane = new Float64Array(goal.length);
  let left = goal;
  let way = goal;
  let square = dot(left, left);
  for (let i = 0; i < STEPS && square >= 1e-2; i++) {
    const moved = operator(way);
    const length = square / dot(way, moved);
    x = x.map((value, k) => value + length * at(way, k));
    left = left.map((value, k) => value - length * at(moved, k));
    const before = square;
    square = dot(left, left);
    way = left.map((value, k) => value + (square / before) * at(way, k));
  }
  return x;
}

function added(levels: Uint8Array, channels: number, change: Plane): Uint8Array {
  const whole = fixed(change, 10);
  const colours = channels === 4 ? 3 : channels;
  return levels.map((level, i) => {
    if (i % channels >= colours) return level;
    const moved = level + Math.floor(at(whole, Math.floor(i / channels)) + 0.5);
    return Math.min(255, Math.max(0, moved));
  });
}

function lumaOf(levels: Uint8Array, channels: number): Plane {
  if (channels === 1) return Float64Array.from(levels);
  return Float64Array.from({ length: levels.length / channels }, (_, i) => {
    const level = (c: number) => at(levels, i * channels + c);
    let whole = at(LUMA, 0) * level(0) + at(LUMA, 1) * level(1) + at(LUMA, 2) * level(2);
    if (channels === 4)
      whole = Math.floor((whole * level(3) + 256 * GROUND * (255 - level(3)) + 127) / 255);
    return whole / 256;
  });
}

/** How much each place hides: its detail, and its room up and down. */
function hiding(levels: Uint8Array, channels: number, luma: Matrix, mark: Mark): Plane {
  const { height, width } = mark;
  const square = (text: string, side: number): Matrix => ({
    values: shares(text),
    high: side,
    wide: side,
  });
  const rows = square(mark.blur_rows, height);
  const columns = turned(square(mark.blur_columns, width));
  const smooth = times(rows, luma, columns).values;
  const detail = luma.values.map((x, i) => x - at(smooth, i));
  const energy: Matrix = { ...luma, values: detail.map((x) => x * x) };
  const busy = times(rows, energy, columns).values.map((x) => Math.sqrt(Math.max(x, 0) + 1));
  const mean = Math.sqrt(busy.reduce((sum, x) => sum + x * x, 0) / busy.length);
  const parts = channels > 1 ? LUMA : [256];
  const open = busy.map((_, i) => {
    const room = (space: (level: number) => number) =>
      parts.reduce(
        (sum, part, c) => sum + part * Math.min(space(at(levels, i * channels + c)), 8),
        0,
      );
    const least = Math.min(
      room((x) => x),
      room((x) => 255 - x),
    );
    let free = 0.25 + (0.75 * least) / (8 * 256);
    if (channels === 4) free *= at(levels, i * channels + 3) / 255;
    return free;
  });
  const free = fixed(open, 10);
  return busy.map((x, i) => Math.min(HIDES[1], Math.max(HIDES[0], x / mean)) * at(free, i));
}
