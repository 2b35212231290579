/**
 * What did the shop find? Results with facets, chips, sort and "show more"; what was searched instead; and a page that still
 * offers something when nothing was found. The address holds the whole state, so that back, reload and links work.
 */
import { recommend, search } from "./api.js";
import { announce, facts, h, icon } from "./dom.js";
import { card, ghosts } from "./card.js";
import { asFilters, chips, facetPanel, readChoices, writeChoices } from "./facets.js";
import { record } from "./events.js";
import { departments } from "./home.js";
import { drawing } from "./picture.js";
import { reading, related } from "./reading.js";
import { shelf } from "./shelf.js";
import { addSearch, knownAttributes, setKnownAttributes } from "./state.js";
import { number, t } from "./words.js";

/** @typedef {import("./facets.js").Choices} Choices */

const STEP = 24;
const MOST = 192;
const SORTS = ["relevance", "price_up", "price_down", "newest"];
let recorded = "";

/** Attributes worth a facet: short texts or flags that several products on the page carry. @param {import("./api.js").Hit[]} hits */
function attributesOf(hits) {
  /** @type {Record<string, number>} */
  const seen = {};
  for (const hit of hits)
    for (const [name, value] of Object.entries(hit.document.attributes || {}))
      if (typeof value === "boolean" || (typeof value === "string" && value.length <= 40 && !/^\d+$/.test(value)) || Array.isArray(value)) seen[name] = (seen[name] || 0) + 1;
  return Object.entries(seen).filter(([, n]) => n >= Math.min(3, hits.length)).sort((a, b) => b[1] - a[1]).slice(0, 5).map(([name]) => name);
}

/** @param {HTMLElement} main @param {URL} url @param {(url: string, how?: {replace?: boolean, keep?: boolean}) => void} go */
export async function results(main, url, go) {
  const params = url.searchParams;
  const query = (params.get("q") || "").trim();
  const sort = SORTS.includes(params.get("sort") || "") ? String(params.get("sort")) : "relevance";
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
  const fields = [...new Set([...facts.facets, ...knownAttributes(), ...Object.keys(choices)])];
  const ask = (/** @type {any} */ more) => search({ query, filters: asFilters(choices), sort, ...(exact ? { verbatim: true } : {}), ...more });
  const page = await ask({ k: wanted, facets: fields }).finally(() => main.removeAttribute("aria-busy"));
  if (query && recorded !== query) {
    recorded = query;
    addSearch(query);
    record({ type: "search", query });
  }
  const missing = attributesOf(page.hits).filter((name) => !fields.includes(name));
  if (missing.length) {
    setKnownAttributes(attributesOf(page.hits));
    const more = await ask({ k: 1, facets: missing }).catch(() => null);
    page.facets.push(...(more?.facets || []));
  }
  if (page.redirect && !exact) return leave(page.redirect, query, go);
  draw(main, { page, query, exact, sort, choices, params, change, go, ask });
  return query || titleOf(choices) || t("all_products");
}

/** A rule of the shop sends this query elsewhere: a page of the shop, or another address. @param {string} to @param {string} query @param {(url: string, how?: any) => void} go */
function leave(to, query, go) {
  if (to.startsWith("/") && !to.startsWith("//")) go(to, { replace: true });
  else location.assign(to);
  return query;
}

/** @param {Choices} choices */
const titleOf = (choices) => (Object.keys(choices).length === 1 && choices.category?.values.length === 1 ? String(choices.category.values[0].split(" > ").at(-1)) : "");

