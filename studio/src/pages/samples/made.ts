/** Pictures that a model makes, as the page has them. */

import { API, ask } from "../../api/client";
import { say } from "../../words";

export interface Described {
  height: number;
  width: number;
  conditions: Record<string, string[]>;
  /** What can be asked of it. */
  verbs: Record<string, unknown>;
}

export interface Sample {
  address: string;
  labels: Record<string, string>;
}

interface Answer {
  images: { png: string; labels?: Record<string, string> | null }[];
}

export function labelled(sample: Sample): string[] {
  return Object.entries(sample.labels).map(([name, value]) => say.samples.labelled(name, value));
}

/** Save what is behind an address as a file. */
export function save(address: string, name: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

/** Ask a verb of a run. */
export function post(
  run: string,
  verb: string,
  body: string,
  accept: string,
  signal?: AbortSignal,
): Promise<Response> {
  return ask(`${API}/runs/${encodeURIComponent(run)}/${verb}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: accept },
    body,
    ...(signal && { signal }),
  });
}

/** The pictures that a verb gives. */
export async function made(
  run: string,
  verb: string,
  body: string,
  signal: AbortSignal,
): Promise<Sample[]> {
  const answer: Answer = await (await post(run, verb, body, "application/json", signal)).json();
  return answer.images.map(({ png, labels }) => ({
    address: URL.createObjectURL(new Blob([bytes(png)], { type: "image/png" })),
    labels: labels ?? {},
  }));
}

export function release(samples: readonly { address: string }[]): void {
  for (const { address } of samples) URL.revokeObjectURL(address);
}

/** A file as JSON has it. */
export async function base64(file: Blob): Promise<string> {
  const url = await new Promise<string>((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
  return url.slice(url.indexOf(",") + 1);
}

function bytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
