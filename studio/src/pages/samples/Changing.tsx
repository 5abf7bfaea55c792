import { useEffect, useState } from "preact/hooks";
import { API, ApiError, api, ask, data } from "../../api/client";
import { jobs } from "../../jobs/jobs";
import { announce } from "../../parts/announce";
import { Button } from "../../parts/Button";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import { DropField, usePicker } from "../gather/DropField";
import { arrange, type Dropped } from "../gather/files";
import { Enlarged } from "./Enlarged";
import { base64, made, release, type Sample, save } from "./made";

/** What a model that takes pictures makes of some: the verb, and the name of what it takes. */
export const CHANGES = [
  { verb: "translate", takes: "sources" },
  { verb: "reconstruct", takes: "images" },
] as const;

export type Change = (typeof CHANGES)[number];

const MOST = 16;
const SMALL = 64;

interface Source {
  name: string;
  address: string;
  content: string;
}

/** Pictures, and beside each what a model makes of it. */
export function Changing({ run, change }: { run: string; change: Change }) {
  const [sources, setSources] = useState<Source[]>([]);
  const [samples, setSamples] = useState<Sample[]>([]);
  const [own, setOwn] = useState(false);
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const [large, setLarge] = useState<number>();
  const picker = usePicker((files) => void take(files));
  const request = jobs.value.find((one) => one.id === run)?.request;

  useEffect(() => {
    void examples(request).then((files) => void show(files, false), failed);
  }, [run, request === undefined]);

  function failed(error: unknown): void {
    if (!(error instanceof ApiError)) throw error;
    setTrouble(error.message);
    setBusy(false);
  }

  function take(dropped: Dropped[]): Promise<void> {
    const files = arrange(dropped, false).files.map(({ file }) => file);
    if (files.length === 0) setTrouble(say.gather.noPictures);
    return files.length > 0 ? show(files, true) : Promise.resolve();
  }

  async function show(files: File[], chosen: boolean): Promise<void> {
    if (files.length === 0) return;
    setBusy(true);
    setTrouble("");
    const given = await Promise.all(
      files.slice(0, MOST).map(async (file) => ({
        name: file.name,
        address: URL.createObjectURL(file),
        content: await base64(file),
      })),
    );
    const body = JSON.stringify({ [change.takes]: given.map(({ content }) => content) });
    try {
      const found = await made(run, change.verb, body, new AbortController().signal);
      release(sources);
      release(samples);
      setSources(given);
      setSamples(found);
      setOwn(chosen);
      setBusy(false);
      announce(say.samples.changed(found.length));
    } catch (error) {
      release(given);
      failed(error);
    }
  }

  return (
    <DropField class="changing" onFiles={(files) => void take(files)}>
      {(over) => (
        <>
          {picker.inputs}
          <div class="drop-line">
            <Button icon="plus" onClick={picker.pickFiles}>
              {say.gather.pickFiles}
            </Button>
            <p class="soft">
              {over
                ? say.gather.dropNow
                : sources.length > 0 && !own
                  ? say.samples.ofTheSet
                  : say.samples.dropHere(MOST)}
            </p>
          </div>
          {trouble !== "" && <Sentence tone="bad">{trouble}</Sentence>}
          {busy && <p class="soft">{say.samples.drawing} …</p>}
          <ul class="changes" aria-busy={busy}>
            {samples.map((sample, i) => (
              <li key={sample.address}>
                <img src={sources[i]?.address} alt={sources[i]?.name ?? ""} onLoad={sharp} />
                <span aria-hidden="true">→</span>
                <button
                  type="button"
                  onClick={() => setLarge(i)}
                  aria-label={say.samples.madeOf(sources[i]?.name ?? "")}
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
              {say.samples.downloadAll}
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

/** Show the pixels of a small picture as squares. */
function sharp({ currentTarget: shown }: { currentTarget: HTMLImageElement }): void {
  shown.classList.toggle("pixels", shown.naturalWidth <= SMALL);
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
