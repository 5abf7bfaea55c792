// Opens an exported page from a file, without a network: node page.mjs PAGE SEED COUNT SAVED -> JSON.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");
const [file, seed, count, saved] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const context = await browser.newContext({ offline: true });
const page = await context.newPage();
const errors = [], requests = [];
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (line) => line.type() === "error" && errors.push(line.text()));
page.on("request", (request) => requests.push(request.url()));
const drawn = () => page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("Choose"));
page.setDefaultTimeout(120000);
await page.goto(pathToFileURL(file).href);
await drawn();
await page.locator("#seed").fill(seed);
await page.locator("#count").selectOption(count);
await drawn();
const levels = await page.evaluate(() => [...document.querySelectorAll("#grid canvas")].map((canvas) =>
  [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]));
const named = await page.locator("#grid button").first().getAttribute("aria-label");
await page.locator("#grid button").first().click();
const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#save").click()]);
await download.saveAs(saved);
await page.locator("#close").click();
const before = await page.locator("#seed").inputValue();
await page.locator("#again").click();
const after = await page.locator("#seed").inputValue();
await browser.close();
console.log(JSON.stringify({ levels, named, errors, requests, again: before !== after, name: download.suggestedFilename() }));
