/*
 * A list of any length of which only what is on the screen exists: thousands of vendors scroll as a few do. The window
 * scrolls, so that the browser's own keys and its search for a place work as everywhere.
 */

import { el } from "./dom.js";

/** Rows that are kept ready above and below. */
const SPARE = 6;

export class VirtualRows {
  #make;
  #list = [];
  #shown = new Map();
  #height = 0;
  #waiting = false;

  /** `make` makes a row: `{ node, set, refresh, key }`. */
  constructor(make) {
    this.#make = make;
    this.node = el("div", { class: "rows", role: "rowgroup" });
    this.update = () => this.#soon();
    addEventListener("scroll", this.update, { passive: true });
    addEventListener("resize", this.update, { passive: true });
    this.node.addEventListener("keydown", (event) => this.#key(event));
  }

  get length() {
    return this.#list.length;
  }

  /** Shows these, in this order. */
  show(list) {
    this.#list = list;
    this.node.parentElement?.setAttribute("aria-rowcount", String(list.length + 1));
    this.#draw();
  }

  /** Takes new values of rows that stay where they are. */
  renew(all) {
    const found = new Map(all.map((row) => [row.vendor, row]));
    this.#list = this.#list.filter((row) => found.has(row.vendor)).map((row) => found.get(row.vendor));
    this.#draw();
  }

  /** Brings the live figures of what is shown up to date. */
  refresh() {
    for (const row of this.#shown.values()) row.refresh();
  }

  end() {
    removeEventListener("scroll", this.update);
    removeEventListener("resize", this.update);
  }

  #soon() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      if (this.node.isConnected) this.#draw();
    });
  }

  #draw() {
    // The height of a row is the style sheet's: a card on a phone, a line on a desk.
    this.#height = Number.parseFloat(getComputedStyle(this.node).getPropertyValue("--row-height")) || 64;
    this.node.style.blockSize = `${this.#list.length * this.#height}px`;
    const top = this.node.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / this.#height) - SPARE);
    const last = Math.min(this.#list.length, Math.ceil((innerHeight - top) / this.#height) + SPARE);
    const wanted = new Map(this.#list.slice(first, last).map((row, place) => [row.vendor, [row, first + place]]));
    for (const [key, row] of this.#shown) {
      // What has the focus stays, or the keyboard would be lost.
      if (!wanted.has(key) && !row.node.contains(document.activeElement)) {
        row.node.remove();
        this.#shown.delete(key);
      }
    }
    let before = null;
    for (const [key, [value, place]] of wanted) {
      let row = this.#shown.get(key);
      if (!row) this.#shown.set(key, (row = this.#make(value)));
      else if (row.value !== value) row.set(value);
      row.value = value;
      row.node.style.transform = `translateY(${place * this.#height}px)`;
      row.node.setAttribute("aria-rowindex", String(place + 2));
      row.place = place;
      // The order in the document is that on the screen, for the Tab key.
      const next = before ? before.nextSibling : this.node.firstChild;
      if (next !== row.node) this.node.insertBefore(row.node, next);
      before = row.node;
    }
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const from = [...this.#shown.values()].find((row) => row.node.contains(event.target));
    if (!step || !from || event.target.closest("dialog")) return;
    event.preventDefault();
    const to = from.place + step;
    if (to < 0 || to >= this.#list.length) return;
    const near = this.node.getBoundingClientRect().top + to * this.#height;
    if (near < 120 || near + this.#height > innerHeight) scrollBy(0, step * this.#height);
    this.#draw();
    this.#shown.get(this.#list[to].vendor)?.node.querySelector("a").focus({ preventScroll: true });
  }
}
