// Every view at three widths and in both themes: a picture to look at, the rules of WCAG 2.2 AA by axe-core, and no text
// that is cut off at the side.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { check } from "./browser.mjs";

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export const WIDTHS = [390, 900, 1600];
export const THEMES = ["light", "dark"];

/** Looks at a page as it is now. */
export async function look(page, name, shots, { full = false } = {}) {
  const { width } = page.viewportSize();
  await page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: full });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) throw new Error(`${name}: ${wide} pixels wider than ${width}`);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: tags }), TAGS);
  const told = violations.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
  check(told.length === 0, `${name} is accessible${told.length ? `\n${told.join("\n")}` : ""}`);
}
