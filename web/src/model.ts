// A model in a page or in node: networks, run by onnxruntime, and the loops around them.
import * as ort from "onnxruntime-web/wasm";
import { exampleOf, labelsOf } from "./asked";
import type { Loop, Meta } from "./meta";
import { normal, shuffled, uniform } from "./random";
import { round } from "./round";
import { idsOf } from "./words";

type Given = Record<string, ort.Tensor>;

/** What a picture is drawn from: the seed and the picture's number, or noise between those of two. */
export interface Wanted {
  seed: number;
  row: number;
  labels?: Record<string, string>;
  /** What it is to show, in words; without, the caption of one of the training images. */
  text?: string;
  numbers?: Record<string, number>;
  /** What it is made from: an image in [-1, 1], channels first, or class ids. */
  source?: Float32Array | BigInt64Array;
  /** On the great circle from the noise of this seed to that of another. */
  towards?: { seed: number; share: number };
}

export interface Pixels {
  width: number;
  height: number;
  channels: number;
  /** Levels, row by row, the channels innermost. */
  levels: Uint8Array;
  labels: number[];
  text: string;
}

/** Values of controls, by name. */
export type Turned = Record<string, number>;

export type Told = (done: number, of: number) => Promise<void> | void;

export class Model {
  private constructor(
    readonly meta: Meta,
    private readonly sessions: Record<string, ort.InferenceSession>,
  ) {}

  static async open(
    meta: Meta,
    wasm: Uint8Array,
    file: (name: string) => Promise<Uint8Array>,
  ): Promise<Model> {
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = wasm.buffer as ArrayBuffer;
    const sessions: Record<string, ort.InferenceSession> = {};
    for (const [name, graph] of Object.entries(meta.graphs))
      sessions[name] = await ort.InferenceSession.create(await file(graph.file));
    return new Model(meta, sessions);
  }

  /** Pictures, all in one batch; each is the same as alone. */
  async draw(wanted: Wanted[], told: Told = () => {}, turned: Turned = {}): Promise<Pixels[]> {
    const { asked, controls } = this.meta;
    const known = (kind: string, names: { name: string }[], given: object) => {
      for (const name of Object.keys(given))
        if (!names.some((one) => one.name === name))
          throw new Error(`no ${kind} ${name} in this model`);
    };
    known("control", controls, turned);
    for (const { text, numbers = {} } of wanted) {
      known("number", asked.numbers ?? [], numbers);
      if (text !== undefined && !asked.text) throw new Error("this model learned from no captions");
    }
    const loop: Loop = { ...this.meta.loop, ...turned };
    const labels = wanted.map((one) => labelsOf(this.meta, one.seed, one.row, one.labels ?? {}));
    const examples = wanted.map((one) => exampleOf(this.meta, one.seed, one.row));
    const given = this.given(wanted, labels, examples);
    const noise = this.noise(wanted, turned);
    const source = this.sources(wanted);
    const draw = {
      once: () => this.once(noise, { ...given, ...source }),
      flow: () => this.flow(loop, noise, given, source, told),
      bridge: () => this.bridge(loop, source, labels, told),
      places: () => this.places(loop, noise, given, told),
    };
    const image = await draw[this.meta.loop.kind]();
    return levelsOf(this.meta, image).map((levels, i) => ({
      width: this.meta.image.width,
      height: this.meta.image.height,
      channels: this.meta.image.channels,
      levels,
      labels: labels[i] ?? [],
      text: wanted[i]?.text ?? this.meta.asked.examples?.[examples[i] ?? -1]?.text ?? "",
    }));
  }

  private given(wanted: Wanted[], labels: number[][], examples: number[]): Given {
    const { asked } = this.meta;
    const rows = labels.length;
    const given: Given = {};
    if (asked.labels)
      given.label = new ort.Tensor("int64", BigInt64Array.from(labels.flat().map(BigInt)), [
        rows,
        asked.labels.length,
      ]);
    if (asked.numbers) {
      const names = asked.numbers.map(({ name }) => name);
      const columns = names.length;
      const known = wanted.flatMap(({ numbers = {} }, row) =>
        names.map(
          (name, i) => numbers[name] ?? asked.examples?.[examples[row] ?? -1]?.numbers[i] ?? NaN,
        ),
      );
      const values = Float32Array.from(known);
      given.number = new ort.Tensor("float32", values, [rows, columns]);
    }
    if (asked.text) {
      const { text } = asked;
      const { length, unknown } = text;
      const ids = wanted.flatMap((one, row) =>
        one.text === undefined
          ? (text.examples[examples[row] ?? -1] ?? unknown)
          : idsOf(one.text, text),
      );
      given.text = new ort.Tensor("int64", BigInt64Array.from(ids.map(BigInt)), [rows, length]);
    }
    return given;
  }

