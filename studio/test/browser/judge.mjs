// Somebody who doubts at a model of twenty pictures: reads that it copies, sees the originals, guesses, compares, presses
// the advice, and gets the next training. Journey 7.
//
//   node judge.mjs ADDRESS FOLDER THEME ZOOM: by keys alone where the page is larger

import { accessible, assert, drop, hands, journey, overflowing, shoot, small } from "./kit.mjs";

const [address, folder, theme, zoom] = process.argv.slice(2);
await journey(address, { theme, zoom: Number(zoom) }, async (page) => {
  page.setDefaultTimeout(500_000);
  const home = page.url().split("#")[0];
  const well = async (name) => {
    const found = [await accessible(page), await overflowing(page), await small(page)];
    await shoot(page, `judge-${name}-${theme}-${zoom}`);
    assert.deepEqual(found, [[], [], []], name);
  };
  await drop(page, ".drop-field", folder);
  await page
    .getByText(/^Only 20|20:|20 pictures/)
    .first()
    .waitFor();
  await page.getByText("20 pictures", { exact: true }).waitFor(); // all of them have been sent
  const source = page.url().split("/").at(-1);

  // a model that learns twenty pictures by heart; how a person asks for it is another journey
  const job = await page.evaluate(async (set) => {
    const request = {
      family: "flow",
      source: set,
      steps: 1500,
      threads: 1,
      overrides: {
        family: { widths: [24, 32] },
        training: { batch_size: 16, sheet_every: 500, log_every: 100 },
        data: { size: [8, 8] },
      },
    };
    const answer = await fetch("/api/v1/jobs", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ request }),
    });
    return (await answer.json()).id;
  }, source);
  await page.goto(`${home}#/judge/${job}`);
  await page.getByText(/near-copies of real ones and the model has memorised/).waitFor();
  await well("verdict");

  // the originals stand beside the samples
  await page.getByRole("heading", { name: "Does it copy?" }).waitFor();
  assert.ok((await page.locator(".near li").count()) > 3);
  assert.equal(await page.locator(".near li").first().locator("canvas").count(), 4);
  await page.locator(".near").scrollIntoViewIfNeeded();
  await well("near");

  // the game, by keys
  const game = page.getByRole("region", { name: "Real or made?" });
  await game.getByRole("button", { name: "Real", exact: true }).focus();
  while ((await game.getByRole("button", { name: "Real", exact: true }).count()) > 0)
    await page.keyboard.press("m");
  await game.getByText(/^\d+ of \d+ right \(95 % interval/).waitFor();
  await game.scrollIntoViewIfNeeded();
  await well("game");

  // the advice is the next training
  const told = await page.locator(".verdict").textContent();
  const next = page.locator(".next .primary");
  const advice = await next.textContent();
  await hands(page, zoom !== "1").press(next);
  await page.waitForURL(/#\/(train\/job|create|train|gather)/);
  const jobs = await page.evaluate(async () => (await (await fetch("/api/v1/jobs")).json()).jobs);
  console.log(JSON.stringify({ told, advice, jobs: jobs.map(({ request }) => request) }));
});
