import { say } from "../../words";

export function Gather({ rest }: { rest: string[] }) {
  return <h1 tabIndex={-1}>{rest[0] ?? say.gather.step}</h1>;
}
