/** A picture that was made here brings back the form that it was made with: the mode, and all that was asked for. */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { ApiError, api, data } from "../../api/client";
import { announce } from "../../parts/announce";
import { Button } from "../../parts/Button";
import { Sentence } from "../../parts/Sentence";
import { navigate } from "../../router";
import { say } from "../../words";
import { DropField, usePicker } from "../gather/DropField";
import type { Dropped } from "../gather/files";
import { askedOf, filled } from "./asked";
import type { Described, Recipe } from "./made";
import { type Mode, modeOf } from "./modes";
import { recipeIn } from "./recipe";

/** How often a form was brought back: a mode begins anew with each. */
export const times = signal(0);
const trouble = signal("");
let waiting: { recipe: Recipe; mode: Mode } | undefined;

/** What a mode is to begin with; it is given once. */
export function restored(run: string, mode: Mode): Recipe | undefined {
  if (waiting?.mode !== mode || (mode !== "plain" && waiting.recipe.run !== run)) return undefined;
  const { recipe } = waiting;
  waiting = undefined;
  return recipe;
}

/** Go to the form that a picture was made with; whether its file tells. */
export async function restore(file: Blob, now: string): Promise<boolean> {
  trouble.value = "";
  const recipe = await recipeIn(file);
  if (recipe === undefined) trouble.value = say.create.noRecipe;
  else
    trouble.value = await goTo(recipe, now).catch((error) => {
      if (error instanceof ApiError) return error.message;
      throw error;
    });
  return recipe !== undefined;
}

/** What is wrong, if anything is. */
async function goTo(recipe: Recipe, now: string): Promise<string> {
  const { run, verb, body } = recipe;
  let maps = false;
  if (run !== "") {
    const { runs } = await data(api.GET("/api/v1/runs"));
    if (!runs?.includes(run)) return say.create.elsewhere(run);
    const params = { path: { run } };
    const model = (await data(api.GET("/api/v1/runs/{run}", { params }))) as unknown as Described;
    maps = model.source?.kind === "map";
    const form = askedOf(run);
    form.value = filled(body, form.value);
  }
  const mode = modeOf(verb, maps);
  // of what needs no model, the form has no place for one
  if (mode === undefined || (mode === "plain" && run !== "")) return say.create.noForm(verb);
  waiting = { recipe, mode };
  times.value += 1;
  announce(say.create.restored);
  navigate("create", [run || now || "-", mode]);
  return "";
}

type Lost = keyof typeof say.create.missing;

/** What the recipe of a picture cannot hold, until it is there again. */
export function Missing({
  recipe,
  what = recipe?.verb as Lost,
  there,
}: {
  recipe: Recipe | undefined;
  what?: Lost;
  there: boolean;
}) {
  if (recipe === undefined || there) return null;
  const words = say.create.missing[what];
  return words === undefined ? null : <Sentence tone="fair">{words}</Sentence>;
}

/** A button for it, which a picture may be dropped on, too; and what is wrong with the picture. */
export function Restore({ run }: { run: string }) {
  const take = (files: Dropped[]) => {
    const file = files[0]?.file;
    if (file !== undefined) void restore(file, run);
  };
  const picker = usePicker(take);
  return (
    <>
      <DropField class="restore" onFiles={take}>
        {() => (
          <>
            {picker.inputs}
            <Button quiet icon="undo" title={say.create.dropRecipe} onClick={picker.pickFiles}>
              {say.create.restore}
            </Button>
          </>
        )}
      </DropField>
      {trouble.value !== "" && <Sentence tone="bad">{trouble}</Sentence>}
    </>
  );
}

/** An area all of which takes such a picture; `otherwise` is given files that are none. */
export function Restoring({
  run,
  otherwise = () => {},
  children,
}: {
  run: string;
  otherwise?: (file: File) => void;
  children: ComponentChildren;
}) {
  async function take(files: Dropped[]): Promise<void> {
    const file = files[0]?.file;
    if (file === undefined || (await restore(file, run))) return;
    otherwise(file);
  }
  return (
    <DropField class="restoring" onFiles={(files) => void take(files)}>
      {() => children}
    </DropField>
  );
}
