/**
 * How was the question read? What was searched instead, the conditions that were heard in it, what had to be given up, what
 * the shop wants to say: each in words, and each with a way back to what was typed.
 */
import { h, icon, safeUrl } from "./dom.js";
import { fieldName, money, number, t } from "./words.js";

/** @typedef {{kind: string, text: string, start?: number, end?: number, field?: string, values?: string[], low?: number, high?: number, hard?: boolean, excludes?: boolean}} Meaning */
/** @typedef {(url: string, how?: {replace?: boolean, keep?: boolean}) => void} Go */

/** The address of another query. Filters and order stay when `kept` holds them. @param {string} query @param {{exact?: boolean, kept?: URLSearchParams}} [how] */
export function addressOf(query, { exact = false, kept = new URLSearchParams() } = {}) {
  const to = new URLSearchParams(kept);
  for (const name of ["q", "exact", "n"]) to.delete(name);
  const asked = new URLSearchParams({ ...(query ? { q: query } : {}), ...(exact ? { exact: "1" } : {}) });
  return `/search?${[asked, to].map(String).filter(Boolean).join("&")}`;
}

/** The query without the words of one meaning; null when these words do not stand there (a rule may have replaced the query).
 * Positions count characters, not UTF-16 units. @param {string} query @param {Meaning} meaning @returns {string | null} */
export function without(query, meaning) {
  const letters = [...query];
  const { start = 0, end = 0, text = "" } = meaning;
  if (end <= start || letters.slice(start, end).join("").toLowerCase() !== String(text).toLowerCase()) return null;
  letters.splice(start, end - start, " ");
  return letters.join("").replace(/\s+/g, " ").replace(/^[\s,;，、；]+|[\s,;，、；]+$/g, "");
}

/** @param {Meaning} meaning */
function inWords({ kind, text, field, values, low, high, excludes }) {
  if (excludes) return t("heard.not", { what: (values?.length ? values : [text]).join(", ") });
  if (kind !== "price" && field !== "price") return text;
  if (low != null && high != null) return t("range", { low: money(low), high: money(high) });
  if (high != null) return t("range_to", { high: money(high) });
  return low != null ? t("range_from", { low: money(low) }) : text;
}

/** @param {string} step */
function givenUp(step) {
  const words = /^words: (\d+) of (\d+)$/.exec(step);
  if (words) return t("relaxed.words", { n: number(+words[1]), all: number(+words[2]) });
  if (step.startsWith("photo: ")) return t("relaxed.photo");
  if (step === "words: by meaning only") return t("relaxed.meaning");
  if (step.startsWith("words: ")) return t("relaxed.rewritten", { query: step.slice(7) });
  return t("relaxed.condition", { name: fieldName(step) });
}

/** A link that the shop's own router follows. @param {string} to @param {string} text @param {string} [kind] */
const link = (to, text, kind = "link") => h("a", { href: to, class: kind }, text);

/** What the shop says here; an address that is not http(s) is not offered. @param {any} banner */
function bannerOf({ text, url, image }) {
  const to = url && safeUrl(url), from = image && safeUrl(image);
  const picture = from ? h("img", { src: from, alt: "", loading: "lazy", onerror: (/** @type {any} */ event) => event.target.remove() }) : null;
  return h("p", { class: "notice banner", role: "note", "aria-label": t("banner") }, picture, to ? h("a", { href: to }, text, icon("right")) : h("span", {}, text));
}

/** @typedef {{page: any, query: string, exact: boolean, params: URLSearchParams, go: Go}} Read */

/** @param {Read} read @returns {any[]} */
export function reading({ page, query, exact, params: kept, go }) {
  const corrected = page.corrected && page.corrected !== query;
  const heard = (page.understood || []).filter((/** @type {Meaning} */ each) => each.hard);
  const steps = page.relaxed || [];
  const chip = (/** @type {Meaning} */ meaning) => {
    const rest = without(query, meaning), name = inWords(meaning);
    if (rest == null) return h("span", { class: "chip still" }, name);
    return h("button", { class: "chip", type: "button", "aria-label": t("heard.remove", { name }), onclick: () => go(addressOf(rest, { kept })) }, name, icon("x"));
  };
  return [
    (page.banners || []).map(bannerOf),
    corrected ? h("p", { class: "notice", id: "corrected" }, t("searched_instead", { query }), " ", h("strong", {}, page.corrected), t("stop"), " ", link(addressOf(query, { exact: true, kept }), t("search_exactly", { query }))) : null,
    exact ? h("p", { class: "notice", id: "exact" }, t("searched_exactly", { query }), " ", link(addressOf(query, { kept }), t("search_freely"))) : null,
    steps.length ? h("p", { class: "notice", id: "relaxed" }, steps.map(givenUp).join(" ")) : null,
    heard.length ? h("div", { class: "chips", id: "heard", role: "group", "aria-label": t("heard") }, h("span", { class: "soft", "aria-hidden": "true" }, t("heard")), heard.map(chip)) : null,
  ];
}

/** The same for people who listen: what changed about their question, before how many there are. @param {Read} read */
export function spoken({ page, query, exact }) {
  return [
    page.corrected && page.corrected !== query ? `${t("searched_instead", { query })} ${page.corrected}${t("stop")}` : "",
    exact ? t("searched_exactly", { query }) : "",
    ...(page.relaxed || []).map(givenUp),
    t("total", { n: page.total }),
  ].filter(Boolean).join(" ");
}

/** Other questions that people ask after this one. @param {any} page */
export function related(page) {
  const queries = page.related || [];
  if (!queries.length) return null;
  return h("nav", { class: "chips related", id: "related", "aria-label": t("related") }, h("span", { class: "soft", "aria-hidden": "true" }, t("related")),
    queries.map((/** @type {string} */ query) => h("a", { href: addressOf(query), class: "chip" }, icon("search"), query)));
}