  /** The same with all of it unknown, which guidance moves away from. */
  private unknown(given: Given): Given {
    const rows = Object.values(given)[0]?.dims[0] ?? 0;
    const out: Given = {};
    for (const [name, tensor] of Object.entries(given)) {
      const ids = this.meta.asked.text?.unknown ?? [];
      if (name === "number") {
        const size = tensor.dims.reduce((a, b) => a * b, 1);
        out[name] = new ort.Tensor("float32", new Float32Array(size).fill(Number.NaN), tensor.dims);
      } else {
        const row = name === "text" ? ids : Array<number>(tensor.dims[1] ?? 0).fill(-1);
        const all = Array.from({ length: rows }, () => row).flat();
        out[name] = new ort.Tensor("int64", BigInt64Array.from(all.map(BigInt)), tensor.dims);
      }
    }
    return out;
  }

  private noise(wanted: Wanted[], turned: Turned): Record<string, ort.Tensor> {
    const { draws = [], noise = {} } = this.meta.random;
    const drawn = Object.fromEntries(
      draws.map(({ name, kind, count }) => {
        const draw = kind === "normal" ? normal : uniform;
        return [name, (seed: number, row: number) => draw(`${seed}/sample/0`, name, count, row)];
      }),
    );
    const out: Record<string, ort.Tensor> = {};
    for (const [key, { draw, start, shape }] of Object.entries(noise)) {
      const size = shape.reduce((a, b) => a * b, 1);
      const all = new Float32Array(wanted.length * size);
      wanted.forEach((one, i) => {
        const part = (seed: number) =>
          drawn[draw]?.(seed, one.row).subarray(start, start + size) ?? new Float32Array(size);
        const here = part(one.seed);
        const { towards } = one;
        all.set(towards ? between(here, part(towards.seed), towards.share) : here, i * size);
      });
      const factor = this.meta.controls.find((one) => one.noise === key);
      const by = turned[factor?.name ?? ""] ?? 1;
      const scaled = by === 1 ? all : all.map((value) => value * by);
      out[key] = new ort.Tensor("float32", scaled, [wanted.length, ...shape]);
    }
    return out;
  }

  private sources(wanted: Wanted[]): Given {
    const { source } = this.meta;
    if (source === null) return {};
    const size = source.shape.reduce((a, b) => a * b, 1);
    const is = source.kind === "map";
    const all = is
      ? new BigInt64Array(wanted.length * size)
      : new Float32Array(wanted.length * size);
    wanted.forEach((one, i) => {
      if (one.source?.length !== size) throw new Error(`a source has ${size} numbers`);
      all.set(one.source as never, i * size);
    });
    const type = is ? "int64" : "float32";
    return { source: new ort.Tensor(type, all as never, [wanted.length, ...source.shape]) };
  }

  private async run(name: string, tensors: Given): Promise<ort.Tensor> {
    const session = this.sessions[name];
    if (!session) throw new Error(`this model has no ${name}`);
    const feeds = Object.fromEntries(
      session.inputNames.map((input) => [input, tensors[input] as ort.Tensor]),
    );
    const found = await session.run(feeds);
    return Object.values(found)[0] as ort.Tensor;
  }

  private async once(noise: Given, given: Given): Promise<ort.Tensor> {
    const named = Object.entries(noise).map(([name, value]) => [`noise_${name}`, value]);
    const name = this.meta.source ? "translate" : "generate";
    return this.run(name, { ...Object.fromEntries(named), ...given });
  }

  /** What the steps of a loop are shown of a source. */
  private async shown(source: Given): Promise<Given> {
    const out: Given = {};
    for (const name of ["given", "planes", "mean"]) {
      const graph = this.meta.graphs[name];
      if (graph) out[graph.output.name] = await this.run(name, source);
    }
    return out;
  }

