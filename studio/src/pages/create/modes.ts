/** What can be done on the page that makes pictures, and where the pictures of a verb come from. */

export const MODES = ["grid", "walk", "edit", "picture", "paint", "plain"] as const;
export type Mode = (typeof MODES)[number];

/** Verbs that need no model. */
export const PLAIN = ["restyle", "dream", "texture"] as const;

const OF_VERBS: Record<string, Mode> = {
  sample: "grid",
  interpolate: "walk",
  complete: "edit",
  translate: "picture",
  vary: "picture",
  denoise: "picture",
  reconstruct: "picture",
  ...Object.fromEntries(PLAIN.map((verb) => [verb, "plain" as const])),
};

/** The mode that makes what a verb gives, if one does; `maps`: the model starts from maps. */
export function modeOf(verb: string, maps: boolean): Mode | undefined {
  return verb === "translate" && maps ? "paint" : OF_VERBS[verb];
}
