/* Every vendor in one list: what it is, what it does now, what is left of it. */

import { get } from "./api.js";
import { sparkline } from "./charts.js";
import { el, every, put, say } from "./dom.js";
import { compact, number } from "./format.js";
import { follow, total, vendors as live } from "./live.js";
import { VirtualRows } from "./rows.js";
import { stateOf, vendorRow, COLUMNS } from "./vendor_row.js";

/** Seconds between two readings of the whole list; what moves comes by the live stream. */
const AGAIN = 15_000;

/** States from this rank on need nobody. */
const RANK_WELL = 5;

const FILTERS = [
  ["all", "All", () => true],
  ["attention", "Need attention", (row) => row.concerns.length > 0 || stateOf(row).rank < RANK_WELL],
  ["killed", "Killed", (row) => ["killed", "partly_killed"].includes(stateOf(row).word)],
  ["observed", "Observed", (row) => stateOf(row).word === "observed"],
  ["ending", "Ending or ended", (row) => row.days_left !== undefined && row.days_left <= 30],
];

/** What is kept while one looks at a vendor and comes back. */
const kept = { text: "", filter: "all", sort: "attention", down: false, top: 0 };

export function showFleet(content, { operator, signal }) {
  let all = [];
  const search = el("input", {
    type: "search", id: "search", placeholder: "Find a vendor, owner or stage", "aria-label": "Find a vendor, owner or stage",
    value: kept.text, autocomplete: "off", oninput: () => { kept.text = search.value; arrange(); },
  });
  const chips = el("div", { class: "chips", role: "group", "aria-label": "Show" });
  const figures = summary();
  const rows = new VirtualRows((row) => vendorRow(row, operator));
  const head = el("div", { class: "row head", role: "row" }, COLUMNS.map(heading));
  const table = el("div", { class: "table", role: "table", "aria-label": "Vendors" }, el("div", { role: "rowgroup" }, head), rows.node);
  const fault = el("p", { class: "fault", role: "alert" });
  const none = el("p", { class: "empty", hidden: true }, "No vendor is like this.");
  put(content, el("div", { class: "page" },
    el("div", { class: "page-head" }, el("h1", {}, "Vendors"), search),
    figures.node, chips, fault, table, none));

  function heading([key, title, help]) {
    const cell = el("div", { role: "columnheader", class: `cell ${key}` });
    if (key === "do") return put(cell, el("span", { class: "unseen" }, "Actions"));
    if (key === "activity") return put(cell, title);
    const button = el("button", { type: "button", class: "sort", title: help, onclick: () => sortBy(key) }, title, el("span", { class: "arrow", "aria-hidden": "true" }));
    cell.dataset.key = key;
    return put(cell, button);
  }

  function sortBy(key) {
    kept.down = kept.sort === key ? !kept.down : false;
    kept.sort = key;
    arrange();
  }

  function arrange() {
    const wanted = kept.text.trim().toLowerCase();
    const text = (row) => [row.vendor, row.name, row.owner, ...(row.journey ?? [])].join(" ").toLowerCase();
    const [, , passes] = FILTERS.find(([name]) => name === kept.filter);
    const found = all.filter((row) => passes(row) && (!wanted || text(row).includes(wanted)));
    const by = COLUMNS.find(([key]) => key === kept.sort)?.[3] ?? attention;
    found.sort((a, b) => compare(by(a), by(b)) * (kept.down ? -1 : 1) || compare(a.vendor, b.vendor));
    rows.show(found);
    none.hidden = found.length > 0 || all.length === 0;
    for (const cell of head.children) {
      const is = cell.dataset.key === kept.sort;
      if (cell.dataset.key) cell.setAttribute("aria-sort", is ? (kept.down ? "descending" : "ascending") : "none");
    }
    showChips();
  }

  const counts = FILTERS.map(([name, title]) => {
    const count = el("span", { class: "count" });
    const button = el("button", { type: "button", class: "chip", onclick: () => { kept.filter = name; arrange(); } }, title, " ", count);
    chips.append(button);
    return { button, count };
  });

  function showChips() {
    FILTERS.forEach(([name, , passes], place) => {
      say(counts[place].count, number(all.filter(passes).length));
      counts[place].button.setAttribute("aria-pressed", String(kept.filter === name));
    });
  }

  async function load() {
    try {
      all = (await get("/v1/vendors", signal)).vendors.map(prepared);
      fault.textContent = "";
      // A list must not move under a hand that is about to press.
      if (rows.length === 0 || !table.matches(":hover, :focus-within")) arrange();
      else rows.renew(all);
      figures.show(all);
    } catch (no) {
      if (!signal.aborted) fault.textContent = no.message;
    }
  }

  const unfollow = follow(() => {
    figures.show(all);
    showChips();
    rows.refresh();
  });
  const onKey = (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea, select, dialog")) {
      event.preventDefault();
      search.focus();
    }
  };
  document.addEventListener("keydown", onKey, { signal });
  signal.addEventListener("abort", () => { kept.top = scrollY; unfollow(); rows.end(); });
  let first = true;
  every(() => (all.length > 1000 ? AGAIN * 4 : AGAIN), async () => {
    await load();
    if (first) scrollTo(0, kept.top);
    first = false;
  }, signal);
  return "Vendors";
}

