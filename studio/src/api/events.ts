/** What happens in jobs, as it happens: one stream of server-sent events for all tabs of the studio.
 *
 * A browser keeps six connections to a server. So one tab, which holds a lock, listens and tells the others;
 * when it closes, the next goes on after the last event that it heard of.
 */

import { signal } from "@preact/signals";
import { API } from "./client";

export interface Told {
  id: number;
  job: string;
  kind: string;
  [name: string]: unknown;
}

/** The part of EventSource that is used, so that tests can stand in for it. */
export interface Source {
  onmessage: ((event: MessageEvent<string>) => void) | null;
  onerror: ((event: Event) => void) | null;
  onopen: ((event: Event) => void) | null;
  readyState: number;
  close(): void;
}

const CLOSED = 2;
const SOONEST = 500;
const LATEST = 15_000;

/** Whether events arrive; false while the server is away. */
export const live = signal(true);

/** Listen for ever, from a number on: what breaks off is opened again after the last event.
 *
 * @param open makes a source for an address.
 * @param heard is told each event once.
 * @param after number of the last event that is known; none begins with what happens from now on.
 * @returns what ends it.
 */
export function listen(
  open: (address: string) => Source,
  heard: (event: Told) => void,
  after: () => number | undefined,
): () => void {
  let source: Source;
  let wait = SOONEST;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;

  function begin(): void {
    const last = after();
    source = open(`${API}/events${last === undefined ? "" : `?after=${last}`}`);
    source.onopen = () => {
      wait = SOONEST;
      live.value = true;
    };
    source.onmessage = (event) =>
      heard({ ...JSON.parse(event.data), id: Number(event.lastEventId) });
    source.onerror = () => {
      live.value = false;
      if (source.readyState !== CLOSED || ended) return; // it comes back by itself, with Last-Event-ID
      timer = setTimeout(begin, wait);
      wait = Math.min(2 * wait, LATEST);
    };
  }

  begin();
  return () => {
    ended = true;
    clearTimeout(timer);
    source.close();
  };
}

let last: number | undefined;
const ears = new Set<(event: Told) => void>();

function pass(event: Told): void {
  if (last !== undefined && event.id <= last) return; // told by the tab before
  last = event.id;
  for (const ear of ears) ear(event);
}

/** Be told events until what is returned is called. */
export function onEvent(heard: (event: Told) => void): () => void {
  ears.add(heard);
  return () => ears.delete(heard);
}

/** Start, once; the lock is kept as long as the tab lives. */
export function follow(): void {
  const channel = new BroadcastChannel("zeuxis-events");
  channel.onmessage = (message: MessageEvent<Told>) => pass(message.data);
  void navigator.locks.request("zeuxis-events", () => {
    listen(
      (address) => new EventSource(address),
      (event) => {
        channel.postMessage(event);
        pass(event);
      },
      () => last,
    );
    return new Promise(() => {});
  });
}
