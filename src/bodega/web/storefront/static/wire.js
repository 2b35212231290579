/**
 * How does a request reach the shop? With the page's public key, and with patience: a shop that is busy for a moment
 * (503, 429) is asked again, when it says so, at most twice. Events carry ids, so sending them again counts once.
 */
import { facts } from "./dom.js";

const PATIENCE = 2;

/** @param {string} path @param {any} [body] sent as JSON by POST @param {{signal?: AbortSignal, keepalive?: boolean, method?: string, headers?: Record<string, string>}} [how] @returns {Promise<Response>} */
export async function send(path, body, how = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", ...how.headers };
  if (facts.key) headers["Authorization"] = `Bearer ${facts.key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const asked = { method: body === undefined ? "GET" : "POST", headers, body: body && JSON.stringify(body), ...how, headers };
  for (let turn = 0; ; turn++) {
    const answer = await fetch(facts.api + path, asked);
    if (turn >= PATIENCE || ![429, 503].includes(answer.status)) return answer;
    const wait = Math.min(3, Number(answer.headers.get("Retry-After")) || 0.5);
    await new Promise((done) => setTimeout(done, wait * 1000));
  }
}
