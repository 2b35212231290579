/**
 * How do texts become elements? `h(tag, props, ...children)`: strings are always text nodes, never markup, and addresses
 * are only taken when they are http(s). Everything on the page is made here, so product text cannot become code.
 */

/** What the server told the page. @type {{shop_name: string, api: string, key: string, currency: string, facets: string[],
 * shoppers: string[], language: string, strings: Record<string, string>}} */
export const facts = JSON.parse(document.getElementById("facts").textContent);

const SVG = "http://www.w3.org/2000/svg";

/** @param {any} el @param {Record<string, any>} props @param {any[]} children */
function dress(el, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (name === "href" || name === "src") el.setAttribute(name, safeUrl(value) || "#");
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  el.append(...children.flat(5).filter((child) => child != null && child !== false && child !== "" && child !== 0));
  return el;
}

/** An html element. @param {string} tag @param {Record<string, any>} [props] @param {...any} children @returns {any} */
export const h = (tag, props, ...children) => dress(document.createElement(tag), props, children);

/** An svg element. @param {string} tag @param {Record<string, any>} [props] @param {...any} children @returns {any} */
export const s = (tag, props, ...children) => dress(document.createElementNS(SVG, tag), props, children);

/** The address when it is http(s) (or on this host), else "". @param {unknown} url */
export function safeUrl(url) {
  try {
    const parsed = new URL(String(url), location.href);
    return /^https?:$/.test(parsed.protocol) ? parsed.href : "";
  } catch {
    return "";
  }
}

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

const ICONS = {
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  x: "M6 6l12 12M18 6 6 18",
  left: "m14 6-6 6 6 6",
  right: "m10 6 6 6-6 6",
  check: "m5 12.500 4.500 4.500L19 7.500",
  filter: "M4 6h16M7 12h10M10 18h4",
  search: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM15.500 15.500l5 5",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4.500l3 2",
  tag: "M4 4h8l8 8-8 8-8-8zM8.500 8.500h.01",
  spark: "M12 3l2.200 6.200L20.500 12l-6.300 2.400L12 21l-2.200-6.600L3.500 12l6.300-2.800z",
  camera: "M4 8h3l2-3h6l2 3h3a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1zM12 10a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7z",
  undo: "M9 7H4V2M4.500 7A9 9 0 1 1 4 15",
  swap: "M4 8h13l-3-3M20 16H7l3 3",
  shield: "M12 3l8 3v6c0 5-3.500 8-8 9-4.500-1-8-4-8-9V6z",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9.500h.01",
  bin: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
};

/** A line icon; it says nothing to a screen reader. @param {keyof typeof ICONS} name */
export const icon = (name) => s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" }, s("path", { d: ICONS[name] }));

/** Tell people who listen rather than look. @param {string} text */
export function announce(text) {
  const live = byId("live");
  live.textContent = "";
  setTimeout(() => (live.textContent = text), 60);
}

let hiding = 0;
/** Runs when the message goes. @type {(() => void) | undefined} */
let gone;

/** A short message at the bottom, announced too; with something to press (`act`) it stays longer, and as long as it has the
 * focus. `end` runs when it goes without. @param {string} text @param {{label: string, act: () => void, end: () => void}} [choice] */
export function toast(text, choice) {
  const box = byId("toast");
  const before = gone;
  gone = choice?.end;
  before?.();
  const press = choice && h("button", { class: "link", type: "button", onclick: () => { gone = undefined; hide(); choice.act(); } }, choice.label);
  box.replaceChildren(icon("check"), h("span", { "aria-hidden": "true" }, text), press || "");
  box.hidden = false;
  announce(choice ? `${text} ${choice.label}` : text);
  const hide = () => { box.hidden = true; const end = gone; gone = undefined; end?.(); };
  const wait = () => { clearTimeout(hiding); hiding = window.setTimeout(() => (box.contains(document.activeElement) ? wait() : hide()), choice ? 7000 : 2600); };
  wait();
}

/** Waits for a pause of `ms` before it runs. @param {(...a: any[]) => void} run @param {number} ms */
export function later(run, ms) {
  let timer = 0;
  return (/** @type {any[]} */ ...args) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => run(...args), ms);
  };
}
