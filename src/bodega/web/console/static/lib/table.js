/**
 * Many rows: sorted, filtered, in pages, and exported. Drawn by Tabulator (out of an installed package, loaded when the
 * first table is shown); where it is missing, a plain table of the same rows. Cells are text or elements, never markup;
 * an exported cell that a spreadsheet would run as a formula is prefixed so that it is text there, too.
 */
import { facts, h, icon, later } from "./dom.js";
import { date, number } from "./format.js";
import { command } from "./parts.js";
import { t } from "./words.js";

/** @typedef {{key: string, title: string, kind?: "text" | "number" | "date", cell?: (row: any) => any, value?: (row: any) => any,
 *  width?: number, grow?: number, filter?: boolean, sort?: boolean, hide?: boolean}} Column `cell` makes what is shown (a text or an element), `value` what is sorted,
 *  filtered and exported (default: the row's key) */
/** @typedef {{id: string, columns: Column[], rows?: any[], onRow?: (row: any, event: Event) => void, exportName?: string, size?: number,
 *  empty?: any, label?: string, search?: boolean, sort?: {key: string, down?: boolean}, selectable?: boolean, onSelect?: (rows: any[]) => void}} Options */

/** @type {Promise<any> | null} */
let library = null;

/** The library, once. */
function loaded() {
  library ||= (async () => {
    const style = h("link", { rel: "stylesheet", href: new URL("../vendor/tabulator.css", import.meta.url) });
    const styled = new Promise((done) => (style.onload = style.onerror = done));
    document.head.prepend(style); // before ours, which has the last word
    const [module] = await Promise.all([import(new URL("../vendor/tabulator.js", import.meta.url).href), styled]);
    return module.TabulatorFull;
  })();
  return library;
}

/** @param {Column} column @param {any} row */
const valueOf = (column, row) => (column.value ? column.value(row) : row[column.key]);

/** @param {Column} column @param {any} row */
function shown(column, row) {
  if (column.cell) return column.cell(row);
  const value = valueOf(column, row);
  if (column.kind === "number") return number(value);
  if (column.kind === "date") return date(value);
  return value == null ? "" : String(value);
}

/** A table. The element comes at once; `.set(rows)` shows others, `.selected()` are the rows that were ticked,
 * `.ready` resolves once it is drawn. @param {Options} options */
export function table(options) {
  const { id, columns, onRow, exportName = id, empty, label, search = true } = options;
  let rows = options.rows || [];
  /** @type {any} */
  let grid = null;
  const place = h("div", { class: "tabulator-place" });
  const count = h("span", { class: "soft small", role: "status" });
  const finder = h("input", { type: "search", "aria-label": t("frame.table_filter"), placeholder: t("frame.table_filter"), class: "table-find", autocomplete: "off" });
  const saver = h("button", { type: "button", class: "button quiet", onclick: () => download(`${exportName}.csv`, csv(columns, matching())) }, icon("download"), t("frame.table_export"));
  const bar = h("div", { class: "table-bar" }, search ? finder : null, count, saver);
  const box = h("div", { class: onRow ? "table clickable" : "table", id, role: "region", "aria-label": label || exportName }, bar, place);

  const matching = () => {
    const words = finder.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return grid ? grid.getData("active") : rows;
    return rows.filter((row) => {
      const text = columns.map((column) => valueOf(column, row) ?? "").join(" ").toLowerCase();
      return words.every((/** @type {string} */ word) => text.includes(word));
    });
  };
  const tally = () => {
    const found = finder.value.trim() ? matching().length : rows.length;
    count.textContent = found === rows.length ? t("frame.table_rows", { n: rows.length }) : t("frame.table_found", { n: found, all: rows.length });
  };
  const show = () => {
    bar.hidden = !rows.length;
    if (!rows.length && empty) place.replaceChildren(empty instanceof Node ? empty : h("p", { class: "soft" }, empty));
    tally();
  };
  finder.addEventListener("input", later(() => {
    const found = new Set(matching());
    if (grid) grid.setFilter((/** @type {any} */ row) => found.has(row));
    else plain(place, options, [...found]);
    tally();
  }, 150));

  const draw = async () => {
    show();
    if (!rows.length && empty) return;
    let Tabulator;
    try {
      Tabulator = await loaded();
    } catch {
      plain(place, options, rows);
      return;
    }
    if (!place.isConnected) await new Promise((done) => requestAnimationFrame(done));
    const inner = h("div");
    place.replaceChildren(inner);
    grid = new Tabulator(inner, settings(options, rows));
    const built = new Promise((done) => grid.on("tableBuilt", done));
    if (onRow) answered(grid, inner, onRow); // rows stand, and can be clicked, before all is built
    await built;
    widened(inner, grid);
    grid.on("dataSorted", () => named(inner));
    roled(inner);
    grid.on("renderComplete", () => roled(inner));
    if (options.onSelect) grid.on("rowSelectionChanged", (/** @type {any[]} */ data) => options.onSelect?.(data));
    named(inner);
  };
  let ready = draw();
  return Object.assign(box, {
    set(/** @type {any[]} */ next) {
      rows = next;
      const at = grid;
      ready = ready.then(async () => {
        if (at && rows.length) { show(); await at.replaceData(rows); } else { grid = null; await draw(); }
      });
      box.ready = ready;
      return ready;
    },
    selected: () => (grid ? grid.getSelectedData() : []),
    ready,
  });
}

