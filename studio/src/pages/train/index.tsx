import { Begin } from "./Begin";
import { RunPage } from "./RunPage";
import "./train.css";

/** `#/train/SET` begins a training, `#/train/job/ID` shows one. */
export function Train({ rest }: { rest: string[] }) {
  const [first, job] = rest;
  return first === "job" && job !== undefined ? (
    <RunPage key={job} id={job} />
  ) : (
    <Begin set={first} />
  );
}
