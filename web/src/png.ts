// PNG files that say where a picture comes from, as marks/containers.py writes them.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc(content: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of content) c = (TABLE[(c ^ byte) & 255] as number) ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

const bytes = (text: string) => new TextEncoder().encode(text);

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function whole(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function chunk(name: string, content: Uint8Array): Uint8Array {
  const named = joined(bytes(name), content);
  return joined(whole(content.length), named, whole(crc(named)));
}

async function deflated(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A PNG file of levels, channels innermost: 1 grey, 3 colour, 4 with alpha. */
export async function png(
  levels: Uint8Array,
  width: number,
  height: number,
  channels: number,
  said: { xmp: string; software: string },
): Promise<Uint8Array<ArrayBuffer>> {
  const kind = { 1: 0, 3: 2, 4: 6 }[channels] ?? 2;
  const line = width * channels;
  const rows = new Uint8Array(height * (line + 1));
  for (let y = 0; y < height; y++)
    rows.set(levels.subarray(y * line, (y + 1) * line), y * (line + 1) + 1);
  return joined(
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10),
    chunk("IHDR", joined(whole(width), whole(height), Uint8Array.of(8, kind, 0, 0, 0))),
    chunk("iTXt", joined(bytes("XML:com.adobe.xmp\0\0\0\0\0"), bytes(said.xmp))),
    chunk("tEXt", joined(bytes("Software\0"), bytes(said.software))),
    chunk("IDAT", await deflated(rows)),
    chunk("IEND", new Uint8Array()),
  );
}
