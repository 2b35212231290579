/**
 * What can be set, and what would change? Forms made from the settings' own types: limits, choices and the text under each key
 * come from the server, which also checks every change by loading the whole tree with it. Before anything is saved, the lines of
 * `bodega.toml` that change are shown, and when the change takes effect.
 */
import { get, send } from "../lib/api.js";
import { byId, h, later } from "../lib/dom.js";
import { ago, date } from "../lib/format.js";
import { badge, button, confirm, dialog, empty, framed, heading, tabs, toast } from "../lib/parts.js";
import { maybe, t } from "../lib/words.js";

export const title = "settings.title";

/** @typedef {{key: string, kind: string, about: string, value: any, default: any, source: string, takes_effect: string, choices: string[],
 *  least: number | null, above: number | null, most: number | null}} Choice */

/** What was changed and is not saved yet; it outlives a look at another table. @type {Map<string, any>} */
const draft = new Map();
let drafted = "";

/** @param {any} view @param {import("../app.js").Route} route */
export async function draw(view, route) {
  const tab = route.params.get("tab") === "history" ? "history" : "forms";
  view.append(heading(t(title), t("settings.note")));
  const held = await get("/v1/settings");
  if (drafted !== held.version) draft.clear();
  drafted = held.version;
  view.append(
    tabs([{ key: "forms", label: t("settings.forms") }, { key: "history", label: t("settings.history") }], tab, (key) => route.go({ tab: key === "forms" ? "" : key })));
  if (tab === "history") return history(view, route, held);
  const table = route.params.get("table") || "";
  const words = (route.params.get("q") || "").trim().toLowerCase();
  const finder = h("input", { type: "search", id: "settings-find", value: words, placeholder: t("settings.find"), "aria-label": t("settings.find"), autocomplete: "off" });
  finder.addEventListener("input", later(() => route.go({ q: finder.value }, { replace: true }), 250));
  const has = (/** @type {Choice} */ each) => `${each.key} ${each.about} ${about(each)}`.toLowerCase().includes(words);
  const shown = held.tables.filter((/** @type {any} */ each) => (words ? each.choices.some(has) : each.name === table));
  const nav = h("nav", { class: "settings-nav", "aria-label": t("settings.tables") }, held.tables.map((/** @type {any} */ each) => {
    const set = each.choices.filter((/** @type {Choice} */ choice) => choice.source !== "default").length;
    return h("a", { href: route.link({ table: each.name, q: "" }), "aria-current": !words && each.name === table ? "true" : null }, each.name || t("settings.top"), set ? h("span", { class: "count", title: t("settings.set_here", { n: set }) }, set) : null);
  }));
  const bar = h("div", { class: "save-bar", hidden: true });
  const tick = () => fill(bar, held, route);
  view.append(h("div", {}, finder), h("div", { class: "settings" }, nav, h("div", { class: "stack" },
    shown.length ? shown.map((/** @type {any} */ each) => framed({ title: each.name ? `[${each.name}]` : t("settings.top"), note: prose(maybe(shared(`help.table.${each.name}`), each.about)) }, each.choices.filter((/** @type {Choice} */ choice) => !words || has(choice)).map((/** @type {Choice} */ choice) => setting(choice, tick)))) : framed({}, empty(t("settings.found_none"), t("settings.found_none_why"))),
    bar)));
  tick();
}

/** What a key is for; places share their texts. @param {Choice} choice */
const about = (choice) => maybe(shared(`help.${choice.key}`), choice.about);

/** @param {string} key */
const shared = (key) => key.replace(/^help\.(table\.)?(diversity|explore)\.(?!keep_days)[a-z]+/, "help.$1$2.*");

/** A text of the source: what stands between backticks is code. @param {string} text */
const prose = (text) => text.split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part));

