/**
 * What do the pages for searches and rules have in common? A product in a line, what is known of products by id, and
 * how a rule is published so that it can be undone. Their own look comes along once.
 */
import { get, send } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { toast } from "../lib/parts.js";
import { t } from "../lib/words.js";

/** @typedef {{id: string, title?: string, images?: string[], brand?: string, price?: number, currency?: string, category?: string[]}} Thing */
/** @typedef {{id?: string, name?: string, when?: any, then: any[], priority?: number, enabled?: boolean, note?: string, author?: string, version?: number, updated?: string}} Rule */

/** @type {Promise<any> | null} */
let styled = null;

/** The look of these pages, once; resolves when it is there. */
export function style() {
  styled ||= new Promise((done) => {
    const link = h("link", { rel: "stylesheet", href: new URL("./steer.css", import.meta.url) });
    link.onload = link.onerror = done;
    document.head.append(link);
  });
  return styled;
}

/** @type {Map<string, Thing | null>} */
const known = new Map();

/** Keep what a page of results told. @param {Thing[]} things */
export function learn(things) {
  for (const each of things) known.set(each.id, each);
}

/** What these ids are, asked for where it is not known; an id that is gone has no title. @param {string[]} ids @returns {Promise<Map<string, Thing>>} */
export async function things(ids) {
  const missing = [...new Set(ids)].filter((id) => !known.has(id)).slice(0, 60);
  await Promise.all(missing.map(async (id) => known.set(id, await get(`/v1/items/${encodeURIComponent(id)}`).catch(() => null))));
  return new Map(ids.map((id) => [id, known.get(id) || { id }]));
}

/** The title where it is known already. @param {string} id */
export const titleOf = (id) => known.get(id)?.title || id;

/** A picture, or the first letter. @param {string} [url] @param {string} [title] */
function picture(url, title) {
  const letter = h("span", { class: "thing-picture", "aria-hidden": "true" }, (title || "?").trim().slice(0, 1).toUpperCase());
  if (!url) return letter;
  const image = h("img", { class: "thing-picture", src: url, alt: "", loading: "lazy" });
  image.addEventListener("error", () => image.replaceWith(letter));
  return image;
}

/** A product in one line. @param {Thing | {item: string, title?: string, image?: string, brand?: string}} what @param {{small?: boolean}} [how] */
export function thing(what, { small = false } = {}) {
  const any = /** @type {any} */ (what);
  const id = any.id ?? any.item;
  const title = any.title || id;
  return h("span", { class: "thing" }, picture(any.image || any.images?.[0], title),
    h("span", { class: "thing-text" }, h("span", { class: "thing-title", title }, title), small || title === id ? null : h("span", { class: "thing-id" }, [any.brand, id].filter(Boolean).join(" · "))));
}

/** Write a rule; says so, with an undo. `done` is called after either. @param {Rule} rule @param {{fresh: boolean, done?: (rule: Rule | null) => any}} how @returns {Promise<Rule>} */
export async function publish(rule, { fresh, done }) {
  const { updated, author, ...kept } = rule;
  const stored = fresh ? await send("POST", "/v1/rules", { ...kept, version: undefined }) : await send("PUT", `/v1/rules/${encodeURIComponent(rule.id || "")}`, kept);
  toast(t(stored.enabled === false ? "rules.saved_off" : "rules.saved", { name: nameOf(stored) }), { undo: () => undo(stored.version, done) });
  await done?.(stored);
  return stored;
}

/** Take a change back. @param {number} change @param {(rule: Rule | null) => any} [done] */
export async function undo(change, done) {
  try {
    const taken = await send("POST", "/v1/rules/undo", { change });
    toast(t("rules.undone"));
    await done?.(taken.after);
  } catch (error) {
    toast(/** @type {any} */ (error).what || String(error), { tone: "bad" });
  }
}

/** @param {Rule} rule */
export const nameOf = (rule) => rule.name || rule.id || t("rules.unnamed");

/** A removable word. @param {string} text @param {() => void} remove @param {string} [label] */
export const chip = (text, remove, label) =>
  h("span", { class: "chip" }, h("span", { title: text }, label || text), h("button", { type: "button", class: "icon-button small", "aria-label": t("rules.remove_named", { name: text }), onclick: remove }, icon("x")));
