/**
 * How does a list go on? Scrolling near its end brings the next step by itself, three times; then it waits for its link, so
 * that the foot of the page can be reached. The link is a real one (the address with more products), the address follows
 * what is shown, and the focus only moves when the link was pressed.
 */
import { announce, h } from "./dom.js";
import { number, t } from "./words.js";

export const STEP = 24;
export const MOST = 480;
const BY_ITSELF = 3;

/** @typedef {import("./api.js").Page} Page */
/** @typedef {{page: Page, params: URLSearchParams, ask: (more: any) => Promise<Page>, draw: (page: Page) => HTMLElement[], grid: HTMLElement}} Ongoing */

/** What stands below a list of results. @param {Ongoing} ongoing */
export function more({ page, params, ask, draw, grid }) {
  const box = h("div", { class: "more" });
  let shown = page.hits.length, total = page.total, left = BY_ITSELF, busy = false, asked = false;

  /** @param {boolean} pressed */
  async function load(pressed) {
    asked ||= pressed; // also while a step comes that scrolling began: it is the one that was pressed for
    if (busy || shown >= total) return;
    busy = true;
    box.setAttribute("aria-busy", "true");
    const at = grid.children.length;
    try {
      const next = await ask({ k: STEP, offset: shown });
      if (!box.isConnected) return;
      grid.append(...draw(next));
      shown += next.hits.length;
      if (!next.hits.length) total = shown;
    } catch {
      left = 0;
      asked = false;
      return announce(t("list_failed"));
    } finally {
      busy = false;
      box.removeAttribute("aria-busy");
    }
    left = asked ? BY_ITSELF : left - 1;
    params.set("n", String(shown));
    history.replaceState(history.state, "", `/search?${params}`);
    foot();
    if (asked) grid.children[at]?.querySelector("a")?.focus();
    else announce(t("shown_of", { shown: number(shown), total: number(total) }));
    asked = false;
  }

  function foot() {
    if (shown >= total) {
      eye.disconnect();
      return box.replaceChildren(total > STEP ? t("shown_all", { n: total }) : "");
    }
    const to = new URLSearchParams(params);
    to.set("n", String(Math.min(MOST, shown + STEP)));
    const bar = h("i", {});
    bar.style.setProperty("--share", String(shown / total));
    const link = h("a", { class: "button plain", id: "more", href: `/search?${to}`, onclick: (/** @type {MouseEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      load(true);
    } }, t("show_more"));
    box.replaceChildren(h("span", {}, t("shown_of", { shown: number(shown), total: number(total) })), h("span", { class: "meter", "aria-hidden": "true" }, bar), link);
  }

  // Only who scrolls is brought more: a page that merely is short, or is moved through by keyboard, keeps its link.
  const eye = new IntersectionObserver((seen) => { if (seen.some((each) => each.isIntersecting) && left > 0 && scrollY > 0 && !box.contains(document.activeElement)) load(false); }, { rootMargin: "600px" });
  foot();
  eye.observe(box);
  return box;
}