/** Draw again when the room for the table is wider or narrower. Tabulator's own watch also draws when its rows made it higher: they
 * are put in anew just after they came, under the finger of whoever is quick. @param {any} inner @param {any} grid */
function widened(inner, grid) {
  let width = inner.clientWidth;
  const watch = new ResizeObserver(() => {
    if (!inner.isConnected) return watch.disconnect();
    if (inner.clientWidth === width || !inner.clientWidth) return;
    width = inner.clientWidth;
    grid.redraw();
  });
  watch.observe(inner);
}

/** A row answers a click, and Enter. @param {any} grid @param {any} inner @param {(row: any, event: Event) => void} onRow */
function answered(grid, inner, onRow) {
  grid.on("rowClick", (/** @type {any} */ event, /** @type {any} */ row) => event.target.closest("a,button,input,label") || onRow(row.getData(), event));
  inner.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const at = /** @type {any} */ (event.target).closest?.(".tabulator-row");
    if (event.key === "Enter" && at && event.target === at) onRow(grid.getRow(at).getData(), event);
  });
}

/** What Tabulator is told. @param {Options} options @param {any[]} rows */
function settings({ columns, onRow, size = 20, sort, label, selectable }, rows) {
  const tick = selectable ? [{ formatter: "rowSelection", titleFormatter: "rowSelection", hozAlign: "center", headerSort: false, width: 44, resizable: false }] : [];
  return {
    data: rows,
    layout: "fitColumns",
    autoResize: false,
    responsiveLayout: false,
    pagination: rows.length > size,
    paginationSize: size,
    selectableRows: Boolean(selectable),
    columnHeaderSortMulti: false,
    headerSortElement: "<div class='tabulator-arrow'></div>",
    placeholder: h("p", { class: "soft" }, t("frame.table_none")),
    locale: "here",
    langs: { here: { pagination: Object.fromEntries(["first", "last", "prev", "next"].flatMap((name) => [[name, t(`frame.table_${name}`)], [`${name}_title`, t(`frame.table_${name}_title`)]])) } },
    initialSort: sort ? [{ column: sort.key, dir: sort.down ? "desc" : "asc" }] : [],
    rowFormatter: onRow ? (/** @type {any} */ row) => row.getElement().setAttribute("tabindex", "0") : undefined,
    columns: [...tick, ...columns.filter((column) => !column.hide).map((column) => ({
      title: column.title,
      field: column.key,
      titleFormatter: () => h("span", {}, column.title),
      headerSort: column.sort !== false,
      hozAlign: column.kind === "number" ? "right" : "left",
      headerHozAlign: column.kind === "number" ? "right" : "left",
      width: column.width,
      minWidth: Math.min(column.width || 110, 110),
      widthGrow: column.grow || 1,
      headerTooltip: false,
      sorter: (/** @type {any} */ _a, /** @type {any} */ _b, /** @type {any} */ one, /** @type {any} */ other) => compared(valueOf(column, one.getData()), valueOf(column, other.getData())),
      formatter: (/** @type {any} */ cell) => {
        const made = shown(column, cell.getData());
        return made instanceof Node ? made : h("span", { title: String(made).length > 40 ? String(made) : null }, made);
      },
    }))],
  };
}

