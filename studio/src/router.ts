/** Addresses such as `#/gather/icons`: the page, and what it is about. */

import { signal } from "@preact/signals";
import { arrive } from "./parts/Title";

export interface Place {
  page: string;
  rest: string[];
}

/** The place that a hash names; "" as page where it names none. */
export function read(hash: string): Place {
  const [page = "", ...rest] = hash
    .replace(/^#?\/?/, "")
    .split("/")
    .filter(Boolean)
    .map(decoded);
  return { page, rest };
}

export function href(page: string, ...rest: string[]): string {
  return `#/${[page, ...rest].map(encodeURIComponent).join("/")}`;
}

export const place = signal<Place>(read(globalThis.location?.hash ?? ""));

/** Go to a place; `replace` leaves no step for the browser's Back. */
export function navigate(page: string, rest: string[] = [], replace = false): void {
  const to = href(page, ...rest);
  if (replace) {
    history.replaceState(null, "", to);
    place.value = read(to);
  } else {
    location.hash = to;
  }
}

export function follow(): void {
  addEventListener("hashchange", () => {
    arrive();
    place.value = read(location.hash);
  });
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // typed by hand
  }
}
