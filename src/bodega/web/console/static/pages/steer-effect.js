/**
 * What would a rule have done? The measured effect of a draft on the searches of the last weeks: which queries, how many
 * orders move, whether what people chose comes earlier (with 95 % intervals), and an estimate of what it costs.
 */
import { send } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { money, number, percent } from "../lib/format.js";
import { badge } from "../lib/parts.js";
import { t } from "../lib/words.js";

/** @typedef {import("./steer-parts.js").Rule} Rule */

/** @param {Rule} rule @param {string[]} queries @param {AbortSignal} [signal] @returns {Promise<any>} */
export const measure = (rule, queries, signal) => send("POST", "/v1/fixes/preview", { rule: bare(rule), queries }, signal);

/** What the API takes of a rule that was read from it. @param {Rule} rule @returns {Rule} */
export const bare = ({ updated, author, ...rule }) => rule;

/** @param {number} value @param {number} low @param {number} high */
const tone = (value, low, high) => (low > 0 ? "good" : high < 0 ? "bad" : "");

/** @param {string} label @param {any} value @param {any} note @param {string} [kind] */
const figure = (label, value, note, kind = "") => h("div", { class: `figure ${kind}` }, h("span", { class: "soft small" }, label), h("b", {}, value), note ? h("span", { class: "soft small" }, note) : null);

/** @param {number} value @param {(value: number) => string} [write] */
const signed = (value, write = (each) => number(each, 3)) => (value > 0 ? "+" : value < 0 ? "−" : "±") + write(Math.abs(value));

/** The effect in figures and queries. @param {any} effect */
export function effectView(effect) {
  const touched = percent(effect.searches ? effect.touched / effect.searches : 0);
  const { orders } = effect;
  return h("div", { class: "stack effect", id: "effect" },
    h("p", { class: "small" }, verdict(effect)),
    h("div", { class: "effect-figures" },
      figure(t("rules.effect_searches"), number(effect.changed), t("rules.effect_searches_note", { touched: effect.touched, share: touched, days: effect.days })),
      figure(t("rules.effect_orders"), number(orders.up + orders.down), t("rules.effect_orders_note", { up: orders.up, down: orders.down, entered: orders.entered, left: orders.left })),
      ...["mrr", "ndcg@10", "found@10"].filter((name) => effect.measures[name]).map((name) => gain(name, effect.measures[name])),
      expected(effect),
      effect.empty_before || effect.empty_after ? figure(t("rules.effect_empty"), `${number(effect.empty_before)} → ${number(effect.empty_after)}`, t("rules.effect_empty_note"), effect.empty_after < effect.empty_before ? "good" : effect.empty_after > effect.empty_before ? "bad" : "") : null,
      orders.redirected ? figure(t("rules.effect_sent"), number(orders.redirected), t("rules.effect_sent_note"), "bad") : null),
    effect.notes.length ? h("p", { class: "soft small" }, effect.notes.join("; ")) : null,
    effect.rows.length ? queriesOf(effect) : null,
    h("p", { class: "soft small" }, t("rules.effect_how", { days: effect.days })));
}

/** The one sentence. @param {any} effect */
function verdict(effect) {
  if (!effect.touched && !effect.rows.length) return t("rules.effect_none", { days: effect.days });
  const mrr = effect.measures.mrr;
  if (!effect.changed && !effect.rows.some((/** @type {any} */ row) => row.changed)) return [badge(t("rules.verdict_same")), " ", t("rules.verdict_same_long")];
  if (!mrr) return [badge(t("rules.verdict_unknown"), "warn"), " ", t("rules.verdict_unknown_long")];
  const kind = tone(mrr.difference, mrr.low, mrr.high);
  const word = kind === "good" ? "better" : kind === "bad" ? "worse" : "open";
  return [badge(t(`rules.verdict_${word}`), /** @type {any} */ (kind || "warn")), " ", t(`rules.verdict_${word}_long`, { cases: effect.cases })];
}

/** @param {string} name @param {any} m */
function gain(name, m) {
  const share = name === "found@10";
  const write = (/** @type {number} */ v) => (share ? percent(v) : number(v, 3));
  return figure(t(`rules.measure_${name.replace("@", "_")}`), signed(m.difference, write), t("rules.measure_note", { before: write(m.before), after: write(m.after), low: signed(m.low, write), high: signed(m.high, write) }), tone(m.difference, m.low, m.high));
}

/** @param {any} effect */
function expected(effect) {
  const orders = effect.expected_orders, revenue = effect.expected_revenue;
  if (!orders || (!orders.total && !orders.low && !orders.high)) return null;
  const note = revenue && (revenue.total || revenue.low || revenue.high) ? t("rules.expected_note", { money: signed(revenue.total, money), low: signed(revenue.low, money), high: signed(revenue.high, money) }) : t("rules.expected_between", { low: signed(orders.low), high: signed(orders.high) });
  return figure(t("rules.expected"), signed(orders.total, (v) => number(v, 1)), note, tone(orders.total, orders.low, orders.high));
}

/** The queries that move. @param {any} effect */
function queriesOf(effect) {
  const line = (/** @type {any} */ row) => {
    const seen = new Set(row.before);
    const fresh = row.after.filter((/** @type {string} */ id) => !seen.has(id)).length;
    return h("tr", {},
      h("td", {}, row.query, " ", row.changed ? null : h("span", { class: "soft small" }, t("rules.unchanged"))),
      h("td", { class: "num" }, row.searches ? number(row.searches) : "–"),
      h("td", { class: "num" }, `${number(row.total_before)} → ${number(row.total_after)}`),
      h("td", { class: "num" }, row.redirect ? t("rules.goes_to", { url: row.redirect }) : number(fresh)),
      h("td", { class: "num" }, row.mrr_before == null ? "–" : `${number(row.mrr_before, 2)} → ${number(row.mrr_after, 2)}`));
  };
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("rules.effect_queries") }, h("table", {},
    h("thead", {}, h("tr", {}, ["query", "searches", "results", "new", "mrr"].map((name, n) => h("th", { scope: "col", class: n ? "num" : "" }, t(`rules.effect_${name}_col`))))),
    h("tbody", {}, effect.rows.map(line))));
}
