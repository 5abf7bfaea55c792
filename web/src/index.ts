// The package: `generate`, in browsers, bundlers and node.
import type { Meta } from "./meta";
import { Model } from "./model";
import { Drawn } from "./picture";

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 colour, 4 with alpha. */
  readonly channels: number;
  /** Levels 0 to 255, row by row, the channels innermost: what the model drew, without a mark. */
  readonly levels: Uint8Array;
  /** What it was asked to show, by condition; what is unknown is left out. */
  readonly labels: Record<string, string>;
  /** The caption that it was asked to show, if the model knows any. */
  readonly text: string;
  readonly seed: number;
  /** Its number among the pictures of the seed. */
  readonly index: number;
  /** Its levels as canvases take them. */
  rgba(): Uint8ClampedArray<ArrayBuffer>;
  /** A PNG file that says that the picture is AI-generated: in its metadata, and in its pixels if they can. */
  png(): Promise<Uint8Array<ArrayBuffer>>;
}

export interface Options {
  /** Which pictures: the same seed draws the same. Default 0. */
  seed?: number;
  /** How many. Default 1. */
  count?: number;
  /** Classes by condition, such as {hair: "red"}; the rest is as training images had it. */
  labels?: Record<string, string>;
  /** What they are to show, in words, if the model knows any; without, captions of training images. */
  text?: string;
  /** Numbers by name; the rest is as training images had it. */
  numbers?: Record<string, number>;
  /** Values of controls, such as {steps: 8}: those that model/meta.json lists under `controls`. */
  controls?: Record<string, number>;
  /** Number of the first picture: picture i of a seed is the same alone and among others. Default 0. */
  start?: number;
  /** Told of pictures that are drawn. */
  progress?: (done: number, of: number) => void;
}

const BATCH = 8;

async function file(name: string): Promise<Uint8Array> {
  const url = new URL(name, import.meta.url);
  if (url.protocol === "file:") {
    const { readFile } = await import(/* @vite-ignore */ "node:fs/promises");
    return new Uint8Array(await readFile(url));
  }
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} cannot be read (${answer.status})`);
  return new Uint8Array(await answer.arrayBuffer());
}

let opened: Promise<Model> | undefined;

async function open(): Promise<Model> {
  const meta: Meta = JSON.parse(new TextDecoder().decode(await file("./model/meta.json")));
  return Model.open(meta, await file("./ort.wasm"), (name) => file(`./model/${name}`));
}

/** Draw pictures. */
export async function generate(options: Options = {}): Promise<Picture[]> {
  const { seed = 0, count = 1, labels = {}, start = 0, progress } = options;
  const { text, numbers = {}, controls = {} } = options;
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`seed is ${seed}; expected a whole number from 0 on`);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new RangeError(`count is ${count}; expected a whole number from 1 on`);
  opened ??= open();
  const model = await opened;
  const pictures: Picture[] = [];
  for (let from = start; from < start + count; from += BATCH) {
    const rows = Array.from({ length: Math.min(BATCH, start + count - from) }, (_, i) => from + i);
    const wanted = rows.map((row) => ({
      seed,
      row,
      labels,
      numbers,
      ...(text !== undefined && { text }),
    }));
    const drawn = await model.draw(wanted, undefined, controls);
    drawn.forEach((pixels, i) => {
      pictures.push(new Drawn(model.meta, pixels, seed, from + i));
    });
    progress?.(pictures.length, count);
  }
  return pictures;
}
