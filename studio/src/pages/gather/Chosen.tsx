import { useRef } from "preact/hooks";
import { API } from "../../api/client";
import { Button } from "../../parts/Button";
import { say } from "../../words";
import { isPixelArt } from "./Grid";
import type { Item, PictureSet } from "./set";

const NEW = "+"; // no class is called so: the server trims and the page asks for a name
const NONE = "-";

/** What can be done with the pictures that are chosen, without dragging. */
export function Chosen({ set }: { set: PictureSet }) {
  const picked = set.picked.value;
  const [only, ...more] = picked;
  if (only === undefined) return null;
  const one = more.length === 0 ? only : undefined;
  const sample = set.facts.value?.sample ?? false;
  return (
    <section class="chosen" aria-label={say.gather.chosen(picked.length)}>
      {one?.sha && (
        <img
          class={isPixelArt(one) ? "pixels" : ""}
          src={`${API}/images/${one.sha}?size=512`}
          alt={one.caption || one.name}
        />
      )}
      <h3>{one ? (one.name.split("/").at(-1) ?? "") : say.gather.chosen(picked.length)}</h3>
      {one && <p class="soft small">{one.problem ?? say.gather.size(one.width, one.height)}</p>}
      {!sample && <Controls set={set} picked={picked} only={only} key={ids(picked).join()} />}
    </section>
  );
}

function ids(picked: readonly Item[]): string[] {
  return picked.map((item) => item.id);
}

function Controls({ set, picked, only }: { set: PictureSet; picked: readonly Item[]; only: Item }) {
  const caption = useRef<HTMLInputElement>(null);
  const label = picked.every((item) => item.label === only.label) ? (only.label ?? NONE) : "";
  const said = picked.every((item) => item.caption === only.caption) ? only.caption : "";
  const away = picked.every((item) => item.excluded);

  function move(to: string): void {
    if (to === NEW) void set.newClass(ids(picked));
    else if (to !== "") void set.label(ids(picked), to === NONE ? null : to.slice(1));
  }

  function write(): void {
    const words = caption.current?.value ?? said;
    if (words !== said) void set.change({ items: ids(picked), caption: words });
  }

  return (
    <>
      <label>
        <span>{say.gather.classOf}</span>
        <select
          id="class-of-chosen"
          value={label === NONE || label === "" ? label : `=${label}`}
          onChange={(event) => move(event.currentTarget.value)}
        >
          {label === "" && <option value="">{say.gather.several}</option>}
          <option value={NONE}>{say.gather.noClass}</option>
          {set.classes.value.map((name) => (
            <option key={name} value={`=${name}`}>
              {name}
            </option>
          ))}
          <option value={NEW}>{say.gather.newClassOption}</option>
        </select>
      </label>
      <label>
        <span>{say.gather.caption}</span>
        <input
          ref={caption}
          type="text"
          defaultValue={said}
          placeholder={say.gather.captionHint}
          maxLength={10_000}
          onBlur={write}
          onKeyDown={(event) => event.key === "Enter" && write()}
        />
      </label>
      <div class="chosen-buttons">
        <Button icon={away ? "plus" : "hide"} onClick={() => void set.exclude(picked)}>
          {away ? say.gather.takeBack : say.gather.leaveOut}
        </Button>
        <Button quiet onClick={() => (set.chosen.value = new Set())}>
          {say.gather.chooseNone}
        </Button>
      </div>
      <p class="soft small">{say.gather.keys}</p>
    </>
  );
}
