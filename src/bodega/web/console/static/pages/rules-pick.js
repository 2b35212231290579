/**
 * How are items, words and fields chosen? A box that finds items as one types (arrow keys, Enter), words as chips, and
 * filters by field. Each calls `changed` with its new value and knows nothing of rules.
 */
import { get } from "../lib/api.js";
import { fresh, h, icon, later } from "../lib/dom.js";
import { t } from "../lib/words.js";
import { filterWords } from "./rules-words.js";
import { chip, learn, thing, titleOf } from "./steer-parts.js";

const FIELDS = ["category", "brand", "price", "tags", "seller", "available"];

/** A box that finds items; `pick(id)` gets what was chosen. An id that is typed whole is taken as it is.
 * @param {{label: string, pick: (id: string) => void, value?: string, keep?: boolean}} how `keep`: the box shows what was chosen */
export function itemBox({ label, pick, value = "", keep = false }) {
  const id = fresh("items");
  const list = h("ul", { class: "found", role: "listbox", id: `${id}-list`, "aria-label": label, hidden: true });
  const input = h("input", { type: "text", id, role: "combobox", "aria-expanded": "false", "aria-controls": `${id}-list`, "aria-autocomplete": "list", autocomplete: "off", placeholder: t("rules.item_hint"), value: keep && value ? titleOf(value) : "" });
  let at = -1;
  let turn = 0;
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    at = -1;
  };
  const choose = (/** @type {any} */ item) => {
    close();
    input.value = keep ? item.title || item.id : "";
    pick(item.id);
  };
  const mark = () => [...list.children].forEach((each, n) => {
    each.setAttribute("aria-selected", String(n === at));
    if (n === at) { input.setAttribute("aria-activedescendant", each.id); each.scrollIntoView({ block: "nearest" }); }
  });
  const find = later(async () => {
    const mine = ++turn;
    const words = input.value.trim();
    if (!words) return close();
    const page = await get("/v1/search", { q: words, k: 8, personal: "false" }).catch(() => ({ hits: [] }));
    if (mine !== turn) return;
    const found = page.hits.map((/** @type {any} */ hit) => hit.document);
    learn(found);
    list.replaceChildren(...found.map((/** @type {any} */ item, /** @type {number} */ n) => h("li", { role: "option", id: `${id}-${n}`, "aria-selected": "false", onmousedown: (/** @type {Event} */ event) => event.preventDefault(), onclick: () => choose(item) }, thing(item))));
    if (!found.length) list.replaceChildren(h("li", { role: "option", "aria-selected": "false", "aria-disabled": "true", class: "soft" }, t("rules.no_item")));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    at = -1;
  }, 180);
  input.addEventListener("input", () => { turn += 1; find(); });
  input.addEventListener("blur", () => setTimeout(close, 120));
  input.addEventListener("keydown", async (/** @type {KeyboardEvent} */ event) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step && !list.hidden) { at = (at + step + list.children.length) % list.children.length; mark(); event.preventDefault(); }
    if (event.key === "Escape" && !list.hidden) { close(); event.stopPropagation(); event.preventDefault(); }
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (at >= 0) return /** @type {any} */ (list.children[at]).click();
    const typed = input.value.trim();
    if (!typed) return;
    const item = await get(`/v1/items/${encodeURIComponent(typed)}`).catch(() => null);
    if (item) { learn([item]); choose(item); }
  });
  return h("div", { class: "field" }, h("label", { for: id }, label), input, list);
}

/** Several items as chips. @param {{label: string, value: string[], changed: (value: string[]) => void}} how */
export function itemChips({ label, value, changed }) {
  const chips = h("div", { class: "chips" });
  const show = () => chips.replaceChildren(...value.map((id) => chip(id, () => { value = value.filter((each) => each !== id); show(); changed(value); }, titleOf(id))));
  show();
  return h("div", { class: "stack" }, itemBox({ label, pick: (id) => { if (!value.includes(id)) { value = [...value, id]; show(); changed(value); } } }), chips);
}

