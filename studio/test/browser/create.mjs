// At the models of a studio: pictures to words, favourites and what descends from them, a walk and its film, a picture
// dropped back, an edit by mask, a map painted live. Journeys 2, 3 and 4.
//
//   node create.mjs ADDRESS FOLDER THEME ZOOM: what is downloaded goes into the folder

import { accessible, assert, journey, overflowing, shoot, small } from "./kit.mjs";

const [address, folder, theme, zoom] = process.argv.slice(2);
await journey(address, { theme, zoom: Number(zoom) }, async (page) => {
  page.setDefaultTimeout(60_000);
  const home = page.url().split("#")[0];
  await page.locator(".drop-field").waitFor(); // the session is there
  const well = async (name) => {
    const found = [await accessible(page), await overflowing(page), await small(page)];
    await shoot(page, `create-${name}-${theme}-${zoom}`);
    assert.deepEqual(found, [[], [], []], name);
  };
  const fetched = async (locator, name) => {
    const begun = page.waitForEvent("download");
    await locator.click();
    await (await begun).saveAs(`${folder}/${name}`);
  };
  const settled = () =>
    page.waitForFunction(() => {
      document.querySelector(".tiles")?.scrollIntoView(); // those out of sight are not drawn
      return document.querySelector('.tiles[aria-busy="false"] img') !== null;
    });
  const tile = (n) => page.locator(`.tiles [data-at="${n - 1}"]`);

  // words: those that the model knows are suggested, others are named by the server
  await page.goto(`${home}#/create/flow/grid`);
  await settled();
  const text = page.getByRole("textbox", { name: "What it should show" });
  await text.fill("a r");
  await page.getByRole("list", { name: "Words that it knows" }).getByText("red").click();
  assert.equal(await text.inputValue(), "a red ");
  await text.pressSequentially("whale");
  await page.getByText(/never seen in training: 'whale'/).waitFor();
  await text.fill("a red cat");
  await page.getByText(/never seen/).waitFor({ state: "detached" });
  await page.getByRole("combobox", { name: "Shape" }).selectOption("ring");
  await page.getByRole("textbox", { name: "Angle" }).fill("2");
  await page.getByRole("textbox", { name: "Angle" }).press("Tab");
  await page.getByRole("textbox", { name: "Seed" }).fill("11");
  await page.locator("details.advanced summary").click();
  await page.getByRole("textbox", { name: "Steps", exact: true }).fill("3");
  await page.waitForTimeout(500);
  await settled();
  await tile(2).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Enlarged" }).waitFor();
  await page.locator("details.recipe summary").click();
  await well("recipe");
  await fetched(page.getByRole("button", { name: "Download", exact: true }), "one.png");
  await page.keyboard.press("Escape");

  // favourites by keys; variations of one, children of two
  await tile(1).focus();
  for (const key of ["f", "ArrowRight", "f"]) await page.keyboard.press(key);
  const tray = page.getByRole("region", { name: "Favourites" });
  await tray.getByRole("button", { name: "Favourite 2" }).click();
  await tray.getByRole("button", { name: "Variations" }).click();
  await page.getByRole("heading", { name: /^Variations of/ }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".tiles img").length === 8);
  await tray.getByRole("button", { name: "Favourite 1" }).click();
  await tray.getByRole("button", { name: "Cross both" }).click();
  await page.getByRole("heading", { name: /^Between both/ }).waitFor();
  await settled();
  assert.equal(await page.locator(".tiles img").count(), 8);
  await page.evaluate(() => scrollTo(0, 0));
  await well("children");

  // a walk between them, and its film
  await tray.getByRole("button", { name: "Walk between both" }).click();
  await page.locator(".walk img").waitFor();
  await well("walk");
  await fetched(page.getByRole("button", { name: "Download as a film" }), "walk.webp");

  // a picture dropped back brings all of its settings
  await page.goto(`${home}#/create/flow/grid`);
  await settled();
  await text.fill("a blue dog");
  await page.getByRole("textbox", { name: "Seed" }).fill("3");
  await page.getByRole("combobox", { name: "Shape" }).selectOption("disc");
  const { readFileSync } = await import("node:fs");
  const bytes = readFileSync(`${folder}/one.png`).toString("base64");
  await page.evaluate((content) => {
    const file = new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], "one.png", {
      type: "image/png",
    });
    const transfer = new DataTransfer();
    transfer.items.add(file);
    document
      .querySelector(".restoring")
      .dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
  }, bytes);
  await page.waitForFunction(() => document.querySelector("#seed").value === "11");
  assert.deepEqual(
    [await text.inputValue(), await page.getByRole("combobox", { name: "Shape" }).inputValue()],
    ["a red cat", "ring"],
  );
  await settled();

  // a mode that a model has not got says what has
  await page.goto(`${home}#/create/gan/edit`);
  await page.getByText(/Models of “Many new pictures”.* can/).waitFor();
  await well("unable");

  // an edit: brush, eraser, undo, four ways; the first is downloaded, and what it was made of
  await page.goto(`${home}#/create/flow/edit`);
  await page.getByRole("button", { name: "Favourite 1" }).click();
  const board = page.getByRole("application", { name: /^Canvas/ });
  await board.waitFor();
  await board.focus();
  await page.keyboard.press("Enter"); // by keys: put the brush down, lead it on, lift it
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  const drag = async (on, x0, y0, x1, y1) => {
    await on.evaluate((canvas) => canvas.scrollIntoView({ block: "start" }));
    const box = await on.boundingBox();
    await page.mouse.move(box.x + x0 * box.width, box.y + y0 * box.height);
    await page.mouse.down();
    await page.mouse.move(box.x + x1 * box.width, box.y + y1 * box.height, { steps: 6 });
    await page.mouse.up();
  };
  await drag(board, 0.1, 0.1, 0.9, 0.3);
  await page.keyboard.press("x");
  await drag(board, 0.2, 0.2, 0.3, 0.2);
  for (let i = 0; i < 5; i += 1) await page.keyboard.press("z");
  await page.waitForFunction(
    () =>
      [...document.querySelectorAll(".board-tools button")].find((b) => b.textContent === "Undo")
        .disabled,
  );
  await page.getByRole("button", { name: "Fill it", exact: true }).click();
  await page.getByText(/Nothing is marked yet/).waitFor();
  await page.getByRole("button", { name: "Brush" }).click();
  await drag(board, 0.1, 0.1, 0.9, 0.3);
  const masked = await board.evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return [...data].filter((_, i) => i % 4 === 3).map((alpha) => (alpha > 0 ? 1 : 0));
  });
  await page.getByRole("button", { name: "Fill it", exact: true }).click();
  await settled();
  assert.equal(await page.locator(".tiles img").count(), 4);
  await well("edit");
  await tile(1).click();
  await fetched(page.getByRole("button", { name: "Download", exact: true }), "filled.png");
  await page.keyboard.press("Escape");

  // a map, painted live
  await page.goto(`${home}#/create/paint/paint`);
  await page.locator(".easel figcaption", { hasText: "ms" }).waitFor();
  const shown = () =>
    page.evaluate(() => {
      const canvas = document.querySelector(".easel figure canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.reduce((sum, value, i) => (sum * 31 + value * (i % 97)) % 1_000_003, 7);
    });
  const before = await shown();
  await page.getByRole("radio", { name: "water" }).check();
  const map = page.getByRole("application", { name: /^Canvas/ });
  await drag(map, 0.2, 0.1, 0.8, 0.3);
  await page.waitForFunction(
    ([sum]) => {
      const canvas = document.querySelector(".easel figure canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.reduce((all, value, i) => (all * 31 + value * (i % 97)) % 1_000_003, 7) !== sum;
    },
    [before],
  );
  await page.evaluate(() => scrollTo(0, 0));
  await well("paint");
  await page.goto(`${home}#/create/-/plain`);
  await page.locator(".goal").first().waitFor();
  await well("plain");
  console.log(JSON.stringify({ masked }));
});
