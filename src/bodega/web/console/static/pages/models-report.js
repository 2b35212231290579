/**
 * One snapshot in detail: figures with intervals, what each source is worth, how learning went, whether chances come
 * true, a map of its items, and what was decided when it was learned.
 */
import { get, problemBox } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { number, percent } from "../lib/format.js";
import { badge, empty, framed, grid, pairs, waiting } from "../lib/parts.js";
import { bars, calibration, line, scatter } from "../lib/chart.js";
import { table } from "../lib/table.js";
import { maybe, said, t } from "../lib/words.js";
import { choice } from "./office-parts.js";

const place = (/** @type {string} */ name) => maybe(`shoppers.place_${name}`, name);

/** @param {any} body @param {any} route @param {any} told @param {string} tab */
export async function report(body, route, told, tab) {
  const draws = { figures, sources, curves, calibration: reliability, map, gates };
  await /** @type {any} */ (draws)[tab](body, told, route);
}

const METRICS = ["ndcg@10", "recall@10", "hit@10", "mrr", "auc"];

/** @param {any} body @param {any} told */
function figures(body, told) {
  const judged = told.places.filter((/** @type {any} */ each) => each.cases);
  if (!judged.length) return body.append(empty(t("models.unjudged"), t("models.unjudged_why"), "bodega import events clicks.csv"));
  for (const each of judged) {
    const rows = Object.entries(each.figures).map(([name, values]) => ({ name, ...(/** @type {any} */ (values)) }));
    body.append(framed({ title: place(each.place), note: t("models.figures_note", { n: each.cases }) },
      table({
        id: `figures-${each.place}`,
        label: place(each.place),
        rows,
        search: false,
        sort: { key: "ndcg_10", down: true },
        columns: [
          { key: "name", title: t("models.col_model"), grow: 2, cell: (row) => h("span", { class: "row" }, maybe(`models.row_${row.name}`, row.name), row.name === servedAs(each) ? badge(t("models.served"), "good") : null, row.name === "popular" ? badge(t("models.baseline")) : null) },
          ...METRICS.filter((name) => rows.some((row) => name in row)).map((name) => ({
            key: name.replaceAll(/\W/g, "_"), title: t(`models.metric_${name.replaceAll(/\W/g, "_")}`), kind: /** @type {"number"} */ ("number"), value: (/** @type {any} */ row) => row[name] ?? null,
            cell: (/** @type {any} */ row) => {
              const [low, high] = each.intervals?.[row.name]?.[name] || [];
              return h("span", {}, number(row[name], 3), low == null ? null : [h("br"), h("span", { class: "soft small" }, `${number(low, 3)}–${number(high, 3)}`)]);
            },
          })),
        ],
      }),
      h("p", { class: "soft small" }, each.verdict)));
  }
}

/** @param {any} each */
const servedAs = (each) => ("ranked" in each.figures ? "ranked" : each.chosen in each.figures ? each.chosen : "fusion");

/** @param {any} body @param {any} told */
function sources(body, told) {
  if (!told.places.length) return figures(body, told);
  for (const each of told.places) {
    const names = Object.keys(each.weights || {});
    if (!names.length) continue;
    const without = each.without || {};
    const lost = Object.keys(without);
    body.append(framed({ title: place(each.place), note: t(lost.length ? "models.sources_note" : "models.sources_alone") }, grid(
      bars({ title: t("models.weights_of", { place: place(each.place) }), x: names, series: [{ name: t("models.weight"), values: names.map((name) => each.weights[name]) }], across: true }),
      lost.length ? h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("models.without") }, h("table", {},
        h("caption", { class: "vh" }, t("models.without")),
        h("thead", {}, h("tr", {}, ["source", "loses", "verdict"].map((name) => h("th", { scope: "col" }, t(`models.col_${name}`))))),
        h("tbody", {}, lost.map((name) => {
          const [mean, low, high] = without[name];
          return h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, `${mean > 0 ? "−" : "+"}${number(Math.abs(mean), 4)} `, h("span", { class: "soft small" }, `(${number(low, 4)}–${number(high, 4)})`)), h("td", {}, low > 0 ? badge(t("models.needed"), "good") : high < 0 ? badge(t("models.harms"), "bad") : badge(t("models.unsure"))));
        })))) : h("p", { class: "soft" }, t("models.without_none")))));
  }
  const encoders = Object.entries(told.encoders || {});
  if (encoders.length) body.append(framed({ title: t("models.encoders"), note: t("models.encoders_note") }, pairs(encoders.map(([name, info]) => [name, `${info.name}, ${info.dimensions} d, ${info.origin || ""}`]))));
}

