/**
 * Why is this item not on that page? An id, and the step at which it fell out in words, with how each source sees it.
 */
import { problemBox, send } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { badge, framed, pairs, waiting } from "../lib/parts.js";
import { maybe, t } from "../lib/words.js";

/** @param {any} request @param {URLSearchParams} params @param {any} route */
export function whyNot(request, params, route) {
  const item = (params.get("item") || "").trim();
  const told = h("div", { class: "stack", id: "why-not", "aria-live": "polite" });
  const input = h("input", { id: "why-item", type: "text", autocomplete: "off", value: item, placeholder: t("inspect.item_hint") });
  const made = h("form", { class: "inline-form", "aria-label": t("inspect.tab_why") }, h("div", { class: "field wide" }, h("label", { for: "why-item" }, t("inspect.item_id")), input), h("div", {}, h("button", { type: "submit", class: "button main" }, t("inspect.ask_why"))));
  made.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    route.go({ item: input.value.trim() });
  });
  if (item) {
    told.append(waiting(2));
    send("POST", "/v1/why-not", { item, request }).then((found) => told.replaceChildren(answer(found, route)), (error) => told.replaceChildren(problemBox(error)));
  }
  return framed({ title: t("inspect.tab_why"), note: t("inspect.why_note") }, h("div", { class: "stack" }, made, told));
}

/** @param {any} found @param {any} route */
function answer(found, route) {
  const passed = found.passed || [];
  return h("div", { class: "stack" },
    h("p", { class: `note ${found.shown ? "good" : "warn"}` }, icon(found.shown ? "check" : "info"), h("span", {}, found.title ? h("strong", {}, found.title, ": ") : null, found.text)),
    h("ol", { class: "steps", "aria-label": t("inspect.passed") }, passed.map((/** @type {string} */ name) => h("li", {}, badge([icon("check"), maybe(`inspect.step_${name}`, name)], "good"))), found.shown ? null : h("li", { class: "stop" }, badge([icon("x"), maybe(`inspect.stop_${found.stage}`, found.stage)], "bad"))),
    pairs([[t("inspect.position"), found.position == null ? "" : `${number(found.position + 1)} / ${number(found.total)}`], [t("inspect.details"), details(found, route)], [t("inspect.instead"), found.instead]]),
    (found.sources || []).length ? h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("inspect.sources") }, h("table", {},
      h("thead", {}, h("tr", {}, ["source", "rank", "score", "part", "last_part"].map((name, n) => h("th", { scope: "col", class: n ? "num" : "" }, t(`inspect.${name}`))))),
      h("tbody", {}, found.sources.map((/** @type {any} */ each) => h("tr", {}, h("td", {}, maybe(`inspect.source_${each.name}`, each.name)), ["rank", "score", "part", "last"].map((name) => h("td", { class: "num" }, number(each[name], 4)))))))) : null);
}

/** What decided; rules are links. @param {any} found @param {any} route */
function details(found, route) {
  const named = found.details || [];
  if (!named.length) return "";
  const ruled = ["hidden_by_rule", "filtered_by_rule"].includes(found.stage);
  return h("span", { class: "chips" }, named.map((/** @type {string} */ each) => (ruled ? h("a", { href: route.link({ rule: each }, "rules") }, each) : h("span", {}, each))));
}
