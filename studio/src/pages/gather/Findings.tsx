import { Button } from "../../parts/Button";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import type { Facts, Finding, PictureSet } from "./set";

/** What should be known of a set, the worst first; and whether it is enough. */
export function Findings({ set, facts }: { set: PictureSet; facts: Facts }) {
  const open = facts.findings.filter((one) => one.fix !== null && !one.fixed);
  const looking = facts.pending > 0 || set.busy.value;
  return (
    <>
      <section class="findings" aria-labelledby="findings">
        <h2 id="findings">{say.gather.findings}</h2>
        {looking && <p class="soft small">{say.gather.looking(facts.pending)}</p>}
        {!looking && facts.findings.length === 0 && <p class="soft">{say.gather.nothing}</p>}
        <ul>
          {facts.findings.map((finding) => (
            <li key={`${finding.id}/${finding.fixed}`}>
              <One set={set} finding={finding} looking={looking} undo={isLast(facts, finding)} />
            </li>
          ))}
        </ul>
        {open.length > 1 && (
          <Button disabled={looking} onClick={() => void set.fixAll()}>
            {say.gather.fixAll(open.length)}
          </Button>
        )}
      </section>
      <section class="findings" aria-labelledby="enough">
        <h2 id="enough">{say.gather.enough}</h2>
        <Sentence tone={facts.enough.level === "few" ? "bad" : facts.enough.level}>
          {facts.enough.sentence}
        </Sentence>
      </section>
    </>
  );
}

/** Whether Undo would take this fix back: the last one that was made. */
function isLast(facts: Facts, finding: Finding): boolean {
  return facts.undo !== null && facts.findings.findLast((one) => one.fixed)?.id === finding.id;
}

function One({
  set,
  finding,
  looking,
  undo,
}: {
  set: PictureSet;
  finding: Finding;
  /** The finding may still change, so that its fix would mend something else than it says. */
  looking: boolean;
  undo: boolean;
}) {
  const shown = set.shown.value === finding.id;
  const { fix, fixed, items, sentence } = finding;
  const tone = fixed ? "good" : finding.severity;
  function show(): void {
    set.chosen.value = new Set();
    set.shown.value = shown ? undefined : finding.id;
  }
  return (
    <Sentence tone={tone}>
      <p>{sentence}</p>
      <div class="finding-buttons">
        {items.length > 0 && (
          <Button quiet aria-pressed={shown} onClick={show}>
            {shown ? say.gather.showAll : say.gather.show}
          </Button>
        )}
        {fix !== null && !fixed && (
          <Button quiet disabled={looking} onClick={() => void set.change({ fix: finding.id })}>
            {fix}
          </Button>
        )}
        {fixed && undo && (
          <Button quiet onClick={() => void set.undo()}>
            {say.gather.undoFix}
          </Button>
        )}
      </div>
    </Sentence>
  );
}
