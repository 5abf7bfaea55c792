// A picture that was drawn, and the file that it is saved as.
import type { Picture } from "./index";
import { marked } from "./mark";
import type { Meta } from "./meta";
import type { Pixels } from "./model";
import { png } from "./png";

export class Drawn implements Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly levels: Uint8Array;
  readonly labels: Record<string, string>;
  readonly text: string;

  constructor(
    private readonly meta: Meta,
    pixels: Pixels,
    readonly seed: number,
    readonly index: number,
  ) {
    this.width = pixels.width;
    this.height = pixels.height;
    this.channels = pixels.channels;
    this.levels = pixels.levels;
    this.text = pixels.text;
    const named = (meta.asked.labels ?? []).map((each, column) => {
      const found = each.classes[pixels.labels[column] ?? -1];
      return [each.name, found];
    });
    this.labels = Object.fromEntries(named.filter(([, found]) => found !== undefined));
  }

  rgba(): Uint8ClampedArray<ArrayBuffer> {
    const out = new Uint8ClampedArray(this.width * this.height * 4);
    for (let i = 0; i < this.width * this.height; i++)
      for (let c = 0; c < 4; c++) {
        const from = this.channels === 1 ? 0 : c;
        const opaque = c === 3 && this.channels !== 4;
        out[4 * i + c] = opaque ? 255 : (this.levels[i * this.channels + from] ?? 255);
      }
    return out;
  }

  async png(): Promise<Uint8Array<ArrayBuffer>> {
    const { meta } = this;
    const levels = meta.mark ? marked(this.levels, this.channels, meta.mark) : null;
    return png(levels ?? this.levels, this.width, this.height, this.channels, meta);
  }
}
