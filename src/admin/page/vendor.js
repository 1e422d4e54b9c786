/* One vendor: its state and the button first, then what it does, what it may, and what was done about it. */

import { about, get } from "./api.js";
import { sparkline } from "./charts.js";
import { el, every, put, say } from "./dom.js";
import { ago, bytes, clock, compact, day, daysLeft, number } from "./format.js";
import { follow, vendors as live } from "./live.js";
import { drillDialog, killDialog, restoreDialog, revokeDialog, scopeText, suggestDialog } from "./orders.js";
import { credentials, denials, exposure, history, limits, routes, warnings } from "./vendor_panels.js";
import { badge, stateOf } from "./vendor_row.js";

const AGAIN = 5_000;
const SLOWLY = 15_000;

export function showVendor(content, { operator, id, signal }) {
  const page = put(content, el("div", { class: "page" })).firstChild;
  const head = el("div", {});
  const fault = el("p", { class: "fault", role: "alert" });
  const now = liveCard(id);
  const panels = [
    panel("Limits", limits),
    panel("Credentials", credentials),
    panel("What left", exposure, `/v1/exposure?vendor=${encodeURIComponent(id)}&since=30d`, SLOWLY),
    // It changes with a reload of the config alone.
    panel("Routes and what each treats", routes, about(id, "/contract"), SLOWLY * 4),
    panel("Last refusals", denials, about(id, "/denials"), SLOWLY),
    panel("History", history, about(id, "/history"), SLOWLY),
  ];
  const notes = el("div", {});
  put(page, el("p", { class: "crumbs" }, el("a", { href: "#/fleet" }, "← Vendors")), head, fault, notes,
    el("div", { class: "grid" }, now.node, panels.map((one) => one.node)));

  let shownHead = "";
  async function load() {
    const status = get(about(id), signal);
    try {
      const row = await status;
      fault.textContent = "";
      // What is unchanged stays, and with it the focus.
      const text = JSON.stringify([row.kills, row.approvals, row.scheduled, row.state, row.persisted, stateOf(row).word]);
      if (text !== shownHead) put(head, ...header(row, operator));
      shownHead = text;
      put(notes, warnings(row));
      now.set(row);
      for (const one of panels) one.set(row);
    } catch (no) {
      if (signal.aborted) return;
      fault.textContent = no.status === 404 ? `No contract names ${id}, and nothing of it is cut off.` : no.message;
    }
  }

  let word;
  const unfollow = follow(() => {
    now.refresh();
    const is = live.get(id)?.now.state;
    if (word !== undefined && is !== word) load();
    word = is;
  });
  signal.addEventListener("abort", unfollow);
  every(AGAIN, load, signal);
  for (const one of panels) if (one.period) every(one.period, () => one.load(signal), signal);
  return id;
}

function header(row, operator) {
  const state = stateOf(row);
  const button = (title, kind, act) => el("button", { type: "button", class: `button ${kind}`, onclick: () => act(row.vendor) }, title);
  const actions = [
    row.kills.length > 0 && operator.may("admin") && button("Restore…", "primary", restoreDialog),
    button("Suggest a contract…", "quiet", suggestDialog),
    operator.may("operator") && button("Drill…", "", drillDialog),
    operator.may("operator") && button("Revoke…", "", revokeDialog),
    operator.may("operator") && state.word !== "killed" && button("Kill…", "danger", killDialog),
  ];
  return [
    el("div", { class: "page-head vendor-head" },
      el("div", {},
        el("h1", {}, row.name || row.vendor, " ", badge(state)),
        el("p", { class: "facts" }, [
          el("code", {}, row.vendor),
          row.owner && el("span", {}, "owner ", row.owner),
          row.security_contact && el("span", {}, "their security ", el("a", { href: contactLink(row.security_contact) }, row.security_contact)),
          row.ends && el("span", {}, row.days_left > 0 ? `contract until ${day(row.ends)}, ${daysLeft(row.days_left)} left` : `contract ended ${day(row.ends)}`),
        ])),
      el("div", { class: "actions" }, actions)),
    state.word === "killed" && !row.kills.some((kill) => Object.keys(kill.scope ?? {}).length === 0) && el("div", { class: "note killed" },
      el("div", {}, el("strong", {}, "Every vendor is cut off"), ", this one among them. "), el("a", { href: "#/activity" }, "Restore on the page of the gateway")),
    row.kills.map((kill) => killNote(row, kill, operator)),
    (row.approvals ?? []).map((one) => el("div", { class: "note" }, el("strong", {}, `${one.by} agreed to restore ${scopeText(one.scope)}`), ` ${ago(one.at)}: ${one.reason}. Another person must agree.`)),
    (row.scheduled ?? []).map((one) => el("div", { class: "note" }, el("strong", {}, `A kill comes at ${clock(one.at)}`), `, by ${one.by}: ${one.reason}`)),
    !row.persisted && el("div", { class: "note alarm", role: "alert" }, "This state is not on disk: it holds until the gateway stops."),
  ];
}

