import type { ComponentChildren } from "preact";
import "./next.css";

/** Bottom right of a page: what comes next, and before it in words what stands in the way. */
export function Next({
  note,
  children,
}: {
  note?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <div class="next">
      {note && <p class="soft">{note}</p>}
      {children}
    </div>
  );
}
