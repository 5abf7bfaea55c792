// What an export tells of itself, as src/zeuxis/export/meta.py writes it.

export interface Tensor {
  name: string;
  type: "float32" | "int64";
  shape: (number | string)[];
}

export interface Loop {
  kind: "once" | "flow" | "places";
  steps?: number;
  churn?: number;
  most_jumps?: number;
  guidance_scale?: number;
  latent?: boolean;
  levels?: number;
  temperature?: number;
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
    numbers?: { name: string }[];
    examples?: { text: string; numbers: (number | null)[] }[];
    text?: { length: number; examples: number[][]; unknown: number[] };
  };
  loop: Loop;
  walks: boolean;
  marks: string;
  software: string;
  xmp: string;
  mark: Mark | null;
}
