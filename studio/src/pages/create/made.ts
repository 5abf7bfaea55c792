/** Pictures that a model makes, as the page has them, and the recipes that they come from. */

import { API, ask } from "../../api/client";
import type { Schema } from "../../forms/schema";
import { say } from "../../words";

export interface Described {
  run: string;
  family: string;
  height: number;
  width: number;
  channels: number;
  conditions: Record<string, string[]>;
  numbers: { name: string; mean: number; deviation: number }[];
  /** Of the captions that it learned from; null: it knows no words. */
  words: string[] | null;
  /** Whether it draws one picture at a time, which takes long. */
  alone: boolean;
  /** What it makes pictures of. */
  source: { kind: string; shape: number[]; classes: string[]; colours: string[] } | null;
  /** What can be asked of it, as schemas. */
  verbs: Record<string, Schema>;
}

export type Body = Record<string, unknown>;

/** What a picture was asked for with: enough to make it again. */
export interface Recipe {
  /** "" of what no model made. */
  run: string;
  verb: string;
  body: Body;
  /** Which of the pictures that this gives. */
  index: number;
}

export interface Sample {
  file: Blob;
  /** Of the file, for as long as it is shown. */
  address: string;
  labels: Record<string, string>;
  recipe: Recipe;
}

export interface Made {
  samples: Sample[];
  /** What the model did not take of what was asked for, in the server's words. */
  remarks: string[];
}

export function labelled(sample: Sample): string[] {
  return Object.entries(sample.labels).map(([name, value]) => say.create.labelled(name, value));
}

/** Save what is behind an address as a file. */
export function save(address: string, name: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

/** Ask a verb of a run, or one that takes none. */
export function post(
  run: string | undefined,
  verb: string,
  body: BodyInit,
  accept: string,
  signal?: AbortSignal,
): Promise<Response> {
  const path = run === undefined ? verb : `runs/${encodeURIComponent(run)}/${verb}`;
  const type = typeof body === "string" ? "application/json" : "application/octet-stream";
  return ask(`${API}/${path}`, {
    method: "POST",
    headers: { "Content-Type": type, Accept: accept },
    body,
    ...(signal && { signal }),
  });
}

/** The pictures that a verb gives; each has its recipe in its file, too. */
export async function made(
  run: string,
  verb: string,
  body: Body,
  signal?: AbortSignal,
): Promise<Made> {
  const asked = JSON.stringify({ ...body, recipe: true });
  const answer = await (await post(run, verb, asked, "application/json", signal)).json();
  const images: { png: string; labels?: Record<string, string> | null }[] = answer.images;
  return {
    remarks: answer.remarks ?? [],
    samples: images.map(({ png, labels }, index) => {
      const file = new Blob([bytes(png)], { type: "image/png" });
      const address = URL.createObjectURL(file);
      return { file, address, labels: labels ?? {}, recipe: { run, verb, body, index } };
    }),
  };
}

/** The file of a picture, made again. */
export async function remade({ run, verb, body, index }: Recipe): Promise<Blob> {
  const { samples } = await made(run, verb, body);
  release(samples);
  const found = samples[index];
  if (found === undefined) throw new Error(`no picture ${index}`);
  return found.file;
}

export function release(samples: readonly { address: string }[]): void {
  for (const { address } of samples) URL.revokeObjectURL(address);
}

/** A file as JSON has it. */
export async function base64(file: Blob): Promise<string> {
  const url = await dataUrl(file);
  return url.slice(url.indexOf(",") + 1);
}

export function dataUrl(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

export function bytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** The schema of a verb's controls, if it has some. */
export function controlsOf(schema: Schema | undefined): Schema | undefined {
  const found = schema?.properties?.controls;
  const named = found?.$ref ?? found?.anyOf?.find((one) => one.$ref !== undefined)?.$ref;
  if (named === undefined) return undefined;
  return { ...schema?.$defs?.[named.replace("#/$defs/", "")], $defs: schema?.$defs ?? {} };
}
