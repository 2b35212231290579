/**
 * What do numbers look like? Lines, bars, points and calibration, drawn by Apache ECharts on a canvas (loaded when the
 * first chart comes into view, out of an installed package). Every chart can be shown as the table of its numbers: for
 * who listens, for who wants to copy them, and where the library is missing.
 */
import { facts, fresh, h, icon } from "./dom.js";
import { number } from "./format.js";
import { command } from "./parts.js";
import { csv, download } from "./table.js";
import { t } from "./words.js";

/** @typedef {{name: string, values: (number | null)[]}} Series */
/** @typedef {{title: string, columns: string[], rows: any[][]}} Numbers what a chart shows, as a table */

/** @type {Promise<any> | null} */
let library = null;
const loaded = () => (library ||= import(new URL("../vendor/echarts.js", import.meta.url).href));

/** @param {string} name of a colour of ours */
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Colours that stay apart for people who see fewer of them, on light and dark. */
const palette = () => [1, 2, 3, 4, 5, 6].map((n) => ink(`chart-${n}`));

/** Our look over any option of ECharts. @param {any} option */
function dressed(option) {
  const line = { lineStyle: { color: ink("line") } };
  const axis = (/** @type {any} */ each) => ({ axisLine: line, splitLine: line, axisTick: { show: false }, nameGap: 26, nameTextStyle: { color: ink("soft") }, ...each, axisLabel: { color: ink("soft"), hideOverlap: true, ...each?.axisLabel } });
  const axes = (/** @type {any} */ each) => (each === undefined ? undefined : Array.isArray(each) ? each.map(axis) : axis(each));
  return {
    color: palette(),
    backgroundColor: "transparent",
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: ink("ink") },
    animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    animationDuration: 250,
    grid: { left: 8, right: 16, top: option.legend === false ? 16 : 40, bottom: 8, outerBoundsMode: "same", outerBoundsContain: "all" },
    ...option,
    legend: option.legend === false ? { show: false } : { type: "scroll", top: 0, left: 0, textStyle: { color: ink("soft") }, ...option.legend },
    tooltip: { trigger: "axis", confine: true, backgroundColor: ink("card"), borderColor: ink("line"), textStyle: { color: ink("ink") }, ...option.tooltip, renderMode: "richText" },
    xAxis: axes(option.xAxis),
    yAxis: axes(option.yAxis),
  };
}

/** Any chart. `option` is ECharts', or makes it (called again when the colours change); `numbers` are what it shows.
 * @param {{option: any | (() => any), numbers: Numbers, height?: number, onPick?: (what: any) => void}} what */
export function chart({ option, numbers, height = 260, onPick }) {
  const id = fresh("chart");
  const stage = h("div", { class: "chart-stage", role: "img", "aria-label": t("frame.chart", { title: numbers.title, n: numbers.rows.length }), style: { height: `${height}px` } });
  const rows = h("div", { class: "chart-rows", id, hidden: true });
  const button = h("button", { type: "button", class: "button quiet small", "aria-expanded": "false", "aria-controls": id, onclick: () => flip(rows.hidden) }, icon("filter"), t("frame.chart_table"));
  const flip = (/** @type {boolean} */ open) => {
    if (open && !rows.firstChild) rows.append(asTable(numbers), saver(numbers));
    rows.hidden = !open;
    stage.hidden = open;
    button.setAttribute("aria-expanded", String(open));
    button.lastChild.textContent = t(open ? "frame.chart_picture" : "frame.chart_table");
  };
  const box = h("figure", { class: "chart" }, stage, rows, h("figcaption", { class: "row" }, button));
  if (!numbers.rows.length) stage.replaceChildren(h("p", { class: "soft" }, t("frame.chart_none")));
  else whenSeen(stage, () => draw(stage, option, onPick).catch(() => {
    flip(true);
    if (facts.missing.length) box.append(h("div", { class: "soft small" }, t("frame.chart_missing"), command(facts.install)));
  }));
  return box;
}

