// Train on the avatars, leave and come back, pause and go on, stop and keep, then draw: journeys 1 and 8, the page's part.
//
//   node train.mjs ADDRESS THEME [SOURCE]

import { accessible, assert, journey, overflowing, shoot } from "./kit.mjs";

const [address, theme] = process.argv.slice(2);
let place = "";
let shown = [];
await journey(address, { theme }, async (page, context) => {
  page.setDefaultTimeout(200_000);
  const at = (name) => `train-${name}-${theme}`;
  const well = async (where) => {
    assert.deepEqual([await accessible(page), await overflowing(page)], [[], []], where);
  };

  // A goal in plain words, a time with what it costs, and smaller settings in Advanced.
  await page.getByRole("link", { name: "Train", exact: true }).click();
  await page.getByRole("radio", { name: /Sharp and quick/ }).check({ force: true });
  await page.getByText("Advanced").click();
  await page.getByRole("textbox", { name: "Steps", exact: true }).fill("300");
  await page.getByLabel("Features", { exact: true }).fill("8");
  await page.getByLabel("Features max").fill("16");
  await page.getByLabel("Batch size").fill("8");
  await page.getByLabel("Sheet every").fill("40");
  await page.getByLabel("Log every").fill("5");
  await page.getByText("Advanced").click();
  await page.getByText(/About 300 steps; .* of memory/).waitFor();
  await well("begin");
  await shoot(page, at("begin"));
  await page.getByRole("button", { name: "Start training" }).click();

  // It trains: samples, curves, both players; then the tab is closed.
  await page.getByText("You may close this tab").waitFor();
  await page.getByRole("radiogroup", { name: /Film/ }).waitFor();
  await page.getByText("The two players").waitFor();
  await page.locator(".chart canvas").first().waitFor();
  const step = async (tab) =>
    Number(/Step ([\d,]+) of/.exec(await tab.locator("main").textContent())[1].replace(",", ""));
  const before = await step(page);
  place = page.url();
  await page.close();
  const again = await context.newPage();
  again.setDefaultTimeout(200_000);
  await again.goto(place);
  await again
    .getByText(/Step [\d,]+ of/)
    .first()
    .waitFor();
  assert.ok((await step(again)) >= before, "it went on while nobody looked");

  // The film and the curves have one cursor, by keyboard, too.
  const film = again.getByRole("radiogroup", { name: /Film/ });
  await film.getByRole("radio", { checked: true }).focus();
  await again.keyboard.press("Home");
  await again.getByRole("img", { name: "Samples at step 40", exact: true }).first().waitFor();
  assert.deepEqual([await accessible(again), await overflowing(again)], [[], []]);
  await shoot(again, at("running"));

  // Pause, go on, stop and keep; the drawer says the same.
  await again.getByRole("button", { name: "Pause", exact: true }).click();
  await again
    .getByText(/^Paused/)
    .first()
    .waitFor();
  await again.getByRole("button", { name: "Go on" }).click();
  await again.getByRole("button", { name: "Stop and keep" }).click();
  await again
    .getByText(/^Stopped, and kept/)
    .first()
    .waitFor();
  await again.getByRole("button", { name: /^Jobs/ }).click();
  await again
    .getByRole("dialog", { name: "Jobs" })
    .getByText(/Stopped/)
    .waitFor();
  assert.deepEqual(await accessible(again), []);
  await shoot(again, at("jobs"));
  await again.keyboard.press("Escape");

  // What it learned draws: 16 of seed 7, enlarged by Enter.
  await again.getByRole("link", { name: "See the samples" }).click();
  await again.getByRole("button", { name: /^Sample 16/ }).waitFor();
  await again.getByRole("button", { name: /^Sample 1\b/ }).focus();
  await again.keyboard.press("ArrowRight");
  await again.keyboard.press("Enter");
  await again.getByRole("dialog", { name: "Enlarged" }).waitFor();
  await again.keyboard.press("ArrowRight");
  await again.getByRole("img", { name: /^Sample 3/ }).waitFor();
  await again.keyboard.press("Escape");
  assert.deepEqual([await accessible(again), await overflowing(again)], [[], []]);
  await shoot(again, at("samples"));
  // a canvas reads the pixels: the page's own policy forbids fetching them again
  shown = await again.evaluate(async () => {
    const pixels = [...document.querySelectorAll(".tiles img")].map((one) => {
      const canvas = new OffscreenCanvas(one.naturalWidth, one.naturalHeight);
      const pen = canvas.getContext("2d");
      pen.drawImage(one, 0, 0);
      return pen.getImageData(0, 0, canvas.width, canvas.height).data.filter((_, i) => i % 4 < 3);
    });
    const sums = await Promise.all(pixels.map((one) => crypto.subtle.digest("SHA-256", one)));
    return sums.map((one) =>
      [...new Uint8Array(one)].map((b) => b.toString(16).padStart(2, "0")).join(""),
    );
  });
});
console.log(JSON.stringify({ run: decodeURIComponent(place.split("/").at(-1)), shown }));
