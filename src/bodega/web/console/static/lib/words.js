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

/** Is the page in the language that the server speaks? */
const native = facts.language === "en";

/** A sentence of the server's, in the page's language: by its code where that is known, else as the server said it. A value
 * that begins with `@` names texts. @param {{code: string, text: string, values?: Record<string, any>} | null | undefined} one @param {string} [text] */
export function said(one, text = one?.text || "") {
  if (native || !one || !has(`said.${one.code}`)) return text;
  return t(`said.${one.code}`, Object.fromEntries(Object.entries(one.values || {}).map(([name, value]) => [name, named(value)])));
}

/** @param {any} value */
const named = (value) => (typeof value === "string" && value.startsWith("@") ? value.split(" ").map((key) => t(key.slice(1))).join(t("frame.and_so")) : value);

/** What was wrong with a request, and what to do next: by the error's code, else by its kind with the server's own words.
 * @param {any} problem @returns {{what: string, next: string}} */
export function wrong(problem) {
  const what = String(problem?.detail || problem?.title || ""), next = String(problem?.next || "");
  const kind = `said.type.${String(problem?.type || "").split(":").pop()}`;
  if (native || !what) return { what, next };
  const code = `said.${problem.code}`;
  if (problem.code && has(code)) return { what: t(code), next: maybe(`${code}.next`, next) };
  return { what: has(kind) ? t("frame.in_its_words", { what: t(kind), text: what }) : what, next };
}

/** The text where there is one, else the plain word: for values that come from the server. @param {string} key @param {string} word */
export const maybe = (key, word) => (has(key) ? t(key) : word);
