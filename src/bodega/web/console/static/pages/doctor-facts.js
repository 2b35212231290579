/**
 * What was read in texts that nobody typed in? Mined facts with the words they were read from, to accept or reject, one
 * by one or in bulk; and those that contradict what the shop says. A decision acts with the next answer and can be undone.
 */
import { get, problem, send } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { percent } from "../lib/format.js";
import { badge, button, confirm, empty, framed, toast, waiting } from "../lib/parts.js";
import { t } from "../lib/words.js";
import { choice } from "./office-parts.js";

const PAGE = 50;
const SURE = 0.9;

/** @param {any} body @param {any} route @param {boolean} conflicts */
export async function facts(body, route, conflicts) {
  const holder = h("div", {}, waiting(4));
  const { counts } = await get("/v1/knowledge/counts");
  const attribute = route.params.get("attribute") || "";
  const status = route.params.get("status") || "mined";
  body.append(framed({
    title: t(conflicts ? "doctor.conflicts" : "doctor.facts"),
    note: t(conflicts ? "doctor.conflicts_note" : "doctor.facts_note"),
    actions: [
      choice(route, { name: "attribute", label: t("doctor.attribute"), value: attribute, options: [["", t("doctor.any")], ...counts.map((/** @type {any} */ one) => [one.attribute, `${one.attribute} (${conflicts ? one.conflicts : one.facts})`])] }),
      choice(route, { name: "status", label: t("doctor.status"), value: status, options: ["mined", "accepted", "rejected"].map((name) => [name, t(`doctor.status_${name}`)]) }),
    ],
  }, holder));
  const asked = { attribute, status, conflicts: conflicts ? "true" : "false", limit: PAGE, after: route.params.get("after") || "" };
  try {
    const found = await get("/v1/knowledge", asked);
    if (!found.facts.length) return holder.replaceChildren(empty(t(counts.length ? "doctor.facts_done" : "doctor.facts_none"), t(counts.length ? "doctor.facts_done_why" : "doctor.facts_none_why"), counts.length ? null : "bodega knowledge mine"));
    const titles = await titled(found.facts);
    holder.replaceChildren(list(found, titles, { attribute, status, conflicts }, route));
  } catch (error) {
    problem(holder, error, () => route.again());
  }
}

/** Titles of the items, asked for at once. @param {any[]} found @returns {Promise<Map<string, any>>} */
async function titled(found) {
  const ids = [...new Set(found.map((one) => one.item))];
  const items = await Promise.all(ids.map((id) => get(`/v1/items/${encodeURIComponent(id)}`).catch(() => null)));
  return new Map(ids.map((id, at) => [id, items[at]]));
}

/** @param {any} found @param {Map<string, any>} items @param {any} asked @param {any} route */
function list(found, items, asked, route) {
  const boxes = new Map();
  const say = h("span", { role: "status", class: "soft small" });
  const picked = () => found.facts.filter((/** @type {any} */ one) => boxes.get(one).checked);
  const tell = () => (say.textContent = t("doctor.picked", { n: picked().length }));
  const all = h("input", { type: "checkbox", id: "facts-all", onchange: () => {
    for (const box of boxes.values()) box.checked = all.checked;
    tell();
  } });
  const rows = found.facts.map((/** @type {any} */ one) => {
    const box = h("input", { type: "checkbox", "aria-label": t("doctor.pick", { value: `${one.attribute} ${one.value}` }), onchange: tell });
    boxes.set(one, box);
    return h("li", {}, box, fact(one, items.get(one.item)), h("div", { class: "row" }, asked.status === "mined"
      ? [button(t("doctor.accept"), () => decide([one], true, route), { icon: "check" }), button(t("doctor.reject"), () => decide([one], false, route), { icon: "x" })]
      : button(t("doctor.take_back"), () => decide([one], null, route), { icon: "undo" })));
  });
  const bulk = asked.status === "mined"
    ? [button(t("doctor.accept_picked"), () => decide(picked(), true, route), { kind: "main" }), button(t("doctor.reject_picked"), () => decide(picked(), false, route)),
      asked.conflicts ? null : button(t("doctor.accept_sure", { share: percent(SURE, 0) }), () => sure(asked, route))]
    : button(t("doctor.take_back_picked"), () => decide(picked(), null, route));
  tell();
  return h("div", {},
    h("ul", { class: "facts" }, rows),
    h("div", { class: "sticky-bar" }, h("label", { class: "row", for: "facts-all" }, all, t("doctor.pick_all")), say, bulk,
      found.next ? button(t("doctor.more"), () => route.go({ after: found.next })) : null));
}

/** One fact with what it was read from. @param {any} one @param {any} item */
function fact(one, item) {
  return h("div", { class: "grow" },
    h("div", { class: "row" }, badge(one.attribute), h("strong", {}, one.value), h("span", { class: "soft small" }, t("doctor.sure", { share: percent(one.confidence, 0) }))),
    h("p", {}, item?.title || one.item, " ", h("span", { class: "soft small" }, one.item)),
    (one.conflicts || []).length ? h("p", {}, badge(t("doctor.shop_says", { values: one.conflicts.join(", ") }), "warn")) : null,
    (one.evidence || []).slice(0, 2).map((/** @type {any} */ each) => h("p", { class: "soft small fact-quote" }, t(`doctor.how_${each.how}`), ": ", ...quoted(each, item), each.had ? ` (${t("doctor.have", { have: each.have, had: each.had })})` : "")));
}

/** The words in their sentence, where the field is at hand. @param {any} evidence @param {any} item */
function quoted(evidence, item) {
  const text = evidence.field === "title" ? item?.title : evidence.field === "description" ? item?.description : "";
  if (!text || text.slice(evidence.start, evidence.end) !== evidence.text) return [h("mark", {}, evidence.text)];
  const low = Math.max(0, evidence.start - 40), high = Math.min(text.length, evidence.end + 40);
  return [low ? "… " : "", text.slice(low, evidence.start), h("mark", {}, evidence.text), text.slice(evidence.end, high), high < text.length ? " …" : ""];
}

/** @param {any[]} chosen @param {boolean | null} accepted @param {any} route */
async function decide(chosen, accepted, route) {
  if (!chosen.length) return toast(t("doctor.none_picked"), { tone: "bad" });
  const named = chosen.map(({ item, attribute, value }) => ({ item, attribute, value }));
  const told = await send("POST", "/v1/knowledge/decide", { accepted, facts: named });
  toast(t(accepted ? "doctor.accepted" : accepted === null ? "doctor.taken_back" : "doctor.rejected", { n: told.changed }), accepted === null ? {} : {
    undo: async () => {
      await send("POST", "/v1/knowledge/decide", { accepted: null, facts: named });
      route.again();
    },
  });
  route.again();
}

/** All that are sure at once. @param {any} asked @param {any} route */
async function sure(asked, route) {
  const what = asked.attribute || t("doctor.any");
  if (!(await confirm({ title: t("doctor.accept_sure", { share: percent(SURE, 0) }), text: t("doctor.accept_sure_text", { what }), yes: t("doctor.accept") }))) return;
  const told = await send("POST", "/v1/knowledge/decide", { accepted: true, attribute: asked.attribute, least: SURE, conflicts: false });
  toast(t("doctor.accepted", { n: told.changed }));
  route.again();
}
