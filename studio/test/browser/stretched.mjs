// Every page with words two fifths longer, by touch, at two sizes: nothing is cut off or sticks out.
//   node stretched.mjs ADDRESS FOLDER light|dark

import { accessible, assert, drop, journey, overflowing, shoot, small } from "./kit.mjs";

const [address, folder, theme] = process.argv.slice(2);
const options = { theme, touch: true, language: "stretched" };
await journey(address, options, async (page, context) => {
  page.setDefaultTimeout(200_000);
  const home = page.url().split("#")[0];

  // a set and a training, which is asked of the server: how a person asks is another journey
  await page.locator(".drop-field").waitFor();
  const request = {
    family: "gan",
    source: "avatars",
    steps: 24,
    threads: 1,
    evaluate: false,
    overrides: {
      family: { features: 8, features_max: 16 },
      training: { batch_size: 8, sheet_every: 12, log_every: 4 },
    },
  };
  const job = await page.evaluate(async (asked) => {
    const answer = await fetch("/api/v1/jobs", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ request: asked }),
    });
    return (await answer.json()).id;
  }, request);
  await drop(page, ".drop-field", folder);
  await page.locator(".findings > .button:enabled").waitFor();
  const set = page.url().split("#")[1];

  const ready = {
    gather: ["/gather", ".cover img"],
    set: [set, "[role=option]"],
    train: ["/train/avatars", ".goal"],
    run: [`/train/job/${job}`, ".frame-of-film"],
    create: [`/create/${job}`, ".tiles img"],
    judge: [`/judge/${job}`, ".next button"],
    export: [`/export/${job}`, ".export"],
    verify: ["/verify", ".verify"],
  };
  for (const zoom of [1, 2]) {
    await page.setViewportSize({ width: 1280 / zoom, height: 800 / zoom });
    for (const [name, [where, seen]] of Object.entries(ready)) {
      await page.goto(`${home}#${where}`);
      await page.locator(seen).first().waitFor();
      if (name === "train") await page.locator(".advanced > summary").tap();
      const found = [await accessible(page), await overflowing(page), await small(page)];
      await shoot(page, `stretched-${name}-${zoom}-${theme}`);
      assert.deepEqual(found, [[], [], []], `${name} at ${zoom}`);
    }
    await page.locator(".rail button.step").first().tap();
    await page.locator("dialog.drawer .job").waitFor();
    const found = [await accessible(page), await overflowing(page), await small(page)];
    await shoot(page, `stretched-jobs-${zoom}-${theme}`);
    assert.deepEqual(found, [[], [], []], `jobs at ${zoom}`);
    await page.locator("dialog.drawer header button").tap();
  }
  assert.equal(context.pages().length, 1);
});
console.log("done");
