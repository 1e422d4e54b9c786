// The whole story: two people and a viewer at their browsers, a vendor in the middle of a download. Reads where the
// gateway is and who the operators are from standard input; see tests/gateway/dashboard.rs.

import fs from "node:fs";
import path from "node:path";
import { check, faults, open, until } from "./browser.mjs";
import { look, THEMES, WIDTHS } from "./looks.mjs";

const { address, tokens } = JSON.parse(fs.readFileSync(0, "utf8"));
const shots = path.resolve(process.env.VENDORGATE_PAGE_SHOTS ?? "shots");
fs.mkdirSync(shots, { recursive: true });
const browser = await open(address);
const states = {};

async function log_in(page, name) {
  await page.goto(`${address}/`);
  await page.getByLabel("Operator's token").fill(tokens[name]);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.getByText(name, { exact: false }).first().waitFor();
  states[name] = await page.context().storageState();
  return page;
}

const goto = async (page, place) => {
  await page.evaluate((hash) => { location.hash = hash; }, `#/${place}`);
};
const dialog = (page) => page.getByRole("dialog");
const row = (page, vendor) => page.locator(".rows .row").filter({ hasText: vendor });

async function login() {
  const page = await browser.person();
  await page.goto(`${address}/#/vendor/acme`);
  await page.getByLabel("Operator's token").fill("vgo_nobody");
  await page.keyboard.press("Enter");
  await page.getByText("Nobody holds this token").waitFor();
  check(true, "a wrong token is told, and the person stays");
  await page.getByLabel("Operator's token").fill(tokens.operator);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "ACME Analytics Ltd" }).waitFor();
  check(true, "who followed a link comes to its place after the login");
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage }) + document.cookie);
  check(!kept.includes(tokens.operator) && !kept.includes("vendorgate-"), "no script of the page can read the token or the cookie");
  await page.locator(".skip").focus();
  await page.keyboard.press("Enter");
  check(await page.evaluate(() => document.activeElement.id === "content" && location.hash === "#/vendor/acme"), "a keyboard skips to the content, and stays in its place");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel("Operator's token").waitFor();
  await page.reload();
  await page.getByLabel("Operator's token").waitFor();
  check(true, "who logged out is out");
  await page.context().close();
}

async function live(page) {
  await goto(page, "fleet");
  const tile = (title) => page.locator(".tile").filter({ hasText: title }).locator("dd");
  await until("the rate of requests moves", async () => Number(await tile("Requests / s").textContent()) > 0);
  await until("the download is in flight", async () => Number(await row(page, "acme").locator(".cell.flight").textContent()) >= 1);
  await until("lines are drawn", async () => (await row(page, "acme").locator(".spark-line").getAttribute("d"))?.includes("L"));
  await page.keyboard.press("/");
  await page.keyboard.type("checkout");
  await until("a stage finds its vendors", async () => (await page.locator(".rows .row").count()) === 2);
  await page.getByRole("searchbox").fill("");
  await page.getByRole("button", { name: /^Observed/ }).click();
  check((await page.locator(".rows .row").count()) === 1, "one vendor is only observed");
  await page.getByRole("button", { name: /^All/ }).click();
  await page.locator(".sort", { hasText: "Vendor" }).click();
  await page.locator(".sort", { hasText: "Vendor" }).click();
  const first = page.locator(".rows .row").first();
  check((await first.textContent()).includes("Swift Parcel"), "the list is sorted downwards");
  check((await page.locator('[role="columnheader"][aria-sort="descending"]').count()) === 1, "and says so");
  await first.getByRole("link").focus();
  await page.keyboard.press("ArrowDown");
  check(await page.locator(".rows .row").nth(1).getByRole("link").evaluate((link) => link === document.activeElement), "arrows go from vendor to vendor");
}

