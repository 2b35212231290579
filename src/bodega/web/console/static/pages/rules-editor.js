/**
 * One rule: when it applies, what it does, and what that does to the shop before anybody sees it. Checked while one types
 * (the shop itself says what is wrong, and where); saved with an undo. Somebody else's change in between is shown beside
 * one's own, never written over unseen.
 */
import { Problem, get, problemBox, send } from "../lib/api.js";
import { announce, h } from "../lib/dom.js";
import { ago } from "../lib/format.js";
import { badge, busy, button, confirm, dialog, field, framed, heading, toast } from "../lib/parts.js";
import { t } from "../lib/words.js";
import { actionList, isWhole } from "./rules-actions.js";
import { diffView, history } from "./rules-history.js";
import { preview } from "./rules-preview.js";
import { whenFields } from "./rules-when.js";
import { TONES, conflicts, stateOf } from "./rules-words.js";
import { bare } from "./steer-effect.js";
import { nameOf, publish, undo } from "./steer-parts.js";

/** @typedef {import("./steer-parts.js").Rule} Rule */

/** The draft an address asks for: `draft` is a rule as JSON, `q` a query. @param {URLSearchParams} params @returns {Rule} */
function fresh(params) {
  const query = (params.get("q") || "").trim();
  const blank = { name: "", when: query ? { queries: [{ text: query }] } : {}, then: [] };
  try {
    const asked = JSON.parse(params.get("draft") || "null");
    if (asked && typeof asked === "object" && Array.isArray(asked.then)) return { ...blank, ...asked, version: undefined, id: asked.id || "" };
  } catch {
    /* an address that was cut: start empty */
  }
  return blank;
}

/** @param {any} view @param {any} route */
export async function editor(view, route) {
  const { params } = route;
  const id = params.get("rule") || "new";
  const isNew = id === "new";
  const [held, { rules }] = await Promise.all([isNew ? null : get(`/v1/rules/${encodeURIComponent(id)}`), get("/v1/rules")]);
  /** @type {Rule} */
  let draft = isNew ? fresh(params) : structuredClone(held);
  let unsaved = isNew && draft.then.length > 0;
  const seen = preview({ query: (draft.when?.queries || [])[0]?.text || params.get("q") || "", put: (then) => { draft.then = then; actions.show(); changed(); }, draft: () => draft });
  const clash = h("div", { class: "stack", "aria-live": "polite" });
  const failed = h("div", { id: "rule-problem" });
  const save = h("button", { type: "button", class: "button main", id: "save-rule", onclick: () => busy(save, store()) }, t(isNew ? "rules.publish" : "rules.save"));

  const warn = () => {
    clash.replaceChildren(...warned(draft, rules, route));
    clash.hidden = !clash.children.length;
  };
  const changed = () => {
    unsaved = true;
    save.disabled = !draft.then.filter(isWhole).length;
    warn();
    failed.replaceChildren();
    seen.refresh();
  };
  const set = (/** @type {Partial<Rule>} */ part) => { draft = { ...draft, ...part }; changed(); };
  const whole = () => ({ ...bare(draft), then: draft.then.filter(isWhole), when: cleaned(draft.when) });
  const after = (/** @type {Rule | null} */ rule) => { unsaved = false; route.go({ rule: rule ? rule.id : "", draft: "", q: "" }); };

  async function store() {
    failed.replaceChildren();
    try {
      await publish(whole(), { fresh: isNew, done: after });
    } catch (error) {
      if (error instanceof Problem && error.status === 409) return stale(error);
      failed.replaceChildren(problemBox(error));
      const at = /then\[(\d+)\]/.exec(/** @type {any} */ (error).where || "");
      actions.querySelector(at ? `[data-action="${at[1]}"] input` : "input")?.setAttribute("aria-invalid", "true");
      announce(String(/** @type {any} */ (error).what || error));
    }
  }

  /** Somebody else was quicker. @param {Problem} error */
  async function stale(error) {
    const theirs = isNew ? await get(`/v1/rules/${encodeURIComponent(draft.id || "")}`).catch(() => null) : await get(`/v1/rules/${encodeURIComponent(id)}`).catch(() => null);
    const mine = whole();
    const choice = await dialog({
      title: t("rules.stale"), wide: true,
      body: [h("p", {}, theirs ? t("rules.stale_why", { who: theirs.author || t("rules.somebody"), ago: ago(theirs.updated) }) : t("rules.stale_gone")), theirs ? [h("p", { class: "soft small" }, t("rules.stale_diff")), diffView(theirs, mine)] : null, error.next ? h("p", { class: "soft small" }, error.next) : null],
      actions: (close) => [
        h("button", { type: "button", class: "button", onclick: () => close("") }, t("rules.stale_stay")),
        theirs ? h("button", { type: "button", class: "button", id: "take-theirs", onclick: () => close("theirs") }, t("rules.stale_theirs")) : null,
        h("button", { type: "button", class: "button main", id: "keep-mine", onclick: () => close("mine") }, t("rules.stale_mine")),
      ].filter(Boolean),
    });
    if (choice === "theirs") return route.go({ rule: theirs.id, draft: "", q: "" });
    if (choice === "mine") await publish({ ...mine, id: draft.id, version: theirs ? theirs.version : 0 }, { fresh: !theirs, done: after }).catch((again) => failed.replaceChildren(problemBox(again)));
  }

  const actions = actionList({ actions: () => draft.then, changed: (then) => { draft.then = then; changed(); } });
  view.classList.add("editor");
  view.append(heading(isNew ? t("rules.new") : nameOf(draft), isNew ? t("rules.new_note") : h("span", { class: "row" }, badge(t(`rules.state_${stateOf(draft)}`), TONES[stateOf(draft)]), h("span", {}, t("rules.by", { who: held.author || "–", ago: ago(held.updated) })), h("code", {}, held.id)),
    h("a", { class: "button", href: route.link({}, "rules") }, t("rules.back")),
    ...(isNew ? [] : manage(held, route, after)), save));
  view.append(failed, h("div", { class: "two sided" },
    h("div", { class: "stack" }, clash, basics(() => draft, set, isNew),
      framed({ title: t("rules.when"), note: t("rules.when_note"), id: "when" }, whenFields({ when: () => draft.when || {}, changed: (when) => set({ when }) })),
      framed({ title: t("rules.then"), note: t("rules.then_note"), id: "then" }, actions)),
    h("div", { class: "sticky", tabindex: "0", role: "region", "aria-label": t("rules.preview") }, seen)));
  save.disabled = !draft.then.filter(isWhole).length;
  warn();
  seen.refresh(true);
  if (!isNew) view.append(await history(route, id));
  const leaving = (/** @type {BeforeUnloadEvent} */ event) => unsaved && event.preventDefault();
  addEventListener("beforeunload", leaving);
  return () => { removeEventListener("beforeunload", leaving); seen.stop(); };
}

