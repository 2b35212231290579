/**
 * What was learned, is it good, and which of it is served? Every snapshot beside its baselines; one of them in detail;
 * promotion and rollback, which say what will happen and are written down; what `learn` published or refused, and why.
 */
import { get, problem, send } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { ago, date, number, short } from "../lib/format.js";
import { badge, button, confirm, empty, framed, heading, stat, toast, waiting } from "../lib/parts.js";
import { table } from "../lib/table.js";
import { maybe, t } from "../lib/words.js";
import { style, views, within } from "./office-parts.js";
import { report } from "./models-report.js";

export const title = "models.title";

/** @param {any} view @param {any} route */
export async function draw(view, route) {
  const [held] = await Promise.all([get("/v1/models"), style()]);
  const served = held.snapshots.find((/** @type {any} */ each) => each.current);
  view.append(heading(t(title), t("models.note")));
  if (!held.snapshots.length) return view.append(empty(t("models.none"), t("models.none_why"), "bodega learn"));
  const chosen = held.snapshots.find((/** @type {any} */ each) => each.id === route.params.get("snapshot")) || served || held.snapshots[0];
  const { chosen: tab, row } = views(route, [["snapshots", t("models.snapshots"), held.snapshots.length], ["figures", t("models.figures")], ["sources", t("models.sources")], ["curves", t("models.curves")], ["calibration", t("models.calibration")], ["map", t("models.map")], ["gates", t("models.gates")]], t("models.views"));
  const body = h("div", { class: "stack", role: "tabpanel", "aria-labelledby": `tab-${tab}` });
  view.append(row, body);
  if (tab === "snapshots") return snapshots(body, route, held);
  body.append(picker(route, held.snapshots, chosen), waiting(4));
  try {
    const told = await get("/v1/models/report", { snapshot: chosen.id });
    body.lastChild.remove();
    await report(body, route, told, tab);
  } catch (error) {
    problem(body, error, () => route.again());
  }
}

/** @param {any} route @param {any[]} all @param {any} chosen */
const picker = (route, all, chosen) =>
  h("label", { class: "choice" }, h("span", { class: "soft small" }, t("models.snapshot")),
    h("select", { name: "snapshot", id: "choice-snapshot", value: chosen.id, onchange: (/** @type {any} */ event) => route.go({ snapshot: event.target.value }) }, all.map((each) => h("option", { value: each.id }, `${each.id} · ${date(each.time)}${each.current ? ` · ${t("models.served")}` : ""}`))));

/** @param {any} body @param {any} route @param {any} held */
async function snapshots(body, route, held) {
  const served = held.snapshots.find((/** @type {any} */ each) => each.current);
  if (served) body.append(
    h("div", { class: "stats" },
      stat({ label: t("models.served"), value: served.id.slice(0, 8), note: ago(served.time) }),
      stat({ label: t("models.items"), value: short(served.items), note: number(served.items) }),
      stat({ label: t("models.events"), value: short(served.events), note: served.until ? t("models.until", { date: date(served.until, { day: true }) }) : "" }),
      stat({ label: t("models.size"), value: t("models.megabytes", { n: Math.round(served.bytes / 1e6) }) })));
  const places = [...new Set(held.snapshots.flatMap((/** @type {any} */ each) => each.places.map((/** @type {any} */ one) => one.place)))];
  body.append(framed({ title: t("models.snapshots"), note: t("models.snapshots_note") }, table({
    id: "snapshots",
    label: t("models.snapshots"),
    rows: held.snapshots,
    search: false,
    sort: { key: "time", down: true },
    columns: [
      { key: "id", title: t("models.snapshot"), grow: 3, width: 190, cell: (row) => h("span", { class: "row" }, h("a", { href: route.link({ view: "figures", snapshot: row.id }) }, row.id), row.current ? badge(t("models.served"), "good") : null) },
      { key: "time", title: t("models.learned"), kind: "date", width: 210 },
      ...places.map((place) => ({ key: `p_${place}`, title: maybe(`shoppers.place_${place}`, String(place)), kind: /** @type {"number"} */ ("number"), value: (/** @type {any} */ row) => row.places.find((/** @type {any} */ one) => one.place === place)?.value ?? null, cell: (/** @type {any} */ row) => number(row.places.find((/** @type {any} */ one) => one.place === place)?.value, 3) })),
      { key: "act", title: t("models.act"), sort: false, width: 150, value: () => "", cell: (row) => (row.current ? h("span", { class: "soft small" }, t("models.served")) : button(t(later(row, served) ? "models.promote" : "models.rollback"), () => change(row, served, route), { icon: later(row, served) ? "up" : "undo" })) },
    ],
  })));
  if (served?.places.length) body.append(framed({ title: t("models.beside"), note: t("models.beside_note") }, besides(served.places)));
  body.append(await history());
}

