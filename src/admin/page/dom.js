/*
 * Makes elements. Text is always set as text, and no markup is ever read, so nothing that a vendor or a caller chose can
 * become part of the page.
 */

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element: `el("a", { class: "quiet", href: "#/" }, "Back")`. `on…` members are listeners. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** Makes an element of a drawing. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter(isShown));
  return node;
}

function isShown(child) {
  return child !== undefined && child !== null && child !== false;
}

/** Replaces what an element holds. */
export function put(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(isShown));
  return node;
}

/** Sets a text only where it differs, so that a screen reader and a selection are left in peace. */
export function say(node, text) {
  const said = String(text);
  if (node.textContent !== said) node.textContent = said;
}

/**
 * Does something now and again until `signal` is aborted: after `period` milliseconds, or as soon as an order was
 * carried out. Rests while nobody sees the page, so that a forgotten tab asks for nothing and its session ends.
 */
export async function every(period, act, signal) {
  while (!signal.aborted) {
    await act();
    await rest(typeof period === "function" ? period() : period, signal);
  }
}

/** Ends after some milliseconds, when an order was carried out, or when `signal` is aborted; never while hidden. */
export function rest(milliseconds, signal) {
  return new Promise((done) => {
    const over = new AbortController();
    const timer = setTimeout(wake, milliseconds);
    function wake() {
      if (document.hidden && !signal.aborted) return;
      clearTimeout(timer);
      over.abort();
      done();
    }
    const late = Date.now() + milliseconds;
    document.addEventListener("visibilitychange", () => Date.now() >= late && wake(), { signal: over.signal });
    document.addEventListener("changed", wake, { signal: over.signal });
    signal.addEventListener("abort", wake, { signal: over.signal });
  });
}

/** Tells a screen reader what happened. */
export function announce(text) {
  const place = document.getElementById("announcer");
  place.textContent = "";
  setTimeout(() => { place.textContent = text; }, 50);
}
