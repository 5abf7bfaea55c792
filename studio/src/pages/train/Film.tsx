import { useEffect, useRef } from "preact/hooks";
import { say } from "../../words";
import type { Following } from "./run";

/** Samples of every step that has some; arrow keys go from one to the next. */
export function Film({
  run,
  steps,
  at,
  onPick,
}: {
  run: Following;
  steps: readonly number[];
  at: number | undefined;
  onPick: (step: number) => void;
}) {
  const strip = useRef<HTMLDivElement>(null);
  const moved = useRef(false);

  useEffect(() => {
    const chosen = strip.current?.querySelector<HTMLElement>('[aria-checked="true"]');
    if (strip.current !== null && chosen != null) {
      const middle = chosen.offsetLeft - (strip.current.clientWidth - chosen.clientWidth) / 2;
      strip.current.scrollTo({ left: middle });
    }
    if (moved.current) chosen?.focus();
    moved.current = false;
  }, [at, steps.length]);

  function key(event: KeyboardEvent): void {
    const now = steps.indexOf(at ?? -1);
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: steps.length - 1 }[
      event.key
    ];
    const step = to === undefined ? undefined : steps[to];
    if (step === undefined) return;
    event.preventDefault();
    moved.current = true;
    onPick(step);
  }

  return (
    <div ref={strip} class="film" role="radiogroup" aria-label={say.train.film} onKeyDown={key}>
      {steps.map((step) => (
        // biome-ignore lint/a11y/useSemanticElements: a picture that is pressed, not a form's field
        <button
          key={step}
          type="button"
          role="radio"
          aria-checked={step === at}
          aria-label={say.train.samplesAt(step)}
          tabIndex={step === at ? 0 : -1}
          class="frame-of-film"
          onClick={() => onPick(step)}
        >
          <img src={run.sheet(step, 96)} alt="" loading="lazy" width={96} />
          <span class="small">{step}</span>
        </button>
      ))}
    </div>
  );
}
