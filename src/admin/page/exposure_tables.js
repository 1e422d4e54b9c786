/* What left to a vendor, as tables: by category, by route and field. */

import { el } from "./dom.js";
import { bytes, exact, number } from "./format.js";

function table(titles, rows, label) {
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, el("table", { class: "plain" },
    el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title)))), el("tbody", {}, rows)));
}

const row = (...cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell)));

/** A number with the range in which it lies. */
export function people(subjects) {
  if (!subjects) return "not counted";
  return `about ${number(subjects.about)} (${number(subjects.at_least)} to ${number(subjects.at_most)})`;
}

export function categoryTable(report) {
  if (!report.categories.length) return el("p", { class: "hint" }, "No value of a known category of personal data left.");
  return table(["Category", "Left as", "Values"], report.categories.map((one) =>
    row(el("code", {}, one.category), one.treatment === "none" ? el("strong", { class: "warn-text" }, one.left_as) : one.left_as, number(one.values))), "By category");
}

export function routeTable(report) {
  return table(["Route", "Records", "People", "Bytes", "First", "Last"], report.routes.map((one) =>
    row([el("code", {}, one.route), el("div", { class: "hint" }, one.direction)], number(one.records), people(one.subjects), bytes(one.bytes), exact(one.first), exact(one.last))), "By route");
}

export function fieldTable(report) {
  const treated = report.routes.flatMap((route) => route.treated.map((field) => row(el("code", {}, field.field), route.route, field.treatment, field.left_as, number(field.values))));
  const clear = report.routes.flatMap((route) => (route.in_clear?.paths ?? []).map((field) =>
    row(el("code", {}, field.path), route.route, field.listed ? "none, as the contract allows" : el("strong", { class: "warn-text" }, "none, and the contract does not list it"), "as it is", number(field.values))));
  if (!treated.length && !clear.length) return el("p", { class: "hint" }, "No field was treated or seen in clear.");
  return table(["Field", "Route", "Treatment", "Left as", "Values"], [treated, clear].flat(), "By field");
}

const CALLERS = new Map([["_anonymous", "callers that proved nothing"], ["_other", "all other callers"]]);

export function callerTable(report) {
  return table(["Caller", "Which way", "Records", "Bytes", "First", "Last"], report.callers.map((one) =>
    row(CALLERS.get(one.caller) ?? el("code", {}, one.caller), one.direction === "ingress" ? "its client called us" : "our service called it", number(one.records), bytes(one.bytes), exact(one.first), exact(one.last))), "By caller");
}
