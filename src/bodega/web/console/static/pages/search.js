/**
 * What do people search, and what do they not find? Top, rising and failing queries; a row opens what became of its
 * shoppers and what may mend it, measured before it is published. Tab, weeks and query are in the address.
 */
import { get, problemBox } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number, percent } from "../lib/format.js";
import { badge, card, empty, framed, heading, meter, stat, tabs, waiting } from "../lib/parts.js";
import { table } from "../lib/table.js";
import { t } from "../lib/words.js";
import { opened } from "./search-query.js";
import { style } from "./steer-parts.js";

export const title = "search.title";

const KINDS = ["top", "rising", "failing"];
const DAYS = [1, 7, 28];
const MOST = 200;

/** @param {any} view @param {any} route */
export async function draw(view, route) {
  await style();
  const { params } = route;
  const kind = KINDS.includes(params.get("tab") || "") ? String(params.get("tab")) : "top";
  const days = DAYS.includes(Number(params.get("days"))) ? Number(params.get("days")) : 7;
  const query = (params.get("q") || "").trim();
  const told = h("div", { class: "stack", id: "queries", "aria-live": "polite" }, waiting(5));
  view.append(heading(t(title), t("search.note"), range(days, route)), asking(query, route));
  if (query) view.append(await opened(query, params, route));
  view.append(tabs(KINDS.map((key) => ({ key, label: t(`search.tab_${key}`) })), kind, (key) => route.go({ tab: key === "top" ? "" : key }), t("search.tabs")), told);
  try {
    const report = await get("/v1/metrics/queries", { kind, days, limit: MOST });
    told.replaceChildren(summary(report), listed(report, kind, route));
  } catch (error) {
    told.replaceChildren(problemBox(error, () => route.again()));
  }
}

/** @param {number} days @param {any} route */
const range = (days, route) => {
  const choose = h("select", { id: "days", "aria-label": t("search.days"), value: String(days) }, DAYS.map((each) => h("option", { value: String(each) }, t("search.last_days", { n: each }))));
  choose.addEventListener("change", () => route.go({ days: choose.value === "7" ? "" : choose.value }));
  return choose;
};

/** Any query may be looked at, listed or not. @param {string} query @param {any} route */
function asking(query, route) {
  const input = h("input", { id: "ask-query", type: "search", value: query, autocomplete: "off", placeholder: t("search.ask_hint") });
  const made = h("form", { class: "inline-form", role: "search", "aria-label": t("search.ask") }, h("div", { class: "field wide" }, h("label", { for: "ask-query" }, t("search.ask")), input), h("div", {}, h("button", { type: "submit", class: "button main" }, t("search.open"))));
  made.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    route.go({ q: input.value.trim(), fix: "" });
  });
  return framed({}, made);
}

/** @param {any} report */
function summary(report) {
  const of = (/** @type {number} */ n) => percent(report.asked ? n / report.asked : NaN);
  return h("div", { class: "stats" },
    stat({ label: t("search.searches"), value: number(report.asked), note: t("search.different", { n: report.queries_asked }) }),
    stat({ label: t("search.clicked"), value: of(report.clicked) }),
    stat({ label: t("search.zero"), value: of(report.zero), tone: report.asked && report.zero / report.asked > 0.1 ? "bad" : "" }),
    stat({ label: t("search.refined"), value: of(report.refined) }));
}

/** @param {any} report @param {string} kind @param {any} route */
function listed(report, kind, route) {
  if (!report.asked) return card("", empty(t("search.empty"), t("search.empty_why"), h("a", { class: "button", href: route.link({}, "inspect") }, t("inspect.title"))));
  const rate = (/** @type {string} */ key) => ({ key, title: t(`search.${key}`), kind: "number", width: 140, value: (/** @type {any} */ row) => row[key] / row.asked, cell: (/** @type {any} */ row) => percent(row[key] / row.asked) });
  const columns = [
    { key: "query", title: t("search.query"), width: 230, cell: (/** @type {any} */ row) => h("a", { href: route.link({ q: row.query, fix: "" }), class: "query" }, row.query) },
    { key: "asked", title: t("search.asked"), kind: "number", width: 110 },
    { key: "people", title: t("search.people"), kind: "number", width: 110 },
    { key: "share", title: t("search.share"), kind: "number", width: 150, cell: (/** @type {any} */ row) => h("span", { class: "row" }, h("span", { class: "grow" }, meter(row.share, most(report), t("search.share"))), percent(row.share)) },
    { ...rate("clicked"), cell: (/** @type {any} */ row) => h("span", { title: t("search.between", { low: percent(row.click_low), high: percent(row.click_high) }) }, percent(row.clicked / row.asked)) },
    rate("zero"), rate("refined"),
    ...(kind === "rising" ? [{ key: "ratio", title: t("search.ratio"), kind: "number", width: 120, value: (/** @type {any} */ row) => row.ratio ?? Infinity, cell: (/** @type {any} */ row) => (row.ratio == null ? badge(t("search.new"), "info") : `×${number(row.ratio, 1)}`) }] : []),
    ...(kind === "failing" ? [
      { key: "why", title: t("search.why"), width: 240, value: (/** @type {any} */ row) => row.why.map((/** @type {string} */ each) => t(`search.why_${each}`)).join(", "), cell: (/** @type {any} */ row) => h("span", { class: "row" }, row.why.map((/** @type {string} */ each) => badge(t(`search.why_${each}`), each === "zero" ? "bad" : "warn"))) },
      { key: "lost", title: t("search.lost"), kind: "number", width: 110, cell: (/** @type {any} */ row) => number(row.lost, 0) },
    ] : []),
  ];
  const hidden = report.hidden ? h("p", { class: "soft small" }, t("search.hidden", { n: report.hidden, people: report.people })) : null;
  return framed({ note: t(`search.about_${kind}`) },
    table({ id: "queries-table", label: t(`search.tab_${kind}`), columns: /** @type {any} */ (columns), rows: report.queries, exportName: `queries-${kind}`, onRow: (row) => route.go({ q: row.query, fix: "" }), empty: empty(t(`search.none_${kind}`), t(`search.none_${kind}_why`)) }), hidden);
}

/** @param {any} report */
const most = (report) => Math.max(1e-9, ...report.queries.map((/** @type {any} */ each) => each.share));
