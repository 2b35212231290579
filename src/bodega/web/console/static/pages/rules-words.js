/**
 * What does a rule say, and is it in force? Rules in words, their state at this moment, and which of them want the same
 * place of the same page.
 */
import { date, number } from "../lib/format.js";
import { maybe, t } from "../lib/words.js";
import { titleOf } from "./steer-parts.js";

/** @typedef {import("./steer-parts.js").Rule} Rule */

export const KINDS = ["pin", "boost", "bury", "hide", "filter", "redirect", "banner", "replace", "synonyms"];
export const MATCHES = ["exact", "contains", "starts"];
export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
export const PLACES = ["search", "category", "home", "similar", "together", "basket", "popular", "trending", "repeat", "rare", "recent", "*"];
export const STATES = ["running", "scheduled", "ended", "off"];

/** @param {Rule} rule @param {number} [now] @returns {"running" | "scheduled" | "ended" | "off"} */
export function stateOf(rule, now = Date.now()) {
  if (rule.enabled === false) return "off";
  const { start, end } = rule.when || {};
  if (end && Date.parse(end) <= now) return "ended";
  return start && Date.parse(start) > now ? "scheduled" : "running";
}

/** @type {Record<string, "good" | "info" | "warn" | "">} */
export const TONES = { running: "good", scheduled: "info", ended: "", off: "" };

/** @param {any} filter */
export const filterWords = (filter) => `${filter.field}: ${(filter.values || []).join(", ") || [filter.low != null ? `≥ ${number(filter.low)}` : "", filter.high != null ? `≤ ${number(filter.high)}` : ""].filter(Boolean).join(" ")}`;

/** @param {any} action */
const aims = (action) => [...(action.items || []).map((/** @type {string} */ id) => titleOf(id)), ...(action.filters || []).map(filterWords)].join(", ");

/** One action in words. @param {any} action */
export function actionWords(action) {
  const values = { item: titleOf(action.item || ""), position: action.position, aims: aims(action), factor: action.factor ?? 2, url: action.url, text: action.text || action.image, by: action.by, words: Array.isArray(action.words) ? action.words.join(action.one_way ? " → " : " = ") : action.words };
  return t(action.do === "replace" && !action.words ? "rules.do_replace_all" : `rules.do_${action.do}`, values);
}

/** When a rule applies, in words. @param {Rule} rule */
export function whenWords(rule) {
  const when = rule.when || {};
  const parts = [
    ...(when.queries?.length ? [when.queries.map((/** @type {any} */ each) => t(`rules.query_${each.match || "exact"}`, { text: each.text })).join(t("rules.or"))] : []),
    ...(when.categories?.length ? [t("rules.on_category", { paths: when.categories.join(", ") })] : []),
    ...(when.places?.length ? [t("rules.on_places", { places: when.places.map((/** @type {string} */ each) => maybe(`rules.place_${each}`, each)).join(", ") })] : []),
    ...(when.segments?.length ? [when.segments.map(segmentWords).join(t("rules.or"))] : []),
    ...(when.languages?.length ? [when.languages.join(", ")] : []),
    ...(when.weekdays?.length ? [when.weekdays.map((/** @type {string} */ each) => t(`rules.day_${each}`)).join(", ")] : []),
    ...(when.start ? [t("rules.from", { time: date(when.start) })] : []),
    ...(when.end ? [t("rules.until", { time: date(when.end) })] : []),
  ];
  return parts.join("; ") || t("rules.always");
}

/** @param {any} segment */
export const segmentWords = (segment) => (segment.kind === "likes" ? t("rules.segment_is_likes", { field: segment.field, value: segment.value }) : segment.kind === "named" ? t("rules.segment_is_named", { name: segment.name }) : t(`rules.segment_${segment.kind}`));

/** @param {Rule} rule */
export const thenWords = (rule) => (rule.then || []).map(actionWords).join("; ");

