/**
 * How are numbers narrowed? A drawn histogram of what there is, a slider with two ends, and two fields to type into; all
 * three say the same. The slider applies itself after a pause, the fields with Enter.
 */
import { h, icon, later } from "./dom.js";
import { fieldName, money, number, t } from "./words.js";

/** @typedef {import("./facets.js").Choice} Choice */
/** @typedef {import("./api.js").Facet} Facet */

const PAUSE = 500;

/** @param {string} field @param {number} value */
const amount = (field, value) => (field === "price" ? money(value) : number(value));

/** @param {string} field @param {Choice} choice */
export function rangeText(field, { low, high }) {
  if (low != null && high != null) return t("range", { low: amount(field, low), high: amount(field, high) });
  return low != null ? t("range_from", { low: amount(field, low) }) : t("range_to", { high: amount(field, /** @type {number} */ (high)) });
}

/** Round steps of a slider, about a hundred. @param {number} width */
function stepOf(width) {
  const power = 10 ** Math.floor(Math.log10(width / 100));
  const rough = width / 100 / power;
  return (rough > 5 ? 10 : rough > 2 ? 5 : rough > 1 ? 2 : 1) * power;
}

/** @param {Facet} facet @param {Choice} choice @param {(choice: Choice) => void} set */
export function range(facet, choice, set) {
  const name = fieldName(facet.field);
  const bars = (facet.ranges || []).filter((bar) => bar.high > bar.low);
  const [least, most] = bars.length > 1 ? [bars[0].low, /** @type {any} */ (bars.at(-1)).high] : [/** @type {number} */ (facet.low), /** @type {number} */ (facet.high)];
  const typed = (/** @type {"low" | "high"} */ end) => h("input", { type: "number", step: "any", inputmode: "decimal", name: end, value: choice[end] ?? "", placeholder: number(/** @type {number} */ (facet[end])), "data-key": `${facet.field} ${end}`, "aria-label": t(`range_${end}`, { name }),
    onchange: (/** @type {Event} */ event) => event.stopPropagation() });
  const [low, high] = [typed("low"), typed("high")];
  const value = (/** @type {HTMLInputElement} */ input) => (input.value.trim() === "" || !Number.isFinite(+input.value) ? undefined : +input.value);
  const apply = () => {
    const [from, to] = [value(low), value(high)];
    // Ends in the wrong order are what people type; they mean the range between.
    set({ ...choice, ...(from != null && to != null && from > to ? { low: to, high: from } : { low: from, high: to }) });
  };
  const drawn = bars.length > 1 ? histogram(facet.field, name, bars, choice) : null;
  return [
    drawn,
    drawn && most > least ? slider(facet.field, name, { least, most, low, high, drawn, apply }) : null,
    h("form", { class: "range", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); apply(); } },
      low, h("span", { "aria-hidden": "true" }, "–"), high, h("button", { class: "round", type: "submit", "data-key": `${facet.field} apply`, "aria-label": t("apply_range", { name }) }, icon("check"))),
  ];
}

/** @param {string} field @param {string} name @param {{low: number, high: number, count: number}[]} bars @param {Choice} choice */
function histogram(field, name, bars, choice) {
  const top = Math.max(...bars.map((bar) => bar.count), 1);
  const said = bars.filter((bar) => bar.count).map((bar) => t("bar", { range: rangeText(field, bar), n: bar.count })).join("; ");
  const box = h("div", { class: "histogram", role: "img", "aria-label": t("histogram", { name, bars: said }) },
    bars.map((bar) => {
      const el = h("i", { "data-low": bar.low, "data-high": bar.high, title: t("bar", { range: rangeText(field, bar), n: bar.count }) });
      el.style.setProperty("--share", String(bar.count / top));
      return el;
    }));
  shade(box, choice.low ?? -Infinity, choice.high ?? Infinity);
  return box;
}

/** Bars outside the chosen range are pale. @param {HTMLElement} box @param {number} low @param {number} high */
function shade(box, low, high) {
  for (const el of /** @type {any} */ (box.children)) el.classList.toggle("out", +el.dataset.high <= low || +el.dataset.low > high || (+el.dataset.low === high && low < high));
}

/** Two native range inputs on one track. @param {string} field @param {string} name
 * @param {{least: number, most: number, low: HTMLInputElement, high: HTMLInputElement, drawn: HTMLElement, apply: () => void}} parts */
function slider(field, name, { least, most, low, high, drawn, apply }) {
  const step = stepOf(most - least);
  const soon = later(apply, PAUSE);
  const end = (/** @type {"low" | "high"} */ which, /** @type {string} */ value) => h("input", { type: "range", min: least, max: most, step, value, "data-key": `${field} slide ${which}`, "aria-label": t(`slide_${which}`, { name }),
    onchange: (/** @type {Event} */ event) => event.stopPropagation(), oninput: () => moved(which) });
  const from = end("low", low.value || String(least)), to = end("high", high.value || String(most));
  const track = h("div", { class: "slider" }, from, to);
  const draw = () => {
    const share = (/** @type {HTMLInputElement} */ input) => String((+input.value - least) / (most - least));
    track.style.setProperty("--from", share(from));
    track.style.setProperty("--to", share(to));
    // Where both ends meet at the right, only the lower one can move: it must lie on top.
    from.classList.toggle("above", +from.value > (least + most) / 2);
    for (const input of [from, to]) input.setAttribute("aria-valuetext", amount(field, +input.value));
    shade(drawn, +from.value > least ? +from.value : -Infinity, +to.value < most ? +to.value : Infinity);
  };
  const moved = (/** @type {"low" | "high"} */ which) => {
    if (+from.value > +to.value) which === "low" ? (from.value = to.value) : (to.value = from.value);
    // At the very end there is no bound: what is dearer than the last bar stays in.
    low.value = +from.value > least ? String(+(+from.value).toFixed(6)) : "";
    high.value = +to.value < most ? String(+(+to.value).toFixed(6)) : "";
    draw();
    soon();
  };
  draw();
  return track;
}
