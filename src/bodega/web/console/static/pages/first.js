/**
 * What is to be done in a new shop, in order? Six steps from a file to a first experiment; each says why, how, and is ticked off by
 * what is a fact in the shop, not by somebody who says so.
 */
import { get } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { badge, command, heading, meter } from "../lib/parts.js";
import { t } from "../lib/words.js";

export const title = "first.title";
const AGAIN = 5000;

/** @param {any} view */
export async function draw(view) {
  const list = h("ol", { class: "steps" }), done = h("div", {});
  view.append(heading(t(title), t("first.note")), done, list);
  let told = "";
  const look = async () => {
    const [facts, doctor, daily] = await Promise.all([get("/v1/console/facts"), get("/v1/doctor").catch(() => null), get("/v1/metrics/daily", { days: 28 }).catch(() => null)]);
    const now = JSON.stringify([facts, doctor?.time, daily?.whole.answers]);
    if (now === told) return;
    told = now;
    const steps = made(facts, doctor, daily);
    const ready = steps.filter((each) => each.done).length;
    const next = steps.findIndex((each) => !each.done);
    done.replaceChildren(h("div", { class: "row", role: "status" }, h("strong", {}, t(next < 0 ? "first.all_done" : "first.progress", { done: ready, all: steps.length })), h("span", { class: "grow" }, meter(ready, steps.length, t("first.progress", { done: ready, all: steps.length })))));
    list.replaceChildren(...steps.map((each, at) => step(each, at === next)));
  };
  await look();
  const timer = setInterval(() => document.hidden || look().catch(() => null), AGAIN);
  return () => clearInterval(timer);
}

/** @typedef {{name: string, done: boolean, fact: string, how: any}} Step */

/** @param {any} facts @param {any} doctor @param {any} daily @returns {Step[]} */
function made(facts, doctor, daily) {
  const pages = daily?.whole.answers || 0;
  const go = (/** @type {string} */ page, /** @type {string} */ words) => h("a", { class: "button main", href: `/console/${page}` }, t(words));
  return [
    { name: "import", done: facts.items > 0 && facts.events > 0, fact: t("first.import_fact", { items: facts.items, events: facts.events }), how: [command("bodega import items products.csv"), command("bodega import events events.csv")] },
    { name: "doctor", done: Boolean(doctor?.time), fact: doctor?.shop ? t("first.doctor_fact", { n: Math.round(doctor.shop.score ?? 0) }) : "", how: go("doctor", "first.doctor_go") },
    { name: "learn", done: Boolean(facts.snapshot), fact: facts.snapshot ? t("first.learn_fact", { id: facts.snapshot.slice(0, 12) }) : "", how: command("bodega learn") },
    { name: "look", done: pages > 0, fact: pages ? t("first.look_fact", { n: pages }) : "", how: facts.storefront ? h("a", { class: "button main", href: "/", target: "_blank", rel: "noopener" }, t("frame.to_shop")) : command("bodega serve --storefront") },
    { name: "rule", done: facts.rules > 0, fact: facts.rules ? t("first.rule_fact", { n: facts.rules }) : "", how: go("rules", "first.rule_go") },
    { name: "experiment", done: facts.experiments > 0, fact: facts.experiments ? t("first.experiment_fact", { n: facts.experiments }) : "", how: go("experiments", "first.experiment_go") },
  ];
}

/** @param {Step} each @param {boolean} now */
const step = (each, now) =>
  h("li", { class: `step${each.done ? " done" : ""}${now ? " now" : ""}`, "data-step": each.name },
    h("span", { class: "step-mark", "aria-hidden": "true" }, each.done ? icon("check") : null),
    h("div", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, t(`first.${each.name}`)), each.done ? badge(t("first.done"), "good") : now ? badge(t("first.now"), "info") : null),
      h("p", { class: "soft" }, t(`first.${each.name}_why`)), each.fact ? h("p", {}, each.fact) : null, each.done ? null : h("div", { class: "row" }, each.how)));

