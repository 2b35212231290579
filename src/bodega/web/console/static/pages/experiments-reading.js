/**
 * How does a reading look? The verdict in words, sizes of the arms, the effect over time with its interval, every metric
 * and guardrail, groups of shoppers, and the verdict of one list of two. Intervals of tests and lists hold whenever one
 * looks; those of groups and switchbacks are for who looks once, and the page says so.
 */
import { chart } from "../lib/chart.js";
import { h } from "../lib/dom.js";
import { ago, date, number, percent } from "../lib/format.js";
import { badge, card, empty, framed, meter, stat, tabs } from "../lib/parts.js";
import { said, t } from "../lib/words.js";
import { mark, named, plain } from "./experiments-words.js";

const ALARM = 0.001;
const SHARES = ["zero_results", "degraded"];

/** @param {any} found @param {any} each the experiment @param {any} route @returns {any[]} */
export function reading(found, each, route) {
  if (found.verdict === "nobody") return [card(t("experiments.reading"), empty(t("experiments.nobody"), t("experiments.nobody_why")))];
  const chosen = found.arms.find((/** @type {any} */ arm) => arm.arm === route.params.get("arm")) || found.arms[0];
  const row = found.arms.indexOf(chosen);
  const choose = found.arms.length > 1 ? tabs(found.arms.map((/** @type {any} */ arm) => ({ key: arm.arm, label: arm.arm })), chosen.arm, (key) => route.go({ arm: key }), t("experiments.arms")) : "";
  return [
    verdict(found, each),
    ...(found.preferred ? [preferred(found, each)] : []),
    choose,
    ...(found.course.length ? [course(found, chosen, row)] : []),
    ...(found.preferred ? [] : [metrics(found, chosen, each)]),
    ...(found.segments.length ? [segments(found, chosen)] : []),
  ];
}

/** @param {any} found @param {any} each */
function verdict(found, each) {
  const units = found.units.reduce((/** @type {number} */ sum, /** @type {number} */ n) => sum + n, 0);
  const unit = found.preferred ? "pages" : each.by === "time" ? "blocks" : "shoppers";
  const best = found.arms.find((/** @type {any} */ arm) => arm.arm === found.best) || found.arms[0];
  const sizes = found.preferred ? number(units) : found.units.map((/** @type {number} */ n) => number(n)).join(" : ");
  const bad = found.ratio_p < ALARM;
  return framed({ title: t("experiments.reading"), note: t("experiments.read_at", { ago: ago(found.time) }), id: "verdict", wide: true },
    h("div", { class: "stack" }, h("p", { class: "row", role: "status" }, mark(found.verdict), h("strong", {}, t(`experiments.means_${found.verdict}`, { arm: found.best || best.arm }))),
    found.warnings.map((/** @type {string} */ text, /** @type {number} */ at) => h("p", { class: "note" }, said(found.said?.[at], text))),
    h("div", { class: "stats" },
      stat({ label: t(found.preferred ? "experiments.preferred_lift" : "experiments.lift_of", { metric: named(found.metric) }), value: found.preferred ? number(best.effect.difference, 4) : lift(best.effect), note: between(best.effect, Boolean(found.preferred)) }),
      stat({ label: t(`experiments.units_${unit}`), value: sizes, note: each.units ? h("span", {}, meter(units, each.units, t("experiments.of_planned", { n: units, of: each.units })), t("experiments.of_planned", { n: units, of: each.units })) : "" }),
      found.preferred || each.by === "time" ? "" : stat({ label: t("experiments.srm"), value: found.ratio_p >= ALARM ? `p ${number(found.ratio_p, 3)}` : "p < 0.001", note: t(bad ? "experiments.srm_bad" : "experiments.srm_good"), tone: bad ? "bad" : "" }),
      found.explained > 0.001 ? stat({ label: t("experiments.explained"), value: percent(found.explained), note: t("experiments.explained_note") }) : "",
      found.crossed ? stat({ label: t("experiments.crossed"), value: number(found.crossed), note: t("experiments.crossed_note") }) : "")));
}

/** @param {any} told */
const lift = (told) => (told.lift == null ? number(told.difference, 4) : percent(told.lift, 1, true));

/** The interval in words. @param {any} told @param {boolean} [plainly] as differences, not as parts of the control's mean */
function between(told, plainly = false) {
  if (told.low == null || told.high == null) return t("experiments.unknown_yet");
  if (plainly || told.lift_low == null) return t("experiments.between", { low: number(told.low, 4), high: number(told.high, 4) });
  return t("experiments.between", { low: percent(told.lift_low, 1, true), high: percent(told.lift_high, 1, true) });
}

