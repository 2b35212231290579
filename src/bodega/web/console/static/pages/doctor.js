/**
 * What keeps products from being found? The last examination of the catalog: its score and parts, findings with fixes,
 * the worst items, twins, missing pictures, and what was mined of texts, to accept or reject. An examination is a job.
 */
import { get, problem, send } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { money, number, percent } from "../lib/format.js";
import { badge, empty, framed, grid, heading, meter, stat, waiting } from "../lib/parts.js";
import { bars } from "../lib/chart.js";
import { table } from "../lib/table.js";
import { maybe, t } from "../lib/words.js";
import { choice, jobLine, scoreBadge, style, views } from "./office-parts.js";
import { facts } from "./doctor-facts.js";

export const title = "doctor.title";

const PARTS = ["title", "words", "category", "price", "picture", "text", "attributes", "found", "shown"];
const TONES = { error: "bad", warning: "warn", note: "info" };

/** @param {any} view @param {any} route */
export async function draw(view, route) {
  const [found] = await Promise.all([get("/v1/doctor"), style()]);
  const line = jobLine({
    job: found.job,
    time: found.time,
    label: t("doctor.run"),
    run: () => send("POST", "/v1/doctor/run", {}),
    look: async () => (await get("/v1/doctor")).job,
    done: () => route.again(),
  });
  const { chosen, row } = views(route, [
    ["overview", t("doctor.overview")],
    ["items", t("doctor.items"), found.counts && found.time ? Math.max(0, ...Object.values(found.counts).map(Number)) : undefined],
    ["pictures", t("doctor.pictures"), found.counts?.picture],
    ["twins", t("doctor.twins"), found.time ? (found.twins.title || 0) + (found.twins.picture || 0) : undefined],
    ["facts", t("doctor.facts")],
    ["conflicts", t("doctor.conflicts")],
  ], t("doctor.views"));
  const body = h("div", { class: "stack", role: "tabpanel", "aria-labelledby": `tab-${chosen}` });
  view.append(heading(t(title), t("doctor.note")), line, row, body);
  if (chosen === "facts" || chosen === "conflicts") await facts(body, route, chosen === "conflicts");
  else if (!found.time) body.append(empty(t("doctor.none"), t("doctor.none_why"), "bodega doctor"));
  else if (chosen === "overview") overview(body, route, found);
  else if (chosen === "twins") await twins(body, route, found);
  else await offenders(body, route, chosen === "pictures" ? "picture" : "");
  return () => line.stop();
}

/** @param {any} body @param {any} route @param {any} found */
function overview(body, route, found) {
  const shop = found.shop;
  body.append(
    h("div", { class: "stats" },
      stat({ label: t("doctor.score"), value: number(shop.score, 1), note: t("doctor.score_note", { low: number(shop.low, 1), high: number(shop.high, 1) }), tone: shop.score >= 80 ? "good" : shop.score >= 60 ? "warn" : "bad" }),
      stat({ label: t("doctor.examined"), value: number(found.n_items), note: t("doctor.looked_up", { n: found.looked_up }) }),
      stat({ label: t("doctor.hygiene"), value: number(found.diagnosis.score), note: t("doctor.hygiene_note") }),
      stat({ label: t("doctor.part_found"), value: shop.parts.found == null ? "–" : percent(shop.parts.found), note: t("doctor.found_note") }),
    ),
    grid(
      framed({ title: t("doctor.parts"), note: t("doctor.parts_note") },
        h("ul", { class: "part-list" }, PARTS.filter((name) => name in shop.parts).map((name) =>
          h("li", {},
            h("button", { type: "button", class: "link", onclick: () => route.go({ view: "items", part: name }) }, t(`doctor.part_${name}`)),
            meter(shop.parts[name], 1, percent(shop.parts[name])),
            h("span", { class: "num" }, percent(shop.parts[name], 0)),
            h("span", { class: "soft small" }, t("doctor.part_weight", { weight: found.weights[name], n: found.counts[name] || 0 })))))),
      framed({ title: t("doctor.histogram"), note: t("doctor.histogram_note") },
        bars({ title: t("doctor.histogram"), x: shop.histogram.map((/** @type {number} */ _, /** @type {number} */ at) => `${at * 10}–${at * 10 + 10}`), series: [{ name: t("doctor.items"), values: shop.histogram }], xName: t("doctor.score") })),
    ),
    framed({ title: t("doctor.findings"), note: t("doctor.findings_note") },
      found.diagnosis.findings.length
        ? h("ul", { class: "findings" }, found.diagnosis.findings.map(finding))
        : empty(t("doctor.healthy"), t("doctor.healthy_why"))),
  );
}

