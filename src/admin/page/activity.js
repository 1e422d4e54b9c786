/* The gateway itself: whether it is well, what is to come, what is revoked, and what was done of late. */

import { get, post } from "./api.js";
import { field, openDialog, reasonInput, result } from "./dialogs.js";
import { el, every, put } from "./dom.js";
import { ago, clock, number, plural, quick, words } from "./format.js";
import { scopeText } from "./orders.js";
import { history } from "./vendor_panels.js";

export function showActivity(content, { operator, signal }) {
  const fault = el("p", { class: "fault", role: "alert" });
  const parts = [
    part("Is it well?", "/readyz?verbose", readiness, signal),
    part("Kills to come", "/v1/scheduled-kills", (answer) => scheduled(answer, operator), signal),
    part("What is revoked", "/v1/revocations", (answer) => revocations(answer, operator), signal),
    part("Destinations of no contract", "/v1/shadow", shadow, signal),
    part("What was done last", "/v1/history", acts, signal, "wide"),
  ];
  const actions = [
    operator.role === "privacy" && el("button", { type: "button", class: "button", onclick: revealDialog }, "Reveal a token…"),
    operator.may("admin") && el("button", { type: "button", class: "button", onclick: reloadDialog }, "Reload the config…"),
    operator.may("admin") && el("button", { type: "button", class: "button", onclick: restoreAllDialog }, "Restore after a kill of all…"),
    operator.may("operator") && el("button", { type: "button", class: "button danger", onclick: killAllDialog }, "Kill every vendor…"),
  ];
  put(content, el("div", { class: "page" }, el("div", { class: "page-head" }, el("h1", {}, "The gateway"), el("div", { class: "actions" }, actions)),
    fault, why(signal), el("div", { class: "grid" }, parts.map((one) => one.node))));
  every(15_000, () => Promise.all(parts.map((one) => one.load())), signal);
  return "Gateway";
}

function part(title, path, render, signal, kind = "") {
  const body = el("div", { class: "panel-body" });
  let shown = "";
  const load = async () => {
    try {
      const answer = path.startsWith("/readyz") ? await (await fetch(path, { signal })).text() : await get(path, signal);
      const text = JSON.stringify(answer);
      if (text !== shown) put(body, render(answer));
      shown = text;
    } catch (no) {
      shown = "";
      if (!signal.aborted) put(body, el("p", { class: "fault" }, no.message));
    }
  };
  return { node: el("section", { class: `card ${kind}` }, el("h2", {}, title), body), load };
}

/** Why a request was refused or broke off, by the id that its caller got. */
function why(signal) {
  const id = el("input", { type: "text", id: "request-id", required: true, pattern: "[0-9a-f]{32}", title: "32 hexadecimal digits", autocomplete: "off", spellcheck: "false", placeholder: "0af7651916cd43dd8448eb211c80319c" });
  const answer = el("div", { role: "status" });
  const ask = async (event) => {
    event.preventDefault();
    try {
      const found = await get(`/v1/requests?id=${encodeURIComponent(id.value.trim())}`, signal);
      put(answer, el("dl", { class: "pairs" }, Object.entries(found).map(([key, value]) => el("div", {}, el("dt", {}, words(key)), el("dd", {}, String(value))))));
    } catch (no) {
      put(answer, el("p", { class: "hint" }, no.message));
    }
  };
  return el("section", { class: "card why" }, el("form", { class: "line-form", onsubmit: ask },
    el("label", { for: "request-id" }, "Why was a request refused? Its id"), id, el("button", { class: "button", type: "submit" }, "Ask")), answer);
}

/** What is not well, and what all vendors need; the rest is a number, or a large fleet would fill the page. */
function readiness(text) {
  const lines = text.trim().split("\n").filter((line) => line.startsWith("["));
  const told = lines.filter((line) => line.startsWith("[-]") || !line.includes("/"));
  const rest = lines.length - told.length;
  return [el("ul", { class: "checks" }, told.map((line) => {
    const well = line.startsWith("[+]");
    return el("li", { class: well ? "well" : "unwell" }, el("span", { class: "sign", "aria-hidden": "true" }, well ? "✓" : "✕"), el("span", { class: "unseen" }, well ? "well: " : "not well: "), line.slice(4));
  })), rest > 0 && el("p", { class: "hint" }, `${plural(rest, "check")} of single vendors' files and keys: all well.`)];
}

function scheduled(answer, operator) {
  if (!answer.scheduled.length) return el("p", { class: "hint" }, "None.");
  return el("ul", { class: "plain-list" }, answer.scheduled.map((one) => el("li", {},
    el("div", {}, el("strong", {}, one.vendor === "*" ? "every vendor" : one.vendor), ` at ${clock(one.at)}: ${scopeText(one.scope)}`, el("p", { class: "hint" }, `${one.by}: ${one.reason}`)),
    operator.may("admin") && el("button", { type: "button", class: "button small", onclick: () => cancelDialog(one) }, "Cancel it…"))));
}

function revocations(answer, operator) {
  if (!answer.revocations.length) return el("p", { class: "hint" }, "Nothing.");
  return el("ul", { class: "plain-list" }, answer.revocations.map((one) => {
    const [kind, value] = Object.entries(one.revoked)[0] ?? ["", ""];
    return el("li", {}, el("div", {}, el("strong", {}, one.vendor), ` ${words(kind)} `, el("code", {}, value), el("p", { class: "hint" }, `${ago(one.at)}: ${one.reason}`)),
      operator.may("admin") && el("button", { type: "button", class: "button small", onclick: () => liftDialog(one, kind, value) }, "Lift…"));
  }));
}

