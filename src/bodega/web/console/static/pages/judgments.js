/**
 * Who says how well items answer queries? Judge with the keys 0 to 3, see how far judges agree and how far judging is,
 * and whether search got worse. The queue holds what is worth a person's time: quarrels first, then what nobody judged.
 */
import { get, problem, send } from "../lib/api.js";
import { announce, h } from "../lib/dom.js";
import { ago, number } from "../lib/format.js";
import { badge, button, confirm, empty, framed, grid, heading, meter, stat, tabs, toast, waiting } from "../lib/parts.js";
import { table } from "../lib/table.js";
import { t } from "../lib/words.js";
import { styled } from "./loop-parts.js";
import { judging } from "./judgments-queue.js";
import { reported } from "./judgments-reports.js";

export const title = "judgments.title";

/** @param {any} view @param {any} route */
export async function draw(view, route) {
  await styled();
  const tab = route.params.get("tab") || "judge";
  const body = h("div", { class: "stack" }, waiting());
  view.append(
    heading(t(title), t("judgments.note"), button(t("judgments.clicks"), () => clicks(() => route.go({ tab: "agreement" })), { icon: "loop" })),
    tabs([
      { key: "judge", label: t("judgments.tab_judge") },
      { key: "agreement", label: t("judgments.tab_agreement") },
      { key: "all", label: t("judgments.tab_all") },
      { key: "reports", label: t("judgments.tab_reports") },
    ], tab, (key) => route.go({ tab: key }), t(title)),
    body);
  const pages = /** @type {Record<string, (body: any, route: any) => any>} */ ({ judge: judging, agreement, all, reports: reported });
  const show = async () => {
    try {
      return await (pages[tab] || judging)(body, route);
    } catch (error) {
      problem(body, error, show);
      return undefined;
    }
  };
  return show();
}

/** Grade what shoppers clicked. @param {() => void} after */
async function clicks(after) {
  const said = await confirm({ title: t("judgments.clicks"), text: t("judgments.clicks_text"), yes: t("judgments.clicks_yes") });
  if (!said) return;
  try {
    const told = await send("POST", "/v1/judgments/clicks");
    toast(t("judgments.clicks_done", { graded: told.graded, pairs: told.pairs, queries: told.queries }));
    after();
  } catch (error) {
    toast(/** @type {any} */ (error).what || String(error), { tone: "bad" });
  }
}

/** How far judges agree, and how far judging is. @param {any} body */
async function agreement(body) {
  const told = await get("/v1/judgments/progress");
  const { progress } = told;
  const enough = progress.queries >= progress.needed;
  const rows = told.agreement.map((/** @type {any} */ each) => ({ ...each, range: `${number(each.low)} – ${number(each.high)}` }));
  body.replaceChildren(
    grid(
      stat({ label: t("judgments.queries"), value: number(progress.queries), note: t("judgments.of_asked", { n: progress.asked }) }),
      stat({ label: t("judgments.pairs"), value: number(progress.pairs), note: t("judgments.pairs_note") }),
      stat({ label: t("judgments.learn"), value: enough ? t("judgments.learn_yes") : t("judgments.learn_no"), note: t("judgments.learn_note", { n: progress.needed }), tone: enough ? "good" : "" }),
      stat({ label: t("judgments.llm"), value: progress.llm ? t("judgments.llm_yes") : t("judgments.llm_no"), note: t("judgments.llm_note") })),
    framed({ title: t("judgments.progress"), note: t("judgments.progress_note") },
      meter(progress.queries, Math.max(progress.asked, progress.queries, 1), t("judgments.progress_said", { done: progress.queries, all: progress.asked })),
      h("p", { class: "soft small" }, t("judgments.progress_said", { done: progress.queries, all: progress.asked })),
      table({
        id: "judges", exportName: "judges", search: false,
        columns: [
          { key: "origin", title: t("judgments.origin"), cell: (row) => t(`judgments.origin_${row.origin}`), value: (row) => row.origin },
          { key: "who", title: t("judgments.who") },
          { key: "judgments", title: t("judgments.count"), kind: "number" },
          { key: "queries", title: t("judgments.queries"), kind: "number" },
        ],
        rows: progress.counts, empty: empty(t("judgments.none"), t("judgments.none_why"), "bodega judge clicks"),
      })),
    framed({ title: t("judgments.agreement"), note: t("judgments.agreement_note") },
      table({
        id: "agreement", exportName: "agreement", search: false,
        columns: [
          { key: "one", title: t("judgments.one"), value: (row) => judge(row.one) },
          { key: "other", title: t("judgments.other"), value: (row) => judge(row.other) },
          { key: "pairs", title: t("judgments.both"), kind: "number" },
          { key: "kappa", title: t("judgments.kappa"), kind: "number" },
          { key: "range", title: t("judgments.interval"), value: (row) => row.range },
          { key: "said", title: t("judgments.meaning"), cell: (row) => badge(t(`judgments.kappa_${level(row)}`), tone(row)), value: (row) => t(`judgments.kappa_${level(row)}`) },
        ],
        rows, empty: empty(t("judgments.no_agreement"), t("judgments.no_agreement_why")),
      })));
}

/** @param {string} name `human`, `clicks`, `llm`, or `human ann` */
const judge = (name) => (name.startsWith("human ") ? name.slice(6) : t(`judgments.origin_${name}`));

/** Landis and Koch's words, of the lower end. @param {any} row */
const level = (row) => (row.pairs < 30 ? "few" : row.low >= 0.6 ? "good" : row.low >= 0.4 ? "moderate" : "weak");

/** @param {any} row @returns {"good" | "warn" | ""} */
const tone = (row) => (level(row) === "few" ? "" : level(row) === "weak" ? "warn" : "good");

/** Every opinion. @param {any} body @param {any} route */
async function all(body, route) {
  const origin = route.params.get("origin") || "";
  const found = await get("/v1/judgments", { origin, limit: 1000 });
  const pick = h("select", { "aria-label": t("judgments.origin"), value: origin, onchange: (/** @type {any} */ event) => route.go({ origin: event.target.value }) },
    ["", "human", "clicks", "llm"].map((each) => h("option", { value: each }, each ? t(`judgments.origin_${each}`) : t("judgments.every"))));
  body.replaceChildren(framed({ title: t("judgments.tab_all"), note: t("judgments.all_note"), actions: pick },
    table({
      id: "judgments", exportName: "judgments",
      columns: [
        { key: "query", title: t("judgments.query"), cell: (row) => h("a", { href: `/console/inspect?q=${encodeURIComponent(row.query)}` }, row.query) },
        { key: "item", title: t("judgments.item") },
        { key: "grade", title: t("judgments.grade"), cell: (row) => badge(`${row.grade} · ${t(`judgments.grade_${row.grade}`)}`, row.grade >= 2 ? "good" : row.grade ? "" : "warn"), value: (row) => row.grade },
        { key: "origin", title: t("judgments.origin"), cell: (row) => t(`judgments.origin_${row.origin || "human"}`), value: (row) => row.origin || "human" },
        { key: "who", title: t("judgments.who"), value: (row) => row.who || "" },
        { key: "note", title: t("judgments.why"), value: (row) => row.note || "", grow: 2 },
        { key: "time", title: t("judgments.when"), cell: (row) => ago(row.time), value: (row) => row.time },
      ],
      rows: found.judgments, empty: empty(t("judgments.none"), t("judgments.none_why"), "bodega judge clicks"),
    })));
  announce(t("judgments.found", { n: found.judgments.length }));
}
