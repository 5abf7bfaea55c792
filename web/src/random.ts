// Zeuxis' generator (docs/decisions/0011) and what else of its randomness a picture depends on.
import { blake2b } from "@noble/hashes/blake2.js";
import { sha256 } from "@noble/hashes/sha2.js";

const M64 = (1n << 64n) - 1n;
const bytes = (text: string) => new TextEncoder().encode(text);
const word = (from: Uint8Array, at: number) =>
  new DataView(from.buffer, from.byteOffset).getBigUint64(at, true);

/** Hash a tuple as Python writes it into 63 bits: `derive_seed` of core/rng.py. */
export function derive(...parts: (number | string)[]): bigint {
  const shown = parts.map((part) => (typeof part === "string" ? `'${part}'` : String(part)));
  return word(blake2b(bytes(`(${shown.join(", ")})`), { dkLen: 8 }), 0) >> 1n;
}

/** Philox-4x64-10 (Salmon et al., 2011). */
function philox(counter: [bigint, bigint], key: [bigint, bigint]): bigint[] {
  let [c0, c1, c2, c3] = [counter[0], counter[1], 0n, 0n];
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const a = 0xd2e7470ee14c6c93n * c0;
    const b = 0xca5a826395121157n * c2;
    [c0, c1, c2, c3] = [(b >> 64n) ^ c1 ^ k0, b & M64, (a >> 64n) ^ c3 ^ k1, a & M64];
    k0 = (k0 + 0x9e3779b97f4a7c15n) & M64;
    k1 = (k1 + 0xbb67ae8584caa73bn) & M64;
  }
  return [c0, c1, c2, c3];
}

/** At least `count` words of 32 bits, an even number, of a row of a draw. */
function words(stream: string, name: string, count: number, row: number): Uint32Array {
  const hash = sha256(bytes(`${stream}/${name}`));
  const key: [bigint, bigint] = [word(hash, 0), word(hash, 8)];
  const out = new Uint32Array(2 * Math.ceil(count / 2));
  for (let block = 0; 8 * block < out.length; block++)
    philox([BigInt(block + 1), BigInt(row)], key).forEach((each, i) => {
      out[8 * block + 2 * i] = Number(each & 0xffffffffn);
      out[8 * block + 2 * i + 1] = Number(each >> 32n);
    });
  return out;
}

/** Uniform numbers on [0, 1). */
export function uniform(stream: string, name: string, count: number, row: number): Float32Array {
  return Float32Array.from(
    words(stream, name, count, row).subarray(0, count),
    (w) => (w >>> 8) / 2 ** 24,
  );
}

/** Standard normal numbers (Box and Muller, 1958). */
export function normal(stream: string, name: string, count: number, row: number): Float32Array {
  const drawn = words(stream, name, count, row);
  const half = drawn.length / 2;
  const out = new Float32Array(drawn.length);
  for (let i = 0; i < half; i++) {
    const a = drawn[i] as number;
    const share = (((a & 0x7fffffff) >>> 7) + 1) / 2 ** 24;
    const radius = (a >>> 31 ? -1 : 1) * Math.sqrt(-2 * Math.log(share));
    const angle = (((drawn[half + i] as number) | 0) >> 8) * (Math.PI / 2 ** 24);
    out[i] = radius * Math.cos(angle);
    out[half + i] = radius * Math.sin(angle);
  }
  return out.subarray(0, count);
}

/** The words of 32 bits of PyTorch's generator after `manual_seed`: MT19937 (Matsumoto and Nishimura, 1998). */
export function mersenne(seed: number): () => number {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) {
    const before = state[i - 1] as number;
    state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
  }
  let at = 624;
  return () => {
    if (at === 624) {
      for (let i = 0; i < 624; i++) {
        const y =
          ((state[i] as number) & 0x80000000) | ((state[(i + 1) % 624] as number) & 0x7fffffff);
        state[i] = (state[(i + 397) % 624] as number) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = state[at++] as number;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

/** Each row's numbers in the k-th other order and signs: `shuffled` of sampling/stochastic.py. */
export function shuffled(rows: Float32Array, count: number, k: number): Float32Array {
  const size = rows.length / count;
  const draw = mersenne(k);
  const order = Int32Array.from({ length: size }, (_, i) => i);
  for (let i = 0; i < size - 1; i++) {
    const other = i + (draw() % (size - i));
    [order[i], order[other]] = [order[other] as number, order[i] as number];
  }
  const sign = Int8Array.from({ length: size }, () => 1 - 2 * (draw() % 2));
  const out = new Float32Array(rows.length);
  for (let row = 0; row < count; row++)
    for (let i = 0; i < size; i++)
      out[row * size + i] =
        (rows[row * size + (order[i] as number)] as number) * (sign[i] as number);
  return out;
}
