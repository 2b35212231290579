/**
 * What does the shop know about me? A panel with this visitor's last clicks, the switch for personalisation, "shop as" for
 * demonstrations, and "forget me". Whatever changes here shows in the very next list.
 */
import { byId, facts, h, toast } from "./dom.js";
import { itemUrl, titleOf } from "./card.js";
import { picture } from "./picture.js";
import { clicks, forget, personal, setPersonal, setUser, user } from "./state.js";
import { ago, t } from "./words.js";
import { closer, placeNear } from "./why.js";

/** @param {() => void} again draws the page anew */
export function youPanel(again) {
  const panel = byId("you-panel");
  const button = byId("you");
  const badge = byId("click-count");

  const count = () => {
    const n = clicks().length;
    badge.hidden = !n || !personal();
    badge.textContent = String(n);
    button.setAttribute("aria-label", n && personal() ? t("you_named", { n }) : t("you"));
  };

  function fill() {
    const seen = clicks();
    const who = [...new Set([...facts.shoppers, ...(user() ? [user()] : [])])];
    panel.replaceChildren(
      h("div", { class: "head" }, h("h2", { tabindex: "-1" }, t("you_title")), closer(panel)),
      h("p", { class: "soft small" }, t(personal() ? "you_more" : "off_note")),
      h("h3", {}, t("your_clicks")),
      seen.length ? h("ul", {}, seen.slice(0, 6).map(({ item, time }) => h("li", {}, h("a", { class: "seen", href: itemUrl(item) }, picture(item), h("span", {}, titleOf(item)), h("time", { datetime: new Date(time).toISOString() }, ago(time)))))) : h("p", { class: "soft" }, t("no_clicks")),
      h("label", { class: "switch" }, h("input", { type: "checkbox", role: "switch", checked: personal(), id: "personal", onchange: (/** @type {any} */ event) => { setPersonal(event.target.checked); again(); fill(); byId("personal")?.focus(); } }), h("span", {}, t("personal"), h("br"), h("span", { class: "soft small" }, t("personal_more")))),
      who.length ? h("label", { class: "field" }, t("shop_as"), h("select", { onchange: (/** @type {any} */ event) => { setUser(event.target.value); again(); } }, h("option", { value: "", selected: !user() }, t("guest")), who.map((id) => h("option", { value: id, selected: id === user() }, id)))) : null,
      h("p", {}, h("a", { class: "link", href: "/privacy" }, t("privacy"))),
      h("button", { class: "link", type: "button", onclick: () => { forget(); panel.hidePopover(); toast(t("forgotten")); again(); } }, t("forget")));
  }

  button.addEventListener("click", () => {
    if (panel.matches(":popover-open")) return panel.hidePopover();
    fill();
    panel.showPopover();
    placeNear(panel, button);
    panel.querySelector("h2")?.focus({ preventScroll: true });
  });
  panel.addEventListener("toggle", (event) => {
    const open = /** @type {ToggleEvent} */ (event).newState === "open";
    button.setAttribute("aria-expanded", String(open));
    if (!open && (document.activeElement === document.body || panel.contains(document.activeElement))) button.focus();
  });
  panel.addEventListener("click", (event) => /** @type {Element} */ (event.target).closest("a") && panel.hidePopover());
  document.addEventListener("state", count);
  count();
}
