/**
 * Why is this here? A button on every recommended product opens one shared panel: the reasons in words, each with its share
 * of the score as a bar, which words of a search stand where in the product, and "not interested". The panel is a popover: Escape and a click elsewhere close it.
 */
import { byId, h, icon } from "./dom.js";
import { fieldName, has, t } from "./words.js";

/** @type {HTMLElement | null} */
let opener = null;
const panel = /** @type {HTMLElement} */ (byId("why-panel"));

/** Keep a popover next to what opened it, inside the window. @param {HTMLElement} box @param {Element} by */
export function placeNear(box, by) {
  const at = by.getBoundingClientRect();
  const room = innerHeight - at.bottom;
  const high = box.offsetHeight;
  const top = room > high + 12 ? at.bottom + 8 : at.top > high + 12 ? at.top - high - 8 : Math.max(8, innerHeight - high - 8);
  box.style.left = `${Math.max(12, Math.min(at.left, innerWidth - box.offsetWidth - 12))}px`;
  box.style.top = `${top}px`;
}

/** Close button of a panel. @param {HTMLElement} box */
export const closer = (box) => h("button", { class: "round", type: "button", "aria-label": t("close"), onclick: () => box.hidePopover() }, icon("x"));

/** Which words of the search stand where: "Name: red dress, Material: wool". @param {import("./api.js").Reason} reason */
function found(reason) {
  const words = (Array.isArray(reason.evidence) ? reason.evidence : []).filter((each) => each.kind === "word" && each.field);
  const fields = [...new Set(words.map((each) => String(each.field)))];
  const told = fields.map((field) => `${fieldName(field)}: ${words.filter((each) => each.field === field).map((each) => each.text).join(" ")}`);
  return told.length ? h("span", { class: "found soft small" }, told.join(" · ")) : null;
}

/** What fits as all other results do has no share, and no bar. @param {import("./api.js").Reason} reason */
function line(reason) {
  const share = Math.max(0, Math.min(1, Number(reason.share) || 0));
  const bar = h("i", {});
  bar.style.setProperty("--share", String(share));
  const text = reason.text || (has(`source.${reason.source}`) ? t(`source.${reason.source}`) : reason.source);
  const measured = share ? [h("span", { class: "share" }, t("percent", { n: Math.round(share * 100) })), h("span", { class: "meter", "aria-hidden": "true" }, bar)] : [];
  return h("li", { class: "reason" }, h("span", {}, text), measured, found(reason));
}

/** @param {import("./api.js").Hit} hit @param {() => void} dismiss */
export function whyButton(hit, dismiss) {
  const name = hit.document.title || hit.id;
  const button = h("button", { class: "why-button", type: "button", "aria-expanded": "false", "aria-controls": "why-panel", "aria-label": t("why_named", { title: name }) }, icon("spark"), t("why"));
  button.addEventListener("click", () => {
    if (opener === button && panel.matches(":popover-open")) return panel.hidePopover();
    const reasons = [...hit.why].sort((a, b) => b.share - a.share);
    panel.replaceChildren(
      h("div", { class: "head" }, h("h2", { id: "why-title", tabindex: "-1" }, t("why")), closer(panel)),
      h("p", { class: "soft small" }, name),
      reasons.length ? h("ul", { class: "reasons" }, reasons.map(line)) : h("p", { class: "reasons" }, t("why_unknown")),
      h("button", { class: "button plain", type: "button", onclick: () => { opener = null; panel.hidePopover(); dismiss(); } }, icon("x"), t("not_interested")));
    opener?.setAttribute("aria-expanded", "false");
    opener = button;
    if (!panel.matches(":popover-open")) panel.showPopover();
    button.setAttribute("aria-expanded", "true");
    placeNear(panel, button);
    panel.querySelector("h2")?.focus({ preventScroll: true });
  });
  return button;
}

panel.addEventListener("toggle", (event) => {
  if (/** @type {ToggleEvent} */ (event).newState !== "closed") return;
  opener?.setAttribute("aria-expanded", "false");
  if (opener && (document.activeElement === document.body || panel.contains(document.activeElement))) opener.focus({ preventScroll: true });
});
addEventListener("scroll", () => panel.matches(":popover-open") && opener && placeNear(panel, opener), { passive: true });
