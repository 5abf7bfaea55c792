/** Forms from JSON schemas as pydantic writes them: flat objects of numbers, words, choices and switches. */

export interface Schema {
  type?: string;
  title?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  $ref?: string;
  $defs?: Record<string, Schema>;
  properties?: Record<string, Schema>;
  required?: string[];
  prefixItems?: Schema[];
  items?: Schema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  maxLength?: number;
}

export type Kind = "switch" | "choice" | "integer" | "number" | "list" | "text";

/** One line of a form. */
export interface Field {
  name: string;
  label: string;
  hint: string;
  kind: Kind;
  /** Whether it may be left empty: it has a default, or null is a value of it. */
  optional: boolean;
  fallback: unknown;
  choices: unknown[];
  schema: Schema;
}

export interface Wrong {
  problem: "missing" | "number" | "whole" | "low" | "high" | "length";
  /** The bound. */
  bound?: number;
  /** Whether the bound itself is refused, too. */
  beyond?: boolean;
}

/** Fields of an object's schema; what is neither flat nor a list of numbers is left to other parts. */
export function fields(schema: Schema): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, part]) => {
    const alone = resolved(part, schema);
    const kind = kindOf(alone);
    if (kind === undefined) return [];
    return {
      name,
      label: labelled(name),
      hint: part.description ?? alone.description ?? "",
      kind,
      optional: !(schema.required ?? []).includes(name),
      fallback: part.default,
      choices: alone.enum ?? (alone.const === undefined ? [] : [alone.const]),
      schema: alone,
    };
  });
}

/** `learning_rate` as a person would write it. */
export function labelled(name: string): string {
  const words = name.replace(/_/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A schema without references and without "or null". */
function resolved(part: Schema, whole: Schema): Schema {
  if (part.$ref !== undefined) {
    return resolved(whole.$defs?.[part.$ref.replace("#/$defs/", "")] ?? {}, whole);
  }
  const others = part.anyOf?.filter((one) => one.type !== "null");
  const [only, ...more] = others ?? [];
  if (only === undefined) return part;
  return more.length === 0 ? resolved(only, whole) : { ...part, type: "string" };
}

function kindOf(schema: Schema): Kind | undefined {
  if (schema.enum !== undefined || schema.const !== undefined) return "choice";
  switch (schema.type) {
    case "boolean":
      return "switch";
    case "integer":
      return "integer";
    case "number":
      return "number";
    case "string":
      return "text";
    case "array":
      return (schema.prefixItems ?? [schema.items]).every((one) => isNumber(one))
        ? "list"
        : undefined;
    default:
      return undefined;
  }
}

function isNumber(schema: Schema | undefined): boolean {
  return schema?.type === "integer" || schema?.type === "number";
}

/** The value that typed words stand for; undefined leaves the default. */
export function parsed(field: Field, words: string): unknown {
  const text = words.trim();
  if (field.kind === "choice") return field.choices.find((one) => String(one) === text);
  if (text === "") return undefined;
  if (field.kind === "integer" || field.kind === "number") return figure(text);
  if (field.kind === "list")
    return text
      .split(/[\s,x×]+/)
      .filter(Boolean)
      .map(figure);
  return text;
}

function figure(text: string): number {
  return Number(text.replace(",", ".")); // many keyboards have no point
}

/** The words for a value, as they would be typed. */
export function written(value: unknown): string {
  if (value === undefined || value === null) return "";
  return Array.isArray(value) ? value.join(" × ") : String(value);
}

/** What is wrong with a value, as far as the schema tells; the server has the last word. */
export function wrong(field: Field, value: unknown): Wrong | undefined {
  if (value === undefined || value === null) {
    return field.optional ? undefined : { problem: "missing" };
  }
  if (field.kind === "list") return wrongList(field, value as number[]);
  if (field.kind === "integer" || field.kind === "number") {
    return wrongNumber(field.schema, value as number);
  }
  const most = field.schema.maxLength;
  if (field.kind === "text" && most !== undefined && String(value).length > most) {
    return { problem: "length", bound: most };
  }
  return undefined;
}

function wrongList(field: Field, values: number[]): Wrong | undefined {
  const parts = field.schema.prefixItems;
  if (parts !== undefined && values.length !== parts.length) {
    return { problem: "length", bound: parts.length };
  }
  const found = values.map((one, i) => wrongNumber(parts?.[i] ?? field.schema.items ?? {}, one));
  return found.find((one) => one !== undefined);
}

function wrongNumber(schema: Schema, value: number): Wrong | undefined {
  if (!Number.isFinite(value)) return { problem: "number" };
  if (schema.type === "integer" && !Number.isInteger(value)) return { problem: "whole" };
  const { minimum, maximum, exclusiveMinimum: above, exclusiveMaximum: below } = schema;
  if (minimum !== undefined && value < minimum) return { problem: "low", bound: minimum };
  if (maximum !== undefined && value > maximum) return { problem: "high", bound: maximum };
  if (above !== undefined && value <= above) return { problem: "low", bound: above, beyond: true };
  if (below !== undefined && value >= below) return { problem: "high", bound: below, beyond: true };
  return undefined;
}
