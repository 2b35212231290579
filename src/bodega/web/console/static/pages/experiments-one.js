/**
 * What does one experiment say now, and what can be done with it? Its reading (asked anew every half minute while it
 * runs), its arms beside the shop, who did what; start, stop, finish with a promoted arm.
 */
import { get, problemBox, send } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { ago, date, number, percent } from "../lib/format.js";
import { button, card, confirm, dialog, empty, field, framed, heading, pairs, toast, waiting } from "../lib/parts.js";
import { maybe, t } from "../lib/words.js";
import { reading } from "./experiments-reading.js";
import { kindOf, mark, named, plain } from "./experiments-words.js";

const EVERY = 30_000;

/** @param {any} view @param {any} route */
export async function one(view, route) {
  const id = route.params.get("id") || "";
  const path = `/v1/experiments/${encodeURIComponent(id)}`;
  const kept = await get(path);
  const state = kept.state || "draft";
  const each = kept.experiment;
  view.append(
    heading(h("span", { class: "row" }, id, mark(state)), each.hypothesis || t("experiments.no_hypothesis"), ...deeds(kept, path, route)),
    framed({ title: t("experiments.what") }, pairs([
      [t("experiments.kind"), kindOf(each)],
      [t("experiments.metric"), named(each.kind === "interleaving" ? "clicks" : each.metric || "purchases")],
      [t("experiments.places"), (each.places || []).map((/** @type {string} */ place) => maybe(`experiments.place_${place}`, place)).join(", ") || t("experiments.everywhere")],
      [t("experiments.layer"), t("experiments.buckets", { layer: each.layer || "default", share: percent(((each.last ?? 10_000) - (each.first || 0)) / 10_000) })],
      [t("experiments.started"), kept.started ? `${date(kept.started)} (${ago(kept.started)})` : ""],
      [t("experiments.ended"), kept.ended ? date(kept.ended) : ""],
      [t("experiments.promoted"), kept.promoted || ""],
      [t("experiments.why"), kept.why || ""],
    ])),
  );
  const told = h("div", { class: "stack", id: "reading", "aria-live": "polite" }, waiting(6));
  if (state === "draft") told.replaceChildren(card(t("experiments.reading"), empty(t("experiments.not_started"), t("experiments.not_started_why"))));
  view.append(told, arms(each, await get("/v1/experiments/dials")), await history(id, route));
  if (state === "draft") return undefined;
  let stopped = false;
  const look = async (/** @type {boolean} */ first) => {
    try {
      const found = await get(`${path}/reading`);
      if (stopped || (!first && told.dataset.time === JSON.stringify(found.units))) return;
      told.dataset.time = JSON.stringify(found.units);
      told.replaceChildren(...reading(found, each, route));
    } catch (error) {
      if (first) told.replaceChildren(problemBox(error, () => route.again()));
    }
  };
  look(true);
  const timer = state === "running" ? setInterval(() => document.hidden || look(false), EVERY) : 0;
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}

/** What can be done. @param {any} kept @param {string} path @param {any} route */
function deeds(kept, path, route) {
  const id = kept.experiment.id;
  const move = async (/** @type {string} */ step, /** @type {any} */ body) => {
    try {
      await send("POST", `${path}/${step}`, body);
      toast(t(`experiments.did_${step}`, { id }));
      route.again();
    } catch (error) {
      await dialog({ title: t("experiments.refused"), body: problemBox(error) });
    }
  };
  const state = kept.state || "draft";
  if (state === "draft")
    return [
      button(t("experiments.edit"), () => route.go({ edit: id, id: "" }), { icon: "edit" }),
      button(t("experiments.delete"), async () => {
        if (!(await confirm({ title: t("experiments.delete"), text: t("experiments.delete_text", { id }), yes: t("experiments.delete"), danger: true }))) return;
        await send("DELETE", path);
        toast(t("experiments.did_delete", { id }));
        route.go({ id: "" });
      }, { icon: "bin", kind: "danger" }),
      button(t("experiments.start"), async () => (await confirm({ title: t("experiments.start"), text: t("experiments.start_text"), yes: t("experiments.start") })) && move("start", {}), { kind: "main", icon: "check", id: "start" }),
    ];
  if (state === "finished") return [copy(kept, route)];
  const stop = button(t("experiments.stop"), async () => {
    const why = await asked(t("experiments.stop"), t("experiments.stop_text"), t("experiments.stop"));
    if (why) await move("stop", { why: why.why });
  }, { kind: "danger", id: "stop" });
  const finish = button(t("experiments.finish"), async () => {
    const why = await asked(t("experiments.finish"), t("experiments.finish_text"), t("experiments.finish"), kept);
    if (why) await move("finish", why);
  }, { kind: "main", id: "finish" });
  return state === "running" ? [stop, finish] : [copy(kept, route), finish];
}

