/**
 * Can this shop be seen as everybody sees it? A switch at the foot of every page: lists without personalisation, at once and
 * until it is switched back, here and in every tab; a line at the top says so as long as it holds.
 */
import { announce, byId, h } from "./dom.js";
import { personal, setPersonal } from "./state.js";
import { t } from "./words.js";

/** @param {() => void} again draws the page anew */
export function impersonal(again) {
  const button = byId("impersonal");
  const line = byId("impersonal-line");
  const turn = (/** @type {boolean} */ on) => {
    setPersonal(on);
    announce(t(on ? "personal_is_on" : "personal_is_off"));
    again();
  };
  const show = () => {
    button.textContent = t(personal() ? "show_impersonal" : "show_personal");
    button.setAttribute("aria-pressed", String(!personal()));
    line.hidden = personal();
    line.replaceChildren(...(personal() ? [] : [h("span", {}, t("personal_is_off")), h("button", { class: "link", type: "button", onclick: () => { turn(true); button.focus({ preventScroll: true }); } }, t("show_personal"))]));
  };
  button.addEventListener("click", () => turn(!personal()));
  document.addEventListener("state", (event) => /** @type {CustomEvent} */ (event).detail === "personal" && show());
  addEventListener("storage", (event) => { if (event.key === "bodega.personal") { show(); again(); } });
  show();
}
