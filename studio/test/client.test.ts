import { afterEach, expect, test, vi } from "vitest";
import { ApiError, ask, known, reached, resource, sentence } from "../src/api/client";
import { ticketOf } from "../src/api/session";

afterEach(() => {
  vi.unstubAllGlobals();
  known.value = reached.value = true;
});

function answer(status: number, body: unknown): void {
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify(body), { status }));
}

test.each([
  ["no run 'x' here", "No run 'x' here."],
  ["  What now? ", "What now?"],
  ["It is done.", "It is done."],
  ["", ""],
])("%j is shown as %j", (words, shown) => {
  expect(sentence(words)).toBe(shown);
});

test.each([
  ["#ticket=Ab-9_z", "Ab-9_z"],
  ["#/gather", undefined],
  ["#ticket=", undefined],
  ["#ticket=a&b", undefined],
])("the ticket of %s is %s", (hash, ticket) => {
  expect(ticketOf(hash)).toBe(ticket);
});

test("a problem comes as the server's sentence", async () => {
  answer(409, { detail: "job 7 is finished", code: "Conflict" });
  const told = await ask("/").catch((error: unknown) => error);
  expect(told).toBeInstanceOf(ApiError);
  expect(told).toMatchObject({ status: 409, message: "Job 7 is finished.", code: "Conflict" });
  expect(known.value).toBe(true);
});

test("401 closes the page until there is a session", async () => {
  answer(401, { detail: "the token is missing" });
  await expect(ask("/")).rejects.toThrow();
  expect(known.value).toBe(false);
});

test("a server that is away is told from one that refuses", async () => {
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("Failed to fetch")));
  await expect(ask("/")).rejects.toMatchObject({ status: 0 });
  expect(reached.value).toBe(false);
  answer(200, {});
  await ask("/");
  expect(reached.value).toBe(true);
});

test("of two answers the one to the later question counts", async () => {
  const gates: ((value: number) => void)[] = [];
  const one = resource(() => new Promise<number>((resolve) => gates.push(resolve)));
  const again = one.refresh();
  gates[1]?.(2);
  await again;
  gates[0]?.(1);
  await Promise.resolve();
  expect(one.value.value).toBe(2);
});

test("a resource keeps its value when asking again fails", async () => {
  let works = true;
  const one = resource(async () => {
    if (works) return 1;
    throw new ApiError(500, "No.");
  });
  await one.refresh();
  works = false;
  await one.refresh();
  expect(one.value.value).toBe(1);
  expect(one.error.value?.message).toBe("No.");
});
