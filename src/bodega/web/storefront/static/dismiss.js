/**
 * How does something leave a page for good? "Not interested": the card goes at once, what stands behind it moves up, and for
 * some seconds there is a way back. The shop is told when that time is over (or the page is left): what is undone never was.
 */
import { announce, icon, h, toast } from "./dom.js";
import { record } from "./events.js";
import { addDismissed, dropDismissed } from "./state.js";
import { t } from "./words.js";

/** @typedef {import("./api.js").Hit} Hit */
/** @typedef {import("./state.js").From} From */

/** Tells the shop what waits for its time. @type {(() => void) | undefined} */
let tell;

/** @param {Hit} hit @param {From} from @param {HTMLElement} card @param {(card: HTMLElement, back: boolean) => void} [changed] after it went or came back */
export function turnAway(hit, from, card, changed) {
  const row = /** @type {HTMLElement} */ (card.parentElement);
  const at = [...row.children].indexOf(card);
  const title = hit.document.title || hit.id;
  addDismissed(hit.id);
  card.remove();
  changed?.(card, false);
  const next = row.children[Math.min(at, row.children.length - 1)]?.querySelector("a") || row.closest("section")?.querySelector("h2");
  /** @type {HTMLElement | null | undefined} */ (next)?.focus({ preventScroll: true });
  const end = () => {
    tell = undefined;
    record({ type: "dismiss", item: hit.id, ...from });
  };
  toast(t("dismissed", { title }), { label: t("undo"), end, act: () => {
    tell = undefined;
    dropDismissed(hit.id);
    changed?.(card, true);
    if (row.isConnected) row.insertBefore(card, row.children[at] || null);
    card.querySelector("a")?.focus({ preventScroll: true });
    announce(t("dismissed_undone", { title }));
  } });
  tell = end;
}

/** The cross on every card. @param {Hit} hit @param {() => void} act */
export const turnAwayButton = (hit, act) => h("button", { class: "away", type: "button", "aria-label": t("not_interested_in", { title: hit.document.title || hit.id }), title: t("not_interested"), onclick: act }, icon("x"));

addEventListener("pagehide", () => tell?.());
