/**
 * What did merchandisers decide? All rules with their state and their conflicts, who changed what and how to take it
 * back, and the editor of one. Every rule, tab and search has an address.
 */
import { get, problemBox, send } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { ago, date, number } from "../lib/format.js";
import { badge, button, dialog, empty, framed, heading, tabs, toast } from "../lib/parts.js";
import { download, table } from "../lib/table.js";
import { t } from "../lib/words.js";
import { editor } from "./rules-editor.js";
import { history } from "./rules-history.js";
import { STATES, TONES, conflicts, stateOf, thenWords, whenWords } from "./rules-words.js";
import { bare } from "./steer-effect.js";
import { nameOf, style, things } from "./steer-parts.js";

export const title = "rules.title";

const MOST = 500;

/** @param {any} view @param {any} route */
export async function draw(view, route) {
  await style();
  const { params } = route;
  if (params.has("rule")) return editor(view, route);
  const { rules } = await get("/v1/rules");
  const named = rules.flatMap((/** @type {any} */ rule) => rule.then.flatMap((/** @type {any} */ each) => [each.item, ...(each.items || [])])).filter(Boolean);
  await things(named.slice(0, 40));
  const tab = params.get("tab") === "history" ? "history" : "list";
  const file = h("input", { type: "file", accept: "application/json,.json", class: "vh", "aria-label": t("rules.import"), tabindex: "-1" });
  file.addEventListener("change", () => file.files[0] && taken(file.files[0], rules, route).finally(() => (file.value = "")));
  view.append(
    heading(t(title), t("rules.note"),
      button(t("rules.import"), () => file.click(), { icon: "upload" }), file,
      rules.length ? button(t("rules.export"), () => download("rules.json", JSON.stringify(rules.map(bare), null, 2), "application/json"), { icon: "download" }) : null,
      h("a", { class: "button main", href: route.link({ rule: "new" }, "rules"), id: "new-rule" }, t("rules.new"))),
    tabs([{ key: "list", label: t("rules.tab_list"), count: rules.length }, { key: "history", label: t("rules.tab_history") }], tab, (key) => route.go({ tab: key === "list" ? "" : key }), t(title)));
  if (tab === "history") view.append(await history(route));
  else view.append(listed(rules, route));
}

/** @param {any[]} rules @param {any} route */
function listed(rules, route) {
  if (!rules.length) return framed({}, empty(t("rules.empty"), t("rules.empty_why"), h("div", { class: "row" }, h("a", { class: "button main", href: route.link({ rule: "new" }, "rules") }, t("rules.new")), h("a", { class: "button", href: route.link({}, "search") }, t("rules.from_search")))));
  const clashes = conflicts(rules);
  const wanted = route.params.get("state") || "";
  const of = (/** @type {string} */ state) => rules.filter((rule) => (state === "conflict" ? clashes.has(rule.id) : stateOf(rule) === state));
  const chosen = wanted ? of(wanted) : rules;
  const filters = ["", ...STATES, ...(clashes.size ? ["conflict"] : [])].map((state) =>
    h("button", { type: "button", class: `button small ${wanted === state ? "main" : ""}`, "aria-pressed": String(wanted === state), id: `state-${state || "all"}`, onclick: () => route.go({ state }) }, t(`rules.state_${state || "all"}`), h("span", { class: "count" }, number(state ? of(state).length : rules.length))));
  const ranked = rules.some((rule) => rule.priority);
  return framed({ id: "rules" }, h("div", { class: "stack" },
    h("div", { class: "row", role: "group", "aria-label": t("rules.state") }, filters),
    table({
      id: "rules-table", label: t(title), rows: chosen, exportName: "rules", onRow: (rule) => route.go({ rule: rule.id }), empty: t("rules.none_of_state"),
      columns: [
        { key: "name", title: t("rules.name"), width: 170, value: nameOf, cell: (rule) => h("a", { href: route.link({ rule: rule.id }, "rules") }, nameOf(rule)) },
        { key: "state", title: t("rules.state"), width: 165, value: (rule) => t(`rules.state_${stateOf(rule)}`), cell: (rule) => h("span", { class: "row" }, badge(t(`rules.state_${stateOf(rule)}`), TONES[stateOf(rule)]), clashes.has(rule.id) ? badge(t("rules.state_conflict"), "warn") : null) },
        { key: "when", title: t("rules.when"), grow: 2, value: whenWords, cell: (rule) => h("span", { class: "wrap" }, whenWords(rule)) },
        { key: "then", title: t("rules.then"), grow: 3, value: thenWords, cell: (rule) => h("span", { class: "wrap" }, thenWords(rule)) },
        { key: "priority", title: t("rules.priority"), kind: "number", width: 90, hide: !ranked, value: (rule) => rule.priority || 0 },
        { key: "author", title: t("rules.author"), width: 115, value: (rule) => rule.author || "" },
        { key: "updated", title: t("rules.updated"), width: 115, value: (rule) => rule.updated || "", cell: (rule) => h("span", { title: date(rule.updated) }, ago(rule.updated)) },
      ],
    })));
}

/** Rules out of a file: what is new, what would be replaced, asked before anything is written. @param {File} file @param {any[]} held @param {any} route */
async function taken(file, held, route) {
  let found;
  try {
    const read = JSON.parse(await file.text());
    found = Array.isArray(read) ? read : Array.isArray(read.rules) ? read.rules : [read];
    if (!found.length || found.length > MOST || !found.every((/** @type {any} */ each) => each && typeof each === "object" && Array.isArray(each.then))) throw new Error(t("rules.import_wrong", { most: MOST }));
  } catch (error) {
    toast(t("rules.import_unreadable", { why: String(/** @type {any} */ (error).message) }), { tone: "bad" });
    return;
  }
  const known = new Map(held.map((rule) => [rule.id, rule]));
  const replaced = found.filter((/** @type {any} */ rule) => known.has(rule.id));
  const yes = await dialog({
    title: t("rules.import"),
    body: [h("p", {}, t("rules.import_ask", { n: found.length, replaced: replaced.length })), replaced.length ? h("p", { class: "small" }, replaced.map(nameOf).join(", ")) : null],
    actions: (close) => [h("button", { type: "button", class: "button", onclick: () => close(false) }, t("frame.cancel")), h("button", { type: "button", class: "button main", autofocus: true, onclick: () => close(true) }, t("rules.import_yes", { n: found.length }))],
  });
  if (!yes) return;
  let done = 0;
  for (const rule of found) {
    const before = known.get(rule.id);
    try {
      if (before) await send("PUT", `/v1/rules/${encodeURIComponent(rule.id)}`, { ...bare(rule), version: before.version });
      else await send("POST", "/v1/rules", { ...bare(rule), version: 0 });
      done += 1;
    } catch (error) {
      await dialog({ title: t("rules.import_stopped", { done, n: found.length }), body: [h("p", {}, nameOf(rule)), problemBox(error)] });
      break;
    }
  }
  toast(t("rules.imported", { n: done }));
  route.again();
}
