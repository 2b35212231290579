/** What will be bought? The basket with its sum, what would complete it, and a demonstration check-out that records
 * each purchase with the list that it came from. */
import { item as load, recommend } from "./api.js";
import { available, itemUrl, titleOf } from "./card.js";
import { h, icon, toast } from "./dom.js";
import { record } from "./events.js";
import { drawing, picture } from "./picture.js";
import { stepper } from "./product.js";
import { recentRail } from "./rails.js";
import { shelf } from "./shelf.js";
import { basket, basketCount, emptyBasket, randomId, setBasket } from "./state.js";
import { money, t } from "./words.js";

/** @typedef {import("./state.js").Item} Item */

/** @param {HTMLElement} main */
export async function basketPage(main) {
  const complete = shelf({ name: "basket", title: t("list.basket"), note: () => t("note.basket"), ask: () => recommend({ place: "basket", items: basket().map((line) => line.item.id), k: 12 }) });
  const popular = shelf({ name: "popular", title: t("list.popular"), note: () => t("note.popular"), ask: () => recommend({ place: "popular", k: 12 }) });
  const seen = recentRail();
  const body = h("div", {});
  main.replaceChildren(h("div", { class: "wrap" }, h("div", { class: "page-title" }, h("h1", { tabindex: "-1" }, t("basket"))), body, complete, popular, seen));
  seen.load();

  /** The products that the list below was asked for; null before the first. @type {string | null} */
  let shown = null;
  /** The confirmation of what was just ordered. @type {HTMLElement | null} */
  let ordered = null;
  const done = (/** @type {HTMLElement} */ said) => {
    ordered = said;
    emptyBasket(); // which draws
    body.querySelector("h2")?.focus();
  };
  /** @param {boolean} [again] also ask for the list below again */
  async function draw(again = true) {
    if (!body.isConnected && shown !== null) return;
    const lines = basket();
    body.replaceChildren(lines.length ? full(lines, done) : ordered || nothing());
    ordered = null;
    const ids = lines.map((line) => line.item.id).join("\n");
    complete.hidden = !lines.length;
    popular.hidden = Boolean(lines.length);
    const before = shown;
    shown = ids;
    if (again && ids !== before) await (lines.length ? complete : popular).load();
  }
  // Before anything is waited for: who checks out at once must see it done.
  document.addEventListener("state", function redraw(event) {
    if (!body.isConnected) return document.removeEventListener("state", redraw);
    if (/** @type {CustomEvent} */ (event).detail === "basket") draw();
  });
  await draw();
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

/** @typedef {{item: Item, n: number, from?: import("./state.js").From}} Line */

/** @param {Line[]} lines @param {(said: HTMLElement) => void} done */
function full(lines, done) {
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
      h("button", { class: "button", type: "button", onclick: (/** @type {any} */ event) => { event.currentTarget.disabled = true; checkOut(lines, sum, done); } }, icon("check"), t("check_out"))));
}

/** A purchase is the merit of the list that each product came from. @param {Line[]} lines @param {string} sum @param {(said: HTMLElement) => void} done */
async function checkOut(lines, sum, done) {
  const order = randomId().slice(0, 8).toUpperCase();
  await record(...lines.map(({ item, n, from }) => ({ type: "purchase", item: item.id, quantity: n, ...(from?.place ? from : { place: "basket" }), ...(item.price != null ? { price: item.price } : {}), ...(item.currency ? { currency: item.currency } : {}) })));
  done(h("div", { class: "ordered" }, icon("check"), h("h2", { tabindex: "-1" }, t("thanks")), h("p", {}, t("order_number", { id: order })),
    h("ul", {}, lines.map(({ item, n }) => h("li", {}, `${n} × ${titleOf(item)}`))), h("p", { class: "total" }, h("strong", {}, sum)), h("p", { class: "soft small" }, t("demo_only")), h("a", { class: "button", href: "/" }, t("to_home"))));
  toast(t("thanks"));
}

const nothing = () => h("div", { class: "empty" }, drawing("groceries", { hue: 70, ground: 145, accent: 24 }), h("h2", {}, t("basket_empty")), h("p", {}, t("basket_empty_more")), h("a", { class: "button", href: "/" }, t("to_home")));
