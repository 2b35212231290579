/** Where are we? Five addresses, one page each; links inside the shop change the page without loading it again. */
import { byId, facts, h, announce } from "./dom.js";
import { basketPage } from "./basket.js";
import { home } from "./home.js";
import { impersonal } from "./impersonal.js";
import { photoSearch } from "./photo.js";
import { privacyPage } from "./privacy.js";
import { product } from "./product.js";
import { results } from "./results.js";
import { searchBox } from "./search-box.js";
import { basketCount, setUser, user } from "./state.js";
import { t } from "./words.js";
import { youPanel } from "./you.js";

const main = /** @type {HTMLElement} */ (byId("main"));
let turn = 0;
let shown = "";
/** @type {ReturnType<typeof searchBox>} */
let box;

/** @param {URL} url @returns {(main: HTMLElement, url: URL, go: typeof navigate) => Promise<string>} */
function pageFor(url) {
  if (url.pathname === "/search") return results;
  if (url.pathname === "/basket") return basketPage;
  if (url.pathname === "/privacy") return privacyPage;
  return url.pathname.startsWith("/item/") ? product : home;
}

/** @typedef {{scroll?: number, focus?: boolean}} Manner */

/** Draw the page of the present address. @param {Manner} manner */
async function show({ scroll = 0, focus = true } = {}) {
  const mine = ++turn;
  const url = new URL(location.href);
  shown = url.pathname + url.search;
  // A page of its own to draw on: what an earlier, slower page still draws lands nowhere.
  const sheet = pageFor(url) === results && main.firstElementChild?.querySelector(".results") ? main.firstElementChild : h("div", {});
  if (sheet !== main.firstElementChild) main.replaceChildren(sheet);
  box.set(url.pathname === "/search" ? url.searchParams.get("q") || "" : "");
  document.body.dataset.page = url.pathname;
  translateLink(url);
  try {
    const held = document.activeElement;
    const drawing = pageFor(url)(sheet, url, navigate);
    if (focus) scrollTo(0, 0);
    const top = scrollY;
    const title = await drawing;
    if (mine !== turn) return;
    document.title = url.pathname === "/" ? facts.shop_name : `${title} · ${facts.shop_name}`;
    // What comes late takes nothing from who went on meanwhile: typing, with the keyboard inside the page, or scrolling.
    const busy = box.typing() || (document.activeElement !== held && sheet.contains(document.activeElement));
    if (focus && !busy) main.querySelector("h1")?.focus({ preventScroll: true });
    if (scrollY === top) scrollTo(0, scroll);
  } catch (error) {
    if (mine !== turn) return;
    console.info("page:", error);
    sheet.replaceChildren(h("div", { class: "wrap" }, h("div", { class: "empty" }, h("h1", { tabindex: "-1" }, t("failed")), h("p", {}, t("failed_more")), h("button", { class: "button", type: "button", onclick: () => show() }, t("try_again")))));
    announce(t("failed"));
  }
  main.dataset.ready = String(mine);
}

/** Go to an address of the shop. `keep` stays where the visitor is (filters, sort). @param {string} to @param {{replace?: boolean, keep?: boolean}} [how] */
function navigate(to, { replace = false, keep = false } = {}) {
  history.replaceState({ ...history.state, scroll: scrollY }, "");
  history[replace ? "replaceState" : "pushState"]({}, "", to);
  show(keep ? { scroll: Math.min(scrollY, 0), focus: false } : {});
}

/** The language switch keeps the address. @param {URL} url */
function translateLink(url) {
  const link = /** @type {HTMLAnchorElement} */ (byId("language"));
  const to = new URL(url);
  to.searchParams.set("lang", link.lang.slice(0, 2));
  link.href = to.href;
}

function badge() {
  const el = byId("basket-count");
  const n = basketCount();
  if (el.textContent !== String(n) && n) {
    el.classList.remove("bump");
    requestAnimationFrame(() => el.classList.add("bump"));
  }
  el.hidden = !n;
  el.textContent = String(n);
  byId("basket").setAttribute("aria-label", t("basket_named", { n }));
}

document.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest("a");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.hash || link.target || "reload" in link.dataset) return;
  event.preventDefault();
  navigate(link.href);
});
addEventListener("popstate", (event) => {
  // A jump within the page (skip link) is no other page.
  if (location.pathname + location.search !== shown) show({ scroll: event.state?.scroll || 0 });
});
document.addEventListener("state", badge);

/** `?user=` shops as somebody (demonstrations), `?lang=` was for the server: neither stays in the address. */
function arrive() {
  const url = new URL(location.href);
  const as = url.searchParams.get("user");
  if (as != null && as !== user()) setUser(as.slice(0, 200));
  url.searchParams.delete("user");
  url.searchParams.delete("lang");
  if (url.href !== location.href) history.replaceState(history.state, "", url.href);
}

history.scrollRestoration = "manual";
arrive();
box = searchBox(navigate);
photoSearch(navigate);
youPanel(() => show({ scroll: scrollY, focus: false }));
impersonal(() => show({ scroll: scrollY, focus: false }));
badge();
show({ focus: false, scroll: history.state?.scroll || 0 });