  /** To noise as a source and back as a target: `multistep` of src/zeuxis/sampling, twice. */
  private async bridge(
    loop: Loop,
    source: Given,
    labels: number[][],
    told: Told,
  ): Promise<ort.Tensor> {
    const { steps = 24, strength = 1 } = loop;
    const { dims, data } = source.source as ort.Tensor;
    const rows = labels.length;
    const times = Array.from({ length: steps + 1 }, (_, i) => strength * (1 - i / steps));
    let x = Float32Array.from(data as Float32Array);
    let done = 0;
    for (const [domain, way] of [
      [0, [...times].reverse()],
      [1, times],
    ] as const) {
      const asked = labels.flatMap((row) => [domain, ...row.map((one) => (domain ? one : -1))]);
      const told_BA = new ort.Tensor("int64", BigInt64Array.from(asked.map(BigInt)), [
        rows,
        asked.length / rows,
      ]);
      let start = x;
      let past: Float32Array = x;
      for (let i = 0; i < steps; i++) {
        const [before = 0, t = 0, after = 0] = [way[i - 1], way[i], way[i + 1]];
        const time = new ort.Tensor("float32", new Float32Array(rows).fill(t), [rows]);
        const here = { x: new ort.Tensor("float32", x, dims), time, told_BA };
        const v = (await this.run("velocity", here)).data as Float32Array;
        let ahead = v;
        if (i > 0) {
          x = x.map((_, j) => at(start, j) + ((t - before) * (at(past, j) + at(v, j))) / 2);
          const share = -(after - t) / (2 * (t - before));
          ahead = v.map((value, j) => value + share * (at(past, j) - value));
        }
        start = x;
        past = v;
        x = x.map((value, j) => value + (after - t) * at(ahead, j));
        done += 1;
        await told(done, 2 * steps);
      }
    }
    return new ort.Tensor("float32", x, dims);
  }

  /** `stochastic` and `long_steps` of src/zeuxis/sampling. */
  private async flow(
    loop: Loop,
    noise: Given,
    given: Given,
    source: Given,
    told: Told,
  ): Promise<ort.Tensor> {
    const { steps = 16, churn = 0, most_jumps = 0, guidance_scale = 1, latent } = loop;
    const { spread = 1, scale: scales, shift: shifts } = loop;
    const shown = await this.shown(source);
    const long = "jump" in this.sessions && steps <= most_jumps;
    const { dims } = noise.image as ort.Tensor;
    const first = (noise.image as ort.Tensor).data as Float32Array;
    const rows = dims[0] ?? 1;
    const scale = Object.keys(given).length ? guidance_scale : 1;
    const without = scale === 1 ? null : this.unknown(given);
    const slope = async (x: Float32Array, t: number, length: number): Promise<Float32Array> => {
      const each = (value: number) =>
        new ort.Tensor("float32", new Float32Array(rows).fill(value), [rows]);
      const at = { x: new ort.Tensor("float32", x, dims), time: each(t), length: each(length) };
      const name = long ? "jump" : "velocity";
      const good = (await this.run(name, { ...at, ...given, ...shown })).data as Float32Array;
      if (!without) return good;
      const bad = (await this.run(name, { ...at, ...without })).data as Float32Array;
      return good.map((value, i) => (bad[i] as number) + scale * (value - (bad[i] as number)));
    };
    let x = Float32Array.from(first, (value) => spread * value);
    let start = x;
    let past = x;
    let weight = 0;
    let before = 1;
    for (let i = 0; i < steps; i++) {
      const t = 1 - i / steps;
      const after = 1 - (i + 1) / steps;
      const v = await slope(x, t, t - after);
      if (long) {
        x = x.map((value, j) => value - (t - after) * (v[j] as number));
      } else {
        const data = x.map((value, j) => value - t * (v[j] as number));
        let ahead = data;
        if (i > 0) {
          x = x.map((_, j) => at(start, j) + (weight * (at(past, j) + at(data, j))) / 2);
          const share = (after - t) / (2 * (before - t));
          if (after > 0) ahead = data.map((value, j) => value + share * (at(past, j) - value));
        }
        const kept = (Math.sqrt(1 - churn) * after) / t;
        weight = 1 - after - kept * (1 - t);
        start = x.map((value) => kept * value);
        if (churn && after > 0) {
          const fresh = shuffled(first, rows, i + 1);
          start = start.map((value, j) => value + Math.sqrt(churn) * after * at(fresh, j));
        }
        past = data;
        x = start.map((value, j) => value + weight * at(ahead, j));
        before = t;
      }
      await told(i + 1, steps);
    }
    if (scales && shifts) {
      const pixels = (dims[2] ?? 1) * (dims[3] ?? 1);
      const mean = shown.mean_BCHW?.data as Float32Array | undefined;
      x = x.map((value, j) => {
        const channel = Math.floor(j / pixels) % scales.length;
        return (mean ? at(mean, j) : 0) + value * (scales[channel] ?? 1) + (shifts[channel] ?? 0);
      });
    }
    const end = new ort.Tensor("float32", x, dims);
    return latent ? this.run("decode", { x: end }) : end;
  }

