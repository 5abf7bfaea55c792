// Draws by an exported package: node package.mjs PACKAGE SEED COUNT OPTIONS -> JSON of levels, labels and PNG files.
import { pathToFileURL } from "node:url";

const [folder, seed, count, more] = process.argv.slice(2);
const { generate } = await import(pathToFileURL(`${folder}/index.js`));
const options = { seed: Number(seed), count: Number(count), ...JSON.parse(more) };
const pictures = await generate(options);
const alone = await generate({ ...options, start: 1, count: 1 });
const seen = async ({ width, height, channels, levels, labels, png }, i) => ({
  width, height, channels, labels, levels: [...levels],
  png: Buffer.from(await pictures[i].png()).toString("base64"),
});
let refused = "";
for (const wrong of [{ labels: { nothing: "such" } }, { controls: { nothing: 1 } }, { numbers: { nothing: 1 } }])
  await generate(wrong).catch((error) => { refused += error.message; });
console.log(JSON.stringify({
  pictures: await Promise.all(pictures.map(seen)),
  alone: [...alone[0].levels],
  refused,
}));
