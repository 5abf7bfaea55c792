// What pictures are made from: one that is chosen or dropped, or a map that is painted.
import type { Source } from "./meta";

const BRUSHES = 8;
const BANDS = 3;

const rgb = (colour: string) => [1, 3, 5].map((i) => Number.parseInt(colour.slice(i, i + 2), 16));

export class Board {
  readonly height: number;
  readonly width: number;
  /** Whether there is anything yet. */
  filled = false;
  private readonly pen: CanvasRenderingContext2D;
  private brush = 0;
  private at: { x: number; y: number } | undefined;

  /**
   * @param canvas that shows it, at its own size.
   * @param changed is told after each change.
   */
  constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly source: Source,
    private readonly changed: () => void,
  ) {
    const [height = 1, width = 1] = source.shape.slice(-2);
    this.height = canvas.height = height;
    this.width = canvas.width = width;
    this.pen = canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
    if (source.kind === "map") this.begin();
  }

  /** Bands of the first classes, so that there is something to paint over. */
  private begin(): void {
    const colours = (this.source.colours ?? []).slice(0, BANDS);
    colours.forEach((colour, i) => {
      this.pen.fillStyle = colour;
      this.pen.fillRect(0, Math.round((i * this.height) / colours.length), this.width, this.height);
    });
    this.filled = true;
    this.canvas.onpointerdown = (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.at = this.place(event);
      this.stroke(event);
    };
    this.canvas.onpointermove = (event) => {
      if (this.at) this.stroke(event);
    };
    this.canvas.onpointerup = this.canvas.onpointercancel = () => {
      this.at = undefined;
    };
  }

  private place(event: PointerEvent): { x: number; y: number } {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) * this.width) / box.width,
      y: ((event.clientY - box.top) * this.height) / box.height,
    };
  }

  private stroke(event: PointerEvent): void {
    const to = this.place(event);
    const from = this.at ?? to;
    this.pen.fillStyle = this.source.colours?.[this.brush] ?? "#000";
    const radius = Math.max(0.5, Math.max(this.height, this.width) / BRUSHES / 2);
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const length = dx * dx + dy * dy;
    // pixel by pixel: a canvas smooths what it strokes, and between two classes lies a third one's colour
    for (let y = 0; y < this.height; y++)
      for (let x = 0; x < this.width; x++) {
        const [px, py] = [x + 0.5 - from.x, y + 0.5 - from.y];
        const share = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        if (Math.hypot(px - share * dx, py - share * dy) <= radius) this.pen.fillRect(x, y, 1, 1);
      }
    this.at = to;
    this.changed();
  }

  /** Paint with a class from now on. */
  choose(number: number): void {
    this.brush = number;
  }

  /** Take a picture, from its middle. */
  async take(file: Blob): Promise<void> {
    const picture = await createImageBitmap(file);
    const { pen, width, height } = this;
    const scale = Math.max(width / picture.width, height / picture.height);
    const [wide, high] = [picture.width * scale, picture.height * scale];
    pen.imageSmoothingEnabled = this.source.kind === "image" && scale !== 1;
    pen.imageSmoothingQuality = "high";
    pen.fillStyle = "#fff"; // what is seen through
    pen.fillRect(0, 0, width, height);
    pen.drawImage(picture, (width - wide) / 2, (height - high) / 2, wide, high);
    this.filled = true;
    this.changed();
  }

  /** As the networks take it: class ids of the nearest colours, or [-1, 1], channels first. */
  read(): Float32Array | BigInt64Array {
    const { data } = this.pen.getImageData(0, 0, this.width, this.height);
    const pixels = this.width * this.height;
    const colours = (this.source.colours ?? []).map(rgb);
    if (this.source.kind === "map") {
      return BigInt64Array.from({ length: pixels }, (_, i) => {
        const away = colours.map((colour) =>
          colour.reduce((sum, value, c) => sum + (value - (data[4 * i + c] ?? 0)) ** 2, 0),
        );
        return BigInt(away.indexOf(Math.min(...away)));
      });
    }
    const [channels = 3] = this.source.shape;
    return Float32Array.from({ length: channels * pixels }, (_, j) => {
      const [channel, i] = [Math.floor(j / pixels), j % pixels];
      const [r = 0, g = 0, b = 0, a = 255] = data.subarray(4 * i, 4 * i + 4);
      const grey = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16; // as Pillow does
      const level = channels === 1 ? grey : [r, g, b, a][channel];
      return Math.fround(Math.fround((level ?? 0) / 127.5) - 1);
    });
  }
}
