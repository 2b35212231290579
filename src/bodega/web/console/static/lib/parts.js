/**
 * What are pages built of? Cards, figures, empty states that teach, tabs, forms, badges and meters. Each makes one
 * element and knows nothing of the shop. Windows over the page (dialog, confirm, toast) are in `windows.js` and are handed on here.
 */
import { announce, fresh, h, icon, s } from "./dom.js";
import { number } from "./format.js";
import { t } from "./words.js";

export { confirm, dialog, toast } from "./windows.js";

/** A part of a page with a heading. @param {string} title "" for none @param {...any} children */
export const card = (title, ...children) => framed({ title }, ...children);

/** A card with more: `note` below the heading, `actions` beside it, `wide` over all columns, an `id` for tests and links.
 * @param {{title?: string, note?: any, actions?: any, wide?: boolean, id?: string, level?: number}} how @param {...any} children */
export function framed({ title = "", note, actions, wide = false, id, level = 2 }, ...children) {
  const head = title || actions ? h("div", { class: "card-head" }, h("div", {}, title ? h(`h${level}`, {}, title) : null, note ? h("p", { class: "soft small" }, note) : null), actions ? h("div", { class: "row" }, actions) : null) : null;
  return h("section", { class: wide ? "card wide" : "card", id, "aria-label": title || null }, head, children);
}

/** Columns of cards that find their own number. @param {...any} children */
export const grid = (...children) => h("div", { class: "grid" }, children);

/** The head of a page: its heading, a line of what it is for, and what can be done. @param {string} title @param {any} [note] @param {...any} actions */
export const heading = (title, note, ...actions) =>
  h("div", { class: "page-head" }, h("div", {}, h("h1", { tabindex: "-1" }, title), note ? h("p", { class: "soft" }, note) : null), actions.length ? h("div", { class: "row" }, actions) : null);

/** One figure. `trend` is a signed text, `good` says whether that is good news; `spark` are numbers for a small line.
 * @param {{label: string, value: any, note?: any, trend?: string, good?: boolean, spark?: number[], href?: string, tone?: string}} what */
export function stat({ label, value, note, trend, good, spark, href, tone }) {
  const inner = [
    h("p", { class: "stat-label" }, label),
    h("p", { class: "stat-value" }, value, trend ? h("span", { class: good == null ? "trend" : good ? "trend good" : "trend bad" }, trend) : null),
    note ? h("p", { class: "soft small" }, note) : null,
    spark?.length ? sparkline(spark, label) : null,
  ];
  const name = `stat${tone ? ` ${tone}` : ""}`;
  return href ? h("a", { class: name, href }, inner) : h("div", { class: name }, inner);
}

/** A small line of numbers; what it says is in words for who listens. @param {number[]} values @param {string} label */
export function sparkline(values, label) {
  const real = values.filter(Number.isFinite);
  const low = Math.min(0, ...real), high = Math.max(...real, low + 1e-9);
  const at = (/** @type {number} */ v, /** @type {number} */ i) => `${((i / Math.max(1, values.length - 1)) * 100).toFixed(2)} ${(27 - ((v - low) / (high - low)) * 25).toFixed(2)}`;
  // A value between two gaps is a dot: a line of no length with round ends.
  const path = values.map((v, i) => (Number.isFinite(v) ? `${i && Number.isFinite(values[i - 1]) ? "L" : "M"}${at(v, i)}${Number.isFinite(values[i - 1]) || Number.isFinite(values[i + 1]) ? "" : "h0.01"}` : "")).join("");
  const said = t("frame.spark", { label, n: values.length, low: number(Math.min(...real)), high: number(Math.max(...real)), last: number(real.at(-1)) });
  return s("svg", { class: "spark", viewBox: "0 0 100 28", preserveAspectRatio: "none", role: "img", "aria-label": said }, s("path", { d: path, "vector-effect": "non-scaling-stroke" }));
}

/** Nothing yet: what would be here, why it is not, and how to get it. `next` is a command (a text, shown to be copied) or
 * an element (a button, a link). @param {string} title @param {any} [why] @param {any} [next] */
export const empty = (title, why, next) =>
  h("div", { class: "empty" }, icon("info"), h("h3", {}, title), why ? h("p", {}, why) : null, typeof next === "string" ? command(next) : next || null);

/** A command to be copied. @param {string} text */
export function command(text) {
  const copy = h("button", { type: "button", class: "icon-button small", "aria-label": t("frame.copy"), onclick: async () => {
    await navigator.clipboard?.writeText(text).catch(() => null);
    announce(t("frame.copied"));
    copy.replaceChildren(icon("check"));
    setTimeout(() => copy.replaceChildren(icon("copy")), 1500);
  } }, icon("copy"));
  return h("div", { class: "command" }, h("code", {}, text), copy);
}

/** A button. @param {any} label @param {(event: Event) => any} run @param {{kind?: "plain" | "main" | "danger" | "quiet", icon?: string, disabled?: boolean, title?: string, id?: string}} [how] */
export function button(label, run, { kind = "plain", icon: name, disabled, title, id } = {}) {
  const made = h("button", { type: "button", class: `button ${kind}`, disabled, title, id }, name ? icon(name) : null, label);
  made.addEventListener("click", (/** @type {Event} */ event) => busy(made, run(event)));
  return made;
}

/** A button that is at work until the promise is done. @param {any} made @param {any} work @returns {Promise<any>} */
export async function busy(made, work) {
  if (!(work instanceof Promise)) return work;
  made.setAttribute("aria-busy", "true");
  made.disabled = true;
  try {
    return await work;
  } finally {
    made.removeAttribute("aria-busy");
    made.disabled = false;
  }
}

