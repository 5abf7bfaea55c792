import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../parts/Button";
import { say } from "../../words";
import { favourites, same, toggle } from "./favourites";
import { labelled, type Sample, save } from "./made";
import { sharp } from "./Tiles";

/** One picture over the page; arrow keys show the others. */
export function Enlarged({
  samples,
  at,
  name,
  onAt,
}: {
  samples: readonly Sample[];
  at: number;
  name: string;
  onAt: (at: number | undefined) => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [copied, setCopied] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  const sample = samples[at];
  if (sample === undefined) return null;
  const title = say.create.tile(at + 1);
  const recipe = JSON.stringify(sample.recipe, (key, value) => short(key, value), 1);
  const kept = favourites.value.some((one) => same(one.recipe, sample.recipe));

  function key(event: KeyboardEvent): void {
    const to = at + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0);
    if (to !== at && samples[to] !== undefined) onAt(to);
    if (event.key === "f" && sample !== undefined) void toggle(sample);
  }

  return (
    <dialog
      ref={dialog}
      class="enlarged"
      aria-label={say.create.enlarge}
      onClose={() => onAt(undefined)}
      onKeyDown={key}
    >
      <img
        class="pixels"
        src={sample.address}
        alt={[title, ...labelled(sample)].join(", ")}
        onLoad={sharp}
      />
      <p>{[title, ...labelled(sample)].join(" · ")}</p>
      <div class="enlarged-tools">
        <Button icon="back" disabled={at === 0} onClick={() => onAt(at - 1)}>
          {say.create.before}
        </Button>
        <Button icon="next" disabled={at === samples.length - 1} onClick={() => onAt(at + 1)}>
          {say.create.after}
        </Button>
        <Button icon="star" aria-pressed={kept} onClick={() => void toggle(sample)}>
          {say.create.keep}
        </Button>
        <Button icon="download" onClick={() => save(sample.address, `${name}-${at}.png`)}>
          {say.create.download}
        </Button>
        <Button icon="close" onClick={() => dialog.current?.close()}>
          {say.create.close}
        </Button>
      </div>
      <details class="recipe">
        <summary>{say.create.recipe}</summary>
        <pre class="small">{recipe}</pre>
        <Button
          quiet
          onClick={() => void navigator.clipboard.writeText(recipe).then(() => setCopied(true))}
        >
          {copied ? say.create.copied : say.create.copy}
        </Button>
      </details>
    </dialog>
  );
}

/** Files in a recipe as what they are. */
function short(key: string, value: unknown): unknown {
  const file = typeof value === "string" && value.length > 500 && key !== "text";
  return file ? `(${value.length} characters)` : value;
}
