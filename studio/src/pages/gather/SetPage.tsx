import { useEffect, useState } from "preact/hooks";
import { API, ApiError, ask } from "../../api/client";
import { Button, Go } from "../../parts/Button";
import { Icon } from "../../parts/Icon";
import { Next } from "../../parts/Next";
import { Sentence } from "../../parts/Sentence";
import { Title } from "../../parts/Title";
import { href, navigate } from "../../router";
import { say } from "../../words";
import { pages } from "..";
import { Chosen } from "./Chosen";
import { DropField, usePicker } from "./DropField";
import { Findings } from "./Findings";
import { arrange, type Dropped } from "./files";
import { Grid } from "./Grid";
import { forget, type PictureSet, pictureSet } from "./set";

/** A set: its pictures by class, and beside them what should be known of it. */
export function SetPage({ id }: { id: string }) {
  const set = pictureSet(id);
  const facts = set.facts.value;
  const missing = set.missing.value;
  const { inputs, pickFiles, pickFolder } = usePicker(take);

  function take(dropped: Dropped[], into?: string): void {
    const { files } = arrange(dropped, set.classes.value.length === 0 && into === undefined);
    if (files.length === 0) set.refused.value = say.gather.noPictures;
    else
      set.send(
        into === undefined ? files : files.map((one) => ({ ...one, path: `${into}/${one.path}` })),
      );
  }

  useEffect(() => {
    function key(event: KeyboardEvent): void {
      const undo = event.key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
      if (
        !undo ||
        event.target instanceof HTMLInputElement ||
        event.target instanceof HTMLTextAreaElement
      )
        return;
      event.preventDefault();
      void set.undo();
    }
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [set]);

  if (facts === undefined && missing === undefined) {
    return <p class="unseen">{say.frame.loading}</p>;
  }
  if (facts === undefined) {
    return (
      <>
        <Title>{say.gather.notHere}</Title>
        <Sentence tone="bad">{missing?.message}</Sentence>
        <a href={href("gather")}>{say.gather.allSets}</a>
      </>
    );
  }
  const own = !facts.sample;
  return (
    <DropField class="set-page" onFiles={(files) => own && take(files)}>
      {(over) => (
        <>
          <header class="set-head">
            <div>
              <a class="back" href={href("gather")}>
                <Icon name="back" size={18} />
                {say.gather.allSets}
              </a>
              <Title>{facts.name}</Title>
              <p class="soft">{say.gather.holds(facts)}</p>
            </div>
            {own && (
              <div class="set-tools">
                {facts.undo && (
                  <Button quiet icon="undo" onClick={() => void set.undo()}>
                    {say.gather.undo(facts.undo)}
                  </Button>
                )}
                <Button icon="plus" onClick={pickFiles}>
                  {say.gather.addFiles}
                </Button>
                <Button icon="folder" onClick={pickFolder}>
                  {say.gather.addFolder}
                </Button>
              </div>
            )}
          </header>
          {inputs}
          <Sending set={set} />
          {set.refused.value !== "" && <Sentence tone="bad">{set.refused}</Sentence>}
          <div class="set-body">
            <div class="set-pictures">
              {over && own && <p class="drop-here">{say.gather.dropNow}</p>}
              <Grid set={set} onFiles={take} />
            </div>
            <aside class="set-side">
              <Chosen set={set} />
              <Findings set={set} facts={facts} />
              {own && <Delete set={set} />}
            </aside>
          </div>
          <Forward set={set} />
        </>
      )}
    </DropField>
  );
}

function Sending({ set }: { set: PictureSet }) {
  const { done, total } = set.sending.value;
  if (!set.busy.value) return null;
  return (
    <div class="sending">
      <progress max={total} value={done} aria-label={say.gather.sending(done, total)} />
      <span class="soft small">{say.gather.sending(done, total)}</span>
    </div>
  );
}

function Delete({ set }: { set: PictureSet }) {
  const [sure, setSure] = useState(false);
  async function remove(): Promise<void> {
    try {
      await ask(`${API}/datasets/${encodeURIComponent(set.id)}`, { method: "DELETE" });
      forget(set.id);
      navigate("gather");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      set.refused.value = error.message;
      setSure(false);
    }
  }
  if (!sure) {
    return (
      <Button quiet onClick={() => setSure(true)}>
        {say.gather.remove}
      </Button>
    );
  }
  return (
    <Sentence tone="bad">
      <p>{say.gather.removeSure}</p>
      <Button quiet onClick={() => void remove()}>
        {say.gather.removeYes}
      </Button>
      <Button quiet onClick={() => setSure(false)}>
        {say.gather.removeNo}
      </Button>
    </Sentence>
  );
}

/** To the page that trains, if there is one. */
function Forward({ set }: { set: PictureSet }) {
  const next = pages.find((page) => page.name === "train");
  const ready = (set.facts.value?.count ?? 0) > 0 && !set.busy.value;
  if (next === undefined || !ready) return null;
  return (
    <Next>
      <Go primary to={href(next.name, set.id)}>
        {say.gather.train}
      </Go>
    </Next>
  );
}
