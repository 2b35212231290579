/**
 * Is the shop well, how fresh is what it knows, and what do people do? Numbers of now (server-sent events), of today beside the
 * days before, of each place, and what is other than when the shop learned.
 */
import { get } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { bars, line } from "../lib/chart.js";
import { ago, date, money, number, percent, short } from "../lib/format.js";
import { on } from "../lib/live.js";
import { badge, empty, framed, heading, sparkline, stat } from "../lib/parts.js";
import { table } from "../lib/table.js";
import { has, maybe, said, t } from "../lib/words.js";

export const title = "today.title";

const DAYS = 14;
const STALE = 36 * 3600;
const AGAIN = 60_000;

/** @param {any} view @param {import("../app.js").Route} route */
export async function draw(view, route) {
  view.append(heading(t(title), t("today.note")));
  // What is quick comes first: the page has content while the days are still being counted.
  const [facts, models] = await Promise.all([get("/v1/console/facts"), get("/v1/models").catch(() => null)]);
  const served = models?.snapshots.find((/** @type {any} */ each) => each.id === models.served);
  const health = h("div", { class: "stats" }), now = h("div", { class: "stats" }), rest = h("div", { class: "stack" });
  view.append(warnings(facts), health, framed({ title: t("today.now"), note: t("today.now_note"), id: "now" }, now), rest);
  state(health, { ready: Boolean(facts.snapshot), state: "ok" }, facts, served, null);
  pace(now, null, null);
  /** @type {any} */
  let day = null, minutes = null;
  let status = { ready: Boolean(facts.snapshot), state: "ok" };
  const refresh = async () => {
    const [today, live, daily] = await Promise.all([get("/v1/metrics/today"), get("/v1/metrics/live", { minutes: 60 }), get("/v1/metrics/daily", { days: DAYS, by: "place" })]);
    day = today;
    minutes = live;
    state(health, status, facts, served, day);
    pace(now, live, day.currency);
    rest.replaceChildren(...body(today, daily, route));
    return today.counting || daily.counting;
  };
  let timer = 0;
  const soon = async () => {
    const counting = document.hidden ? false : await refresh().catch(() => false);
    timer = window.setTimeout(soon, counting ? 2000 : AGAIN);
  };
  const counting = await refresh();
  timer = window.setTimeout(soon, counting ? 2000 : AGAIN);
  const deaf = [
    on("status", (told) => { status = told; state(health, told, facts, served, day); }),
    on("live", (tick) => { if (minutes) pace(now, moved(minutes, tick), day?.currency); }),
  ];
  return () => {
    clearTimeout(timer);
    for (const stop of deaf) stop();
  };
}

/** The last hour with the newest minute of the stream in it. @param {any} live @param {any} tick */
function moved(live, tick) {
  const kept = live.minutes.filter((/** @type {any} */ each) => each.time < tick.last.time);
  live.minutes = [...kept, tick.last, tick.minute].slice(-60);
  live.per_minute = tick.per_minute;
  live.units = tick.units;
  return live;
}

/** What an operator should know first. @param {any} facts */
const warnings = (facts) => (facts.warnings.length ? h("div", { class: "note warn", role: "note" }, icon("warn"), h("div", {}, h("strong", {}, t("today.warnings", { n: facts.warnings.length })), h("ul", {}, facts.warnings.slice(0, 5).map((/** @type {string} */ each, /** @type {number} */ at) => h("li", {}, said(facts.said?.[at], each)))))) : null) || "";

