import { jobs } from "../jobs/jobs";
import { goalOf } from "../jobs/spoken";
import { navigate } from "../router";
import { say } from "../words";
import "./run-choice.css";

/** Which of the trained models a page is about. */
export function RunChoice({ page, names, run }: { page: string; names: string[]; run: string }) {
  if (names.length <= 1) return <p class="soft">{called(run)}</p>;
  return (
    <div class="line run-choice">
      <label for="run">{say.samples.choose}</label>
      <select
        id="run"
        value={run}
        onChange={(event) => navigate(page, [event.currentTarget.value])}
      >
        {names.map((name) => (
          <option key={name} value={name}>
            {called(name)}
          </option>
        ))}
      </select>
    </div>
  );
}

/** What a run came from, if that is known here. */
function called(run: string): string {
  const job = jobs.value.find((one) => one.id === run);
  return job === undefined ? run : goalOf(job);
}
