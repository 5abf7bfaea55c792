/** Words of training, of jobs and of measuring. */

import { count, figures } from "./figures";

const pictures = (n: number) => count(n, "picture", "pictures");

/** "3 minutes", "40 seconds", "1.5 hours". */
function span(seconds: number): string {
  if (seconds < 90) return count(Math.max(1, Math.round(seconds)), "second", "seconds");
  if (seconds < 5400) return count(Math.round(seconds / 60), "minute", "minutes");
  return `${figures.format(Math.round(seconds / 360) / 10)} hours`;
}

function bytes(n: number): string {
  const gigabytes = n / 1e9;
  return gigabytes < 0.95
    ? `${figures.format(Math.max(10, Math.round(n / 1e7) * 10))} MB`
    : `${figures.format(Math.round(gigabytes * 10) / 10)} GB`;
}

export const train = {
  step: "Train",
  title: "Train on your pictures",
  on: "On",
  noSets: "There are no pictures yet.",
  gather: "Gather some first",
  lookAt: "Look at them",
  holds: (n: number) => pictures(n),
  goal: "What should come out?",
  goals: {
    many: {
      title: "Many new pictures",
      words: "Like yours, but none of them. The most faithful; each takes a moment.",
    },
    quick: {
      title: "Sharp and quick",
      words:
        "Two networks learn from each other: one makes pictures, one tells them from yours. Hundreds a second.",
    },
    sliders: {
      title: "Steer and blend",
      words: "Pictures with handles: walk from one to another, mix coarse and fine.",
    },
    small: {
      title: "Small files",
      words:
        "Packs pictures so that they come back exactly; fills what is missing, and says how odd one is.",
    },
    translate: {
      title: "One kind from another",
      words: "Learns from your pairs to make the second of the first: one answer, at once.",
    },
    several: {
      title: "Several answers",
      words: "The same from pairs where more than one answer is right; each takes a moment.",
    },
    apart: {
      title: "Each as the other",
      words: "Two classes without pairs: learns to turn one into the other, both ways.",
    },
    paint: {
      title: "Paint from maps",
      words:
        "Learns from pairs of maps and pictures; then each stroke of yours is a picture, at once.",
    },
    larger: {
      title: "Larger and cleaner",
      words: "Learns what your pictures lose when they are small, and gives it back to others.",
    },
  },
  time: "How long?",
  minutes: (n: number) => count(n, "minute", "minutes"),
  timeWords: {
    3: "a first look",
    10: "simple shapes",
    30: "better detail",
    60: "as good as it gets here",
  } as Record<number, string>,
  way: "Which way?",
  fromTo: (source: string, target: string) => `${source} → ${target}`,
  sides: { left: "left half", right: "right half" } as Record<string, string>,
  measuring: "Trying a few steps on this machine to tell what it costs",
  costs: (steps: number, memory: number, disk: number) =>
    `About ${count(steps, "step", "steps")}; ${bytes(memory)} of memory and ${bytes(disk)} of disk while it runs.`,
  alongside: "Measured beside another training: alone it gets further.",
  busy: "The processor has other work at the moment, so it may take longer or get further.",
  advanced: "Advanced",
  parts: {
    family: "The network",
    training: "How it learns",
    data: "How pictures are prepared",
    machine: "The machine",
  },
  start: "Start training",
  starting: "Starting",
  waitsFor: (n: number) => `It begins after ${count(n, "training", "trainings")} before it.`,
  wrongField: "Something in Advanced is not as it should be.",

  all: "New training",
  gone: "There is no such training",
  of: (goal: string, set: string) => `${goal} · ${set}`,
  state: {
    queued: "Waiting for its turn",
    running: "Learning",
    paused: "Paused",
    stopped: "Stopped, and kept",
    cancelled: "Cancelled",
    failed: "Failed",
    crashed: "Crashed",
    finished: "Finished",
  } as Record<string, string>,
  doing: {
    preparing: "Preparing the pictures",
    measuring: "Measuring how good it is",
  } as Record<string, string>,
  beginning: "Getting ready: reading pictures and trying a few steps",
  place: (n: number) => `${count(n, "training", "trainings")} before it`,
  at: (done: number, total: number) => `Step ${figures.format(done)} of ${figures.format(total)}`,
  left: (seconds: number) => `about ${span(seconds)} left`,
  safe: "You may close this tab, or the browser: training goes on.",
  pause: "Pause",
  resume: "Go on",
  stop: "Stop and keep",
  cancel: "Cancel",
  log: "What it printed",
  noLog: "Nothing yet.",
  noSamples: "The first samples appear here as soon as there are some.",
  samplesAt: (step: number) => `Samples at step ${figures.format(step)}`,
  above: "Above each picture is what it was made from.",
  film: "Film: samples at each step",
  curves: "Curves",
  players: "The two networks",
  progress: "How it goes",
  generator: "Generator",
  generatorDoes: "makes pictures",
  discriminator: "Discriminator",
  discriminatorDoes: "tells them from yours",
  generatorSays: {
    level: "It keeps up with the discriminator.",
    behind: "It is behind, and learns from it.",
    lost: "It learns nothing from the discriminator any more.",
    ahead: "It fools the discriminator.",
  },
  discriminatorSays: {
    level: "It can hardly tell them apart.",
    behind: "It tells most of them apart, as it should.",
    lost: "It is always right: more varied pictures or a shorter training may help.",
    ahead: "It cannot tell them apart.",
  },
  alone: {
    falling: "It still gets better.",
    flat: "It hardly changes any more.",
    rising: "It gets worse: pausing and keeping what there is may be best.",
    early: "Too early to tell.",
  },
  notes: "Notes",
  doctor: "What the doctor found",
  marked: "Dashed lines mark it on the curves.",
  happened: (step: number, text: string) => `Step ${figures.format(step)}: ${text}`,
  curveNames: {
    kernel_distance: "Distance to your pictures, lower is better",
    losses: "What each still gets wrong",
    "discriminator/total": "Discriminator",
    "generator/total": "Generator",
  } as Record<string, string>,
  see: "See the samples",
  seeNow: "Draw with it as it is",
  announce: (state: string) => `${state}.`,
};

