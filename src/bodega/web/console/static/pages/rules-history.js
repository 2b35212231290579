/**
 * Who changed what, and back again? The audit trail of all rules or of one: each change with what it changed, and an
 * undo. Taking a change back is a change itself, so it can be taken back, too.
 */
import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { ago, date } from "../lib/format.js";
import { badge, button, empty, framed } from "../lib/parts.js";
import { t } from "../lib/words.js";
import { diff, lines } from "./rules-words.js";
import { nameOf, undo } from "./steer-parts.js";

const PAGE = 30;
/** @type {Record<string, "good" | "info" | "bad" | "warn">} */
const TONES = { create: "good", change: "info", delete: "bad", undo: "warn" };

/** @param {any} route @param {string} [rule] only of this one */
export async function history(route, rule = "") {
  const list = h("ol", { class: "stack" });
  const more = button(t("rules.older"), () => fill(), { kind: "quiet" });
  let before = 0;
  const fill = async () => {
    const { changes } = await get("/v1/rules/audit", { rule, limit: PAGE, before: before || "" });
    list.append(...changes.map((/** @type {any} */ change) => line(change, route, rule)));
    before = changes.at(-1)?.id || 0;
    more.hidden = changes.length < PAGE;
  };
  await fill();
  if (!list.children.length) return framed({ id: "history" }, empty(t("rules.history_empty"), t("rules.history_empty_why")));
  return framed({ title: rule ? t("rules.tab_history") : "", id: "history" }, list, more);
}

/** @param {any} change @param {any} route @param {string} only */
function line(change, route, only) {
  const rule = change.after || change.before;
  const told = diffView(change.before, change.after);
  const what = h("details", {}, h("summary", {}, t("rules.what_changed")), told);
  return h("li", { class: "fix" },
    h("div", { class: "row" },
      badge(t(`rules.change_${change.what}`), TONES[change.what] || ""),
      only ? null : change.after ? h("a", { href: route.link({ rule: change.rule }, "rules") }, nameOf(rule)) : h("strong", {}, nameOf(rule)),
      h("span", { class: "soft small", title: date(change.time) }, t("rules.by", { who: change.who, ago: ago(change.time) })),
      change.undoes ? h("span", { class: "soft small" }, t("rules.undoes", { id: change.undoes })) : null,
      h("span", { class: "grow" }),
      button(t("rules.undo"), () => undo(change.id, () => route.again()), { kind: "quiet", icon: "undo", title: t("rules.undo_title", { id: change.id }) })),
    what);
}

/** Two versions of a rule, line by line. @param {any} before @param {any} after */
export function diffView(before, after) {
  const rows = diff(lines(before), lines(after));
  if (rows.every((each) => each.mark === " ")) return h("p", { class: "soft" }, t("rules.no_difference"));
  const near = rows.map((_, n) => rows.slice(Math.max(0, n - 2), n + 3).some((each) => each.mark !== " "));
  return h("div", { class: "diff", tabindex: "0", role: "group", "aria-label": t("rules.what_changed") }, rows.map((each, n) => (near[n] ? h("div", { class: each.mark === "+" ? "plus" : each.mark === "-" ? "minus" : "" }, h("span", { class: "vh" }, each.mark === "+" ? t("rules.added") : each.mark === "-" ? t("rules.removed") : ""), `${each.mark} ${each.text}`) : null)));
}

