/** Words of the page that tells what marks pictures carry. */

import { count, figures } from "./figures";

export const verify = {
  step: "Verify",
  title: "Where does a picture come from?",
  subtitle:
    "A picture may carry marks that say that a model made it. What you choose stays on this machine.",
  dropHere: (most: number) => `Or drop them here, up to ${figures.format(most)} at a time.`,
  looking: "Looking for marks",
  looked: (n: number) => `${count(n, "file", "files")} looked at.`,
  answers: {
    0: "Made by Zeuxis",
    1: "Says it is AI-made",
    3: "Edited since",
    4: "No mark found, which proves nothing",
    2: "Cannot be read",
  } as Record<number, string>,
  why: {
    0: "Its watermark is there, or a signature by your own key.",
    1: "It says so itself; anybody can write that.",
    3: "Its signature no longer fits, or its watermark is there and what stood beside it is gone.",
    4: "Most pictures carry no mark, drawn ones included. That a picture is real, nobody can tell from it.",
    2: "It is no picture or film that is known here.",
  } as Record<number, string>,
  thorough: "Look for crops, turned and mirrored pictures, too",
  thoroughWords: "Takes seconds for each.",
};
