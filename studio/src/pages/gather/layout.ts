/** Where the tiles of a set stand, so that only those in view are drawn, however many there are. */

export interface Section<T> {
  /** Stable; classes are "class:" and their name. */
  key: string;
  items: readonly T[];
}

export interface Placed<T> extends Section<T> {
  top: number;
  height: number;
  /** Number of its first item among all. */
  first: number;
}

export interface Layout<T> {
  sections: Placed<T>[];
  height: number;
  columns: number;
  /** Side of a tile's picture. */
  side: number;
  /** From a line of tiles to the next. */
  line: number;
}

export const HEADER = 60;
export const GAP = 10;
const SMALLEST = 96;
const BETWEEN = 28;

/** @param under height of what stands under each picture. */
export function laidOut<T>(
  sections: readonly Section<T>[],
  width: number,
  under: number,
): Layout<T> {
  const columns = Math.max(1, Math.floor((width + GAP) / (SMALLEST + GAP)));
  const side = Math.max(1, Math.floor((width - GAP * (columns - 1)) / columns));
  const line = side + GAP + under;
  let top = 0;
  let first = 0;
  const placed = sections.map((section) => {
    const height = HEADER + Math.ceil(section.items.length / columns) * line;
    const one = { ...section, top, height, first };
    top += height + BETWEEN;
    first += section.items.length;
    return one;
  });
  return { sections: placed, height: Math.max(0, top - BETWEEN), columns, side, line };
}

/** Items of a section from `from` to `to` (not included) that a window shows; whole lines of them. */
export function inView<T>(
  layout: Layout<T>,
  section: Placed<T>,
  window: { top: number; bottom: number },
): { from: number; to: number } {
  const body = section.top + HEADER;
  const lines = Math.ceil(section.items.length / layout.columns);
  const clamp = (line: number) => Math.min(lines, Math.max(0, line));
  const from = clamp(Math.floor((window.top - body) / layout.line));
  const to = clamp(Math.ceil((window.bottom - body) / layout.line));
  return {
    from: from * layout.columns,
    to: Math.min(section.items.length, to * layout.columns),
  };
}

/** Section and place in it of an item by its number among all. */
export function placeOf<T>(layout: Layout<T>, number: number): [Placed<T>, number] | undefined {
  const section = layout.sections.find((one) => number < one.first + one.items.length);
  return section === undefined || number < 0 ? undefined : [section, number - section.first];
}

/** Top and bottom of an item. */
export function span<T>(layout: Layout<T>, number: number): { top: number; bottom: number } {
  const [section, at] = placeOf(layout, number) ?? [undefined, 0];
  const top = (section?.top ?? 0) + HEADER + Math.floor(at / layout.columns) * layout.line;
  return { top, bottom: top + layout.line };
}

/** The number of the item that an arrow key leads to. */
export function neighbour<T>(layout: Layout<T>, number: number, key: string): number {
  const last =
    (layout.sections.at(-1)?.first ?? 0) + (layout.sections.at(-1)?.items.length ?? 0) - 1;
  const found = placeOf(layout, number);
  if (found === undefined) return 0;
  const [section, at] = found;
  const { columns } = layout;
  const column = at % columns;
  switch (key) {
    case "ArrowLeft":
      return Math.max(0, number - 1);
    case "ArrowRight":
      return Math.min(last, number + 1);
    case "Home":
      return section.first;
    case "End":
      return section.first + section.items.length - 1;
    case "ArrowDown": {
      if (Math.floor(at / columns) < Math.floor((section.items.length - 1) / columns)) {
        return section.first + Math.min(section.items.length - 1, at + columns);
      }
      const below = layout.sections.find((one) => one.first > number && one.items.length > 0);
      return below === undefined ? number : below.first + Math.min(column, below.items.length - 1);
    }
    case "ArrowUp": {
      if (at >= columns) return number - columns;
      const above = layout.sections.findLast(
        (one) => one.first < section.first && one.items.length,
      );
      if (above === undefined) return number;
      const lastLine = Math.floor((above.items.length - 1) / columns) * columns;
      return above.first + Math.min(above.items.length - 1, lastLine + column);
    }
    default:
      return number;
  }
}