/** One key. @param {Choice} choice @param {() => void} tick */
function setting(choice, tick) {
  const id = `set-${choice.key}`;
  const fixed = choice.source === "environment" || choice.kind === "table";
  const now = () => (draft.has(choice.key) ? draft.get(choice.key) : choice.value);
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, role: "alert", hidden: true });
  const input = control(choice, id, now() ?? choice.default, fixed);
  const row = h("div", { class: draft.has(choice.key) ? "setting changed" : "setting", "data-key": choice.key });
  const back = button(t("settings.to_default"), () => change(null), { kind: "quiet small" });
  const change = (/** @type {any} */ value) => {
    wrong.hidden = true;
    if (same(value ?? choice.default, choice.value) && !(value === null && choice.source === "file")) draft.delete(choice.key);
    else draft.set(choice.key, value);
    if (value === null) show(input, choice, choice.default);
    row.classList.toggle("changed", draft.has(choice.key));
    back.hidden = fixed || (choice.source === "default" && !draft.has(choice.key)) || draft.get(choice.key) === null;
    tick();
  };
  input.addEventListener("change", () => {
    const read = valueOf(input, choice);
    if (read === undefined) {
      wrong.textContent = t("settings.no_number");
      wrong.hidden = false;
      return;
    }
    change(read);
  });
  back.hidden = fixed || choice.source === "default";
  row.append(
    h("div", {}, h("div", { class: "row" }, h("label", { class: "setting-name", for: id }, choice.key), choice.source === "environment" ? badge(t("settings.by_environment"), "warn") : choice.source === "file" ? badge(t("settings.by_file"), "info") : null),
      h("p", { class: "soft small", id: `${id}-about` }, prose(about(choice))),
      choice.source === "environment" ? h("p", { class: "small" }, t("settings.environment", { name: `BODEGA_${choice.key.toUpperCase().replaceAll(".", "_")}` })) : null, wrong),
    h("div", { class: "stack" }, input, h("div", { class: "row" }, badge(t(`settings.effect_${choice.takes_effect}`), choice.takes_effect === "now" ? "good" : choice.takes_effect === "restart" ? "warn" : ""), back)));
  return row;
}

/** @param {Choice} choice @param {string} id @param {any} value @param {boolean} fixed */
function control(choice, id, value, fixed) {
  const props = { id, disabled: fixed, "aria-describedby": `${id}-about ${id}-wrong` };
  if (choice.kind === "table") return h("pre", { ...props, class: "code-box" }, JSON.stringify(value, null, 1));
  if (choice.kind === "switch") return h("input", { ...props, type: "checkbox", checked: Boolean(value) });
  if (choice.kind === "choice") return h("select", { ...props, value: String(value) }, choice.choices.map((each) => h("option", { value: each }, each)));
  if (choice.kind === "integer" || choice.kind === "number") return h("input", { ...props, type: "number", value: String(value), min: choice.least ?? choice.above, max: choice.most, step: choice.kind === "integer" ? "1" : "any" });
  return h("input", { ...props, type: "text", value: Array.isArray(value) ? value.join(", ") : String(value ?? ""), autocomplete: "off", spellcheck: "false" });
}

/** @param {any} input @param {Choice} choice @returns {any} undefined: not readable */
function valueOf(input, choice) {
  if (choice.kind === "switch") return input.checked;
  if (choice.kind === "integer" || choice.kind === "number") return input.value === "" || Number.isNaN(Number(input.value)) ? undefined : Number(input.value);
  if (choice.kind === "list") return input.value.split(",").map((/** @type {string} */ each) => each.trim()).filter(Boolean);
  return input.value;
}

/** @param {any} input @param {Choice} choice @param {any} value */
function show(input, choice, value) {
  if (choice.kind === "switch") input.checked = Boolean(value);
  else input.value = Array.isArray(value) ? value.join(", ") : String(value ?? "");
}

/** @param {any} one @param {any} other */
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** @param {any} bar @param {any} held @param {any} route */
function fill(bar, held, route) {
  bar.hidden = !draft.size;
  bar.replaceChildren(h("strong", { role: "status" }, t("settings.unsaved", { n: draft.size })), h("div", { class: "row" },
    button(t("settings.discard"), () => { draft.clear(); route.again(); }), button(t("settings.review"), () => review(held, route), { kind: "main" })));
}

