/* Where customers meet vendors: the stages of their journey, and what degrades if a vendor is cut off. */

import { about, get } from "./api.js";
import { el, every, put } from "./dom.js";
import { plural, words } from "./format.js";
import { badge, stateOf } from "./vendor_row.js";

const AGAIN = 10_000;
/** Vendors whose contracts are asked for their fallbacks. */
const CONTRACTS_MAX = 60;

export function showJourney(content, { signal }) {
  const answer = el("p", { class: "what-if", role: "status" }, "Choose a vendor to see which stages would degrade without it.");
  const map = el("ol", { class: "journey" });
  const fault = el("p", { class: "fault", role: "alert" });
  put(content, el("div", { class: "page" }, el("div", { class: "page-head" }, el("h1", {}, "The customers' journey")), answer, fault, map));
  let chosen;
  let shown = "";
  const covers = new Map();

  async function load() {
    try {
      const [{ stages }, { vendors }] = await Promise.all([get("/v1/journey", signal), get("/v1/vendors", signal)]);
      const by = new Map(vendors.map((one) => [one.vendor, one]));
      await ask([...new Set(stages.flatMap((stage) => stage.vendors))].slice(0, CONTRACTS_MAX));
      fault.textContent = "";
      const text = JSON.stringify([stages, stages.flatMap((stage) => stage.vendors.map((id) => stateOf(by.get(id) ?? { vendor: id }).word))]);
      if (text !== shown) draw(stages, by);
      shown = text;
    } catch (no) {
      if (!signal.aborted) fault.textContent = no.message;
    }
  }

  /** Which vendors have an answer in the place of theirs: for all of their routes, for some, or for none. */
  async function ask(ids) {
    await Promise.all(ids.filter((id) => !covers.has(id)).map(async (id) => {
      const contract = await get(about(id, "/contract"), signal).catch(() => ({ routes: [] }));
      const egress = contract.routes.filter((route) => route.direction === "egress");
      const with_ = egress.filter((route) => route.fallback.length > 0).length;
      covers.set(id, egress.length > 0 && with_ === egress.length ? "all" : with_ > 0 ? "some" : "none");
    }));
  }

  function draw(stages, by) {
    if (!stages.length) {
      return put(map, el("li", { class: "empty" }, "No contract names a stage. Write journey: [checkout] in a vendor's contract."));
    }
    put(map, stages.map((stage) => {
      const causes = new Map((stage.causes ?? []).map((cause) => [cause.vendor, cause.why.map(words).join(", ")]));
      return el("li", { class: `stage ${stage.degraded ? "degraded" : ""}`, "data-stage": stage.stage },
        el("div", { class: "stage-head" }, el("h2", {}, words(stage.stage)), el("span", { class: "stage-state" }, stage.degraded ? "Degraded" : "Well")),
        el("ul", {}, stage.vendors.map((id) => el("li", {}, el("button", {
          type: "button", class: "stop", "aria-pressed": "false", "data-vendor": id, onclick: () => choose(chosen === id ? undefined : id, stages),
        }, el("span", { class: "stop-name" }, by.get(id)?.name || id), badge(stateOf(by.get(id) ?? { vendor: id, state: "live" })), causes.has(id) && el("span", { class: "concern" }, causes.get(id)))))));
    }));
    choose(chosen, stages);
  }

  function choose(id, stages) {
    chosen = id;
    const hit = stages.filter((stage) => stage.vendors.includes(id));
    for (const node of map.querySelectorAll(".stage")) node.classList.toggle("would", hit.some((stage) => stage.stage === node.dataset.stage));
    for (const node of map.querySelectorAll(".stop")) node.setAttribute("aria-pressed", String(node.dataset.vendor === id));
    if (!id) return put(answer, "Choose a vendor to see which stages would degrade without it.");
    const names = hit.map((stage) => words(stage.stage)).join(", ");
    const cover = {
      all: "Each of its routes has a fallback: callers get an answer in the place of its own.",
      some: "Some of its routes have a fallback; the others answer with an error.",
      none: "None of its routes has a fallback: callers get an error.",
    }[covers.get(id) ?? "none"];
    put(answer, el("strong", {}, `Without ${id}, ${plural(hit.length, "stage degrades", "stages degrade")}: ${names}. `), cover, " ", el("a", { href: `#/vendor/${encodeURIComponent(id)}` }, "Its page"));
  }

  every(AGAIN, load, signal);
  return "Journey";
}
