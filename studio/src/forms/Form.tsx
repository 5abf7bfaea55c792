import { useId, useState } from "preact/hooks";
import { say } from "../words";
import "./form.css";
import { type Field, fields, parsed, type Schema, type Wrong, written, wrong } from "./schema";

export type Values = Record<string, unknown>;

/** Fields for what a schema asks; only what differs from its defaults is in the values.
 *
 * @param told sentences of the server, by field.
 * @param skip names of fields that the page has its own controls for.
 */
export function Form({
  schema,
  values,
  onChange,
  told = {},
  skip = [],
}: {
  schema: Schema;
  values: Values;
  onChange: (values: Values) => void;
  told?: Record<string, string>;
  skip?: string[];
}) {
  const shown = fields(schema).filter((field) => !skip.includes(field.name));
  function change(field: Field, value: unknown): void {
    const { [field.name]: _, ...rest } = values;
    const same = written(value) === written(field.fallback);
    onChange(value === undefined || same ? rest : { ...rest, [field.name]: value });
  }
  return (
    <div class="form">
      {shown.map((field) => (
        <Line
          key={field.name}
          field={field}
          value={values[field.name]}
          told={told[field.name]}
          onChange={(value) => change(field, value)}
        />
      ))}
    </div>
  );
}

/** Whether every value is as its schema says. */
export function isRight(schema: Schema, values: Values): boolean {
  return fields(schema).every((field) => wrong(field, values[field.name]) === undefined);
}

interface Given {
  field: Field;
  value: unknown;
  told?: string | undefined;
  onChange: (value: unknown) => void;
}

function Line({ field, value, told, onChange }: Given) {
  const id = useId();
  const bad = wrong(field, value);
  const trouble = bad === undefined ? told : worded(bad);
  return (
    <div class={field.kind === "switch" ? "line switch" : "line"}>
      <label for={id}>{field.label}</label>
      <Control
        field={field}
        value={value}
        onChange={onChange}
        id={id}
        bad={trouble !== undefined}
      />
      {trouble !== undefined && (
        <p id={`${id}-bad`} class="small bad">
          {trouble}
        </p>
      )}
      {field.hint !== "" && (
        <p id={`${id}-hint`} class="small soft">
          {field.hint}
        </p>
      )}
    </div>
  );
}

function Control({ field, value, onChange, id, bad }: Given & { id: string; bad: boolean }) {
  const [typed, setTyped] = useState(written(value));
  const described = {
    id,
    "aria-invalid": bad,
    "aria-describedby": `${bad ? `${id}-bad ` : ""}${id}-hint`,
  };
  if (field.kind === "switch") {
    const on = (value ?? field.fallback) === true;
    return (
      <input
        type="checkbox"
        role="switch"
        checked={on}
        aria-checked={on}
        onChange={(event) => onChange(event.currentTarget.checked)}
        {...described}
      />
    );
  }
  if (field.kind === "choice") {
    return (
      <select
        value={written(value ?? field.fallback)}
        onChange={(event) => onChange(parsed(field, event.currentTarget.value))}
        {...described}
      >
        {field.fallback === null && <option value="">{say.forms.byItself}</option>}
        {field.choices.map((choice) => (
          <option key={String(choice)} value={String(choice)}>
            {String(choice)}
          </option>
        ))}
      </select>
    );
  }
  return (
    <input
      type="text"
      inputMode={field.kind === "text" ? "text" : "decimal"}
      value={typed}
      placeholder={written(field.fallback) || say.forms.byItself}
      onInput={(event) => {
        setTyped(event.currentTarget.value);
        onChange(parsed(field, event.currentTarget.value));
      }}
      {...described}
    />
  );
}

function worded({ problem, bound = 0, beyond = false }: Wrong): string {
  const words = say.forms;
  switch (problem) {
    case "missing":
      return words.missing;
    case "number":
      return words.number;
    case "whole":
      return words.whole;
    case "length":
      return words.length(bound);
    case "low":
      return beyond ? words.above(bound) : words.atLeast(bound);
    case "high":
      return beyond ? words.below(bound) : words.atMost(bound);
  }
}
