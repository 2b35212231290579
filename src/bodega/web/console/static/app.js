/**
 * Who is there, and where are we? Signs in, draws the frame (navigation, crumbs, status), and gives each page its sheet.
 * A page that fails shows its error in its own sheet; the frame stays. Addresses are real: every page, tab and filter can
 * be linked, and going back works.
 */
import { get, problem, send } from "./lib/api.js";
import { announce, byId, facts, h } from "./lib/dom.js";
import { listen, silence } from "./lib/live.js";
import { waiting } from "./lib/parts.js";
import { trust } from "./lib/trust.js";
import { t } from "./lib/words.js";
import { navigation } from "./lib/navigation.js";
import { PAGES } from "./pages.js";
import { enter, signIn, takeTicket } from "./lib/signin.js";

const BASE = "/console/";
const main = byId("main");
let turn = 0;
/** @type {void | (() => void)} */
let stop;
let drawn = "";

/** @typedef {{replace?: boolean, quiet?: boolean}} Manner `quiet`: only the address changes, nothing is drawn again */
/** @typedef {{page: string, params: URLSearchParams, go: (changes: Record<string, any>, how?: Manner) => void, to: (page: string, params?: Record<string, any>) => void,
 *  link: (changes: Record<string, any>, page?: string) => string, again: () => void}} Route */

/** The page of the present address. */
function here() {
  const path = location.pathname.slice(BASE.length).split("/")[0];
  return PAGES.find((each) => each.path === path) || (path ? null : PAGES[0]);
}

/** An address with some parameters changed; null, "" and false leave one out. @param {Record<string, any>} changes @param {string} [page] */
function link(changes, page) {
  const params = page ? new URLSearchParams() : new URLSearchParams(location.search);
  params.delete("lang");
  for (const [name, value] of Object.entries(changes)) {
    params.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) if (each != null && each !== "" && each !== false) params.append(name, String(each));
  }
  const path = BASE + (page || here()?.path || "today");
  return String(params) ? `${path}?${params}` : path;
}

/** @param {string} to @param {Manner} [how] */
function visit(to, { replace = false, quiet = false } = {}) {
  history[replace ? "replaceState" : "pushState"]({}, "", to);
  if (!quiet) show();
}

/** @param {string} page @returns {Route} */
const routeOf = (page) => ({
  page,
  params: new URLSearchParams(location.search),
  go: (changes, how) => visit(link(changes), how),
  to: (other, params = {}) => visit(link(params, other)),
  link,
  again: () => show(),
});

/** Draw the page of the present address. */
async function show() {
  const mine = ++turn;
  stop?.();
  stop = undefined;
  const page = here();
  const same = drawn === page?.path;
  const focused = same ? document.activeElement?.id : "";
  const scroll = same ? scrollY : 0;
  drawn = page?.path || "";
  const sheet = h("div", { class: "sheet" }, waiting());
  sheet.style.minHeight = same ? `${main.firstElementChild?.clientHeight || 0}px` : "";
  main.replaceChildren(sheet);
  main.removeAttribute("data-ready");
  navigation.mark(page, link);
  if (!page) {
    sheet.replaceChildren(h("div", { class: "empty" }, h("h1", {}, t("frame.nowhere")), h("p", {}, h("a", { href: `${BASE}today` }, t("frame.nowhere_next")))));
    main.dataset.ready = String(mine);
    return;
  }
  document.title = `${t(page.title)} · ${facts.shop_name}`;
  try {
    const module = await import(page.module);
    if (mine !== turn) return;
    const view = h("div", { class: "view" });
    sheet.append(view);
    // What waits is taken away when the page has drawn something of its own.
    const first = new MutationObserver(() => (sheet.querySelector(":scope > .waiting")?.remove(), first.disconnect()));
    first.observe(view, { childList: true });
    const left = await module.draw(view, routeOf(page.path));
    if (mine !== turn) {
      if (typeof left === "function") left();
      return;
    }
    stop = typeof left === "function" ? left : undefined;
  } catch (error) {
    if (mine !== turn) return;
    problem(sheet, error, () => show());
  }
  sheet.querySelector(":scope > .waiting")?.remove();
  sheet.style.minHeight = "";
  if (focused) byId(focused)?.focus({ preventScroll: true });
  else if (mine > 1) main.querySelector("h1")?.focus({ preventScroll: true });
  scrollTo(0, scroll);
  if (!same && mine > 1) announce(document.title);
  main.dataset.ready = String(mine);
}

document.addEventListener("click", (event) => {
  const at = /** @type {Element} */ (event.target).closest?.("a");
  if (!at || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (at.origin !== location.origin || at.target || at.download || at.hash || at.id === "language" || !at.pathname.startsWith(BASE)) return;
  event.preventDefault();
  navigation.close();
  visit(at.pathname + at.search);
});
addEventListener("popstate", () => show());
document.addEventListener("signed-out", () => ask());

/** Somebody is here, and may be. @param {{label: string, expires: string}} who */
function welcome(who) {
  document.body.dataset.signed = "in";
  remember(true);
  navigation.draw(who, { visit: (page) => visit(link({}, page)), leave });
  listen();
  show();
}

async function leave() {
  await send("DELETE", "/v1/console/session").catch(() => null);
  ask();
}

/** Ask who is there. */
function ask() {
  turn += 1;
  stop?.();
  stop = undefined;
  drawn = "";
  silence();
  remember(false);
  document.body.dataset.signed = "out";
  navigation.empty();
  main.replaceChildren(signIn(welcome));
  main.dataset.ready = String(turn);
}

/** Has this browser a session, perhaps? The cookie itself is not for scripts. */
function remembered() {
  try {
    return localStorage.getItem("bodega.console") === "1";
  } catch {
    return true;
  }
}

/** @param {boolean} yes */
function remember(yes) {
  try {
    if (yes) localStorage.setItem("bodega.console", "1");
    else localStorage.removeItem("bodega.console");
  } catch {
    /* asked for next time */
  }
}

async function start() {
  trust();
  navigation.tools();
  const url = new URL(location.href);
  if (url.searchParams.has("lang")) {
    url.searchParams.delete("lang");
    history.replaceState({}, "", url.href);
  }
  main.replaceChildren(h("div", { class: "sheet" }, waiting()));
  const ticket = takeTicket();
  // Somebody who never signed in here is not asked for: the refusal would stand in the browser's console as an error.
  if (!ticket && !remembered()) return ask();
  try {
    welcome(ticket ? await enter(`Ticket ${ticket}`) : await get("/v1/console/session"));
  } catch (error) {
    if (/** @type {any} */ (error).status === 401 || ticket) ask();
    else problem(main, error, start);
    if (ticket) announce(/** @type {any} */ (error).message);
  }
}

start();
