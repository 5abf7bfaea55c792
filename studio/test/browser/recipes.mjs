// Pictures that were made here are given back, one of each verb: what is then in the form, as JSON.
//
//   node recipes.mjs ADDRESS FOLDER: of files such as vary.png

import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { accessible, assert, journey, overflowing, shoot, small } from "./kit.mjs";

const [address, folder] = process.argv.slice(2);
const found = {};
await journey(address, {}, async (page) => {
  const home = page.url().split("#")[0];
  await page.locator(".drop-field").waitFor(); // the session is there
  const begin = "#/create/gan/grid";
  for (const file of readdirSync(folder)) {
    const name = basename(file, ".png");
    await page.goto(home + begin);
    await page.locator(".tiles img").first().waitFor();
    const chosen = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Settings from a picture" }).click();
    await (await chosen).setFiles(join(folder, file));
    await page.waitForFunction((from) => location.hash !== from, begin);
    const fields = page.locator("main input:not([type=file]):not([name=plain])");
    await fields.first().waitFor({ state: "attached" });
    found[name] = await page.evaluate(() => {
      for (const one of document.querySelectorAll("details")) one.open = true;
      const said = (one) => {
        const group = one.closest("fieldset")?.querySelector("legend")?.textContent;
        return group ?? document.querySelector(`label[for="${one.id}"]`)?.textContent;
      };
      const asked = [...document.querySelectorAll("main input, main select")].filter(
        (one) =>
          one.type !== "file" && one.type !== "range" && (one.type !== "radio" || one.checked),
      );
      const value = (one) => {
        if (one.type === "radio") return one.closest("label").textContent;
        return one.type === "checkbox" ? one.checked : one.value;
      };
      const told = document.querySelector("main .sentence")?.textContent ?? "";
      return {
        place: location.hash,
        told,
        form: Object.fromEntries(asked.map((one) => [said(one) ?? one.id, value(one)])),
      };
    });
    await shoot(page, `recipe-${name}`);
  }
  assert.deepEqual(
    [await accessible(page), await overflowing(page), await small(page)],
    [[], [], []],
  );
});
console.log(JSON.stringify(found));
