// Types words into an exported page: node words.mjs PAGE SHOT|- TEXT... -> JSON, what is said of each.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");
const [file, shot, ...texts] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await (await browser.newContext({ offline: true })).newPage();
const errors = [], said = [];
page.on("pageerror", (error) => errors.push(String(error)));
page.setDefaultTimeout(60000);
await page.goto(pathToFileURL(file).href);
await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("Choose"));
await page.evaluate(() => { document.querySelector("#more").open = true; });
for (const text of texts) {
  await page.locator("[data-text]").fill(text);
  await page.locator("[data-text]").press("Enter");
  said.push(await page.locator("#unseen").textContent());
}
if (shot !== "-") await page.screenshot({ path: shot, fullPage: true });
await browser.close();
console.log(JSON.stringify({ said, errors }));
