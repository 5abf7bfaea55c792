/** The game: real or made, one picture at a time. */

/** Pictures of each kind that are asked about, at most. */
export const EACH = 8;

/** Places to ask about: as many made ones as there are real ones, in an order that tells nothing. */
export function questions(tiles: number, real: readonly number[]): number[] {
  const all = Array.from({ length: tiles }, (_, i) => i);
  const made = all.filter((i) => !real.includes(i)).slice(0, Math.min(EACH, real.length));
  // places were shuffled when the sheet was made, so their order says nothing of what they are
  return [...real.slice(0, EACH), ...made].sort((a, b) => a - b);
}

/** Wilson's 95 % interval of a share, in per cent (Wilson, 1927). */
export function interval(right: number, of: number): [number, number] {
  const z = 1.96;
  const share = right / of;
  const middle = (share + (z * z) / (2 * of)) / (1 + (z * z) / of);
  const half =
    (z / (1 + (z * z) / of)) * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of));
  return [Math.round(100 * (middle - half)), Math.round(100 * (middle + half))];
}
