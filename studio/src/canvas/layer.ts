/** A layer that is painted on: a class for each pixel, strokes as data, so that undo is their replay.
 *
 * Edges are hard, since a map of classes has nothing between them; a canvas would smooth them.
 */

export interface Stroke {
  /** Class that is put down. */
  value: number;
  /** Diameter in pixels. */
  size: number;
  /** x, y, x, y ... */
  points: number[];
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Strokes that can be undone. */
export const DEPTH = 100;

export class Layer {
  readonly pixels: Uint8Array;
  /** What lies below the strokes that can be undone. */
  private readonly base: Uint8Array;
  private readonly strokes: Stroke[] = [];
  private undone: Stroke[] = [];

  constructor(
    readonly width: number,
    readonly height: number,
    ground: number | Uint8Array = 0,
  ) {
    this.base = typeof ground === "number" ? new Uint8Array(width * height).fill(ground) : ground;
    this.pixels = this.base.slice();
  }

  get canUndo(): boolean {
    return this.strokes.length > 0;
  }

  get canRedo(): boolean {
    return this.undone.length > 0;
  }

  get isEmpty(): boolean {
    return this.pixels.every((value) => value === 0);
  }

  /** Begin a stroke; what it changed. */
  begin(value: number, size: number, x: number, y: number): Box {
    const stroke = { value, size, points: [x, y] };
    this.undone = [];
    this.strokes.push(stroke);
    if (this.strokes.length > DEPTH) {
      const oldest = this.strokes.shift();
      if (oldest !== undefined) draw(this.base, this.width, this.height, oldest);
    }
    return line(this.pixels, this.width, this.height, stroke, x, y, x, y);
  }

  /** Lead the last stroke on; what it changed. */
  move(x: number, y: number): Box {
    const stroke = this.strokes.at(-1);
    if (stroke === undefined) return { left: 0, top: 0, right: 0, bottom: 0 };
    const [fromX = x, fromY = y] = stroke.points.slice(-2);
    stroke.points.push(x, y);
    return line(this.pixels, this.width, this.height, stroke, fromX, fromY, x, y);
  }

  /** Put a class everywhere. */
  fill(value: number): void {
    this.begin(value, 4 * Math.max(this.width, this.height), this.width / 2, this.height / 2);
  }

  undo(): boolean {
    const last = this.strokes.pop();
    if (last === undefined) return false;
    this.undone.push(last);
    this.replay();
    return true;
  }

  redo(): boolean {
    const next = this.undone.pop();
    if (next === undefined) return false;
    this.strokes.push(next);
    draw(this.pixels, this.width, this.height, next);
    return true;
  }

  private replay(): void {
    this.pixels.set(this.base);
    for (const stroke of this.strokes) draw(this.pixels, this.width, this.height, stroke);
  }
}

function draw(pixels: Uint8Array, width: number, height: number, stroke: Stroke): void {
  const { points } = stroke;
  for (let i = 0; i < points.length; i += 2) {
    const at = Math.max(0, i - 2);
    line(
      pixels,
      width,
      height,
      stroke,
      points[at] ?? 0,
      points[at + 1] ?? 0,
      points[i] ?? 0,
      points[i + 1] ?? 0,
    );
  }
}

/** All pixels whose middle is within half the stroke's size of a line. */
function line(
  pixels: Uint8Array,
  width: number,
  height: number,
  { value, size }: Stroke,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
): Box {
  const radius = Math.max(0.5, size / 2);
  const box = {
    left: Math.max(0, Math.floor(Math.min(x0, x1) - radius)),
    top: Math.max(0, Math.floor(Math.min(y0, y1) - radius)),
    right: Math.min(width, Math.ceil(Math.max(x0, x1) + radius)),
    bottom: Math.min(height, Math.ceil(Math.max(y0, y1) + radius)),
  };
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  const near = radius * radius;
  for (let y = box.top; y < box.bottom; y += 1) {
    for (let x = box.left; x < box.right; x += 1) {
      const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
      const share = length === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / length));
      const [ox, oy] = [px - share * dx, py - share * dy];
      if (ox * ox + oy * oy <= near) pixels[y * width + x] = value;
    }
  }
  return box;
}
