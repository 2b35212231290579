/**
 * Which lists can stand on any page? What was looked at last, what is like the last thing looked at, what is new, and what the
 * shop knows to hang together with a product; each with a heading that says why it is there.
 */
import { around, offers, recommend, relations, search } from "./api.js";
import { titleOf } from "./card.js";
import { shelf } from "./shelf.js";
import { clicks, personal } from "./state.js";
import { t } from "./words.js";

/** @typedef {import("./state.js").Item} Item */
/** @typedef {import("./api.js").Page} Page */
/** @typedef {import("./api.js").Hit} Hit */

/** A list made here of products. @param {string} place @param {Item[]} items @param {string} text why @param {string} [request] @returns {Page} */
export const pageOf = (place, items, text, request = "") => ({ request_id: request, place, total: items.length, query: "", corrected: "", facets: [], degraded: [],
  hits: items.map((item, position) => ({ id: item.id, position, score: 0, document: item, why: text ? [{ source: place, share: 1, text }] : [] })) });

/** Recently viewed: the shop's own list, or (when nobody is to be known) what this browser remembers. @param {string} [except] an item */
export function recentRail(except = "", least = 2) {
  const own = () => pageOf("recent", clicks().map((each) => each.item), t("note.recent"));
  return shelf({ name: "recent", unsure: true, title: t("list.recent"), least, strict: true, note: () => t(personal() ? "note.recent" : "note.recent_here"), without: () => new Set([except]),
    ask: async () => (personal() && clicks().length ? recommend({ place: "recent", k: 18 }) : own()) });
}

/** Because you looked at the newest thing that was clicked. @param {() => Set<string>} without */
export function becauseRail(without) {
  const last = personal() ? clicks()[0]?.item : undefined;
  const rail = shelf({ name: "because", title: last ? t("list.because", { title: titleOf(last) }) : t("list.similar"), least: 4, strict: true, unsure: true, without, note: () => t("note.because"),
    ask: async () => (last ? around(last.id, "similar", 18) : pageOf("similar", [], "")) });
  return rail;
}

/** What came in last, where the shop knows when things came. @param {() => Set<string>} without */
export const newRail = (without) => shelf({ name: "new", unsure: true, title: t("list.new"), least: 4, without, note: () => t("note.new"), ask: async () => {
  const { sorts } = await offers();
  return sorts.includes("newest") ? search({ query: "", k: 18, sort: "newest" }) : pageOf("category", [], "");
} });

/** [name of the list, relations it is made of]; what the shop itself linked comes first. */
const GROUPS = [["goes_with", ["crosssell", "complement", "accessory"]], ["upgrade", ["upsell", "upgrade"]], ["linked", ["related"]]];

/** "Goes with it", "one better", "see also": one list each, filled by one question. @param {string} id */
export function relationRails(id) {
  /** @type {Promise<{request_id: string, relations: Record<string, Item[]>}> | undefined} */
  let told;
  const ask = async () => ((await offers()).relations ? relations(id) : { request_id: "", relations: {} });
  return GROUPS.map(([name, kinds]) => shelf({ name: String(name), unsure: true, title: t(`list.${name}`), strict: true, note: () => t(`note.${name}`), ask: async () => {
    told ??= ask();
    const { request_id, relations: found } = await told;
    const items = [...kinds].flatMap((kind) => found[kind] || []);
    const once = [...new Map(items.map((/** @type {Item} */ item) => [item.id, item])).values()];
    return pageOf(String(name), once, t(`note.${name}`), request_id);
  } }));
}
