/** What will be bought? The basket with its sum, a demonstration check-out, and what would complete it. */
import { item as load, recommend } from "./api.js";
import { available, itemUrl, titleOf } from "./card.js";
import { h, icon, toast } from "./dom.js";
import { record } from "./events.js";
import { drawing, picture } from "./picture.js";
import { stepper } from "./product.js";
import { shelf } from "./shelf.js";
import { basket, basketCount, emptyBasket, setBasket } from "./state.js";
import { money, t } from "./words.js";

/** @typedef {import("./state.js").Item} Item */

/** @param {HTMLElement} main */
export async function basketPage(main) {
  const complete = shelf({ name: "basket", title: t("list.basket"), note: () => t("note.basket"), ask: () => recommend({ place: "basket", items: basket().map((line) => line.item.id), k: 12 }) });
  const popular = shelf({ name: "popular", title: t("list.popular"), note: () => t("note.popular"), ask: () => recommend({ place: "popular", k: 12 }) });
  const body = h("div", {});
  main.replaceChildren(h("div", { class: "wrap" }, h("div", { class: "page-title" }, h("h1", { tabindex: "-1" }, t("basket"))), body, complete, popular));

  let shown = "";
  /** @param {boolean} [again] also ask for the list below again */
  async function draw(again = true) {
    if (!body.isConnected && shown) return;
    const lines = basket();
    body.replaceChildren(lines.length ? full(lines, draw) : nothing());
    const ids = lines.map((line) => line.item.id).join("\n");
    complete.hidden = !lines.length;
    popular.hidden = Boolean(lines.length);
    if (again && ids !== shown) await (lines.length ? complete : popular).load();
    shown = ids;
  }
  await draw();
  document.addEventListener("state", function redraw(event) {
    if (!body.isConnected) return document.removeEventListener("state", redraw);
    if (/** @type {CustomEvent} */ (event).detail === "basket") draw();
  });
  refresh();
  return t("basket");
}

/** Prices may have changed since; ask for the products as they are now. */
async function refresh() {
  for (const line of basket().slice(0, 30)) {
    try {
      const now = await load(line.item.id);
      if (now && (now.price !== line.item.price || now.availability !== line.item.availability || now.title !== line.item.title)) setBasket(now, line.n);
    } catch {
      /* keep what we know */
    }
  }
}

/** @param {{item: Item, n: number}[]} lines @param {(again?: boolean) => void} draw */
function full(lines, draw) {
  /** A sum for each currency: pounds and euros do not add up. @type {Map<string | undefined, number>} */
  const sums = new Map();
  for (const { item, n } of lines) sums.set(item.currency, (sums.get(item.currency) || 0) + (item.price || 0) * n);
  const sum = [...sums].map(([currency, value]) => money(value, currency)).join(" + ");
  return h("div", { class: "basket" },
    h("ul", { "aria-label": t("basket") }, lines.map(({ item, n }) => h("li", { class: "line", "data-item": item.id }, picture(item),
      h("div", { class: "name" }, h("a", { href: itemUrl(item) }, titleOf(item)), h("p", { class: "soft small" }, available(item) ? item.brand || "" : t("sold_out"))),
      stepper(n, (now) => setBasket(item, now), titleOf(item), 0),
      h("span", { class: "price" }, money((item.price || 0) * n, item.currency))))),
    h("aside", { class: "sum", "aria-label": t("sum") }, h("h2", {}, t("sum")),
      h("p", { class: "total" }, h("span", {}, t("total", { n: basketCount() })), h("span", { class: "price" }, sum)),
      h("p", { class: "soft small" }, t("demo_only")),
      h("button", { class: "button", type: "button", onclick: () => checkOut(lines, draw) }, icon("check"), t("check_out"))));
}

/** @param {{item: Item, n: number}[]} lines @param {(again?: boolean) => void} draw */
async function checkOut(lines, draw) {
  await record(...lines.map(({ item, n }) => ({ type: "purchase", item: item.id, quantity: n, place: "basket", ...(item.price != null ? { price: item.price } : {}), ...(item.currency ? { currency: item.currency } : {}) })));
  emptyBasket();
  draw();
  toast(t("thanks"));
}

const nothing = () => h("div", { class: "empty" }, drawing("groceries", { hue: 70, ground: 145, accent: 24 }), h("h2", {}, t("basket_empty")), h("p", {}, t("basket_empty_more")), h("a", { class: "button", href: "/" }, t("to_home")));