async function kill(page, watcher) {
  await goto(watcher, "fleet");
  await goto(page, "vendor/acme");
  check((await page.getByRole("button", { name: "Restore…" }).count()) === 0, "an operator is offered no restore");
  await page.getByRole("button", { name: "Kill…" }).click();
  const order = dialog(page);
  await order.getByText(/request(s)? in flight would be cut/).waitFor();
  const press = order.getByRole("button", { name: "Kill now" });
  check(await press.isDisabled(), "the button does nothing at first");
  await order.getByLabel("Why").fill("ticket 4711: key leaked");
  await order.getByLabel("Type acme to confirm").fill("acm");
  await page.keyboard.press("Enter");
  check(await press.isDisabled() && await order.isVisible(), "half an id is not enough, and Enter presses nothing");
  await order.getByLabel("Type acme to confirm").fill("acme");
  await press.click();
  await order.getByText("acme is cut off.").waitFor();
  const figures = await order.locator(".figures").textContent();
  check(/Requests cut[1-9]/.test(figures) && /In[\d.]+ (µs|ms|s)/.test(figures) && /On diskyes/.test(figures), `the answer has its figures: ${figures}`);
  await page.screenshot({ path: path.join(shots, "killed-answer.png") });
  await order.getByRole("button", { name: "Close" }).last().click();
  await page.getByText("Cut off: the whole vendor").waitFor();
  await until("the other person sees it without a reload", async () => (await row(watcher, "acme").locator(".badge").textContent()).includes("Killed"));
  await until("and it is counted there", async () => (await watcher.getByRole("button", { name: /^Killed/ }).textContent()) === "Killed 1");
  await until("what is refused now is shown with its reason", async () => (await page.locator(".card.denials").textContent()).includes("vendor killed"));
  await until("the history has it with its reason", async () => /operator killed.*ticket 4711/s.test(await page.locator(".card.history").textContent()));
}

/** A gateway of a fleet that does not hear: made up here, since this one is alone. */
async function unheard(page) {
  await page.route("**/v1/vendors/northwind/kill", (route) => {
    if (route.request().postDataJSON().dry_run) return route.continue();
    return route.fulfill({ json: { vendor: "northwind", state: "killed", generation: 9, severed: 2, sever_micros: 700, persisted: true, fleet: { acked: 2, of: 3, missing: ["gate-b"] } } });
  });
  await goto(page, "vendor/northwind");
  await page.getByRole("button", { name: "Kill…" }).click();
  await dialog(page).getByLabel("Why").fill("ticket 4713");
  await dialog(page).getByLabel("Type northwind to confirm").fill("northwind");
  await dialog(page).getByRole("button", { name: "Kill now" }).click();
  await dialog(page).getByText("Not confirmed yet by gate-b").waitFor();
  check((await dialog(page).locator(".figures").textContent()).includes("2 of 3"), "a gateway that has not confirmed is named");
  await page.keyboard.press("Escape");
  await page.unrouteAll({ behavior: "wait" });
}

async function restore(one, other) {
  for (const [page, said] of [[one, "Your yes is noted: 1 of 2"], [one, "Your yes is noted: 1 of 2"], [other, "acme is let back."]]) {
    await goto(page, "vendor/acme");
    await page.getByRole("button", { name: "Restore…" }).first().click();
    await dialog(page).getByLabel("Why").fill("ticket 4711: key replaced");
    await dialog(page).getByRole("button", { name: "Restore", exact: true }).click();
    await dialog(page).getByText(said).waitFor();
    check(true, said);
    await dialog(page).getByRole("button", { name: "Close" }).last().click();
  }
  await until("it is live again", async () => (await one.locator(".vendor-head .badge").textContent()).includes("Live"));
}

