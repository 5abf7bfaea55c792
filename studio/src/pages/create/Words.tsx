import { useId } from "preact/hooks";
import { say } from "../../words";

const SHOWN = 12;

/** A text for a model, with the words that it knows as one types. */
export function Words({
  words,
  value,
  onChange,
}: {
  words: readonly string[];
  value: string;
  onChange: (text: string) => void;
}) {
  const id = useId();
  const begun = /\S*$/.exec(value)?.[0] ?? "";
  const used = new Set(value.toLowerCase().split(/\W+/));
  const fitting = suggested(words, begun, used);

  function add(word: string): void {
    onChange(`${value.slice(0, value.length - begun.length)}${word} `);
    document.getElementById(id)?.focus();
  }

  return (
    <div class="line words">
      <label for={id}>{say.create.text}</label>
      <input
        id={id}
        type="text"
        value={value}
        maxLength={4000}
        autocomplete="off"
        aria-describedby={words.length > 0 ? `${id}-hint` : undefined}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      {words.length > 0 && (
        <p id={`${id}-hint`} class="small soft">
          {say.create.textHint}
        </p>
      )}
      <ul aria-label={say.create.suggested}>
        {fitting.map((word) => (
          <li key={word}>
            <button type="button" class="word" onClick={() => add(word)}>
              {word}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Words that begin as the last one does, else others that are not used yet. */
export function suggested(
  words: readonly string[],
  begun: string,
  used: ReadonlySet<string>,
): string[] {
  const start = begun.toLowerCase();
  const long = words.filter((word) => word.length > 2 && (word === start || !used.has(word)));
  const fitting = start === "" ? long : long.filter((word) => word.startsWith(start));
  return fitting.filter((word) => word !== start).slice(0, SHOWN);
}
