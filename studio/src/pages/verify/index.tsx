import { useEffect, useRef, useState } from "preact/hooks";
import { API, ApiError, ask, sentence } from "../../api/client";
import type { components } from "../../api/schema";
import { announce } from "../../parts/announce";
import { Button } from "../../parts/Button";
import { Sentence } from "../../parts/Sentence";
import { Title } from "../../parts/Title";
import { say } from "../../words";
import { DropField, usePicker } from "../gather/DropField";
import type { Dropped } from "../gather/files";
import "./verify.css";

type Verdict = components["schemas"]["Verdict"];

interface Looked {
  name: string;
  /** Of what was dropped, in this browser. */
  address: string;
  code: number;
  evidence: string[];
}

const MOST = 24;
const UNREADABLE = 2;
const TONES: Record<number, "good" | "fair" | "bad" | "note"> = { 0: "good", 1: "fair", 3: "fair" };

/** `#/verify`: what the marks of dropped pictures tell. */
export function Verify() {
  const [looked, setLooked] = useState<Looked[]>([]);
  const [busy, setBusy] = useState(false);
  const [thorough, setThorough] = useState(false);
  const [trouble, setTrouble] = useState("");
  const picker = usePicker((files) => void take(files));
  const shown = useRef(looked);
  shown.current = looked;
  useEffect(() => () => release(shown.current), []);

  async function take(dropped: Dropped[]): Promise<void> {
    setBusy(true);
    setTrouble("");
    const found: Looked[] = [];
    try {
      for (const { file } of dropped.slice(0, MOST)) found.push(await told(file, thorough));
      release(looked);
      setLooked(found);
      announce(say.verify.looked(found.length));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      release(found);
      setTrouble(error.message);
    }
    setBusy(false);
  }

  return (
    <>
      <Title>{say.verify.title}</Title>
      <p class="soft">{say.verify.subtitle}</p>
      <DropField class="verify" onFiles={(files) => void take(files)}>
        {(over) => (
          <>
            {picker.inputs}
            <div class="drop-line">
              <Button primary icon="plus" disabled={busy} onClick={picker.pickFiles}>
                {say.gather.pickFiles}
              </Button>
              <p class="soft">{over ? say.gather.dropNow : say.verify.dropHere(MOST)}</p>
            </div>
            <label class="thorough">
              <input
                type="checkbox"
                checked={thorough}
                onChange={(event) => setThorough(event.currentTarget.checked)}
              />
              <span>
                {say.verify.thorough} <span class="small soft">{say.verify.thoroughWords}</span>
              </span>
            </label>
            {trouble !== "" && <Sentence tone="bad">{trouble}</Sentence>}
            {busy && <p class="soft">{say.verify.looking} …</p>}
            <ul class="verdicts" aria-busy={busy}>
              {looked.map((one) => (
                <li key={one.address}>
                  {one.code === UNREADABLE ? (
                    <span class="no-picture" />
                  ) : (
                    <img src={one.address} alt="" />
                  )}
                  <div>
                    <Sentence tone={TONES[one.code] ?? (one.code === UNREADABLE ? "bad" : "note")}>
                      <h2>{say.verify.answers[one.code]}</h2>
                      <p class="name">{one.name}</p>
                    </Sentence>
                    <p>{say.verify.why[one.code]}</p>
                    <ul class="evidence small soft">
                      {one.evidence.map((line) => (
                        <li key={line}>{sentence(line)}</li>
                      ))}
                    </ul>
                  </div>
                </li>
              ))}
            </ul>
          </>
        )}
      </DropField>
    </>
  );
}

/** What the server tells of a file; that it is no picture is an answer, too. */
async function told(file: File, thorough: boolean): Promise<Looked> {
  const query = new URLSearchParams({ name: file.name, thorough: String(thorough) });
  const address = () => URL.createObjectURL(file);
  try {
    const answer = await ask(`${API}/verify?${query}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: file,
    });
    const { code, evidence }: Verdict = await answer.json();
    return { name: file.name, address: address(), code, evidence };
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 422) throw error;
    return { name: file.name, address: address(), code: UNREADABLE, evidence: [error.message] };
  }
}

function release(looked: readonly Looked[]): void {
  for (const { address } of looked) URL.revokeObjectURL(address);
}