/** What would change, before it does. @param {any} held @param {any} route */
async function review(held, route) {
  const changes = Object.fromEntries(draft);
  let told;
  try {
    told = await send("POST", "/v1/settings/check", { changes, version: held.version });
  } catch (error) {
    const where = /** @type {any} */ (error).where;
    const row = document.querySelector(`[data-key="${CSS.escape(where || "")}"]`);
    if (row) {
      const wrong = byId(`set-${where}-wrong`);
      wrong.textContent = /** @type {any} */ (error).what;
      wrong.hidden = false;
      byId(`set-${where}`)?.focus();
    }
    toast(`${where ? `${where}: ` : ""}${/** @type {any} */ (error).what}`, { tone: "bad" });
    return;
  }
  if (!told.differences.length) {
    draft.clear();
    toast(t("settings.same"));
    return route.again();
  }
  const yes = await dialog({
    title: t("settings.review_title"), wide: true,
    body: [differences(told.differences), h("h3", {}, held.file), diff(told.lines)],
    actions: (close) => [h("button", { type: "button", class: "button", onclick: () => close(false) }, t("frame.cancel")), h("button", { type: "button", class: "button main", onclick: () => close(true) }, t("settings.save"))],
  });
  if (yes) await save(changes, held.version, route);
}

/** @param {Record<string, any>} changes @param {string} version @param {any} route */
async function save(changes, version, route) {
  try {
    const done = await send("PUT", "/v1/settings", { changes, version });
    draft.clear();
    const latest = ["restart", "learn", "now"].find((when) => done.differences.some((/** @type {any} */ each) => each.takes_effect === when));
    toast(t(`settings.saved_${latest || "now"}`));
  } catch (error) {
    toast(/** @type {any} */ (error).what, { tone: "bad" });
  }
  route.again();
}

/** @param {any} value */
const said = (value) => (value === "" ? "“”" : Array.isArray(value) ? value.join(", ") || "[]" : typeof value === "object" ? JSON.stringify(value) : String(value));

/** @param {{key: string, before: any, after: any, takes_effect?: string}[]} rows */
const differences = (rows) => h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("settings.review_title") }, h("table", {}, h("thead", {}, h("tr", {}, ["key", "before", "after", "effect"].map((each) => h("th", { scope: "col" }, t(`settings.col_${each}`))))),
  h("tbody", {}, rows.map((each) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, each.key)), h("td", {}, said(each.before)), h("td", {}, h("strong", {}, said(each.after))), h("td", {}, each.takes_effect ? t(`settings.effect_${each.takes_effect}`) : ""))))));

/** @param {string[]} lines */
const diff = (lines) => h("div", { class: "diff", role: "group", "aria-label": t("settings.diff"), tabindex: "0" }, lines.map((line) => h("div", { class: line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : "" }, line || " ")));

/** @param {any} view @param {any} route @param {any} held */
async function history(view, route, held) {
  const { lines } = await get("/v1/audit", { area: "settings", limit: 200 });
  if (!lines.length) return void view.append(framed({}, empty(t("settings.history_none"), t("settings.history_none_why"))));
  view.append(h("div", { class: "stack" }, lines.map((/** @type {any} */ line) => framed({
    title: t("settings.changed_by", { who: line.who, ago: ago(line.time) }), note: date(line.time),
    actions: button(t("settings.put_back"), async () => {
      const before = Object.fromEntries(Object.keys(line.after || {}).map((key) => [key, line.before?.[key] ?? null]));
      if (await confirm({ title: t("settings.put_back_sure"), text: differences(Object.keys(before).map((key) => ({ key, before: line.after[key], after: before[key] }))), yes: t("settings.put_back") })) await save(before, held.version, route);
    }, { icon: "undo" }),
  }, differences(Object.keys(line.after || {}).map((key) => ({ key, before: line.before?.[key], after: line.after[key] })))))));
}
