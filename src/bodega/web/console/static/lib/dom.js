/**
 * How do texts become elements? `h(tag, props, ...children)`: strings are always text nodes, never markup, and addresses
 * are only taken when they are http(s). Everything of the console is made here, so what the shop's data says stays text.
 */

/** What the server told the page. @type {{shop_name: string, currency: string, missing: string[], install: string,
 * language: string, strings: Record<string, string>}} */
export const facts = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("facts")).textContent || "{}");

const SVG = "http://www.w3.org/2000/svg";

/** @param {any} el @param {Record<string, any> | null | undefined} props @param {any[]} children */
function dress(el, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (name === "href" || name === "src") el.setAttribute(name, safeUrl(value) || "#");
    else if (name === "style") for (const [key, part] of Object.entries(value)) el.style.setProperty(key, String(part));
    else if (name === "value" && "value" in el) later0(el, value);
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  el.append(...children.flat(5).filter((child) => child != null && child !== false && child !== ""));
  if (el.pendingValue !== undefined) {
    el.value = el.pendingValue; // after the children: a select knows its options now
    delete el.pendingValue;
  }
  return el;
}

/** @param {any} el @param {any} value */
function later0(el, value) {
  if (el.tagName === "SELECT" || el.tagName === "TEXTAREA") el.pendingValue = String(value);
  else el.setAttribute("value", String(value));
}

/** An html element. Props: attributes; `onclick` and the like; `style` as an object (`{"--share": 0.4}`).
 * @param {string} tag @param {Record<string, any> | null} [props] @param {...any} children @returns {any} */
export const h = (tag, props, ...children) => dress(document.createElement(tag), props, children);

/** An svg element. @param {string} tag @param {Record<string, any> | null} [props] @param {...any} children @returns {any} */
export const s = (tag, props, ...children) => dress(document.createElementNS(SVG, tag), props, children);

/** The address when it is http(s) (or on this host), else "". @param {unknown} url */
export function safeUrl(url) {
  try {
    const parsed = new URL(String(url), location.href);
    return /^(https?|blob):$/.test(parsed.protocol) ? parsed.href : "";
  } catch {
    return "";
  }
}

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/** Tell people who listen rather than look. @param {string} text */
export function announce(text) {
  const live = byId("live");
  live.textContent = "";
  setTimeout(() => (live.textContent = text), 60);
}

/** Waits for a pause of `ms` before it runs. @param {(...a: any[]) => void} run @param {number} ms */
export function later(run, ms) {
  let timer = 0;
  return (/** @type {any[]} */ ...args) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => run(...args), ms);
  };
}

let numbers = 0;

/** An id that no other element has. @param {string} [word] */
export const fresh = (word = "e") => `${word}-${++numbers}`;

const ICONS = {
  today: "M4 13h4l2-7 4 13 2-6h4",
  search: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM15.500 15.500l5 5",
  inspect: "M9 4H5a1 1 0 0 0-1 1v4M15 4h4a1 1 0 0 1 1 1v4M9 20H5a1 1 0 0 1-1-1v-4M15 20h4a1 1 0 0 0 1-1v-4M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  rules: "M5 6h9M5 12h6M5 18h12M17 4v4M14 10v4M20 16v4",
  doctor: "M4 12h4l2-4 3 8 2-4h5M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  people: "M9 5a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7zM3 20c0-4 3-6 6-6s6 2 6 6M16 5.500a3 3 0 0 1 0 6M17 14c2.500.500 4 2.500 4 5",
  models: "M12 3l8 4.500v9L12 21l-8-4.500v-9zM12 12l8-4.500M12 12v9M12 12L4 7.500",
  experiments: "M9 3h6M10 3v6l-5 9a2 2 0 0 0 2 3h10a2 2 0 0 0 2-3l-5-9V3M7.500 15h9",
  judgments: "M12 4v16M6 20h12M5 7l7-3 7 3M5 7l-3 7a3.500 3.500 0 0 0 6 0zM19 7l-3 7a3.500 3.500 0 0 0 6 0z",
  loop: "M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5",
  fairness: "M5 20V10M10 20V6M15 20v-8M20 20V4M3 20h19",
  letters: "M4 6h16v12H4zM4 7l8 6 8-6",
  keys: "M15 4a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM11 12l-7 7v2h3v-2h2v-2h2",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
  first: "M6 3v18M6 4h11l-2 4 2 4H6",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  x: "M6 6l12 12M18 6 6 18",
  left: "m14 6-6 6 6 6",
  right: "m10 6 6 6-6 6",
  up: "m6 14 6-6 6 6",
  down: "m6 10 6 6 6-6",
  check: "m5 12.500 4.500 4.500L19 7.500",
  warn: "M12 4 2.500 20h19zM12 10v5M12 17.500v.010",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v6M12 7.500v.010",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4.500l3 2",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  upload: "M12 16V5M7 9l5-5 5 5M5 20h14",
  bin: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  undo: "M9 8H4V3M4 8a8.500 8.500 0 1 1-.500 7",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  drag: "M9 6h.010M15 6h.010M9 12h.010M15 12h.010M9 18h.010M15 18h.010",
  filter: "M4 6h16M7 12h10M10 18h4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z",
  half: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 3v18M14 5v14M17 7v10",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21c0-5 4-7 8-7s8 2 8 7",
  shop: "M4 9l2-5h12l2 5M4 9v11h16V9M4 9c0 3 4 3 4 0 0 3 4 3 4 0 0 3 4 3 4 0 0 3 4 3 4 0",
};

/** A line icon; it says nothing to a screen reader. @param {string} name */
export const icon = (name) => s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" }, s("path", { d: /** @type {any} */ (ICONS)[name] || ICONS.info }));
