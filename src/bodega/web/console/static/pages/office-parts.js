/**
 * What do the back office's pages have in common? Work that runs as a job (its state, how far, a button), intervals as
 * text and as a small bar, and a choice of views that stands in the address. Their own look comes along once.
 */
import { get, problemBox, send } from "../lib/api.js";
import { announce, h, icon } from "../lib/dom.js";
import { ago, duration, number, percent } from "../lib/format.js";
import { badge, button, meter, tabs } from "../lib/parts.js";
import { maybe, t } from "../lib/words.js";

/** @typedef {{state: string, task: string, done: number, total: number | null, started: number, finished: number, error: string, next: string}} JobState */

const EVERY = 1000;
/** @type {Promise<any> | null} */
let styled = null;

/** The look of these pages, once; resolves when it is there. */
export function style() {
  styled ||= new Promise((done) => {
    const link = h("link", { rel: "stylesheet", href: new URL("./office.css", import.meta.url) });
    link.onload = link.onerror = done;
    document.head.append(link);
  });
  return styled;
}

/** A job's line: when it last ended, how far it is now, and a button that begins one. `run()` posts; `look()` gets the
 * state; `done()` is called once it has ended. Returns the element; `.stop()` ends its asking.
 * @param {{job: JobState, time: number, run: () => Promise<any>, look: () => Promise<JobState>, done: () => void, label: string, extra?: any}} how */
export function jobLine({ job, time, run, look, done, label, extra }) {
  let timer = 0;
  const text = h("span", { role: "status" });
  const bar = h("span", { class: "job-bar" });
  const start = button(label, async () => {
    try {
      await run();
      follow(await look());
    } catch (error) {
      text.replaceChildren(problemBox(error));
    }
  }, { kind: "main", icon: "doctor" });
  const say = (/** @type {JobState} */ now) => {
    const running = now.state === "running";
    start.disabled = running;
    bar.hidden = !running;
    if (running) {
      const share = now.total ? Math.min(1, now.done / now.total) : 0;
      text.textContent = t("office.running", { task: maybe(`office.task_${now.task.replaceAll(" ", "_")}`, now.task) });
      bar.replaceChildren(now.total ? meter(share, 1, percent(share, 0)) : h("span", { class: "soft small" }, number(now.done, 0)));
    } else if (now.state === "failed" || now.state === "lost") {
      text.textContent = now.state === "lost" ? t("office.lost") : t("office.failed", { error: now.error, next: now.next });
    } else {
      text.textContent = time ? t("office.last", { ago: ago(time), seconds: duration(Math.max(0, now.finished - now.started)) }) : t("office.never");
    }
  };
  const follow = (/** @type {JobState} */ now) => {
    say(now);
    clearTimeout(timer);
    if (now.state !== "running") return;
    timer = window.setTimeout(async () => {
      const next = await look().catch(() => now);
      if (!box.isConnected) return;
      if (next.state === "running") return follow(next);
      say(next);
      if (next.state === "done") {
        announce(t("office.done"));
        done();
      }
    }, EVERY);
  };
  const box = h("div", { class: "job row" }, icon("clock"), h("div", { class: "grow" }, text, bar), extra || null, start);
  follow(job);
  return Object.assign(box, { stop: () => clearTimeout(timer) });
}

/** Views of a page in its address. @param {any} route @param {[string, string, number?][]} items @param {string} label @param {string} [name] */
export function views(route, items, label, name = "view") {
  const chosen = items.some(([key]) => key === route.params.get(name)) ? String(route.params.get(name)) : items[0][0];
  return { chosen, row: tabs(items.map(([key, text, count]) => ({ key, label: text, count })), chosen, (key) => route.go({ [name]: key, page: null }), label) };
}

/** 0.213 (0.178 to 0.249). @param {number} value @param {number} low @param {number} high @param {(v: number) => string} [format] */
export const within = (value, low, high, format = (v) => number(v, 3)) => h("span", { class: "within" }, h("b", {}, format(value)), " ", h("span", { class: "soft small" }, t("office.interval", { low: format(low), high: format(high) })));

/** A share with its bar. @param {number} share @param {string} [text] */
export const shareBar = (share, text) => h("span", { class: "share" }, meter(share, 1, percent(share)), h("span", { class: "num small" }, text ?? percent(share)));

/** A choice in the address. @param {any} route @param {{name: string, label: string, options: [string, string][], value: string}} how */
export const choice = (route, { name, label, options, value }) =>
  h("label", { class: "choice" }, h("span", { class: "small soft" }, label), h("select", { name, id: `choice-${name}`, value, onchange: (/** @type {any} */ event) => route.go({ [name]: event.target.value }) }, options.map(([key, text]) => h("option", { value: key }, text))));

/** Good, so so, bad: of a score from 0 to 100. @param {number} score */
export const scoreBadge = (score) => badge(number(score, 0), score >= 80 ? "good" : score >= 60 ? "warn" : "bad");

export { get, send };
