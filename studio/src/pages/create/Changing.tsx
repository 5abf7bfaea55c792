import { useEffect, useState } from "preact/hooks";
import { API, ApiError, api, ask, data } from "../../api/client";
import { Form, type Values } from "../../forms/Form";
import { jobs } from "../../jobs/jobs";
import { announce } from "../../parts/announce";
import { Button } from "../../parts/Button";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import { DropField, usePicker } from "../gather/DropField";
import { arrange, type Dropped } from "../gather/files";
import { askedOf, described } from "./asked";
import { Controls } from "./Controls";
import { Enlarged } from "./Enlarged";
import { base64, type Described, made, release, type Sample, save } from "./made";
import { Missing, restored } from "./Restoring";
import { sharp } from "./Tiles";

/** What a model that takes pictures makes of some: the verb, and the name of what it takes. */
export const CHANGES = [
  { verb: "translate", takes: "sources" },
  { verb: "vary", takes: "images" },
  { verb: "denoise", takes: "images" },
  { verb: "reconstruct", takes: "images" },
] as const;

type Change = (typeof CHANGES)[number];

const MOST = 16;

interface Source {
  name: string;
  file: File;
  address: string;
}

/** Pictures, and beside each what a model makes of it. */
export function Changing({ run, model }: { run: string; model: Described }) {
  const able = CHANGES.filter(({ verb }) => model.verbs[verb] !== undefined);
  const [recipe] = useState(() => restored(run, "picture"));
  const [change, setChange] = useState<Change>(
    () => able.find(({ verb }) => verb === recipe?.verb) ?? able[0] ?? CHANGES[0],
  );
  const [sources, setSources] = useState<Source[]>([]);
  const [samples, setSamples] = useState<Sample[]>([]);
  const [own, setOwn] = useState(false);
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const [large, setLarge] = useState<number>();
  const [values, setValues] = useState<Values>(() => {
    const { sigma } = recipe?.body ?? {};
    return sigma === undefined ? {} : { sigma };
  });
  const picker = usePicker((files) => void take(files));
  const request = jobs.value.find((one) => one.id === run)?.request;
  const form = askedOf(run);
  const asked = form.value;
  const schema = model.verbs[change.verb];
  const takes = (name: string) => schema?.properties?.[name] !== undefined;
  const body = {
    ...(takes("seed") && { seed: asked.seed, ...described(asked) }),
    ...values,
  };
  const words = JSON.stringify([change.verb, body, sources.map(({ address }) => address)]);

  useEffect(() => {
    void examples(request).then((files) => choose(files, false), failed);
  }, [run, request === undefined]);
  useEffect(() => () => release(sources), [sources]);
  useEffect(() => {
    if (sources.length === 0) return;
    const stop = new AbortController();
    setBusy(true);
    void (async () => {
      const files = await Promise.all(sources.map(({ file }) => base64(file)));
      const now = await made(run, change.verb, { ...body, [change.takes]: files }, stop.signal);
      setSamples((before) => {
        release(before);
        return now.samples;
      });
      setTrouble("");
      setBusy(false);
      announce(say.create.changed(now.samples.length));
    })().catch((error) => {
      if (!stop.signal.aborted) failed(error);
    });
    return () => stop.abort();
  }, [words]);

  function failed(error: unknown): void {
    if (!(error instanceof ApiError)) throw error;
    setTrouble(error.message);
    setBusy(false);
  }

  async function take(dropped: Dropped[]): Promise<void> {
    const files = arrange(dropped, false).files.map(({ file }) => file);
    if (files.length === 0) setTrouble(say.gather.noPictures);
    choose(files, true);
  }

  function choose(files: File[], chosen: boolean): void {
    if (files.length === 0) return;
    setOwn(chosen);
    setSamples((before) => {
      release(before); // they are of other pictures
      return [];
    });
    setSources(
      files
        .slice(0, MOST)
        .map((file) => ({ name: file.name, file, address: URL.createObjectURL(file) })),
    );
  }

  return (
    <DropField class="changing" onFiles={(files) => void take(files)}>
      {(over) => (
        <>
          {picker.inputs}
          {able.length > 1 && (
            <fieldset class="counts">
              <legend>{say.create.change}</legend>
              {able.map((one) => (
                <label key={one.verb}>
                  <input
                    type="radio"
                    name="change"
                    checked={one === change}
                    onChange={() => {
                      setValues({});
                      setChange(one);
                    }}
                  />
                  {say.create.changes[one.verb]}
                </label>
              ))}
            </fieldset>
          )}
          {takes("seed") && (
            <Controls
              model={model}
              verb={change.verb}
              asked={asked}
              onChange={(now) => {
                form.value = now;
              }}
            />
          )}
          {change.verb === "denoise" && (
            <Form
              schema={{ properties: { sigma: schema?.properties?.sigma ?? {} } }}
              values={values}
              onChange={setValues}
            />
          )}
          <div class="drop-line">
            <Button icon="plus" onClick={picker.pickFiles}>
              {say.gather.pickFiles}
            </Button>
            <p class="soft">
              {over
                ? say.gather.dropNow
                : sources.length > 0 && !own
                  ? say.create.ofTheSet
                  : say.create.dropHere(MOST)}
            </p>
          </div>
          <Missing recipe={recipe} there={own} />
          {trouble !== "" && <Sentence tone="bad">{trouble}</Sentence>}
          {busy && <p class="soft">{say.create.drawing} …</p>}
          <ul class="changes" aria-busy={busy}>
            {samples.map((sample, i) => (
              <li key={sample.address}>
                <img src={sources[i]?.address} alt={sources[i]?.name ?? ""} onLoad={sharp} />
                <span aria-hidden="true">→</span>
                <button
                  type="button"
                  onClick={() => setLarge(i)}
                  aria-label={say.create.madeOf(sources[i]?.name ?? "")}
                >
                  <img src={sample.address} alt="" onLoad={sharp} />
                </button>
              </li>
            ))}
          </ul>
          {samples.length > 0 && (
            <Button
              quiet
              icon="download"
              onClick={() =>
                samples.forEach((sample, i) => {
                  save(sample.address, `${sources[i]?.name.replace(/\.\w+$/, "")}-${run}.png`);
                })
              }
            >
              {say.create.downloadAll}
            </Button>
          )}
          {large !== undefined && samples[large] !== undefined && (
            <Enlarged samples={samples} at={large} name={run} onAt={setLarge} />
          )}
        </>
      )}
    </DropField>
  );
}

/** Some pictures of the set that a run learned from: of pairs, what it learned to start from. */
async function examples(request: Record<string, unknown> | undefined): Promise<File[]> {
  const dataset = String(request?.source ?? "");
  const sets = (await data(api.GET("/api/v1/datasets"))).datasets ?? [];
  if (!sets.some((one) => one.id === dataset)) return [];
  const params = { path: { dataset } };
  const { pairs } = await data(api.GET("/api/v1/datasets/{dataset}", { params }));
  const read = (request?.overrides as { data?: { pairs?: string } } | undefined)?.data?.pairs;
  if (pairs?.kind === "halves" && read !== undefined) return []; // no file holds a source alone
  const side = read === undefined ? undefined : pairs?.sides[read.startsWith("A") ? 0 : 1];
  const { items } = await data(api.GET("/api/v1/datasets/{dataset}/items", { params }));
  const found = items.filter(
    (item) => item.sha !== null && !item.excluded && (side === undefined || item.label === side),
  );
  return Promise.all(
    found.slice(0, MOST / 2).map(async ({ sha, name }) => {
      const picture = await (await ask(`${API}/images/${sha}`)).blob();
      return new File([picture], name.split("/").at(-1) ?? name, { type: picture.type });
    }),
  );
}
