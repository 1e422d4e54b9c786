/* What left to a vendor, laid out as the notification that Article 33 GDPR asks for; it prints as one. */

import { about, get } from "./api.js";
import { el, put } from "./dom.js";
import { bytes, exact, number, plural, quick } from "./format.js";
import { callerTable, categoryTable, fieldTable, people, routeTable } from "./exposure_tables.js";

const SPANS = [["24h", "the last 24 hours"], ["7d", "the last 7 days"], ["30d", "the last 30 days"], ["365d", "the last year"], ["", "all that is kept"]];

/** What the person wrote, while the page is open: the gateway cannot know it. */
const written = new Map();

export function showExposure(content, { id, query, signal }) {
  const vendor = el("input", { type: "text", id: "exposure-vendor", list: "vendor-ids", value: id, required: true, autocomplete: "off", placeholder: "vendor" });
  const ids = el("datalist", { id: "vendor-ids" });
  const since = el("select", { id: "exposure-since" }, SPANS.map(([value, title]) => el("option", { value, selected: value === (query.get("since") ?? "7d") }, title)));
  const go = (event) => {
    event.preventDefault();
    location.hash = `#/exposure/${encodeURIComponent(vendor.value.trim())}?since=${since.value}`;
  };
  const report = el("div", {});
  put(content, el("div", { class: "page exposure" },
    el("div", { class: "page-head no-print" }, el("h1", {}, "What left to a vendor"),
      el("form", { class: "line-form", onsubmit: go, onchange: (event) => vendor.value.trim() && go(event) },
        el("label", { for: "exposure-vendor" }, "Vendor"), vendor, ids, el("label", { for: "exposure-since" }, "in"), since,
        el("button", { class: "button", type: "submit" }, "Show"))),
    report));
  get("/v1/vendors", signal).then((all) => put(ids, all.vendors.map((one) => el("option", { value: one.vendor }, one.name)))).catch(() => {});
  if (id) load(report, id, since.value, signal);
  else put(report, el("p", { class: "empty" }, "Name a vendor to see which records and whose data left to it, and how each field was treated."));
  return id ? `Exposure of ${id}` : "Exposure";
}

async function load(place, id, since, signal) {
  put(place, el("p", { class: "hint" }, "Adding up…"));
  const path = `/v1/exposure?vendor=${encodeURIComponent(id)}${since ? `&since=${since}` : ""}`;
  try {
    const [report, status, trail] = await Promise.all([
      get(path, signal), get(about(id), signal).catch(() => undefined), get(about(id, "/history"), signal).catch(() => undefined)]);
    put(place, notice(report, status, trail?.entries ?? []));
  } catch (no) {
    if (!signal.aborted) put(place, el("p", { class: "fault", role: "alert" }, no.message));
  }
}

function notice(report, status, trail) {
  const acts = trail.filter((entry) => ["kill", "kill_again", "revoke", "cut", "restore"].includes(entry.act) && Date.parse(entry.time) >= Date.parse(report.since)).reverse();
  return el("article", { class: "notice card" },
    el("div", { class: "notice-head" },
      el("div", {}, el("p", { class: "small" }, "Notification of a personal data breach, GDPR Article 33"), el("h2", {}, `Data that left to ${status?.name ?? report.vendor}`)),
      el("button", { type: "button", class: "button primary no-print", onclick: () => print() }, "Print or save as PDF")),
    el("dl", { class: "pairs" }, [
      ["Recipient", `${status?.name ?? report.vendor} (${report.vendor})`],
      ["Contact there", status?.security_contact], ["Answers for it here", status?.owner],
      ["From", exact(report.since)], ["Until", exact(report.until)],
      ["First and last that left", report.first && `${exact(report.first)} to ${exact(report.last)}`],
    ].filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),

    el("h3", {}, "(a) Nature of the breach: whose data, which, and how much"),
    el("div", { class: "tiles" }, [["Records", number(report.records)], ["Different people", people(report.subjects)], ["Bytes", bytes(report.bytes)], ["Left raw", plural(report.left_raw, "value")]]
      .map(([name, value]) => el("div", { class: `tile ${name === "Left raw" && report.left_raw ? "alarm" : ""}` }, el("span", { class: "tile-name" }, name), el("span", { class: "tile-value" }, value)))),
    report.subjects_incomplete && el("p", { class: "note warn" }, "Records also left on routes that name no people: these people are in no number here."),
    report.routes.length === 0 ? el("p", {}, "Nothing left in this time.") : [
      el("h4", {}, "Categories of personal data"), categoryTable(report),
      el("h4", {}, "Routes"), routeTable(report),
      el("h4", {}, "Fields, and what was done to them before they left"), fieldTable(report),
      report.callers?.length > 0 && [el("h4", {}, "By whom it left"), callerTable(report)],
      report.callers_incomplete && el("p", { class: "hint" }, "Some of it is under no caller, because an earlier version counted it."),
    ],

    el("h3", {}, "(b) Contact point"), answer(report.vendor, "contact", "Name and contact details of the data protection officer or another contact point"),
    el("h3", {}, "(c) Likely consequences"), answer(report.vendor, "consequences", "What can happen to the people concerned"),
    el("h3", {}, "(d) Measures taken or proposed"),
    acts.length > 0 && el("ul", { class: "acts" }, acts.map((entry) => el("li", {}, `${exact(entry.time)}: ${measure(entry)}`))),
    answer(report.vendor, "measures", "What else was done, and what is proposed"),
    el("p", { class: "hint" }, `Made by vendorgate at ${exact(report.until)} out of its own counts. Numbers of people are estimates: the range holds in 95 of 100 cases.`));
}

function measure(entry) {
  const cut = entry.detail?.severed === undefined ? "" : `, ${plural(entry.detail.severed, "request")} ended${entry.detail.sever_micros === undefined ? "" : ` within ${quick(entry.detail.sever_micros)}`}`;
  const what = { kill: "access cut off", kill_again: "access cut off", revoke: "a credential revoked", cut: "a response cut short", restore: "access restored" }[entry.act];
  return `${what} by ${entry.actor}${cut}${entry.reason ? `: ${entry.reason}` : ""}`;
}

/** What only a person can answer; it is printed as it is written. */
function answer(vendor, name, hint) {
  const key = `${vendor} ${name}`;
  const printed = el("p", { class: "print-only answer" }, written.get(key) ?? "");
  const area = el("textarea", { class: "no-print", rows: 3, placeholder: hint, "aria-label": hint, value: written.get(key) ?? "", oninput: () => {
    written.set(key, area.value);
    printed.textContent = area.value;
  } });
  return [area, printed];
}
