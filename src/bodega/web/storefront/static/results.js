/**
 * What did the shop find? Results with facets, chips, sort and "show more" (`more.js`); what was searched instead; and a page that still
 * offers something when nothing was found. The address holds the whole state, so that back, reload and links work.
 */
import { facetValues, offers, recommend, search } from "./api.js";
import { announce, facts, h, icon } from "./dom.js";
import { card, ghosts } from "./card.js";
import { asFilters, chips, facetPanel, readChoices, writeChoices } from "./facets.js";
import { record } from "./events.js";
import { departments } from "./home.js";
import { more, MOST, STEP } from "./more.js";
import { photoChip, photoOf } from "./photo.js";
import { drawing } from "./picture.js";
import { recentRail } from "./rails.js";
import { reading, related, spoken } from "./reading.js";
import { shelf } from "./shelf.js";
import { addSearch, dismissed } from "./state.js";
import { t } from "./words.js";

/** @typedef {import("./facets.js").Choices} Choices */

/** As the shop calls them, and as they read. */
const SORTS = { relevance: "relevance", price_up: "price_up", price_down: "price_down", newest: "newest", "-rating": "rating" };
let recorded = "";
/** Redirects followed since a page was shown: rules may send in circles. */
let leaps = 0;
const MOST_LEAPS = 3;

/** @param {HTMLElement} main @param {URL} url @param {(url: string, how?: {replace?: boolean, keep?: boolean}) => void} go */
export async function results(main, url, go) {
  const params = url.searchParams;
  const query = (params.get("q") || "").trim();
  const { sorts } = await offers();
  const sort = sorts.includes(params.get("sort") || "") ? String(params.get("sort")) : "relevance";
  const exact = params.get("exact") === "1";
  const choices = readChoices(params);
  const wanted = Math.min(MOST, Math.max(STEP, Number(params.get("n")) || STEP));
  const change = (/** @type {Choices} */ next) => {
    const to = writeChoices(new URLSearchParams(params), next);
    to.delete("n");
    go(`/search?${to}`, { keep: true });
  };
  if (!main.querySelector(".results")) main.replaceChildren(h("div", { class: "wrap results" }, h("div", {}), h("div", { class: "grid" }, ghosts(10))));
  main.setAttribute("aria-busy", "true");
  // `*` lets the shop pick the attributes that divide these products best.
  const fields = [...new Set([...facts.facets, ...Object.keys(choices), "*"])];
  const photo = photoOf(params.get("photo") || "");
  const asked = { query, filters: asFilters(choices), ...(exact ? { verbatim: true } : {}), ...(photo ? { image: photo.image } : {}) };
  const ask = (/** @type {any} */ more) => search({ ...asked, ...(sort.startsWith("-") ? { sort_by: sort } : { sort }), ...more });
  const find = (/** @type {string} */ field, /** @type {string} */ text, /** @type {AbortSignal} */ signal) => facetValues({ ...asked, field, text }, signal);
  const page = await ask({ k: wanted, facets: fields }).finally(() => main.removeAttribute("aria-busy"));
  if (query && recorded !== query) {
    recorded = query;
    addSearch(query);
    record({ type: "search", query });
  }
  if (page.redirect && !exact && leaps < MOST_LEAPS && leave(page.redirect, url, go)) return query;
  leaps = 0;
  draw(main, { page, query, exact, sort, sorts, choices, params, change, go, ask, find, photo });
  return query || (photo ? t("photo.results") : "") || titleOf(choices) || t("all_products");
}

/** Pages that are drawn here; any other address is loaded. */
const OURS = /^\/($|search$|basket$|privacy$|item\/)/;

/** A rule of the shop sends this query elsewhere: a path of this host, or a whole http(s) address; nothing else is followed.
 * Says whether it went. @param {string} to @param {URL} from @param {(url: string, how?: any) => void} go */
function leave(to, from, go) {
  let there;
  try {
    there = new URL(to, location.origin);
  } catch {
    return false;
  }
  const path = /^\/(?![/\\])/.test(to) && there.origin === location.origin;
  if (!path && !/^https?:\/\/[^/\\]/i.test(to)) return false;
  if (there.href === from.href) return false;
  leaps++;
  if (path && OURS.test(there.pathname)) go(there.pathname + there.search, { replace: true });
  else location.replace(there.href);
  return true;
}

/** @param {Choices} choices */
const titleOf = (choices) => (Object.keys(choices).length === 1 && choices.category?.values.length === 1 ? String(choices.category.values[0].split(" > ").at(-1)) : "");

/** What had the focus, to give it back after everything was drawn anew. @param {HTMLElement} main */
function focused(main) {
  const at = /** @type {any} */ (document.activeElement);
  const inside = at && at !== document.body && (main.contains(at) || opened?.contains(at));
  return { inside, key: inside ? at.dataset.key : "" };
}

