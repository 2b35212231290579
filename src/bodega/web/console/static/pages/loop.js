/**
 * How does the shop learn by itself, and who lets it? Six steps as a line, the gates with their numbers, what shoppers
 * say in the contest, the human switch, what was done so far, and what the generated world measured.
 */
import { get, problem, send } from "../lib/api.js";
import { announce, h } from "../lib/dom.js";
import { ago, date, number, percent } from "../lib/format.js";
import { badge, button, confirm, dialog, empty, field, form, framed, grid, heading, stat, toast, waiting } from "../lib/parts.js";
import { line } from "../lib/chart.js";
import { table } from "../lib/table.js";
import { said, t } from "../lib/words.js";
import { styled } from "./loop-parts.js";

export const title = "loop.title";

const STEPS = ["judge", "learn", "gate", "contest", "approve", "promote"];
const TONES = /** @type {Record<string, any>} */ ({ pass: "good", done: "good", fail: "bad", open: "warn", skip: "" });
const EVERY = 3000;
/** Cases below which the gate of quality says nothing. */
const FEWEST = 50;

/** @param {any} view */
export async function draw(view) {
  await styled();
  const body = h("div", { class: "stack" }, waiting());
  view.append(heading(t(title), t("loop.note")), body);
  let timer = 0, seen = "";
  const look = async () => {
    try {
      const told = await get("/v1/loop");
      const now = JSON.stringify([told.state, told.running, told.error, told.trail.length]);
      if (now !== seen) {
        seen = now;
        drawn(body, told, look);
      }
      clearTimeout(timer);
      if (told.running) timer = window.setTimeout(look, EVERY);
    } catch (error) {
      problem(body, error, look);
    }
  };
  await look();
  return () => clearTimeout(timer);
}

/** @param {any} body @param {any} told @param {() => Promise<void>} look */
function drawn(body, told, look) {
  const { state, trail } = told;
  const never = !trail.length;
  body.replaceChildren(...[
    standing(told, look),
    never ? empty(t("loop.never"), t("loop.never_why"), "bodega loop run") : steps(state, trail),
    state.gate ? gates(state.gate) : "",
    state.reading || state.contest ? contest(state) : "",
    measured(told.measured),
    never ? "" : history(trail),
  ].filter(Boolean));
  announce(said(state.said, state.outcome) || t("loop.idle"));
}

/** Where it stands, and what a person may do. @param {any} told @param {() => Promise<void>} look */
function standing(told, look) {
  const { state } = told;
  const act = (/** @type {string} */ path, /** @type {any} */ body, /** @type {string} */ done) => async () => {
    try {
      await send("POST", path, body);
      toast(done);
    } catch (error) {
      toast(/** @type {any} */ (error).what || String(error), { tone: "bad" });
    }
    await look();
  };
  const approve = async () => {
    const said = await confirm({ title: t("loop.approve"), text: t("loop.approve_text", { candidate: state.candidate, served: state.served }), yes: t("loop.approve_yes") });
    if (said) await act("/v1/loop/approve", undefined, t("loop.approved"))();
  };
  const waits = state.step === "approve" && told.switch === "human";
  const actions = [
    waits ? button(t("loop.approve"), approve, { kind: "main", icon: "check" }) : null,
    state.candidate ? button(t("loop.reject"), () => reject(state, act), { kind: "danger", icon: "x" }) : null,
    waits ? null : button(told.running ? t("loop.at_work") : t("loop.run"), act("/v1/loop/run", undefined, t("loop.begun")), { kind: "main", icon: "loop", disabled: told.running }),
  ].filter(Boolean);
  const step = state.step === "idle" ? t("loop.idle") : t("loop.at", { step: t(`loop.step_${state.step}`) });
  return framed({ title: t("loop.now"), note: said(state.said, state.outcome) || (told.trail.length ? step : t("loop.never")), actions, id: "loop-now" },
    told.error ? h("p", { class: "problem", role: "alert" }, told.error) : null,
    grid(
      stat({ label: t("loop.step"), value: step, note: state.run ? t("loop.run_number", { n: state.run }) : "" }),
      stat({ label: t("loop.served"), value: h("code", {}, state.served || "–"), note: state.candidate ? h("span", {}, t("loop.candidate"), " ", h("code", {}, state.candidate)) : t("loop.no_candidate") }),
      stat({ label: t("loop.switch"), value: t(`loop.switch_${told.switch}`), note: t("loop.switch_note") }),
      stat({ label: t("loop.without"), value: number(state.without.length), note: t("loop.without_note") })));
}