/** @param {HTMLElement} main @param {any} state */
function draw(main, { page, query, exact, sort, choices, params, change, go, ask }) {
  const useful = page.facets.filter((/** @type {any} */ facet) => choices[facet.field] || (facet.values?.length || 0) > 1 || (facet.low != null && facet.low < facet.high));
  const panel = h("div", { class: "facets", role: "region", "aria-label": t("filters") }, facetPanel(useful, choices, change));
  const title = query ? t("results_for", { query }) : titleOf(choices) || t("all_products");
  const sorter = h("label", { class: "sort" }, h("span", {}, t("sort")), h("select", { "aria-label": t("sort"), onchange: (/** @type {any} */ event) => { const to = new URLSearchParams(params); to.set("sort", event.target.value); to.delete("n"); go(`/search?${to}`, { keep: true }); } },
    SORTS.map((name) => h("option", { value: name, selected: name === sort }, t(`sort.${name}`)))));
  const chosen = asFilters(choices).length;
  const body = h("div", { class: "found" },
    page.hits.length && h("div", { class: "results-head" }, h("div", {}, h("h1", { tabindex: "-1" }, title), h("p", { class: "soft", id: "total" }, t("total", { n: page.total }))),
      h("div", { class: "controls" }, useful.length ? h("button", { class: "chip filter-button", type: "button", "aria-haspopup": "dialog", onclick: () => drawer(panel, page.total) }, icon("filter"), chosen ? t("filters_n", { n: chosen }) : t("filters")) : null, sorter)),
    reading(page, query, exact, go),
    chips(choices, change),
    page.hits.length ? list(page, query, params, ask) : nothing(query, chosen, change),
    related(page, go));
  const keep = main.querySelector(".facets")?.scrollTop || 0;
  main.replaceChildren(h("div", { class: useful.length ? "wrap results" : "wrap page-title" }, useful.length ? panel : null, body), page.hits.length ? "" : rescue());
  panel.scrollTop = keep;
  announce(t("total", { n: page.total }));
}

/** @param {any} page @param {string} query @param {URLSearchParams} params @param {(more: any) => Promise<any>} ask */
function list(page, query, params, ask) {
  const draw = (/** @type {any} */ from) => from.hits.map((/** @type {any} */ hit) => card(hit, { place: from.place || "search", request_id: from.request_id, query, heading: "h2" }));
  const grid = h("div", { class: "grid", id: "results", role: "group", "aria-label": t("results") }, draw(page));
  const more = h("div", { class: "more" });
  const shown = () => grid.children.length;
  const footer = () => {
    if (shown() >= page.total) return more.replaceChildren(page.total > STEP ? t("shown_all", { n: shown() }) : "");
    const bar = h("i", {});
    bar.style.setProperty("--share", String(shown() / page.total));
    const button = h("button", { class: "button plain", type: "button", onclick: async () => {
      button.disabled = true;
      const at = shown();
      try {
        const next = await ask({ k: STEP, offset: at });
        grid.append(...draw(next));
        if (!next.hits.length) page.total = at;
      } catch {
        button.disabled = false;
        return announce(t("list_failed"));
      }
      params.set("n", String(shown()));
      history.replaceState(history.state, "", `/search?${params}`);
      footer();
      grid.children[at]?.querySelector("a")?.focus();
    } }, t("show_more"));
    more.replaceChildren(h("span", {}, t("shown_of", { shown: number(shown()), total: number(page.total) })), h("span", { class: "meter", "aria-hidden": "true" }, bar), button);
  };
  footer();
  return [grid, more];
}

/** @param {string} query @param {number} chosen @param {(choices: Choices) => void} change */
function nothing(query, chosen, change) {
  return h("div", { class: "empty" }, drawing("groceries", { hue: 70, ground: 75, accent: 24 }),
    h("h1", { tabindex: "-1" }, query ? t("nothing_for", { query }) : t("nothing")), h("p", {}, t(chosen ? "nothing_filters" : "nothing_more")),
    chosen ? h("button", { class: "button", type: "button", onclick: () => change({}) }, t("clear_all")) : null);
}

/** Something to go on with. */
function rescue() {
  const popular = shelf({ name: "popular", title: t("list.instead"), note: () => t("note.popular"), ask: () => recommend({ place: "popular", k: 12 }) });
  popular.load();
  return h("div", { class: "wrap" }, departments(), popular);
}

/** The facets on a phone: a modal drawer that gives them back when it closes. @param {HTMLElement} panel @param {number} total */
function drawer(panel, total) {
  const home = panel.parentElement;
  const dialog = h("dialog", { class: "drawer", "aria-label": t("filters") },
    h("div", { class: "head" }, h("h2", {}, t("filters")), h("button", { class: "round", type: "button", "aria-label": t("close"), onclick: () => dialog.close() }, icon("x"))),
    panel, h("div", { class: "foot-row" }, h("button", { class: "button", type: "button", onclick: () => dialog.close() }, t("show_results", { n: total }))));
  dialog.addEventListener("close", () => { home?.prepend(panel); dialog.remove(); });
  dialog.addEventListener("click", (/** @type {Event} */ event) => event.target === dialog && dialog.close());
  panel.addEventListener("change", () => setTimeout(() => dialog.open && dialog.close()), { once: true });
  panel.addEventListener("submit", () => setTimeout(() => dialog.open && dialog.close()), { once: true });
  document.body.append(dialog);
  dialog.showModal();
}
