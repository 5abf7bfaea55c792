// What journeys share: a browser, pictures of the page, and what a page must never do.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

export { assert };

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Walk through the page at an address in Debian's Chromium.
 *
 * Requests elsewhere and errors of the page end the journey; of one that failed there is a picture.
 */
export async function journey(address, options, walk) {
  const { theme = "light", zoom = 1, touch = false, language, watch = () => {} } = options;
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu"],
  });
  const context = await browser.newContext({
    colorScheme: theme,
    viewport: { width: 1280 / zoom, height: 800 / zoom },
    deviceScaleFactor: zoom,
    reducedMotion: "reduce",
    hasTouch: touch,
    serviceWorkers: "block",
  });
  if (language !== undefined)
    await context.addInitScript((name) => {
      if (location.protocol === "http:") localStorage.setItem("language", name);
    }, language);
  const trouble = [];
  context.on("page", (page) => {
    page.setDefaultTimeout(60_000);
    page.on("pageerror", (error) => trouble.push(`error: ${error}`));
    page.on("request", (request) => {
      const url = new URL(request.url());
      const home = url.origin === new URL(address).origin || url.protocol === "blob:";
      if (!home) trouble.push(`foreign: ${url}`);
    });
    page.on("console", (message) => {
      // a refused file is a 422, which Chromium prints
      const answered = message.text().startsWith("Failed to load resource");
      if (message.type() === "error" && !answered) trouble.push(`console: ${message.text()}`);
    });
  });
  const page = await context.newPage();
  try {
    watch(page);
    await page.goto(address);
    await walk(page, context);
    assert.deepEqual(trouble, []);
  } catch (error) {
    const last = context.pages().at(-1);
    await shoot(last, `failed-${theme}-${zoom}`);
    const said = await last.locator(".sentence").allTextContents();
    console.error(last.url(), said, trouble);
    throw error;
  } finally {
    await browser.close();
  }
}

/** The rules of WCAG that a program can check. */
export async function accessible(page) {
  // by the debugger, since the page's own policy forbids scripts that are not the server's
  const { readFileSync } = await import("node:fs");
  await page.evaluate(readFileSync(axe, "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((one) => one.html).join("\n   ")}`);
}

/** Nothing sticks out to the right, and no words are cut off. */
export function overflowing(page) {
  return page.evaluate(() => {
    const wide = document.documentElement.scrollWidth > innerWidth ? ["the page"] : [];
    const cut = [...document.querySelectorAll("h1, h2, h3, p, button, a, label, span")].filter(
      (one) =>
        one.scrollWidth > one.clientWidth + 1 &&
        getComputedStyle(one).overflow !== "visible" &&
        !one.matches(".under, .unseen, .print"),
    );
    return [...wide, ...cut.map((one) => one.outerHTML.slice(0, 200))];
  });
}

/** What a finger would miss: buttons, links and fields of less than 24 pixels, links in sentences aside. */
export function small(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll("button, a, input, select, summary")]
      .filter((one) => one.checkVisibility() && !one.matches(".unseen") && !one.closest("p"))
      .map((one) => [one, (one.closest("label") ?? one).getBoundingClientRect()])
      .filter(([, box]) => box.width > 0 && Math.min(box.width, box.height) < 24)
      .map(([one]) => one.outerHTML.slice(0, 200)),
  );
}

/** What a person does at the page, by mouse or by keys alone. */
export function hands(page, byKeys) {
  /** Press Tab until what is looked for has the focus. */
  async function tab(locator) {
    for (let i = 0; i < 300; i += 1) {
      if (await locator.evaluate((one) => one === document.activeElement)) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`Tab never reached ${locator}`);
  }
  return {
    async press(locator) {
      if (!byKeys) return locator.click();
      await locator.waitFor();
      await tab(locator);
      await page.keyboard.press("Enter");
    },
    /** Choose one of the radio buttons of a group: Tab reaches the chosen one, arrows the others. */
    async choose(locator, group) {
      if (!byKeys) return locator.check({ force: true });
      await tab(group.getByRole("radio", { checked: true }));
      while (!(await locator.isChecked())) await page.keyboard.press("ArrowRight");
    },
    async write(locator, words) {
      if (!byKeys) return locator.fill(words);
      await tab(locator);
      await page.keyboard.type(words);
    },
  };
}

/** A picture of the page as it is. */
export async function shoot(page, name) {
  const folder = process.env.PICTURES;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png` });
}

/** Drop a folder of this machine on an element, as the file manager would. */
export async function drop(page, selector, folder) {
  const { readdirSync, readFileSync, statSync } = await import("node:fs");
  const { join, basename } = await import("node:path");
  const read = (path) =>
    statSync(path).isDirectory()
      ? {
          name: basename(path),
          files: readdirSync(path)
            .sort()
            .map((name) => read(join(path, name))),
        }
      : { name: basename(path), bytes: readFileSync(path).toString("base64") };
  await page.evaluate(
    ([where, tree]) => {
      // a real DataTransfer cannot hold folders that a page made, so the entries are played
      const entry = (one) =>
        one.files === undefined
          ? {
              name: one.name,
              isFile: true,
              file: (done) => {
                const bytes = Uint8Array.from(atob(one.bytes), (c) => c.charCodeAt(0));
                done(new File([bytes], one.name, { type: "image/png" }));
              },
            }
          : {
              name: one.name,
              isFile: false,
              createReader: () => {
                const rest = one.files.map(entry);
                return { readEntries: (done) => done(rest.splice(0, 100)) };
              },
            };
      const transfer = {
        types: ["Files"],
        items: [{ kind: "file", webkitGetAsEntry: () => entry(tree) }],
      };
      for (const kind of ["dragenter", "dragover", "drop"]) {
        const event = new Event(kind, { bubbles: true, cancelable: true });
        Object.defineProperty(event, "dataTransfer", { value: transfer });
        document.querySelector(where).dispatchEvent(event);
      }
    },
    [selector, read(folder)],
  );
}