/** Several texts as chips: Enter or a comma adds one. @param {{label: string, hint?: string, value: string[], changed: (value: string[]) => void, options?: () => Promise<string[]>}} how */
export function wordChips({ label, hint, value, changed, options }) {
  const id = fresh("words");
  const chips = h("div", { class: "chips" });
  const input = h("input", { id, type: "text", autocomplete: "off", list: options ? `${id}-options` : null, "aria-describedby": hint ? `${id}-hint` : null });
  const known = options ? h("datalist", { id: `${id}-options` }) : null;
  const show = () => chips.replaceChildren(...value.map((text) => chip(text, () => { value = value.filter((each) => each !== text); show(); changed(value); })));
  const add = () => {
    const more = input.value.split(/[,，;；\n]/).map((each) => each.trim()).filter((each) => each && !value.includes(each));
    input.value = "";
    if (!more.length) return;
    value = [...value, ...more];
    show();
    changed(value);
  };
  input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => { if (event.key === "Enter" || event.key === "," || event.key === "，") { event.preventDefault(); add(); } });
  input.addEventListener("change", add);
  if (options && known) input.addEventListener("focus", async () => known.replaceChildren(...(await options().catch(() => [])).slice(0, 300).map((each) => h("option", { value: each }))), { once: true });
  show();
  return h("div", { class: "field" }, h("label", { for: id }, label), input, known, hint ? h("p", { class: "soft small", id: `${id}-hint` }, hint) : null, chips);
}

/** The values of a field of the catalog. @param {string} field */
export const valuesOf = async (field) => ((await get("/v1/facets", { field })).facet?.values || []).map((/** @type {any} */ each) => each.value);

/** Filters, each one line. @param {{label: string, value: any[], changed: (value: any[]) => void}} how */
export function filterList({ label, value, changed }) {
  const list = h("div", { class: "chips" });
  const id = fresh("filter");
  const field = h("input", { id: `${id}-field`, type: "text", list: `${id}-fields`, autocomplete: "off", value: "category" });
  const values = h("input", { id: `${id}-values`, type: "text", list: `${id}-options`, autocomplete: "off" });
  const options = h("datalist", { id: `${id}-options` });
  const low = h("input", { id: `${id}-low`, type: "number", step: "any" });
  const high = h("input", { id: `${id}-high`, type: "number", step: "any" });
  const show = () => list.replaceChildren(...value.map((each) => chip(filterWords(each), () => { value = value.filter((other) => other !== each); show(); changed(value); })));
  const add = () => {
    const texts = values.value.split(/[,，;；]/).map((/** @type {string} */ each) => each.trim()).filter(Boolean);
    const made = { field: field.value.trim(), ...(texts.length ? { values: texts } : {}), ...(low.value === "" ? {} : { low: Number(low.value) }), ...(high.value === "" ? {} : { high: Number(high.value) }) };
    if (!made.field || (!texts.length && low.value === "" && high.value === "")) return;
    value = [...value, made];
    values.value = low.value = high.value = "";
    show();
    changed(value);
  };
  const fill = async () => options.replaceChildren(...(await valuesOf(field.value.trim()).catch(() => [])).slice(0, 300).map((/** @type {string} */ each) => h("option", { value: each })));
  values.addEventListener("focus", fill);
  for (const each of [values, low, high]) each.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => { if (event.key === "Enter") { event.preventDefault(); add(); } });
  show();
  const named = (/** @type {any} */ input, /** @type {string} */ key) => h("div", { class: "field" }, h("label", { for: input.id }, t(key)), input);
  return h("fieldset", { class: "stack" }, h("legend", { class: "small" }, h("strong", {}, label)), list,
    h("datalist", { id: `${id}-fields` }, FIELDS.map((each) => h("option", { value: each }))), options,
    h("div", { class: "dials" }, named(field, "rules.filter_field"), named(values, "rules.filter_values"), named(low, "rules.filter_low"), named(high, "rules.filter_high")),
    h("div", {}, h("button", { type: "button", class: "button small", onclick: add }, icon("plus"), t("rules.filter_add"))));
}
