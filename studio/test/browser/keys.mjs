// Journey 1 by keyboard alone, at 200 % zoom, with longer words: every name is in another language's length.
//   node keys.mjs ADDRESS FOLDER

import { accessible, assert, journey, overflowing, shoot } from "./kit.mjs";

const [address, folder] = process.argv.slice(2);
await journey(address, { zoom: 2 }, async (page) => {
  /** Press Tab until an element has the focus. */
  async function tab(selector) {
    for (let i = 0; i < 80; i += 1) {
      if (await page.evaluate((where) => document.activeElement?.matches(where), selector)) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`Tab never reached ${selector}`);
  }

  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("data-name"));

  await page.locator(".drop-field").waitFor();
  await shoot(page, "start-zoomed");
  assert.deepEqual(await overflowing(page), []);

  // the folder is chosen in the system's window, which opens by key
  const chosen = page.waitForEvent("filechooser"); // asked for first: it takes the browser a moment
  await tab(".drop-buttons button:last-child");
  await page.keyboard.press("Enter");
  const chooser = await chosen;
  await chooser.setFiles(folder);
  await page.locator(".findings li", { hasText: "are the same" }).waitFor();
  await page.locator(".findings > .button:enabled").waitFor(); // all pictures were looked at
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "H1");
  await shoot(page, "gather-zoomed");
  assert.deepEqual(await accessible(page), []);
  assert.deepEqual(await overflowing(page), []);

  // fixes
  await tab(".findings > .button");
  await page.keyboard.press("Enter");
  await page.locator(".set-head p", { hasText: "8 left out" }).waitFor();

  // tiles: one is reached by Tab, the others by arrows
  await tab("[role=option]");
  const first = await focused();
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(
    (before) => document.activeElement?.getAttribute("data-name") !== before,
    first,
  );
  const second = await focused();
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction(
    (before) => document.activeElement?.getAttribute("data-name") === before,
    first,
  );

  // into another class
  await page.keyboard.press("Space");
  await page.keyboard.press("Enter");
  await page.locator("#class-of-chosen:focus").waitFor();
  await page.keyboard.type("stars");
  await page.getByRole("region", { name: "stars" }).locator(`[data-name="${first}"]`).waitFor();
  await shoot(page, "chosen-zoomed");

  // out, and back by Ctrl+Z
  await tab("[role=option]");
  await page.keyboard.press("Escape");
  const out = await focused();
  await page.keyboard.press("e");
  await page.locator(".set-head p", { hasText: "9 left out" }).waitFor();
  assert.notEqual(await focused(), out);
  await page.keyboard.press("Control+z");
  await page.locator(".set-head p", { hasText: "8 left out" }).waitFor();
  assert.ok(second);
});
console.log("done");