/** @param {any} stage @param {any} option @param {((what: any) => void) | undefined} onPick */
async function draw(stage, option, onPick) {
  const echarts = await loaded();
  const made = echarts.init(stage, null, { renderer: "canvas" });
  const set = () => made.setOption(dressed(typeof option === "function" ? option() : option), true);
  set();
  if (onPick) made.on("click", onPick);
  const wide = new ResizeObserver(() => (stage.isConnected ? stage.clientWidth && made.resize() : gone()));
  wide.observe(stage);
  const theme = matchMedia("(prefers-color-scheme: dark)");
  const recolour = () => (stage.isConnected ? set() : gone());
  const gone = () => {
    wide.disconnect();
    theme.removeEventListener("change", recolour);
    document.removeEventListener("theme", recolour);
    made.dispose();
  };
  theme.addEventListener("change", recolour);
  document.addEventListener("theme", recolour);
  stage.dataset.drawn = "true";
}

/** A megabyte of library waits until its chart is on the screen. @param {Element} stage @param {() => void} run */
function whenSeen(stage, run) {
  const seen = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      seen.disconnect();
      run();
    }
  }, { rootMargin: "200px" });
  seen.observe(stage);
}

/** @param {Numbers} numbers */
const asTable = ({ title, columns, rows }) =>
  h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, h("table", {}, h("caption", { class: "vh" }, title), h("thead", {}, h("tr", {}, columns.map((each) => h("th", { scope: "col" }, each)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", { class: typeof cell === "number" ? "num" : "" }, typeof cell === "number" ? number(cell, 4) : cell == null ? "–" : String(cell))))))));

/** @param {Numbers} numbers */
const saver = ({ title, columns, rows }) =>
  h("button", { type: "button", class: "button quiet small", onclick: () => download(`${title.replace(/[^\p{L}\p{N}]+/gu, "-")}.csv`, csv(columns.map((name, at) => ({ key: name, title: name, value: (/** @type {any[]} */ row) => row[at] })), rows)) }, icon("download"), t("frame.table_export"));

/** @param {string[]} x @param {Series[]} series @param {string} title @param {string} xName */
const listed = (x, series, title, xName) => ({ title, columns: [xName, ...series.map((each) => each.name)], rows: x.map((at, i) => [at, ...series.map((each) => each.values[i] ?? null)]) });

/** @typedef {{title: string, x: string[], series: Series[], xName?: string, yName?: string, format?: (value: any) => string, height?: number, onPick?: (what: any) => void}} Plain */

/** Lines over time (or any order). `band` is a pair of series drawn as an area between them.
 * @param {Plain & {band?: {name: string, low: (number | null)[], high: (number | null)[]}, from0?: boolean}} what */
export function line({ title, x, series, xName = "", yName = "", format = number, height, band, from0 = true, onPick }) {
  const all = band ? [...series, { name: `${band.name} −`, values: band.low }, { name: `${band.name} +`, values: band.high }] : series;
  const option = () => ({
    legend: series.length > 1 || band ? { data: series.map((each) => each.name) } : false,
    tooltip: { valueFormatter: format },
    xAxis: { type: "category", data: x, boundaryGap: false, name: xName, nameLocation: "middle" },
    yAxis: { type: "value", name: yName, scale: !from0, axisLabel: { formatter: (/** @type {number} */ v) => format(v) } },
    series: [
      ...series.map((each) => ({ type: "line", name: each.name, data: each.values, showSymbol: each.values.filter((v) => v != null).length < 4, connectNulls: false, lineStyle: { width: 2.5 } })),
      ...(band ? [
        { type: "line", name: "low", data: band.low, stack: "band", symbol: "none", lineStyle: { opacity: 0 }, silent: true, tooltip: { show: false } },
        { type: "line", name: "high", data: band.high.map((v, i) => (v == null || band.low[i] == null ? null : v - /** @type {number} */ (band.low[i]))), stack: "band", symbol: "none", lineStyle: { opacity: 0 }, areaStyle: { opacity: 0.15, color: palette()[0] }, silent: true, tooltip: { show: false } },
      ] : []),
    ],
  });
  return chart({ option, numbers: listed(x, all, title, xName || t("frame.chart_x")), height, onPick });
}

/** Bars; `across` lays them down (for long names), `stacked` piles series. @param {Plain & {across?: boolean, stacked?: boolean}} what */
export function bars({ title, x, series, xName = "", yName = "", format = number, height, across = false, stacked = false, onPick }) {
  const names = { type: "category", data: x, name: across ? "" : xName, nameLocation: "middle", inverse: across, axisLabel: across ? { width: 140, overflow: "truncate" } : {} };
  const values = { type: "value", name: yName, axisLabel: { formatter: (/** @type {number} */ v) => format(v) } };
  const option = () => ({
    legend: series.length > 1 ? {} : false,
    tooltip: { valueFormatter: format, axisPointer: { type: "shadow" } },
    xAxis: across ? values : names,
    yAxis: across ? names : values,
    series: series.map((each) => ({ type: "bar", name: each.name, data: each.values, stack: stacked ? "all" : undefined, barMaxWidth: 36, itemStyle: { borderRadius: stacked ? 0 : across ? [0, 4, 4, 0] : [4, 4, 0, 0] } })),
  });
  return chart({ option, numbers: listed(x, series, title, xName || t("frame.chart_x")), height: height || (across ? Math.max(160, 60 + x.length * (stacked ? 26 : 14 + 14 * series.length)) : undefined), onPick });
}

/** Points. `points` are {x, y, name, group}. @param {{title: string, points: {x: number, y: number, name?: string, group?: string}[], xName?: string, yName?: string, height?: number, onPick?: (point: any) => void}} what */
export function scatter({ title, points, xName = "x", yName = "y", height = 420, onPick }) {
  const groups = [...new Set(points.map((each) => each.group || ""))];
  const option = () => ({
    legend: groups.length > 1 ? {} : false,
    tooltip: { trigger: "item", formatter: (/** @type {any} */ at) => at.data.name || `${number(at.value[0])}, ${number(at.value[1])}` },
    xAxis: { type: "value", name: xName, nameLocation: "middle", scale: true },
    yAxis: { type: "value", name: yName, scale: true },
    dataZoom: [{ type: "inside" }, { type: "inside", orient: "vertical" }],
    series: groups.map((group) => ({ type: "scatter", name: group, symbolSize: points.length > 2000 ? 4 : 8, large: points.length > 3000, itemStyle: { opacity: 0.75 }, data: points.filter((each) => (each.group || "") === group).map((each) => ({ value: [each.x, each.y], name: each.name, point: each })) })),
  });
  return chart({ option, numbers: { title, columns: [t("frame.chart_name"), t("frame.chart_group"), xName, yName], rows: points.slice(0, 1000).map((each) => [each.name || "", each.group || "", each.x, each.y]) }, height, onPick: onPick && ((at) => onPick(at.data.point)) });
}

/** Foretold against seen, with the line where both agree. `bins` are {foretold, seen, n, low, high}.
 * @param {{title: string, bins: {foretold: number, seen: number, n?: number}[], xName?: string, yName?: string, height?: number}} what */
export function calibration({ title, bins, xName = t("frame.chart_foretold"), yName = t("frame.chart_seen"), height = 320 }) {
  const most = Math.max(1e-6, ...bins.flatMap((bin) => [bin.foretold, bin.seen])) * 1.05;
  const option = () => ({
    legend: false,
    tooltip: { trigger: "item", formatter: (/** @type {any} */ at) => `${number(at.value[0], 4)} → ${number(at.value[1], 4)}` },
    xAxis: { type: "value", name: xName, nameLocation: "middle", min: 0, max: most, axisLabel: { formatter: (/** @type {number} */ v) => number(v, 3) } },
    yAxis: { type: "value", name: yName, min: 0, max: most, axisLabel: { formatter: (/** @type {number} */ v) => number(v, 3) } },
    series: [
      { type: "line", data: [[0, 0], [most, most]], symbol: "none", lineStyle: { type: "dashed", color: ink("edge"), width: 1.5 }, silent: true, tooltip: { show: false } },
      { type: "line", data: bins.map((bin) => [bin.foretold, bin.seen]), symbolSize: 9, lineStyle: { width: 2.5 } },
    ],
  });
  return chart({ option, numbers: { title, columns: [xName, yName, t("frame.chart_n")], rows: bins.map((bin) => [bin.foretold, bin.seen, bin.n ?? null]) }, height });
}
