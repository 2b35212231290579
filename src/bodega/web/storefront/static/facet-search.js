/**
 * How is one brand found among hundreds? A field above a long facet: the shop answers with the values that read like what is
 * typed, and their counts. Escape brings the whole list back.
 */
import { announce, h, later } from "./dom.js";
import { fieldName, t } from "./words.js";

/** @typedef {import("./api.js").Facet} Facet */

/** Facets with more values than this can be searched. */
export const LONG = 12;

/**
 * @param {string} field
 * @param {any[]} rows what stands there before anything is typed
 * @param {(text: string, signal: AbortSignal) => Promise<Facet>} find asks the shop
 * @param {(facet: Facet) => any[]} draw rows of an answer
 */
export function searchable(field, rows, find, draw) {
  const name = fieldName(field);
  const list = h("div", { class: "values" }, rows);
  let asking = new AbortController();
  let shown = rows;
  const show = (/** @type {any[]} */ next) => { shown = next; list.replaceChildren(...next); };
  const restore = () => shown !== rows && show(rows);
  const ask = later(async () => {
    const text = input.value.trim();
    const { signal } = asking;
    if (!text) return restore();
    try {
      const facet = await find(text, signal);
      if (signal.aborted) return;
      const found = draw(facet);
      show(found.length ? found : [h("p", { class: "soft small" }, t("facet_none", { text }))]);
      announce(found.length ? t("facet_found", { n: found.length }) : t("facet_none", { text }));
    } catch {
      if (!signal.aborted) show([h("p", { class: "soft small" }, t("list_failed"))]);
    }
  }, 150);
  const changed = () => {
    asking.abort();
    asking = new AbortController();
    ask();
  };
  const input = h("input", { type: "search", class: "facet-search", placeholder: t("facet_search", { name }), "aria-label": t("facet_search", { name }), "data-key": `${field} search`, autocomplete: "off", spellcheck: "false", maxlength: 100,
    oninput: changed, onchange: (/** @type {Event} */ event) => event.stopPropagation(),
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && !event.isComposing) event.preventDefault();
      if (event.key !== "Escape" || !input.value) return;
      event.preventDefault();
      event.stopPropagation();
      input.value = "";
      changed();
    } });
  return [input, list];
}
