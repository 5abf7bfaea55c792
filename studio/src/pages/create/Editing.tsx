import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import { Board, type Colours, pngOf } from "../../canvas/Board";
import { Layer } from "../../canvas/layer";
import { announce } from "../../parts/announce";
import { Button } from "../../parts/Button";
import { Next } from "../../parts/Next";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import { DropField, usePicker } from "../gather/DropField";
import { arrange, type Dropped } from "../gather/files";
import { anySeed, askedOf, described } from "./asked";
import { Controls } from "./Controls";
import { chosenFor } from "./Drawing";
import { Enlarged } from "./Enlarged";
import { type Favourite, fileOf } from "./favourites";
import { base64, type Described, type Made, made, release } from "./made";
import { Missing, restored } from "./Restoring";
import { Tiles } from "./Tiles";
import { Tray } from "./Tray";

const WAYS = 4;
const SHADE: Colours = [
  [0, 0, 0, 0],
  [215, 60, 160, 150],
];
const MASK: Colours = [
  [0, 0, 0, 255],
  [255, 255, 255, 255],
];
const NOTHING: Made = { samples: [], remarks: [] };

interface Given {
  file: Blob;
  picture: ImageBitmap;
}

/** A picture, what of it is to be made anew, and some ways to do that. Elsewhere no byte changes. */
export function Editing({ run, model }: { run: string; model: Described }) {
  const form = askedOf(run);
  const asked = form.value;
  const [recipe] = useState(() => restored(run, "edit"));
  const [given, setGiven] = useState<Given>();
  const [made_, setMade] = useState<Made>(NOTHING);
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const [large, setLarge] = useState<number>();
  const [, setTurn] = useState(0);
  const picker = usePicker((files) => void take(files));
  const layer = useMemo(() => new Layer(model.width, model.height), [given]);
  const shown = useRef(NOTHING);
  const results = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const chosen = chosenFor.get(run);
    if (chosen !== undefined && recipe === undefined) void open(chosen);
    return () => release(shown.current.samples);
  }, [run]);

  function show(now: Made): void {
    release(shown.current.samples);
    shown.current = now;
    setMade(now);
  }

  async function take(dropped: Dropped[]): Promise<void> {
    const file = arrange(dropped, false).files[0]?.file;
    if (file === undefined) setTrouble(say.gather.noPictures);
    else await begin(file);
  }

  async function open(favourite: Favourite): Promise<void> {
    try {
      await begin(await fileOf(favourite));
    } catch (error) {
      failed(error);
    }
  }

  /** Bring a picture to the model's size, from its middle, so that what is shown is what is sent. */
  async function begin(file: Blob): Promise<void> {
    show(NOTHING);
    setTrouble("");
    const picture = await createImageBitmap(file);
    if (picture.width === model.width && picture.height === model.height) {
      return setGiven({ file, picture });
    }
    const scale = Math.max(model.width / picture.width, model.height / picture.height);
    const [wide, high] = [picture.width * scale, picture.height * scale];
    const canvas = new OffscreenCanvas(model.width, model.height);
    const pen = canvas.getContext("2d");
    if (pen === null) return;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, (model.width - wide) / 2, (model.height - high) / 2, wide, high);
    const sized = await canvas.convertToBlob({ type: "image/png" });
    setGiven({ file: sized, picture: await createImageBitmap(sized) });
  }

  function failed(error: unknown): void {
    setBusy(false);
    if (!(error instanceof ApiError)) throw error;
    setTrouble(error.message);
  }

  async function fill(seed: number): Promise<void> {
    if (given === undefined) return;
    if (layer.isEmpty) return setTrouble(say.create.nothingMarked);
    setBusy(true);
    setTrouble("");
    const content = await base64(given.file);
    const mask = await base64(await pngOf(layer, MASK));
    const images = Array<string>(WAYS).fill(content);
    try {
      show(await made(run, "complete", { images, mask, seed, ...described(asked) }));
      setBusy(false);
      announce(say.create.filled(WAYS));
      requestAnimationFrame(() => results.current?.scrollIntoView({ block: "center" }));
    } catch (error) {
      failed(error);
    }
  }

  const first = made_.samples.length === 0;
  return (
    <DropField class="changing" onFiles={(files) => void take(files)}>
      {() => (
        <>
          {picker.inputs}
          <div class="drop-line">
            <Button icon="plus" onClick={picker.pickFiles}>
              {say.create.pick}
            </Button>
            <p class="soft">{say.create.orFavourite}</p>
          </div>
          <Missing recipe={recipe} there={given !== undefined} />
          {trouble !== "" && <Sentence tone="bad">{trouble}</Sentence>}
          {given !== undefined && (
            <>
              <p class="soft">{say.create.editHint}</p>
              <Board
                key={String(given.file.size) + made_.samples.length}
                layer={layer}
                colours={SHADE}
                below={given.picture}
                value={1}
                onStroke={() => setTurn((turn) => turn + 1)}
              />
            </>
          )}
          {(given !== undefined || recipe !== undefined) && (
            <Controls
              model={model}
              verb="complete"
              asked={asked}
              onChange={(now) => {
                form.value = now;
              }}
            />
          )}
          {made_.remarks.map((one) => (
            <Sentence key={one} tone="fair">
              {one}
            </Sentence>
          ))}
          {!first && (
            <div ref={results} class="results">
              <Tiles
                samples={made_.samples}
                busy={busy}
                onOpen={setLarge}
                onKey={(key, at) => {
                  const sample = made_.samples[at];
                  if (key === "g" && sample !== undefined) void begin(sample.file);
                }}
              />
              <div class="drop-line">
                {made_.samples.map((sample, i) => (
                  <Button key={sample.address} quiet onClick={() => void begin(sample.file)}>
                    {say.create.tile(i + 1)}: {say.create.use}
                  </Button>
                ))}
              </div>
            </div>
          )}
          <Tray
            run={run}
            chosen={[]}
            onChoose={([one]) => {
              if (one !== undefined) void open(one);
            }}
          />
          {given !== undefined && (
            <Next>
              {!first && (
                <Button disabled={busy} onClick={() => void fill(anySeed())}>
                  {say.create.another}
                </Button>
              )}
              <Button primary disabled={busy} onClick={() => void fill(asked.seed)}>
                {busy ? say.create.drawing : say.create.fill}
              </Button>
            </Next>
          )}
          {large !== undefined && made_.samples[large] !== undefined && (
            <Enlarged samples={made_.samples} at={large} name={`${run}-edit`} onAt={setLarge} />
          )}
        </>
      )}
    </DropField>
  );
}