/** @param {any} state @param {(path: string, body: any, done: string) => () => Promise<void>} act */
function reject(state, act) {
  const box = dialog({
    title: t("loop.reject"),
    body: [h("p", {}, t("loop.reject_text", { candidate: state.candidate })),
      form({
        fields: [field({ label: t("loop.why"), input: { name: "why", maxlength: 500 } })],
        submit: t("loop.reject_yes"), kind: "danger",
        send: async (/** @type {any} */ values) => {
          await act("/v1/loop/reject", { why: values.why || "" }, t("loop.rejected"))();
          /** @type {any} */ (box)?.close?.();
        },
      })],
  });
}

/** The steps of this run, or of the last one. @param {any} state @param {any[]} trail newest first */
function steps(state, trail) {
  const own = trail.filter((each) => each.run === state.run);
  const items = STEPS.map((step) => {
    const lines = own.filter((each) => each.step === step || (step === "approve" && each.step === "approved"));
    const failed = lines.some((each) => each.state === "fail");
    const current = state.step === step;
    const kind = failed ? "failed" : current ? "now" : lines.length && (step !== "gate" || !current) ? "done" : "next";
    return h("li", { "data-state": kind, "aria-current": current ? "step" : null },
      h("strong", {}, t(`loop.step_${step}`)),
      badge(t(`loop.state_${kind}`), kind === "done" ? "good" : kind === "failed" ? "bad" : kind === "now" ? "info" : ""),
      h("span", { class: "soft small" }, lines.length && step !== "gate" ? said(lines[0].said, lines[0].what) : t(`loop.about_${step}`)));
  });
  const over = own.find((each) => each.step === "reject");
  return framed({ title: t("loop.steps"), note: t("loop.steps_note"), id: "loop-steps" },
    h("ol", { class: "loop-steps" }, items),
    over ? h("p", { class: "soft" }, badge(t("loop.rejected"), "bad"), " ", said(over.said, over.what)) : null);
}

/** A gate's sentence by its code and figures. @param {any} each */
function spoken(each) {
  const part = each.gate === "exposure" || each.gate === "attack";
  const few = each.state === "skip" || (each.gate === "quality" && each.state === "open" && each.cases < FEWEST);
  const show = (/** @type {number} */ value) => (part ? percent(value) : number(value, 4));
  return { code: `gate.${each.gate}${few ? "_few" : ""}`, text: each.text, values: { value: show(each.value), limit: show(each.limit), low: number(each.low, 4), high: number(each.high, 4), cases: each.cases, needed: FEWEST } };
}

/** @param {any} gate */
function gates(gate) {
  return framed({ title: t("loop.gates"), note: t("loop.gates_note", { from: date(gate.start), to: date(gate.end) }), id: "loop-gates" },
    h("ul", { class: "loop-gates" }, gate.lines.map((/** @type {any} */ each) =>
      h("li", {}, h("strong", {}, t(`loop.gate_${each.gate}`)), badge(t(`loop.gate_${each.state}`), TONES[each.state]), h("span", {}, said(spoken(each), each.text))))),
    table({
      id: "gate-figures", exportName: "gates", search: false,
      columns: [
        { key: "gate", title: t("loop.gate"), value: (row) => t(`loop.gate_${row.gate}`) },
        { key: "value", title: t("loop.value"), kind: "number", cell: (row) => number(row.value, 4) },
        { key: "low", title: t("loop.low"), kind: "number", cell: (row) => number(row.low, 4) },
        { key: "high", title: t("loop.high"), kind: "number", cell: (row) => number(row.high, 4) },
        { key: "limit", title: t("loop.limit"), kind: "number", cell: (row) => number(row.limit, 4) },
        { key: "cases", title: t("loop.cases"), kind: "number" },
      ],
      rows: gate.lines,
    }));
}

