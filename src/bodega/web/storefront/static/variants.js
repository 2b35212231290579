/**
 * Which one of them? Products that come in several variants: chosen from on a card in a panel, on a product's page by the
 * values that they differ in. A value that no variant has together with the others chosen is offered, but marked as such.
 */
import { variants } from "./api.js";
import { addToBasket, available, itemUrl, titleOf } from "./card.js";
import { byId, h, icon } from "./dom.js";
import { closer, placeNear } from "./why.js";
import { fieldName, money, t, valueText } from "./words.js";

/** @typedef {import("./state.js").Item} Item */
/** @typedef {import("./api.js").Variant} Variant */
/** @typedef {{axes: Record<string, string[]>, variants: Variant[]}} Told */

const panel = /** @type {HTMLElement} */ (byId("variant-panel"));
/** @type {HTMLElement | null} */
let opener = null;

/** "42, blue" @param {Variant} variant @param {Told} told */
const nameOf = (variant, told) => Object.keys(told.axes).map((axis) => valueText(variant.options[axis] ?? "")).filter(Boolean).join(", ") || variant.title;

/** A panel with all variants, opened from a card. @param {Item} item @param {HTMLElement} button @param {import("./state.js").From} from @param {() => void} changed */
export async function choosePanel(item, button, from, changed) {
  if (opener === button && panel.matches(":popover-open")) return panel.hidePopover();
  const told = await variants(item.id).catch(() => null);
  if (!told) return;
  const row = (/** @type {Variant} */ each) => h("li", { class: "variant-row" },
    h("a", { href: itemUrl(each.document), onclick: () => panel.hidePopover() }, nameOf(each, told)),
    h("span", { class: "price" }, money(each.document.price, each.document.currency)),
    each.available ? h("button", { class: "round add", type: "button", "aria-label": t("add_named", { title: `${titleOf(each.document)}, ${nameOf(each, told)}` }), onclick: () => { addToBasket(each.document, from); changed(); } }, icon("plus")) : h("span", { class: "soft small" }, t("sold_out")));
  panel.replaceChildren(h("div", { class: "head" }, h("h2", { id: "variant-title", tabindex: "-1" }, t("choose_variant")), closer(panel)), h("p", { class: "soft small" }, titleOf(item)), h("ul", { class: "variant-list" }, told.variants.map(row)));
  opener?.setAttribute("aria-expanded", "false");
  opener = button;
  if (!panel.matches(":popover-open")) panel.showPopover();
  button.setAttribute("aria-expanded", "true");
  placeNear(panel, button);
  panel.querySelector("h2")?.focus({ preventScroll: true });
}

panel.addEventListener("toggle", (event) => {
  if (/** @type {ToggleEvent} */ (event).newState !== "closed") return;
  opener?.setAttribute("aria-expanded", "false");
  if (opener && (document.activeElement === document.body || panel.contains(document.activeElement))) opener.focus({ preventScroll: true });
});
addEventListener("scroll", () => panel.matches(":popover-open") && opener && placeNear(panel, opener), { passive: true });

/** The variant that fits best: with this value, and as much else of the present one as can be.
 * @param {Variant[]} all @param {Variant} now @param {string} axis @param {string} value */
function nearest(all, now, axis, value) {
  const like = (/** @type {Variant} */ each) => Object.entries(now.options).filter(([name, held]) => name !== axis && each.options[name] === held).length * 2 + Number(each.available);
  return all.filter((each) => each.options[axis] === value).sort((a, b) => like(b) - like(a))[0];
}

/** Groups of buttons on a product's page, filled when the shop has told; hidden where there is nothing to choose.
 * @param {Item} item @param {(item: Item) => void} choose */
export function variantPicker(item, choose) {
  const box = h("div", { class: "variants", hidden: true });
  box.load = async () => {
    if (!item.group) return;
    const told = await variants(item.id).catch(() => null);
    const now = told?.variants.find((each) => each.item === item.id);
    if (!told || !now || told.variants.length < 2) return;
    const axes = Object.entries(told.axes);
    const group = ([/** @type {string} */ axis, /** @type {string[]} */ values]) => h("fieldset", { class: "axis" }, h("legend", {}, fieldName(axis), ": ", h("strong", {}, valueText(now.options[axis] ?? ""))),
      values.map((value) => {
        const to = nearest(told.variants, now, axis, value);
        const exact = to && Object.keys(told.axes).every((name) => name === axis || to.options[name] === now.options[name]);
        return h("button", { class: exact && to.available ? "value" : "value other", type: "button", "aria-pressed": String(value === now.options[axis]), "data-variant": to?.item, onclick: () => to && to.item !== item.id && choose(to.document),
          title: to?.available ? null : t("sold_out") }, valueText(value));
      }));
    const others = told.variants.filter((each) => each.item !== item.id);
    const plain = () => h("fieldset", { class: "axis" }, h("legend", {}, t("other_variants")), others.map((each) => h("button", { class: available(each.document) ? "value" : "value other", type: "button", "data-variant": each.item, onclick: () => choose(each.document) }, each.title)));
    box.replaceChildren(...(axes.length ? axes.map(group) : [plain()]));
    box.hidden = false;
  };
  return box;
}
