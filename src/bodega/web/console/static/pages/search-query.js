/**
 * What became of the people who asked this, and what may mend it? What they chose, what they asked next, and fixes: the
 * ones that follow from the log, and any that a person writes. Each is measured first, then published with one click,
 * and can be undone.
 */
import { problemBox, send } from "../lib/api.js";
import { fresh, h, icon } from "../lib/dom.js";
import { money, number, percent } from "../lib/format.js";
import { badge, busy, button, empty, framed, stat } from "../lib/parts.js";
import { t } from "../lib/words.js";
import { itemBox, valuesOf } from "./rules-pick.js";
import { actionWords } from "./rules-words.js";
import { effectView, measure } from "./steer-effect.js";
import { learn, publish, thing } from "./steer-parts.js";

/** @param {string} query @param {URLSearchParams} params @param {any} route */
export async function opened(query, params, route) {
  let story;
  try {
    story = await send("POST", "/v1/fixes", { query });
  } catch (error) {
    return framed({ title: query }, problemBox(error, () => route.again()));
  }
  learn(story.chosen.map((/** @type {any} */ each) => ({ id: each.item, title: each.title })));
  const close = h("a", { class: "button quiet", href: route.link({ q: "", fix: "" }) }, icon("x"), t("frame.close"));
  const inspect = h("a", { class: "button", href: route.link({ q: query }, "inspect") }, icon("inspect"), t("search.inspect"));
  const write = h("a", { class: "button", href: route.link({ rule: "new", q: query }, "rules") }, icon("rules"), t("search.write_rule"));
  const found = [story.corrected ? t("search.corrected", { to: story.corrected }) : "", story.relaxed.length ? t("search.relaxed", { what: story.relaxed.join(", ") }) : ""].filter(Boolean).join("; ");
  const rules = story.rules.length ? h("p", { class: "small" }, t("search.rules"), " ", story.rules.map((/** @type {string} */ id, /** @type {number} */ n) => [n ? ", " : "", h("a", { href: route.link({ rule: id }, "rules") }, id)])) : null;
  return framed({ title: t("search.of", { query }), actions: [inspect, write, close], id: "query" }, h("div", { class: "stack" },
    h("div", { class: "stats" },
      stat({ label: t("search.searches"), value: story.withheld ? "–" : number(story.searches), note: t("search.last_days", { n: story.days }) }),
      stat({ label: t("search.answered"), value: story.searches ? percent(story.answered / story.searches) : "–", note: story.searches ? t("search.answered_note", { n: story.answered }) : null }),
      stat({ label: t("search.bought"), value: story.withheld ? "–" : number(story.bought), note: story.revenue ? money(story.revenue) : null }),
      stat({ label: t("search.found_now"), value: number(story.total), note: found, tone: story.total ? "" : "bad" })),
    rules,
    story.withheld ? h("p", { class: "note" }, t("search.withheld")) : null,
    h("div", { class: "two" }, chosenList(story), nextList(story, route)),
    fixes(story, query, route)));
}

/** @param {any} story */
function chosenList(story) {
  const rows = story.chosen.map((/** @type {any} */ each) => h("li", {}, h("span", { class: "place", title: t("search.position") }, each.position ?? "–"), thing(each), h("span", { class: "soft small" }, t("search.chosen_by", { n: each.visits })), each.later ? badge(t("search.later", { n: each.later }), "warn") : null));
  return h("section", { "aria-label": t("search.chosen") }, h("h3", {}, t("search.chosen")), h("p", { class: "soft small" }, t("search.chosen_note")), rows.length ? h("ol", { class: "ranked" }, rows) : h("p", { class: "soft" }, t("search.chosen_none")));
}

/** @param {any} story @param {any} route */
function nextList(story, route) {
  const rows = story.next.map((/** @type {any} */ each) => h("tr", {}, h("td", {}, h("a", { href: route.link({ q: each.query }) }, each.query)), h("td", { class: "num" }, number(each.visits)), h("td", { class: "num" }, percent(each.answered, 0))));
  return h("section", { "aria-label": t("search.next") }, h("h3", {}, t("search.next")), h("p", { class: "soft small" }, t("search.next_note")), rows.length ? h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("search.query")), h("th", { scope: "col", class: "num" }, t("search.visits")), h("th", { scope: "col", class: "num" }, t("search.answered")))), h("tbody", {}, rows)) : h("p", { class: "soft" }, t("search.next_none")));
}

