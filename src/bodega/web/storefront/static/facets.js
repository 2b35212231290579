/**
 * How are results narrowed? Facets as groups of check boxes with counts (several values of one field widen, fields narrow),
 * categories as a tree, numbers as a range; and the chips that show and remove what is chosen.
 */
import { h, icon } from "./dom.js";
import { fieldName, money, number, t, valueText } from "./words.js";

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

/** @param {string} field @param {number} value */
const amount = (field, value) => (field === "price" ? money(value) : number(value));

/** @param {string} field @param {Choice} choice */
export function rangeText(field, { low, high }) {
  if (low != null && high != null) return t("range", { low: amount(field, low), high: amount(field, high) });
  return low != null ? t("range_from", { low: amount(field, low) }) : t("range_to", { high: amount(field, /** @type {number} */ (high)) });
}

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

/** @param {Facet[]} facets @param {Choices} choices @param {(choices: Choices) => void} change */
export function facetPanel(facets, choices, change) {
  const groups = facets.map((facet) => {
    const choice = choices[facet.field] || { values: [] };
    const set = (/** @type {Choice} */ next) => change({ ...choices, [facet.field]: next });
    const body = facet.field === "category" ? tree(facet, choice, set) : facet.low != null && facet.high != null && !facet.values?.length ? range(facet, choice, set) : boxes(facet, choice, set);
    return body && h("fieldset", { class: "facet", "data-facet": facet.field }, h("legend", {}, fieldName(facet.field)), body);
  });
  return groups.filter(Boolean);
}

/** One check box. @param {{value: string, text: string, count: number, checked: boolean, field: string, deep?: number}} row @param {(on: boolean) => void} set */
function box({ value, text, count, checked, field, deep }, set) {
  const el = h("label", { class: "value" }, h("input", { type: "checkbox", checked, "data-value": `${field}=${value}`, onchange: (/** @type {any} */ event) => set(event.target.checked) }),
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

/** @param {Facet} facet @param {Choice} choice @param {(choice: Choice) => void} set */
function boxes(facet, choice, set) {
  const values = [...(facet.values || [])];
  for (const value of choice.values) if (!values.some((each) => each.value === value)) values.unshift({ value, count: 0 });
  if (!values.length) return null;
  const chosen = new Set(choice.values);
  values.sort((a, b) => Number(chosen.has(b.value)) - Number(chosen.has(a.value)));
  return folded(facet.field, values.map(({ value, count }) => box({ value, text: valueText(value), count, checked: chosen.has(value), field: facet.field },
    (on) => set({ ...choice, values: on ? [...choice.values, value] : choice.values.filter((each) => each !== value) }))));
}

/** Categories: children appear under what is chosen. @param {Facet} facet @param {Choice} choice @param {(choice: Choice) => void} set */
function tree(facet, choice, set) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  const told = new Set((facet.values || []).map((each) => each.value));
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
  /** @param {string} parent @param {number} deep @returns {HTMLElement[]} */
  const rows = (parent, deep) => below(parent).flatMap(([path, count]) => {
    const checked = choice.values.includes(path);
    const row = box({ value: path, text: path.split(" > ").at(-1) || path, count, checked, field: "category", deep }, (on) =>
      set({ ...choice, values: on ? [...choice.values.filter((each) => !inside(each, path) && !inside(path, each)), path] : choice.values.filter((each) => each !== path) }));
    return [row, ...(choice.values.some((each) => inside(each, path)) ? rows(path, deep + 1) : [])];
  });
  const all = rows("", 0);
  return all.length ? folded("category", all) : null;
}

/** From ... to. @param {Facet} facet @param {Choice} choice @param {(choice: Choice) => void} set */
function range(facet, choice, set) {
  const field = (/** @type {"low" | "high"} */ end) => h("input", { type: "number", step: "any", inputmode: "decimal", name: end, value: choice[end] ?? "", placeholder: number(/** @type {number} */ (facet[end])), "aria-label": t(`range_${end}`, { name: fieldName(facet.field) }) });
  const [low, high] = [field("low"), field("high")];
  const value = (/** @type {HTMLInputElement} */ input) => (input.value.trim() === "" || !Number.isFinite(+input.value) ? undefined : +input.value);
  return h("form", { class: "range", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); set({ ...choice, low: value(low), high: value(high) }); } },
    low, h("span", { "aria-hidden": "true" }, "–"), high, h("button", { class: "round", type: "submit", "aria-label": t("apply_range", { name: fieldName(facet.field) }) }, icon("check")));
}
