/** How is it said here? Interface texts in the page's language, prices, numbers and times as people write them. */
import { facts } from "./dom.js";

/** A text of the interface; `{name}` is filled in, `key.one` is used for n = 1. @param {string} key @param {Record<string, any>} [values] */
export function t(key, values = {}) {
  const text = (values.n === 1 && facts.strings[`${key}.one`]) || facts.strings[key] || key;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : String(values[name] ?? "")));
}

/** Is there such a text? @param {string} key */
export const has = (key) => key in facts.strings;

/** @param {number} value */
export const number = (value) => new Intl.NumberFormat(facts.language, { maximumFractionDigits: 2 }).format(value);

/** A price, or "" when there is none. @param {unknown} price @param {string} [currency] */
export function money(price, currency) {
  if (typeof price !== "number" || !Number.isFinite(price)) return "";
  for (const code of [currency, facts.currency]) {
    try {
      return new Intl.NumberFormat(facts.language, { style: "currency", currency: code, currencyDisplay: "narrowSymbol" }).format(price);
    } catch {
      /* not a currency: try the shop's own */
    }
  }
  return number(price);
}

/** "2 minutes ago". @param {number} time milliseconds since 1970 */
export function ago(time) {
  const seconds = Math.max(0, Math.round((Date.now() - time) / 1000));
  if (seconds < 10) return t("just_now");
  const [size, unit] = seconds < 60 ? [1, "second"] : seconds < 3600 ? [60, "minute"] : seconds < 86400 ? [3600, "hour"] : [86400, "day"];
  return new Intl.RelativeTimeFormat(facts.language, { style: "short" }).format(-Math.floor(seconds / Number(size)), /** @type {any} */ (unit));
}

/** A field of the catalog for people: known ones are translated, "pack_size" reads "Pack size". @param {string} field */
export function fieldName(field) {
  if (has(`field.${field}`)) return t(`field.${field}`);
  const plain = field.replace(/[_-]+/g, " ").trim();
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

/** A value of an attribute for people. @param {any} value */
export function valueText(value) {
  if (Array.isArray(value)) return value.map(valueText).join(", ");
  if (value === true || value === "true") return t("yes");
  if (value === false || value === "false") return t("no");
  return typeof value === "number" ? number(value) : String(value ?? "");
}