async function others(page) {
  await goto(page, "vendor/acme");
  await page.getByRole("button", { name: "Drill…" }).click();
  await dialog(page).getByRole("button", { name: "Run the drill" }).click();
  await dialog(page).getByText("The switch works").waitFor();
  await page.keyboard.press("Escape");
  check((await dialog(page).count()) === 0, "Escape closes a dialog");
  await page.getByRole("button", { name: "Revoke…" }).click();
  await dialog(page).getByLabel("Which").fill("stolen-client");
  await dialog(page).getByLabel("Why").fill("ticket 4712");
  await dialog(page).getByRole("button", { name: "Revoke", exact: true }).click();
  await dialog(page).getByText("It is revoked.").waitFor();
  await dialog(page).getByRole("button", { name: "Close" }).last().click();
  await page.getByRole("button", { name: "Suggest a contract…" }).click();
  await dialog(page).getByRole("button", { name: "Suggest", exact: true }).click();
  check((await dialog(page).getByLabel("The suggested contract").inputValue()).includes("vendor: acme"), "a contract is suggested");
  await page.keyboard.press("Escape");
  const line = page.locator(".card.denials tbody tr").filter({ hasText: "route unknown" }).first();
  check(/acme\.yaml:\d+/.test(await line.textContent()), "a refusal names the line that decided");
  const id = await line.locator(".id").textContent();
  await goto(page, "activity");
  await page.getByLabel("Why was a request refused? Its id").fill(id);
  await page.getByRole("button", { name: "Ask" }).click();
  await page.locator(".why").getByText("route_unknown").waitFor();
  await page.getByText("stolen-client").first().waitFor();
  await page.getByRole("button", { name: "Lift…" }).click();
  await dialog(page).getByLabel("Why").fill("a mistake");
  await dialog(page).getByRole("button", { name: "Lift it" }).click();
  await dialog(page).getByText("It is lifted.").waitFor();
  await dialog(page).getByRole("button", { name: "Close" }).last().click();

  await goto(page, "journey");
  await page.locator('[data-vendor="acme"]').click();
  await page.getByText("Without acme, 1 stage degrades: checkout.").waitFor();
  await page.locator('[data-vendor="swift-parcel"]').first().click();
  await page.getByText("Each of its routes has a fallback").waitFor();
  check(true, "the journey says what degrades");

  await goto(page, "exposure/acme?since=24h");
  await page.getByText("(a) Nature of the breach").waitFor();
  await page.getByLabel("What can happen to the people concerned").fill("Unwanted mail.");
  await page.emulateMedia({ media: "print" });
  check(await page.locator(".print-only.answer", { hasText: "Unwanted mail." }).isVisible() && !(await page.locator(".top").isVisible()), "the notice prints, with what a person wrote");
  await page.screenshot({ path: path.join(shots, "exposure-print.png"), fullPage: true });
  await page.emulateMedia({ media: "screen" });
}

/** That nothing went wrong means something: text that would become markup is refused, and told. */
async function policy(page) {
  const before = faults.length;
  const refused = await page.evaluate(() => {
    try {
      document.querySelector("h1").innerHTML = "<b>markup</b>";
      return "";
    } catch (error) {
      return error.name;
    }
  });
  await until("a breach of the policy is told", () => faults.slice(before).some((fault) => fault.startsWith("policy: require-trusted-types-for")));
  check(refused === "TypeError", "no text becomes markup");
  faults.length = before;
}

/** A page that nobody sees asks for nothing, and comes back to life when it is seen. */
async function hidden(page) {
  await goto(page, "fleet");
  const show = (is) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, !is);
  await until("the page is live", () => page.locator(".live-sign:not(.late)").count());
  await show(false);
  // What was under way may end.
  await page.waitForTimeout(3_000);
  const asked = [];
  const note = (request) => asked.push(request.url());
  page.on("request", note);
  await page.waitForTimeout(18_000);
  page.off("request", note);
  check(asked.length === 0, `a hidden page asks for nothing: ${asked}`);
  await show(true);
  await until("and is live again when it is seen", () => page.locator(".live-sign:not(.late)").count());
}

async function viewer() {
  const page = await log_in(await browser.person(), "viewer");
  await goto(page, "vendor/acme");
  await page.getByRole("heading", { name: "ACME Analytics Ltd" }).waitFor();
  const offered = await page.getByRole("button", { name: /…$/ }).allTextContents();
  check(offered.join() === "Suggest a contract…", `a viewer is offered no order: ${offered}`);
  const asked = await page.evaluate(async () => {
    const headers = { "Content-Type": "application/json", "X-Vendorgate-Session": localStorage.getItem("vendorgate.session") };
    const send = async (extra) => (await fetch("/v1/vendors/acme/kill", { method: "POST", headers: { ...headers, ...extra }, body: '{"reason":"x"}' })).status;
    return [await send({}), await send({ "X-Vendorgate-Session": "" })];
  });
  check(asked[0] === 403 && asked[1] === 401, "the server decides, and the cookie alone is nothing");
  await page.context().close();
}

