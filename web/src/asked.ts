// What pictures are asked to show; what is left open is drawn as training images had it: inference/labels.py.
import type { Meta } from "./meta";
import { derive } from "./random";

/** Class indices of one picture, a column a condition; `labels` are names of classes by condition. */
export function labelsOf(
  meta: Meta,
  seed: number,
  row: number,
  labels: Record<string, string>,
): number[] {
  const names = meta.asked.labels ?? [];
  const wanted = Object.entries(labels).map(([name, value]): [number, number] => {
    const column = names.findIndex((each) => each.name === name);
    const index = names[column]?.classes.indexOf(value) ?? -1;
    if (column < 0) throw new Error(`no condition ${name} in this model`);
    if (index < 0) throw new Error(`no ${name} ${value} in this model`);
    return [column, index];
  });
  const all = meta.asked.table ?? [];
  const agree = all.filter(([one]) => wanted.every(([column, index]) => one[column] === index));
  const rows = agree.length ? agree : all;
  const total = rows.reduce((sum, [, count]) => sum + count, 0);
  const point = Number(derive(seed, "label", row)) / 2 ** 63;
  let edge = 0;
  const found = rows.find(([, count]) => {
    edge += count / total;
    return edge > point;
  });
  const chosen = [...((found ?? rows[rows.length - 1])?.[0] ?? [])];
  for (const [column, index] of wanted) chosen[column] = index;
  return chosen;
}

/** Which of the captions and numbers of training images a picture is asked for. */
export function exampleOf(meta: Meta, seed: number, row: number): number {
  const count = meta.asked.examples?.length ?? 0;
  return count ? Number(derive(seed, "example", row) % BigInt(count)) : -1;
}
