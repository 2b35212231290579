/**
 * Whom are we looking at? One pseudonymous shopper: what is known, what they did, what lists would show them and why,
 * who they are taken to be, what they agreed to; everything kept as a file, or forgotten. Each look is written down.
 */
import { get, problem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { ago } from "../lib/format.js";
import { badge, empty, field, form, framed, heading, waiting } from "../lib/parts.js";
import { table } from "../lib/table.js";
import { t } from "../lib/words.js";
import { style } from "./office-parts.js";
import { one } from "./shoppers-one.js";

export const title = "shoppers.title";

/** @param {any} view @param {any} route */
export async function draw(view, route) {
  await style();
  const id = route.params.get("id");
  if (id) return one(view, route, { id, kind: route.params.get("kind") === "session" ? "session" : "user" });
  const words = route.params.get("q") || "";
  const holder = h("div", {}, waiting(5));
  view.append(
    heading(t(title), t("shoppers.note")),
    h("p", { class: "note" }, t("shoppers.written")),
    framed({ title: t("shoppers.find") },
      form({
        fields: [h("div", { class: "fields" },
          field({ label: t("shoppers.id"), hint: t("shoppers.id_hint"), input: { name: "id", type: "search", value: words, maxlength: 256 } }),
          field({ label: t("shoppers.kind"), input: { name: "kind", value: "user", options: [["user", t("shoppers.kind_user")], ["session", t("shoppers.kind_session")]] } }))],
        submit: t("shoppers.open"),
        send: (values) => values.id.trim() && route.go({ id: values.id.trim(), kind: values.kind === "session" ? "session" : null, q: null }),
      })),
    framed({ title: t("shoppers.recent"), note: t("shoppers.recent_note") }, holder),
    trail(),
  );
  try {
    const { shoppers } = await get("/v1/shoppers", { q: words, limit: 200 });
    holder.replaceChildren(shoppers.length ? recent(shoppers, route) : empty(t("shoppers.none"), t("shoppers.none_why"), "bodega import events clicks.csv"));
  } catch (error) {
    problem(holder, error, () => route.again());
  }
}

/** @param {any[]} rows @param {any} route */
const recent = (rows, route) => table({
  id: "shoppers",
  label: t("shoppers.recent"),
  rows,
  onRow: (row) => route.go({ id: row.id, kind: row.kind === "session" ? "session" : null, q: null }),
  columns: [
    { key: "id", title: t("shoppers.id"), grow: 2, cell: (row) => h("a", { href: route.link({ id: row.id, kind: row.kind === "session" ? "session" : null, q: null }) }, row.id) },
    { key: "kind", title: t("shoppers.kind"), value: (row) => t(`shoppers.kind_${row.kind}`), cell: (row) => badge(t(`shoppers.kind_${row.kind}`), row.kind === "user" ? "info" : "") },
    { key: "last", title: t("shoppers.last"), value: (row) => row.last, cell: (row) => ago(row.last) },
    { key: "events", title: t("shoppers.events"), kind: "number" },
    { key: "purchases", title: t("shoppers.purchases"), kind: "number" },
  ],
});

/** Who looked at anybody, behind a button: it is seldom asked for. */
function trail() {
  const holder = h("div", {});
  const open = h("details", { class: "card", ontoggle: async () => {
    if (!open.open || holder.firstChild) return;
    const { looks } = await get("/v1/looks", { limit: 200 });
    holder.replaceChildren(looks.length ? looksTable(looks) : h("p", { class: "soft" }, t("shoppers.looks_none")));
  } }, h("summary", {}, t("shoppers.looks_all")), holder);
  return open;
}

/** @param {any[]} looks */
export const looksTable = (looks) => table({
  id: "looks",
  label: t("shoppers.looks"),
  rows: looks.map((each, at) => ({ ...each, at })),
  size: 10,
  columns: [
    { key: "time", title: t("shoppers.when"), kind: "date", width: 210 },
    { key: "who", title: t("shoppers.who") },
    { key: "what", title: t("shoppers.what"), value: (row) => t(`shoppers.act_${row.what}`) },
    { key: "detail", title: t("shoppers.detail") },
    { key: "about", title: t("shoppers.about"), value: (row) => row.about || "", cell: (row) => h("code", {}, (row.about || "").slice(0, 12)) },
  ],
});

