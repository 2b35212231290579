/**
 * What happened to one request, to be read from top to bottom: how the words were understood, where the first ten came
 * from, what each source and stage did, and each item with its scores. Draws what `POST /v1/inspect` says of one side.
 */
import { bars } from "../lib/chart.js";
import { h, icon } from "../lib/dom.js";
import { money, number, percent } from "../lib/format.js";
import { badge, button, dialog, framed, meter, pairs } from "../lib/parts.js";
import { table } from "../lib/table.js";
import { maybe, t } from "../lib/words.js";
import { thing } from "./steer-parts.js";

/** @param {any} look one side of an inspection @param {any} route */
export const looked = (look, route) => [
  reading(look, route),
  h("div", { class: "two" }, origins(look), clock(look)),
  sources(look),
  items(look, route),
];

const stageName = (/** @type {string} */ name) => maybe(`inspect.stage_${name}`, name);
const sourceName = (/** @type {string} */ name) => maybe(`inspect.source_${name}`, name);

/** The words with what was seen in them. @param {any} said */
function marked(said) {
  const spans = [...(said.meanings || [])].filter((each) => (each.end || 0) > (each.start || 0)).sort((a, b) => (a.start || 0) - (b.start || 0) || (b.confidence || 1) - (a.confidence || 1));
  const out = [];
  let at = 0;
  const text = [...String(said.read || said.typed || "")];
  for (const each of spans) {
    const start = each.start || 0;
    if (start < at) continue;
    out.push(text.slice(at, start).join(""), h("mark", { class: each.hard ? "hard" : "", title: t(each.hard ? "inspect.condition" : "inspect.wish") }, text.slice(start, each.end).join(""), h("sub", {}, maybe(`inspect.kind_${each.kind}`, each.kind))));
    at = each.end;
  }
  out.push(text.slice(at).join(""));
  return h("p", { class: "read-text" }, out);
}

/** @param {any} each a meaning */
function meaning(each) {
  const range = [each.low != null ? `≥ ${number(each.low)}` : "", each.high != null ? `≤ ${number(each.high)}` : ""].filter(Boolean).join(" ");
  return h("tr", {},
    h("td", {}, each.text), h("td", {}, maybe(`inspect.kind_${each.kind}`, each.kind)),
    h("td", {}, [each.field, (each.values || []).join(", ") || range].filter(Boolean).join(": ")),
    h("td", {}, each.excludes ? badge(t("inspect.not_this"), "bad") : each.hard ? badge(t("inspect.condition"), "warn") : badge(t("inspect.wish"), "info")),
    h("td", { class: "num" }, percent(each.confidence ?? 1, 0)));
}

/** How it was understood. @param {any} look @param {any} route */
function reading(look, route) {
  const said = look.reading;
  const rows = [
    [t("inspect.replaced"), said.replaced],
    [t("inspect.corrected"), said.corrected],
    [t("inspect.searched"), said.searched === said.typed ? "" : said.searched],
    [t("inspect.synonyms"), (said.alternatives || []).map((/** @type {any} */ [words, others]) => `${words} = ${others.join(", ")}`).join("; ")],
    [t("inspect.relaxed"), (said.relaxed || []).join("; ")],
    [t("inspect.rules"), look.rules?.length ? h("span", { class: "chips" }, look.rules.map((/** @type {string} */ id) => h("a", { href: route.link({ rule: id }, "rules") }, id))) : ""],
    [t("inspect.redirect"), look.redirect],
    [t("inspect.banners"), (look.banners || []).map((/** @type {any} */ each) => each.text).join("; ")],
    [t("inspect.related"), said.related?.length ? h("span", { class: "chips" }, said.related.map((/** @type {string} */ q) => h("a", { href: route.link({ q }) }, q))) : ""],
    [t("inspect.degraded"), (look.degraded || []).join("; ")],
  ];
  const facts = [t("inspect.found_n", { n: look.total }), t(`inspect.ranker_${look.ranker}`), t("inspect.took", { ms: number(look.milliseconds, 1) })];
  return framed({ title: said.typed ? t("inspect.reading") : t("inspect.list_of", { place: maybe(`inspect.place_${look.place}`, look.place) }), note: facts.join(" · "), id: "reading" },
    said.typed ? marked(said) : null,
    (said.meanings || []).length ? h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("inspect.meanings") }, h("table", {},
      h("thead", {}, h("tr", {}, ["words", "kind", "means", "weight", "sure"].map((name) => h("th", { scope: "col", class: name === "sure" ? "num" : "" }, t(`inspect.meaning_${name}`))))),
      h("tbody", {}, said.meanings.map(meaning)))) : said.typed ? h("p", { class: "soft" }, t("inspect.plain_words")) : null,
    rows.some(([, value]) => value) ? [h("hr"), pairs(/** @type {any} */ (rows))] : null);
}