/** @param {any} box @param {any} status @param {any} facts @param {any} served @param {any} day */
function state(box, status, facts, served, day) {
  const word = status.state === "unreachable" ? "unreachable" : !status.ready ? "not_ready" : status.state === "degraded" ? "degraded" : "ok";
  const wrong = Object.entries(status.dependencies || {}).filter(([, state]) => state !== "ok").map(([name, state]) => `${name}: ${state}`);
  const age = served ? Date.now() / 1000 - served.time : NaN;
  const degraded = day?.whole.degraded_rate?.value;
  box.replaceChildren(
    stat({ label: t("today.health"), value: t(`frame.status_${word}`), note: wrong.join("; ") || t("today.health_fine"), tone: word === "ok" ? "good" : word === "degraded" ? "warn" : "bad" }),
    stat({ label: t("today.snapshot"), value: served ? ago(served.time) : t("today.never"), note: served ? h("code", {}, served.id.slice(0, 12)) : t("today.learn_first"), href: "/console/models", tone: !served ? "bad" : age > STALE ? "warn" : "good" }),
    stat({ label: t("today.newest"), value: day?.newest ? ago(day.newest) : "–", note: t("today.in_shop", { items: short(facts.items), events: short(facts.events) }) }),
    stat({ label: t("today.changed"), value: number(facts.changes_since_snapshot), note: t("today.waiting", { n: facts.changes_waiting }) }),
    stat({ label: t("today.degraded"), value: percent(degraded), note: degraded == null ? t("today.no_pages_short") : t("today.degraded_note", { n: day.whole.degraded }), tone: degraded > 0.05 ? "warn" : "" }),
    stat({ label: t("letters.title"), value: number(facts.letters), note: t("today.letters_note"), href: "/console/letters", tone: facts.letters ? "warn" : "" }));
}

/** What happens in this minute. @param {any} box @param {any} live @param {string | null} currency */
function pace(box, live, currency) {
  const of = (/** @type {(f: any) => number} */ value) => live?.minutes.map((/** @type {any} */ each) => value(each.figures)) || [];
  const per = live?.per_minute || {};
  box.replaceChildren(
    stat({ label: t("today.pages_minute"), value: number(per.answers, 1), spark: of((f) => f.answers) }),
    stat({ label: t("today.wanted_minute"), value: number(per.wanted, 1), spark: of((f) => f.views + f.clicks + f.carts) }),
    stat({ label: t("today.purchases_minute"), value: number(per.purchases, 1), spark: of((f) => f.purchases) }),
    stat({ label: t("today.revenue_minute"), value: money(per.revenue, currency || undefined), spark: of((f) => f.revenue) }),
    stat({ label: t("today.people_hour"), value: number(live?.units?.["*"] ?? (live ? 0 : null)), note: t("today.people_note") }));
}

/** @param {any} today @param {any} daily @param {any} route */
function body(today, daily, route) {
  const pages = daily.whole.answers + today.whole.answers, told = pages + daily.whole.clicks + daily.whole.purchases;
  return [
    told ? figures(today) : null,
    pages ? null : framed({}, empty(t("today.no_pages"), t("today.no_pages_why"), h("a", { class: "button main", href: "/", target: "_blank", rel: "noopener" }, t("frame.to_shop")))),
    told ? places(today, daily, route) : null,
    pages ? h("div", { class: "grid" }, framed({ title: t("today.traffic") }, traffic(daily)), framed({ title: t("today.rates"), note: t("today.rates_note") }, rates(daily))) : null,
    since(today.changes),
  ].filter(Boolean);
}

/** Today beside the days before, as a share of pages. @param {any} today */
function figures(today) {
  const one = (/** @type {string} */ name, /** @type {string} */ rate, /** @type {boolean} */ more) => {
    const now = today.whole[rate], usual = today.usual[rate];
    const apart = now && usual ? now.value - usual.value : 0;
    // A difference is news only where the interval of today leaves out the usual value.
    const news = Boolean(now && usual && (now.low > usual.value || now.high < usual.value));
    return stat({ label: t(`today.${name}`), value: percent(now?.value), note: now ? t(usual ? "today.interval" : "today.interval_alone", { low: percent(now.low), high: percent(now.high), usual: percent(usual?.value) }) : t("today.no_pages_short"), trend: news ? percent(apart, 1, true) : undefined, good: news ? apart > 0 === more : undefined });
  };
  return framed({ title: t("today.today"), note: t("today.today_note", { answers: today.whole.answers, time: date(today.now) }) }, h("div", { class: "stats" },
    one("click_rate", "click_rate", true), one("purchase_rate", "purchase_rate", true), one("zero_rate", "zero_rate", false), one("degraded_rate", "degraded_rate", false),
    stat({ label: t("today.revenue"), value: money(today.whole.revenue, today.currency), note: t("today.purchases", { n: today.whole.purchases }) })));
}

