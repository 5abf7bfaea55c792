/** Requests to the server that this page came from, typed by its OpenAPI (`make studio-types`). */

import { type Signal, signal } from "@preact/signals";
import createClient from "openapi-fetch";
import type { paths } from "./schema";

export const API = "/api/v1";

/** What went wrong, in the server's words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code = "",
  ) {
    super(message);
  }
}

/** Whether the server knows this browser; the frame shows how to get in where not. */
export const known = signal(true);
/** Whether the last request reached the server at all. */
export const reached = signal(true);

/** fetch, with answers other than 2xx and a server that is away as `ApiError`. */
export async function ask(input: Request | string, init?: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(input, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    reached.value = false;
    throw new ApiError(0, "The studio does not answer. Is its window or terminal still open?");
  }
  reached.value = true;
  if (answer.ok) return answer;
  if (answer.status === 401) known.value = false;
  const told = await answer.json().catch(() => ({}));
  throw new ApiError(answer.status, sentence(told.detail ?? answer.statusText), told.code);
}

/** `api.GET("/api/v1/datasets/{dataset}", { params: { path: { dataset } } })`, typed. */
export const api = createClient<paths>({ baseUrl: "/", fetch: (request) => ask(request) });

/** The data of an answer, which is there since `ask` throws where it is not. */
export async function data<T>(asked: Promise<{ data?: T }>): Promise<T> {
  return (await asked).data as T;
}

/** Something that the server knows, fetched now and again by `refresh`. */
export interface Resource<T> {
  readonly value: Signal<T | undefined>;
  readonly error: Signal<ApiError | undefined>;
  refresh(): Promise<void>;
}

export function resource<T>(load: () => Promise<T>): Resource<T> {
  const value = signal<T | undefined>();
  const error = signal<ApiError | undefined>();
  let latest = 0;
  async function refresh(): Promise<void> {
    const turn = ++latest;
    try {
      const loaded = await load();
      if (turn !== latest) return; // a later answer counts, whichever came first
      value.value = loaded;
      error.value = undefined;
    } catch (caught) {
      if (!(caught instanceof ApiError)) throw caught;
      if (turn === latest) error.value = caught;
    }
  }
  void refresh();
  return { value, error, refresh };
}

/** A capital letter and a full stop: the server's sentences are made for terminals, too. */
export function sentence(words: string): string {
  const text = words.trim();
  if (text === "") return "";
  return text[0]?.toUpperCase() + text.slice(1) + (/[.!?:)]$/.test(text) ? "" : ".");
}
