// Pages of others in a browser that has a session: a rebound name, another port, a frame without an origin.
//
//   node hostile.mjs ADDRESS

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const [address] = process.argv.slice(2);
const { port, origin } = new URL(address);
const evil = createServer((_, answer) => {
  answer.setHeader("Content-Type", "text/html");
  answer.end(`<iframe sandbox="allow-scripts allow-forms" srcdoc="<script>
    fetch('${origin}/api/v1/datasets', {method: 'POST', mode: 'no-cors', credentials: 'include', body: '{&quot;name&quot;: &quot;framed&quot;}'});
  </script>"></iframe><img src="${origin}/api/v1/runs"><form method="post" action="${origin}/api/v1/datasets"
    enctype="text/plain"><input name='{"name": "form", "x": "' value='"}'></form>`);
});
await new Promise((done) => evil.listen(0, "127.0.0.1", done));
const elsewhere = `http://127.0.0.1:${evil.address().port}/`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--host-resolver-rules=MAP rebound.example 127.0.0.1"],
});
const context = await browser.newContext();
const own = await context.newPage();
await own.goto(address);
await own.getByRole("navigation").waitFor();
const sets = () =>
  own.evaluate(async () =>
    (await (await fetch("/api/v1/datasets")).json()).datasets.map((one) => one.id),
  );
const before = await sets();
assert.ok(before.length > 0, "the browser has a session");

const page = await context.newPage();
const rebound = await page.goto(`http://rebound.example:${port}/`);
assert.equal(rebound.status(), 421);
assert.equal((await page.goto(`http://rebound.example:${port}/api/v1/datasets`)).status(), 421);

await page.goto(elsewhere);
const asked = await page.evaluate(async (to) => {
  const all = [];
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"]) {
    for (const mode of ["cors", "no-cors"]) {
      const body = method === "GET" ? undefined : '{"name": "fetched"}';
      const request = { method, mode, body, credentials: "include" };
      try {
        const answer = await fetch(`${to}/api/v1/datasets`, request);
        all.push([method, mode, answer.type, answer.status]);
      } catch {
        all.push([method, mode, "refused", 0]);
      }
    }
  }
  return all;
}, origin);
const sent = page.waitForResponse((one) => one.request().isNavigationRequest());
await page.evaluate(() => document.querySelector("form").submit());
assert.equal((await sent).status(), 403, "a form of another site makes nothing");
assert.ok(
  asked.every(([, , type]) => type === "refused" || type === "opaque"),
  JSON.stringify(asked),
);
assert.deepEqual(await sets(), before);
const framed = await context.newPage();
await framed.goto(elsewhere);
const frame = framed.locator("body");
await frame.evaluate((body, to) => {
  const made = document.createElement("iframe");
  made.src = `${to}/`;
  body.append(made);
}, origin);
await framed.waitForTimeout(500);
assert.ok(
  framed.frames().every((one) => !one.url().startsWith(origin)) ||
    (await framed.frames().at(-1).locator("nav").count()) === 0,
  "the studio is shown in no frame",
);
assert.deepEqual(await sets(), before);
await browser.close();
evil.close();
console.log("done");
