/**
 * Who gets the attention of shoppers, and who is served how well? Exposure of groups of items against their share of the
 * catalog and of purchases, week by week; how uneven it is; quality for groups of shoppers. All shares with intervals.
 */
import { get, send } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { date, number, percent } from "../lib/format.js";
import { badge, empty, framed, heading, stat } from "../lib/parts.js";
import { bars, line } from "../lib/chart.js";
import { table } from "../lib/table.js";
import { maybe, t } from "../lib/words.js";
import { jobLine, style, views } from "./office-parts.js";

export const title = "fairness.title";

const SHOWN = 15;
const FEW = 500;

/** @param {any} view @param {any} route */
export async function draw(view, route) {
  const [found] = await Promise.all([get("/v1/fairness"), style()]);
  const report = found.report;
  const days = h("select", { id: "fairness-days", value: String(report?.days || 28) }, [...new Set([7, 28, 90, 180, report?.days || 28])].sort((a, b) => a - b).map((n) => h("option", { value: String(n) }, t("fairness.days", { n }))));
  const attribute = h("select", { id: "fairness-attribute", value: report?.attribute || "" }, h("option", { value: "" }, t("fairness.no_attribute")), found.attributes.map((/** @type {string} */ name) => h("option", { value: name }, name)));
  const run = jobLine({
    job: found.job,
    time: report?.time || 0,
    label: t("fairness.run"),
    run: () => send("POST", "/v1/fairness/run", { days: Number(days.value), attribute: attribute.value }),
    look: async () => (await get("/v1/fairness")).job,
    done: () => route.again(),
    extra: [h("label", { class: "choice" }, h("span", { class: "soft small" }, t("fairness.span")), days), h("label", { class: "choice" }, h("span", { class: "soft small" }, t("fairness.attribute")), attribute)],
  });
  view.append(heading(t(title), t("fairness.note")), run);
  if (!report) view.append(empty(t("fairness.none"), t("fairness.none_why")));
  else if (!report.pages) view.append(empty(t("fairness.no_pages"), t("fairness.no_pages_why"), "bodega serve"));
  else body(view, route, report);
  return () => run.stop();
}

/** @param {any} view @param {any} route @param {any} report */
function body(view, route, report) {
  const uneven = report.concentration;
  view.append(h("div", { class: "stats" },
    stat({ label: t("fairness.gini"), value: number(uneven.gini, 3), note: t("office.interval", { low: number(uneven.low, 3), high: number(uneven.high, 3) }) }),
    stat({ label: t("fairness.top"), value: percent(uneven.top), note: t("fairness.top_note") }),
    stat({ label: t("fairness.never"), value: percent(uneven.never), note: t("fairness.never_note") }),
    stat({ label: t("fairness.pages"), value: number(report.pages), note: t(`fairness.of_${report.of}`, { n: report.shoppers }) })));
  const names = report.dimensions.map((/** @type {any} */ each) => [each.by, by(each.by)]);
  if (report.pages < FEW) view.append(h("p", { class: "note warn" }, t("fairness.few", { n: report.pages })));
  const { chosen, row } = views(route, [...names, ["quality", t("fairness.quality")]], t("fairness.views"));
  const sheet = h("div", { class: "stack", role: "tabpanel", "aria-labelledby": `tab-${chosen}` });
  view.append(row, sheet);
  if (chosen === "quality") quality(sheet, report);
  else exposure(sheet, report.dimensions.find((/** @type {any} */ each) => each.by === chosen));
  if (report.silent.length) view.append(h("p", { class: "soft small" }, t("fairness.silent", { names: report.silent.map(by).join(", ") })));
  view.append(h("p", { class: "note" }, t("fairness.says_not")));
}

const by = (/** @type {string} */ name) => maybe(`fairness.by_${name}`, name);
const named = (/** @type {string} */ group) => group || t("fairness.rest");

