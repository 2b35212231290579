/**
 * What lies over a page? Dialogs (the browser's own: they trap the focus and give it back), questions before what cannot
 * be undone, and short messages that may carry an undo.
 */
import { announce, byId, fresh, h, icon } from "./dom.js";
import { t } from "./words.js";

/** A window. `body` is elements; `actions(close)` makes its buttons. Resolves with what `close(value)` was given, undefined
 * when it was left by Escape. @param {{title: string, body: any, actions?: (close: (value?: any) => void) => any, wide?: boolean}} how @returns {Promise<any>} */
export function dialog({ title, body, actions, wide = false }) {
  const id = fresh("dialog");
  const before = /** @type {any} */ (document.activeElement);
  return new Promise((resolve) => {
    let answer;
    const close = (/** @type {any} */ value) => {
      answer = value;
      made.close();
    };
    const made = h("dialog", { class: wide ? "dialog wide" : "dialog", "aria-labelledby": id },
      h("div", { class: "dialog-head" }, h("h2", { id }, title), h("button", { type: "button", class: "icon-button", "aria-label": t("frame.close"), onclick: () => close() }, icon("x"))),
      h("div", { class: "dialog-body" }, typeof body === "function" ? body(close) : body),
      actions ? h("div", { class: "dialog-foot row" }, actions(close)) : null);
    made.addEventListener("close", () => {
      made.remove();
      if (before?.isConnected) before.focus();
      resolve(answer);
    });
    made.addEventListener("click", (/** @type {MouseEvent} */ event) => event.target === made && close());
    document.body.append(made);
    made.showModal();
  });
}

/** Ask before something is done. `text` says what will happen; `danger` for what cannot be undone.
 * @param {{title: string, text: any, yes: string, danger?: boolean}} how @returns {Promise<boolean>} */
export async function confirm({ title, text, yes, danger = false }) {
  return Boolean(await dialog({
    title,
    body: typeof text === "string" ? h("p", {}, text) : text,
    actions: (close) => [h("button", { type: "button", class: "button", onclick: () => close(false) }, t("frame.cancel")), h("button", { type: "button", class: danger ? "button danger" : "button main", autofocus: !danger, onclick: () => close(true) }, yes)],
  }));
}

/** A short message, announced too. With `undo` it stays longer and offers it. @param {string} text
 * @param {{undo?: () => any, tone?: "good" | "bad"}} [how] */
export function toast(text, { undo, tone = "good" } = {}) {
  const box = h("div", { class: `toast ${tone}` }, icon(tone === "bad" ? "warn" : "check"), h("span", {}, text));
  if (undo) box.append(h("button", { type: "button", class: "button quiet", onclick: async () => (box.remove(), await undo()) }, t("frame.undo")));
  byId("toasts").append(box);
  announce(text);
  setTimeout(() => box.remove(), undo ? 10_000 : 4000);
}
