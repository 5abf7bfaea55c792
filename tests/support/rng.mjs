// The generator of src/zeuxis/rng.py once more, as docs/decisions/0011 states it: what a page or a package
// needs to draw the picture that `zeuxis sample` draws. Usage: node rng.mjs STREAM NAME COUNT ROW...
import { createHash } from "node:crypto";

const M = (1n << 64n) - 1n;

function philox(counter, key) {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const a = 0xd2e7470ee14c6c93n * c0, b = 0xca5a826395121157n * c2;
    [c0, c1, c2, c3] = [(b >> 64n) ^ c1 ^ k0, b & M, (a >> 64n) ^ c3 ^ k1, a & M];
    k0 = (k0 + 0x9e3779b97f4a7c15n) & M;
    k1 = (k1 + 0xbb67ae8584caa73bn) & M;
  }
  return [c0, c1, c2, c3];
}

export function words(stream, name, count, row) {
  const hash = createHash("sha256").update(`${stream}/${name}`).digest();
  const key = [hash.readBigUInt64LE(0), hash.readBigUInt64LE(8)];
  const out = [], pairs = Math.ceil(count / 2);
  for (let block = 1n; out.length < 2 * pairs; block++)
    for (const word of philox([block, BigInt(row), 0n, 0n], key)) out.push(Number(word & 0xffffffffn), Number(word >> 32n));
  return out.slice(0, 2 * pairs);
}

export const uniform = (drawn, count) => drawn.slice(0, count).map((w) => (w >>> 8) / 2 ** 24);

export function normal(drawn, count) {
  const half = drawn.length / 2, out = [];
  for (let i = 0; i < half; i++) {
    const a = drawn[i], share = (((a & 0x7fffffff) >>> 7) + 1) / 2 ** 24;
    const radius = (a >>> 31 ? -1 : 1) * Math.sqrt(-2 * Math.log(share));
    const angle = ((drawn[half + i] | 0) >> 8) * (Math.PI / 2 ** 24);
    out[i] = radius * Math.cos(angle);
    out[half + i] = radius * Math.sin(angle);
  }
  return out.slice(0, count);
}

const [stream, name, count, ...rows] = process.argv.slice(2);
const answer = rows.map((row) => {
  const drawn = words(stream, name, Number(count), row);
  return { words: drawn, uniform: uniform(drawn, Number(count)), normal: normal(drawn, Number(count)) };
});
console.log(JSON.stringify(answer));
