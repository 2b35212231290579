/**
 * What does one product look like in a list? Picture, brand, title, stars, price, add to basket (or choose a variant), "why
 * this?" and "not interested". The title is the link and covers the card; the buttons lie above it. A click is recorded
 * before the page changes, and remembered: what is bought of it later is the merit of this list.
 */
import { turnAway, turnAwayButton } from "./dismiss.js";
import { h, icon, toast } from "./dom.js";
import { record, watch } from "./events.js";
import { picture } from "./picture.js";
import { addClick, inBasket, setBasket } from "./state.js";
import { fieldName, has, money, number, t } from "./words.js";
import { choosePanel } from "./variants.js";
import { whyButton } from "./why.js";

/** @typedef {import("./api.js").Hit} Hit */
/** @typedef {import("./state.js").Item} Item */
/** @typedef {{place: string, request_id?: string, query?: string, fresh?: boolean, heading?: string, variants?: boolean,
 *   changed?: (card: HTMLElement, back: boolean) => void}} Around  `changed`: it was turned away, or came back */

/** @param {Item} item */
export const available = (item) => !["out_of_stock", "discontinued"].includes(item.availability || "") && item.stock !== 0;

/** @param {Item} item */
export const itemUrl = (item) => `/item/${encodeURIComponent(item.id)}`;

/** The title (the id when there is none), with a size such as "16 oz" kept on one line. @param {Item} item */
export const titleOf = (item) => (item.title || item.id).replace(/(\d) (\p{L}{1,3})$/u, "$1\u00a0$2");

/** Put one more into the basket and say so. @param {Item} item @param {Partial<import("./events.js").Happening>} [from] @param {number} [n] */
export function addToBasket(item, from = {}, n = 1) {
  setBasket(item, inBasket(item.id) + n, from);
  toast(t("added", { title: titleOf(item) }));
  return record({ type: "cart", item: item.id, quantity: n, ...(item.price != null ? { price: item.price } : {}), ...(item.currency ? { currency: item.currency } : {}), ...from });
}

/** What kind of thing it is, where it is no product: an article, a video, a group. @param {Item} item */
export function kindLabel(item) {
  const kind = item.kind && item.kind !== "product" ? item.kind : "";
  return kind ? h("span", { class: "kind-label" }, has(`kind.${kind}`) ? t(`kind.${kind}`) : fieldName(kind)) : null;
}

/** The stars of a product that has some. @param {Item} item */
function stars(item) {
  const value = Number(item.attributes?.rating);
  if (!(value > 0 && value <= 5)) return null;
  return h("span", { class: "rated", role: "img", "aria-label": t("stars_of", { n: value }) }, "★ ", number(Math.round(value * 10) / 10));
}

/** @param {Hit} hit @param {Around} around */
export function card(hit, around) {
  const item = hit.document;
  const from = { place: around.place, position: hit.position, request_id: around.request_id, ...(around.query ? { query: around.query } : {}) };
  const count = () => inBasket(item.id);
  const add = h("button", { class: "round add", type: "button", disabled: !available(item), onclick: () => { addToBasket(item, from); show(); } });
  const show = () => {
    add.replaceChildren(...(count() ? [String(count())] : [icon("plus")]));
    add.classList.toggle("has", count() > 0);
    add.setAttribute("aria-label", count() ? t("add_more", { title: titleOf(item), n: count() }) : t("add_named", { title: titleOf(item) }));
  };
  show();
  const many = Boolean(item.group && Object.keys(item.options || {}).length);
  const choose = h("button", { class: "round choose", type: "button", "aria-haspopup": "dialog", "aria-expanded": "false", "aria-controls": "variant-panel", "aria-label": t("choose_named", { title: titleOf(item) }), title: t("choose_variant"),
    onclick: () => choosePanel(item, choose, from, show) }, icon("swap"));
  const away = () => turnAway(hit, from, el, around.changed);
  const el = h("article", { class: "card", "data-item": item.id },
    picture(item),
    h("div", { class: "body" },
      h("p", { class: "brand" }, stars(item), kindLabel(item), item.brand || ""),
      h(around.heading || "h3", { class: "title", title: titleOf(item) }, h("a", { href: itemUrl(item), onclick: () => { addClick(item, from); record({ type: "click", item: item.id, ...from }); } }, titleOf(item))),
      whyButton(hit, away),
      h("div", { class: "foot-row" }, h("span", { class: "price" }, money(item.price, item.currency)), many ? choose : null, available(item) ? add : null)),
    available(item) ? around.fresh && h("span", { class: "flag" }, t("new_here")) : h("span", { class: "flag gone" }, t("sold_out")),
    turnAwayButton(hit, away));
  watch(el, { type: "impression", item: item.id, ...from });
  return el;
}

/** Places where products will be. @param {number} n */
export const ghosts = (n) => Array.from({ length: n }, () => h("div", { class: "card ghost", "aria-hidden": "true" }));
