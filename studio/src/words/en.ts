/** Every word that the page shows, but for the server's sentences. */

const plural = new Intl.PluralRules("en");
const figures = new Intl.NumberFormat("en");

/** "1 picture", "1,200 pictures". */
export function count(n: number, one: string, many: string): string {
  return `${figures.format(n)} ${plural.select(n) === "one" ? one : many}`;
}

const pictures = (n: number) => count(n, "picture", "pictures");

export const en = {
  frame: {
    skip: "Skip to the page",
    steps: "Steps",
    theme: {
      system: "Colours as the system has them",
      light: "Light colours",
      dark: "Dark colours",
    },
    themeNow: (now: string) => `${now}. Change`,
    away: "The studio is not running. Trainings go on without it; start it again with “zeuxis studio”.",
    gateTitle: "The studio does not know this browser yet",
    gate: "Open the address that “zeuxis studio” printed in its terminal. It lets a browser in once; if it was used, stop the studio with Ctrl-C and start it again. Trainings go on meanwhile.",
    loading: "One moment",
    again: "Try again",
  },
  forms: {
    byItself: "As it fits",
    missing: "This one is needed.",
    number: "This is no number.",
    whole: "A whole number, please.",
    atLeast: (bound: number) => `At least ${figures.format(bound)}.`,
    atMost: (bound: number) => `At most ${figures.format(bound)}.`,
    above: (bound: number) => `More than ${figures.format(bound)}.`,
    below: (bound: number) => `Less than ${figures.format(bound)}.`,
    length: (bound: number) => `Here ${figures.format(bound)} are expected.`,
  },
  gather: {
    step: "Gather",
    pictures,
  },
};
