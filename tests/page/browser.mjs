// Opens the dashboard in Debian's Chromium and keeps account of all that must not happen in it.

import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

const FILES = process.env.VENDORGATE_PAGE_FILES && path.resolve(import.meta.dirname, "../..", process.env.VENDORGATE_PAGE_FILES);

/** What went wrong in any page: errors, refused content, requests to elsewhere. */
export const faults = [];

export async function open(address) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  return {
    close: () => browser.close(),
    /** A browser of its own: another person, another machine. */
    async person({ width = 1600, height = 1000, theme = "light", strict = true, state } = {}) {
      const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, bypassCSP: !strict, storageState: state, reducedMotion: "reduce" });
      if (FILES) await context.route(`${address}/**`, fromFolder);
      await context.exposeFunction("toldViolation", (text) => faults.push(`policy: ${text}`));
      await context.addInitScript(() => {
        addEventListener("securitypolicyviolation", (event) => globalThis.toldViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
      });
      const page = await context.newPage();
      page.setDefaultTimeout(60_000);
      page.on("pageerror", (error) => faults.push(`error: ${error.stack}`));
      page.on("console", (message) => {
        // A refusal is shown to the person; the browser notes each in its console.
        const expected = message.type() !== "error" || /status of (401|403|404|409)/.test(message.text());
        if (!expected) faults.push(`console: ${message.text()}`);
      });
      page.on("request", (request) => {
        if (!request.url().startsWith(`${address}/`)) faults.push(`asked elsewhere: ${request.url()}`);
      });
      return page;
    },
  };
}

async function fromFolder(route) {
  const { pathname } = new URL(route.request().url());
  const name = pathname === "/" ? "index.html" : pathname.startsWith("/page/") ? pathname.slice(6) : undefined;
  if (!name) return route.continue();
  const answer = await route.fetch();
  const media = { ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html" }[path.extname(name)];
  return route.fulfill({ status: 200, headers: { ...answer.headers(), "content-type": media }, body: fs.readFileSync(path.join(FILES, name)) });
}

export function check(holds, what) {
  if (!holds) throw new Error(`not so: ${what}`);
  console.log(`  ok: ${what}`);
}

/** Waits until something holds, for long: the machine may be busy. */
export async function until(what, holds) {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((done) => setTimeout(done, 100));
  }
  console.log(`  ok: ${what}`);
}
