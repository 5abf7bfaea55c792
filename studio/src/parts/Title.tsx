import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

let arriving = false;

/** Let the next title that is drawn take the focus, so that a screen reader begins with it. */
export function arrive(): void {
  arriving = true;
}

/** The heading of a page, drawn once what the page is about is there. */
export function Title({ children }: { children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (arriving) heading.current?.focus();
    arriving = false;
  }, []);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children}
    </h1>
  );
}
