/**
 * How did this page come about? One request taken apart: how the words were read, what each source found, where every
 * item stood after each stage, why, and why not; beside it the same request under other settings. All of it is in the
 * address, so what was found can be shown to somebody else.
 */
import { problemBox, send } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { card, empty, framed, heading, tabs, waiting } from "../lib/parts.js";
import { t } from "../lib/words.js";
import { besideForm, comparison, dialsOf } from "./inspect-beside.js";
import { looked } from "./inspect-look.js";
import { whyNot } from "./inspect-why.js";
import { style } from "./steer-parts.js";

export const title = "inspect.title";

const PLACES = ["search", "home", "category", "similar", "together", "basket", "popular", "trending", "repeat", "rare", "recent"];
const ANCHORED = ["similar", "together", "basket"];

/** The request of an address. @param {URLSearchParams} params */
export function requestOf(params) {
  const query = (params.get("q") || "").trim();
  const place = params.get("place") || "search";
  return {
    place: place === "search" && !query ? "category" : place,
    query: place === "search" ? query : "",
    user: params.get("user") || "",
    items: (params.get("items") || "").split(",").map((each) => each.trim()).filter(Boolean),
    k: Math.min(100, Math.max(10, Number(params.get("k")) || 20)),
    language: params.get("language") || "",
    personal: params.get("personal") !== "0",
  };
}

/** Is there anything to look at? @param {URLSearchParams} params */
const isAsked = (params) => params.has("q") || params.has("place") || params.has("user");

/** @param {any} view @param {any} route */
export async function draw(view, route) {
  await style();
  const { params } = route;
  const told = h("div", { class: "stack", id: "inspection", "aria-live": "polite" });
  view.append(heading(t(title), t("inspect.note")), asking(params, route), told);
  if (!isAsked(params)) {
    told.append(card("", empty(t("inspect.empty"), t("inspect.empty_why"), h("a", { class: "button", href: route.link({}, "search") }, t("inspect.empty_next")))));
    return;
  }
  told.append(waiting(5));
  const request = requestOf(params);
  const tab = params.get("tab") || "look";
  const body = { request, rows: 60, ...(tab === "beside" ? { beside: dialsOf(params) } : {}) };
  try {
    const found = await send("POST", "/v1/inspect", body);
    const chosen = { look: () => looked(found.one, route), beside: () => [besideForm(found.one, params, route), comparison(found)], why: () => whyNot(request, params, route) };
    const items = ["look", "beside", "why"].map((key) => ({ key, label: t(`inspect.tab_${key}`) }));
    told.replaceChildren(tabs(items, tab, (key) => route.go({ tab: key === "look" ? "" : key }), t("inspect.tabs")), h("div", { class: "stack", role: "tabpanel", "aria-labelledby": `tab-${tab}` }, /** @type {any} */ (chosen)[tab in chosen ? tab : "look"]()));
  } catch (error) {
    told.replaceChildren(problemBox(error, () => route.again()));
  }
}

/** What is asked: words or a list, by whom. @param {URLSearchParams} params @param {any} route */
function asking(params, route) {
  const place = params.get("place") || "search";
  const text = (/** @type {string} */ name, /** @type {string} */ label, /** @type {any} */ more = {}) =>
    h("div", { class: "field" }, h("label", { for: `ask-${name}` }, label), h("input", { id: `ask-${name}`, name, type: "text", autocomplete: "off", value: params.get(name) || "", ...more }));
  const words = text("q", t("inspect.query"), { type: "search", placeholder: t("inspect.query_hint") });
  words.classList.add("wide");
  const anchors = text("items", t("inspect.items"), { placeholder: "p1, p2" });
  const list = h("select", { id: "ask-place", name: "place", value: place }, PLACES.map((each) => h("option", { value: each }, t(`inspect.place_${each}`))));
  const language = h("select", { id: "ask-language", name: "language", value: params.get("language") || "" }, [["", t("inspect.language_shop")], ["en", "English"], ["zh", "中文"]].map(([value, label]) => h("option", { value }, label)));
  const fit = () => {
    words.hidden = list.value !== "search";
    anchors.hidden = !ANCHORED.includes(list.value);
  };
  list.addEventListener("change", fit);
  fit();
  const made = h("form", { class: "inline-form", role: "search", "aria-label": t("inspect.ask") },
    h("div", { class: "field" }, h("label", { for: "ask-place" }, t("inspect.place")), list),
    words, anchors,
    text("user", t("inspect.user"), { placeholder: t("inspect.user_hint") }),
    h("div", { class: "field" }, h("label", { for: "ask-language" }, t("inspect.language")), language),
    h("div", { class: "field check" }, h("div", { class: "row" }, h("input", { id: "ask-personal", name: "personal", type: "checkbox", checked: params.get("personal") !== "0" }), h("label", { for: "ask-personal" }, t("inspect.personal")))),
    h("div", {}, h("button", { type: "submit", class: "button main" }, t("inspect.go"))));
  made.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const value = (/** @type {string} */ name) => made.elements[name].value.trim();
    route.go({ place: value("place") === "search" ? "" : value("place"), q: value("place") === "search" ? value("q") : "", items: ANCHORED.includes(value("place")) ? value("items") : "", user: value("user"), language: value("language"), personal: made.elements.personal.checked ? "" : "0", ...(value("place") === "search" && !value("q") ? { place: "category" } : {}) });
  });
  return framed({ id: "ask" }, made);
}