/** @param {any} one @param {any} other */
function compared(one, other) {
  if (one == null || other == null) return Number(one != null) - Number(other != null);
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), facts.language, { numeric: true });
}

/** Tabulator leaves its boxes for ticking without a name. @param {any} inner */
function named(inner) {
  for (const box of inner.querySelectorAll('input[type="checkbox"]:not([aria-label])')) box.setAttribute("aria-label", t("frame.table_tick"));
}

/** Tabulator's boxes between a grid and its rows, put in the order that readers of a screen expect. @param {any} inner */
function roled(inner) {
  const roles = { ".tabulator-header-contents": "presentation", ".tabulator-tableholder": "rowgroup", ".tabulator-table": "presentation", ".tabulator-footer": "rowgroup", ".tabulator-footer-contents": "row", ".tabulator-paginator": "gridcell", ".tabulator-placeholder": "row" };
  for (const [name, role] of Object.entries(roles)) for (const each of inner.querySelectorAll(name)) each.setAttribute("role", role);
  for (const each of inner.querySelectorAll(".tabulator-placeholder > *")) each.setAttribute("role", "gridcell");
}

/** The same rows without the library. @param {any} place @param {Options} options @param {any[]} rows */
function plain(place, { columns, onRow }, rows) {
  const seen = columns.filter((column) => !column.hide);
  place.replaceChildren(
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("frame.table_plain") }, h("table", {},
      h("thead", {}, h("tr", {}, seen.map((column) => h("th", { scope: "col" }, column.title)))),
      h("tbody", {}, rows.slice(0, 500).map((row) => h("tr", { onclick: onRow ? (/** @type {Event} */ event) => onRow(row, event) : null }, seen.map((column) => h("td", { class: column.kind === "number" ? "num" : "" }, shown(column, row)))))))),
    facts.missing.length ? h("div", { class: "soft small" }, t("frame.table_missing"), command(facts.install)) : "");
}

const DANGEROUS = /^[=+\-@\t\r\n]/;

/** One cell for a spreadsheet: a text that it would take for a formula begins with an apostrophe. @param {unknown} value */
export function safeCell(value) {
  if (value == null) return "";
  if (typeof value === "number") return String(value);
  const text = value instanceof Date ? value.toISOString() : Array.isArray(value) ? value.join("; ") : typeof value === "object" ? JSON.stringify(value) : String(value);
  const tame = DANGEROUS.test(text.trimStart()) || DANGEROUS.test(text) ? `'${text}` : text;
  return /[",\n\r;\t]/.test(tame) ? `"${tame.replaceAll('"', '""')}"` : tame;
}

/** Rows as CSV (RFC 4180, with a mark that Excel reads UTF-8 by). @param {Column[]} columns @param {any[]} rows */
export const csv = (columns, rows) =>
  `\ufeff${[columns.map((column) => safeCell(column.title || column.key)), ...rows.map((row) => columns.map((column) => safeCell(valueOf(column, row))))].map((line) => line.join(",")).join("\r\n")}\r\n`;

/** Hand a file to the person. @param {string} name @param {string | Blob} content @param {string} [type] */
export function download(name, content, type = "text/csv") {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
