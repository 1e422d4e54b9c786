/* The cards of a vendor's page. */

import { meter } from "./charts.js";
import { el } from "./dom.js";
import { ago, clock, number, plural, span, words } from "./format.js";
import { categoryTable } from "./exposure_tables.js";

/** What a person should look at. */
export function warnings(row) {
  const notes = [];
  if (row.observes_until) notes.push(["Only observed", `until ${clock(row.observes_until)}: nothing is refused or treated, and raw data passes.`]);
  for (const file of row.files ?? []) notes.push([`File: ${words(file.file)}`, file.error]);
  if (row.issuer?.last_error) notes.push(["Its issuer", row.issuer.last_error]);
  if (row.credential?.last_error) notes.push(["The credential by which it knows us", row.credential.last_error]);
  if (row.drill_overdue) notes.push(["A drill is overdue", row.last_drill ? `the last was ${ago(row.last_drill)}.` : "there was none yet."]);
  if (row.degraded?.length) notes.push(["The customers' journey is degraded", `${row.degraded.map(words).join(", ")} at ${row.journey.join(", ")}.`]);
  const idle = (row.unmatched_rules ?? []).filter((rule) => rule.requests > 0);
  if (idle.length) notes.push([plural(idle.length, "rule has", "rules have") + " matched nothing", `${idle.slice(0, 3).map((rule) => `${rule.rule} of ${rule.route}`).join("; ")}. They may name fields that are never sent.`]);
  for (const shape of row.unexpected_shapes ?? []) notes.push([`${plural(shape.bodies, "body", "bodies")} of another shape`, `on ${shape.route}.`]);
  return notes.map(([what, text]) => el("div", { class: "note warn" }, el("strong", {}, what), " ", text));
}

export function limits(row) {
  if (!row.limits?.length) return el("p", { class: "hint" }, "None.");
  return el("ul", { class: "bars" }, row.limits.map((limit) => {
    const left = limit.remaining;
    return el("li", {},
      el("div", { class: "bar-head" }, el("span", {}, words(limit.limit), limit.direction && el("span", { class: "hint" }, ` ${limit.direction}`)),
        el("span", { class: "hint" }, limit.value, limit.source === "default" && " (default)")),
      left !== undefined && meter(left, `${Math.round(left * 100)} % of ${words(limit.limit)} left`),
      left !== undefined && el("span", { class: "small" }, `${Math.round(left * 100)} % left`));
  }));
}

export function credentials(row) {
  const lines = [];
  const add = (name, value) => value !== undefined && value !== null && lines.push([name, value]);
  add("Newest token", row.token_age_secs === undefined ? undefined : `issued ${span(row.token_age_secs)} ago`);
  add("Oldest signing key", row.key_age_secs === undefined ? undefined : `seen for ${span(row.key_age_secs)}`);
  add("Signing keys in use", row.issuer?.keys);
  add("Keys that are unfit", row.issuer?.unfit_keys || undefined);
  add("Confirmed by the issuer", row.issuer?.confirmed_at && ago(row.issuer.confirmed_at));
  if (row.credential) {
    add("We are known by", row.credential.does);
    add("Ready", row.credential.ready ? "yes" : "NO: requests cannot be given it");
    for (const secret of row.credential.secrets) {
      const age = secret.age_secs === undefined ? "not read yet" : `in use for ${span(secret.age_secs)}`;
      add(secret.purpose, secret.error ?? `${age}${secret.expires ? `, to be replaced ${ago(secret.expires)}` : ""}`);
    }
  }
  add("Last drill", row.last_drill ? ago(row.last_drill) : row.drill_overdue === undefined ? undefined : "never");
  if (!lines.length) return el("p", { class: "hint" }, "Nothing has been seen yet.");
  return el("dl", { class: "pairs" }, lines.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
}

export function routes(contract) {
  const messages = (route) => [["request", route.request], ["response", route.response]].filter(([, message]) => isTold(message));
  return [
    el("p", { class: "hint" }, [
      contract.purpose.length > 0 && `For ${contract.purpose.map(words).join(", ")}. `, contract.region && `Processed in ${contract.region}. `,
      `A restore needs ${plural(contract.approvals, "person", "people")}.`]),
    el("ul", { class: "routes" }, contract.routes.map((route) => el("li", {},
      el("div", { class: "route-head" }, el("code", { class: "route" }, route.route),
        el("span", { class: "tag" }, route.direction), route.websocket && el("span", { class: "tag" }, "WebSocket"),
        route.fallback.length > 0 && el("span", { class: "tag" }, `fallback: ${route.fallback.map(words).join(", ")}`),
        route.at && el("span", { class: "hint line", title: route.at }, shortPlace(route.at))),
      el("p", { class: "hint" }, [route.scopes.length > 0 && `needs ${route.scopes.join(" ")} · `, `to ${route.upstream}`,
        route.limits.map((limit) => ` · ${words(limit.limit)} ${limit.value}`)]),
      messages(route).map(([name, message]) => messageView(name, message)),
      messages(route).length === 0 && el("p", { class: "small" }, "Nothing is treated: what is sent passes as it is.")))),
  ];
}

function isTold(message) {
  return message.treated.length + message.clear.length + message.reveal.length + message.detects.length > 0 || message.only || message.records;
}

function messageView(name, message) {
  const list = (title, items) => items?.length > 0 && el("div", { class: "fields" }, el("span", { class: "fields-title" }, title), items.map((item) => el("code", { class: "chip-code" }, item)));
  const by = new Map();
  for (const one of message.treated) by.set(one.treatment, [...(by.get(one.treatment) ?? []), one.place]);
  return el("div", { class: "message" }, el("span", { class: "message-name" }, name),
    el("div", {}, [...by].map(([treatment, places]) => list(words(treatment), places)), list("only these pass", message.only), list("in clear", message.clear),
      list("becomes a value again", message.reveal), list("searched for", message.detects), message.records && list("counts", [message.records])));
}

/** Rows of the card before the rest is asked for. */
const REFUSALS_SHOWN = 6;

/** The last refusals; those that differ only in time are one line. */
export function denials(list) {
  if (!list.denials.length) return el("p", { class: "hint" }, "No request was refused of late.");
  const alike = new Map();
  for (const one of list.denials) {
    const key = JSON.stringify([one.reason, one.ended, one.rule, one.route, one.method, one.client, one.cause]);
    const known = alike.get(key);
    if (known) known.count += 1;
    else alike.set(key, { ...one, count: 1 });
  }
  const rows = [...alike.values()].map(denialRow);
  const rest = rows.slice(REFUSALS_SHOWN);
  const body = el("tbody", {}, rows.slice(0, REFUSALS_SHOWN));
  const more = rest.length > 0 && el("button", { type: "button", class: "button small", onclick: () => { body.append(...rest); more.remove(); } }, `Show ${rest.length} more`);
  return [el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Last refusals" }, el("table", { class: "plain refusals" },
    el("thead", {}, el("tr", {}, ["When", "Reason", "Decided by", "Request", "Cause"].map((name) => el("th", { scope: "col" }, name)))), body)), more];
}

