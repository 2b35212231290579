/**
 * What will the page look like? The results of a query (or a category, or a list) with the draft in force, moved by hand:
 * drag a result to pin it, or onto "lift", "lower", "hide"; the same with buttons. Below, the draft measured on the
 * searches of the last weeks. Nothing is saved here.
 */
import { get, problemBox, send } from "../lib/api.js";
import { announce, fresh, h, icon, later } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { badge, framed, waiting } from "../lib/parts.js";
import { maybe, t } from "../lib/words.js";
import { isWhole } from "./rules-actions.js";
import { draggable } from "./rules-drag.js";
import { bare, effectView, measure } from "./steer-effect.js";
import { learn, thing, things, titleOf } from "./steer-parts.js";

const SHOWN = 20;

/** @param {{query: string, draft: () => any, put: (actions: any[]) => void}} how */
export function preview({ query, draft, put }) {
  let turn = 0;
  let measured = new AbortController();
  let chosen = -1; // nobody chose yet: the first page that changes
  const input = h("input", { id: fresh("sample"), type: "search", autocomplete: "off", value: query, placeholder: t("rules.sample_hint") });
  const pages = h("select", { id: fresh("pages"), hidden: true, "aria-label": t("rules.pages") });
  const list = h("div", { id: "preview" }, waiting(4));
  const effect = h("div", { "aria-live": "polite", "aria-busy": "false" });
  const status = h("p", { class: "soft small", role: "status" });
  const box = h("div", { class: "stack" },
    framed({ title: t("rules.preview"), note: t("rules.preview_note") }, h("div", { class: "stack" }, h("div", { class: "field" }, h("label", { for: input.id }, t("rules.sample")), input), pages, status, list)),
    framed({ title: t("rules.measured"), note: t("rules.measured_note"), id: "measured" }, effect));

  /** The draft as far as it can be sent. */
  const sent = () => {
    const rule = draft();
    const queries = (rule.when?.queries || []).filter((/** @type {any} */ each) => each.text.trim());
    const { queries: _, ...when } = rule.when || {};
    return { ...bare(rule), version: 0, id: rule.id || "", when: queries.length ? { ...when, queries } : when, then: rule.then.filter(isWhole) };
  };
  const sample = () => input.value.trim() || (draft().when?.queries || [])[0]?.text?.trim() || "";

  async function show() {
    const mine = ++turn;
    const rule = sent();
    list.setAttribute("aria-busy", "true");
    try {
      const rows = rule.then.length ? (await send("POST", "/v1/rules/preview", { rule, queries: sample() ? [sample()] : [], k: SHOWN })).rows : [];
      if (mine !== turn) return;
      if (!rows.length && sample()) {
        const page = await get("/v1/search", { q: sample(), k: SHOWN, personal: "false" });
        learn(page.hits.map((/** @type {any} */ hit) => hit.document));
        const ids = page.hits.map((/** @type {any} */ hit) => hit.id);
        rows.push({ query: sample(), before: ids, after: ids, total_before: page.total, total_after: page.total, banners: [], redirect: "", changed: false });
      }
      if (mine !== turn) return;
      choose(rows);
      const row = rows[shown(rows)];
      for (const [id, each] of await things(row ? [...row.after, ...row.before] : [])) known.set(id, each);
      if (mine === turn) list.replaceChildren(row ? drawn(row) : h("p", { class: "soft" }, t("rules.preview_empty")));
    } catch (error) {
      if (mine === turn) list.replaceChildren(problemBox(error));
    } finally {
      if (mine === turn) list.removeAttribute("aria-busy");
    }
  }

  async function weigh() {
    measured.abort();
    measured = new AbortController();
    const { signal } = measured;
    const rule = sent();
    if (!rule.then.length) return effect.replaceChildren(h("p", { class: "soft" }, t("rules.measured_empty")));
    effect.setAttribute("aria-busy", "true");
    try {
      const found = await measure(rule, sample() ? [sample()] : [], signal);
      if (!signal.aborted) effect.replaceChildren(effectView(found));
    } catch (error) {
      if (!signal.aborted) effect.replaceChildren(/** @type {any} */ (error).status === 400 ? h("p", { class: "soft" }, t("rules.measured_broken")) : problemBox(error));
    } finally {
      if (!signal.aborted) effect.setAttribute("aria-busy", "false");
    }
  }

  const soon = later(show, 250);
  const slowly = later(weigh, 600);
  input.addEventListener("input", () => { chosen = -1; soon(); slowly(); });
  pages.addEventListener("change", () => { chosen = Number(pages.value); show(); });

  /** @param {any[]} rows */
  const shown = (rows) => (chosen >= 0 ? Math.min(chosen, Math.max(0, rows.length - 1)) : Math.max(0, rows.findIndex((row) => row.changed)));

  /** Which of several pages is looked at. @param {any[]} rows */
  function choose(rows) {
    pages.hidden = rows.length < 2;
    const name = (/** @type {any} */ row) => row.query || row.category || maybe(`rules.place_${row.place}`, row.place);
    pages.replaceChildren(...rows.map((row, n) => h("option", { value: String(n), selected: n === shown(rows) }, row.changed ? `${name(row)} · ${t("rules.changes")}` : name(row))));
  }

  /** @param {any} row */
  function drawn(row) {
    const before = new Map(row.before.map((/** @type {string} */ id, /** @type {number} */ n) => [id, n + 1]));
    const moved = row.after.filter((/** @type {string} */ id, /** @type {number} */ n) => before.get(id) !== n + 1).length;
    status.textContent = row.changed ? t("rules.preview_moves", { n: moved, before: row.total_before, after: row.total_after }) : t("rules.preview_same", { total: row.total_after });
    const pins = new Map(draft().then.filter((/** @type {any} */ each) => each.do === "pin").map((/** @type {any} */ each) => [each.item, each.position]));
    const items = row.after.map((/** @type {string} */ id, /** @type {number} */ n) => line(id, n + 1, before.get(id), pins.has(id)));
    const ranked = h("ol", { class: "ranked", "aria-label": t("rules.preview_list") }, items);
    const zones = h("div", { class: "zones" }, ["boost", "bury", "hide"].map((kind) => h("div", { class: "zone", "data-zone": kind }, t(`rules.zone_${kind}`))));
    draggable(ranked, zones, { pin, aim });
    const gone = row.before.filter((/** @type {string} */ id) => !row.after.includes(id));
    return h("div", { class: "stack" },
      row.redirect ? h("p", { class: "note warn" }, t("rules.goes_to", { url: row.redirect })) : null,
      (row.banners || []).map((/** @type {string} */ text) => h("p", { class: "note" }, text)),
      items.length ? zones : null,
      items.length ? ranked : h("p", { class: "soft" }, t("rules.nothing_found")),
      gone.length ? h("p", { class: "soft small" }, t("rules.leave", { titles: gone.slice(0, 8).map(titleOf).join(", ") })) : null);
  }

  /** @param {string} id @param {number} place @param {number | undefined} was @param {boolean} pinned */
  function line(id, place, was, pinned) {
    const title = titleOf(id);
    const deed = (/** @type {string} */ key, /** @type {string} */ name, /** @type {() => void} */ run, disabled = false) =>
      h("button", { type: "button", class: "icon-button small", "data-deed": key, disabled, "aria-label": t(`rules.deed_${key}`, { title }), title: t(`rules.tip_${key}`), onclick: run }, icon(name));
    return h("li", { class: pinned ? "pinned" : "", "data-item": id, "data-place": String(place) },
      h("span", { class: "handle", "aria-hidden": "true", title: t("rules.drag") }, icon("drag")),
      h("span", { class: "place" }, number(place)), thing(known.get(id) || { id }),
      pinned ? badge(t("rules.pinned"), "good") : null,
      was == null ? h("span", { class: "delta up" }, t("rules.enters")) : was === place ? null : h("span", { class: `delta ${was > place ? "up" : "down"}` }, `${was > place ? "▲" : "▼"} ${number(Math.abs(was - place))}`),
      h("span", { class: "deeds" },
        deed("up", "up", () => pin(id, place - 1, "up"), place === 1), deed("down", "down", () => pin(id, place + 1, "down")),
        pinned ? deed("unpin", "x", () => free(id)) : deed("hide", "bin", () => aim("hide", id))));
  }
  /** @type {Map<string, any>} */
  const known = new Map();

  /** Pin an item; a pin that stands in its way steps down. @param {string} id @param {number} place @param {string} [focus] */
  function pin(id, place, focus = "") {
    const position = Math.min(1000, Math.max(1, place));
    const others = draft().then.filter((/** @type {any} */ each) => !(each.do === "pin" && each.item === id));
    const taken = new Map(others.filter((/** @type {any} */ each) => each.do === "pin").map((/** @type {any} */ each) => [each.position, each]));
    for (let at = position; taken.has(at); at++) taken.get(at).position = at + 1;
    const stepped = others.map((/** @type {any} */ each) => ({ ...each }));
    put([...stepped, { do: "pin", item: id, position }]);
    announce(t("rules.pinned_at", { title: titleOf(id), place: position }));
    again(id, focus);
  }

  /** @param {string} id */
  function free(id) {
    put(draft().then.filter((/** @type {any} */ each) => !(each.do === "pin" && each.item === id)));
    announce(t("rules.unpinned", { title: titleOf(id) }));
    again(id, "up");
  }

  /** Lift, lower or hide an item. @param {string} kind @param {string} id */
  function aim(kind, id) {
    const kept = draft().then.filter((/** @type {any} */ each) => !(each.do === "pin" && each.item === id)).map((/** @type {any} */ each) => (["boost", "bury", "hide"].includes(each.do) && each.items?.includes(id) ? { ...each, items: each.items.filter((/** @type {string} */ other) => other !== id) } : each)).filter((/** @type {any} */ each) => !["boost", "bury", "hide"].includes(each.do) || each.items?.length || each.filters?.length || !("items" in each));
    const at = kept.findIndex((/** @type {any} */ each) => each.do === kind && !each.filters?.length);
    if (at >= 0) kept[at] = { ...kept[at], items: [...(kept[at].items || []), id] };
    else kept.push({ do: kind, items: [id], ...(kind === "hide" ? {} : { factor: 2 }) });
    put(kept);
    announce(t(`rules.aimed_${kind}`, { title: titleOf(id) }));
  }

  /** The focus stays with what was moved. @param {string} id @param {string} deed */
  function again(id, deed) {
    if (!deed) return;
    const seen = new MutationObserver(() => {
      const row = [...list.querySelectorAll("li")].find((each) => /** @type {any} */ (each).dataset.item === id);
      const to = /** @type {any} */ (row?.querySelector(`[data-deed="${deed}"]:not(:disabled)`) || row?.querySelector("button:not(:disabled)"));
      if (row) { seen.disconnect(); to?.focus(); }
    });
    seen.observe(list, { childList: true });
    setTimeout(() => seen.disconnect(), 4000);
  }

  return Object.assign(box, {
    refresh(/** @type {boolean} */ now = false) {
      if (now) { show(); weigh(); } else { soon(); slowly(); }
    },
    stop() { turn += 1; measured.abort(); },
  });
}
