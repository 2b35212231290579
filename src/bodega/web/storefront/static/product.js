/** What exactly is it? Pictures, price, availability, variants, attributes, reviews, and what is like it or goes with it. */
import { ApiError, around, item as load, recommend } from "./api.js";
import { addToBasket, available, itemUrl, titleOf } from "./card.js";
import { h, icon } from "./dom.js";
import { record } from "./events.js";
import { drawing, picture } from "./picture.js";
import { reviews } from "./reviews.js";
import { recentRail, relationRails } from "./rails.js";
import { shelf } from "./shelf.js";
import { addClick, origin } from "./state.js";
import { variantPicker } from "./variants.js";
import { fieldName, has, money, t, valueText } from "./words.js";

/** @typedef {import("./state.js").Item} Item */

/** @param {number} n @param {(n: number) => void} set @param {string} name */
export function stepper(n, set, name, least = 1) {
  const shown = h("output", {}, String(n));
  const button = (/** @type {number} */ step) => h("button", { class: "round", type: "button", "aria-label": t(step > 0 ? "one_more" : "one_less", { title: name }), onclick: () => {
    n = Math.max(least, Math.min(99, n + step));
    shown.textContent = String(n);
    set(n);
  } }, icon(step > 0 ? "plus" : "minus"));
  return h("div", { class: "stepper", role: "group", "aria-label": t("quantity") }, button(-1), shown, button(1));
}

/** @param {Item} item */
function stage(item) {
  const images = (item.images || []).slice(0, 8);
  const big = h("div", { class: "big" }, picture(item));
  if (images.length < 2) return h("div", { class: "stage" }, big);
  const thumbs = images.map((url, n) => h("button", { type: "button", "aria-label": t("picture_n", { n: n + 1 }), "aria-pressed": String(n === 0), onclick: () => {
    big.replaceChildren(picture(item, url));
    thumbs.forEach((thumb, at) => thumb.setAttribute("aria-pressed", String(at === n)));
  } }, picture(item, url)));
  return h("div", { class: "stage" }, big, h("div", { class: "thumbs" }, thumbs));
}

/** @param {Item} item */
function stock(item) {
  const state = available(item) ? item.availability || "in_stock" : item.availability === "discontinued" ? "discontinued" : "out_of_stock";
  const few = state === "in_stock" && typeof item.stock === "number" && item.stock <= 5;
  return h("p", { class: `stock ${!available(item) ? "out" : state === "in_stock" && !few ? "" : "wait"}` }, few ? t("few_left", { n: item.stock }) : has(`stock.${state}`) ? t(`stock.${state}`) : state);
}

/** @param {Item} item */
function description(item) {
  const text = (item.description || "").trim();
  if (!text) return null;
  const el = h("p", { class: "text" }, text);
  if (text.length < 700) return el;
  el.classList.add("long");
  const more = h("button", { class: "link", type: "button", onclick: () => { el.classList.remove("long"); more.remove(); } }, t("read_more"));
  return [el, h("p", {}, more)];
}

/** @param {Item} item */
function attributes(item) {
  const rows = [...Object.entries(item.options || {}), ...Object.entries(item.attributes || {})].filter(([, value]) => value !== "" && value != null);
  if (item.seller) rows.push(["seller", item.seller]);
  if (item.tags?.length) rows.push(["tags", item.tags]);
  if (!rows.length) return null;
  return [h("h2", {}, t("details")), h("dl", { class: "attributes" }, rows.slice(0, 30).flatMap(([name, value]) => [h("dt", {}, fieldName(name)), h("dd", {}, valueText(value))]))];
}

/** @param {Item} item */
function crumbs(item) {
  const path = item.category || [];
  return h("nav", { "aria-label": t("breadcrumb") }, h("ol", { class: "crumbs" }, h("li", {}, h("a", { href: "/" }, t("home"))),
    path.map((name, n) => h("li", {}, h("a", { href: `/search?${new URLSearchParams({ "f.category": path.slice(0, n + 1).join(" > ") })}` }, name)))));
}

/** @param {HTMLElement} main @param {URL} url @param {(to: string, how?: {replace?: boolean, keep?: boolean}) => void} go */
export async function product(main, url, go) {
  const id = decodeURIComponent(url.pathname.slice("/item/".length));
  /** @type {Item} */
  let item;
  try {
    item = await load(id);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    return missing(main);
  }
  addClick(item);
  // What led here: a list's click of the last day. A view and what follows are its merit.
  const from = origin(id);
  record({ type: "view", item: id, ...from });
  let n = 1;
  const buy = h("button", { class: "button", type: "button", disabled: !available(item), onclick: () => addToBasket(item, from?.request_id ? from : { place: "item" }, n) }, icon("plus"), available(item) ? t("add") : t("sold_out"));
  const said = reviews(id);
  const similar = shelf({ name: "similar", title: t("list.similar"), ask: () => around(id, "similar", 16) });
  const together = shelf({ name: "together", title: t("list.together"), note: () => t("note.together"), ask: () => around(id, "together", 16) });
  const choose = variantPicker(item, (other) => { addClick(other, from); go(itemUrl(other), { replace: true, keep: true }); });
  const related = relationRails(id);
  const seen = recentRail(id, 2);
  main.replaceChildren(h("div", { class: "wrap" }, crumbs(item),
    h("article", { class: "product" }, stage(item),
      h("div", { class: "facts" }, item.brand ? h("a", { class: "brand", href: `/search?${new URLSearchParams({ "f.brand": item.brand })}` }, item.brand) : null,
        h("h1", { tabindex: "-1" }, titleOf(item)),
        h("p", { class: "price" }, money(item.price, item.currency) || t("no_price")),
        stock(item),
        choose,
        h("div", { class: "buy" }, available(item) ? stepper(1, (now) => (n = now), titleOf(item)) : null, buy),
        description(item), attributes(item))),
    together, similar, related, said, seen));
  await Promise.all([choose.load(), said.load(), similar.load(), together.load(), seen.load(), ...related.map((rail) => rail.load())]);
  return titleOf(item);
}

/** @param {HTMLElement} main */
function missing(main) {
  const popular = shelf({ name: "popular", title: t("list.instead"), ask: () => recommend({ place: "popular", k: 12 }) });
  main.replaceChildren(h("div", { class: "wrap" }, h("div", { class: "empty" }, drawing("parcel", { hue: 70, ground: 75, accent: 30 }), h("h1", { tabindex: "-1" }, t("no_item")), h("p", {}, t("no_item_more")), h("a", { class: "button", href: "/" }, t("to_home"))), popular));
  popular.load();
  return t("no_item");
}
