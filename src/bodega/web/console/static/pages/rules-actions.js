/**
 * What does a rule do? One box an action, for every kind that rules know; buttons add another. Calls `changed(actions)`
 * whenever anything is different.
 */
import { fresh, h, icon } from "../lib/dom.js";
import { t } from "../lib/words.js";
import { filterList, itemBox, itemChips, wordChips } from "./rules-pick.js";
import { KINDS } from "./rules-words.js";
import { thing, things } from "./steer-parts.js";

/** What a new action of each kind holds. @type {Record<string, () => any>} */
const BLANK = {
  pin: () => ({ do: "pin", item: "", position: 1 }),
  boost: () => ({ do: "boost", factor: 2 }),
  bury: () => ({ do: "bury", factor: 2 }),
  hide: () => ({ do: "hide" }),
  filter: () => ({ do: "filter", filters: [] }),
  redirect: () => ({ do: "redirect", url: "" }),
  banner: () => ({ do: "banner", text: "" }),
  replace: () => ({ do: "replace", by: "" }),
  synonyms: () => ({ do: "synonyms", words: [] }),
};

/** Is there enough in it to be sent? @param {any} action */
export const isWhole = (action) =>
  /** @type {Record<string, () => any>} */ ({
    pin: () => action.item,
    boost: () => action.items?.length || action.filters?.length,
    bury: () => action.items?.length || action.filters?.length,
    hide: () => action.items?.length || action.filters?.length,
    filter: () => action.filters?.length,
    redirect: () => action.url,
    banner: () => action.text || action.image,
    replace: () => action.by,
    synonyms: () => action.words?.length > 1,
  })[action.do]?.();

/** @param {{actions: () => any[], changed: (actions: any[]) => void}} how */
export function actionList({ actions, changed }) {
  const list = h("div", { class: "actions" });
  const add = h("div", { class: "kind-grid", role: "group", "aria-label": t("rules.add_action") },
    KINDS.map((kind) => h("button", { type: "button", class: "button small", "data-kind": kind, onclick: () => {
      const held = actions();
      const made = BLANK[kind]();
      if (kind === "pin") made.position = Math.max(0, ...held.filter((each) => each.do === "pin").map((each) => each.position)) + 1;
      changed([...held, made]);
      show();
      list.lastElementChild?.querySelector("input")?.focus();
    } }, icon("plus"), t(`rules.kind_${kind}`))));
  const show = () => list.replaceChildren(...actions().map((action, n) => one(action, n, { actions, changed, show })), ...(actions().length ? [] : [h("p", { class: "soft" }, t("rules.no_action"))]));
  show();
  return Object.assign(h("div", { class: "stack" }, list, add), { show });
}

/** @param {any} action @param {number} n @param {any} how */
function one(action, n, { actions, changed, show }) {
  const set = (/** @type {any} */ part) => {
    const next = { ...actions()[n], ...part };
    for (const [key, value] of Object.entries(next)) if (value === "" || value == null || value === false || (Array.isArray(value) && !value.length)) if (!["item", "url", "by", "filters", "words"].includes(key) || key === "words" && next.do === "replace") delete next[key];
    changed(actions().map((/** @type {any} */ each, /** @type {number} */ at) => (at === n ? next : each)));
  };
  const remove = h("button", { type: "button", class: "icon-button small", "aria-label": t("rules.remove_named", { name: t(`rules.kind_${action.do}`) }), onclick: () => { changed(actions().filter((/** @type {any} */ _, /** @type {number} */ at) => at !== n)); show(); } }, icon("bin"));
  return h("fieldset", { class: "action", "data-action": String(n) },
    h("legend", {}, t(`rules.kind_${action.do}`)),
    h("div", { class: "action-head" }, h("p", { class: "soft small" }, t(`rules.about_${action.do}`)), remove),
    /** @type {any} */ (EDIT)[action.do](action, set));
}

/** A plain input. @param {string} key @param {any} value @param {(value: string) => void} set @param {any} [props] */
function text(key, value, set, props = {}) {
  const id = fresh("part");
  const input = h("input", { id, type: "text", autocomplete: "off", value: value ?? "", ...props });
  input.addEventListener("input", () => set(input.value));
  return h("div", { class: "field" }, h("label", { for: id }, t(key)), input);
}

/** @param {string} key @param {any} value @param {(value: number) => void} set @param {any} props */
const count = (key, value, set, props) => text(key, value, (typed) => typed !== "" && Number.isFinite(Number(typed)) && set(Number(typed)), { type: "number", ...props });

/** Items and filters that are meant. @param {any} action @param {(part: any) => void} set */
const aims = (action, set) => [
  itemChips({ label: t("rules.items"), value: action.items || [], changed: (items) => set({ items }) }),
  filterList({ label: t("rules.or_filters"), value: action.filters || [], changed: (filters) => set({ filters }) }),
];

/** @param {any} action @param {(part: any) => void} set */
const lifted = (action, set) => [...aims(action, set), count("rules.factor", action.factor ?? 2, (factor) => set({ factor }), { min: "1.01", max: "100", step: "any" })];

/** @type {Record<string, (action: any, set: (part: any) => void) => any>} */
const EDIT = {
  pin(action, set) {
    const shown = h("div", {}, action.item ? thing({ id: action.item }) : null);
    const name = async (/** @type {string} */ id) => shown.replaceChildren(thing((await things([id])).get(id) || { id }));
    if (action.item) name(action.item);
    return [shown, itemBox({ label: t(action.item ? "rules.another_item" : "rules.item"), pick: (item) => { set({ item }); name(item); } }), count("rules.position", action.position, (position) => set({ position: Math.round(position) }), { min: "1", max: "1000", step: "1" })];
  },
  boost: lifted,
  bury: lifted,
  hide: aims,
  filter: (action, set) => filterList({ label: t("rules.filters"), value: action.filters || [], changed: (filters) => set({ filters }) }),
  redirect: (action, set) => text("rules.url", action.url, (url) => set({ url: url.trim() }), { placeholder: "/search?q=sale", inputmode: "url" }),
  banner: (action, set) => [
    text("rules.banner_text", action.text, (value) => set({ text: value }), { maxlength: "200" }),
    text("rules.banner_url", action.url, (url) => set({ url: url.trim() }), { placeholder: "/search?q=sale" }),
    text("rules.banner_image", action.image, (image) => set({ image: image.trim() }), { placeholder: "https://" }),
  ],
  replace: (action, set) => [
    text("rules.by_words", action.by, (by) => set({ by }), { maxlength: "200" }),
    text("rules.words", action.words, (words) => set({ words }), { maxlength: "200", placeholder: t("rules.words_all") }),
  ],
  synonyms(action, set) {
    const id = fresh("way");
    const box = h("input", { id, type: "checkbox", checked: Boolean(action.one_way) });
    box.addEventListener("change", () => set({ one_way: box.checked }));
    return [wordChips({ label: t("rules.synonyms"), hint: t("rules.synonyms_hint"), value: action.words || [], changed: (words) => set({ words }) }), h("div", { class: "field check" }, h("div", { class: "row" }, box, h("label", { for: id }, t("rules.one_way"))))];
  },
};