/** @param {any} body @param {any} told */
function curves(body, told) {
  const made = [];
  for (const [name, held] of Object.entries(told.curves || {}))
    for (const [what, values] of Object.entries(held))
      if (values.length) made.push(framed({ title: `${name}: ${maybe(`models.curve_${what.replaceAll(/\W/g, "_")}`, what)}`, note: t("models.curve_epochs") }, line({ title: `${name} ${what}`, x: values.map((/** @type {number} */ _, /** @type {number} */ at) => String(at + 1)), series: [{ name: what, values }], xName: t("models.epoch"), format: (v) => number(v, 3), from0: false })));
  for (const each of told.places)
    for (const [kind, held] of Object.entries(each.curves || {})) {
      const stages = Object.keys(held).sort((a, b) => Number(a) - Number(b));
      made.push(framed({ title: `${place(each.place)}: ${maybe(`models.kind_${kind}`, kind)}`, note: t("models.curve_stages") }, line({ title: `${each.place} ${kind}`, x: stages, series: [{ name: "NDCG@10", values: stages.map((stage) => held[stage]) }], xName: t("models.stage"), format: (v) => number(v, 4), from0: false })));
    }
  body.append(made.length ? grid(made) : empty(t("models.no_curves"), t("models.no_curves_why"), "bodega learn"));
}

/** @param {any} body @param {any} told */
function reliability(body, told) {
  const known = told.places.filter((/** @type {any} */ each) => each.reliability?.bins?.length);
  if (!known.length) return body.append(empty(t("models.no_calibration"), t("models.no_calibration_why"), "bodega learn"));
  body.append(h("p", { class: "note" }, t("models.calibration_note")));
  body.append(grid(known.map((/** @type {any} */ each) => {
    const held = each.reliability;
    return framed({ title: place(each.place), note: t("models.calibration_of", { of: held.of, n: held.taken, rows: number(held.rows) }) },
      calibration({ title: t("models.calibration_title", { place: place(each.place) }), bins: held.bins.map((/** @type {any} */ bin) => ({ foretold: bin.promised, seen: bin.happened, n: bin.rows, low: bin.low, high: bin.high })), xName: t("models.promised"), yName: t("models.happened") }),
      pairs([[t("models.ece"), h("span", {}, number(held.error, 5), " ", h("span", { class: "soft small" }, t("office.interval", { low: number(held.low, 5), high: number(held.high, 5) })))], [t("models.brier"), number(held.brier, 5)], [t("models.base_rate"), percent(held.taken / held.rows, 2)]]));
  })));
}

/** @param {any} body @param {any} told @param {any} route */
async function map(body, told, route) {
  const source = told.maps.includes(route.params.get("source")) ? route.params.get("source") : "";
  const holder = h("div", {}, waiting(5));
  body.append(framed({ title: t("models.map"), note: t("models.map_note"), actions: told.maps.length > 1 ? choice(route, { name: "source", label: t("models.map_source"), value: source, options: [["", t("models.map_default")], ...told.maps.map((/** @type {string} */ name) => [name, name])] }) : null }, holder));
  try {
    const found = await get("/v1/models/map", { snapshot: told.line.id, source });
    const points = found.points.map((/** @type {any[]} */ [x, y, group, id, name]) => ({ x, y, group: found.groups[group] || t("models.map_rest"), name: `${name} (${id})` }));
    holder.replaceChildren(points.length ? scatter({ title: t("models.map"), points, xName: t("models.map_x"), yName: t("models.map_y"), height: 560 }) : empty(t("models.map_none"), t("models.map_none_why")),
      h("p", { class: "soft small" }, t("models.map_says", { source: found.source, share: percent(found.shown, 0), n: points.length, of: found.of })));
  } catch (error) {
    holder.replaceChildren(problemBox(error));
  }
}

/** @param {any} body @param {any} told @param {any} route */
function gates(body, told, route) {
  body.append(framed({ title: t("models.gates_title"), note: t("models.gates_note") }, told.gates.length
    ? h("div", {}, told.gates.map((/** @type {any} */ gate) => h("div", { class: `gate ${gate.passed ? "passed" : "kept"}` }, icon(gate.passed ? "check" : "minus"),
      h("div", {}, h("strong", {}, `${place(gate.place)}: ${maybe(`models.gate_${gate.name.replaceAll(" ", "_")}`, gate.name)}`), " ", badge(t(gate.passed ? "models.gate_passed" : "models.gate_kept"), gate.passed ? "good" : "warn"), h("p", { class: "soft small" }, said({ code: `decided.${gate.name.replaceAll(" ", "_")}_${gate.passed ? "yes" : "no"}`, text: gate.why }))))))
    : empty(t("models.gates_none"), t("models.unjudged_why"), "bodega learn")));
  body.append(h("p", { class: "note" }, h("span", {}, t("models.gates_loop"), " ", h("a", { href: route.link({}, "loop") }, t("models.gates_loop_link")))));
}
