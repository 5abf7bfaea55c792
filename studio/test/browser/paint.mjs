// What the first paint costs: bytes, requests, where to, and how long on this machine.
//   node paint.mjs ADDRESS

import { gzipSync } from "node:zlib";
import { assert, journey } from "./kit.mjs";

const [address] = process.argv.slice(2);
let bytes = 0;
const files = [];
const options = {
  watch: (opened) =>
    opened.on("response", async (response) => {
      const body = await response.body().catch(() => Buffer.alloc(0));
      files.push(new URL(response.url()).pathname);
      if (!response.url().includes("/api/")) bytes += gzipSync(body).length;
    }),
};
await journey(address, options, async (page) => {
  await page.getByRole("heading", { level: 1 }).waitFor();
  const paint = await page.evaluate(
    () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
  );
  assert.ok(!page.url().includes("ticket"), "the ticket has left the address");
  console.log(JSON.stringify({ bytes, paint, files }));
});