/** The effect as it was read at moments between. @param {any} found @param {any} chosen @param {number} row */
function course(found, chosen, row) {
  const title = t("experiments.course", { metric: named(found.metric), arm: chosen.arm });
  const last = found.course.at(-1)?.effects[row];
  const parts = last && last.lift != null;
  const points = found.course.map((/** @type {any} */ moment) => {
    const told = moment.effects[row];
    const seen = told.low != null && told.high != null;
    return { time: moment.time, units: moment.units, at: seen ? (parts ? told.lift : told.difference) : null, low: seen ? (parts ? told.lift_low : told.low) : null, high: seen ? (parts ? told.lift_high : told.high) : null };
  });
  const format = (/** @type {any} */ value) => (value == null ? "–" : parts ? percent(value, 1, true) : number(value, 4));
  const x = points.map((/** @type {any} */ point) => date(point.time));
  const option = () => {
    const colour = getComputedStyle(document.documentElement);
    const tint = colour.getPropertyValue("--chart-1").trim();
    const band = (/** @type {string} */ name, /** @type {any[]} */ data, /** @type {any} */ more = {}) => ({ type: "line", name, data, stack: "interval", stackStrategy: "all", symbol: "none", lineStyle: { opacity: 0 }, silent: true, tooltip: { show: false }, ...more });
    return {
      legend: false,
      tooltip: { formatter: (/** @type {any[]} */ rows) => { const point = points[rows[0].dataIndex]; return [date(point.time), `${format(point.at)}  (${format(point.low)} … ${format(point.high)})`, t("experiments.n_shoppers", { n: point.units })].join("\n"); } },
      xAxis: { type: "category", data: x, boundaryGap: false },
      yAxis: { type: "value", scale: true, axisLabel: { formatter: format } },
      series: [
        band("low", points.map((/** @type {any} */ point) => point.low)),
        band("high", points.map((/** @type {any} */ point) => (point.low == null ? null : point.high - point.low)), { areaStyle: { opacity: 0.18, color: tint } }),
        { type: "line", name: title, data: points.map((/** @type {any} */ point) => point.at), symbol: "none", lineStyle: { width: 2.5, color: tint }, markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { type: "dashed", color: colour.getPropertyValue("--soft").trim() }, data: [{ yAxis: 0 }] } },
      ],
    };
  };
  const rows = points.map((/** @type {any} */ point) => [date(point.time), point.units, point.at, point.low, point.high]);
  const columns = [t("experiments.time"), t("experiments.units_shoppers"), t("experiments.effect"), t("experiments.low"), t("experiments.high")];
  return framed({ title, note: t("experiments.course_note"), id: "course" }, chart({ option, numbers: { title, columns, rows }, height: 300 }));
}

/** Every metric, guardrails marked. @param {any} found @param {any} chosen @param {any} each */
function metrics(found, chosen, each) {
  const guards = Object.fromEntries((each.guardrails || []).map((/** @type {any} */ guard) => [guard.metric, guard]));
  const rows = Object.entries(chosen.metrics).map(([name, told]) => {
    const guard = guards[name];
    const share = SHARES.includes(name);
    const marks = [
      name === found.metric ? badge(t("experiments.decides"), "info") : null,
      guard ? badge(chosen.harmed.includes(name) ? t("experiments.guard_harm") : t("experiments.guard", { harm: percent(guard.harm ?? 0.02) }), chosen.harmed.includes(name) ? "bad" : "good") : null,
    ];
    return [h("span", { class: "row" }, named(name), marks), { num: share ? percent(told.control) : number(told.control, 3) }, ...(told.control || told.difference ? [{ num: number(told.difference, 4) }, { num: told.lift == null ? "–" : percent(told.lift, 1, true) }, { num: between(told) }] : [{ num: "–" }, { num: "–" }, { num: t("experiments.none_did") }])];
  });
  const columns = [t("experiments.measured"), t("experiments.control"), t("experiments.difference"), t("experiments.lift"), t("experiments.interval")];
  return framed({ title: t("experiments.metrics_of", { arm: chosen.arm }), note: t(each.by === "time" ? "experiments.metrics_once" : "experiments.metrics_note"), id: "metrics" }, plain(t("experiments.metrics_of", { arm: chosen.arm }), columns, rows));
}

/** For whom does it work? @param {any} found @param {any} chosen */
function segments(found, chosen) {
  const mine = found.segments.filter((/** @type {any} */ each) => each.arm === chosen.arm);
  const rows = mine.map((/** @type {any} */ each) => [
    `${t(`experiments.by_${each.by}`)}: ${t(`experiments.group_${each.by}_${each.segment}`).startsWith("experiments.") ? each.segment : t(`experiments.group_${each.by}_${each.segment}`)}`,
    { num: number(each.units) },
    { num: number(each.effect.difference, 4) },
    { num: between(each.effect, true) },
    each.p < 0.05 ? badge(`p ${number(each.p, 4)}`, "good") : `p ${number(each.p, 3)}`,
  ]);
  const columns = [t("experiments.group"), t("experiments.units_shoppers"), t("experiments.difference"), t("experiments.interval"), t("experiments.chance")];
  return framed({ title: t("experiments.segments", { metric: named(found.metric) }), note: t("experiments.segments_note"), id: "segments" }, plain(t("experiments.segments", { metric: named(found.metric) }), columns, rows));
}

/** One list of two. @param {any} found @param {any} each */
function preferred(found, each) {
  const { pages, clicked, wins, debiased, teams } = found.preferred;
  const [first, second] = each.arms.map((/** @type {any} */ arm) => arm.name);
  return framed({ title: t("experiments.lists"), note: t("experiments.lists_note", { arm: second }), id: "preferred" },
    h("div", { class: "stats" },
      stat({ label: t("experiments.pages_clicked"), value: number(clicked), note: t("experiments.of_pages", { n: pages }) }),
      stat({ label: t("experiments.wins", { arm: second }), value: number(wins[1]), note: t("experiments.wins_other", { arm: first, n: wins[0] }) }),
      stat({ label: t("experiments.debiased"), value: number(debiased.difference, 4), note: between(debiased, true) }),
      stat({ label: t("experiments.teams"), value: number(teams.difference, 4), note: between(teams, true) })));
}