/** @param {HTMLElement} main @param {any} state */
function draw(main, { page, query, exact, sort, sorts, choices, params, change, go, ask, find, photo }) {
  const useful = page.facets.filter((/** @type {any} */ facet) => choices[facet.field] || (facet.values?.length || 0) > 1 || (facet.low != null && facet.low < facet.high));
  const panel = h("div", { class: "facets", role: "region", "aria-label": t("filters") }, facetPanel(useful, choices, change, find));
  const title = photo ? t(query ? "photo.results_and" : "photo.results", { query }) : query ? t("results_for", { query }) : titleOf(choices) || t("all_products");
  const resort = (/** @type {any} */ event) => { const to = new URLSearchParams(params); to.set("sort", event.target.value); to.delete("n"); go(`/search?${to}`, { keep: true }); };
  const sorter = h("label", { class: "sort" }, h("span", {}, t("sort")), h("select", { "aria-label": t("sort"), "data-key": "sort", onchange: resort },
    Object.entries(SORTS).filter(([name]) => sorts.includes(name)).map(([name, said]) => h("option", { value: name, selected: name === sort }, t(`sort.${said}`)))));
  const chosen = asFilters(choices).length;
  const read = { page, query, exact, params, go };
  const body = h("div", { class: "found" },
    page.hits.length && h("div", { class: "results-head" }, h("div", {}, h("h1", { tabindex: "-1" }, title), h("p", { class: "soft", id: "total" }, t("total", { n: page.total }))),
      h("div", { class: "controls" }, useful.length ? h("button", { class: "chip filter-button", type: "button", "aria-haspopup": "dialog", onclick: () => drawer(panel, page.total) }, icon("filter"), chosen ? t("filters_n", { n: chosen }) : t("filters")) : null, sorter)),
    photoChip(params, query),
    reading(read),
    chips(choices, change),
    page.hits.length ? list(page, query, params, ask) : nothing(query, chosen, change),
    related(page));
  const before = focused(main), scrolled = (opened || main).querySelector(".facets")?.scrollTop || 0;
  main.replaceChildren(h("div", { class: useful.length ? "wrap results" : "wrap page-title" }, useful.length ? panel : null, body), page.hits.length ? "" : rescue(), seen());
  if (opened) refill(panel, page.total);
  panel.scrollTop = scrolled;
  if (before.inside && !before.key) main.querySelector("h1")?.focus({ preventScroll: true });
  else if (before.inside) [...(opened || main).querySelectorAll("[data-key]")].find((el) => el.dataset.key === before.key)?.focus({ preventScroll: true });
  announce(spoken(read));
}

/** @param {any} page @param {string} query @param {URLSearchParams} params @param {(more: any) => Promise<any>} ask */
function list(page, query, params, ask) {
  const out = new Set(dismissed());
  const draw = (/** @type {any} */ from) => from.hits.filter((/** @type {any} */ hit) => !out.has(hit.id)).map((/** @type {any} */ hit) => card(hit, { place: from.place || "search", request_id: from.request_id, query, heading: "h2" }));
  const grid = h("div", { class: "grid", id: "results", role: "group", "aria-label": t("results") }, draw(page));
  return [grid, more({ page, params, ask, draw, grid })];
}

/** @param {string} query @param {number} chosen @param {(choices: Choices) => void} change */
function nothing(query, chosen, change) {
  return h("div", { class: "empty" }, drawing("groceries", { hue: 70, ground: 75, accent: 24 }),
    h("h1", { tabindex: "-1" }, query ? t("nothing_for", { query }) : t("nothing")), h("p", {}, t(chosen ? "nothing_filters" : "nothing_more")),
    chosen ? h("button", { class: "button", type: "button", onclick: () => change({}) }, t("clear_all")) : null);
}

/** What was looked at before, below whatever was found. */
function seen() {
  const rail = recentRail();
  rail.load();
  return h("div", { class: "wrap" }, rail);
}

/** Something to go on with. */
function rescue() {
  const popular = shelf({ name: "popular", title: t("list.instead"), note: () => t("note.popular"), ask: () => recommend({ place: "popular", k: 12 }) });
  popular.load();
  return h("div", { class: "wrap" }, departments(), popular);
}

/** The drawer that is open, if one is. @type {any} */
let opened = null;

/** The facets on a phone: a modal drawer that stays open while several are chosen, and gives them back when it closes.
 * @param {HTMLElement} panel @param {number} total */
function drawer(panel, total) {
  const dialog = h("dialog", { class: "drawer", "aria-label": t("filters") },
    h("div", { class: "head" }, h("h2", {}, t("filters")), h("button", { class: "round", type: "button", "aria-label": t("close"), onclick: () => dialog.close() }, icon("x"))),
    panel, h("div", { class: "foot-row" }, h("button", { class: "button", type: "button", onclick: () => dialog.close() }, t("show_results", { n: total }))));
  const close = () => dialog.close();
  dialog.addEventListener("close", () => {
    opened = null;
    removeEventListener("popstate", close);
    document.querySelector(".results")?.prepend(dialog.querySelector(".facets") || "");
    dialog.remove();
    document.querySelector(".filter-button")?.focus({ preventScroll: true });
  });
  dialog.addEventListener("click", (/** @type {Event} */ event) => event.target === dialog && dialog.close());
  addEventListener("popstate", close);
  opened = dialog;
  document.body.append(dialog);
  dialog.showModal();
}

/** The open drawer with what the newest answer says. @param {HTMLElement} panel @param {number} total */
function refill(panel, total) {
  opened.querySelector(".facets").replaceWith(panel);
  opened.querySelector(".foot-row .button").textContent = t("show_results", { n: total });
}
