// Gives an exported page a picture, from a file and without a network: node made.mjs PAGE PICTURE SEED [SHOT] -> JSON.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");
const [file, picture, seed, shot] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await (await browser.newContext({ offline: true })).newPage();
const errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (line) => line.type() === "error" && errors.push(line.text()));
page.setDefaultTimeout(120000);
await page.goto(pathToFileURL(file).href);
const said = (words) => page.waitForFunction((start) => document.querySelector("#status").textContent.startsWith(start), words, { polling: 50 });
const levels = () => page.evaluate(() => {
  const canvas = document.querySelector("#grid canvas");
  return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
});
await said("Choose");
const maps = await page.locator("#legend").isVisible(); // they begin with one
if (await page.locator("#seed").count()) {
  await page.locator("#seed").fill(seed);
  await page.locator("#seed").press("Enter");
}
await page.evaluate(() => { document.querySelector("#status").textContent = ""; });
await page.locator("#file").setInputFiles(picture);
await said("Choose the picture");
const made = await levels();
let painted = made;
if (maps) {
  await page.locator("#legend input").nth(1).check();
  const box = await page.locator("#from canvas").boundingBox();
  await page.evaluate(() => { document.querySelector("#status").textContent = ""; });
  await page.mouse.move(box.x + 5, box.y + 5);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 5, box.y + box.height - 5, { steps: 4 });
  await page.mouse.up();
  await said("Choose the picture");
  painted = await levels();
}
if (shot) await page.screenshot({ path: shot, fullPage: true });
await browser.close();
console.log(JSON.stringify({ made, changed: String(made) !== String(painted), maps, errors }));
