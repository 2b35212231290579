/** How are numbers, sums and times written here? In the page's language; "–" where there is nothing to say. */
import { facts } from "./dom.js";

export const NONE = "–";

/** @param {unknown} value @returns {value is number} */
const real = (value) => typeof value === "number" && Number.isFinite(value);

/** 12,345.68. @param {unknown} value @param {number} [digits] after the point, at most */
export const number = (value, digits = 2) => (real(value) ? new Intl.NumberFormat(facts.language, { maximumFractionDigits: digits }).format(value) : NONE);

/** 12K: for places with little room. @param {unknown} value */
export const short = (value) => (real(value) ? new Intl.NumberFormat(facts.language, { notation: "compact", maximumFractionDigits: 1 }).format(value) : NONE);

/** 3.4 %. @param {unknown} share 0 to 1 @param {number} [digits] @param {boolean} [signed] */
export const percent = (share, digits = 1, signed = false) =>
  real(share) ? new Intl.NumberFormat(facts.language, { style: "percent", maximumFractionDigits: digits, signDisplay: signed ? "exceptZero" : "auto" }).format(share) : NONE;

/** A sum. @param {unknown} value @param {string} [currency] the shop's own otherwise */
export function money(value, currency) {
  if (!real(value)) return NONE;
  for (const code of [currency, facts.currency]) {
    try {
      return new Intl.NumberFormat(facts.language, { style: "currency", currency: code, currencyDisplay: "narrowSymbol" }).format(value);
    } catch {
      /* not a currency: try the shop's own */
    }
  }
  return number(value);
}

/** A moment: an ISO text, a Date, or seconds since 1970. @param {unknown} time @returns {Date | null} */
export function moment(time) {
  const made = time instanceof Date ? time : typeof time === "number" ? new Date(time * 1000) : time ? new Date(String(time)) : null;
  return made && !Number.isNaN(made.getTime()) ? made : null;
}

/** 22 Nov 2026, 17:30. @param {unknown} time @param {{day?: boolean}} [how] `day`: without the time of day */
export function date(time, { day = false } = {}) {
  const at = moment(time);
  return at ? new Intl.DateTimeFormat(facts.language, { dateStyle: "medium", ...(day ? {} : { timeStyle: "short" }) }).format(at) : NONE;
}

/** 3 min 20 s; 240 ms. @param {unknown} seconds */
export function duration(seconds) {
  if (!real(seconds)) return NONE;
  if (seconds < 1) return `${number(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms`;
  const unit = (/** @type {number} */ value, /** @type {string} */ name) => new Intl.NumberFormat(facts.language, { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
  if (seconds < 90) return unit(seconds, "second");
  if (seconds < 5400) return unit(seconds / 60, "minute");
  return seconds < 129_600 ? unit(seconds / 3600, "hour") : unit(seconds / 86_400, "day");
}

/** 2 minutes ago; in 3 days. @param {unknown} time */
export function ago(time) {
  const at = moment(time);
  if (!at) return NONE;
  const seconds = (at.getTime() - Date.now()) / 1000;
  const size = Math.abs(seconds);
  const [unit, length] = size < 60 ? ["second", 1] : size < 3600 ? ["minute", 60] : size < 86_400 ? ["hour", 3600] : ["day", 86_400];
  return new Intl.RelativeTimeFormat(facts.language, { numeric: "auto", style: "short" }).format(Math.trunc(seconds / Number(length)), /** @type {any} */ (unit));
}