/** @param {any} one */
const finding = (one) => h("li", {},
  h("div", { class: "row" }, badge(t(`doctor.severity_${one.severity}`), /** @type {any} */ (TONES)[one.severity]), h("strong", {}, maybe(`doctor.code_${one.code}`, one.title)), h("span", { class: "soft small" }, t("doctor.of", { n: one.count, of: one.of }))),
  one.fix ? h("p", {}, maybe(`doctor.fix_${one.code}`, one.fix)) : null,
  one.examples?.length ? h("ul", { class: "soft small" }, one.examples.slice(0, 3).map((/** @type {any} */ each) => h("li", {}, [each.title || each.id, each.detail].filter(Boolean).join(" · ")))) : null);

/** @param {any} body @param {any} route @param {string} fixed a part that is looked at alone */
async function offenders(body, route, fixed) {
  const part = fixed || route.params.get("part") || "all";
  const holder = h("div", {}, waiting(4));
  body.append(framed({
    title: t(fixed ? "doctor.missing_pictures" : "doctor.worst"),
    note: t(fixed ? "doctor.missing_pictures_note" : "doctor.worst_note"),
    actions: fixed ? null : choice(route, { name: "part", label: t("doctor.part"), value: part, options: [["all", t("doctor.part_all")], .../** @type {[string, string][]} */ (PARTS.map((name) => [name, t(`doctor.part_${name}`)]))] }),
  }, holder));
  try {
    const { items } = await get("/v1/doctor/offenders", { part });
    holder.replaceChildren(items.length ? worst(items) : empty(t("doctor.all_well"), t("doctor.all_well_why")));
  } catch (error) {
    problem(holder, error, () => route.again());
  }
}

/** @param {any[]} items */
const worst = (items) => table({
  id: "offenders",
  exportName: "catalog-doctor",
  label: t("doctor.worst"),
  rows: items,
  columns: [
    { key: "score", title: t("doctor.score"), kind: "number", width: 130, cell: (row) => scoreBadge(row.score) },
    { key: "title", title: t("doctor.item"), grow: 3, cell: (row) => h("span", {}, row.title || h("em", { class: "soft" }, t("doctor.untitled")), h("br"), h("span", { class: "soft small" }, row.id)) },
    { key: "category", title: t("doctor.part_category"), grow: 2 },
    { key: "worst", title: t("doctor.lacks"), grow: 2, value: (row) => lacking(row).map((name) => t(`doctor.part_${name}`)).join(", "), cell: (row) => h("span", { class: "row" }, lacking(row).slice(0, 4).map((name) => badge(t(`doctor.part_${name}`), row.parts[name] ? "warn" : "bad"))) },
    { key: "todo", title: t("doctor.todo"), grow: 3, value: (row) => todo(row), cell: (row) => h("span", { class: "wrapped" }, todo(row)) },
  ],
});

/** The parts that cost this item most. @param {any} row @returns {string[]} */
const lacking = (row) => PARTS.filter((name) => name in row.parts && row.parts[name] < 1).sort((a, b) => row.parts[a] - row.parts[b]);

/** @param {any} row */
function todo(row) {
  const first = lacking(row)[0];
  if (!first) return "";
  if (first === "attributes" && row.missing?.length) return t("doctor.todo_attributes_named", { names: row.missing.join(", ") });
  return t(`doctor.todo_${first}`);
}

/** @param {any} body @param {any} route @param {any} found */
async function twins(body, route, found) {
  const by = route.params.get("by") === "picture" ? "picture" : "title";
  const holder = h("div", {}, waiting(4));
  body.append(framed({
    title: t("doctor.twins"),
    note: t("doctor.twins_note"),
    actions: choice(route, { name: "by", label: t("doctor.twins_by"), value: by, options: [["title", `${t("doctor.twins_title")} (${number(found.twins.title || 0)})`], ["picture", `${t("doctor.twins_picture")} (${number(found.twins.picture || 0)})`]] }),
  }, holder));
  const { groups, total } = await get("/v1/doctor/twins", { by, limit: 100 });
  if (!groups.length) return holder.replaceChildren(empty(t("doctor.twins_none"), t(by === "picture" ? "doctor.twins_none_pictures" : "doctor.twins_none_why"), by === "picture" ? "bodega pictures" : null));
  holder.replaceChildren(
    groups.length < total ? h("p", { class: "soft small" }, t("doctor.twins_shown", { n: groups.length, all: total })) : "",
    h("ul", { class: "twins" }, groups.map((/** @type {any} */ group) => h("li", {},
      h("div", { class: "row" }, badge(t("doctor.twins_alike", { share: percent(group.likeness, 0) }), "info"), h("span", { class: "soft small" }, t("doctor.twins_size", { n: group.size || group.items.length }))),
      h("ol", {}, group.items.slice(0, 8).map((/** @type {any} */ one) => h("li", { class: "row" }, h("span", { class: "grow" }, one.title || one.id), h("span", { class: "soft small" }, one.id), h("span", { class: "num" }, one.price == null ? "" : money(one.price)))))))));
}
