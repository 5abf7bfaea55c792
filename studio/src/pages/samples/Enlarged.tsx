import { useEffect, useRef } from "preact/hooks";
import { Button } from "../../parts/Button";
import { say } from "../../words";
import { labelled, type Sample, save } from "./made";

/** One sample over the page; arrow keys show the others. */
export function Enlarged({
  samples,
  at,
  name,
  onAt,
}: {
  samples: Sample[];
  at: number;
  name: string;
  onAt: (at: number | undefined) => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const sample = samples[at];
  if (sample === undefined) return null;
  const title = say.samples.tile(at + 1);

  function key(event: KeyboardEvent): void {
    const to = at + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0);
    if (to !== at && samples[to] !== undefined) onAt(to);
  }

  return (
    <dialog
      ref={dialog}
      class="enlarged"
      aria-label={say.samples.enlarge}
      onClose={() => onAt(undefined)}
      onKeyDown={key}
    >
      <img class="pixels" src={sample.address} alt={[title, ...labelled(sample)].join(", ")} />
      <p>{[title, ...labelled(sample)].join(" · ")}</p>
      <div class="enlarged-tools">
        <Button icon="back" disabled={at === 0} onClick={() => onAt(at - 1)}>
          {say.samples.before}
        </Button>
        <Button icon="next" disabled={at === samples.length - 1} onClick={() => onAt(at + 1)}>
          {say.samples.after}
        </Button>
        <Button icon="download" onClick={() => save(sample.address, `${name}-${at}.png`)}>
          {say.samples.download}
        </Button>
        <Button icon="close" onClick={() => dialog.current?.close()}>
          {say.samples.close}
        </Button>
      </div>
    </dialog>
  );
}
