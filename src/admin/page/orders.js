/* The orders of operators, each in a dialog: kill, restore, drill, revoke. Nothing is done by one press. */

import { about, get, post } from "./api.js";
import { choice, field, openDialog, reasonInput, result } from "./dialogs.js";
import { el, put } from "./dom.js";
import { plural, quick, clock, words } from "./format.js";

/** The parts of a vendor that can be named. */
function scopeFields(vendor, onchange, more) {
  const route = choice([["", "every route"]], onchange);
  const direction = choice([["", "both directions"], ["ingress", "what it calls"], ["egress", "what we send it"]], onchange);
  const client = el("input", { type: "text", autocomplete: "off", placeholder: "every client", oninput: onchange });
  get(about(vendor, "/contract")).then((contract) => {
    route.append(...contract.routes.map((one) => el("option", { value: `${one.direction} ${one.route}` }, `${one.route} (${one.direction})`)));
  }).catch(() => {});
  const node = el("details", { class: "narrow" }, el("summary", {}, "Only a part of it, or later"),
    field("Route", route), field("Direction", direction), field("Client", client, "The client id, as the audit trail shows it"), more);
  const read = () => {
    const [way, ...rest] = route.value ? route.value.split(" ") : [];
    const part = { direction: way || direction.value, route: rest.join(" "), client: client.value.trim() };
    return Object.fromEntries(Object.entries(part).filter(([, value]) => value));
  };
  return { node, read };
}

export function scopeText(scope = {}) {
  const parts = [scope.route, scope.direction, scope.client && `client ${scope.client}`].filter(Boolean);
  return parts.length ? parts.join(", ") : "the whole vendor";
}

/** Cuts off a vendor: says first what that would cut, and asks for its id in writing. */
export function killDialog(vendor) {
  const reason = reasonInput("ticket 4711: key leaked");
  const typed = el("input", { type: "text", name: "vendor", required: true, autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: vendor });
  const at = el("input", { type: "text", autocomplete: "off", placeholder: "now" });
  const preview = el("p", { class: "preview", role: "status" }, "Counting what is in flight…");
  const scope = scopeFields(vendor, later, field("When", at, "A span such as 2h, or a time such as 2026-11-21T20:00:00Z. Empty is now"));
  let timer;

  function later() {
    clearTimeout(timer);
    timer = setTimeout(count, 200);
  }

  async function count() {
    try {
      const found = await post(about(vendor, "/kill"), { reason: "dry run", dry_run: true, ...scope.read() });
      const flight = found.ingress + found.egress;
      const parts = `${found.ingress} of its calls to us, ${found.egress} of ours to it`;
      put(preview, el("strong", {}, `${plural(flight, "request")} in flight would be cut`), flight ? ` (${parts}).` : ".", " New ones are refused from then on.",
        found.unseen?.length > 0 && el("span", { class: "warn-text" }, ` Never seen here: ${found.unseen.join(", ")}.`));
    } catch (no) {
      put(preview, no.message);
    }
  }

  openDialog({
    title: `Kill ${vendor}`, kind: "danger", press: "Kill now",
    intro: preview,
    fields: [
      field("Why", reason, "For the audit trail and the hooks"),
      field(`Type ${vendor} to confirm`, typed),
      scope.node,
    ],
    ready: () => reason.value.trim() && typed.value.trim() === vendor,
    act: async () => killed(await post(about(vendor, "/kill"), { reason: reason.value.trim(), ...scope.read(), ...(at.value.trim() && { at: at.value.trim() }) })),
    opened: () => { count(); reason.focus(); },
  });
}

function killed(report) {
  if (report.id !== undefined) {
    return result("", `${report.vendor} will be cut off at ${clock(report.at)}.`, [["What", scopeText(report.scope)]]);
  }
  return result("killed", `${report.vendor} is cut off.`, [
    ["Requests cut", String(report.severed)],
    ["In", quick(report.sever_micros)],
    ["What", scopeText(report.scope)],
    ["On disk", report.persisted ? "yes" : "NO: it holds until the gateway stops"],
    ["Gateways", `${report.fleet.acked} of ${report.fleet.of}`],
  ], [report.lingering > 0 && `${plural(report.lingering, "request")} had not ended within a second: bytes of these may still leave. `, unheard(report.fleet)]);
}

/** The gateways of the fleet that have not confirmed an order. */
function unheard(fleet) {
  return fleet.missing?.length > 0 && el("strong", {}, `Not confirmed yet by ${fleet.missing.join(", ")}: look at each of them.`);
}

