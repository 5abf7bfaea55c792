// What an export tells of itself, as src/zeuxis/export/meta.py writes it.

export interface Tensor {
  name: string;
  type: "float32" | "int64";
  shape: (number | string)[];
}

export interface Loop {
  kind: "once" | "flow" | "bridge" | "places";
  steps?: number;
  churn?: number;
  most_jumps?: number;
  guidance_scale?: number;
  latent?: boolean;
  levels?: number;
  temperature?: number;
  /** Of the noise that a flow starts from. */
  spread?: number;
  /** How far towards noise a bridge goes. */
  strength?: number;
  /** Of each channel of a flow's end. */
  scale?: number[];
  shift?: number[];
}

/** What may be turned: of the loop, or a factor of the noise that is named. */
export interface Control {
  name: string;
  hint: string;
  least: number;
  most: number;
  step: number;
  usual: number;
  noise: string | null;
}

/** What pictures are made from. */
export interface Source {
  kind: "image" | "map";
  /** Channels, height, width of an image; height, width of a map. */
  shape: number[];
  /** Of a map. */
  classes?: string[];
  colours?: string[];
}

export interface Mark {
  height: number;
  width: number;
  side: number;
  step: number;
  slack: number;
  /** base64 of little-endian numbers; whole ones are multiples of 2^-16. */
  rows: string;
  columns: string;
  blur_rows: string;
  blur_columns: string;
  at: string;
  mix: string;
  goal: string;
}

export interface Meta {
  zeuxis: string;
  name: string;
  family: string;
  licence: string;
  weights: string;
  image: { height: number; width: number; channels: number; colours?: string };
  graphs: Record<string, { file: string; inputs: Tensor[]; output: Tensor }>;
  random: {
    draws?: { name: string; kind: "normal" | "uniform"; count: number }[];
    noise?: Record<string, { draw: string; start: number; shape: number[] }>;
  };
  asked: {
    labels?: { name: string; classes: string[] }[];
    table?: [number[], number][];
    numbers?: { name: string; mean: number; deviation: number }[];
    examples?: { text: string; numbers: (number | null)[] }[];
    text?: {
      length: number;
      merges: [number, number][];
      examples: number[][];
      unknown: number[];
      /** Of the training images' captions; none if that is not known. */
      words: string[];
    };
  };
  source: Source | null;
  controls: Control[];
  loop: Loop;
  walks: boolean;
  marks: string;
  software: string;
  xmp: string;
  mark: Mark | null;
}
