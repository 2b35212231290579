/**
 * How are results narrowed? Facets as groups of check boxes with counts (several values of one field widen, fields narrow),
 * categories as a tree, numbers as a range; and the chips that show and remove what is chosen.
 */
import { h, icon } from "./dom.js";
import { LONG, searchable } from "./facet-search.js";
import { range, rangeText } from "./range.js";
import { fieldName, has, number, t, valueText } from "./words.js";

/** @typedef {{values: string[], low?: number, high?: number}} Choice */
/** @typedef {Record<string, Choice>} Choices */
/** @typedef {import("./api.js").Facet} Facet */

const SHOWN = 7;
/** @type {Set<string>} */
const unfolded = new Set();

/** `f.brand=A&f.price=2..5` -> choices. @param {URLSearchParams} params @returns {Choices} */
export function readChoices(params) {
  /** @type {Choices} */
  const choices = {};
  for (const [key, value] of params) {
    if (!key.startsWith("f.") || key.length < 3) continue;
    const choice = (choices[key.slice(2)] ??= { values: [] });
    const range = /^(-?[\d.]*)\.\.(-?[\d.]*)$/.exec(value);
    if (range) {
      if (range[1] && Number.isFinite(+range[1])) choice.low = +range[1];
      if (range[2] && Number.isFinite(+range[2])) choice.high = +range[2];
    } else if (!choice.values.includes(value)) choice.values.push(value);
  }
  return choices;
}

/** @param {URLSearchParams} params @param {Choices} choices */
export function writeChoices(params, choices) {
  for (const key of [...params.keys()]) if (key.startsWith("f.")) params.delete(key);
  for (const [field, { values, low, high }] of Object.entries(choices)) {
    for (const value of values) params.append(`f.${field}`, value);
    if (low != null || high != null) params.append(`f.${field}`, `${low ?? ""}..${high ?? ""}`);
  }
  return params;
}

/** As the API wants them. @param {Choices} choices @returns {import("./api.js").Filter[]} */
export const asFilters = (choices) =>
  Object.entries(choices).flatMap(([field, { values, low, high }]) => [
    ...(values.length ? [{ field, values }] : []),
    ...(low != null || high != null ? [{ field, ...(low != null ? { low } : {}), ...(high != null ? { high } : {}) }] : []),
  ]);

/** @param {Choices} choices @param {(choices: Choices) => void} change */
export function chips(choices, change) {
  const one = (/** @type {string} */ name, /** @type {string} */ text, /** @type {() => Choices} */ without) =>
    h("button", { class: "chip", type: "button", "aria-label": t("remove_filter", { name: `${name}: ${text}` }), onclick: () => change(without()) }, `${text}`, icon("x"));
  const list = Object.entries(choices).flatMap(([field, choice]) => [
    ...choice.values.map((value) => one(fieldName(field), valueText(value).split(" > ").at(-1) || value,
      () => ({ ...choices, [field]: { ...choice, values: choice.values.filter((each) => each !== value) } }))),
    ...(choice.low != null || choice.high != null ? [one(fieldName(field), rangeText(field, choice), () => ({ ...choices, [field]: { values: choice.values } }))] : []),
  ]);
  if (!list.length) return null;
  return h("div", { class: "chips", role: "group", "aria-label": t("chosen_filters") }, list, list.length > 1 ? h("button", { class: "link", type: "button", onclick: () => change({}) }, t("clear_all")) : null);
}

/** @typedef {(field: string, text: string, signal: AbortSignal) => Promise<Facet>} Find asks the shop for values that read so */

/** @param {Facet[]} facets @param {Choices} choices @param {(choices: Choices) => void} change @param {Find} find */
export function facetPanel(facets, choices, change, find) {
  const groups = facets.map((facet) => {
    const choice = choices[facet.field] || { values: [] };
    const set = (/** @type {Choice} */ next) => change({ ...choices, [facet.field]: next });
    const body = facet.field === "category" ? tree(facet, choice, set) : facet.low != null && facet.high != null && !facet.values?.length ? range(facet, choice, set) : boxes(facet, choice, set, find);
    return body && h("fieldset", { class: "facet", "data-facet": facet.field }, h("legend", {}, fieldName(facet.field)), body);
  });
  return groups.filter(Boolean);
}

