/**
 * What shall be compared, on whom, and how long will it take? The form of a draft beside a calculator: it asks the shop's
 * own log how many shoppers and days a lift takes. The second arm (and third ...) turns dials that the shop offers, or
 * answers from another snapshot; everything is checked by the server before it is kept.
 */
import { get, send } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { number, percent } from "../lib/format.js";
import { button, card, empty, field, form, framed, heading, toast, waiting } from "../lib/parts.js";
import { maybe, t } from "../lib/words.js";
import { named, plain, style } from "./experiments-words.js";

const PLACES = ["home", "search", "category", "similar", "together", "basket", "popular", "trending", "repeat", "rare", "recent"];
const BUCKETS = 10_000;

/** @param {any} view @param {any} route */
export async function write(view, route) {
  await style();
  const editing = route.params.get("edit") || "";
  const source = editing || (route.params.get("new") !== "1" ? route.params.get("new") : "") || "";
  const [offered, kept] = await Promise.all([get("/v1/experiments/dials"), source ? get(`/v1/experiments/${encodeURIComponent(source)}`) : null]);
  const draft = kept?.experiment || { id: "", arms: [{ name: "control" }, { name: "treatment", settings: {} }], guardrails: offered.guardrails };
  const calculator = planner(draft);
  const fields = about(draft, editing, offered, calculator.plan);
  const editor = arms(draft, offered);
  const made = form({
    fields: [framed({ title: t("experiments.what") }, h("div", { class: "fields" }, fields.shown)), editor.element, guards(draft, offered)],
    submit: t("experiments.save"),
    extra: h("a", { class: "button", href: route.link({ new: "", edit: "", id: editing }) }, t("frame.cancel")),
    async send(values) {
      const experiment = drafted(values, editor.read(), draft, offered);
      const id = editing || experiment.id;
      await send("PUT", `/v1/experiments/${encodeURIComponent(id)}?version=${editing ? kept.version : 0}`, { ...experiment, id });
      toast(t("experiments.did_save", { id }));
      route.go({ new: "", edit: "", id });
    },
  });
  made.id = "draft";
  view.append(heading(t(editing ? "experiments.edit_title" : "experiments.new_title"), t("experiments.write_note")), h("div", { class: "writing" }, made, calculator.element));
}

/** @param {any} draft @param {string} editing @param {any} offered @param {(changes: any) => void} plan */
function about(draft, editing, offered, plan) {
  const kind = draft.by === "time" ? "switchback" : draft.kind || "ab";
  const share = Math.round(((draft.last ?? BUCKETS) - (draft.first || 0)) / 100);
  const shown = [
    field({ label: t("experiments.id"), hint: t("experiments.id_hint"), input: { name: "id", value: draft.id && editing ? draft.id : draft.id ? `${draft.id}-2` : "", required: true, pattern: "[\\w.:\\-]+", maxlength: 100, disabled: Boolean(editing) } }),
    field({ label: t("experiments.kind"), hint: t("experiments.kind_hint"), input: { name: "kind", value: kind, options: ["ab", "interleaving", "switchback"].map((each) => [each, t(`experiments.kind_${each}`)]) } }),
    field({ label: t("experiments.metric"), hint: t("experiments.metric_hint"), input: { name: "metric", value: draft.metric || "purchases", options: offered.metrics.map((/** @type {string} */ each) => [each, named(each)]) } }),
    field({ label: t("experiments.hypothesis"), hint: t("experiments.hypothesis_hint"), input: { type: "textarea", name: "hypothesis", rows: 2, value: draft.hypothesis || "", maxlength: 2000 } }),
    field({ label: t("experiments.place"), hint: t("experiments.place_hint"), input: { name: "places", value: draft.places?.length === 1 ? draft.places[0] : draft.places?.length ? "as_is" : "", options: [["", t("experiments.everywhere")], ...(draft.places?.length > 1 ? [["as_is", draft.places.join(", ")]] : []), ...PLACES.map((each) => [each, maybe(`experiments.place_${each}`, each)])] } }),
    field({ label: t("experiments.percent"), hint: t("experiments.percent_hint"), input: { type: "number", name: "percent", min: 1, max: 100, value: share } }),
    field({ label: t("experiments.layer"), hint: t("experiments.layer_hint"), input: { name: "layer", value: draft.layer || "default", pattern: "[\\w.:\\-]+", maxlength: 100 } }),
    field({ label: t("experiments.block"), hint: t("experiments.block_hint"), input: { type: "number", name: "block", min: 1, max: 10080, value: draft.block_minutes || 60 } }),
  ];
  const fit = () => {
    shown[7].hidden = shown[1].input.value !== "switchback";
    shown[2].hidden = shown[1].input.value === "interleaving";
    plan({ metric: shown[2].input.value, share: (Number(shown[5].input.value) || 100) / 100 });
  };
  for (const each of [shown[1], shown[2], shown[5]]) each.input.addEventListener("change", fit);
  queueMicrotask(fit);
  return { shown };
}

