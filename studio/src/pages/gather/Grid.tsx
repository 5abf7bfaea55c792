import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { API } from "../../api/client";
import { Icon } from "../../parts/Icon";
import { say } from "../../words";
import { ClassHead } from "./ClassHead";
import { hasFiles } from "./DropField";
import { type Dropped, fromDrop } from "./files";
import {
  GAP,
  HEADER,
  inView,
  type Layout,
  laidOut,
  neighbour,
  type Placed,
  placeOf,
  span,
} from "./layout";
import { CLASS, type Item, type PictureSet, UNLABELLED } from "./set";

const TILES = "application/x-zeuxis-pictures";
const UNDER = 26;
const AHEAD = 400; // pixels above and below the window that are drawn, too

/** Small pictures are enlarged without smoothing. */
export function isPixelArt(item: Item): boolean {
  return Math.max(item.width, item.height) <= 64;
}

type OnFiles = (files: Dropped[], into?: string) => void;

/** All pictures of a set by class. Arrows move, Space chooses, E leaves out, Enter goes to class and caption. */
export function Grid({ set, onFiles }: { set: PictureSet; onFiles: OnFiles }) {
  const root = useRef<HTMLDivElement>(null);
  const width = useSignal(0);
  const view = useSignal({ top: 0, bottom: 0 });
  const focused = useSignal<string | undefined>(undefined);
  const anchor = useRef<string | undefined>(undefined);
  const wanted = useRef(false); // the focused tile is to get the focus once it is drawn

  useLayoutEffect(() => {
    const element = root.current;
    if (element === null) return;
    function look(): void {
      const { top, width: wide } = (element as HTMLElement).getBoundingClientRect();
      width.value = wide;
      view.value = { top: -top - AHEAD, bottom: -top + innerHeight + AHEAD };
    }
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      observer.disconnect();
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [view, width]);

  const captions = set.items.value.some((item) => item.caption !== "");
  const layout = laidOut(set.sections.value, width.value, captions ? UNDER : 0);
  const all = layout.sections.flatMap((section) => section.items);
  const at = Math.max(
    0,
    all.findIndex((item) => item.id === focused.value),
  );

  useEffect(() => {
    if (!wanted.current) return;
    const tile = root.current?.querySelector<HTMLElement>(`[data-id="${focused.value}"]`);
    if (tile == null) return;
    wanted.current = false;
    tile.focus({ preventScroll: true });
  });

  function choose(
    item: Item,
    event: { shiftKey: boolean; ctrlKey: boolean; metaKey: boolean },
  ): void {
    const before = set.chosen.value;
    focused.value = item.id;
    if (event.shiftKey && anchor.current !== undefined) {
      set.chosen.value = new Set(between(all, anchor.current, item.id));
      return;
    }
    anchor.current = item.id;
    if (event.ctrlKey || event.metaKey) {
      set.chosen.value = toggled(before, item.id);
      return;
    }
    set.chosen.value = before.size === 1 && before.has(item.id) ? new Set() : new Set([item.id]);
  }

  function go(number: number): void {
    const item = all[number];
    if (item === undefined || root.current === null) return;
    focused.value = item.id;
    wanted.current = true;
    const { top, bottom } = span(layout, number);
    const zero = root.current.getBoundingClientRect().top;
    if (zero + top < HEADER) scrollBy({ top: zero + top - HEADER });
    else if (zero + bottom > innerHeight - 120)
      scrollBy({ top: zero + bottom - innerHeight + 120 });
  }

  function key(event: KeyboardEvent): void {
    const item = all[at];
    if (!(event.target as HTMLElement).matches("[role=option]") || item === undefined) return;
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key === "a") {
        event.preventDefault();
        set.chosen.value = new Set(placeOf(layout, at)?.[0].items.map((one) => one.id));
      }
      return;
    }
    const editable = !set.facts.value?.sample;
    if (event.key === " ") {
      set.chosen.value = toggled(set.chosen.value, item.id);
      anchor.current = item.id;
    } else if (event.key === "Escape") {
      set.chosen.value = new Set();
    } else if (event.key.toLowerCase() === "e" && editable) {
      const picked = set.picked.value;
      go(at + 1 < all.length ? at + 1 : at - 1);
      void set.exclude(picked.length > 0 ? picked : [item]);
    } else if (event.key === "Enter") {
      if (!set.chosen.value.has(item.id)) set.chosen.value = new Set([item.id]);
      requestAnimationFrame(() => document.getElementById("class-of-chosen")?.focus());
    } else {
      const number = neighbour(layout, at, event.key);
      if (number === at && !event.key.startsWith("Arrow")) return;
      go(number);
      if (event.shiftKey) {
        anchor.current ??= item.id;
        set.chosen.value = new Set(between(all, anchor.current, all[number]?.id ?? item.id));
      }
    }
    event.preventDefault();
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of the tiles in it
    <div ref={root} class="grid" style={{ height: `${layout.height}px` }} onKeyDown={key}>
      {layout.sections.map((section) => (
        <Block
          key={section.key}
          set={set}
          section={section}
          layout={layout}
          view={view.value}
          captions={captions}
          tabbed={all[at]?.id}
          onChoose={choose}
          onFiles={onFiles}
        />
      ))}
    </div>
  );
}

