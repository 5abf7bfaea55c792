import "./gather.css";
import { SetPage } from "./SetPage";
import { Start } from "./Start";

/** `#/gather` begins a set, `#/gather/icons` shows one. */
export function Gather({ rest }: { rest: string[] }) {
  const [id] = rest;
  return id === undefined ? <Start /> : <SetPage id={id} />;
}