/** What a vendor needs a person for, the worst first. */
function prepared(row) {
  const concerns = [];
  if (row.kills.length) concerns.push("cut off");
  if (row.degraded?.length) concerns.push(`journey degraded: ${row.degraded.join(", ").replaceAll("_", " ")}`);
  if (row.days_left !== undefined && row.days_left <= 30) concerns.push(row.days_left <= 0 ? "contract ended" : "contract ending");
  if (row.observes_until) concerns.push("only observed: raw data passes");
  if (row.files?.length) concerns.push("files cannot be used");
  if (row.issuer?.last_error) concerns.push("issuer failing");
  if (row.credential && !row.credential.ready) concerns.push("credential missing");
  if (row.drill_overdue) concerns.push("drill overdue");
  const left = (row.limits ?? []).filter((limit) => limit.remaining !== undefined && !["requests", "concurrency"].includes(limit.limit));
  const budget = left.reduce((least, limit) => (!least || limit.remaining < least.remaining ? limit : least), undefined);
  if (budget && budget.remaining <= 0.1) concerns.push(`${budget.limit} nearly used up`);
  return { ...row, concerns, budget };
}

function attention(row) {
  const state = { killed: 0, partly_killed: 1, ended: 2, observed: 3, read_only: 4 }[stateOf(row).word] ?? (row.concerns.length ? 5 : 6);
  return state;
}

function compare(a, b) {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return a < b ? -1 : 1;
}

/** The figures of all vendors together. */
function summary() {
  const tile = (title) => {
    const value = el("dd", {}, "–");
    return { node: el("div", { class: "tile" }, el("dt", {}, title), value), value };
  };
  const tiles = { all: tile("Vendors"), killed: tile("Cut off"), flight: tile("In flight"), rate: tile("Requests / s"), denied: tile("Denied / s") };
  const line = sparkline(240, 44);
  const node = el("div", { class: "summary" },
    el("dl", { class: "tiles" }, Object.values(tiles).map((one) => one.node)),
    el("div", { class: "summary-line" }, line.node, el("span", { class: "hint" }, "requests of all vendors, last minute")));
  const show = (all) => {
    const now = [...live.values()];
    const killed = now.filter((one) => ["killed", "partly_killed"].includes(one.now.state)).length;
    say(tiles.all.value, number(now.length || all.length));
    say(tiles.killed.value, number(killed));
    tiles.killed.node.classList.toggle("alarm", killed > 0);
    say(tiles.flight.value, compact(now.reduce((sum, one) => sum + one.now.in_flight, 0)));
    say(tiles.rate.value, compact(total.requests.at(-1) ?? 0));
    say(tiles.denied.value, compact(total.denials.at(-1) ?? 0));
    line.draw(total.requests, total.denials);
  };
  return { node, show };
}
