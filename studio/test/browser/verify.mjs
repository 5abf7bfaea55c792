// Somebody asks where pictures come from: a drawn one, one without marks, and a file that is none.
//   node verify.mjs ADDRESS MADE PLAIN BROKEN THEME [keys]

import { accessible, assert, hands, journey, overflowing, shoot, small } from "./kit.mjs";

const [address, made, plain, broken, theme, keys] = process.argv.slice(2);
await journey(address, { theme }, async (page) => {
  const by = hands(page, keys === "keys");
  await by.press(page.getByRole("link", { name: "Verify" }));
  await page.getByRole("heading", { level: 1, name: "Where does a picture come from?" }).waitFor();
  assert.deepEqual(await accessible(page), []);
  const chosen = page.waitForEvent("filechooser");
  await by.press(page.getByRole("button", { name: "Choose pictures" }));
  await (await chosen).setFiles([made, plain, broken]);
  const answers = page.locator(".verdicts > li");
  await answers.nth(2).waitFor();
  assert.deepEqual(await answers.locator("h2").allTextContents(), [
    "Made by Zeuxis",
    "No mark found, which proves nothing",
    "Cannot be read",
  ]);
  const evidence = await answers.first().locator(".evidence").textContent();
  assert.match(evidence, /fewer than 1 in 10\^\d+ unmarked images look as marked/);
  await shoot(page, `verify-${theme}`);
  assert.deepEqual(await accessible(page), []);
  assert.deepEqual(await overflowing(page), []);
  assert.deepEqual(await small(page), []);
});
console.log("done");
