/**
 * Two elements for any page: <bodega-search>, a search box with completions, and <bodega-list>, a list of products that says
 * why. They share the client of bodega.js. Every text is a text node, styles are constructed sheets: both hold under a strict
 * content security policy with trusted types. Looks are set by custom properties and ::part(); docs/client.md lists them.
 */
import { bodega } from "./bodega.js";

const TEXTS = {
  en: { search: "Search", why: "Why this?", dismiss: "Not interested: {title}", dismissed: "{title} will not be shown again", add: "Add to basket", added: "In your basket: {title}", none: "Nothing was found for “{query}”.", failed: "This list could not be loaded.", found: "{n} suggestions; use the arrow keys", results: "{n} products", more: "Show more" },
  zh: { search: "搜索", why: "为什么推荐？", dismiss: "不感兴趣：{title}", dismissed: "不会再显示：{title}", add: "加入购物车", added: "已加入购物车：{title}", none: "没有找到“{query}”。", failed: "列表未能加载。", found: "有 {n} 条建议，可用方向键选择", results: "{n} 件商品", more: "显示更多" },
};
let made = 0;

/** @param {HTMLElement} el @param {string} key @param {Record<string, any>} [values] */
function said(el, key, values = {}) {
  const language = (el.getAttribute("language") || el.closest("[lang]")?.getAttribute("lang") || "en").slice(0, 2);
  return (TEXTS[language] || TEXTS.en)[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** An element of text nodes. @param {string} tag @param {Record<string, any>} props @param {...any} children @returns {any} */
function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  el.append(...children.filter((child) => child != null && child !== ""));
  return el;
}

/** The address when it is http(s), else "". @param {unknown} url */
function safe(url) {
  try {
    const parsed = new URL(String(url), location.href);
    return /^https?:$/.test(parsed.protocol) ? parsed.href : "";
  } catch {
    return "";
  }
}

/** @param {string} text */
function sheet(text) {
  const made = new CSSStyleSheet();
  made.replaceSync(text);
  return made;
}

const BASE = `
:host { display: block; color: inherit; font: inherit; --_accent: var(--bodega-accent, #0d5c45); --_line: var(--bodega-line, color-mix(in srgb, currentcolor 22%, transparent)); --_round: var(--bodega-radius, 12px); --_card: var(--bodega-card, Canvas); }
:host([hidden]) { display: none; }
* { box-sizing: border-box; }
button, input { font: inherit; color: inherit; }
:focus-visible { outline: 3px solid var(--bodega-focus, #0b57d0); outline-offset: 2px; }
.vh { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;
const SEARCH = sheet(`${BASE}
form { position: relative; display: flex; gap: 8px; }
input { flex: 1; min-width: 0; min-height: 44px; padding: 0 14px; border: 1px solid var(--bodega-edge, #767676); border-radius: var(--_round); background: var(--_card); }
button { min-height: 44px; padding: 0 18px; border: 0; border-radius: var(--_round); background: var(--_accent); color: var(--bodega-on-accent, #fff); font-weight: 600; cursor: pointer; }
ul { position: absolute; inset: calc(100% + 4px) 0 auto; z-index: 9; margin: 0; padding: 6px; list-style: none; border: 1px solid var(--_line); border-radius: var(--_round); background: var(--_card); box-shadow: 0 10px 30px rgb(0 0 0 / 18%); max-height: 60vh; overflow: auto; }
li { padding: 9px 10px; border-radius: 8px; cursor: pointer; overflow-wrap: anywhere; }
li[aria-selected="true"], li:hover { background: color-mix(in srgb, var(--_accent) 16%, transparent); }
`);
const LIST = sheet(`${BASE}
h2 { margin: 0 0 10px; font-size: 1.25em; }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--bodega-column, 160px), 1fr)); gap: var(--bodega-gap, 14px); margin: 0; padding: 0; list-style: none; }
:host([layout="row"]) ul { grid-auto-flow: column; grid-template-columns: none; grid-auto-columns: var(--bodega-column, 180px); overflow-x: auto; padding: 4px; scroll-snap-type: x proximity; }
li { position: relative; display: flex; flex-direction: column; gap: 4px; padding: 12px; border: 1px solid var(--_line); border-radius: var(--_round); background: var(--_card); scroll-snap-align: start; min-width: 0; overflow-wrap: anywhere; }
img, .blank { width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: calc(var(--_round) - 4px); }
.blank { display: grid; place-items: center; background: color-mix(in srgb, var(--_accent) 12%, transparent); font-size: 2em; font-weight: 700; }
a { color: inherit; text-decoration: none; font-weight: 600; }
a:hover { text-decoration: underline; }
.brand { font-size: 0.82em; opacity: 0.85; }
.price { font-weight: 700; margin-top: auto; }
.away { position: absolute; right: 6px; top: 6px; width: 30px; height: 30px; padding: 0; border: 0; border-radius: 50%; background: var(--_card); cursor: pointer; line-height: 1; }
details { font-size: 0.85em; }
summary { cursor: pointer; min-height: 24px; }
.add, .more { min-height: 40px; padding: 0 14px; border: 1px solid var(--_accent); border-radius: var(--_round); background: none; color: var(--_accent); font-weight: 600; cursor: pointer; }
.more { margin-top: 14px; }
`);

class Search extends HTMLElement {
  #offered = [];
  #at = -1;
  #typed = "";
  #asking = new AbortController();
  #timer = 0;

  connectedCallback() {
    if (this.shadowRoot) return;
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    root.adoptedStyleSheets = [SEARCH];
    const label = this.getAttribute("label") || said(this, "search");
    this.list = h("ul", { part: "suggestions", id: "list", role: "listbox", "aria-label": label, hidden: true });
    this.input = h("input", { part: "input", type: "search", name: "q", role: "combobox", "aria-label": label, "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "list", autocomplete: "off", maxlength: 300, enterkeyhint: "search",
      placeholder: this.getAttribute("placeholder") || label, value: new URLSearchParams(location.search).get(this.getAttribute("parameter") || "q") || null,
      oninput: () => this.#type(), onblur: () => this.#close(), onkeydown: (event) => this.#key(event) });
    this.live = h("div", { class: "vh", role: "status" });
    root.append(h("form", { part: "form", role: "search", onsubmit: (event) => { event.preventDefault(); this.search(this.input.value.trim()); } }, this.input, h("button", { part: "button", type: "submit" }, said(this, "search")), this.list), this.live);
    if (this.input.value && this.#target) queueMicrotask(() => this.search(this.input.value, true));
  }

  get #target() {
    const id = this.getAttribute("for");
    return id ? document.getElementById(id) : null;
  }

  /** Search for something: fills the list named by `for`, else goes to the page named by `results`. @param {string} query @param {boolean} [quiet] */
  search(query, quiet = false) {
    this.#close();
    this.input.value = query;
    if (query && !quiet) bodega().track("search", { query });
    if (!this.dispatchEvent(new CustomEvent("bodega-search", { detail: { query }, bubbles: true, composed: true, cancelable: true }))) return;
    const parameter = this.getAttribute("parameter") || "q";
    const target = this.#target;
    if (target) {
      if (!quiet) history.pushState({}, "", `?${new URLSearchParams({ ...Object.fromEntries(new URLSearchParams(location.search)), [parameter]: query })}`);
      target.setAttribute("query", query);
    } else if (this.hasAttribute("results")) {
      const to = safe(this.getAttribute("results"));
      if (to) location.assign(`${to}${to.includes("?") ? "&" : "?"}${new URLSearchParams({ [parameter]: query })}`);
    }
  }

  #type() {
    this.#typed = this.input.value.trim();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#suggest(), 100);
  }
  async #suggest() {
    this.#asking.abort();
    const { signal } = (this.#asking = new AbortController());
    if (!this.#typed) return this.#close();
    const found = await bodega().suggest(this.#typed, { signal }).catch(() => []);
    if (signal.aborted || this.shadowRoot.activeElement !== this.input) return;
    this.#offered = found.filter((one) => one?.text);
    this.#at = -1;
    this.list.replaceChildren(...this.#offered.map((one, n) => h("li", { part: "suggestion", role: "option", id: `o${n}`, "aria-selected": "false", onpointerdown: (event) => event.preventDefault(), onclick: () => this.search(one.text) }, one.text)));
    this.list.hidden = !found.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.live.textContent = found.length ? said(this, "found", { n: found.length }) : "";
  }
  #close() {
    clearTimeout(this.#timer);
    this.#asking.abort();
    if (!this.list) return;
    this.list.hidden = true;
    this.#at = -1;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.isComposing) return;
    if (event.key === "Escape" && !this.list.hidden) {
      event.preventDefault();
      this.input.value = this.#typed;
      this.#close();
    } else if (step && !this.list.hidden) {
      event.preventDefault();
      const all = this.#offered.length + 1;
      this.#at = ((this.#at + 1 + step + all) % all) - 1;
      [...this.list.children].forEach((each, n) => each.setAttribute("aria-selected", String(n === this.#at)));
      this.input.value = this.#offered[this.#at]?.text ?? this.#typed;
      if (this.#at < 0) this.input.removeAttribute("aria-activedescendant");
      else this.input.setAttribute("aria-activedescendant", `o${this.#at}`);
    } else if (step) this.#type();
  }
}