/** The experiment that the form means. @param {any} values @param {any[]} arms @param {any} draft @param {any} offered */
function drafted(values, arms, draft, offered) {
  const first = draft.first || 0;
  const width = Math.round(((values.percent || 100) / 100) * BUCKETS);
  const lists = values.kind === "interleaving";
  return {
    id: values.id,
    hypothesis: values.hypothesis,
    kind: lists ? "interleaving" : "ab",
    by: values.kind === "switchback" ? "time" : "shopper",
    block_minutes: values.block || 60,
    burn_in_minutes: draft.burn_in_minutes || 0,
    metric: lists ? "clicks" : values.metric,
    places: values.places === "as_is" ? draft.places : values.places ? [values.places] : [],
    layer: values.layer || "default",
    first: Math.min(first, BUCKETS - width),
    last: Math.min(BUCKETS, Math.min(first, BUCKETS - width) + width),
    units: draft.units || 0,
    arms,
    guardrails: lists ? [] : offered.metrics.filter((/** @type {string} */ name) => values[`guard_${name}`]).map((/** @type {string} */ name) => ({ metric: name, harm: (values[`harm_${name}`] || 10) / 100, higher_is_better: !offered.lower.includes(name) })),
  };
}

/** What must not get worse. @param {any} draft @param {any} offered */
function guards(draft, offered) {
  const held = Object.fromEntries((draft.guardrails || []).map((/** @type {any} */ guard) => [guard.metric, guard]));
  const rows = offered.metrics.filter((/** @type {string} */ name) => name !== "days").map((/** @type {string} */ name) => {
    const harm = h("input", { type: "number", name: `harm_${name}`, min: 1, max: 100, value: Math.round((held[name]?.harm ?? 0.1) * 100), "aria-label": t("experiments.harm_of", { metric: named(name) }), class: "narrow" });
    const id = `guard-${name}`;
    return [h("span", { class: "row" }, h("input", { type: "checkbox", name: `guard_${name}`, id, checked: name in held }), h("label", { for: id }, named(name))), harm];
  });
  const made = framed({ title: t("experiments.guardrails"), note: t("experiments.guardrails_note"), id: "guardrails" }, plain(t("experiments.guardrails"), [t("experiments.measured"), t("experiments.harm")], rows));
  return made;
}

/** The arms: a control, and those that turn something. @param {any} draft @param {any} offered */
function arms(draft, offered) {
  const place = h("div", { class: "stack" });
  /** @type {(() => any)[]} */
  let readers = [];
  const add = (/** @type {any} */ arm, /** @type {boolean} */ control) => {
    const { element, read } = oneArm(arm, control, offered, () => {
      readers = readers.filter((each) => each !== read);
      element.remove();
    });
    readers.push(read);
    place.append(element);
    return element;
  };
  draft.arms.forEach((/** @type {any} */ arm, /** @type {number} */ at) => add(arm, at === 0));
  const more = button(t("experiments.add_arm"), () => add({ name: `arm-${readers.length}`, settings: {} }, false).querySelector("input").focus(), { icon: "plus" });
  return { element: framed({ title: t("experiments.arms"), note: t("experiments.arms_hint"), actions: more, id: "arms" }, place), read: () => readers.map((read) => read()) };
}

