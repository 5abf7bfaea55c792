/** Words of the page that hands a model on. */

import { figures } from "./figures";

export const exporting = {
  step: "Export",
  title: "Export",
  kinds: {
    page: {
      title: "A page",
      words: "One file that draws by itself, without a server.",
      whom: "For anybody with a browser",
    },
    npm: {
      title: "A package",
      words: "generate({ seed, count }) with types, for node and browsers.",
      whom: "For web programmers",
    },
    onnx: {
      title: "Networks",
      words: "ONNX files with what they take and give, and how exact they are.",
      whom: "For other programs and languages",
    },
    sheet: {
      title: "A sheet",
      words: "64 new pictures in one, and where each lies.",
      whom: "For game engines",
    },
    folder: {
      title: "The model",
      words: "Its weights with their card, without what training left.",
      whom: "For whoever has Zeuxis",
    },
    python: {
      title: "Python",
      words: "A few lines that draw the same pictures.",
      whom: "For scripts and notebooks",
    },
    rest: { title: "REST", words: "A server that answers any language.", whom: "For services" },
  },
  write: "Write it",
  again: "Write it again",
  writing: "Being written",
  download: "Download",
  size: (bytes: number) =>
    bytes < 1e6
      ? `${figures.format(Math.max(1, Math.round(bytes / 1e3)))} kB`
      : `${figures.format(Math.round(bytes / 1e5) / 10)} MB`,
  copy: "Copy",
  copied: "Copied.",
  use: "How it is used",
  safe: "It is written by a job: you may leave this page meanwhile.",
};