/** Phrases without words are not sent. @param {any} when */
function cleaned(when = {}) {
  const queries = (when.queries || []).filter((/** @type {any} */ each) => each.text.trim());
  const { queries: _, ...rest } = when;
  return queries.length ? { ...rest, queries } : rest;
}

/** What stands in its way. @param {Rule} draft @param {Rule[]} rules @param {any} route */
function warned(draft, rules, route) {
  const others = rules.filter((rule) => rule.id !== draft.id);
  const found = conflicts([...others, { ...draft, id: draft.id || "\0" }]).get(draft.id || "\0") || [];
  return found.slice(0, 4).map((each) => h("p", { class: "note warn" }, h("span", {}, t(`rules.clash_${each.over}`), " ", h("a", { href: route.link({ rule: each.with.id }, "rules") }, nameOf(each.with)), " ", t("rules.clash_how"))));
}

/** Its name, note, priority, whether it is on. @param {() => Rule} draft @param {(part: Partial<Rule>) => void} set @param {boolean} isNew */
function basics(draft, set, isNew) {
  const bound = (/** @type {any} */ made, /** @type {(value: any) => void} */ put) => {
    made.input.addEventListener("input", () => put(made.input.type === "checkbox" ? made.input.checked : made.input.value));
    return made;
  };
  return framed({ id: "basics" }, h("div", { class: "stack" },
    bound(field({ label: t("rules.name"), input: { name: "name", value: draft().name || "", maxlength: "200", placeholder: t("rules.name_hint") } }), (name) => set({ name })),
    isNew ? bound(field({ label: t("rules.id"), hint: t("rules.id_hint"), input: { name: "id", value: draft().id || "", maxlength: "64", pattern: "[A-Za-z0-9][A-Za-z0-9_.\\-]*" } }), (id) => set({ id: id.trim() })) : null,
    bound(field({ label: t("rules.enabled"), input: { name: "enabled", type: "checkbox", checked: draft().enabled !== false } }), (enabled) => set({ enabled })),
    h("details", { open: Boolean(draft().note || draft().priority) }, h("summary", {}, t("rules.more")), h("div", { class: "stack" },
      bound(field({ label: t("rules.priority"), hint: t("rules.priority_hint"), input: { name: "priority", type: "number", min: "-1000", max: "1000", step: "1", value: String(draft().priority || 0) } }), (priority) => set({ priority: Math.round(Number(priority) || 0) })),
      bound(field({ label: t("rules.note_label"), input: { name: "note", type: "textarea", rows: 2, maxlength: "2000", value: draft().note || "" } }), (note) => set({ note }))))));
}

/** Copy it, delete it. @param {Rule} held @param {any} route @param {(rule: Rule | null) => void} after */
function manage(held, route, after) {
  const copy = { ...bare(held), id: "", name: t("rules.copy_of", { name: nameOf(held) }), version: undefined, enabled: held.enabled };
  const remove = async () => {
    const yes = await confirm({ title: t("rules.delete"), text: t("rules.delete_ask", { name: nameOf(held) }), yes: t("rules.delete"), danger: true });
    if (!yes) return;
    try {
      await send("DELETE", `/v1/rules/${encodeURIComponent(held.id || "")}?version=${held.version}`);
    } catch (error) {
      toast(/** @type {any} */ (error).what || String(error), { tone: "bad" });
      return;
    }
    const { changes } = await get("/v1/rules/audit", { rule: held.id, limit: 1 });
    toast(t("rules.deleted", { name: nameOf(held) }), { undo: () => undo(changes[0].id, (rule) => rule && route.go({ rule: rule.id })) });
    after(null);
  };
  return [
    h("a", { class: "button", href: route.link({ rule: "new", draft: JSON.stringify(copy) }, "rules") }, t("rules.duplicate")),
    button(t("rules.delete"), remove, { kind: "danger", icon: "bin" }),
  ];
}
