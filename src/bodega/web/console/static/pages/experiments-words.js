/** What do the pages of experiments have in common? Marks of states, names of kinds and metrics, small tables. */
import { h } from "../lib/dom.js";
import { badge } from "../lib/parts.js";
import { t } from "../lib/words.js";

/** @type {Promise<any> | null} */
let styled = null;

/** The look of these pages, once; resolves when it is there. */
export function style() {
  styled ||= new Promise((done) => {
    const link = h("link", { rel: "stylesheet", href: new URL("./experiments.css", import.meta.url) });
    link.onload = link.onerror = done;
    document.head.append(link);
  });
  return styled;
}

/** @type {Record<string, any>} */
const TONES = { running: "good", stopped: "bad", draft: "info", finished: "", better: "good", worse: "bad", harm: "bad", mismatch: "bad", open: "info", nobody: "" };

/** @param {string} state */
export const mark = (state) => badge(t(`experiments.is_${state}`), TONES[state] || "");

/** @param {any} each */
export const kindOf = (each) => t(`experiments.kind_${each.by === "time" ? "switchback" : each.kind || "ab"}`);

/** A metric in words. @param {string} name */
export const named = (name) => t(`experiments.metric_${name}`);

/** A table without tools, for few rows. @param {string} caption @param {string[]} columns @param {any[][]} rows cells: texts, elements, or {num} */
export const plain = (caption, columns, rows) =>
  h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    h("table", {}, h("caption", { class: "vh" }, caption), h("thead", {}, h("tr", {}, columns.map((each, at) => h("th", { scope: "col", class: rows[0]?.[at]?.num !== undefined ? "num" : "" }, each)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, at) => (at ? h("td", { class: cell?.num !== undefined ? "num" : "" }, cell?.num !== undefined ? cell.num : cell) : h("th", { scope: "row" }, cell))))))));
