/**
 * What is compared on shoppers? All experiments; one with its live reading; a new one with a plan of how long it takes.
 * `id` in the address opens one, `new` (or `edit`) the form, `state` filters the list.
 */
import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { button, card, empty, framed, heading, tabs } from "../lib/parts.js";
import { table } from "../lib/table.js";
import { t } from "../lib/words.js";
import { history, one } from "./experiments-one.js";
import { kindOf, mark, named } from "./experiments-words.js";
import { write } from "./experiments-write.js";

export const title = "experiments.title";

/** @param {any} view @param {any} route */
export async function draw(view, route) {
  const { params } = route;
  if (params.get("new") != null || params.get("edit")) return write(view, route);
  if (params.get("id")) return one(view, route);
  const found = await get("/v1/experiments");
  const add = button(t("experiments.new"), () => route.go({ new: "1" }), { kind: "main", icon: "plus", id: "new-experiment" });
  view.append(heading(t(title), t("experiments.note"), found.experiments.length ? add : null));
  if (!found.experiments.length) {
    const next = h("div", { class: "row" }, button(t("experiments.new"), () => route.go({ new: "1" }), { kind: "main", icon: "plus", id: "new-experiment" }));
    view.append(card("", empty(t("experiments.none"), t("experiments.none_why"), next)));
    return undefined;
  }
  view.append(list(found.experiments, route));
  view.append(await history("", route));
  return undefined;
}

/** @param {any[]} all @param {any} route */
function list(all, route) {
  const state = route.params.get("state") || "all";
  const count = (/** @type {string} */ each) => all.filter((kept) => each === "all" || (kept.state || "draft") === each).length;
  const items = ["all", "running", "draft", "stopped", "finished"].map((key) => ({ key, label: t(key === "all" ? "experiments.all" : `experiments.is_${key}`), count: count(key) }));
  const rows = all.filter((kept) => state === "all" || (kept.state || "draft") === state);
  const made = table({
    id: "experiments",
    exportName: "experiments",
    label: t(title),
    rows,
    sort: { key: "updated", down: true },
    onRow: (row) => route.go({ id: row.experiment.id }),
    columns: [
      { key: "id", title: t("experiments.id"), value: (row) => row.experiment.id, cell: (row) => h("a", { href: route.link({ id: row.experiment.id, state: "" }) }, row.experiment.id), grow: 2 },
      { key: "state", title: t("experiments.state"), value: (row) => row.state || "draft", cell: (row) => mark(row.state || "draft") },
      { key: "kind", title: t("experiments.kind"), value: (row) => kindOf(row.experiment) },
      { key: "arms", title: t("experiments.arms"), value: (row) => row.experiment.arms.map((/** @type {any} */ arm) => arm.name).join(", "), grow: 2 },
      { key: "metric", title: t("experiments.metric"), value: (row) => named(row.experiment.metric || "purchases") },
      { key: "started", title: t("experiments.started"), kind: "date", value: (row) => row.started || null, width: 175 },
      { key: "updated", title: t("experiments.updated"), kind: "date", width: 175 },
      { key: "why", title: t("experiments.why"), value: (row) => row.why || "", grow: 2 },
    ],
    empty: empty(t("experiments.none_here"), t("experiments.none_here_why")),
  });
  return framed({ id: "all-experiments" }, h("div", { class: "stack" }, tabs(items, state, (key) => route.go({ state: key === "all" ? "" : key }), t("experiments.state")), made));
}