/** Do two rules ever speak of the same page? Compared by what is written, not by what it means. @param {Rule} one @param {Rule} other */
function meet(one, other) {
  const texts = (/** @type {Rule} */ rule) => (rule.when?.queries || []).map((/** @type {any} */ each) => each.text.trim().toLowerCase());
  const paths = (/** @type {Rule} */ rule) => rule.when?.categories || [];
  const a = texts(one), b = texts(other);
  if (a.length || b.length) return a.some((/** @type {string} */ text) => b.includes(text));
  return paths(one).length && paths(other).length ? paths(one).some((/** @type {string} */ path) => paths(other).includes(path)) : !paths(one).length && !paths(other).length;
}

/** What two actions both want. @param {any} a @param {any} b */
function clash(a, b) {
  if (a.do === "pin" && b.do === "pin" && (a.position === b.position || a.item === b.item)) return a.item === b.item && a.position === b.position ? "" : "pin";
  if (a.do === "redirect" && b.do === "redirect" && a.url !== b.url) return "redirect";
  if (a.do === "replace" && b.do === "replace" && !a.words && !b.words && a.by !== b.by) return "replace";
  const named = (/** @type {any} */ each) => (each.do === "pin" ? [each.item] : each.items || []);
  const raises = ["pin", "boost"], lowers = ["hide", "bury"];
  if ((raises.includes(a.do) && lowers.includes(b.do)) || (lowers.includes(a.do) && raises.includes(b.do))) return named(a).some((/** @type {string} */ id) => named(b).includes(id)) ? "opposite" : "";
  return "";
}

/** {rule id: [{with: the other rule, over: pin | redirect | replace | opposite}]} of the rules that are (or will be) in force.
 * @param {Rule[]} rules @returns {Map<string, {with: Rule, over: string}[]>} */
export function conflicts(rules) {
  /** @type {Map<string, {with: Rule, over: string}[]>} */
  const found = new Map();
  const live = rules.filter((rule) => ["running", "scheduled"].includes(stateOf(rule)));
  const note = (/** @type {Rule} */ rule, /** @type {Rule} */ other, /** @type {string} */ over) => found.set(rule.id || "", [...(found.get(rule.id || "") || []), { with: other, over }]);
  for (const [n, one] of live.entries())
    for (const other of live.slice(n + 1)) {
      if (!meet(one, other)) continue;
      const over = one.then.flatMap((a) => other.then.map((b) => clash(a, b))).find(Boolean);
      if (over) { note(one, other, over); note(other, one, over); }
    }
  return found;
}

/** Lines of a rule as JSON, keys in one order: what a diff compares. @param {Rule | null} rule */
export function lines(rule) {
  if (!rule) return [];
  const { version, updated, author, when, ...rest } = rule;
  const kept = when && Object.keys(when).length ? { ...rest, when } : rest;
  const ordered = (/** @type {any} */ value) => (Array.isArray(value) ? value.map(ordered) : value && typeof value === "object" ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, ordered(value[key])])) : value);
  return JSON.stringify(ordered(kept), null, 2).split("\n");
}

/** What changed between two texts, line by line (longest common subsequence). @param {string[]} before @param {string[]} after
 * @returns {{mark: " " | "+" | "-", text: string}[]} */
export function diff(before, after) {
  const n = before.length, m = after.length;
  const most = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
  for (let i = n - 1; i >= 0; i--) for (let j = m - 1; j >= 0; j--) most[i][j] = before[i] === after[j] ? most[i + 1][j + 1] + 1 : Math.max(most[i + 1][j], most[i][j + 1]);
  /** @type {{mark: " " | "+" | "-", text: string}[]} */
  const out = [];
  let i = 0, j = 0;
  while (i < n || j < m) {
    if (i < n && j < m && before[i] === after[j]) { out.push({ mark: " ", text: before[i] }); i++; j++; }
    else if (j < m && (i === n || most[i][j + 1] > most[i + 1][j])) out.push({ mark: "+", text: after[j++] });
    else out.push({ mark: "-", text: before[i++] });
  }
  return out;
}
