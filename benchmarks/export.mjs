// Draws in an exported page, opened from a file in Chromium with the network off.
// node benchmarks/export.mjs PAGE SEED COUNT TIMED -> JSON: milliseconds of TIMED pictures one by one, levels of COUNT.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { chromium } = createRequire(new URL("../web/package.json", import.meta.url))("playwright-core");
const [file, seed, count, timed] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await (await browser.newContext({ offline: true })).newPage();
const requests = [];
page.on("request", (request) => requests.push(request.url()));
page.setDefaultTimeout(540000);
await page.goto(pathToFileURL(file).href);
await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("Choose"));
const found = await page.evaluate(async ([seed, count, timed]) => {
  const { model } = window.zeuxis;
  const milliseconds = [];
  for (let row = 0; row < timed; row++) {
    const began = performance.now();
    await model.draw([{ seed, row }]);
    milliseconds.push(performance.now() - began);
  }
  let text = "";
  for (let row = 0; row < count; row += 16) {
    const rows = Array.from({ length: Math.min(16, count - row) }, (_, i) => ({ seed, row: row + i }));
    for (const { levels } of await model.draw(rows)) text += String.fromCharCode(...levels);
  }
  return { milliseconds, levels: btoa(text) };
}, [Number(seed), Number(count), Number(timed)]);
const version = browser.version();
await browser.close();
console.log(JSON.stringify({ ...found, version, foreign: requests.filter((url) => !/^(file|blob):/.test(url)).length }));
