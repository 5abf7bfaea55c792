import { Button } from "../../parts/Button";
import { say } from "../../words";
import { addressOf, type Favourite, favourites, forget } from "./favourites";
import { sharp } from "./Tiles";

/** The favourites of a model, to choose one or two of, and what can be done with them. */
export function Tray({
  run,
  chosen,
  onChoose,
  children,
}: {
  run: string;
  chosen: readonly Favourite[];
  onChoose: (chosen: Favourite[]) => void;
  children?: preact.ComponentChildren;
}) {
  const own = favourites.value.filter((one) => one.recipe.run === run);
  const here = chosen.filter((one) => own.includes(one));

  function press(one: Favourite): void {
    onChoose(here.includes(one) ? here.filter((each) => each !== one) : [...here, one].slice(-2));
  }

  return (
    <section class="tray" aria-labelledby="favourites">
      <h2 id="favourites">{say.create.favourites}</h2>
      {own.length === 0 ? (
        <p class="soft small">{say.create.noFavourites}</p>
      ) : (
        <ul>
          {own.map((one, i) => (
            <li key={JSON.stringify(one.recipe)}>
              <button type="button" aria-pressed={here.includes(one)} onClick={() => press(one)}>
                <img src={addressOf(one)} alt={say.create.favourite(i + 1)} onLoad={sharp} />
              </button>
            </li>
          ))}
        </ul>
      )}
      {here.length > 0 && (
        <div class="tray-tools">
          {children}
          <Button quiet onClick={() => here.forEach(forget)}>
            {say.create.forget}
          </Button>
        </div>
      )}
      {own.length > 1 && here.length < 2 && <p class="soft small">{say.create.crossHint}</p>}
    </section>
  );
}
