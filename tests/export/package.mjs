// Draws by an exported package: node package.mjs PACKAGE SEED COUNT LABELS -> JSON of levels, labels and PNG files.
import { pathToFileURL } from "node:url";

const [folder, seed, count, labels] = process.argv.slice(2);
const { generate } = await import(pathToFileURL(`${folder}/index.js`));
const options = { seed: Number(seed), count: Number(count), labels: JSON.parse(labels) };
const pictures = await generate(options);
const alone = await generate({ ...options, start: 1, count: 1 });
const seen = async ({ width, height, channels, levels, labels, png }, i) => ({
  width, height, channels, labels, levels: [...levels],
  png: Buffer.from(await pictures[i].png()).toString("base64"),
});
let refused = "";
await generate({ labels: { nothing: "such" } }).catch((error) => { refused = error.message; });
console.log(JSON.stringify({
  pictures: await Promise.all(pictures.map(seen)),
  alone: [...alone[0].levels],
  refused,
}));
