/**
 * What does the shop say? Calls of its HTTP API with the rights of who signed in (a cookie goes along by itself). Paths
 * are whole: `get("/v1/rules")`. A refusal arrives as a `Problem` with what was wrong and what to do next.
 */
import { announce, h, icon } from "./dom.js";
import { t, wrong } from "./words.js";

const PATIENCE = 2;

/** The shop said no, or could not be reached. */
export class Problem extends Error {
  /** @param {number} status 0: nobody answered @param {any} facts */
  constructor(status, facts) {
    const told = wrong(facts);
    super(told.what || (status ? `HTTP ${status}` : t("frame.unreachable")));
    this.status = status;
    /** What was wrong. */
    this.what = this.message;
    this.where = String(facts?.where || "");
    this.allowed = String(facts?.allowed || "");
    this.got = String(facts?.got ?? "");
    this.next = told.next || (status ? "" : t("frame.unreachable_next"));
    this.id = String(facts?.id || facts?.request_id || "");
    this.facts = facts || {};
  }
}

/** The path with its parameters; empty ones are left out, lists repeat. @param {string} path @param {Record<string, any>} [params] */
export function address(path, params = {}) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(params))
    for (const each of Array.isArray(value) ? value : [value]) if (each != null && each !== "") asked.append(name, String(each));
  return String(asked) ? `${path}?${asked}` : path;
}

/** @param {string} path @param {Record<string, any>} [params] @param {AbortSignal} [signal] @returns {Promise<any>} */
export const get = (path, params, signal) => call("GET", address(path, params), undefined, signal);

/** @param {"POST" | "PUT" | "DELETE" | "PATCH"} method @param {string} path @param {any} [body] sent as JSON @param {AbortSignal} [signal] @returns {Promise<any>} */
export const send = (method, path, body, signal) => call(method, path, body, signal);

/** @param {string} method @param {string} path @param {any} body @param {AbortSignal} [signal] */
async function call(method, path, body, signal) {
  const asked = { method, signal, headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) }, body: body === undefined ? undefined : JSON.stringify(body) };
  for (let turn = 0; ; turn++) {
    let answer;
    try {
      answer = await fetch(path, asked);
    } catch (error) {
      if (/** @type {any} */ (error)?.name === "AbortError") throw error;
      throw new Problem(0, null);
    }
    // A shop that is busy for a moment is asked again, when it says so; a write only where it was surely not taken.
    if (turn < PATIENCE && (answer.status === 429 || (answer.status === 503 && method === "GET"))) {
      await new Promise((done) => setTimeout(done, Math.min(3, Number(answer.headers.get("Retry-After")) || 0.5) * 1000));
      continue;
    }
    const kind = answer.headers.get("Content-Type") || "";
    const told = kind.includes("json") ? await answer.json().catch(() => null) : await answer.text();
    if (answer.ok) return told;
    if (answer.status === 401 && path !== "/v1/console/session") document.dispatchEvent(new CustomEvent("signed-out"));
    throw new Problem(answer.status, told);
  }
}

/** Show an error where it happened: what, where, what to do next, and a button that tries again.
 * @param {any} view emptied first @param {any} error @param {() => void} [again] */
export function problem(view, error, again) {
  view.replaceChildren(problemBox(error, again));
  announce(error?.what || String(error?.message || error));
}

/** The same as an element. @param {any} error @param {() => void} [again] */
export function problemBox(error, again) {
  const known = error instanceof Problem;
  if (!known) console.info("page:", error);
  const lines = known ? [["frame.where", error.where], ["frame.allowed", error.allowed], ["frame.got", error.got]] : [];
  return h("div", { class: "problem", role: "alert" },
    icon("warn"),
    h("div", {},
      h("p", { class: "what" }, known ? error.what : t("frame.failed")),
      lines.some(([, text]) => text) ? h("dl", { class: "pairs" }, lines.filter(([, text]) => text).map(([name, text]) => [h("dt", {}, t(name)), h("dd", {}, text)])) : null,
      known && error.next ? h("p", {}, h("strong", {}, t("frame.next")), " ", error.next) : null,
      known && error.id ? h("p", { class: "soft small" }, t("frame.error_id", { id: error.id })) : null,
      again ? h("button", { type: "button", class: "button", onclick: again }, t("frame.again")) : null));
}
