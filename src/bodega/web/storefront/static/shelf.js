/**
 * One list of recommended products, with a title that says why. It scrolls sideways, moves up what stands behind
 * after "not interested", marks what is new since the last visit to it, and stays away when it has nothing to offer.
 */
import { h, icon } from "./dom.js";
import { card, ghosts } from "./card.js";
import { clicks, dismissed, lastShown, setShown } from "./state.js";
import { has, t } from "./words.js";

/** @typedef {import("./api.js").Page} Page */
/** @typedef {{name: string, title: string, note?: (page: Page) => any, ask: () => Promise<Page>, mark?: boolean,
 *   without?: () => Set<string>, strict?: boolean, unsure?: boolean, keep?: boolean, least?: number}} Options  `strict`: rather short than showing again */

const LONGEST = 18;

/** What most of the list rests on, in words. @param {Page} page */
export function basis(page) {
  /** @type {Record<string, number>} */
  const shares = {};
  for (const hit of page.hits) for (const reason of hit.why) shares[reason.source] = (shares[reason.source] || 0) + reason.share;
  const [source] = Object.entries(shares).sort((a, b) => b[1] - a[1])[0] || [""];
  return has(`basis.${source}`) ? t(`basis.${source}`) : "";
}

/** @param {Options} options @returns {HTMLElement & {load: (turn?: Promise<any>) => Promise<string[]>}} */
export function shelf(options) {
  const id = `list-${options.name}`;
  const row = h("div", { class: "row", role: "group", "aria-labelledby": id });
  const note = h("p", {});
  const arrow = (/** @type {"left" | "right"} */ side) => h("button", { class: "round", type: "button", "aria-label": t(`scroll_${side}`, { title: options.title }),
    onclick: () => row.scrollBy({ left: (side === "left" ? -0.85 : 0.85) * row.clientWidth, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" }) }, icon(side));
  const arrows = h("div", { class: "arrows" }, arrow("left"), arrow("right"));
  const section = h("section", { class: "shelf", "aria-labelledby": id, "data-list": options.name },
    h("div", { class: "shelf-head" }, h("div", {}, h("h2", { id, tabindex: "-1" }, options.title), note), arrows), row);
  row.append(...ghosts(6));
  // What may have nothing to offer waits out of sight: a list that comes and goes would push the others about.
  section.hidden = Boolean(options.unsure);

  const ends = () => {
    const [left, right] = arrows.children;
    arrows.hidden = row.scrollWidth <= row.clientWidth + 4;
    left.disabled = row.scrollLeft < 4;
    right.disabled = row.scrollLeft > row.scrollWidth - row.clientWidth - 4;
  };
  row.addEventListener("scroll", ends, { passive: true });
  new ResizeObserver(ends).observe(row);

  section.load = async (turn) => {
    let page;
    try {
      [page] = await Promise.all([options.ask(), turn]);
    } catch (error) {
      section.hidden = !options.keep;
      row.replaceChildren(h("p", { class: "notice" }, t("list_failed")));
      console.info(`list ${options.name}:`, error);
      return [];
    }
    const out = new Set(dismissed());
    const elsewhere = options.without?.() || new Set();
    const wanted = page.hits.filter((hit) => !out.has(hit.id));
    const unseen = wanted.filter((hit) => !elsewhere.has(hit.id));
    const some = unseen.length >= 5 || options.strict ? unseen : wanted;
    const hits = some.slice(0, LONGEST), spare = some.slice(LONGEST);
    const before = new Set(lastShown(options.name));
    section.hidden = hits.length < (options.least || 1) && !options.keep;
    note.replaceChildren(...[options.note?.(page) ?? basis(page)].flat());
    /** @type {Map<HTMLElement, HTMLElement>} what moved up for what went */
    const moved = new Map();
    /** @param {HTMLElement} el @param {boolean} back */
    const changed = (el, back) => {
      const hit = back ? undefined : spare.shift();
      if (hit) moved.set(el, row.appendChild(make(hit)));
      else if (back) moved.get(el)?.remove();
      ends();
    };
    const make = (/** @type {import("./api.js").Hit} */ hit) => card(hit, { place: page.place || options.name, request_id: page.request_id, changed,
      fresh: Boolean(options.mark && before.size && !before.has(hit.id) && clicks().length) });
    row.replaceChildren(...hits.map(make));
    if (!hits.length && !section.hidden) row.append(h("p", { class: "notice" }, t("list_empty")));
    if (options.mark) setShown(options.name, hits.map((hit) => hit.id));
    ends();
    return section.hidden ? [] : hits.map((hit) => hit.id);
  };
  return section;
}
