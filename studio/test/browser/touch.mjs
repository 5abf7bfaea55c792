// Fingers on a canvas: one paints, two zoom and move and leave no stroke behind; the page does not scroll meanwhile.
//
//   node touch.mjs ADDRESS

import { assert, journey } from "./kit.mjs";

const [address] = process.argv.slice(2);
await journey(address, { touch: true }, async (page, context) => {
  const home = page.url().split("#")[0];
  await page.locator(".drop-field").waitFor(); // the session is there
  await page.goto(`${home}#/create/paint/paint`);
  await page.locator(".easel figcaption", { hasText: "ms" }).waitFor();
  const board = page.getByRole("application", { name: /^Canvas/ });
  const frame = page.locator(".board-frame");
  let box;
  const look = async () => {
    await frame.evaluate((one) => one.scrollIntoView({ block: "center" }));
    box = await frame.boundingBox();
  };
  const seen = () =>
    board.evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const colours = new Set();
      for (let i = 0; i < data.length; i += 4) colours.add(data.slice(i, i + 3).join());
      return { colours: colours.size, wide: canvas.getBoundingClientRect().width, top: scrollY };
    });
  const debug = await context.newCDPSession(page);
  await look();
  const touch = (type, ...places) =>
    debug.send("Input.dispatchTouchEvent", {
      type,
      touchPoints: places.map(([x, y], id) => ({
        x: box.x + x * box.width,
        y: box.y + y * box.height,
        id,
      })),
    });
  const before = await seen();

  // two fingers, from near to far, the one a moment before the other
  await touch("touchStart", [0.45, 0.5]);
  await touch("touchStart", [0.45, 0.5], [0.55, 0.5]);
  for (const far of [0.1, 0.15, 0.2]) await touch("touchMove", [0.5 - far, 0.5], [0.5 + far, 0.5]);
  await touch("touchEnd");
  await page.waitForTimeout(200);
  const zoomed = await seen();
  assert.ok(zoomed.wide > 1.5 * before.wide, "it is larger");
  assert.equal(zoomed.colours, 1, "and nothing is painted");

  // one finger
  await page.getByRole("radio", { name: "water" }).tap();
  await look();
  const { top } = await seen();
  await touch("touchStart", [0.3, 0.3]);
  for (const x of [0.35, 0.4, 0.5]) await touch("touchMove", [x, 0.4]);
  await touch("touchEnd");
  await page.waitForTimeout(200);
  const painted = await seen();
  assert.deepEqual([painted.colours, painted.top], [2, top]);
});
console.log("done");
