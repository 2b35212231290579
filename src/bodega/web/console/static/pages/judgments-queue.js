/**
 * One query, its products, and the keys 0 to 3. Every press is kept at once and named; Z takes the last one back, S goes
 * on to the next query. What others said stays hidden until one has judged: nobody should follow.
 */
import { get, problemBox, send } from "../lib/api.js";
import { announce, h } from "../lib/dom.js";
import { money, number } from "../lib/format.js";
import { badge, button, empty, framed } from "../lib/parts.js";
import { t } from "../lib/words.js";

/** @typedef {{id: string, title: string, brand: string, category: string, image: string, price: number | null, currency: string, why: string, said: Record<string, number>}} Product */

/** @param {any} body @param {any} route */
export async function judging(body, route) {
  const told = await get("/v1/judgments/queue", { limit: 10 });
  /** @type {{query: string, items: Product[], people: number}[]} */
  let entries = told.entries;
  const wanted = route.params.get("query");
  if (wanted) entries = [...entries.filter((each) => each.query === wanted), ...entries.filter((each) => each.query !== wanted)];
  let at = 0, done = 0, timer = 0;
  /** @type {{query: string, item: string, undo: () => void} | null} */
  let last = null;

  const show = () => {
    const entry = entries[at];
    if (!entry && told.counting && !done) {
      body.replaceChildren(framed({}, h("p", { role: "status" }, t("judgments.counting"))));
      timer = window.setTimeout(() => route.again(), 2000);
      return;
    }
    if (!entry) {
      const next = done ? button(t("judgments.more"), () => judging(body, route), { kind: "main" }) : "bodega judge clicks";
      body.replaceChildren(empty(done ? t("judgments.all_done") : t("judgments.queue_empty"), done ? t("judgments.all_done_why", { n: done }) : t("judgments.queue_why"), next));
      return;
    }
    const rows = entry.items.map((item) => product(entry, item));
    const skip = button(t("judgments.skip"), () => go(), { kind: "quiet" });
    body.replaceChildren(
      framed({ title: `“${entry.query}”`, note: t("judgments.asked_by", { n: entry.people }), actions: [h("span", { class: "soft small" }, t("judgments.query_of", { at: at + 1, all: entries.length })), skip], id: "judging" },
        h("p", { class: "soft small" }, t("judgments.keys")),
        h("ol", { class: "judge-list" }, rows)));
    rows[0]?.focus();
  };
  const go = () => {
    at += 1;
    show();
  };

  /** @param {any} entry @param {Product} item */
  const product = (entry, item) => {
    const state = h("span", { class: "judge-said", role: "status" });
    const buttons = [0, 1, 2, 3].map((grade) =>
      h("button", { type: "button", class: "judge-grade", "data-grade": String(grade), "aria-pressed": "false", title: t(`judgments.grade_${grade}`), onclick: () => judge(grade) }, String(grade)));
    const row = h("li", { class: "judge-row", tabindex: "0", "data-item": item.id, "aria-label": t("judgments.product", { title: item.title, query: entry.query }) },
      item.image ? h("img", { src: item.image, alt: "", loading: "lazy", class: "judge-picture" }) : h("span", { class: "judge-picture", "aria-hidden": "true" }),
      h("div", { class: "judge-what" },
        h("strong", {}, item.title || item.id),
        h("p", { class: "soft small" }, [item.brand, item.category, item.price == null ? "" : money(item.price, item.currency)].filter(Boolean).join(" · ")),
        badge(t(`judgments.why_${item.why}`), item.why === "quarrel" ? "warn" : "")),
      h("div", { class: "judge-grades", role: "group", "aria-label": t("judgments.grade") }, buttons, state));

    const judge = async (/** @type {number} */ grade) => {
      try {
        await send("POST", "/v1/judgments", { judgments: [{ query: entry.query, item: item.id, grade }] });
      } catch (error) {
        row.append(problemBox(error));
        return;
      }
      if (!row.dataset.judged) done += 1;
      row.dataset.judged = "yes";
      for (const each of buttons) each.setAttribute("aria-pressed", String(each.dataset.grade === String(grade)));
      const others = Object.entries(item.said).map(([who, said]) => `${who === "clicks" || who === "llm" ? t(`judgments.origin_${who}`) : who}: ${number(said)}`).join(", ");
      state.textContent = others ? t("judgments.others", { others }) : t("judgments.kept");
      announce(`${item.title}: ${t(`judgments.grade_${grade}`)}`);
      last = { query: entry.query, item: item.id, undo: () => {
        delete row.dataset.judged;
        for (const each of buttons) each.setAttribute("aria-pressed", "false");
        state.textContent = t("judgments.undone");
        row.focus();
      } };
      const next = row.nextElementSibling;
      if (next) next.focus();
      else if (entries[at] === entry && [...row.parentElement.children].every((each) => each.dataset.judged)) go();
    };
    row.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (/^[0-3]$/.test(event.key)) judge(Number(event.key));
      else if (event.key === "ArrowDown") /** @type {any} */ (row.nextElementSibling)?.focus();
      else if (event.key === "ArrowUp") /** @type {any} */ (row.previousElementSibling)?.focus();
      else return;
      event.preventDefault();
    });
    return row;
  };

  const keys = (/** @type {KeyboardEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /** @type {any} */ (event.target).matches?.("input,select,textarea")) return;
    if (event.key === "s") go();
    else if (event.key === "z" && last) undo(last);
  };
  const undo = async (/** @type {any} */ one) => {
    last = null;
    await send("POST", "/v1/judgments/delete", { query: one.query, item: one.item });
    one.undo();
    announce(t("judgments.undone"));
  };
  document.addEventListener("keydown", keys);
  show();
  return () => {
    clearTimeout(timer);
    document.removeEventListener("keydown", keys);
  };
}