  /** `draw` of src/zeuxis/sampling/raster.py, a pass over the whole picture for each number. */
  private async places(loop: Loop, noise: Given, given: Given, told: Told): Promise<ort.Tensor> {
    const { height, width, channels } = this.meta.image;
    const { levels = 256, temperature = 1 } = loop;
    const drawn = (noise.uniform as ort.Tensor).data as Float32Array;
    const pixels = height * width;
    const rows = drawn.length / pixels / channels;
    const dims = [rows, channels, height, width];
    const image = new Float32Array(drawn.length).fill(-1);
    for (let place = 0; place < pixels; place++) {
      for (let channel = 0; channel < channels; channel++) {
        const log_p = await this.run("log_p", {
          image: new ort.Tensor("float32", image, dims),
          place: new ort.Tensor("int64", BigInt64Array.of(BigInt(place)), [1]),
          ...given,
        });
        for (let row = 0; row < rows; row++) {
          const from = (row * channels + channel) * levels;
          const these = (log_p.data as Float32Array).subarray(from, from + levels);
          const share = drawn[(row * pixels + place) * channels + channel] as number;
          const level = levelAt(these, share, temperature);
          image[(row * channels + channel) * pixels + place] = (level * 2) / (levels - 1) - 1;
        }
      }
      await told(place + 1, pixels);
    }
    return new ort.Tensor("float32", image, dims);
  }
}

const at = (values: Float32Array, i: number) => values[i] as number;

/** The level at which the cumulated probability passes a share. */
function levelAt(log_p: Float32Array, share: number, temperature: number): number {
  const most = log_p.reduce((a, b) => Math.max(a, b));
  let sum = 0;
  const cumulated = Float32Array.from(log_p, (value) => {
    sum += Math.exp((value - most) / temperature);
    return sum;
  });
  const goal = Math.fround(share * at(cumulated, cumulated.length - 1));
  const found = cumulated.findIndex((value) => value > goal);
  return found < 0 ? log_p.length - 1 : found;
}

/** A point on the great circle from one noise to another, so that it stays as long as noise is. */
function between(a: Float32Array, b: Float32Array, share: number): Float32Array {
  const dot = (u: Float32Array, v: Float32Array) => u.reduce((sum, x, i) => sum + x * at(v, i), 0);
  const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  const angle = Math.acos(Math.min(1 - 1e-6, Math.max(-1 + 1e-6, cosine)));
  const from = Math.sin((1 - share) * angle) / Math.sin(angle);
  const to = Math.sin(share * angle) / Math.sin(angle);
  return a.map((x, i) => from * x + to * at(b, i));
}

/** Images in [-1, 1], channels first -> levels of each, channels innermost: core/pixels.py. */
function levelsOf(meta: Meta, image: ort.Tensor): Uint8Array[] {
  const { height, width, channels, colours } = meta.image;
  const values = image.data as Float32Array;
  const pixels = height * width;
  return Array.from({ length: image.dims[0] ?? 0 }, (_, row) => {
    const out = new Uint8Array(pixels * channels);
    for (let place = 0; place < pixels; place++) {
      const value = (c: number) =>
        Math.fround(Math.fround(at(values, (row * channels + c) * pixels + place) + 1) * 127.5);
      const alpha = channels === 4 ? Math.min(255, Math.max(0, round(value(3)))) : 255;
      const divided = channels === 4 && colours === "premultiplied";
      for (let c = 0; c < channels; c++) {
        let level = value(c);
        if (divided && c < 3) level = alpha ? (level * 255) / Math.max(1, alpha) : 255;
        out[place * channels + c] = Math.min(255, Math.max(0, round(level)));
      }
    }
    return out;
  });
}