/** @param {any} story @param {string} query @param {any} route */
function fixes(story, query, route) {
  const found = story.fixes.map((/** @type {any} */ fix, /** @type {number} */ n) => proposed(fix, query, route, n === 0 && !story.answered));
  return h("section", { id: "fixes", class: "stack", "aria-label": t("search.fixes") },
    h("div", {}, h("h3", {}, t("search.fixes")), h("p", { class: "soft small" }, t("search.fixes_note"))),
    found.length ? found : empty(t("search.no_fix"), t("search.no_fix_why")),
    composer(query, route));
}

/** A fix that follows from the log. @param {any} fix @param {string} query @param {any} route @param {boolean} now measured at once */
function proposed(fix, query, route, now) {
  const effect = h("div", { "aria-live": "polite" });
  const tried = trial(() => fix.rule, query, effect, route);
  const box = h("div", { class: "fix", "data-fix": fix.kind },
    h("div", { class: "row" }, badge(t(`search.fix_${fix.kind}`), "info"), h("strong", { class: "grow" }, fix.rule.then.map(actionWords).join("; ")), tried),
    h("p", { class: "soft small" }, t(`search.because_${fix.kind}`, { ...fix.facts, visits: fix.visits, share: percent(fix.share, 0) })),
    effect);
  if (now) queueMicrotask(() => tried.querySelector("button")?.click());
  return box;
}

/** The two buttons of a fix. @param {() => any} rule null where it is not whole @param {string} query @param {any} effect @param {any} route */
function trial(rule, query, effect, route) {
  const release = h("button", { type: "button", class: "button main", disabled: true, "data-do": "publish", title: t("search.publish_title"), onclick: () => busy(release, out()) }, t("search.publish"));
  const out = async () => {
    try {
      await publish({ ...rule(), enabled: true }, { fresh: true, done: () => route.again() });
    } catch (error) {
      effect.replaceChildren(problemBox(error));
    }
  };
  const weigh = button(t("search.measure"), async () => {
    const draft = rule();
    if (!draft) return;
    try {
      effect.replaceChildren(effectView(await measure(draft, [query])));
      release.disabled = false;
    } catch (error) {
      effect.replaceChildren(problemBox(error));
    }
  });
  weigh.dataset.do = "measure";
  const edit = button(t("search.edit"), () => { const draft = rule(); if (draft) route.to("rules", { rule: "new", draft: JSON.stringify(draft) }); }, { kind: "quiet" });
  return h("div", { class: "row" }, weigh, release, edit);
}

/** Any fix, by hand. @param {string} query @param {any} route */
function composer(query, route) {
  const kinds = ["synonyms", "replace", "redirect", "category", "pin"];
  const kind = h("select", { id: fresh("fix"), value: "replace" }, kinds.map((each) => h("option", { value: each }, t(`search.own_${each}`))));
  const words = h("input", { id: fresh("fix"), type: "text", autocomplete: "off", maxlength: "200" });
  const known = h("datalist", { id: fresh("known") });
  const label = h("label", { for: words.id });
  let item = "";
  const picker = itemBox({ label: t("search.own_item"), keep: true, pick: (id) => (item = id) });
  const typed = h("div", { class: "field" }, label, words, known);
  const effect = h("div", { "aria-live": "polite" });
  const fit = async () => {
    picker.hidden = kind.value !== "pin";
    typed.hidden = kind.value === "pin";
    label.textContent = t(`search.own_${kind.value}_words`);
    words.removeAttribute("list");
    if (kind.value === "category") {
      known.replaceChildren(...(await valuesOf("category").catch(() => [])).slice(0, 300).map((/** @type {string} */ each) => h("option", { value: each })));
      words.setAttribute("list", known.id);
    }
  };
  kind.addEventListener("change", fit);
  fit();
  const rule = () => {
    const text = words.value.trim();
    if (kind.value === "pin" ? !item : !text) { (kind.value === "pin" ? picker.querySelector("input") : words).focus(); return null; }
    const then = { synonyms: { do: "synonyms", words: [query, ...text.split(/[,，]/).map((/** @type {string} */ each) => each.trim()).filter(Boolean)] }, replace: { do: "replace", by: text }, redirect: { do: "redirect", url: text }, category: { do: "boost", filters: [{ field: "category", values: [text] }], factor: 3 }, pin: { do: "pin", item, position: 1 } }[/** @type {"pin"} */ (kind.value)];
    return { name: `${query}: ${kind.value === "pin" ? item : text}`.slice(0, 200), when: { queries: [{ text: query.slice(0, 200), ...(kind.value === "synonyms" ? { match: "contains" } : {}) }] }, then: [then] };
  };
  return h("div", { class: "fix", id: "own-fix" }, h("strong", {}, t("search.own")),
    h("div", { class: "inline-form" }, h("div", { class: "field" }, h("label", { for: kind.id }, t("search.own_kind")), kind), typed, picker),
    trial(rule, query, effect, route), effect);
}