/** @param {any} row @param {any} served */
const later = (row, served) => !served || row.time > served.time;

/** What is served beside what is popular and the best single source. @param {any[]} places */
export const besides = (places) => h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("models.beside") }, h("table", {},
  h("thead", {}, h("tr", {}, ["place", "served_as", "ndcg", "popular", "best", "cases"].map((name) => h("th", { scope: "col" }, t(`models.col_${name}`))))),
  h("tbody", {}, places.map((each) => h("tr", {},
    h("th", { scope: "row" }, maybe(`shoppers.place_${each.place}`, each.place)),
    h("td", {}, maybe(`models.row_${each.served}`, each.served)),
    h("td", {}, within(each.value, each.low, each.high)),
    h("td", { class: "num" }, number(each.baseline, 3)),
    h("td", {}, `${each.best} ${number(each.best_value, 3)}`),
    h("td", { class: "num" }, number(each.cases)))))));

/** @param {any} row @param {any} served @param {any} route */
async function change(row, served, route) {
  const forward = later(row, served);
  const yes = await confirm({
    title: t(forward ? "models.promote_title" : "models.rollback_title", { id: row.id.slice(0, 8) }),
    text: h("div", { class: "stack" }, h("p", {}, t("models.switch_text", { from: served?.id.slice(0, 8) || "–", to: row.id.slice(0, 8), learned: date(row.time) })), h("p", {}, t("models.switch_undo"))),
    yes: t(forward ? "models.promote" : "models.rollback"),
  });
  if (!yes) return;
  await to(row.id, served.id);
  toast(t("models.switched", { id: row.id.slice(0, 8) }), { undo: async () => {
    await to(served.id, row.id);
    route.again();
  } });
  route.again();
}

/** @param {string} snapshot @param {string} seen */
async function to(snapshot, seen) {
  try {
    return await send("POST", "/v1/models/switch", { snapshot, seen });
  } catch (error) {
    const told = /** @type {any} */ (error);
    toast([told.what, told.next].filter(Boolean).join(" "), { tone: "bad" });
    throw error;
  }
}

/** What was published, refused and switched. */
async function history() {
  const { lines } = await get("/v1/models/trail", { limit: 100 });
  return framed({ title: t("models.history"), note: t("models.history_note") }, lines.length
    ? table({
      id: "model-history",
      label: t("models.history"),
      rows: lines.map((/** @type {any} */ each, /** @type {number} */ at) => ({ ...each, at })),
      size: 10,
      columns: [
        { key: "time", title: t("shoppers.when"), kind: "date", width: 210 },
        { key: "what", title: t("shoppers.what"), width: 120, value: (row) => t(`models.act_${row.what}`), cell: (row) => badge(t(`models.act_${row.what}`), row.what === "refuse" ? "bad" : row.what === "rollback" ? "warn" : "good") },
        { key: "who", title: t("shoppers.who") },
        { key: "about", title: t("models.snapshot"), width: 170, value: (row) => row.about || "" },
        { key: "detail", title: t("shoppers.detail"), grow: 3, value: (row) => row.detail || "" },
      ],
    })
    : h("p", { class: "soft" }, icon("info"), " ", t("models.history_none")));
}
