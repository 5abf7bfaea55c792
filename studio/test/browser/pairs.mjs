// A stranger with pairs: drop them, learn one from the other, see how it goes, use it on a picture of their own.
//   node pairs.mjs ADDRESS FOLDER PICTURE light|dark

import { accessible, assert, drop, journey, overflowing, shoot, small } from "./kit.mjs";

const [address, folder, picture, theme] = process.argv.slice(2);
await journey(address, { theme }, async (page) => {
  page.setDefaultTimeout(200_000);
  const well = async (name) => {
    const found = [await accessible(page), await overflowing(page), await small(page)];
    await page.evaluate(() => scrollTo(0, 0));
    await shoot(page, `pairs-${name}-${theme}`);
    assert.deepEqual(found, [[], [], []], name);
  };
  const field = (name) => page.getByRole("textbox", { name, exact: true });

  // what belongs together is noticed
  await drop(page, ".drop-field", folder);
  await page.locator(".findings li", { hasText: "24 pairs" }).waitFor();
  await well("gather");

  // one kind from another, the way that is chosen
  await page.locator(".next .primary").click();
  await page.getByRole("radio", { name: /One kind from another/ }).check({ force: true });
  await page.getByRole("radio", { name: "photos → outlines" }).waitFor();
  assert.ok(await page.getByRole("radio", { name: "outlines → photos" }).isChecked());
  await page.locator(".advanced > summary").click();
  await field("Widths").fill("16, 32"); // a small network: the test's machine has other work
  await field("Steps").fill("60");
  await field("Batch size").fill("8");
  await field("Sheet every").fill("20");
  await field("Log every").fill("5");
  await field("Threads").fill("1");
  await page.locator(".advanced > summary").click();
  await page.getByText(/About 60 steps; .* of memory/).waitFor();
  await well("begin");
  await page.getByRole("button", { name: "Start training" }).click();

  // sources stand above what is made of them
  await page.getByRole("radiogroup", { name: /Film/ }).waitFor();
  await page.getByText("Above each picture is what it was made from.").waitFor();
  await page
    .getByText(/^Finished/)
    .first()
    .waitFor();
  await page.locator(".sheet").waitFor();
  await well("running");

  // pictures of the set are there to begin with; then one of their own
  await page.getByRole("link", { name: "See the samples" }).click();
  await page.getByText("Pictures of its set").waitFor();
  await page.locator(".changes li").nth(7).waitFor();
  await well("create");
  const chosen = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Choose pictures" }).click();
  await (await chosen).setFiles(picture);
  await page.getByText("Or drop them here").waitFor();
  await page.getByRole("button", { name: /^Made of/ }).waitFor();
  assert.equal(await page.locator(".changes li").count(), 1);
  await page.getByRole("button", { name: /^Made of/ }).click();
  await page.getByRole("dialog", { name: "Enlarged" }).waitFor();
  await page.keyboard.press("Escape");

  // and how good it is, in a sentence
  await page.getByRole("link", { name: "Judge" }).click();
  await page.locator(".verdict").waitFor();
  await page.getByRole("heading", { name: "Kernel distance" }).waitFor();
  await well("judge");
});
console.log("done");
