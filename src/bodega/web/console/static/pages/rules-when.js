/**
 * When does a rule apply? Words of the query, category pages, lists, people, languages, days and a schedule with its time
 * zone. Moments are kept in UTC; a person reads and writes them in the zone that is chosen. Calls `changed(when)`.
 */
import { fresh, h, icon } from "../lib/dom.js";
import { maybe, t } from "../lib/words.js";
import { valuesOf, wordChips } from "./rules-pick.js";
import { MATCHES, PLACES, WEEKDAYS, segmentWords } from "./rules-words.js";
import { chip } from "./steer-parts.js";

/** Minutes that a zone is ahead of UTC at a moment. @param {string} zone @param {Date} at */
export function ahead(zone, at) {
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en-US", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" }).formatToParts(at).map((each) => [each.type, Number(each.value)]));
  return Math.round((Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second) - Math.floor(at.getTime() / 1000) * 1000) / 60_000);
}

/** A moment as the input of a zone shows it. @param {string} iso @param {string} zone */
export function inZone(iso, zone) {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() + ahead(zone, at) * 60_000).toISOString().slice(0, 16);
}

/** The moment that an input of a zone means, "" for none. @param {string} typed @param {string} zone */
export function fromZone(typed, zone) {
  const naive = typed ? Date.parse(`${typed}Z`) : NaN;
  if (Number.isNaN(naive)) return "";
  const first = naive - ahead(zone, new Date(naive)) * 60_000;
  return new Date(naive - ahead(zone, new Date(first)) * 60_000).toISOString();
}

/** @param {{when: () => any, changed: (when: any) => void}} how */
export function whenFields({ when, changed }) {
  const set = (/** @type {any} */ part) => {
    const next = { ...when(), ...part };
    for (const [key, value] of Object.entries(next)) if (value == null || value === "" || (Array.isArray(value) && !value.length) || (key === "below" && value === true)) delete next[key];
    changed(next);
  };
  return h("div", { class: "stack" }, phrases(when, set), where(when, set), more(when, set), schedule(when, set));
}

/** @param {() => any} when @param {(part: any) => void} set */
function phrases(when, set) {
  const list = h("div", { class: "stack" });
  const show = () => {
    const held = when().queries || [];
    list.replaceChildren(...held.map((/** @type {any} */ phrase, /** @type {number} */ n) => {
      const put = (/** @type {any} */ part) => set({ queries: (when().queries || []).map((/** @type {any} */ each, /** @type {number} */ at) => (at === n ? { ...each, ...part } : each)) });
      const words = h("input", { type: "text", value: phrase.text, maxlength: "200", "aria-label": t("rules.query_words"), class: "grow", autocomplete: "off" });
      words.addEventListener("input", () => put({ text: words.value }));
      const match = h("select", { value: phrase.match || "exact", "aria-label": t("rules.match"), style: { width: "auto" } }, MATCHES.map((each) => h("option", { value: each }, t(`rules.match_${each}`))));
      match.addEventListener("change", () => put({ match: match.value }));
      return h("div", { class: "row" }, h("div", {}, match), h("div", { class: "grow" }, words), h("button", { type: "button", class: "icon-button small", "aria-label": t("rules.remove_named", { name: phrase.text || t("rules.query_words") }), onclick: () => { set({ queries: (when().queries || []).filter((/** @type {any} */ _, /** @type {number} */ at) => at !== n) }); show(); } }, icon("x")));
    }));
  };
  show();
  const add = h("button", { type: "button", class: "button small", id: "add-query", onclick: () => { set({ queries: [...(when().queries || []), { text: "", match: "exact" }] }); show(); /** @type {any} */ (list.lastElementChild?.querySelector("input"))?.focus(); } }, icon("plus"), t("rules.add_query"));
  return h("fieldset", { class: "stack" }, h("legend", {}, h("strong", {}, t("rules.queries"))), list, h("div", {}, add));
}

/** @param {() => any} when @param {(part: any) => void} set */
function where(when, set) {
  const below = h("input", { id: fresh("below"), type: "checkbox", checked: when().below !== false });
  below.addEventListener("change", () => set({ below: below.checked }));
  const place = (/** @type {string} */ name) => {
    const box = h("input", { id: fresh("place"), type: "checkbox", checked: (when().places || []).includes(name) });
    box.addEventListener("change", () => set({ places: PLACES.filter((each) => (each === name ? box.checked : (when().places || []).includes(each))) }));
    return h("span", { class: "row" }, box, h("label", { for: box.id }, maybe(`rules.place_${name}`, name)));
  };
  const deeper = h("div", { class: "field check", hidden: !when().categories?.length }, h("div", { class: "row" }, below, h("label", { for: below.id }, t("rules.below"))));
  const chosen = (/** @type {string[]} */ categories) => {
    set({ categories });
    deeper.hidden = !categories.length;
  };
  return [
    wordChips({ label: t("rules.categories"), hint: t("rules.categories_hint"), value: when().categories || [], changed: chosen, options: () => valuesOf("category") }),
    deeper,
    h("details", { open: Boolean(when().places?.length) }, h("summary", {}, t("rules.places")), h("div", { class: "row" }, PLACES.map(place))),
  ];
}