/** @param {any} state */
function contest(state) {
  const reading = state.reading;
  const link = state.contest ? h("a", { class: "button quiet", href: `/console/experiments?id=${encodeURIComponent(state.contest)}` }, t("loop.contest_link")) : null;
  if (!reading) return framed({ title: t("loop.contest"), note: t("loop.contest_begun", { time: ago(state.contest_began) }), actions: link });
  return framed({ title: t("loop.contest"), note: t("loop.contest_note"), actions: [badge(t(`loop.contest_${reading.state}`), reading.state === "worse" ? "bad" : reading.state === "open" ? "warn" : "good"), link].filter(Boolean) },
    grid(
      stat({ label: t("loop.pages"), value: number(reading.pages), note: t("loop.pages_of", { n: reading.planned }) }),
      stat({ label: t("loop.difference"), value: number(reading.difference, 4), note: t("loop.interval", { low: number(reading.low, 4), high: number(reading.high, 4) }) })));
}

/** What the bench kept in this folder: the four ways to run the same shop. @param {any} found */
function measured(found) {
  if (!found?.facts?.series) return framed({ title: t("loop.measured") }, empty(t("loop.not_measured"), t("loop.not_measured_why"), "bodega bench loop --shop my-shop"));
  const { series, spread, shuffled_on: shuffled, attack_on: attack } = found.facts;
  const names = ["frozen", "counting", "ungated", "loop", "oracle"].filter((name) => series[name]);
  const gain = (/** @type {string} */ name) => {
    const range = found.intervals?.[name];
    return stat({ label: t(`loop.${name.replace(".", "_")}`), value: percent(found.figures?.[name], 1, true), note: range ? t("loop.interval", { low: percent(range[0], 1, true), high: percent(range[1], 1, true) }) : "" });
  };
  return framed({ title: t("loop.measured"), note: t("loop.measured_note", { n: found.facts.seeds, shuffled: shuffled + 1, attack: attack + 1 }), id: "loop-plot" },
    line({
      title: t("loop.plot"), x: series.loop.map((/** @type {any} */ _, /** @type {number} */ day) => String(day + 1)), xName: t("loop.day"), yName: t("loop.utility"), from0: false,
      series: names.map((name) => ({ name: t(`loop.arm_${name}`), values: series[name] })),
      band: spread?.loop ? { name: t("loop.arm_loop"), low: spread.loop.map((/** @type {number[]} */ each) => each[0]), high: spread.loop.map((/** @type {number[]} */ each) => each[1]) } : undefined,
      format: (/** @type {number} */ value) => number(value, 3), height: 320,
    }),
    grid(gain("loop.utility_gain"), gain("ungated.utility_gain"), gain("loop.worst_day"), gain("ungated.worst_day")));
}

/** @param {any[]} trail */
function history(trail) {
  return framed({ title: t("loop.trail"), note: t("loop.trail_note"), id: "loop-trail" },
    table({
      id: "trail", exportName: "loop",
      columns: [
        { key: "time", title: t("loop.time"), kind: "date", width: 180 },
        { key: "run", title: t("loop.run_short"), kind: "number" },
        { key: "step", title: t("loop.step"), value: (row) => t(`loop.step_${row.step}`) },
        { key: "state", title: t("loop.state"), cell: (row) => badge(t(`loop.gate_${row.state || "done"}`), TONES[row.state || "done"]), value: (row) => row.state || "done" },
        { key: "what", title: t("loop.what"), value: (row) => said(row.said, row.what || ""), grow: 3 },
        { key: "who", title: t("loop.who"), value: (row) => row.who || "loop" },
      ],
      rows: trail,
    }));
}
