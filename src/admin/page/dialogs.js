/* A dialog that gives an order: its form, the button that is pressed on purpose, and the answer in its place. */

import { announce, el, put } from "./dom.js";

let names = 0;

/** A field with its label and a hint. */
export function field(label, input, hint) {
  names += 1;
  input.id ||= `field-${names}`;
  const help = hint && el("p", { class: "hint", id: `${input.id}-help` }, hint);
  if (help) input.setAttribute("aria-describedby", help.id);
  return el("div", { class: "field" }, el("label", { for: input.id }, label), input, help);
}

/** Why, in words for the audit trail. */
export function reasonInput(example) {
  return el("input", { type: "text", name: "reason", required: true, maxlength: 500, autocomplete: "off", placeholder: example });
}

/** A choice of one. */
export function choice(options, onchange) {
  return el("select", { onchange }, options.map(([value, title]) => el("option", { value }, title)));
}

/**
 * Opens a dialog. `ready` says whether the button may be pressed, `act` does it and returns what to show. Enter in a
 * field presses nothing but the button, and only while it may be pressed.
 */
export function openDialog({ title, kind = "", intro, fields, press, ready = () => true, act, opened }) {
  names += 1;
  const heading = el("h2", { id: `dialog-${names}` }, title);
  const fault = el("p", { class: "fault", role: "alert" });
  const button = el("button", { type: "submit", class: `button ${kind}` }, press);
  const cancel = el("button", { type: "button", class: "button quiet", onclick: () => dialog.close() }, "Cancel");
  const form = el("form", { onsubmit: submit, oninput: update, onchange: update }, intro, fields, fault, el("div", { class: "dialog-foot" }, cancel, button));
  const dialog = el("dialog", { class: "dialog", "aria-labelledby": heading.id, onclose: () => dialog.remove() },
    el("div", { class: "dialog-head" }, heading, el("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
    form);

  function update() {
    button.disabled = !ready();
  }

  async function submit(event) {
    event.preventDefault();
    if (!ready()) return;
    button.disabled = true;
    button.classList.add("busy");
    fault.textContent = "";
    try {
      const shown = await act();
      const done = el("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Close");
      put(form, shown, el("div", { class: "dialog-foot" }, done));
      done.focus();
      announce(form.querySelector(".result")?.textContent ?? "Done");
      document.dispatchEvent(new CustomEvent("changed"));
    } catch (no) {
      fault.textContent = no.title ? `${no.title}: ${no.message}` : no.message;
      button.classList.remove("busy");
      update();
    }
  }

  document.body.append(dialog);
  update();
  dialog.showModal();
  opened?.(update);
  return dialog;
}

/** What an order came to: a sentence, and figures beneath. */
export function result(kind, sentence, figures = [], more) {
  return el("div", { class: `result ${kind}` },
    el("p", { class: "result-sentence" }, sentence),
    figures.length > 0 && el("dl", { class: "figures" }, figures.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    [more].flat().some(Boolean) && el("p", { class: "hint" }, more));
}
