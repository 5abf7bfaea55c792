// Train on the avatars, leave and come back, pause and go on, stop and keep, then draw: journeys 1 and 8, the page's part.
//
//   node train.mjs ADDRESS THEME [keys]: by keys alone, at twice the size

import { accessible, assert, hands, journey, overflowing, shoot, small } from "./kit.mjs";

const [address, theme, by] = process.argv.slice(2);
const keys = by === "keys";
let place = "";
let shown = [];
await journey(address, { theme, zoom: keys ? 2 : 1 }, async (page, context) => {
  page.setDefaultTimeout(200_000);
  const at = (name) => `train-${name}-${keys ? "zoomed" : theme}`;
  const well = async (tab, where) => {
    assert.deepEqual([await accessible(tab), await overflowing(tab)], [[], []], where);
    assert.deepEqual(await small(tab), [], where);
  };
  const field = (name) => page.getByRole("textbox", { name, exact: true });

  // A goal in plain words, a time with what it costs, and smaller settings in Advanced.
  let { press, choose, write } = hands(page, keys);
  await press(page.getByRole("link", { name: "Train", exact: true }));
  const goals = page.getByRole("group", { name: "What should come out?" });
  await goals.waitFor();
  await choose(goals.getByRole("radio", { name: /Sharp and quick/ }), goals);
  const advanced = page.locator(".advanced > summary");
  await press(advanced);
  await write(field("Features"), "8");
  await write(field("Features max"), "16");
  await write(field("Steps"), "300");
  await write(field("Batch size"), "8");
  await write(field("Log every"), "5");
  await write(field("Sheet every"), "40");
  await write(field("Threads"), "1"); // the test's machine has other work
  await well(page, "advanced");
  if (!keys) await press(advanced);
  await page.getByText(/About 300 steps; .* of memory/).waitFor();
  await well(page, "begin");
  await page.evaluate(() => scrollTo(0, 0));
  await shoot(page, at("begin"));
  await press(page.getByRole("button", { name: "Start training" }));

  // It trains: samples, curves, both networks; then the tab is closed.
  await page.getByText("You may close this tab").waitFor();
  await page.getByRole("radiogroup", { name: /Film/ }).waitFor();
  await page.getByText("The two networks").waitFor();
  await page.locator(".chart canvas").first().waitFor();
  const step = async (tab) =>
    Number(/Step ([\d,]+) of/.exec(await tab.locator("main").textContent())[1].replace(",", ""));
  const before = await step(page);
  place = page.url();
  await page.close();
  const again = await context.newPage();
  ({ press, choose, write } = hands(again, keys));
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
  await well(again, "running");
  await shoot(again, at("running"));

  // Pause, go on, stop and keep; the drawer says the same.
  await press(again.getByRole("button", { name: "Pause", exact: true }));
  await again
    .getByText(/^Paused/)
    .first()
    .waitFor();
  await press(again.getByRole("button", { name: "Go on" }));
  await press(again.getByRole("button", { name: "Stop and keep" }));
  await again
    .getByText(/^Stopped, and kept/)
    .first()
    .waitFor();
  await press(again.getByRole("button", { name: /^Jobs/ }));
  await again
    .getByRole("dialog", { name: "Jobs" })
    .getByText(/Stopped/)
    .waitFor();
  await well(again, "jobs");
  await shoot(again, at("jobs"));
  await again.keyboard.press("Escape");
  assert.match(await again.evaluate(() => document.activeElement.textContent), /^Jobs/);

  // What it learned draws: 16 of seed 7, enlarged by Enter.
  await press(again.getByRole("link", { name: "See the samples" }));
  await again.waitForFunction(() => {
    document.querySelector(".tiles")?.scrollIntoView(); // those out of sight are not drawn
    return document.querySelectorAll(".tiles img").length === 16;
  });
  await again.getByRole("button", { name: /^Picture 1\b/ }).focus();
  await again.keyboard.press("ArrowRight");
  await again.keyboard.press("Enter");
  await again.getByRole("dialog", { name: "Enlarged" }).waitFor();
  await again.keyboard.press("ArrowRight");
  await again.getByRole("img", { name: /^Picture 3/ }).waitFor();
  await again.keyboard.press("Escape");
  await well(again, "create");
  assert.deepEqual(await again.evaluate(() => document.getAnimations().length), 0, "less motion");
  await shoot(again, at("create"));
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