/** Where the first ten came from. @param {any} look */
function origins(look) {
  const given = look.sources.filter((/** @type {any} */ each) => each.first);
  const ruled = look.rows.filter((/** @type {any} */ row) => row.position <= 10 && row.owes === "rule").length;
  const names = [...given.map((/** @type {any} */ each) => sourceName(each.name)), ...(ruled ? [t("inspect.source_rule")] : [])];
  const values = [...given.map((/** @type {any} */ each) => each.first), ...(ruled ? [ruled] : [])];
  return framed({ title: t("inspect.origins"), note: t("inspect.origins_note"), id: "origins" }, bars({ title: t("inspect.origins"), x: names, series: [{ name: t("inspect.of_ten"), values }], across: true, height: 240 }));
}

/** Where the time went. @param {any} look */
function clock(look) {
  const stages = Object.entries(look.timings);
  return framed({ title: t("inspect.clock"), note: t("inspect.clock_note"), id: "clock" }, bars({ title: t("inspect.clock"), x: stages.map(([name]) => maybe(`inspect.lap_${name}`, name)), series: [{ name: t("inspect.milliseconds"), values: stages.map(([, ms]) => Number(ms)) }], across: true, height: 240, format: (/** @type {any} */ ms) => `${number(ms, 2)} ms` }));
}

/** What each source gave. @param {any} look */
function sources(look) {
  const most = Math.max(1e-9, ...look.sources.map((/** @type {any} */ each) => each.weight));
  return framed({ title: t("inspect.sources"), note: t(look.ranker === "learned" ? "inspect.sources_learned" : "inspect.sources_note"), id: "sources" },
    table({
      id: "sources-table", label: t("inspect.sources"), search: false, rows: look.sources, size: 40, exportName: "sources", sort: { key: "weight", down: true },
      columns: [
        { key: "name", title: t("inspect.source"), grow: 2, value: (row) => sourceName(row.name) },
        { key: "weight", title: t("inspect.weight"), kind: "number", width: 190, cell: (row) => h("span", { class: "row" }, h("span", { class: "grow" }, meter(row.weight, most, t("inspect.weight"))), number(row.weight, 3)) },
        { key: "found", title: t("inspect.found"), kind: "number" },
        { key: "scored", title: t("inspect.scored"), kind: "number" },
        { key: "first", title: t("inspect.first"), kind: "number" },
        { key: "milliseconds", title: t("inspect.milliseconds"), kind: "number" },
      ],
    }));
}