function shadow(answer) {
  if (!answer.destinations.length) return el("p", { class: "hint" }, "Our services asked for none.");
  return [
    el("p", { class: "hint" }, `${plural(answer.asked, "request")} in all${answer.unlisted ? `; ${number(answer.unlisted)} of them for destinations that the list had no room for` : ""}.`),
    el("ul", { class: "plain-list" }, answer.destinations.map((one) => el("li", {}, el("div", {}, el("code", {}, one.destination), el("p", { class: "hint" }, `${one.caller ?? "unknown service"}, ${plural(one.count, "time")}, last ${ago(one.last_seen)}`))))),
  ];
}

function acts(trail) {
  const named = (entry) => (entry.subject === "*" || entry.subject === entry.actor ? entry.actor : `${entry.actor} → ${entry.subject}`);
  return history({ entries: trail.entries.map((entry) => ({ ...entry, actor: named(entry) })), more: trail.more });
}

function killAllDialog() {
  const reason = reasonInput("ticket 4711: our own network is in doubt");
  const typed = el("input", { type: "text", required: true, autocomplete: "off", placeholder: "every vendor" });
  const preview = el("p", { class: "preview", role: "status" }, "Counting what is in flight…");
  openDialog({
    title: "Kill every vendor", kind: "danger", press: "Kill every vendor now", intro: preview,
    fields: [field("Why", reason), field("Type every vendor to confirm", typed)],
    ready: () => reason.value.trim() && typed.value.trim() === "every vendor",
    act: async () => {
      const { vendors } = await post("/v1/kill", { reason: reason.value.trim() });
      const severed = vendors.reduce((sum, one) => sum + one.severed, 0);
      const slowest = Math.max(0, ...vendors.map((one) => one.sever_micros));
      return result("killed", `${plural(vendors.length, "vendor is", "vendors are")} cut off.`, [["Requests cut", number(severed)], ["In", quick(slowest)], ["On disk", vendors.every((one) => one.persisted) ? "yes" : "NO, not of all"]]);
    },
    opened: async () => {
      reason.focus();
      const found = await post("/v1/kill", { reason: "dry run", dry_run: true }).catch((no) => put(preview, no.message));
      if (found?.dry_run) put(preview, el("strong", {}, `${plural(found.ingress + found.egress, "request")} in flight would be cut.`), " Every call of every vendor is refused from then on.");
    },
  });
}

function restoreAllDialog() {
  simple("Restore what a kill of all cut off", "Restore", "Lifts the kills that were ordered for every vendor; those of single vendors stay.", async (reason) => {
    const report = await post("/v1/restore", { reason });
    return report.lifted ? result("live", `${plural(report.lifted, "kill")} lifted.`) : result("waiting", `Your yes is noted: ${report.approvals.given} of ${report.approvals.needed}.`);
  });
}

function cancelDialog(one) {
  simple(`Cancel the kill of ${one.vendor}`, "Cancel the kill", `It would have come at ${clock(one.at)}.`, async (reason) => {
    await post("/v1/scheduled-kills/cancel", { id: one.id, reason });
    return result("", "It will not come.");
  });
}

function liftDialog(one, kind, value) {
  simple("Lift a revocation", "Lift it", `${one.vendor}: ${words(kind)} ${value} may be used again.`, async (reason) => {
    await post(`/v1/vendors/${encodeURIComponent(one.vendor)}/revocations/lift`, { [kind]: value, reason });
    return result("live", "It is lifted.");
  });
}

/** Turns one token back into its value; who asked for it and why is in the audit trail. */
function revealDialog() {
  const token = el("input", { type: "text", required: true, autocomplete: "off", spellcheck: "false", placeholder: "tok1_…" });
  const reason = reasonInput("ticket 4711: the person asked");
  openDialog({
    title: "Reveal a token", kind: "primary", press: "Reveal", fields: [field("Token", token), field("Why", reason, "For the audit trail, which does not get the value")],
    ready: () => token.value.trim() && reason.value.trim(),
    act: async () => {
      const report = await post("/v1/reveal", { token: token.value.trim(), reason: reason.value.trim() });
      return result("", report.value, [["Of the vendor", report.vendor]]);
    },
    opened: () => token.focus(),
  });
}

function reloadDialog() {
  openDialog({
    title: "Reload the config", kind: "primary", press: "Reload", fields: [],
    intro: el("p", {}, "Reads the files again. They are put in force as a whole, or nothing changes."),
    act: async () => {
      const report = await post("/v1/reload", {});
      const list = (name, ids) => ids?.length > 0 && [name, ids.join(", ")];
      return result("live", `Config ${report.generation} is in force.`, [list("Added", report.added), list("Changed", report.changed), list("Removed", report.removed), list("Still cut off", report.still_cut_off)].filter(Boolean));
    },
  });
}

/** An order that needs a reason alone. */
function simple(title, press, intro, act) {
  const reason = reasonInput("ticket 4711");
  openDialog({ title, kind: "primary", press, intro: el("p", {}, intro), fields: field("Why", reason), ready: () => reason.value.trim(), act: () => act(reason.value.trim()), opened: () => reason.focus() });
}
