/**
 * What would another setting show? The dials of the second side, and both lists next to each other with what moved. A
 * look only: nothing is saved, and no shopper sees it (an experiment shows it to some).
 */
import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { date, number } from "../lib/format.js";
import { button, empty, framed } from "../lib/parts.js";
import { maybe, t } from "../lib/words.js";
import { thing } from "./steer-parts.js";

const SWITCHES = ["rules", "personal", "ranker", "mixing", "steps"];

/** The dials of an address: `w=source:weight` repeated, `off=rules` repeated, `b_language`. @param {URLSearchParams} params */
export function dialsOf(params) {
  /** @type {any} */
  const dials = {};
  for (const each of params.getAll("w")) {
    const cut = each.lastIndexOf(":");
    const weight = Number(each.slice(cut + 1));
    if (cut > 0 && Number.isFinite(weight)) (dials.weights ||= {})[each.slice(0, cut)] = Math.min(100, Math.max(0, weight));
  }
  for (const name of params.getAll("off")) if (SWITCHES.includes(name)) dials[name] = false;
  if (params.get("b_language")) dials.language = params.get("b_language");
  if (params.get("b_snapshot")) dials.snapshot = params.get("b_snapshot");
  return dials;
}

/** @param {any} look @param {URLSearchParams} params @param {any} route */
export function besideForm(look, params, route) {
  const now = dialsOf(params);
  const weight = (/** @type {any} */ source) =>
    h("div", { class: "field" }, h("label", { for: `w-${source.name}` }, maybe(`inspect.source_${source.name}`, source.name)), h("input", { id: `w-${source.name}`, type: "number", step: "any", min: "0", max: "100", "data-source": source.name, "data-own": String(source.weight), value: String(now.weights?.[source.name] ?? source.weight) }));
  const check = (/** @type {string} */ name) =>
    h("div", { class: "field check" }, h("div", { class: "row" }, h("input", { id: `dial-${name}`, type: "checkbox", "data-switch": name, checked: now[name] !== false }), h("label", { for: `dial-${name}` }, t(`inspect.dial_${name}`))));
  const language = h("select", { id: "dial-language", value: now.language || "" }, [["", t("inspect.language_same")], ["en", "English"], ["zh", "中文"]].map(([value, label]) => h("option", { value }, label)));
  const snapshot = h("select", { id: "dial-snapshot" }, h("option", { value: "" }, t("inspect.snapshot_same")), now.snapshot ? h("option", { value: now.snapshot, selected: true }, now.snapshot) : null);
  // The others arrive a moment later: the page does not wait for them.
  get("/v1/models").then(({ snapshots }) => snapshot.append(...snapshots.filter((/** @type {any} */ each) => each.id !== look.snapshot && each.id !== now.snapshot).map((/** @type {any} */ each) => h("option", { value: each.id }, `${each.id} · ${date(each.time)}`))), () => null);
  const made = h("form", { class: "stack", "aria-label": t("inspect.tab_beside") },
    h("div", { class: "row" }, SWITCHES.map(check)),
    h("fieldset", {}, h("legend", { class: "soft small" }, t("inspect.weights")), h("div", { class: "dials" }, look.sources.map(weight), h("div", { class: "field" }, h("label", { for: "dial-language" }, t("inspect.language")), language), h("div", { class: "field" }, h("label", { for: "dial-snapshot" }, t("inspect.snapshot")), snapshot))),
    h("div", { class: "row" }, h("button", { type: "submit", class: "button main" }, t("inspect.compare")), button(t("inspect.reset"), () => route.go({ w: [], off: [], b_language: "", b_snapshot: "" }))));
  made.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const weights = [...made.querySelectorAll("[data-source]")].filter((/** @type {any} */ each) => each.value !== "" && Number(each.value) !== Number(each.dataset.own)).map((/** @type {any} */ each) => `${each.dataset.source}:${each.value}`);
    const off = [...made.querySelectorAll("[data-switch]")].filter((/** @type {any} */ each) => !each.checked).map((/** @type {any} */ each) => each.dataset.switch);
    route.go({ w: weights, off, b_language: language.value, b_snapshot: snapshot.value });
  });
  return framed({ title: t("inspect.dials"), note: t("inspect.dials_note"), id: "dials" }, made);
}

/** Both lists. @param {any} found an inspection with two sides */
export function comparison(found) {
  const { one, other, shifts } = found;
  if (!other) return null;
  const mine = new Map(one.rows.filter((/** @type {any} */ row) => row.position).map((/** @type {any} */ row) => [row.item, row.position]));
  const theirs = new Map(other.rows.filter((/** @type {any} */ row) => row.position).map((/** @type {any} */ row) => [row.item, row.position]));
  const rows = (/** @type {any} */ look, /** @type {Map<string, number>} */ held) => h("ol", { class: "ranked" }, look.rows.filter((/** @type {any} */ row) => row.position && row.position <= 20).map((/** @type {any} */ row) => h("li", {}, h("span", { class: "place" }, number(row.position)), thing(row), moved(row.position, held.get(row.item), held === mine))));
  const said = shifts.length ? t("inspect.shifted", { n: shifts.length }) : t("inspect.same");
  return [
    h("p", { class: "note", role: "status", id: "shifted" }, said),
    h("div", { class: "two" },
      framed({ title: t("inspect.side_shop"), note: t("inspect.found_n", { n: one.total }) }, one.rows.length ? rows(one, theirs) : empty(t("inspect.nothing"))),
      framed({ title: t("inspect.side_other"), note: t("inspect.found_n", { n: other.total }) }, other.rows.length ? rows(other, mine) : empty(t("inspect.nothing")))),
  ];
}

/** Where the other side has it. @param {number} here @param {number | undefined} there @param {boolean} after is this the second side? */
function moved(here, there, after) {
  if (there === here) return null;
  if (there == null) return h("span", { class: `delta ${after ? "up" : "down"}` }, t(after ? "inspect.new" : "inspect.gone"));
  const up = after ? there - here : here - there;
  return h("span", { class: `delta ${up > 0 ? "up" : "down"}` }, `${up > 0 ? "▲" : "▼"} ${number(Math.abs(up))}`);
}
