/* The frame of the page: who is logged in, which view is shown, and whether figures are live. */

import { forget, get, hasSession, logout, onSessionEnd } from "./api.js";
import { showActivity } from "./activity.js";
import { announce, el, every, put, say } from "./dom.js";
import { showExposure } from "./exposure.js";
import { showFleet } from "./fleet.js";
import { showJourney } from "./journey.js";
import { follow, isFresh, start, stop } from "./live.js";
import { showLogin } from "./login.js";
import { applyTheme, themeSwitch } from "./theme.js";
import { showVendor } from "./vendor.js";

const VIEWS = [
  { name: "fleet", title: "Vendors", show: showFleet },
  { name: "journey", title: "Journey", show: showJourney },
  { name: "exposure", title: "Exposure", show: showExposure },
  { name: "activity", title: "Gateway", show: showActivity },
  { name: "vendor", show: showVendor },
];
const RANKS = { viewer: 0, privacy: 0, operator: 1, admin: 2 };

const app = document.getElementById("app");
let operator;
let nav;
let content;
/** Lasts as long as somebody is logged in. */
let framed;
/** Lasts as long as a view is shown. */
let shown;

async function begin() {
  if (!hasSession()) return leave();
  try {
    enter(await get("/v1/session"));
  } catch (no) {
    if (no.status !== 401) leave(no.message);
  }
}

function enter(report) {
  operator = { name: report.operator, role: report.role, ends: report.ends, may: (role) => RANKS[report.role] >= RANKS[role] };
  start(() => leave("The session has ended. Log in again."));
  frame();
  route();
}

function leave(why) {
  close();
  framed?.abort();
  operator = undefined;
  stop();
  showLogin(app, enter, why);
}

function close() {
  shown?.abort();
  shown = undefined;
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
}

function frame() {
  framed = new AbortController();
  const links = VIEWS.filter((view) => view.title).map((view) => el("a", { href: `#/${view.name}`, "data-view": view.name }, view.title));
  nav = el("nav", { class: "views", "aria-label": "Views" }, links);
  content = el("main", { id: "content", tabindex: "-1" });
  const out = el("button", {
    class: "icon-button text", type: "button",
    onclick: async () => { await logout().catch(forget); leave(); },
  }, "Log out");
  put(app,
    el("header", { class: "top" },
      el("a", { class: "brand", href: "#/fleet", "aria-label": "vendorgate, vendors" },
        el("img", { src: "/page/icon.svg", alt: "", width: 26, height: 26 }), el("span", { class: "brand-name" }, "vendorgate")),
      nav,
      el("div", { class: "who" }, liveSign(framed.signal), el("span", { class: "operator" }, operator.name, " ", el("span", { class: "role" }, operator.role)), themeSwitch(), out)),
    content);
}

/** Says whether the figures on the page are live. */
function liveSign(signal) {
  const word = el("span", { class: "live-word" });
  const sign = el("span", { class: "live-sign" }, el("span", { class: "dot", "aria-hidden": "true" }), word);
  const show = () => {
    sign.classList.toggle("late", !isFresh());
    say(word, isFresh() ? "Live" : "No live figures");
  };
  signal.addEventListener("abort", follow(show));
  every(2_000, show, signal);
  return sign;
}

function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const view = VIEWS.find((one) => one.name === name) ?? VIEWS[0];
  close();
  shown = new AbortController();
  for (const link of nav.children) {
    if (link.dataset.view === (view.title ? view.name : "fleet")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  put(content);
  scrollTo(0, 0);
  const id = rest.length ? safeDecode(rest.join("/")) : "";
  const title = view.show(content, { operator, id, query: new URLSearchParams(query), signal: shown.signal });
  document.title = `${title} · vendorgate`;
  announce(title);
}

function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

applyTheme();
onSessionEnd(() => leave("The session has ended. Log in again."));
addEventListener("hashchange", () => operator && route());
// The address says which view is shown, so this link must not change it.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("content")?.focus();
});
begin();