/** One check box. @param {{value: string, text: string, count: number, checked: boolean, field: string, deep?: number}} row @param {(on: boolean) => void} set */
function box({ value, text, count, checked, field, deep }, set) {
  const el = h("label", { class: "value" }, h("input", { type: "checkbox", checked, "data-key": `${field}=${value}`, "data-value": `${field}=${value}`, onchange: (/** @type {any} */ event) => set(event.target.checked) }),
    h("span", {}, text), h("output", { "aria-label": t("count_named", { n: count }) }, number(count)));
  if (deep) el.style.marginInlineStart = `${deep * 18}px`;
  return el;
}

/** The first few, and a button for the rest. @param {string} field @param {HTMLElement[]} rows */
function folded(field, rows) {
  if (rows.length <= SHOWN + 1 || unfolded.has(field)) return rows;
  const button = h("button", { class: "link small", type: "button", onclick: () => { unfolded.add(field); button.replaceWith(...rows.slice(SHOWN)); rows[SHOWN].querySelector("input")?.focus(); } }, t("show_more_values", { n: rows.length - SHOWN }));
  return [...rows.slice(0, SHOWN), button];
}

/** @param {Facet} facet @param {Choice} choice @param {(choice: Choice) => void} set @param {Find} find */
function boxes(facet, choice, set, find) {
  const { field } = facet;
  const values = [...(facet.values || [])];
  for (const value of choice.values) if (!values.some((each) => each.value === value)) values.unshift({ value, count: 0 });
  if (!values.length) return null;
  const chosen = new Set(choice.values);
  const rows = (/** @type {import("./api.js").FacetValue[]} */ some) => some.map(({ value, count }) => box({ value, text: field === "kind" && has(`kind.${value}`) ? t(`kind.${value}`) : valueText(value), count, checked: chosen.has(value), field },
    (on) => set({ ...choice, values: on ? [...choice.values, value] : choice.values.filter((each) => each !== value) })));
  const long = values.length > LONG;
  // Numbers stand in their own order; words, as the shop sent them, most frequent first.
  if (facet.low != null) values.sort((a, b) => Number(a.value) - Number(b.value));
  values.sort((a, b) => Number(chosen.has(b.value)) - Number(chosen.has(a.value)));
  const shown = folded(field, rows(values));
  return long ? searchable(field, shown, (text, signal) => find(field, text, signal), (found) => rows(found.values || [])) : shown;
}

/** Categories: what the shop unfolded, and children under what is chosen. @param {Facet} facet @param {Choice} choice @param {(choice: Choice) => void} set */
function tree(facet, choice, set) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  const told = new Map((facet.values || []).map((each) => [each.value, each]));
  for (const { value, count } of facet.values || []) {
    counts.set(value, count);
    const path = value.split(" > ");
    for (let n = 1; n < path.length; n++) {
      const parent = path.slice(0, n).join(" > ");
      if (!told.has(parent)) counts.set(parent, (counts.get(parent) || 0) + count);
    }
  }
  for (const value of choice.values) if (!counts.has(value)) counts.set(value, 0);
  const below = (/** @type {string} */ parent) => [...counts].filter(([path]) => (parent ? path.startsWith(`${parent} > `) : true) && path.split(" > ").length === (parent ? parent.split(" > ").length + 1 : 1)).sort((a, b) => b[1] - a[1]);
  const inside = (/** @type {string} */ path, /** @type {string} */ parent) => path === parent || path.startsWith(`${parent} > `);
  // A value with a parent was sent because that parent is open; flat lists of paths stay closed until one is chosen.
  const open = new Set([...told.values()].flatMap((each) => (each.parent ? [each.parent] : [])));
  /** @param {string} parent @param {number} deep @returns {HTMLElement[]} */
  const rows = (parent, deep) => below(parent).flatMap(([path, count]) => {
    const checked = choice.values.includes(path);
    const row = box({ value: path, text: path.split(" > ").at(-1) || path, count, checked, field: "category", deep }, (on) =>
      set({ ...choice, values: on ? [...choice.values.filter((each) => !inside(each, path) && !inside(path, each)), path] : choice.values.filter((each) => each !== path) }));
    return [row, ...(open.has(path) || choice.values.some((each) => inside(each, path)) ? rows(path, deep + 1) : [])];
  });
  const all = rows("", 0);
  // Folded away must never be what is chosen, nor what lies below it.
  return all.length ? (choice.values.length ? all : folded("category", all)) : null;
}