/** Who asks, and in which language. @param {() => any} when @param {(part: any) => void} set */
function more(when, set) {
  const chips = h("div", { class: "chips" });
  const show = () => chips.replaceChildren(...(when().segments || []).map((/** @type {any} */ each) => chip(segmentWords(each), () => { set({ segments: (when().segments || []).filter((/** @type {any} */ other) => other !== each) }); show(); })));
  show();
  const kind = h("select", { id: fresh("segment"), value: "new" }, ["new", "returning", "likes", "named"].map((each) => h("option", { value: each }, t(`rules.segment_${each}`))));
  const name = h("input", { type: "text", id: fresh("segment"), autocomplete: "off" });
  const field = h("input", { type: "text", id: fresh("segment"), autocomplete: "off", value: "brand" });
  const asks = () => { named.hidden = !["likes", "named"].includes(kind.value); liked.hidden = kind.value !== "likes"; };
  const named = h("div", { class: "field" }, h("label", { for: name.id }, t("rules.segment_value")), name);
  const liked = h("div", { class: "field" }, h("label", { for: field.id }, t("rules.segment_field")), field);
  kind.addEventListener("change", asks);
  asks();
  const add = () => {
    const made = kind.value === "likes" ? { kind: "likes", field: field.value.trim(), value: name.value.trim() } : kind.value === "named" ? { kind: "named", name: name.value.trim() } : { kind: kind.value };
    if ((kind.value === "likes" && (!made.field || !made.value)) || (kind.value === "named" && !made.name)) return name.focus();
    set({ segments: [...(when().segments || []), made] });
    name.value = "";
    show();
  };
  return h("details", { open: Boolean(when().segments?.length || when().languages?.length) }, h("summary", {}, t("rules.people")), h("div", { class: "stack" },
    chips,
    h("div", { class: "dials" }, h("div", { class: "field" }, h("label", { for: kind.id }, t("rules.segment")), kind), liked, named),
    h("div", {}, h("button", { type: "button", class: "button small", onclick: add }, icon("plus"), t("rules.segment_add"))),
    wordChips({ label: t("rules.languages"), hint: t("rules.languages_hint"), value: when().languages || [], changed: (languages) => set({ languages }) })));
}

/** @param {() => any} when @param {(part: any) => void} set */
function schedule(when, set) {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const zones = [...new Set([here, "UTC", ...(Intl.supportedValuesOf?.("timeZone") || [])])];
  const zone = h("select", { id: fresh("zone"), value: here }, zones.map((each) => h("option", { value: each }, each)));
  const moments = ["start", "end"].map((name) => h("input", { id: `when-${name}`, type: "datetime-local" }));
  const show = () => moments.forEach((input, n) => (input.value = inZone(when()[n ? "end" : "start"] || "", zone.value)));
  moments.forEach((input, n) => input.addEventListener("change", () => set({ [n ? "end" : "start"]: fromZone(input.value, zone.value) || undefined })));
  zone.addEventListener("change", show);
  show();
  const day = (/** @type {string} */ name) => {
    const box = h("input", { id: fresh("day"), type: "checkbox", checked: (when().weekdays || []).includes(name) });
    box.addEventListener("change", () => set({ weekdays: WEEKDAYS.filter((each) => (each === name ? box.checked : (when().weekdays || []).includes(each))) }));
    return h("span", { class: "row" }, box, h("label", { for: box.id }, t(`rules.day_${name}`)));
  };
  return h("details", { open: Boolean(when().start || when().end || when().weekdays?.length), id: "schedule" }, h("summary", {}, t("rules.schedule")), h("div", { class: "stack" },
    h("div", { class: "dials moments" }, ["start", "end"].map((name, n) => h("div", { class: "field" }, h("label", { for: `when-${name}` }, t(`rules.${name}`)), moments[n])), h("div", { class: "field" }, h("label", { for: zone.id }, t("rules.zone")), zone)),
    h("fieldset", {}, h("legend", { class: "small" }, t("rules.weekdays")), h("div", { class: "row" }, WEEKDAYS.map(day)))));
}
