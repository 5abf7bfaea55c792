// Journey 1 as far as Gather goes: a designer drops 120 icons, 3 broken and 5 twice.
//   node gather.mjs ADDRESS FOLDER light|dark

import { accessible, assert, drop, journey, overflowing, shoot } from "./kit.mjs";

const [address, folder, theme] = process.argv.slice(2);
await journey(address, { theme }, async (page) => {
  const findings = page.locator(".findings li");
  const finding = (words) => findings.filter({ hasText: words });
  const heading = page.locator(".set-head p");
  const tiles = page.getByRole("option");

  await page.getByRole("heading", { name: "Drop pictures or folders here" }).waitFor();
  await page.locator(".cover img").first().waitFor({ timeout: 60_000 }); // the sample was looked at
  await shoot(page, `start-${theme}`);
  assert.deepEqual(await accessible(page), []);
  assert.deepEqual(await overflowing(page), []);

  await drop(page, ".drop-field", folder);
  await finding("3 files cannot be read").waitFor({ timeout: 60_000 });
  await finding("5 pictures are the same").waitFor({ timeout: 60_000 });
  await page.getByText("112 pictures · 3 classes").waitFor();
  assert.equal(await page.locator("h1").textContent(), "icons");
  await shoot(page, `gather-${theme}`);
  assert.deepEqual(await accessible(page), []);
  assert.deepEqual(await overflowing(page), []);

  // the eight are named; which of two equal pictures came first, the network decides
  const names = async () =>
    (await tiles.evaluateAll((all) => all.map((one) => one.dataset.name)))
      .map((name) => name.split("/").at(-1).replace("copy-of-", ""))
      .sort();
  await finding("5 pictures").getByRole("button", { name: "Show" }).click();
  assert.deepEqual(
    await names(),
    JSON.parse(process.env.BAD).filter((name) => !name.startsWith("broken")),
  );
  await finding("3 files").getByRole("button", { name: "Show" }).click();
  assert.deepEqual(
    await names(),
    JSON.parse(process.env.BAD).filter((name) => name.startsWith("broken")),
  );
  await finding("3 files").getByRole("button", { name: "Show all" }).click();

  // fix all, undo, fix
  await page.getByRole("button", { name: "Do both" }).click();
  await finding("5 pictures that were copies").waitFor();
  await heading.filter({ hasText: "8 left out" }).waitFor();
  await finding("copies of others").getByRole("button", { name: "Undo" }).click();
  await finding("5 pictures are the same").waitFor();
  await heading.filter({ hasText: "3 left out" }).waitFor();
  await page.getByRole("button", { name: "Leave the copies out" }).click();
  await heading.filter({ hasText: "8 left out" }).waitFor();

  // a class is renamed in place
  await page.getByRole("button", { name: "Rename stars" }).click();
  await page.getByRole("textbox", { name: "Rename stars" }).fill("Sparks");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Rename Sparks" }).waitFor();

  // a picture is dragged from one class into another, in a window that shows both
  await page.setViewportSize({ width: 1280, height: 1600 });
  await page.evaluate(() => scrollTo(0, 0));
  const hearts = page.getByRole("region", { name: "hearts" });
  const leaves = page.getByRole("region", { name: "leaves" });
  const name = await hearts.getByRole("option").nth(3).getAttribute("data-name");
  const dragged = (where) => where.locator(`[data-name="${name}"]`);
  await dragged(hearts).dragTo(leaves, { targetPosition: { x: 90, y: 24 } });
  await dragged(leaves).waitFor();
  await page.setViewportSize({ width: 1280, height: 800 });

  // a caption stands under its picture
  await page.evaluate(() => scrollTo(0, 0));
  await hearts.getByRole("option").nth(4).click();
  await page.getByLabel("Caption").fill("A plump heart");
  await page.keyboard.press("Enter");
  await page.locator(".under", { hasText: "A plump heart" }).waitFor();
  await shoot(page, `chosen-${theme}`);
  assert.deepEqual(await accessible(page), []);
  assert.deepEqual(await overflowing(page), []);

  // what was done is there after a reload, whose session is the cookie's
  await page.reload();
  await heading.filter({ hasText: "112 pictures · 3 classes · 1 caption · 8 left out" }).waitFor();
});
console.log("done");
