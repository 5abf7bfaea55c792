// Builds what `zeuxis export --to page` and `--to npm` need into the package: no node is needed to use it.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = (path) => new URL(path, import.meta.url);
const to = here("../src/zeuxis/export/static/");
rmSync(to, { recursive: true, force: true });
mkdirSync(to, { recursive: true });

async function bundle(entry) {
  const made = await build({
    entryPoints: [here(entry).pathname],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    legalComments: "none",
    external: ["node:*", "module", "fs", "path", "os", "url", "worker_threads"],
    absWorkingDir: here(".").pathname,
  });
  return made.outputFiles[0].text;
}

const wasm = readFileSync(here("node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm"));
writeFileSync(new URL("ort.wasm.gz", to), gzipSync(wasm, { level: 9 }));
copyFileSync(here("src/licences.txt"), new URL("LICENCES.txt", to));
const page = readFileSync(here("src/page.html"), "utf8")
  .replace("@style@", () => readFileSync(here("src/page.css"), "utf8"))
  .replace("@licences@", () => readFileSync(here("src/licences.txt"), "utf8").trim())
  .replace("@script@", "\0");
const script = (await bundle("src/page.ts")).replaceAll("</script", "<\\/script");
writeFileSync(
  new URL("page.html", to),
  page.replace("\0", () => script),
);
writeFileSync(new URL("index.js", to), await bundle("src/index.ts"));
const types = mkdtempSync(join(tmpdir(), "types-"));
const emit = ["--declaration", "--emitDeclarationOnly", "--noEmit", "false", "--outDir", types];
execFileSync(here("node_modules/.bin/tsc").pathname, emit, { cwd: here(".").pathname });
copyFileSync(join(types, "index.d.ts"), new URL("index.d.ts", to));
rmSync(types, { recursive: true });
