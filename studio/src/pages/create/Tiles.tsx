import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../../parts/Icon";
import { say } from "../../words";
import { favourites, same } from "./favourites";
import { labelled, type Sample } from "./made";

const GAP = 8;
const AHEAD = 200; // pixels above and below the window that are drawn, too
const SMALL = 64;

/** Pictures with one tab stop, of which only those in view are drawn. */
export function Tiles({
  samples,
  busy,
  onOpen,
  onKey,
}: {
  samples: readonly Sample[];
  busy: boolean;
  onOpen: (at: number) => void;
  /** A key that moves nothing, at a picture. */
  onKey?: (key: string, at: number) => void;
}) {
  const grid = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ width: 0, top: 0, bottom: 0 });
  const [at, setAt] = useState(0);
  const wanted = useRef(false); // the tile is to get the focus once it is drawn
  const least = samples.length > 16 ? 96 : 144;

  useLayoutEffect(() => {
    const box = grid.current;
    if (box === null) return;
    function look(): void {
      const { top, width } = (box as HTMLElement).getBoundingClientRect();
      setView({ width, top: -top - AHEAD, bottom: innerHeight - top + AHEAD });
    }
    look();
    const observer = new ResizeObserver(look);
    observer.observe(box);
    observer.observe(document.body); // what stands above it may grow
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      observer.disconnect();
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, []);

  const small = Math.min(least, Math.max(48, (view.width - 3 * GAP) / 4));
  const columns = Math.max(1, Math.floor((view.width + GAP) / (small + GAP)));
  const side = Math.floor((view.width - GAP * (columns - 1)) / columns);
  const line = side + GAP;
  const first = Math.max(0, Math.floor(view.top / line)) * columns;
  const last = Math.min(samples.length, Math.ceil(view.bottom / line) * columns);
  const shown = samples.slice(first, last);
  const now = Math.min(at, samples.length - 1);
  const reachable = now >= first && now < last ? now : first;

  useEffect(() => {
    if (!wanted.current) return;
    const tile = grid.current?.querySelector<HTMLElement>(`[data-at="${at}"]`);
    if (tile == null) return;
    wanted.current = false;
    tile.focus();
  });

  function key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps: Record<string, number> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -columns,
      ArrowDown: columns,
      Home: -now,
      End: samples.length - 1 - now,
    };
    const step = steps[event.key];
    if (step === undefined) {
      if (event.key.length === 1) onKey?.(event.key.toLowerCase(), now);
      return;
    }
    const to = now + step;
    if (to < 0 || to >= samples.length) return;
    event.preventDefault();
    setAt(to);
    const tile = grid.current?.querySelector<HTMLElement>(`[data-at="${to}"]`);
    tile?.focus(); // at once: the next key may be there already
    wanted.current = tile == null;
    const top = (grid.current?.getBoundingClientRect().top ?? 0) + Math.floor(to / columns) * line;
    if (top < 0 || top + line > innerHeight) scrollBy(0, top - innerHeight / 2);
  }

  const kept = favourites.value;
  return (
    // biome-ignore lint/a11y/useSemanticElements: pictures, not fields of a form
    <div
      ref={grid}
      class="tiles"
      role="group"
      aria-label={say.create.grid}
      aria-busy={busy}
      onKeyDown={key}
      style={{ height: `${Math.ceil(samples.length / columns) * line}px` }}
    >
      {view.width > 0 &&
        shown.map((sample, i) => {
          const number = first + i;
          return (
            <button
              key={number}
              type="button"
              data-at={number}
              tabIndex={number === reachable ? 0 : -1}
              style={{
                left: `${(number % columns) * line}px`,
                top: `${Math.floor(number / columns) * line}px`,
                width: `${side}px`,
                height: `${side}px`,
              }}
              onFocus={() => setAt(number)}
              onClick={() => onOpen(number)}
              aria-label={[say.create.tile(number + 1), ...labelled(sample)].join(", ")}
            >
              <img src={sample.address} alt="" onLoad={sharp} />
              {kept.some((one) => same(one.recipe, sample.recipe)) && (
                <Icon name="star" size={20} />
              )}
            </button>
          );
        })}
    </div>
  );
}

/** Show the pixels of a small picture as squares. */
export function sharp({ currentTarget: shown }: { currentTarget: HTMLImageElement }): void {
  shown.classList.toggle("pixels", shown.naturalWidth <= SMALL);
}
