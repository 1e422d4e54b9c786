/* Small drawings: a line of activity for each of the last seconds, and bars of how much of a limit is used. */

import { el, svg } from "./dom.js";
import { SECONDS } from "./live.js";

/** A line of activity. `draw` is called with the counts; a screen reader gets the text beside it. */
export function sparkline(width, height) {
  const area = svg("path", { class: "spark-area" });
  const line = svg("path", { class: "spark-line" });
  const denied = svg("path", { class: "spark-denied" });
  const node = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", preserveAspectRatio: "none" }, area, line, denied);
  const draw = (requests, denials) => {
    const most = Math.max(4, ...requests);
    const step = width / (SECONDS - 1);
    const start = width - (requests.length - 1) * step;
    const points = (list) => list.map((count, place) => `${(start + place * step).toFixed(1)} ${(height - 1.5 - (count / most) * (height - 4)).toFixed(1)}`);
    const top = points(requests);
    line.setAttribute("d", top.length > 1 ? `M${top.join("L")}` : "");
    area.setAttribute("d", top.length > 1 ? `M${start.toFixed(1)} ${height}L${top.join("L")}L${width} ${height}Z` : "");
    denied.setAttribute("d", denials.some(Boolean) ? `M${points(denials).join("L")}` : "");
  };
  return { node, draw };
}

/** How much of something is left, from 1 to 0, with its text. */
export function meter(left, label) {
  const share = Math.min(1, Math.max(0, left));
  const bar = el("span", { class: "meter-fill" });
  bar.style.inlineSize = `${(share * 100).toFixed(1)}%`;
  const kind = share <= 0.1 ? "danger" : share <= 0.3 ? "warn" : "";
  return el("span", { class: `meter ${kind}`, role: "img", "aria-label": label }, bar);
}
