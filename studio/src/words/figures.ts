/** Numbers and plurals as English has them. */

const plural = new Intl.PluralRules("en");
export const figures = new Intl.NumberFormat("en");

/** "1 picture", "1,200 pictures". */
export function count(n: number, one: string, many: string): string {
  return `${figures.format(n)} ${plural.select(n) === "one" ? one : many}`;
}
