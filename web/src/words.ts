// Captions as ids, as src/zeuxis/core/vocabulary.py has them: byte pairs inside words.
const NO_CAPTION = 1;
const FIRST = 2;
const WORD = /[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s]/gu;

const LETTERS = /[\p{L}\p{N}_]+/gu;

export interface Vocabulary {
  length: number;
  merges: [number, number][];
}

/** `length` ids of a caption: padded with 0, and cut. */
export function idsOf(text: string, { length, merges }: Vocabulary): number[] {
  const order = new Map(merges.map(([a, b], i) => [`${a} ${b}`, i]));
  const words = text.toLowerCase().match(WORD) ?? [];
  const ids = words.flatMap((word) => joined(` ${word}`, order)).slice(0, length);
  if (ids.length === 0) ids.push(NO_CAPTION);
  return [...ids, ...Array<number>(length - ids.length).fill(0)];
}

/** Words of a text that are not among those of training, as inference/labels.py names them. */
export function unseen(text: string, words: readonly string[]): string[] {
  const known = new Set(words);
  const asked = new Set(text.toLowerCase().match(LETTERS) ?? []);
  return known.size ? [...asked].filter((word) => !known.has(word)) : [];
}

function joined(piece: string, order: Map<string, number>): number[] {
  let ids = [...new TextEncoder().encode(piece)].map((byte) => FIRST + byte);
  for (;;) {
    const ranks = ids.slice(1).map((id, i) => order.get(`${ids[i]} ${id}`) ?? Infinity);
    const first = Math.min(...ranks);
    if (first === Infinity) return ids;
    const out: number[] = [];
    for (const id of ids) {
      if (order.get(`${out.at(-1)} ${id}`) === first) out[out.length - 1] = FIRST + 256 + first;
      else out.push(id);
    }
    ids = out;
  }
}
