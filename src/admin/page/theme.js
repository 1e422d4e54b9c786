/* Light or dark: as the system says, or as the person chose, which this browser remembers. */

import { el } from "./dom.js";

const KEY = "vendorgate.theme";
const CHOICES = ["system", "light", "dark"];
const SIGNS = { system: "◐", light: "☀", dark: "☾" };

export function applyTheme() {
  const choice = chosen();
  if (choice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
}

function chosen() {
  const kept = localStorage.getItem(KEY);
  return CHOICES.includes(kept) ? kept : "system";
}

/** The switch between them. */
export function themeSwitch() {
  const sign = el("span", { "aria-hidden": "true" });
  const button = el("button", { class: "icon-button", type: "button", onclick: next }, sign);
  const show = () => {
    sign.textContent = SIGNS[chosen()];
    button.setAttribute("aria-label", `Theme: ${chosen()}. Change`);
    button.title = `Theme: ${chosen()}`;
  };
  function next() {
    localStorage.setItem(KEY, CHOICES[(CHOICES.indexOf(chosen()) + 1) % CHOICES.length]);
    applyTheme();
    show();
  }
  show();
  return button;
}