/** @param {any} today @param {any} daily @param {any} route */
function places(today, daily, route) {
  const names = [...new Set([...today.places, ...daily.totals].map((/** @type {any} */ each) => each.key))];
  const rows = names.map((key) => {
    const now = today.places.find((/** @type {any} */ each) => each.key === key)?.figures || {};
    const past = daily.days.map((/** @type {any} */ each) => each.lines.find((/** @type {any} */ line) => line.key === key)?.figures);
    return { key, ...now, trend: past.map((/** @type {any} */ each) => each?.click_rate?.value ?? NaN) };
  }).filter((row) => row.answers || row.trend.some(Number.isFinite) || row.clicks);
  const rate = (/** @type {string} */ name, /** @type {boolean} */ bad) => ({ key: name, title: t(`today.${name}`), kind: /** @type {const} */ ("number"), width: 130, value: (/** @type {any} */ row) => row[name]?.value ?? null,
    cell: (/** @type {any} */ row) => h("span", { title: row[name] ? t("today.between", { low: percent(row[name].low), high: percent(row[name].high) }) : null }, bad && row[name]?.value > 0.1 ? badge(percent(row[name].value), "warn") : percent(row[name]?.value)) });
  return framed({ title: t("today.places"), note: t("today.places_note", { days: DAYS }), actions: h("a", { class: "button quiet small", href: route.link({ tab: "failing" }, "search") }, t("today.failing")) },
    table({ id: "places", label: t("today.places"), exportName: "places", rows, search: false, sort: { key: "answers", down: true }, columns: [
      { key: "key", title: t("today.place"), value: (row) => row.key || t("today.unattributed"), cell: (row) => h("strong", {}, maybe(`today.place_${row.key || "none"}`, row.key)), grow: 2 },
      { key: "answers", title: t("today.answers"), kind: "number", width: 120 },
      rate("click_rate", false), rate("purchase_rate", false), rate("zero_rate", true), rate("degraded_rate", true),
      { key: "trend", title: t("today.trend"), sort: false, width: 150, value: () => "", cell: (row) => (row.trend.some(Number.isFinite) ? sparkline(row.trend, t("today.click_rate")) : "–") },
    ] }));
}

/** @param {any} daily */
const traffic = (daily) => bars({ title: t("today.traffic"), xName: t("today.day"), x: daily.days.map((/** @type {any} */ each) => each.day.slice(5)), stacked: true, series: daily.totals.filter((/** @type {any} */ each) => each.key && each.figures.answers).slice(0, 6).map((/** @type {any} */ each) => ({
  name: maybe(`today.place_${each.key}`, each.key), values: daily.days.map((/** @type {any} */ day) => day.lines.find((/** @type {any} */ line) => line.key === each.key)?.figures.answers || 0) })) });

/** @param {any} daily */
const rates = (daily) => line({ title: t("today.rates"), xName: t("today.day"), x: daily.days.map((/** @type {any} */ each) => each.day.slice(5)), format: (value) => percent(value),
  series: ["click_rate", "purchase_rate", "zero_rate"].map((name) => ({ name: t(`today.${name}`), values: daily.days.map((/** @type {any} */ each) => each.whole[name]?.value ?? null) })) });

const MARKS = /** @type {Record<string, string>} */ ({ items: "doctor", waiting: "clock", rules: "rules", settings: "settings", drift: "today", events: "people", warning: "warn" });

/** @param {any} changes */
function since(changes) {
  if (!changes?.snapshot) return framed({ title: t("today.since") }, empty(t("today.never_learned"), t("today.never_learned_why"), "bodega learn"));
  return framed({ title: t("today.since"), note: t("today.since_note", { time: date(changes.since) }), id: "since" }, changes.changes.length ? h("ul", { class: "changes" }, changes.changes.map((/** @type {any} */ each) =>
    h("li", {}, icon(MARKS[each.what] || "info"), h("div", {}, badge(maybe(`today.what_${each.what}`, each.what), each.what === "warning" || each.what === "drift" ? "warn" : ""), " ", each.what === "warning" ? said(each.said?.[0], each.text) : has(`today.change_${each.what}`) ? t(`today.change_${each.what}`, { n: each.count }) : each.text, each.details?.length ? h("details", {}, h("summary", { class: "small" }, t("today.details", { n: each.details.length })), h("ul", { class: "small soft" }, each.details.map((/** @type {string} */ one, /** @type {number} */ at) => h("li", {}, said(each.said?.[at], one))))) : null)))) : h("p", { class: "soft" }, t("today.since_none")));
}
