/**
 * Did search get worse? The reports of the last nights: the served snapshot against the one before and against plain
 * words, with intervals, and the queries that lost most.
 */
import { get, send } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { date, number, percent } from "../lib/format.js";
import { badge, button, empty, framed, grid, stat, toast } from "../lib/parts.js";
import { line } from "../lib/chart.js";
import { table } from "../lib/table.js";
import { t } from "../lib/words.js";

const TONES = /** @type {Record<string, any>} */ ({ better: "good", worse: "bad", open: "", none: "" });

/** @param {any} body @param {any} route */
export async function reported(body, route) {
  const { reports } = await get("/v1/judgments/reports", { limit: 30 });
  const make = button(t("judgments.report_now"), async () => {
    try {
      const found = await send("POST", "/v1/judgments/report");
      toast(t("judgments.report_done", { n: found.queries }));
      await reported(body, route);
    } catch (error) {
      toast(/** @type {any} */ (error).what || String(error), { tone: "bad" });
    }
  }, { kind: reports.length ? "plain" : "main" });
  if (!reports.length) {
    body.replaceChildren(empty(t("judgments.no_report"), t("judgments.no_report_why"), "bodega judge report"), h("div", { class: "row center" }, make));
    return;
  }
  const now = reports[0];
  const verdict = verdictOf(now);
  body.replaceChildren(
    framed({ title: t("judgments.report"), note: t("judgments.report_note", { time: date(now.time), n: now.queries, snapshot: now.snapshot }), actions: [badge(t(`judgments.verdict_${verdict}`), TONES[verdict]), make], id: "report" },
      grid(["ndcg@10", "mrr", "recall@50"].map((metric) => figure(now, metric))),
      h("p", { class: "soft small" }, t("judgments.unjudged", { share: percent(now.unjudged, 0) }))),
    reports.length > 1 ? framed({ title: t("judgments.course") }, course([...reports].reverse())) : "",
    framed({ title: t("judgments.worst"), note: t("judgments.worst_note") }, moved("worst", now.worst)),
    framed({ title: t("judgments.best") }, moved("best", now.best)));
}

/** @param {any} report */
function verdictOf(report) {
  const found = report.changes.before;
  if (!found || !report.queries) return "none";
  const states = Object.values(found).map((/** @type {any} */ each) => (each.low > 0 ? "better" : each.high < 0 ? "worse" : "open"));
  return states.includes("worse") ? "worse" : states[0];
}

/** One metric with what it is compared with. @param {any} report @param {string} metric */
function figure(report, metric) {
  const said = ["before", "bm25"].filter((name) => report.changes[name]).map((name) => {
    const change = report.changes[name][metric];
    return t(`judgments.against_${name}`, { mean: signed(change.mean), low: signed(change.low), high: signed(change.high) });
  });
  return stat({ label: t(`judgments.${metric.replace("@", "_")}`), value: number(report.figures.served[metric], 4), note: h("span", {}, said.map((each) => h("span", { class: "block" }, each))) });
}

/** @param {number} value */
const signed = (value) => (value > 0 ? `+${number(value, 4)}` : number(value, 4));

/** @param {any[]} reports oldest first */
const course = (reports) => line({
  title: t("judgments.course"), x: reports.map((each) => date(each.time)), xName: t("judgments.when"), yName: "nDCG@10",
  series: [
    { name: t("judgments.served"), values: reports.map((each) => each.figures.served["ndcg@10"]) },
    { name: t("judgments.bm25"), values: reports.map((each) => each.figures.bm25?.["ndcg@10"] ?? null) },
  ],
  format: (/** @type {number} */ value) => number(value, 4),
});

/** @param {string} name @param {any[]} rows */
const moved = (name, rows) => table({
  id: `moved-${name}`, exportName: `queries-${name}`, search: false,
  columns: [
    { key: "query", title: t("judgments.query"), cell: (row) => h("a", { href: `/console/inspect?q=${encodeURIComponent(row.query)}` }, row.query), grow: 2 },
    { key: "before", title: t("judgments.was"), kind: "number" },
    { key: "now", title: t("judgments.is"), kind: "number" },
    { key: "judged", title: t("judgments.pairs"), kind: "number" },
  ],
  rows, empty: h("p", { class: "soft" }, t("judgments.nothing_moved")),
});