/** @param {any} sheet @param {any} one */
function exposure(sheet, one) {
  const most = one.by === "popularity" ? [...one.groups].sort((a, b) => parseInt(a.group) - parseInt(b.group)) : one.groups.slice(0, SHOWN);
  sheet.append(
    framed({ title: t("fairness.shares_by", { by: by(one.by) }), note: t("fairness.shares_note") }, bars({
      title: t("fairness.shares_by", { by: by(one.by) }),
      x: most.map((/** @type {any} */ each) => named(each.group)),
      series: [["exposure", t("fairness.exposure")], ["catalog", t("fairness.catalog")], ["purchases", t("fairness.purchases")]].map(([key, name]) => ({ name, values: most.map((/** @type {any} */ each) => each[key]) })),
      format: (v) => percent(v), across: one.by !== "popularity",
    })),
    framed({ title: t("fairness.table"), note: t("fairness.table_note") }, table({
      id: `exposure-${one.by}`,
      exportName: `exposure-${one.by}`,
      label: t("fairness.table"),
      rows: one.groups,
      sort: { key: "exposure", down: true },
      columns: [
        { key: "group", title: by(one.by), grow: 2, value: (row) => named(row.group) },
        { key: "items", title: t("fairness.items"), kind: "number" },
        { key: "exposure", title: t("fairness.exposure"), kind: "number", grow: 2, cell: (row) => h("span", {}, percent(row.exposure, 2), " ", h("span", { class: "soft small" }, `${percent(row.low, 1)}–${percent(row.high, 1)}`)) },
        { key: "catalog", title: t("fairness.catalog"), kind: "number", cell: (row) => percent(row.catalog, 2) },
        { key: "purchases", title: t("fairness.purchases"), kind: "number", cell: (row) => percent(row.purchases, 2) },
        { key: "against_catalog", title: t("fairness.against_catalog"), kind: "number", cell: (row) => ratio(row, row.catalog, row.against_catalog) },
        { key: "against_purchases", title: t("fairness.against_purchases"), kind: "number", cell: (row) => ratio(row, row.purchases, row.against_purchases) },
      ],
    })));
  if (one.weeks.length > 1) sheet.append(framed({ title: t("fairness.trend"), note: t("fairness.trend_note") }, trend(one.weeks)));
}

/** More than its part only where the interval says so. @param {any} row @param {number} part @param {number | null} value */
const ratio = (row, part, value) => value == null ? "–" : badge(`${number(value, 2)} ×`, row.low > part ? "info" : row.high < part ? "warn" : "");

/** @param {any[]} weeks */
function trend(weeks) {
  const groups = Object.keys(weeks.at(-1).exposure);
  const x = weeks.map((each) => date(each.start, { day: true }));
  return h("div", { class: "stack" },
    line({ title: t("fairness.trend"), x, series: groups.map((group) => ({ name: named(group), values: weeks.map((each) => each.exposure[group] ?? null) })), format: (v) => percent(v) }),
    line({ title: t("fairness.trend_gini"), x, series: [{ name: t("fairness.gini"), values: weeks.map((each) => each.gini) }, { name: t("fairness.top"), values: weeks.map((each) => each.top) }], format: (v) => number(v, 3), height: 180 }));
}

/** @param {any} sheet @param {any} report */
function quality(sheet, report) {
  const group = (/** @type {any} */ row) => maybe(`fairness.group_${row.group}`, row.group);
  sheet.append(framed({ title: t("fairness.quality"), note: t("fairness.quality_note") }, report.quality.length ? table({
    id: "quality",
    label: t("fairness.quality"),
    rows: report.quality,
    search: false,
    columns: [
      { key: "by", title: t("fairness.divided"), value: (row) => maybe(`fairness.by_${row.by}`, row.by) },
      { key: "group", title: t("fairness.group"), value: group },
      { key: "shoppers", title: t("fairness.shoppers"), kind: "number" },
      { key: "pages", title: t("fairness.pages"), kind: "number" },
      { key: "chosen", title: t("fairness.chosen"), kind: "number", grow: 2, cell: (row) => h("span", {}, percent(row.chosen), " ", h("span", { class: "soft small" }, `${percent(row.chosen_low)}–${percent(row.chosen_high)}`)) },
      { key: "ndcg", title: "NDCG@10", kind: "number", grow: 2, cell: (row) => (row.ndcg == null ? "–" : h("span", {}, number(row.ndcg, 3), " ", h("span", { class: "soft small" }, `${number(row.ndcg_low, 3)}–${number(row.ndcg_high, 3)}`))) },
    ],
  }) : empty(t("fairness.quality_none"), t("fairness.quality_none_why"))));
}
