import { useEffect, useRef, useState } from "preact/hooks";
import { announce } from "../../parts/announce";
import { Button } from "../../parts/Button";
import { say } from "../../words";
import { Cut } from "./Cut";
import { interval, questions } from "./game";
import type { Shown } from "./index";

const COLUMNS = 8;

/** Real or made: the score at the end has an interval, and what chance alone would reach. */
export function Game({ sheet, shown }: { sheet: ImageBitmap; shown: Shown }) {
  const asked = questions(shown.tiles, shown.real);
  const [answers, setAnswers] = useState<boolean[]>([]);
  const box = useRef<HTMLDivElement>(null);
  const now = asked[answers.length];
  const right = answers.filter((real, i) => real === shown.real.includes(asked[i] ?? -1)).length;

  useEffect(() => {
    if (answers.length === asked.length && answers.length > 0)
      announce(say.judge.scored(right, asked.length, interval(right, asked.length)));
  }, [answers.length]);

  function answer(real: boolean): void {
    if (now !== undefined) setAnswers([...answers, real]);
  }

  return (
    <section class="said" aria-labelledby="game">
      <h2 id="game">{say.judge.game}</h2>
      <p>{say.judge.gameHow(asked.length, shown.real_side)}</p>
      {now !== undefined ? (
        // biome-ignore lint/a11y/noStaticElementInteractions: keys beside its buttons
        <div
          ref={box}
          class="game"
          onKeyDown={(event) => {
            if (event.key === "r") answer(true);
            if (event.key === "m") answer(false);
          }}
        >
          <Cut
            sheet={sheet}
            at={now}
            columns={COLUMNS}
            size={shown.size}
            alt={say.judge.question(answers.length + 1, asked.length)}
          />
          <p class="soft">{say.judge.question(answers.length + 1, asked.length)}</p>
          <div class="game-answers">
            <Button onClick={() => answer(true)}>{say.judge.real_}</Button>
            <Button onClick={() => answer(false)}>{say.judge.made}</Button>
          </div>
        </div>
      ) : (
        <>
          <p class="value">
            {say.judge.scored(right, asked.length, interval(right, asked.length))}
          </p>
          <ul class="game-over">
            {asked.map((at, i) => {
              const real = shown.real.includes(at);
              return (
                <li key={at} class={answers[i] === real ? "good" : "bad"}>
                  <Cut
                    sheet={sheet}
                    at={at}
                    columns={COLUMNS}
                    size={shown.size}
                    alt={real ? say.judge.real_ : say.judge.made}
                  />
                  <span class="small">
                    {say.judge.guessed(
                      real ? say.judge.real_ : say.judge.made,
                      answers[i] === real,
                    )}
                  </span>
                </li>
              );
            })}
          </ul>
          <Button onClick={() => setAnswers([])}>{say.judge.again}</Button>
        </>
      )}
    </section>
  );
}
