import { useEffect, useId, useState } from "preact/hooks";
import { API, ApiError, ask } from "../../api/client";
import { Form, isRight, type Values } from "../../forms/Form";
import type { Schema } from "../../forms/schema";
import { announce } from "../../parts/announce";
import { Button } from "../../parts/Button";
import { Next } from "../../parts/Next";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import { base64, post, save } from "./made";
import { PLAIN } from "./modes";
import { Missing, restored } from "./Restoring";

type Verb = (typeof PLAIN)[number];
type Described = Record<string, { requestBody: { content: Record<string, { schema: Schema }> } }>;

const OTHERS = [
  "picture",
  "styles",
  "frames",
  "weights",
  "mask",
  "guide",
  "run",
  "unmarked",
  "mark_key",
  "credentials",
  "recipe",
  "maps",
  "normals",
];

/** What needs pictures alone: a style, a dream, a texture. */
export function Plain() {
  const [recipe] = useState(() => restored("", "plain"));
  const [verb, setVerb] = useState(() => PLAIN.find((one) => one === recipe?.verb) ?? "restyle");
  const [schemas, setSchemas] = useState<Partial<Record<Verb, Schema>>>({});
  const [picture, setPicture] = useState<File>();
  const [style, setStyle] = useState<File>();
  const [values, setValues] = useState<Values>(recipe?.body ?? { size: 256 });
  const [result, setResult] = useState("");
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const schema = schemas[verb];

  useEffect(() => {
    void (async () => {
      const told = await (await ask(`${API}/openapi.json`)).json();
      const found = PLAIN.map((one) => {
        const route = (told.paths[`${API}/${one}`] as Described | undefined)?.post;
        return [one, route?.requestBody.content["application/json"]?.schema ?? {}];
      });
      setSchemas(Object.fromEntries(found));
    })();
  }, []);
  useEffect(() => () => URL.revokeObjectURL(result), [result]);

  const ready = picture !== undefined && (verb !== "restyle" || style !== undefined);

  async function make(): Promise<void> {
    if (picture === undefined) return;
    setBusy(true);
    setTrouble("");
    const asked = {
      ...Object.fromEntries(
        Object.entries(values).filter(
          ([name]) => schema?.properties?.[name] !== undefined && !OTHERS.includes(name),
        ),
      ),
      picture: await base64(picture),
      ...(verb === "restyle" && style !== undefined && { styles: [await base64(style)] }),
      recipe: true,
    };
    try {
      const answer = await post(undefined, verb, JSON.stringify(asked), "image/png");
      setResult(URL.createObjectURL(await answer.blob()));
      announce(say.create.changed(1));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setTrouble(error.message);
    }
    setBusy(false);
  }

  return (
    <>
      <p class="soft">{say.create.plainTitle}</p>
      <fieldset class="choice">
        <legend class="unseen">{say.create.plainTitle}</legend>
        <div class="goals">
          {PLAIN.map((one) => (
            <label key={one} class="goal">
              <input
                type="radio"
                name="plain"
                checked={one === verb}
                onChange={() => {
                  setVerb(one);
                  setValues(one === "texture" ? {} : { size: 256 });
                }}
              />
              <span class="goal-title">{say.create.plain[one].title}</span>
              <span class="soft">{say.create.plain[one].words}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <div class="plain">
        <Choice title={say.create.picture} file={picture} onFile={setPicture} />
        {verb === "restyle" && <Choice title={say.create.style} file={style} onFile={setStyle} />}
        {result !== "" && (
          <figure>
            <img src={result} alt={say.create.plain[verb].title} />
            <Button
              icon="download"
              onClick={() => save(result, `${picture?.name.replace(/\.\w+$/, "")}-${verb}.png`)}
            >
              {say.create.download}
            </Button>
          </figure>
        )}
      </div>
      {schema !== undefined && (
        <details class="advanced" open={recipe !== undefined}>
          <summary>{say.create.controls}</summary>
          <Form key={verb} schema={schema} values={values} onChange={setValues} skip={OTHERS} />
        </details>
      )}
      <Missing recipe={recipe?.verb === verb ? recipe : undefined} there={ready} />
      {trouble !== "" && <Sentence tone="bad">{trouble}</Sentence>}
      <Next note={busy ? say.create.takes : undefined}>
        <Button
          primary
          disabled={
            !ready ||
            busy ||
            (schema !== undefined && !isRight(schema, { ...values, picture: "", styles: "" }))
          }
          onClick={() => void make()}
        >
          {busy ? say.create.drawing : say.create.make}
        </Button>
      </Next>
    </>
  );
}

/** A picture of one's own, shown once it is chosen or dropped. */
function Choice({
  title,
  file,
  onFile,
}: {
  title: string;
  file: File | undefined;
  onFile: (file: File) => void;
}) {
  const id = useId();
  const [address, setAddress] = useState("");
  useEffect(() => {
    if (file === undefined) return;
    const made = URL.createObjectURL(file);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the field in it does the same by keyboard
    <div
      class="plain-choice"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        const dropped = event.dataTransfer?.files[0];
        if (dropped !== undefined) onFile(dropped);
      }}
    >
      <label for={id}>{title}</label>
      <input
        id={id}
        type="file"
        accept="image/*"
        onChange={(event) => {
          const chosen = event.currentTarget.files?.[0];
          if (chosen !== undefined) onFile(chosen);
        }}
      />
      {address !== "" && <img src={address} alt={file?.name ?? ""} />}
    </div>
  );
}