/** Every item with its places and scores. @param {any} look @param {any} route */
function items(look, route) {
  const stages = look.stages.map((/** @type {string} */ name) => ({ key: `stage_${name}`, title: stageName(name), kind: "number", width: 112, value: (/** @type {any} */ row) => row.places?.[name] ?? null, cell: (/** @type {any} */ row) => place(row, name, look.stages) }));
  const ranks = look.sources.map((/** @type {any} */ source) => ({ key: `source_${source.name}`, title: sourceName(source.name), kind: "number", width: 128, value: (/** @type {any} */ row) => row.sources?.[source.name]?.score ?? null, cell: (/** @type {any} */ row) => opinion(row.sources?.[source.name]) }));
  return framed({ title: t("inspect.items_title"), note: t("inspect.items_note"), id: "items" },
    table({
      id: "items-table", label: t("inspect.items_title"), rows: look.rows, size: 20, exportName: "inspected", onRow: (row) => detail(row, look, route),
      columns: [
        { key: "position", title: t("inspect.position"), kind: "number", width: 108, value: (row) => row.position ?? null },
        { key: "title", title: t("inspect.item"), width: 290, value: (row) => row.title || row.item, cell: (row) => thing(row, { small: true }) },
        { key: "owes", title: t("inspect.owes"), width: 150, value: (row) => (row.owes ? sourceName(row.owes) : "") },
        { key: "score", title: t("inspect.score"), kind: "number", width: 92, value: (row) => row.score ?? null },
        ...stages, ...ranks,
      ],
    }));
}

/** A place, with how far the stage moved it. @param {any} row @param {string} name @param {string[]} stages */
function place(row, name, stages) {
  const now = row.places?.[name];
  if (now == null) return h("span", { class: "soft" }, "–");
  const before = stages.slice(0, stages.indexOf(name)).reverse().map((each) => row.places?.[each]).find((each) => each != null);
  const moved = before == null ? 0 : before - now;
  return h("span", {}, number(now), moved ? h("span", { class: `delta ${moved > 0 ? "up" : "down"}` }, ` ${moved > 0 ? "▲" : "▼"}${number(Math.abs(moved))}`) : null);
}

/** A source's score and rank. @param {any} seen */
const opinion = (seen) => (seen ? h("span", {}, seen.score == null ? "–" : number(seen.score, 3), seen.rank ? h("span", { class: "soft small" }, ` #${number(seen.rank)}`) : null) : h("span", { class: "soft" }, "–"));

/** All that is known of one item on this page. @param {any} row @param {any} look @param {any} route */
function detail(row, look, route) {
  const parts = row.contributions || [];
  const most = Math.max(1e-9, ...parts.map((/** @type {any} */ each) => Math.abs(each.value)));
  dialog({
    title: row.title || row.item, wide: true,
    body: [
      pairs([[t("inspect.item_id"), row.item], [t("inspect.brand"), row.brand], [t("inspect.price"), row.price == null ? "" : money(row.price, row.currency)], [t("inspect.position"), row.position ?? t("inspect.not_listed")]]),
      row.why?.length ? [h("h3", {}, t("inspect.why")), h("ul", { class: "stack" }, row.why.map((/** @type {any} */ each) => h("li", { class: "row" }, badge(percent(each.share, 0), "info"), h("span", {}, each.text), h("span", { class: "soft small" }, sourceName(each.source)))))] : null,
      h("h3", {}, t("inspect.way")),
      h("ol", { class: "steps" }, look.stages.map((/** @type {string} */ name, /** @type {number} */ n) => h("li", {}, n ? icon("right") : null, h("span", { class: "soft" }, stageName(name)), " ", h("strong", {}, row.places?.[name] == null ? "–" : number(row.places[name]))))),
      parts.length ? [h("h3", {}, t("inspect.made")), h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("inspect.made") }, h("table", {}, h("tbody", {}, parts.map((/** @type {any} */ each) => h("tr", {}, h("td", {}, sourceName(each.name)), h("td", { class: `num delta ${each.value < 0 ? "down" : "up"}` }, `${each.value < 0 ? "−" : "+"}${number(Math.abs(each.value), 3)}`), h("td", { style: { width: "40%" } }, meter(Math.abs(each.value), most, each.name)))))))] : null,
    ],
    actions: (close) => [button(t("inspect.why_not_this"), () => (close(), route.go({ tab: "why", item: row.item }))), h("button", { type: "button", class: "button main", onclick: () => close() }, t("frame.close"))],
  });
}
