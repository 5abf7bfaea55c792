/** What a screen reader is told: at most a sentence every five seconds, the last one counts. */

import { signal } from "@preact/signals";

const PAUSE = 5_000;
const said = signal("");
let next = "";
let quiet: ReturnType<typeof setTimeout> | undefined;

export function announce(words: string): void {
  next = words;
  if (quiet !== undefined) return;
  speak();
}

function speak(): void {
  quiet = undefined;
  if (next === "") return;
  said.value = next;
  next = "";
  quiet = setTimeout(speak, PAUSE);
}

export function Announcer() {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {said}
    </div>
  );
}