/** A contact as a link, where it is an address of e-mail; nothing else that a contract writes becomes a link. */
function contactLink(contact) {
  return /^[\w.+-]+@[\w.-]+$/.test(contact) ? `mailto:${contact}` : undefined;
}

function killNote(row, kill, operator) {
  const only = row.kills.length > 1 || Object.keys(kill.scope ?? {}).length > 0;
  return el("div", { class: "note killed" },
    el("div", {}, el("strong", {}, `Cut off: ${scopeText(kill.scope)}`), ` by ${kill.by}, `, el("time", { datetime: kill.at, title: kill.at }, ago(kill.at)),
      el("p", {}, kill.reason), kill.unmatched && el("p", { class: "hint" }, "No route of the contract is like this any more; the kill stays.")),
    only && operator.may("admin") && el("button", { type: "button", class: "button small", onclick: () => restoreDialog(row.vendor, kill.scope) }, "Restore this…"));
}

/** A card that asks for its content each `period`, or gets it with the vendor's status. */
function panel(title, render, path, period) {
  const body = el("div", { class: "panel-body" }, el("p", { class: "hint" }, "…"));
  const node = el("section", { class: `card ${render.name}` }, el("h2", {}, title), body);
  let shown = "";
  const show = (data) => {
    const text = JSON.stringify(data);
    if (text === shown) return;
    shown = text;
    put(body, render(data));
  };
  return {
    node, period,
    set: (row) => { if (!path) show(row); },
    load: async (signal) => {
      try {
        show(await get(path, signal));
      } catch (no) {
        if (!signal.aborted) put(body, el("p", { class: "hint" }, no.message));
        shown = "";
      }
    },
  };
}

/** What the vendor does now. */
function liveCard(id) {
  const line = sparkline(600, 90);
  const figure = (title) => {
    const value = el("dd", {}, "–");
    return { value, node: el("div", {}, el("dt", {}, title), value) };
  };
  const all = { flight: figure("In flight"), rate: figure("Requests / s"), denied: figure("Denied / s"), records: figure("Records left"), bytes: figure("Bytes left") };
  const table = el("tbody", {});
  const node = el("section", { class: "card wide" }, el("h2", {}, "Now"), el("dl", { class: "figures big" }, Object.values(all).map((one) => one.node)),
    el("div", { class: "chart" }, line.node, el("span", { class: "hint" }, "requests each second, last minute; refusals in red")),
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Since the gateway started" }, el("table", { class: "plain" }, el("thead", {}, el("tr", {}, ["Since start", "Requests", "Refused", "Records", "Bytes"].map((name) => el("th", { scope: "col" }, name)))), table)));
  return {
    node,
    refresh: () => {
      const at = live.get(id);
      if (!at) return;
      say(all.flight.value, compact(at.now.in_flight));
      say(all.rate.value, compact(at.requests.at(-1) ?? 0));
      say(all.denied.value, compact(at.denials.at(-1) ?? 0));
      say(all.records.value, compact(at.now.records));
      say(all.bytes.value, bytes(at.now.bytes));
      line.draw(at.requests, at.denials);
    },
    set: (row) => put(table, row.traffic.map((way) => el("tr", {}, el("th", { scope: "row" }, way.direction === "ingress" ? "calls us" : "is called by us"),
      [number(way.requests), number(way.denials), number(way.records), bytes(way.bytes)].map((text) => el("td", {}, text))))),
  };
}
