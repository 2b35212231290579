/**
 * Which strings may become markup? The browser lets none through (trusted types) but by this policy, and this policy
 * knows a handful of constants of the table library. Everything else that a library assigns to innerHTML arrives as
 * the text that it is. There is no way for a string to become a script.
 */
const KNOWN = new Set([
  "",
  "<div class='tabulator-arrow'></div>",
  "<div class='tabulator-data-tree-control-collapse'></div>",
  "<div class='tabulator-data-tree-control-expand'></div>",
  "&vellip;",
]);
const MARKS = /** @type {Record<string, string>} */ ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" });

/** What stands where a library wanted markup. @param {string} text */
export const asText = (text) => (KNOWN.has(text) ? text : text.replace(/[&<>"']/g, (mark) => MARKS[mark]));

/** Once, before any library is loaded. */
export function trust() {
  const types = /** @type {any} */ (globalThis).trustedTypes;
  if (types && !types.defaultPolicy) types.createPolicy("default", { createHTML: (/** @type {string} */ text) => asText(String(text)) });
}
