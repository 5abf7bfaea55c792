// A web person writes a page, a sheet and a folder, downloads them, and opens the page with no server and no network.
// Journey 6.
//
//   node export.mjs ADDRESS FOLDER THEME ZOOM: by keys alone where the page is larger

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { accessible, assert, hands, journey, overflowing, shoot, small } from "./kit.mjs";

const [address, folder, theme, zoom] = process.argv.slice(2);
await journey(address, { theme, zoom: Number(zoom) }, async (page) => {
  const { press } = hands(page, zoom !== "1");
  page.setDefaultTimeout(300_000);
  const home = page.url().split("#")[0];
  await page.locator(".drop-field").waitFor();
  await page.goto(`${home}#/export/gan`);
  const tile = (name) =>
    page.locator(".export", { has: page.getByRole("heading", { name, exact: true }) });
  for (const name of ["A page", "A sheet", "The model"])
    await press(tile(name).getByRole("button", { name: "Write it" }));
  for (const [name, file] of [
    ["A sheet", "sheet"],
    ["The model", "model.zip"],
    ["A page", "page.html"],
  ]) {
    const link = tile(name).getByRole("link", { name: /^Download · / });
    await link.waitFor();
    const begun = page.waitForEvent("download");
    await press(link);
    await (await begun).saveAs(`${folder}/${file}`);
  }
  await tile("REST").getByText("/api/v1/runs/gan/sample").waitFor();
  const found = [await accessible(page), await overflowing(page), await small(page)];
  await shoot(page, `export-${theme}-${zoom}`);
  assert.deepEqual(found, [[], [], []]);
});

// the server plays no part any more, and the network is off
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu"],
});
const context = await browser.newContext({ offline: true });
const page = await context.newPage();
const drawn = () =>
  page.waitForFunction(
    () => document.querySelector("#status").textContent.startsWith("Choose"),
    null,
    { timeout: 120_000 },
  );
await page.goto(pathToFileURL(`${folder}/page.html`).href);
await drawn();
const count = await page.locator("main canvas").count();
await browser.close();
console.log(JSON.stringify({ count, bytes: readFileSync(`${folder}/page.html`).length }));
