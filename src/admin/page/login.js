/* The first page: who are you? */

import { login } from "./api.js";
import { el, put } from "./dom.js";
import { themeSwitch } from "./theme.js";

/** Shows the login, with why it is asked for; `enter` gets the report of the session. */
export function showLogin(app, enter, why) {
  const token = el("input", {
    id: "token", name: "token", type: "password", autocomplete: "current-password", required: true, spellcheck: "false",
    autocapitalize: "none", placeholder: "vgo_…", "aria-describedby": "token-help token-fault",
  });
  const fault = el("p", { id: "token-fault", class: "fault", role: "alert" }, why ?? "");
  const button = el("button", { class: "button primary wide", type: "submit" }, "Log in");
  const form = el("form", { class: "card login-card", onsubmit: submit },
    el("div", { class: "brand big" }, el("img", { src: "/page/icon.svg", alt: "", width: 40, height: 40 }), el("span", {}, "vendorgate")),
    el("h1", {}, "Log in"),
    el("label", { for: "token" }, "Operator's token"),
    token,
    el("p", { id: "token-help", class: "hint" },
      "It begins with vgo_ and was shown once, by ", el("code", {}, "vendorgate operators add"),
      ". The demo prints one. It is exchanged for a short session, and this browser keeps no copy."),
    fault,
    button);

  async function submit(event) {
    event.preventDefault();
    const given = token.value.trim();
    if (!given) return token.focus();
    button.disabled = true;
    fault.textContent = "";
    try {
      const report = await login(given);
      token.value = "";
      enter(report);
    } catch (no) {
      fault.textContent = no.reason === "token_invalid" ? "Nobody holds this token. Check that all of it was copied." : no.message;
      button.disabled = false;
      token.focus();
      token.select();
    }
  }

  document.title = "Log in · vendorgate";
  put(app, el("div", { class: "login" }, el("div", { class: "login-corner" }, themeSwitch()), el("main", { id: "content" }, form)));
  token.focus();
}
