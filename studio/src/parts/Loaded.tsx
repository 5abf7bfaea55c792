import type { ComponentChildren } from "preact";
import type { Resource } from "../api/client";
import { say } from "../words";
import { Button } from "./Button";
import { Sentence } from "./Sentence";

/** What is drawn of a resource: its value once it is there, else the server's sentence. */
export function Loaded<T>({
  from,
  children,
}: {
  from: Resource<T>;
  children: (value: T) => ComponentChildren;
}) {
  const value = from.value.value;
  if (value !== undefined) return <>{children(value)}</>;
  const error = from.error.value;
  if (error === undefined) return <p class="unseen">{say.frame.loading}</p>;
  return (
    <Sentence tone="bad">
      {error.message}{" "}
      <Button quiet onClick={() => void from.refresh()}>
        {say.frame.again}
      </Button>
    </Sentence>
  );
}
