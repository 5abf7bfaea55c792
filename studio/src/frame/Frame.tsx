import { useEffect, useRef } from "preact/hooks";
import { known, reached } from "../api/client";
import { live } from "../api/events";
import { Drawer } from "../jobs/Drawer";
import { pages } from "../pages";
import { Announcer } from "../parts/announce";
import { Sentence } from "../parts/Sentence";
import { navigate, place } from "../router";
import { say } from "../words";
import { Rail } from "./Rail";
import "./frame.css";

export function Frame() {
  const { page, rest } = place.value;
  const shown = pages.find((one) => one.name === page);
  const main = useRef<HTMLElement>(null);

  useEffect(() => {
    if (shown === undefined) navigate(pages[0].name, [], true);
    else document.title = `${shown.words} · Zeuxis`;
  }, [shown]);

  if (!known.value) return <Gate />;
  const Shown = shown?.page;
  return (
    <div class="frame">
      <button type="button" class="unseen skip" onClick={() => main.current?.focus()}>
        {say.frame.skip}
      </button>
      <Rail />
      <main ref={main} id="main" tabIndex={-1}>
        {!(live.value && reached.value) && <Sentence tone="bad">{say.frame.away}</Sentence>}
        {Shown && <Shown key={`${page}/${rest[0] ?? ""}`} rest={rest} />}
      </main>
      <Drawer />
      <Announcer />
    </div>
  );
}

/** For a browser without a session. */
function Gate() {
  return (
    <main class="gate">
      <img src="./mark.svg" alt="" width={64} height={64} />
      <h1>{say.frame.gateTitle}</h1>
      <p>{say.frame.gate}</p>
    </main>
  );
}