export const jobs = {
  open: (running: number, waiting: number) =>
    `${figures.format(running)} running, ${figures.format(waiting)} waiting`,
  title: "Jobs",
  short: "Jobs",
  none: "Nothing was started yet.",
  running: "Running",
  waiting: "Waiting",
  ended: "Ended",
  close: "Close",
  show: "Show",
};

export const judge = {
  step: "Judge",
  title: "How good is it?",
  later: "It is measured once it has learned; what comes of it appears here.",
  none: "This model was not measured yet.",
  measure: "Measure it",
  interval: (between: string) => `95 % interval: ${between}`,
  real: (value: string) => `Other pictures of yours: ${value}`,
  better: (how: string) => `Better: ${how}`,
  words: "In words",
  notes: "What limits these figures",
  near: "Does it copy?",
  nearHow:
    "Left a sample, then the pictures that it learned from which are nearest to it: the closest samples first.",
  original: (n: number) => `Nearest picture ${n}`,
  game: "Real or made?",
  gameHow: (n: number, side: string) =>
    `Half of these ${figures.format(n)} pictures are real (${side}). R says real, M made.`,
  question: (n: number, of: number) => `Picture ${n} of ${of}`,
  real_: "Real",
  made: "Made",
  guessed: (truth: string, right: boolean) => `${truth} ${right ? "✓" : "✗"}`,
  scored: (right: number, of: number, [low, high]: readonly [number, number]) =>
    `${right} of ${of} right (95 % interval: ${low} to ${high} %; by chance ${of / 2}).`,
  again: "Once more",
  beside: "Beside other models",
  besideHow: (most: number) => `Draw the same seed with up to ${most} others:`,
  addPictures: "Add pictures",
  augmented: "Train again, with augmentation",
};
