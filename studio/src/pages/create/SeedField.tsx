import { Button } from "../../parts/Button";
import { say } from "../../words";
import { anySeed } from "./asked";

/** A seed, or one of its pictures, and a button for another. */
export function SeedField({
  id,
  label,
  value,
  read,
  hint,
  dice,
  onChange,
}: {
  id: string;
  label: string;
  value: string;
  /** What is typed, if it is right. */
  read: (typed: string) => unknown;
  hint?: string;
  /** Words on the button; without, it has none. */
  dice?: string;
  onChange: (typed: string) => void;
}) {
  return (
    <>
      <label for={id}>{label}</label>
      <div class="seed">
        <input
          id={id}
          type="text"
          inputMode="numeric"
          value={value}
          aria-describedby={hint}
          onInput={(event) => {
            const typed = event.currentTarget.value.trim() || "0";
            if (read(typed) !== undefined) onChange(typed);
          }}
        />
        <Button
          icon="dice"
          aria-label={dice ?? `${say.create.dice}: ${label}`}
          onClick={() => onChange(String(anySeed()))}
        >
          {dice}
        </Button>
      </div>
    </>
  );
}
