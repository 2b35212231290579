/** How is it said here? The console's texts in the page's language. */
import { facts } from "./dom.js";
import { number } from "./format.js";

/** A text; `{name}` is filled in, `key.one` is used for n = 1. A key that is missing shows itself.
 * @param {string} key @param {Record<string, any>} [values] */
export function t(key, values = {}) {
  const text = (values.n === 1 && facts.strings[`${key}.one`]) || facts.strings[key] || key;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : String(values[name] ?? "")));
}

/** Is there such a text? @param {string} key */
export const has = (key) => key in facts.strings;

/** The text where there is one, else the plain word: for values that come from the server. @param {string} key @param {string} word */
export const maybe = (key, word) => (has(key) ? t(key) : word);
