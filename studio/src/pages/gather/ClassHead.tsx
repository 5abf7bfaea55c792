import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../../parts/Icon";
import { say } from "../../words";
import type { Placed } from "./layout";
import type { Item, PictureSet } from "./set";

/** Name and size of a class; a click on the name of one's own lets it be written anew. */
export function ClassHead({
  set,
  section,
  name,
}: {
  set: PictureSet;
  section: Placed<Item>;
  /** null: what has no class. */
  name: string | null;
}) {
  const facts = set.facts.value;
  const known = facts?.classes.find((one) => one.name === name)?.count;
  const count = facts?.sample && known !== undefined ? known : section.items.length;
  const words = set.finding.value?.sentence ?? say.gather.section(section.key);
  if (name !== null && set.renaming.value === name) return <Rename set={set} name={name} />;
  return (
    <header class="block-head">
      <h2>
        {name === null || facts?.sample ? (
          words
        ) : (
          <button
            type="button"
            class="class-name"
            aria-label={say.gather.rename(name)}
            onClick={() => (set.renaming.value = name)}
          >
            {name}
            <Icon name="pencil" size={16} />
          </button>
        )}
      </h2>
      <span class="soft small">{say.gather.pictures(count)}</span>
    </header>
  );
}

function Rename({ set, name }: { set: PictureSet; name: string }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    input.current?.focus();
    input.current?.select();
  }, []);

  function done(keep: boolean): void {
    if (set.renaming.value !== name) return; // Enter, then the focus left
    const to = input.current?.value.trim() ?? "";
    set.renaming.value = undefined;
    if (keep && to !== "" && to !== name) void set.change({ rename: name, to });
  }

  return (
    <header class="block-head">
      <input
        ref={input}
        class="class-input"
        type="text"
        defaultValue={name}
        maxLength={100}
        aria-label={say.gather.rename(name)}
        onBlur={() => done(true)}
        onKeyDown={(event) => {
          if (event.key === "Enter") done(true);
          if (event.key === "Escape") done(false);
        }}
      />
    </header>
  );
}
