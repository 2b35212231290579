/**
 * Which rows could not be used, and why? By reason, the row itself, mended and sent again, tried again as it is, thrown
 * away, or exported. A row is shown as text, whatever it holds.
 */
import { get, send } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { ago, number } from "../lib/format.js";
import { badge, button, confirm, dialog, empty, field, form, framed, heading, pairs, toast } from "../lib/parts.js";
import { table } from "../lib/table.js";
import { maybe, t } from "../lib/words.js";

export const title = "letters.title";

/** @typedef {{id: string, kind: string, reason: string, message: string, source: string, line: number, raw: string, time: string}} Letter */

/** @param {string} kind */
const kindName = (kind) => maybe(`letters.kind_${kind}`, kind);
/** @param {string} reason */
const plainly = (reason) => maybe(`letters.reason_${reason}`, reason.replaceAll("_", " "));

/** @param {any} view @param {import("../app.js").Route} route */
export async function draw(view, route) {
  view.append(heading(t(title), t("letters.note")));
  const kind = route.params.get("kind") || "", reason = route.params.get("reason") || "";
  const page = await get("/v1/letters", { kind, reason, limit: 1000 });
  const total = page.counts.reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + each.n, 0);
  if (!total) {
    view.append(framed({}, empty(t("letters.none"), t("letters.none_why"), "bodega import items products.csv")));
    return;
  }
  view.append(framed({ title: t("letters.by_reason"), note: t("letters.total", { n: total }) }, reasons(page.counts, kind, reason, route)));
  const chosen = reason ? t("letters.of_reason", { reason: plainly(reason) }) : t("letters.newest");
  const rows = table({
    id: "letters", label: chosen, exportName: "dead-letters", rows: page.letters, selectable: true,
    onRow: (row) => open(row, route),
    columns: [
      { key: "kind", title: t("letters.kind"), value: (row) => kindName(row.kind), width: 110 },
      { key: "reason", title: t("letters.reason"), value: (row) => row.reason, cell: (row) => badge(plainly(row.reason), "warn"), width: 230 },
      { key: "message", title: t("letters.message"), grow: 3 },
      { key: "source", title: t("letters.source"), value: (row) => (row.line ? `${row.source}:${row.line}` : row.source), width: 180 },
      { key: "time", title: t("letters.time"), cell: (row) => ago(row.time), width: 130 },
      { key: "raw", title: t("letters.row"), hide: true },
    ],
  });
  view.append(framed({ title: chosen, note: t("letters.open_hint"), actions: [
    button(t("letters.retry"), () => retry(reason, route), { icon: "undo", title: t("letters.retry_title") }),
    button(t("letters.drop"), () => drop(rows.selected(), kind, reason, page.counts.find((/** @type {any} */ each) => each.kind === kind && each.reason === reason)?.n || 0, route), { kind: "danger", icon: "bin" }),
  ] }, rows));
}

/** @param {any[]} counts @param {string} kind @param {string} reason @param {any} route */
function reasons(counts, kind, reason, route) {
  const most = Math.max(...counts.map((each) => each.n));
  const line = (/** @type {any} */ each) => {
    const now = each.kind === kind && each.reason === reason;
    return h("li", {}, h("a", { class: "reason", href: route.link(now ? { kind: "", reason: "" } : { kind: each.kind, reason: each.reason }), "aria-current": now ? "true" : null },
      h("span", { class: "grow" }, h("strong", {}, plainly(each.reason)), " ", h("span", { class: "soft small" }, kindName(each.kind))),
      h("span", { class: "meter", "aria-hidden": "true" }, h("i", { style: { "--share": each.n / most } })), h("span", { class: "num" }, number(each.n))));
  };
  return [h("ul", { class: "reasons" }, counts.map(line)), kind || reason ? h("a", { class: "button quiet small", href: route.link({ kind: "", reason: "" }) }, t("letters.all")) : null];
}

/** The row, and how it should have been. @param {Letter} letter @param {any} route */
function open(letter, route) {
  let pretty = letter.raw;
  try {
    pretty = JSON.stringify(JSON.parse(letter.raw), null, 2);
  } catch {
    /* cut off, or no JSON: as it came */
  }
  const mends = letter.kind === "event" || letter.kind === "item";
  dialog({
    title: plainly(letter.reason), wide: true,
    body: (close) => {
      const row = field({ label: t("letters.mend_row"), hint: t("letters.mend_hint"), input: { type: "textarea", name: "row", rows: Math.min(16, pretty.split("\n").length + 1), value: pretty, spellcheck: "false", class: "code" } });
      return [
        pairs([[t("letters.message"), letter.message], [t("letters.kind"), kindName(letter.kind)], [t("letters.source"), letter.line ? `${letter.source}:${letter.line}` : letter.source], [t("letters.time"), ago(letter.time)]]),
        mends ? form({ fields: [row], submit: t("letters.mend"), send: async (values) => {
          let mended;
          try {
            mended = JSON.parse(values.row);
          } catch (error) {
            return row.fail(t("letters.no_json", { error: /** @type {any} */ (error).message }));
          }
          const done = await send("POST", "/v1/letters/mend", { id: letter.id, row: mended });
          close(true);
          toast(t(done.stored ? "letters.mended" : "letters.mended_known"));
          route.again();
        }, extra: button(t("letters.drop_one"), async () => { if (await dropNow({ ids: [letter.id] }, 1)) { close(); route.again(); } }, { kind: "danger" }) }) : h("pre", {}, pretty),
      ];
    },
  });
}

/** @param {string} reason @param {any} route */
async function retry(reason, route) {
  const done = await send("POST", "/v1/letters/retry", { reason });
  toast(t("letters.retried", { tried: done.tried, stored: done.stored + done.known, left: done.left }));
  route.again();
}

/** @param {Letter[]} chosen @param {string} kind @param {string} reason @param {number} all @param {any} route */
async function drop(chosen, kind, reason, all, route) {
  if (chosen.length ? await dropNow({ ids: chosen.map((each) => each.id) }, chosen.length) : kind && reason ? await dropNow({ kind, reason }, all) : void toast(t("letters.choose"), { tone: "bad" })) route.again();
}

/** @param {any} what @param {number} n */
async function dropNow(what, n) {
  if (!(await confirm({ title: t("letters.drop_sure", { n }), text: t("letters.drop_text"), yes: t("letters.drop_yes"), danger: true }))) return false;
  const done = await send("POST", "/v1/letters/drop", what);
  toast(t("letters.dropped", { n: done.dropped }));
  return true;
}