/** As many vendors as a large company has, made up here: only what is on the screen exists. */
async function many() {
  const page = await browser.person({ state: states.admin });
  const count = 5_000;
  const id = (place) => `vendor-${String(place).padStart(4, "0")}`;
  await page.route("**/v1/vendors", (route) => route.fulfill({ json: { vendors: Array.from({ length: count }, (_, place) => ({
    vendor: id(place), name: `Vendor ${place}`, owner: "o@example.com", state: "live", kills: [], persisted: true, days_left: 100 + (place % 300),
    traffic: [{ direction: "ingress", requests: place, denials: place % 5, in_flight: 0, records: 0, bytes: 0 }], limits: [{ limit: "records", value: "1", source: "contract", remaining: (place % 100) / 100 }],
  })) } }));
  await page.goto(`${address}/#/fleet`);
  await until("5,000 vendors are there", async () => (await page.getByRole("table", { name: "Vendors" }).getAttribute("aria-rowcount")) === String(count + 1));
  check((await page.locator(".rows .row").count()) < 60, "and only those on the screen exist");
  const slowest = await page.evaluate(async () => {
    let [worst, before] = [0, performance.now()];
    for (let step = 0; step < 60; step += 1) {
      scrollTo(0, (document.documentElement.scrollHeight * step) / 60);
      await new Promise((done) => requestAnimationFrame(done));
      worst = Math.max(worst, performance.now() - before);
      before = performance.now();
    }
    scrollTo(0, document.documentElement.scrollHeight);
    return worst;
  });
  console.log(`  the slowest of 60 frames through 5,000 vendors took ${Math.round(slowest)} ms`);
  await until("the last one is at the end", async () => (await page.locator(".rows .row").count()) > 3 && (await page.locator('[aria-rowindex="5001"]').count()) === 1);
  await page.getByRole("searchbox").fill("vendor-4711");
  await until("one is found among them", async () => (await page.locator(".rows .row").count()) === 1);
  await page.context().close();
}

async function looks() {
  for (const width of WIDTHS) {
    for (const theme of THEMES) {
      const name = (view) => `${view}-${width}-${theme}`;
      const size = { width, height: width < 500 ? 844 : 1000, theme, strict: false };
      const stranger = await browser.person(size);
      await stranger.goto(`${address}/`);
      await stranger.getByLabel("Operator's token").waitFor();
      await look(stranger, name("login"), shots);
      await stranger.context().close();
      const page = await browser.person({ ...size, state: states.admin });
      await page.goto(`${address}/#/fleet`);
      await row(page, "acme").waitFor();
      await until("figures are live", () => page.locator(".live-sign:not(.late)").count());
      await page.waitForTimeout(width === 1600 ? 9_000 : 3_000);
      await look(page, name("fleet"), shots);
      await goto(page, "vendor/acme");
      await page.locator(".card.history li").first().waitFor();
      await page.locator(".card.denials tr").nth(1).waitFor();
      await page.waitForTimeout(2_000);
      await look(page, name("vendor"), shots, { full: true });
      await page.getByRole("button", { name: "Kill…" }).click();
      await dialog(page).getByText("would be cut").waitFor();
      await look(page, name("kill"), shots);
      await page.keyboard.press("Escape");
      for (const [view, ready] of [["journey", ".stage"], ["exposure/acme?since=24h", ".notice"], ["activity", ".checks li"]]) {
        await goto(page, view);
        await page.locator(ready).first().waitFor();
        await page.waitForTimeout(500);
        await look(page, name(view.split("/")[0]), shots, { full: true });
      }
      await page.context().close();
    }
  }
}

try {
  await login();
  const admin = await log_in(await browser.person(), "admin");
  const operator = await log_in(await browser.person(), "operator");
  const second = await log_in(await browser.person({ width: 900 }), "second");
  await live(admin);
  await kill(operator, admin);
  await admin.screenshot({ path: path.join(shots, "fleet-killed.png") });
  await unheard(operator);
  await restore(admin, second);
  await others(admin);
  await policy(admin);
  await hidden(admin);
  await viewer();
  await many();
  await looks();
  check(faults.length === 0, `nothing went wrong on the way: ${faults.join("\n")}`);
} catch (error) {
  console.error(error.stack);
  for (const fault of faults) console.error(fault);
  process.exitCode = 1;
} finally {
  await browser.close();
}
