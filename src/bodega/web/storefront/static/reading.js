/**
 * How was the question read? What was searched instead, the conditions that were heard in it, what had to be given up, what
 * the shop wants to say: each in words, and each with a way back to what was typed.
 */
import { h, icon } from "./dom.js";
import { money, number, t } from "./words.js";

/** @typedef {{kind: string, text: string, start?: number, end?: number, field?: string, values?: string[], low?: number, high?: number, hard?: boolean, excludes?: boolean}} Meaning */
/** @typedef {(url: string, how?: {replace?: boolean, keep?: boolean}) => void} Go */

/** The address of another query; filters stay behind, they belong to the old one. @param {string} query @param {boolean} [exact] */
export const addressOf = (query, exact) => `/search?${new URLSearchParams({ q: query, ...(exact ? { exact: "1" } : {}) })}`;

/** The query without the words of one meaning; positions count characters, not UTF-16 units. @param {string} query @param {Meaning} meaning */
export function without(query, meaning) {
  const letters = [...query];
  letters.splice(meaning.start || 0, (meaning.end || 0) - (meaning.start || 0));
  return letters.join("").replace(/\s+/g, " ").trim();
}

/** @param {Meaning} meaning */
function inWords(meaning) {
  const amount = meaning.kind === "price" ? money : number;
  if (meaning.excludes) return t("heard.not", { what: (meaning.values || [meaning.text]).join(", ") });
  if (meaning.low != null && meaning.high != null) return t("range", { low: amount(meaning.low), high: amount(meaning.high) });
  if (meaning.high != null) return t("range_to", { high: amount(meaning.high) });
  if (meaning.low != null) return t("range_from", { low: amount(meaning.low) });
  return meaning.text;
}

/** @param {string} step */
function givenUp(step) {
  const words = /^words: (\d+) of (\d+)$/.exec(step);
  if (words) return t("relaxed.words", { n: words[1], all: words[2] });
  if (step.startsWith("words: ")) return t("relaxed.rewritten", { query: step.slice(7) });
  return t("relaxed.condition", { name: step });
}

/** A link that the shop's own router follows. @param {string} to @param {string} text @param {Go} go */
const link = (to, text, go) => h("a", { href: to, class: "link", onclick: (/** @type {Event} */ event) => { event.preventDefault(); go(to); } }, text);

/** @param {any} page @param {string} query @param {boolean} exact @param {Go} go @returns {(HTMLElement | null)[]} */
export function reading(page, query, exact, go) {
  const corrected = page.corrected && page.corrected !== query;
  const heard = (page.understood || []).filter((/** @type {Meaning} */ each) => each.hard && (each.end || 0) > (each.start || 0));
  const steps = page.relaxed || [];
  return [
    ...(page.banners || []).map((/** @type {any} */ banner) => h("p", { class: "notice banner", role: "note" }, banner.url ? h("a", { href: banner.url }, banner.text) : banner.text)),
    corrected ? h("p", { class: "notice", id: "corrected" }, t("searched_instead", { query }), " ", h("strong", {}, page.corrected), ". ", link(addressOf(query, true), t("search_exactly", { query }), go)) : null,
    exact ? h("p", { class: "notice", id: "exact" }, t("searched_exactly", { query }), " ", link(addressOf(query), t("search_freely"), go)) : null,
    heard.length ? h("div", { class: "chips", id: "heard", role: "group", "aria-label": t("heard") }, h("span", { class: "soft" }, t("heard")),
      heard.map((/** @type {Meaning} */ meaning) => h("button", { class: "chip", type: "button", "aria-label": t("heard.remove", { name: inWords(meaning) }), onclick: () => go(addressOf(without(query, meaning) || query, !without(query, meaning))) }, inWords(meaning), icon("x")))) : null,
    steps.length ? h("p", { class: "notice", id: "relaxed" }, steps.map(givenUp).join(" ")) : null,
  ];
}

/** Other questions that people ask after this one. @param {any} page @param {Go} go */
export function related(page, go) {
  const queries = page.related || [];
  if (!queries.length) return null;
  return h("div", { class: "chips", id: "related", role: "group", "aria-label": t("related") }, h("span", { class: "soft" }, t("related")),
    queries.map((/** @type {string} */ query) => link(addressOf(query), query, go)));
}
