import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { listen, live, type Source, type Told } from "../src/api/events";

class Fake implements Source {
  onmessage: Source["onmessage"] = null;
  onerror: Source["onerror"] = null;
  onopen: Source["onopen"] = null;
  readyState = 0;

  constructor(readonly address: string) {}

  tell(id: number): void {
    const event = { data: JSON.stringify({ job: "j", kind: "step" }), lastEventId: String(id) };
    this.onmessage?.(event as MessageEvent<string>);
  }

  break(closed: boolean): void {
    this.readyState = closed ? 2 : 0;
    this.onerror?.(new Event("error"));
  }

  close(): void {
    this.readyState = 2;
  }
}

const opened: Fake[] = [];
let heard: Told[] = [];
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  opened.length = 0;
  heard = [];
  stop = listen(
    (address) => {
      const made = new Fake(address);
      opened.push(made);
      return made;
    },
    (event) => heard.push(event),
    () => heard.at(-1)?.id,
  );
});

afterEach(() => {
  stop();
  vi.useRealTimers();
});

test("the first stream begins with what happens from now on", () => {
  expect(opened.map((one) => one.address)).toEqual(["/api/v1/events"]);
  opened[0]?.tell(7);
  expect(heard).toEqual([{ id: 7, job: "j", kind: "step" }]);
});

test("a stream that was closed is opened again after the last event", () => {
  opened[0]?.tell(7);
  opened[0]?.tell(8);
  opened[0]?.break(true);
  expect(live.value).toBe(false);
  vi.advanceTimersByTime(500);
  expect(opened[1]?.address).toBe("/api/v1/events?after=8");
  opened[1]?.onopen?.(new Event("open"));
  expect(live.value).toBe(true);
});

test("a stream that comes back by itself is left alone", () => {
  opened[0]?.break(false);
  vi.advanceTimersByTime(60_000);
  expect(opened).toHaveLength(1);
});

test("the pauses grow to a quarter of a minute, and start anew after success", () => {
  for (const pause of [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) {
    const before = opened.length;
    opened.at(-1)?.break(true);
    vi.advanceTimersByTime(pause - 1);
    expect(opened).toHaveLength(before);
    vi.advanceTimersByTime(1);
    expect(opened).toHaveLength(before + 1);
  }
  opened.at(-1)?.onopen?.(new Event("open"));
  const before = opened.length;
  opened.at(-1)?.break(true);
  vi.advanceTimersByTime(500);
  expect(opened).toHaveLength(before + 1);
});

test("nothing is opened after the end", () => {
  opened[0]?.break(true);
  stop();
  vi.advanceTimersByTime(60_000);
  expect(opened).toHaveLength(1);
});