/** Write another one like it. @param {any} kept @param {any} route */
const copy = (kept, route) => button(t("experiments.copy"), () => route.go({ new: kept.experiment.id, id: "" }), { icon: "copy" });

/** Why, and (when it is over) which arm everybody gets. @param {string} name @param {string} text @param {string} yes @param {any} [kept] */
async function asked(name, text, yes, kept) {
  const why = field({ label: t("experiments.why"), hint: t("experiments.why_hint"), input: { type: "textarea", name: "why", rows: 2, maxlength: 2000 } });
  const options = kept ? [["", t("experiments.promote_none")], ...kept.experiment.arms.slice(1).map((/** @type {any} */ arm) => [arm.name, t("experiments.promote_arm", { arm: arm.name })])] : [];
  const promoted = kept ? field({ label: t("experiments.promote"), hint: t("experiments.promote_hint"), input: { name: "promoted", options } }) : null;
  return dialog({
    title: name,
    body: [h("p", {}, text), promoted, why],
    actions: (close) => [
      h("button", { type: "button", class: "button", onclick: () => close() }, t("frame.cancel")),
      h("button", { type: "button", class: kept ? "button main" : "button danger", id: "sure", onclick: () => close({ why: why.input.value.trim(), ...(promoted ? { promoted: promoted.input.value } : {}) }) }, yes),
    ],
  });
}

/** What the arms change, beside the shop. @param {any} each @param {any} offered */
function arms(each, offered) {
  const now = Object.fromEntries(offered.dials.map((/** @type {any} */ dial) => [dial.name, dial.value]));
  const turned = [...new Set(each.arms.flatMap((/** @type {any} */ arm) => Object.keys(arm.settings || {})))].sort();
  const total = each.arms.reduce((/** @type {number} */ sum, /** @type {any} */ arm) => sum + (arm.weight ?? 1), 0);
  const said = (/** @type {any} */ value) => (value === true ? t("experiments.on") : value === false ? t("experiments.off") : value === undefined ? "–" : typeof value === "number" ? number(value, 4) : String(value));
  const rows = [
    [t("experiments.share"), "", ...each.arms.map((/** @type {any} */ arm) => percent((arm.weight ?? 1) / total))],
    ...(each.arms.some((/** @type {any} */ arm) => arm.snapshot) ? [[t("experiments.snapshot"), "", ...each.arms.map((/** @type {any} */ arm) => (arm.snapshot ? h("code", {}, arm.snapshot) : t("experiments.current")))]] : []),
    ...turned.map((dial) => [h("code", {}, dial), said(now[dial]), ...each.arms.map((/** @type {any} */ arm) => (dial in (arm.settings || {}) ? h("strong", {}, said(arm.settings[dial])) : "="))]),
  ];
  const names = each.arms.map((/** @type {any} */ arm, /** @type {number} */ at) => (at ? arm.name : t("experiments.control_arm", { arm: arm.name })));
  return framed({ title: t("experiments.arms"), note: t(turned.length ? "experiments.arms_note" : "experiments.arms_same"), id: "arms" }, plain(t("experiments.arms"), [t("experiments.dial"), t("experiments.shop_now"), ...names], rows));
}

/** Who did what, and why. @param {string} id "" for all @param {any} route */
export async function history(id, route) {
  const { changes } = await get("/v1/experiments/audit", { experiment: id, limit: id ? 50 : 20 });
  if (!changes.length) return "";
  const rows = changes.map((/** @type {any} */ line) => [date(line.time), line.who, t(`experiments.trail_${line.what}`), id ? null : h("a", { href: route.link({ id: line.experiment, state: "" }) }, line.experiment), line.why].filter((cell) => cell !== null));
  const columns = [t("experiments.time"), t("experiments.who"), t("experiments.did"), ...(id ? [] : [t("experiments.id")]), t("experiments.why")];
  return framed({ title: t("experiments.history"), note: t("experiments.history_note"), id: "history" }, plain(t("experiments.history"), columns, rows));
}
