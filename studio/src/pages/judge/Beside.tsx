import { useEffect, useState } from "preact/hooks";
import { ApiError, api, data } from "../../api/client";
import { Sentence } from "../../parts/Sentence";
import { say } from "../../words";
import { made, release, type Sample } from "../create/made";
import { sharp } from "../create/Tiles";

const MOST = 4;
const COUNT = 8;

/** Two to four models beside one another: a row of the same seed of each. */
export function Beside({ run, called }: { run: string; called: (run: string) => string }) {
  const [runs, setRuns] = useState<string[]>([]);
  const [chosen, setChosen] = useState<string[]>([]);
  const [seed, setSeed] = useState(7);
  const [drawn, setDrawn] = useState<Record<string, Sample[]>>({});
  const [trouble, setTrouble] = useState("");

  useEffect(() => {
    void data(api.GET("/api/v1/runs")).then(({ runs: found = [] }) =>
      setRuns(found.filter((one) => one !== run)),
    );
  }, [run]);
  useEffect(() => {
    if (chosen.length === 0) return;
    const stop = new AbortController();
    setTrouble("");
    for (const one of [run, ...chosen]) {
      made(one, "sample", { count: COUNT, seed }, stop.signal).then(
        ({ samples }) => setDrawn((before) => ({ ...before, [one]: samples })),
        (error) => {
          if (stop.signal.aborted) return;
          if (!(error instanceof ApiError)) throw error;
          setTrouble(`${called(one)}: ${error.message}`);
        },
      );
    }
    return () => {
      stop.abort();
      setDrawn((before) => {
        Object.values(before).forEach(release);
        return {};
      });
    };
  }, [run, chosen.join("/"), seed]);

  if (runs.length === 0) return null;
  return (
    <section class="said" aria-labelledby="beside">
      <h2 id="beside">{say.judge.beside}</h2>
      <fieldset class="classes">
        <legend>{say.judge.besideHow(MOST - 1)}</legend>
        {runs.map((one) => (
          <label key={one}>
            <input
              type="checkbox"
              checked={chosen.includes(one)}
              disabled={!chosen.includes(one) && chosen.length >= MOST - 1}
              onChange={() =>
                setChosen(
                  chosen.includes(one) ? chosen.filter((each) => each !== one) : [...chosen, one],
                )
              }
            />
            {called(one)}
          </label>
        ))}
      </fieldset>
      {trouble !== "" && <Sentence tone="bad">{trouble}</Sentence>}
      {chosen.length > 0 && (
        <>
          <div class="line seed-of-all">
            <label for="seed-of-all">{say.create.seed}</label>
            <input
              id="seed-of-all"
              type="text"
              inputMode="numeric"
              value={seed}
              onChange={(event) => {
                const typed = Number(event.currentTarget.value.trim() || "0");
                if (Number.isSafeInteger(typed) && typed >= 0) setSeed(typed);
              }}
            />
          </div>
          {[run, ...chosen].map((one) => (
            <div key={one} class="beside">
              <h3>{called(one)}</h3>
              <ul>
                {(drawn[one] ?? []).map((sample, i) => (
                  <li key={sample.address}>
                    <img src={sample.address} alt={say.create.tile(i + 1)} onLoad={sharp} />
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </>
      )}
    </section>
  );
}
