import { defineConfig } from "vite";

const server = process.env.ZEUXIS_AT ?? "http://127.0.0.1:8321";

export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/zeuxis/server/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the page's content policy has no data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: {
      // as if the page came from the server, which answers no other
      "/api": { target: server, changeOrigin: true, headers: { origin: server } },
    },
  },
});
