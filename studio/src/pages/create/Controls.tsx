import { Form } from "../../forms/Form";
import { labelled as named } from "../../forms/schema";
import { say } from "../../words";
import { type Asked, changed, seedOf } from "./asked";
import { controlsOf, type Described } from "./made";
import { SeedField } from "./SeedField";
import { Words } from "./Words";

const COUNTS = [16, 64, 256];
/** Of a model that draws one at a time. */
export const FEW = [1, 4, 16];

/** What can be set for pictures of a model: seed, count, words, classes, numbers, controls. */
export function Controls({
  model,
  verb,
  asked,
  counts = false,
  onChange,
}: {
  model: Described;
  verb: string;
  asked: Asked;
  /** Whether how many is asked, too. */
  counts?: boolean;
  onChange: (asked: Asked) => void;
}) {
  const schema = model.verbs[verb];
  const controls = controlsOf(schema);
  const takes = (name: string) => schema?.properties?.[name] !== undefined;
  const set = (change: Partial<Asked>) => onChange(changed(asked, change));
  return (
    <>
      {model.words !== null && takes("text") && (
        <Words words={model.words} value={asked.text} onChange={(text) => set({ text })} />
      )}
      <div class="controls">
        {takes("seed") && <Seed asked={asked} onChange={onChange} />}
        {counts && (
          <fieldset class="line counts">
            <legend>{say.create.count}</legend>
            {[...new Set([...(model.alone ? FEW : COUNTS), asked.count])].map((one) => (
              <label key={one}>
                <input
                  type="radio"
                  name="count"
                  checked={one === asked.count}
                  onChange={() => onChange({ ...asked, count: one })}
                />
                {one}
              </label>
            ))}
          </fieldset>
        )}
        {takes("labels") &&
          Object.entries(model.conditions).map(([name, classes]) => (
            <div class="line" key={name}>
              <label for={`label-${name}`}>{named(name)}</label>
              <select
                id={`label-${name}`}
                value={asked.labels[name] ?? ""}
                onChange={(event) => {
                  const { [name]: _, ...others } = asked.labels;
                  const value = event.currentTarget.value;
                  set({ labels: value === "" ? others : { ...others, [name]: value } });
                }}
              >
                <option value="">{say.create.any}</option>
                {classes.map((one) => (
                  <option key={one} value={one}>
                    {one}
                  </option>
                ))}
              </select>
            </div>
          ))}
        {takes("numbers") &&
          model.numbers.map(({ name, mean, deviation }) => (
            <div class="line" key={name}>
              <label for={`number-${name}`}>{named(name)}</label>
              <input
                id={`number-${name}`}
                type="text"
                inputMode="decimal"
                defaultValue={String(asked.numbers[name] ?? "")}
                aria-describedby={`number-${name}-hint`}
                onChange={(event) => {
                  const { [name]: _, ...others } = asked.numbers;
                  const typed = event.currentTarget.value.trim().replace(",", ".");
                  const value = Number(typed);
                  if (Number.isFinite(value))
                    set({ numbers: typed === "" ? others : { ...others, [name]: value } });
                }}
              />
              <p id={`number-${name}-hint`} class="small soft">
                {say.create.number(named(name), mean, deviation)}
              </p>
            </div>
          ))}
      </div>
      {controls !== undefined && Object.keys(controls.properties ?? {}).length > 0 && (
        <details class="advanced">
          <summary>{say.create.controls}</summary>
          <Form
            schema={controls}
            values={asked.controls}
            onChange={(values) => set({ controls: values })}
          />
        </details>
      )}
    </>
  );
}

function Seed({ asked, onChange }: { asked: Asked; onChange: (asked: Asked) => void }) {
  return (
    <div class="line">
      <SeedField
        id="seed"
        label={say.create.seed}
        value={String(asked.seed)}
        read={seedOf}
        hint="seed-hint"
        dice={say.create.dice}
        onChange={(typed) => onChange({ ...asked, seed: Number(typed) })}
      />
      <label class="lock">
        <input
          type="checkbox"
          checked={asked.locked}
          title={say.create.lockHint}
          onChange={(event) => onChange({ ...asked, locked: event.currentTarget.checked })}
        />
        {say.create.lock}
      </label>
      <p id="seed-hint" class="small soft">
        {asked.locked ? say.create.seedHint : say.create.lockHint}
      </p>
    </div>
  );
}
