/** Every word that the page shows, but for the server's sentences. */

import { create } from "./create";
import { exporting } from "./export";
import { count, figures } from "./figures";
import { jobs, judge, train } from "./train";
import { verify } from "./verify";

export { count };

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
    title: "Gather pictures",
    subtitle: "They stay on this machine. The more alike they are, the fewer are needed.",
    drop: "Drop pictures or folders here",
    dropNow: "Let go to add them",
    kinds: "PNG, JPEG, WebP, GIF, TIFF and others. A folder in a folder becomes a class.",
    pickFiles: "Choose pictures",
    pickFolder: "Choose a folder",
    noPictures: "There are no pictures among these files.",
    unnamed: "Pictures",
    yours: "Your sets",
    samples: "Or look at a sample",
    allSets: "All sets",
    notHere: "This set is not here",
    addFiles: "Add pictures",
    addFolder: "Add a folder",
    undo: (words: string) => `Undo: ${words}`,
    undone: (words: string) => `Taken back: ${words}.`,
    sending: (done: number, total: number) => `${figures.format(done)} of ${pictures(total)} read`,
    arrived: (total: number) => `${pictures(total)} read.`,
    holds: (set: { count: number; classes: unknown[]; captions: number; excluded: number }) =>
      [
        pictures(set.count),
        set.classes.length > 0 && count(set.classes.length, "class", "classes"),
        set.captions > 0 && count(set.captions, "caption", "captions"),
        set.excluded > 0 && `${figures.format(set.excluded)} left out`,
      ]
        .filter(Boolean)
        .join(" · "),
    section: (key: string) =>
      key.startsWith("class:") ? key.slice("class:".length) : (sections[key] ?? key),
    rename: (name: string) => `Rename ${name}`,
    tile: (item: { name: string; caption: string; excluded: boolean; problem: string | null }) =>
      [item.caption || item.name, item.excluded && "left out", item.problem]
        .filter(Boolean)
        .join(", "),
    chosen: (n: number) => `${pictures(n)} chosen`,
    size: (width: number, height: number) =>
      `${figures.format(width)} × ${figures.format(height)} pixels`,
    classOf: "Class",
    several: "Several",
    noClass: "No class",
    newClass: "New class",
    newClassOption: "New class …",
    caption: "Caption",
    captionHint: "What it shows",
    leaveOut: "Leave out",
    takeBack: "Take back in",
    chooseNone: "Choose none",
    keys: "Arrows move, Space chooses, Enter comes here, E leaves out, Ctrl+Z takes back.",
    moved: (n: number, label: string | null) =>
      label === null ? `${pictures(n)} without a class.` : `${pictures(n)} put into ${label}.`,
    excluded: (n: number, excluded: boolean) =>
      excluded ? `${pictures(n)} left out.` : `${pictures(n)} taken back in.`,
    findings: "What to know",
    found: (n: number) =>
      count(n, "thing to know about these pictures.", "things to know about these pictures."),
    looking: (n: number) => (n > 0 ? `Looking at ${pictures(n)} …` : "Looking at the pictures …"),
    nothing: "Nothing stands out: no broken files, no copies.",
    show: "Show",
    showAll: "Show all",
    fixAll: (n: number) => (n === 2 ? "Do both" : `Do all ${figures.format(n)}`),
    undoFix: "Undo",
    enough: "Enough?",
    changedElsewhere: "The set was changed in another window meanwhile. Here is how it is now.",
    remove: "Delete this set",
    removeSure: "The pictures of this set are deleted from the studio. Your own files stay.",
    removeYes: "Delete it",
    removeNo: "Keep it",
    train: "Train",
  },
  train,
  jobs,
  create,
  exporting,
  judge,
  verify,
};

const sections: Record<string, string> = {
  unlabelled: "Without a class",
  unreadable: "Could not be read",
  excluded: "Left out",
};