/** Lets a vendor back, or agrees to it where more than one person must. */
export function restoreDialog(vendor, only) {
  const reason = reasonInput("ticket 4711: key replaced");
  const what = el("p", { role: "status" }, "…");
  // What is named is what a kill named: the one that stands, or all of this vendor where there are several.
  let scope = only;
  const name = (kills) => {
    scope ??= kills.length === 1 ? kills[0].scope ?? {} : {};
    if (only || kills.length > 0) return put(what, "What is let back: ", el("strong", {}, kills.length > 1 && !only ? "everything of this vendor" : scopeText(scope)), ". Where the contract asks for several people, this is your yes.");
    return put(what, "No kill of this vendor stands. Where a kill of every vendor cut it off, restore that: ", el("a", { href: "#/activity" }, "the gateway"), ".");
  };
  if (only) name([]);
  else get(about(vendor)).then((row) => name(row.kills)).catch((no) => put(what, no.message));
  openDialog({
    title: `Restore ${vendor}`, kind: "primary", press: "Restore",
    intro: what,
    fields: field("Why", reason, "For the audit trail and the hooks"),
    ready: () => reason.value.trim() && scope,
    act: async () => {
      const report = await post(about(vendor, "/restore"), { reason: reason.value.trim(), ...scope });
      const { given, needed } = report.approvals;
      if (report.lifted === 0) {
        return result("waiting", `Your yes is noted: ${given} of ${needed}. Another person must agree before ${vendor} is let back.`);
      }
      const all = report.state === "live" ? `${vendor} is let back.` : `${vendor} is ${words(report.state)}.`;
      return result("live", all, [["Kills lifted", String(report.lifted)], ["On disk", report.persisted ? "yes" : "no"]]);
    },
    opened: () => reason.focus(),
  });
}

/** Exercises the kill switch and measures it. */
export function drillDialog(vendor) {
  const reason = el("input", { type: "text", autocomplete: "off", placeholder: "quarterly drill", maxlength: 500 });
  const real = el("input", { type: "checkbox" });
  openDialog({
    title: `Drill ${vendor}`, kind: "primary", press: "Run the drill",
    intro: el("p", {}, "Kills, measures and restores. With stand-ins nothing of the vendor's is cut."),
    fields: [
      el("div", { class: "check" }, real, el("label", {}, "Cut the vendor's real traffic for a moment")),
      field("Why (optional)", reason),
    ],
    act: async () => {
      const report = await post(about(vendor, "/drill"), { shadow: !real.checked, ...(reason.value.trim() && { reason: reason.value.trim() }) });
      return result("live", `The switch works: ${plural(report.severed, report.shadow ? "stand-in" : "request")} cut.`, [
        ["Nothing new after", quick(report.refuse_micros)],
        ["Last one gone after", quick(report.sever_micros)],
        ["On disk after", report.persisted ? quick(report.persist_micros) : "not on disk"],
        ["Now", words(report.state)],
      ]);
    },
    opened: () => {
      real.id = "drill-real";
      real.nextSibling.setAttribute("for", real.id);
      real.focus();
    },
  });
}

/** A least-privilege contract from what was seen, to copy and tighten. */
export function suggestDialog(vendor) {
  openDialog({
    title: `A contract for ${vendor}`, kind: "primary", press: "Suggest", fields: [],
    intro: el("p", {}, "Made of what the gateway saw of its calls, where its contract observes, and of those it refused. It holds no value of a call, and nothing applies it: read it and tighten it."),
    act: async () => {
      const { contract } = await get(`/v1/suggestion?vendor=${encodeURIComponent(vendor)}`);
      return el("textarea", { class: "source", rows: 22, readonly: true, spellcheck: "false", "aria-label": "The suggested contract", value: contract });
    },
  });
}

const REVOCABLE = [
  ["client", "A client", "its id"],
  ["jti", "One token", "its jti"],
  ["key", "A signing key", "its kid or thumbprint"],
  ["issued_before", "All tokens issued before", "2026-11-21T20:00:00Z"],
];

/** Takes a credential back. */
export function revokeDialog(vendor) {
  const value = el("input", { type: "text", required: true, autocomplete: "off", spellcheck: "false", placeholder: REVOCABLE[0][2] });
  const kind = choice(REVOCABLE.map(([name, title]) => [name, title]), () => { value.placeholder = REVOCABLE.find(([name]) => name === kind.value)[2]; });
  const reason = reasonInput("ticket 4711: token in a public log");
  openDialog({
    title: `Revoke a credential of ${vendor}`, kind: "danger", press: "Revoke",
    intro: el("p", {}, "For credentials in the wrong hands. Running requests with it are cut, new ones refused. A client or a key stays revoked until an admin lifts it."),
    fields: [field("What", kind), field("Which", value), field("Why", reason, "For the audit trail")],
    ready: () => reason.value.trim() && value.value.trim(),
    act: async () => {
      const report = await post(about(vendor, "/revocations"), { [kind.value]: value.value.trim(), reason: reason.value.trim() });
      return result("killed", "It is revoked.", [["Requests cut", String(report.severed)], ["In", quick(report.sever_micros)], ["On disk", report.persisted ? "yes" : "no"], ["Gateways", `${report.fleet.acked} of ${report.fleet.of}`]],
        [!report.seen && "Nobody has been seen under that name: check the spelling. It is kept all the same. ", unheard(report.fleet)]);
    },
    opened: () => kind.focus(),
  });
}