/** @param {any} arm @param {boolean} control @param {any} offered @param {() => void} gone */
function oneArm(arm, control, offered, gone) {
  const name = field({ label: t("experiments.arm_name"), input: { value: arm.name, required: true, pattern: "[\\w.:\\-]+", maxlength: 100 } });
  const weight = field({ label: t("experiments.weight"), input: { type: "number", value: arm.weight ?? 1, min: 0.01, max: 1000, step: "any" } });
  const snapshot = field({ label: t("experiments.snapshot"), input: { value: arm.snapshot || "", options: [["", t("experiments.current")], ...offered.snapshots.map((/** @type {string} */ each) => [each, each])] } });
  const rows = h("div", { class: "stack" });
  /** @type {Map<any, () => [string, any]>} */
  const held = new Map();
  const turn = (/** @type {string} */ dial, /** @type {any} */ value) => {
    const known = offered.dials.find((/** @type {any} */ each) => each.name === dial);
    const input = dialControl(known, value ?? known?.value);
    const row = h("div", { class: "row" }, h("code", { class: "grow" }, dial), input, button("", () => { held.delete(row); row.remove(); }, { kind: "quiet", icon: "bin", title: t("experiments.untouch", { dial }) }));
    row.querySelector("button")?.setAttribute("aria-label", t("experiments.untouch", { dial }));
    held.set(row, () => [dial, input.type === "checkbox" ? input.checked : input.type === "number" ? Number(input.value) : input.value]);
    rows.append(row);
    return input;
  };
  for (const [dial, value] of Object.entries(arm.settings || {})) turn(dial, value);
  const pick = h("select", { "aria-label": t("experiments.turn") }, h("option", { value: "" }, t("experiments.turn")), grouped(offered.dials));
  pick.addEventListener("change", () => {
    const wanted = pick.value;
    pick.value = "";
    if (wanted && ![...held.values()].some((read) => read()[0] === wanted)) turn(wanted, undefined).focus();
  });
  const element = h("fieldset", { class: "arm" }, h("legend", {}, control ? t("experiments.control") : t("experiments.treatment")),
    h("div", { class: "fields" }, name, weight, snapshot), rows, h("div", { class: "row" }, pick, control ? null : h("button", { type: "button", class: "button quiet", onclick: gone }, icon("bin"), t("experiments.remove_arm"))));
  return {
    element,
    read: () => ({ name: name.input.value.trim(), weight: Number(weight.input.value) || 1, snapshot: snapshot.input.value, settings: Object.fromEntries([...held.values()].map((read) => read())) }),
  };
}

/** The dials by what they turn. @param {any[]} all */
function grouped(all) {
  /** @type {Map<string, any[]>} */
  const groups = new Map();
  for (const dial of all) {
    const group = dial.name.split(".").slice(0, -1).join(".");
    groups.set(group, [...(groups.get(group) || []), dial]);
  }
  return [...groups].map(([group, dials]) => h("optgroup", { label: group }, dials.map((dial) => h("option", { value: dial.name }, dial.name))));
}

/** The control of a dial. @param {any} dial @param {any} value */
function dialControl(dial, value) {
  const label = { "aria-label": dial?.name || "" };
  if (dial?.kind === "switch") return h("input", { type: "checkbox", checked: Boolean(value), ...label });
  if (dial?.kind === "choice") return h("select", { value, ...label }, dial.choices.map((/** @type {string} */ each) => h("option", { value: each }, each)));
  return h("input", { type: "number", value, min: dial?.low ?? null, max: dial?.high ?? null, step: dial?.kind === "whole" ? 1 : "any", class: "narrow", ...label });
}

/** How long will it take? @param {any} draft */
function planner(draft) {
  const told = h("div", { class: "stack", id: "plan", "aria-live": "polite" }, waiting(3));
  let asked = { metric: draft.metric || "purchases", share: 1, days: 28 };
  let turn = 0;
  const look = async () => {
    const mine = ++turn;
    try {
      const found = await get("/v1/experiments/plan", { ...asked, arms: 2 });
      if (mine !== turn) return;
      if (!found.variance) told.replaceChildren(empty(t("experiments.plan_none", { metric: named(asked.metric) }), t("experiments.plan_none_why")));
      else told.replaceChildren(h("p", { class: "soft" }, t("experiments.plan_base", { metric: named(asked.metric), mean: number(found.mean, 3), n: found.shoppers, days: found.days })),
        plain(t("experiments.plan"), [t("experiments.lift"), t("experiments.plan_once"), t("experiments.plan_watched")], found.needed.map((/** @type {any} */ each) => [percent(each.lift, 0, true), takes(each.once, each.once_days), takes(each.watched, each.watched_days)])),
        h("p", { class: "soft small" }, t("experiments.plan_note")));
    } catch (error) {
      if (mine === turn) told.replaceChildren(card("", String(/** @type {any} */ (error)?.what || error)));
    }
  };
  const days = field({ label: t("experiments.plan_days"), input: { type: "number", min: 1, max: 365, value: 28 } });
  days.input.addEventListener("change", () => { asked = { ...asked, days: Number(days.input.value) || 28 }; look(); });
  return {
    element: framed({ title: t("experiments.plan"), note: t("experiments.plan_why"), id: "planner" }, h("div", { class: "stack" }, days, told)),
    plan: (/** @type {any} */ changes) => { asked = { ...asked, ...changes }; look(); },
  };
  function takes(/** @type {number} */ shoppers, /** @type {number | null} */ when) {
    return h("span", {}, t("experiments.n_shoppers", { n: shoppers }), h("br"), h("span", { class: "soft small" }, when == null ? t("experiments.never") : when > 730 ? t("experiments.too_long") : t("experiments.n_days", { n: Math.max(1, Math.round(when)) })));
  }
}