function toggled(chosen: ReadonlySet<string>, id: string): Set<string> {
  const next = new Set(chosen);
  if (!next.delete(id)) next.add(id);
  return next;
}

/** Ids from one item to another, in either direction. */
function between(all: readonly Item[], from: string, to: string): string[] {
  const ends = [from, to].map((id) => all.findIndex((item) => item.id === id));
  return all.slice(Math.min(...ends), Math.max(...ends) + 1).map((item) => item.id);
}

/** A class: its head, and those of its tiles that are in view, or have the tab stop. */
function Block({
  set,
  section,
  layout,
  view,
  captions,
  tabbed,
  onChoose,
  onFiles,
}: {
  set: PictureSet;
  section: Placed<Item>;
  layout: Layout<Item>;
  view: { top: number; bottom: number };
  captions: boolean;
  tabbed: string | undefined;
  onChoose: (item: Item, event: MouseEvent) => void;
  onFiles: OnFiles;
}) {
  const over = useSignal(0);
  const { from, to } = inView(layout, section, view);
  const shown = Array.from({ length: to - from }, (_, i) => from + i);
  const stop = section.items.findIndex((item) => item.id === tabbed);
  if (stop >= 0 && !shown.includes(stop)) shown.push(stop); // Tab has to find it from far away, too
  const name = section.key.startsWith(CLASS) ? section.key.slice(CLASS.length) : null;
  const takes = !set.facts.value?.sample && (name !== null || section.key === UNLABELLED);
  const dragged = (event: DragEvent) =>
    takes && (event.dataTransfer?.types.includes(TILES) || (name !== null && hasFiles(event)));

  function enter(parts: 1 | -1): void {
    over.value += parts;
  }

  function drop(event: DragEvent): void {
    if (!dragged(event) || event.dataTransfer === null) return;
    event.preventDefault();
    over.value = 0;
    const tiles = event.dataTransfer.getData(TILES);
    if (tiles !== "") {
      void set.label(JSON.parse(tiles), name);
      return;
    }
    event.stopPropagation(); // the page would take them, too
    void fromDrop(event.dataTransfer).then((files) => onFiles(files, name ?? undefined));
  }

  return (
    <section
      class={over.value > 0 ? "block over" : "block"}
      style={{ top: `${section.top}px`, height: `${section.height}px` }}
      aria-label={say.gather.section(section.key)}
      onDragEnter={(event) => dragged(event) && enter(1)}
      onDragLeave={(event) => dragged(event) && enter(-1)}
      onDragOver={(event) => dragged(event) && event.preventDefault()}
      onDrop={drop}
    >
      <ClassHead set={set} section={section} name={name} />
      {shown.length > 0 && (
        <div
          role="listbox"
          aria-multiselectable="true"
          aria-label={say.gather.section(section.key)}
        >
          {shown.map((number) => {
            const item = section.items[number];
            return (
              item && (
                <Tile
                  key={item.id}
                  set={set}
                  item={item}
                  number={number}
                  count={section.items.length}
                  layout={layout}
                  captions={captions}
                  tabbed={number === stop}
                  onChoose={onChoose}
                />
              )
            );
          })}
        </div>
      )}
    </section>
  );
}

function Tile({
  set,
  item,
  number,
  count,
  layout,
  captions,
  tabbed,
  onChoose,
}: {
  set: PictureSet;
  item: Item;
  number: number;
  count: number;
  layout: Layout<Item>;
  captions: boolean;
  tabbed: boolean;
  onChoose: (item: Item, event: MouseEvent) => void;
}) {
  const { side, line, columns } = layout;
  const left = (number % columns) * (side + GAP);
  const top = HEADER + Math.floor(number / columns) * line;
  const chosen = set.chosen.value.has(item.id);
  const size = side * devicePixelRatio > 96 && Math.max(item.width, item.height) > 96 ? 256 : 96;

  function drag(event: DragEvent): void {
    if (!chosen) set.chosen.value = new Set([item.id]);
    event.dataTransfer?.setData(TILES, JSON.stringify([...set.chosen.value]));
  }

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid hears the keys
    <div
      role="option"
      class={item.excluded ? "tile away" : "tile"}
      data-id={item.id}
      data-name={item.name}
      aria-selected={chosen}
      aria-setsize={count}
      aria-posinset={number + 1}
      aria-label={say.gather.tile(item)}
      title={item.problem ?? item.name}
      tabIndex={tabbed ? 0 : -1}
      draggable={!set.facts.value?.sample && item.sha !== null}
      style={{ left: `${left}px`, top: `${top}px`, width: `${side}px` }}
      onDragStart={drag}
      onClick={(event) => onChoose(item, event)}
    >
      <span class="print" style={{ height: `${side}px` }}>
        {item.sha === null ? (
          <Icon name="hide" size={28} />
        ) : (
          <img
            class={isPixelArt(item) ? "pixels" : ""}
            src={`${API}/images/${item.sha}?size=${size}`}
            alt=""
            draggable={false}
            decoding="async"
          />
        )}
        {chosen && (
          <span class="tick">
            <Icon name="check" size={16} />
          </span>
        )}
      </span>
      {captions && <span class="under small">{item.caption}</span>}
    </div>
  );
}