/** Tabs as links of an address: each may be opened by itself. Arrow keys move. @param {{key: string, label: string, count?: number}[]} items
 * @param {string} chosen @param {(key: string) => void} pick @param {string} [label] */
export function tabs(items, chosen, pick, label) {
  const made = items.map(({ key, label: text, count }) =>
    h("button", { type: "button", role: "tab", "aria-selected": String(key === chosen), tabindex: key === chosen ? "0" : "-1", id: `tab-${key}`, onclick: () => pick(key) }, text, count == null ? null : h("span", { class: "count" }, number(count))));
  const row = h("div", { class: "tabs", role: "tablist", "aria-label": label || t("frame.tabs") }, made);
  row.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const to = made[(made.indexOf(/** @type {any} */ (document.activeElement)) + step + made.length) % made.length];
    to.focus();
    event.preventDefault();
  });
  return row;
}

/** @param {any} text @param {"good" | "warn" | "bad" | "info" | ""} [tone] */
export const badge = (text, tone = "") => h("span", { class: `badge ${tone}` }, text);

/** A share as a bar, with its words. @param {number} value @param {number} [max] @param {string} [label] */
export const meter = (value, max = 1, label = "") =>
  h("span", { class: "meter", role: "meter", "aria-valuenow": String(value), "aria-valuemin": "0", "aria-valuemax": String(max), "aria-label": label || number(value) }, h("i", { style: { "--share": Math.max(0, Math.min(1, value / (max || 1))) } }));

/** Names and values. @param {[any, any][]} rows those without a value are left out */
export const pairs = (rows) => h("dl", { class: "pairs" }, rows.filter(([, value]) => value != null && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

/** A labelled input with its hint and its error. `input` is an element, or props of one (`type`, `name`, `value`, `options`
 * for a select as texts or [value, text]). The result has `.input` and `.fail(text)`.
 * @param {{label: string, hint?: any, input: any, error?: string, hidden?: boolean}} what */
export function field({ label, hint, input, error = "", hidden = false }) {
  const id = fresh("field");
  const made = input instanceof Element ? input : control(input);
  const target = made.matches("input,select,textarea") ? made : made.querySelector("input,select,textarea") || made;
  target.id ||= id;
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, role: "alert", hidden: !error }, error);
  target.setAttribute("aria-describedby", [hint ? `${id}-hint` : "", `${id}-wrong`].filter(Boolean).join(" "));
  const check = target.type === "checkbox";
  const text = h("label", { for: target.id, class: hidden ? "vh" : "" }, label);
  const row = h("div", { class: check ? "field check" : "field" }, check ? [h("div", { class: "row" }, made, text)] : [text, made], hint ? h("p", { class: "soft small", id: `${id}-hint` }, hint) : null, wrong);
  return Object.assign(row, { input: target, fail(/** @type {string} */ said) {
    wrong.textContent = said;
    wrong.hidden = !said;
    target.setAttribute("aria-invalid", String(Boolean(said)));
    if (said) target.focus();
  } });
}

/** @param {any} props */
function control(props) {
  const { options, type, value, checked, ...rest } = props;
  if (options) return h("select", { ...rest, value: value ?? "" }, options.map((/** @type {any} */ each) => (Array.isArray(each) ? h("option", { value: each[0] }, each[1]) : h("option", { value: each }, each))));
  if (type === "textarea") return h("textarea", { rows: 4, ...rest, value: value ?? "" });
  return h("input", { type: type || "text", autocomplete: "off", ...rest, value: value ?? null, checked: Boolean(checked) });
}

/** Fields and a button; `send(values, form)` gets the values by name (numbers of number inputs, booleans of checkboxes).
 * What it throws is shown in the form, at its field where `where` names one. @param {{fields: any[], submit: string, send: (values: any, form: any) => any, kind?: string, extra?: any}} what */
export function form({ fields, submit, send, kind = "main", extra }) {
  const go = h("button", { type: "submit", class: `button ${kind}` }, submit);
  const failed = h("div", { class: "form-problem" });
  const made = h("form", { class: "form", novalidate: false }, fields, failed, h("div", { class: "row" }, go, extra || null));
  made.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    failed.replaceChildren();
    for (const each of fields) each.fail?.("");
    try {
      await busy(go, Promise.resolve(send(valuesOf(made), made)));
    } catch (error) {
      const at = fields.find((each) => each.input?.name && /** @type {any} */ (error)?.where?.split(".").pop() === each.input.name);
      if (at) at.fail(/** @type {any} */ (error).what);
      else {
        const { problemBox } = await import("./api.js");
        failed.replaceChildren(problemBox(error));
      }
    }
  });
  return made;
}

/** What stands in the form's inputs, by name. @param {any} made @returns {Record<string, any>} */
export function valuesOf(made) {
  /** @type {Record<string, any>} */
  const values = {};
  for (const each of made.elements) {
    if (!each.name || each.type === "submit") continue;
    if (each.type === "checkbox") values[each.name] = each.checked;
    else if (each.type === "radio") { if (each.checked) values[each.name] = each.value; }
    else values[each.name] = each.type === "number" ? (each.value === "" ? null : Number(each.value)) : each.value;
  }
  return values;
}

/** What is on its way. @param {number} [lines] */
export const waiting = (lines = 3) => h("div", { class: "waiting", "aria-busy": "true" }, h("span", { class: "vh" }, t("frame.loading")), Array.from({ length: lines }, () => h("i")));
