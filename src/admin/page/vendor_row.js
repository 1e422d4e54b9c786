/* One vendor in the list: its cells, and how each is sorted by. */

import { meter, sparkline } from "./charts.js";
import { el, put, say } from "./dom.js";
import { compact, daysLeft, span } from "./format.js";
import { vendors as live } from "./live.js";
import { killDialog, restoreDialog } from "./orders.js";

const sum = (row, key) => row.traffic.reduce((all, way) => all + way[key], 0);
const now = (row) => live.get(row.vendor)?.now;

/** Key, title, what it means, and by what it is sorted. */
export const COLUMNS = [
  ["state", "State", "Whether the vendor may pass", (row) => stateOf(row).rank],
  ["vendor", "Vendor", "Name and id", (row) => (row.name || row.vendor).toLowerCase()],
  ["activity", "Last minute"],
  ["flight", "In flight", "Requests whose last byte has not left", (row) => -(now(row)?.in_flight ?? sum(row, "in_flight"))],
  ["denials", "Denied", "Requests refused or cut short since the gateway started", (row) => -(now(row)?.denials ?? sum(row, "denials"))],
  ["budget", "Budget left", "The budget of which the least is left", (row) => row.budget?.remaining],
  ["age", "Token · key", "Age of the newest token, age of the oldest signing key", (row) => -(row.token_age_secs ?? -1)],
  ["contract", "Contract", "Days until it ends", (row) => row.days_left],
  ["do", "Actions"],
];

const STATES = {
  killed: ["killed", "Killed", 0],
  partly_killed: ["partly_killed", "Partly killed", 1],
  observed: ["observed", "Observed", 2],
  read_only: ["read_only", "Read only", 3],
  ended: ["ended", "Ended", 4],
  not_started: ["not_started", "Not started", 5],
  live: ["live", "Live", 6],
};

/** What a vendor is now, the live stream first. */
export function stateOf(row) {
  const sample = live.get(row.vendor)?.now;
  const state = sample?.state ?? row.state;
  const observes = sample ? sample.observes : Boolean(row.observes_until);
  const [word, title, rank] = STATES[observes && state === "live" ? "observed" : state] ?? STATES.live;
  return { word, title, rank };
}

/** A state as a sign and a word: never by colour alone. */
export function badge(state) {
  return el("span", { class: `badge ${state.word}` }, el("span", { class: "sign", "aria-hidden": "true" }), el("span", {}, state.title));
}

/** The row of a vendor, and what brings it up to date. */
export function vendorRow(first, operator) {
  let row = first;
  const line = sparkline(120, 28);
  const cell = (key, ...inside) => el("div", { class: `cell ${key}`, role: "cell", "data-title": COLUMNS.find(([name]) => name === key)[1] }, inside);
  const state = cell("state");
  const name = el("a", { class: "vendor-name", href: `#/vendor/${encodeURIComponent(row.vendor)}` });
  const under = el("span", { class: "vendor-id" });
  const ways = el("span", { class: "ways" });
  const concern = el("span", { class: "concern" });
  const rate = el("span", { class: "rate" });
  const flight = el("span", {});
  const denials = el("span", {});
  const budget = cell("budget");
  const age = el("span", {});
  const contract = el("span", {});
  const act = cell("do");
  const node = el("div", { class: "row", role: "row" },
    state, cell("vendor", el("div", { class: "vendor-line" }, name, ways), el("div", { class: "under" }, under, concern)),
    cell("activity", line.node, rate), cell("flight", flight), cell("denials", denials), budget, cell("age", age), cell("contract", contract), act);

  function set(next) {
    row = next;
    say(name, row.name || row.vendor);
    say(under, row.vendor);
    say(concern, row.concerns.filter((one) => one !== "cut off").slice(0, 2).join(" · "));
    put(ways, directions(row).map(([sign, title]) => el("span", { class: "way", title }, el("span", { "aria-hidden": "true" }, sign), el("span", { class: "unseen" }, title))));
    const left = row.budget;
    put(budget, left ? [meter(left.remaining, `${Math.round(left.remaining * 100)} % of ${left.limit} left`), el("span", { class: "small" }, `${Math.round(left.remaining * 100)} % ${left.limit}`)] : el("span", { class: "nothing" }, "–"));
    say(age, `${row.token_age_secs === undefined ? "–" : span(row.token_age_secs)} · ${row.key_age_secs === undefined ? "–" : span(row.key_age_secs)}`);
    say(contract, row.days_left === undefined ? "none" : row.days_left <= 0 ? "ended" : daysLeft(row.days_left));
    contract.className = row.days_left !== undefined && row.days_left <= 30 ? "warn-text" : "";
    refresh();
  }

  let told;
  function refresh() {
    const at = live.get(row.vendor);
    const is = stateOf(row);
    if (told !== is.word) {
      told = is.word;
      put(state, badge(is));
      node.dataset.state = is.word;
      put(act, actions(row, is, operator));
    }
    say(flight, compact(at?.now.in_flight ?? sum(row, "in_flight")));
    say(denials, compact(at?.now.denials ?? sum(row, "denials")));
    denials.className = at?.denials.some(Boolean) ? "denying" : "";
    line.draw(at?.requests ?? [], at?.denials ?? []);
    say(rate, at?.requests.length ? `${compact(at.requests.at(-1))}/s` : "");
  }

  set(row);
  return { node, set, refresh, key: row.vendor };
}

function directions(row) {
  const ways = new Set((row.limits ?? []).map((limit) => limit.direction));
  const all = ways.has(undefined) || ways.size === 0;
  const has = (way) => all ? row.traffic.some((one) => one.direction === way && one.requests > 0) : ways.has(way);
  return [["ingress", "↓", "calls us"], ["egress", "↑", "is called by us"]].filter(([way]) => has(way)).map(([, sign, title]) => [sign, title]);
}

function actions(row, state, operator) {
  const found = [];
  if (state.word.endsWith("killed") && operator.may("admin")) {
    found.push(el("button", { type: "button", class: "button small", onclick: () => restoreDialog(row.vendor) }, "Restore…", el("span", { class: "unseen" }, ` ${row.vendor}`)));
  }
  if (state.word !== "killed" && operator.may("operator")) {
    found.push(el("button", { type: "button", class: "button small danger-quiet", onclick: () => killDialog(row.vendor) }, "Kill…", el("span", { class: "unseen" }, ` ${row.vendor}`)));
  }
  return found;
}
