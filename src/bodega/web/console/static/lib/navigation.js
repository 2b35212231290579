/**
 * Where can one go? The sidebar (a drawer on phones), crumbs, the box that finds pages (Ctrl+K), light and dark, the
 * language, who is signed in, and the dot that says how the shop is.
 */
import { byId, facts, h, icon } from "./dom.js";
import { on } from "./live.js";
import { dialog } from "./windows.js";
import { t } from "./words.js";
import { GROUPS, PAGES } from "../pages.js";

const THEMES = ["", "light", "dark"];
const FACES = /** @type {Record<string, string>} */ ({ "": "half", light: "sun", dark: "moon" });
/** @type {(page: string) => void} */
let visit = () => {};
let heard = false;

function theme() {
  const button = byId("theme");
  const now = document.documentElement.dataset.theme || "";
  button.replaceChildren(icon(FACES[now]));
  button.setAttribute("aria-label", t(`frame.theme_${now || "system"}`));
  button.title = t(`frame.theme_${now || "system"}`);
}

function nextTheme() {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme || "") + 1) % THEMES.length];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
  try {
    localStorage.setItem("bodega.theme", next);
  } catch {
    /* for this page only */
  }
  theme();
  document.dispatchEvent(new CustomEvent("theme"));
}

/** How the shop is, in a dot and a word. @param {any} status */
function dot(status) {
  const tone = !status.ready ? "bad" : status.state === "degraded" ? "warn" : "good";
  const box = byId("status");
  box.hidden = false;
  box.className = `status ${tone}`;
  const word = status.state === "unreachable" ? "unreachable" : !status.ready ? "not_ready" : status.state === "degraded" ? "degraded" : "ok";
  box.replaceChildren(h("i", {}), h("span", {}, t(`frame.status_${word}`)));
  box.setAttribute("aria-label", t("frame.status", { status: t(`frame.status_${word}`) }));
}

/** The window that finds a page by its name. */
function finder() {
  if (document.querySelector("dialog[open]") || document.body.dataset.signed !== "in") return;
  const found = h("ul", { class: "found", role: "listbox", id: "found-pages", "aria-label": t("shell.pages") });
  const input = h("input", { type: "search", autofocus: true, role: "combobox", "aria-expanded": "true", "aria-controls": "found-pages", "aria-label": t("shell.find"), placeholder: t("frame.find_hint"), autocomplete: "off" });
  let at = 0;
  dialog({ title: t("shell.find"), body: (close) => {
    const mark = () => {
      [...found.children].forEach((each, i) => each.setAttribute("aria-selected", String(i === at)));
      input.setAttribute("aria-activedescendant", found.children[at]?.id || "");
      found.children[at]?.scrollIntoView({ block: "nearest" });
    };
    const pick = (/** @type {string} */ path) => { close(); visit(path); };
    const fill = () => {
      const words = input.value.trim().toLowerCase();
      const hits = PAGES.filter((page) => `${t(page.title)} ${page.path} ${t(`shell.group_${page.group}`)}`.toLowerCase().includes(words));
      found.replaceChildren(...hits.map((page) => h("li", { role: "option", id: `found-${page.path}`, "data-page": page.path, onclick: () => pick(page.path) }, icon(page.icon), t(page.title), h("span", { class: "soft small" }, t(`shell.group_${page.group}`)))));
      if (!hits.length) found.append(h("li", { class: "soft" }, t("frame.find_none")));
      at = 0;
      mark();
    };
    input.addEventListener("input", fill);
    input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
      if (step) { at = (at + step + found.children.length) % found.children.length; mark(); event.preventDefault(); }
      if (event.key === "Enter") { const page = found.children[at]?.dataset.page; if (page) pick(page); event.preventDefault(); }
    });
    fill();
    return [input, found];
  } });
}

/** Who is here, and how to leave. @param {any} who @param {() => void} leave */
function person(who, leave) {
  const button = byId("who");
  button.hidden = false;
  button.replaceChildren(icon("person"));
  button.setAttribute("aria-label", t("frame.who", { label: who.label }));
  button.onclick = () => dialog({
    title: t("frame.who_title"),
    body: [h("p", {}, t("frame.who_key", { label: who.label })), h("p", { class: "soft small" }, t("frame.who_until", { time: new Date(who.expires).toLocaleString(facts.language) }))],
    actions: (close) => [h("button", { type: "button", class: "button", onclick: () => close() }, t("frame.close")), h("button", { type: "button", class: "button main", onclick: () => { close(); leave(); } }, t("frame.sign_out"))],
  });
}

export const navigation = {
  /** What works before anybody signed in. */
  tools() {
    theme();
    byId("theme").onclick = nextTheme;
    byId("find").onclick = finder;
    byId("menu").onclick = () => this.open(document.body.dataset.menu !== "open");
    addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); finder(); }
      if (event.key === "Escape" && document.body.dataset.menu === "open") { this.close(); byId("menu").focus(); }
    });
    document.addEventListener("click", (event) => {
      const at = /** @type {any} */ (event.target);
      if (document.body.dataset.menu === "open" && !at.closest?.("#nav, #menu")) this.close();
    });
    if (!heard) on("status", dot);
    heard = true;
  },
  /** @param {any} who @param {{visit: (page: string) => void, leave: () => void}} how */
  draw(who, how) {
    visit = how.visit;
    person(who, how.leave);
    byId("nav").replaceChildren(...GROUPS.map((group) => {
      const pages = PAGES.filter((page) => page.group === group);
      return pages.length ? h("div", { class: "nav-group" }, h("h2", { id: `group-${group}` }, t(`shell.group_${group}`)), h("ul", { "aria-labelledby": `group-${group}` }, pages.map((page) => h("li", {}, h("a", { href: `/console/${page.path}`, "data-page": page.path, title: t(page.title) }, icon(page.icon), h("span", {}, t(page.title))))))) : "";
    }).filter(Boolean), h("a", { class: "to-shop", href: "/", target: "_blank", rel: "noopener" }, icon("shop"), h("span", {}, t("frame.to_shop"))));
  },
  empty() {
    byId("nav").replaceChildren();
    byId("crumbs").replaceChildren();
    byId("who").hidden = true;
    byId("status").hidden = true;
    this.close();
  },
  /** Which page is this? @param {import("../pages.js").Entry | null | undefined} page @param {(changes: any, page?: string) => string} link */
  mark(page, link) {
    for (const each of document.querySelectorAll("#nav a[data-page]")) {
      if (/** @type {any} */ (each).dataset.page === page?.path) each.setAttribute("aria-current", "page");
      else each.removeAttribute("aria-current");
    }
    byId("crumbs").replaceChildren(...(page ? [h("ol", {}, h("li", {}, t(`shell.group_${page.group}`)), h("li", {}, h("a", { href: link({}, page.path), "aria-current": "page" }, t(page.title))))] : []));
    const language = new URL(location.href);
    language.searchParams.set("lang", byId("language").lang.slice(0, 2));
    byId("language").href = language.href;
  },
  /** @param {boolean} yes */
  open(yes) {
    if (yes) document.body.dataset.menu = "open";
    else delete document.body.dataset.menu;
    byId("menu").setAttribute("aria-expanded", String(yes));
    if (yes) byId("nav").querySelector("a")?.focus();
  },
  close() {
    this.open(false);
  },
};
