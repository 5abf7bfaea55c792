/** Favourites: recipes with small copies, in this browser. The server keeps none: a recipe makes the picture
 * again, so that nothing has to be stored, and a page has no way to fill the disk. */

import { signal } from "@preact/signals";
import { bytes, type Recipe, remade, type Sample } from "./made";

export interface Favourite {
  recipe: Recipe;
  /** Small copy, a PNG file as base64. */
  small: string;
}

const addresses = new Map<string, string>();

/** Where a small copy is shown from. */
export function addressOf({ small }: Favourite): string {
  const known = addresses.get(small);
  if (known !== undefined) return known;
  const made = URL.createObjectURL(new Blob([bytes(small)], { type: "image/png" }));
  addresses.set(small, made);
  return made;
}

const PLACE = "favourites";
const MOST = 64;
const SIDE = 96;

function stored(): Favourite[] {
  try {
    const found = JSON.parse(localStorage.getItem(PLACE) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => one?.recipe && one?.small) : [];
  } catch {
    return [];
  }
}

export const favourites = signal<readonly Favourite[]>(stored());

function write(now: readonly Favourite[]): void {
  favourites.value = now;
  try {
    localStorage.setItem(PLACE, JSON.stringify(now));
  } catch {
    // the browser keeps nothing, or no more: they last as long as the page
  }
}

export const same = (a: Recipe, b: Recipe) => JSON.stringify(a) === JSON.stringify(b);

/** Keep a picture, or let it go if it is kept. */
export async function toggle(sample: Sample): Promise<void> {
  const others = favourites.value.filter((one) => !same(one.recipe, sample.recipe));
  if (others.length < favourites.value.length) return write(others);
  const small = await shrunk(sample.address);
  write([...favourites.value, { recipe: sample.recipe, small }].slice(-MOST));
}

export function forget(favourite: Favourite): void {
  write(favourites.value.filter((one) => one !== favourite));
}

async function shrunk(address: string): Promise<string> {
  const image = new Image();
  image.src = address;
  await image.decode();
  const scale = Math.min(1, SIDE / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png").split(",")[1] ?? "";
}

/** The place of a picture among those of a seed, if it was drawn from one. */
export function placeOf({ verb, body, index }: Recipe): [number, number] | undefined {
  return verb === "sample" ? [Number(body.seed ?? 0), index] : undefined;
}

/** A picture's file, as it was made. */
export const fileOf = (favourite: Favourite) => remade(favourite.recipe);
