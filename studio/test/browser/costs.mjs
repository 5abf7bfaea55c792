// What the page costs, for benchmarks/studio.py: strokes to pictures, frames of the brush, tiles, bytes.
//   node costs.mjs ADDRESS

import { gzipSync } from "node:zlib";
import { journey } from "./kit.mjs";

const [address] = process.argv.slice(2);
const STROKES = 30;
let bytes = 0;
const watch = (opened) =>
  opened.on("response", async (response) => {
    const body = await response.body().catch(() => Buffer.alloc(0));
    if (!response.url().includes("/api/")) bytes += gzipSync(body).length;
  });
const sorted = (values) => values.toSorted((a, b) => a - b);
const at = (values, share) =>
  Number(
    sorted(values)[Math.min(values.length - 1, Math.floor(share * values.length))]?.toFixed(1),
  );

await journey(address, { watch }, async (page) => {
  page.setDefaultTimeout(300_000);
  await page.getByRole("heading", { level: 1 }).waitFor();
  const first = bytes;
  const home = page.url().split("#")[0];
  const measured = (name) =>
    page.evaluate(
      (what) => performance.getEntriesByName(what).map(({ duration }) => duration),
      name,
    );

  // strokes on 256 pixels, one step: from the frame of the brush to the picture on its canvas
  await page.goto(`${home}#/create/paint/paint`);
  await page.locator(".easel figcaption", { hasText: "ms" }).waitFor();
  const board = page.getByRole("application");
  await board.scrollIntoViewIfNeeded();
  let box = await board.boundingBox();
  await page.getByRole("radio").nth(1).check();
  await board.scrollIntoViewIfNeeded();
  box = await board.boundingBox();
  for (let i = 0; i < 3; i += 1) {
    await page.mouse.click(box.x + 20 + 9 * i, box.y + 20); // the first ones warm up
    await page.waitForTimeout(400);
  }
  await page.evaluate(() => performance.clearMeasures());
  const strokes = [];
  for (let i = 0; i < STROKES; i += 1) {
    const before = (await measured("painted")).length;
    await page.mouse.move(box.x + 20 + (i % 10) * 30, box.y + 60 + 10 * i);
    await page.mouse.down();
    await page.mouse.up();
    await page.waitForFunction(
      (count) => performance.getEntriesByName("painted").length > count,
      before,
    );
    const spans = await page.evaluate(() => {
      const last = performance.getEntriesByName("painted").at(-1);
      const brush = performance.getEntriesByName("brush").at(-1);
      return last.startTime + last.duration - brush.startTime;
    });
    strokes.push(spans);
  }

  // frames of the brush on 1024 pixels, in one long stroke
  await page.locator("#side").selectOption("1024");
  await board.waitFor();
  await page.waitForTimeout(500);
  await board.scrollIntoViewIfNeeded();
  box = await board.boundingBox();
  await page.evaluate(() => performance.clearMeasures());
  await page.mouse.move(box.x + 10, box.y + 10);
  await page.mouse.down();
  for (let i = 0; i < 60; i += 1)
    await page.mouse.move(box.x + 10 + 6 * i, box.y + 10 + 100 * (1 + Math.sin(i / 5)));
  await page.mouse.up();
  await page.waitForTimeout(300);
  const frames = await measured("brush");

  // ten thousand pictures
  await page.goto(`${home}#/create/many/grid`);
  await page.locator(".tiles img").first().waitFor();
  await page.evaluate(() => {
    const recipe = { run: "many", verb: "sample", file: "0000.png", count: 10_000, seed: 7 };
    const file = new File([`zeuxis:Recipe='${JSON.stringify(recipe)}'`], "x.png", {
      type: "image/png",
    });
    const transfer = new DataTransfer();
    transfer.items.add(file);
    document
      .querySelector(".restoring")
      .dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
  });
  await page.waitForFunction(
    () => Number.parseFloat(document.querySelector(".tiles")?.style.height ?? "0") > 50_000,
  );
  const nodes = [];
  for (const share of [0, 0.3, 0.7, 1]) {
    await page.evaluate((part) => scrollTo(0, part * document.body.scrollHeight), share);
    await page.waitForTimeout(300);
    nodes.push(await page.locator(".tiles, .tiles *").count());
  }
  console.log(
    JSON.stringify({
      stroke_ms: { median: at(strokes, 0.5), p95: at(strokes, 0.95), n: strokes.length },
      brush_frame_ms: { median: at(frames, 0.5), p95: at(frames, 0.95), n: frames.length },
      tiles: 10_000,
      most_nodes: Math.max(...nodes),
      first_paint_kb: Math.round(first / 1000),
    }),
  );
});