function denialRow(one) {
  return el("tr", {},
    el("td", {}, el("time", { datetime: one.time, title: one.time }, clock(one.time)), one.count > 1 && el("div", { class: "hint" }, `and ${plural(one.count - 1, "time")} before`)),
    el("td", {}, el("span", { class: "reason" }, words(one.reason ?? one.ended ?? "broken off")), el("div", { class: "hint" }, one.status ? `answered ${one.status}` : "no answer")),
    el("td", {}, one.rule ? [el("code", {}, one.rule), one.at && el("div", { class: "hint line", title: one.at }, shortPlace(one.at))] : el("span", { class: "hint" }, "no line of the contract")),
    el("td", {}, el("code", {}, one.route ?? `${one.method} (no route)`), el("div", { class: "hint" }, [one.client && `client ${one.client} · `, el("span", { class: "id" }, one.request_id)])),
    el("td", { class: "cause" }, one.cause));
}

/** The last two parts of a path are enough to find the file. */
function shortPlace(place) {
  return place.split("/").slice(-2).join("/");
}

export function exposure(report) {
  const link = el("a", { href: `#/exposure/${encodeURIComponent(report.vendor)}?since=30d` }, "The whole report");
  if (!report.routes.length) return [el("p", { class: "hint" }, "Nothing left in the last 30 days."), link];
  const people = report.subjects ? `of about ${plural(report.subjects.about, "person", "people")}` : "";
  return [
    el("p", {}, el("strong", {}, plural(report.records, "record")), ` ${people} in the last 30 days.`),
    report.left_raw > 0 && el("p", { class: "warn-text" }, `${plural(report.left_raw, "value")} that detectors found left raw.`),
    categoryTable(report), link,
  ];
}

const ACTS = { kill: "killed", kill_again: "killed again", restore: "restored", approve: "agreed to restore", schedule: "scheduled a kill", unschedule: "cancelled a kill", drill: "drilled", revoke: "revoked", lift: "lifted a revocation", cut: "was cut", cuts: "were cut", hook: "hook", login: "logged in", logout: "logged out", reload: "reloaded the config", reveal: "revealed a token" };

export function history(trail) {
  if (!trail.entries.length) return el("p", { class: "hint" }, "Nothing was done about it.");
  return [
    el("ol", { class: "trail" }, trail.entries.map((entry) => el("li", { "data-act": entry.act },
      el("time", { datetime: entry.time, title: entry.time }, clock(entry.time)),
      el("div", {}, el("strong", {}, entry.actor), ` ${ACTS[entry.act] ?? words(entry.act)} `, entry.subject === "*" ? "every vendor" : "",
        entry.reason && el("p", { class: "hint" }, entry.reason), detail(entry.detail))))),
    trail.more && el("p", { class: "hint" }, "Older ones are in the trail: vendorgate audit tail"),
  ];
}

/** The figures of an entry that say how it went. */
function detail(figures) {
  const told = ["severed", "sever_micros", "count", "approvals", "route", "direction", "client"].filter((key) => figures?.[key] !== undefined && figures[key] !== null && typeof figures[key] !== "object");
  return told.length > 0 && el("p", { class: "small" }, told.map((key) => `${words(key)} ${typeof figures[key] === "number" ? number(figures[key]) : figures[key]}`).join(" · "));
}