class List extends HTMLElement {
  static observedAttributes = ["place", "items", "query", "k", "personal"];
  #turn = 0;
  #waiting = false;
  #id = `bodega-${++made}`;
  /** What an item looks like, when the page draws it itself. @type {((hit: any, page: any) => Node) | null} */
  render = null;

  connectedCallback() {
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [LIST];
      this.title_ = h("h2", { part: "heading", id: this.#id, tabindex: "-1" });
      this.grid = h("ul", { part: "list", role: "list" });
      this.foot = h("div", { part: "foot" });
      this.live = h("div", { class: "vh", role: "status" });
      root.append(h("section", { part: "section", "aria-labelledby": this.#id }, this.title_, this.grid, this.foot), this.live);
    }
    this.load();
  }
  attributeChangedCallback() {
    if (!this.isConnected || !this.shadowRoot || this.#waiting) return;
    this.#waiting = true; // several attributes that change at once ask once
    queueMicrotask(() => { this.#waiting = false; this.load(); });
  }

  /** Ask (again) and show. @param {number} [offset] go on from there @returns {Promise<any>} the page */
  async load(offset = 0) {
    const turn = ++this.#turn;
    const client = bodega();
    const place = this.getAttribute("place") || "home";
    const query = this.getAttribute("query") ?? "";
    if (place === "search" && !query) return this.#blank("");
    const items = (this.getAttribute("items") || "").split(/[\s,]+/).filter(Boolean);
    const more = { k: Number(this.getAttribute("k")) || 12, offset, ...(this.getAttribute("personal") === "false" && { personal: false }), ...(this.hasAttribute("language") && { language: this.getAttribute("language") }) };
    try {
      const page = await (place === "search" ? client.search(query, more) : client.recommend(place, { ...(items.length && { items }), ...more }));
      if (turn === this.#turn) this.#show(page, query, offset);
      return page;
    } catch (error) {
      if (turn === this.#turn) this.#blank(this.hasAttribute("quiet") ? "" : said(this, "failed"));
      this.dispatchEvent(new CustomEvent("bodega-error", { detail: { error }, bubbles: true, composed: true }));
      return null;
    }
  }
  /** @param {string} text */
  #blank(text) {
    this.grid.replaceChildren();
    this.foot.replaceChildren(text ? h("p", { part: "message" }, text) : "");
    this.title_.textContent = this.getAttribute("heading") || "";
    this.title_.hidden = !this.title_.textContent;
  }
  #show(page, query, offset) {
    const shown = page.hits.map((hit) => this.#card(hit, page));
    if (offset) this.grid.append(...shown);
    else this.grid.replaceChildren(...shown);
    const heading = this.getAttribute("heading") || (query ? said(this, "results", { n: page.total }) : "");
    this.title_.textContent = heading;
    this.title_.hidden = !heading;
    const count = offset + page.hits.length;
    this.foot.replaceChildren(!count && query ? h("p", { part: "message" }, said(this, "none", { query })) : "",
      query && count < page.total && page.hits.length ? h("button", { class: "more", part: "more", type: "button", onclick: () => this.load(count).then(() => this.grid.children[count]?.querySelector("a")?.focus()) }, said(this, "more")) : "");
    if (query) this.live.textContent = page.total ? said(this, "results", { n: page.total }) : said(this, "none", { query });
    this.dispatchEvent(new CustomEvent("bodega-loaded", { detail: { page }, bubbles: true, composed: true }));
  }
  #price(item) {
    if (typeof item.price !== "number") return "";
    const language = this.closest("[lang]")?.getAttribute("lang") || undefined;
    try {
      return new Intl.NumberFormat(language, { style: "currency", currency: item.currency || this.getAttribute("currency") || "USD", currencyDisplay: "narrowSymbol" }).format(item.price);
    } catch {
      return String(item.price);
    }
  }
  #card(hit, page) {
    const item = hit.document, title = item.title || hit.id, client = bodega();
    const to = safe((this.getAttribute("href") || item.url || "?item={id}").replaceAll("{id}", encodeURIComponent(hit.id)));
    const picture = safe(item.images?.[0] || "") && item.images?.length ? h("img", { part: "image", src: safe(item.images[0]), alt: "", loading: "lazy", width: 200, height: 200 }) : h("div", { class: "blank", part: "image", "aria-hidden": "true" }, [...title][0] || "");
    const tell = (name, more = {}) => this.dispatchEvent(new CustomEvent(name, { detail: { hit, item, page, ...more }, bubbles: true, composed: true, cancelable: true }));
    const own = this.render?.(hit, page);
    const reasons = (hit.why || []).map((each) => each.text).filter(Boolean);
    const el = h("li", { part: "item", "data-item": hit.id }, ...(own ? [own] : [picture, item.brand ? h("span", { class: "brand", part: "brand" }, item.brand) : "",
      h("a", { part: "title", href: to, onclick: (event) => { client.click(hit, page); if (!tell("bodega-click")) event.preventDefault(); } }, title), h("span", { class: "price", part: "price" }, this.#price(item)),
      reasons.length && !this.hasAttribute("plain") ? h("details", { part: "why" }, h("summary", { part: "why-button", "aria-label": `${said(this, "why")} ${title}` }, said(this, "why")), h("p", {}, reasons.join(" · "))) : "",
      this.hasAttribute("cart") ? h("button", { class: "add", part: "add", type: "button", "aria-label": `${said(this, "add")}: ${title}`, onclick: () => { client.cart(hit.id, { ...client.from(page, hit), ...(item.price != null && { price: item.price }) }); tell("bodega-cart"); this.live.textContent = said(this, "added", { title }); } }, said(this, "add")) : ""]),
      this.hasAttribute("plain") ? "" : h("button", { class: "away", part: "dismiss", type: "button", "aria-label": said(this, "dismiss", { title }), onclick: () => { client.dismiss(hit, page); const next = el.nextElementSibling || el.previousElementSibling; el.remove(); (next?.querySelector("a") || this.title_).focus(); this.live.textContent = said(this, "dismissed", { title }); tell("bodega-dismiss"); } }, "×"));
    client.seen(el, hit, page);
    return el;
  }
}

if (!customElements.get("bodega-search")) customElements.define("bodega-search", Search);
if (!customElements.get("bodega-list")) customElements.define("bodega-list", List);
export { List as BodegaList, Search as BodegaSearch, bodega };
