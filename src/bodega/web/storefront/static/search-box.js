/**
 * How does a visitor ask? A combobox after the WAI-ARIA pattern: focus stays in the field, arrows walk through the
 * suggestions, Enter takes one, Escape closes, then clears. Answers that come too late are thrown away.
 */
import { suggest } from "./api.js";
import { announce, byId, h, icon, later } from "./dom.js";
import { drawn } from "./picture.js";
import { searches } from "./state.js";
import { has, t } from "./words.js";

/** @typedef {{text: string, kind: string, item?: unknown, recent?: boolean}} Suggestion */

/** Kinds of suggestions that name a product. */
const PRODUCT = new Set(["item", "title"]);
const ICON = { recent: "clock", category: "tag", brand: "tag" };

/** What was typed stays plain, what it becomes is bold. @param {string} text @param {string} typed */
function highlighted(text, typed) {
  const at = typed ? text.toLocaleLowerCase().indexOf(typed.toLocaleLowerCase()) : -1;
  if (at < 0) return [h("b", {}, text)];
  const end = at + typed.length;
  return [h("b", {}, text.slice(0, at)), h("mark", {}, text.slice(at, end)), h("b", {}, text.slice(end))];
}

/** @param {(url: string) => void} go */
export function searchBox(go) {
  const form = /** @type {HTMLFormElement} */ (byId("search"));
  const input = /** @type {HTMLInputElement} */ (byId("q"));
  const box = byId("suggestions");
  /** @type {Suggestion[]} */
  let offered = [];
  let chosen = -1;
  let typed = "", given = "";
  let asking = new AbortController();

  const open = () => !box.hidden;
  function close() {
    asking.abort();
    box.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  /** @param {Suggestion[]} list */
  function show(list) {
    offered = list;
    chosen = -1;
    input.removeAttribute("aria-activedescendant");
    box.replaceChildren(...list.map((one, n) => h("div", { class: "option", role: "option", id: `option-${n}`, "aria-selected": "false",
      onpointerdown: (/** @type {Event} */ event) => event.preventDefault(), onclick: () => take(n) },
      PRODUCT.has(one.kind) ? drawn({ id: one.text, title: one.text }) : icon(one.recent ? "clock" : ICON[one.kind] || "search"),
      h("span", {}, ...(one.recent ? [one.text] : highlighted(one.text, typed))),
      has(`kind.${one.kind}`) && !one.recent ? h("span", { class: "kind" }, t(`kind.${one.kind}`)) : null)));
    box.hidden = !list.length;
    input.setAttribute("aria-expanded", String(open()));
    if (list.length && typed) announce(t("suggestions_found", { n: list.length }));
  }

  const ask = later(async () => {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    const prefix = typed;
    if (!prefix) return show(recent());
    try {
      const answer = await suggest(prefix, signal);
      if (!signal.aborted && document.activeElement === input && prefix === input.value.trim()) show(answer.filter((one) => one?.text));
    } catch {
      if (!signal.aborted) close();
    }
  }, 90);

  const recent = () => searches().map((text) => ({ text, kind: "query", recent: true }));

  /** @param {number} n -1 is the field itself */
  function mark(n) {
    chosen = n;
    [...box.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === n)));
    const option = box.children[n];
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
      input.value = offered[n].text;
    } else {
      input.removeAttribute("aria-activedescendant");
      input.value = typed;
    }
  }

  /** @param {number} n */
  function take(n) {
    const { text, kind, item } = offered[n];
    close();
    input.value = text;
    if (PRODUCT.has(kind) && item && typeof item === "string") go(`/item/${encodeURIComponent(item)}`);
    else if (kind === "brand") go(`/search?${new URLSearchParams({ "f.brand": text })}`);
    else go(`/search?${new URLSearchParams({ q: text })}`);
  }

  input.addEventListener("input", () => { typed = input.value.trim(); ask(); });
  input.addEventListener("focus", () => { typed = input.value.trim(); if (!typed) show(recent()); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (!open()) return ask();
      const n = chosen + step;
      mark(n >= offered.length ? -1 : n < -1 ? offered.length - 1 : n);
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (open()) { input.value = typed; close(); } else input.value = typed = "";
    } else if (event.key === "Enter" && chosen >= 0) {
      event.preventDefault();
      take(chosen);
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const query = input.value.trim();
    close();
    input.blur();
    // words beside a photo belong to it: "but red"
    const photo = location.pathname === "/search" ? new URLSearchParams(location.search).get("photo") : "";
    const asked = new URLSearchParams({ ...(query ? { q: query } : {}), ...(photo ? { photo } : {}) });
    go(String(asked) ? `/search?${asked}` : "/search");
  });
  addEventListener("keydown", (event) => {
    const at = /** @type {HTMLElement} */ (event.target);
    if (event.key !== "/" || event.ctrlKey || event.metaKey || at.matches?.("input, select, textarea, [contenteditable]")) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
  return {
    /** @param {string} text */
    set(text) { input.value = typed = given = text; close(); },
    /** Has somebody gone on typing since the page was turned? Then what arrives late takes no focus away. */
    typing: () => document.activeElement === input && input.value !== given,
  };
}
