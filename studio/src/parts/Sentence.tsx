import type { ComponentChildren } from "preact";
import "./sentence.css";

/** A sentence that matters, with a line of its colour before it. */
export function Sentence({
  tone = "note",
  children,
}: {
  tone?: "bad" | "fair" | "note" | "good";
  children: ComponentChildren;
}) {
  return <div class={`sentence ${tone}`}>{children}</div>;
}
