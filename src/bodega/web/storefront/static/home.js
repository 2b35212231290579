/** What would you like today? Departments, and the lists: for you, because you looked at something, buy again, looked at
 * before, trending, new, popular; each says why, and none repeats what stands above it. */
import { recommend, search } from "./api.js";
import { h } from "./dom.js";
import { departmentPicture, picture } from "./picture.js";
import { becauseRail, newRail, recentRail } from "./rails.js";
import { shelf } from "./shelf.js";
import { clicks, personal, user } from "./state.js";
import { t } from "./words.js";

/** The top of the category tree with counts. @param {{value: string, count: number}[]} values @returns {[string, number][]} */
export function roots(values) {
  /** @type {Map<string, number>} */
  const whole = new Map();
  /** @type {Map<string, number>} */
  const parts = new Map();
  for (const { value, count } of values) {
    const [root, ...rest] = value.split(" > ");
    if (rest.length) parts.set(root, (parts.get(root) || 0) + count);
    else whole.set(root, count);
  }
  for (const [root, count] of parts) if (!whole.has(root)) whole.set(root, count);
  return [...whole].sort((a, b) => b[1] - a[1]);
}

/** Round pictures of the departments; nothing when the shop has none. */
export function departments() {
  const strip = h("nav", { class: "departments", "aria-label": t("departments") }, Array.from({ length: 10 }, () => h("span", { class: "department ghost", "aria-hidden": "true" })));
  search({ query: "", k: 1, facets: ["category"] }).then((page) => {
    const names = roots(page.facets.find((facet) => facet.field === "category")?.values || []).slice(0, 10);
    strip.replaceChildren(...names.map(([name]) => h("a", { class: "department", href: `/search?${new URLSearchParams({ "f.category": name })}` }, departmentPicture(name), name)));
    strip.hidden = !names.length;
  }).catch(() => strip.remove());
  return strip;
}

/** "Because of" with the pictures of the last clicks, or what we do without any. @param {import("./api.js").Page} page */
function becauseOf(page) {
  if (!personal()) return t("off_note");
  const seen = clicks().slice(0, 5);
  if (seen.length) return h("span", { class: "trail" }, t("because_clicks"), seen.map(({ item }) => picture(item)));
  if (user()) return t("because_bought");
  return page.degraded.length ? t("unknown_yet") : null;
}

/** @param {HTMLElement} main */
export async function home(main) {
  const hour = new Date().getHours();
  const part = hour < 5 ? "evening" : hour < 12 ? "morning" : hour < 18 ? "day" : "evening";
  /** What each list shows. @type {Map<string, string[]>} */
  const shown = new Map();
  const elsewhere = (/** @type {string[]} */ ...names) => () => new Set(names.flatMap((name) => shown.get(name) || []));
  const make = (/** @type {string} */ place, /** @type {any} */ more) =>
    shelf({ name: place, title: t(`list.${place}`), ask: () => recommend({ place, k: more.without ? 40 : 18 }), ...more });
  const lists = [
    make("home", { title: t(personal() ? "list.home" : "list.home_off"), note: becauseOf, mark: true, keep: true, without: elsewhere("repeat") }),
    clicks().length ? becauseRail(elsewhere("repeat", "home")) : null,
    make("repeat", { unsure: !user(), note: () => t("note.repeat") }),
    clicks().length > 3 ? recentRail("", 4) : null,
    make("trending", { note: () => t("note.trending"), without: elsewhere("repeat", "home", "because") }),
    newRail(elsewhere("repeat", "home", "because", "trending")),
    make("popular", { note: () => t("note.popular"), without: elsewhere("repeat", "home", "because", "trending", "new") }),
  ].filter((list) => list && (personal() || !["repeat", "because"].includes(String(list.dataset.list))));
  main.replaceChildren(
    h("section", { class: "hero", "aria-labelledby": "hello" }, h("div", { class: "wrap" }, h("h1", { id: "hello", tabindex: "-1" }, t(`hello.${part}`)), h("p", {}, t("hello_more")), departments())),
    h("div", { class: "wrap" }, ...lists));
  // All are asked for at once; what one list shows the later ones leave out, and "buy again" has the first word.
  /** @type {Promise<any>} */
  let before = Promise.resolve();
  const order = [...lists].sort((a, b) => Number(b.dataset.list === "repeat") - Number(a.dataset.list === "repeat"));
  for (const list of order) before = list.load(before).then((ids) => shown.set(String(list.dataset.list), ids));
  await before;
  return t("home");
}
