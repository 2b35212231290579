/**
 * What does the shop answer? The few calls of the HTTP API that the pages use, with the page's public key.
 * Lists wait until events under way are acknowledged, so that the very next list knows the last click.
 */
import { facts } from "./dom.js";
import { settled } from "./events.js";
import { personal, session, user } from "./state.js";
import { send } from "./wire.js";

/** @typedef {import("./state.js").Item} Item */
/** @typedef {{kind: string, text: string, id?: string, field?: string}} Evidence */
/** @typedef {{source: string, share: number, text: string, because?: string[], evidence?: Evidence[]}} Reason */
/** @typedef {{id: string, position: number, score: number, document: Item, why: Reason[]}} Hit */
/** @typedef {{value: string, count: number, parent?: string, depth?: number}} FacetValue */
/** @typedef {{field: string, values?: FacetValue[], low?: number, high?: number, ranges?: {low: number, high: number, count: number}[]}} Facet */
/** @typedef {{request_id: string, place: string, hits: Hit[], total: number, query: string, corrected: string,
 *   facets: Facet[], degraded: string[], understood?: any[], relaxed?: string[], redirect?: string, banners?: any[], related?: string[]}} Page */
/** @typedef {{field: string, values?: string[], low?: number, high?: number}} Filter */

/** The shop said no, or could not be reached. */
export class ApiError extends Error {
  /** @param {number} status @param {any} problem */
  constructor(status, problem) {
    super(problem?.detail || problem?.what || problem?.title || `HTTP ${status}`);
    this.status = status;
  }
}

/** @param {string} path @param {any} [body] sent as JSON by POST @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function call(path, body, signal) {
  const answer = await send(path, body, { signal });
  const json = await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiError(answer.status, json);
  return json;
}

/** Who asks: nobody in particular when personalisation is off. */
const who = () => ({ user: user(), session: session(), personal: personal(), language: facts.language.slice(0, 2) });

/** An address with who asks. @param {Record<string, string>} ask */
function asking(ask) {
  const { user: u, session: v, personal: p } = who();
  const all = new URLSearchParams({ ...ask, session: v, personal: String(p) });
  if (u) all.set("user", u);
  return all;
}

/** @param {any} page @returns {Page} */
const tidy = (page) => ({ ...page, facets: page.facets || [], degraded: page.degraded || [], hits: (page.hits || []).map((/** @type {any} */ hit) => ({ why: [], ...hit })) });

/** @param {{query: string, k?: number, offset?: number, filters?: Filter[], facets?: string[], sort?: string, sort_by?: string, verbatim?: boolean, image?: string}} ask @param {AbortSignal} [signal] */
export async function search(ask, signal) {
  await settled();
  return tidy(await call("/search", { ...who(), ...ask }, signal));
}

/** @param {{place: string, items?: string[], k?: number}} ask */
export async function recommend(ask) {
  await settled();
  return tidy(await call("/recommend", { ...who(), ...ask }));
}

/** `similar` or `together`. @param {string} id @param {"similar" | "together"} list @param {number} k */
export async function around(id, list, k) {
  await settled();
  return tidy(await call(`/items/${encodeURIComponent(id)}/${list}?${asking({ k: String(k), language: who().language })}`));
}

/** The values of one facet that read like a text. @param {{query: string, field: string, text: string, filters: Filter[], verbatim?: boolean, image?: string}} ask
 * @param {AbortSignal} signal @returns {Promise<Facet>} */
export async function facetValues({ query, field, text, filters, verbatim, image }, signal) {
  const address = asking({ field, text, k: "20", q: query, language: who().language, ...(verbatim ? { verbatim: "true" } : {}), ...(image ? { image } : {}) });
  for (const { field: name, values = [], low, high } of filters) {
    for (const value of values) address.append("filter", `${name}:${value}`);
    if (low != null || high != null) address.append("filter", `${name}:${low ?? ""}..${high ?? ""}`);
  }
  const answer = await call(`/facets?${address}`, undefined, signal);
  return answer?.facet || { field, values: [] };
}

/** What others are to it, from the shop's knowledge of what hangs together: {upgrade: [item, ...]}. The answer's own id stands
 * for the request that lists were shown by. @param {string} id @returns {Promise<{request_id: string, relations: Record<string, Item[]>}>} */
export async function relations(id) {
  const answer = await send(`/items/${encodeURIComponent(id)}/relations?k=12`);
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiError(answer.status, told);
  const found = Object.entries(told?.relations || {}).map(([name, all]) => [name, all.map((/** @type {any} */ each) => each.document)]);
  return { request_id: answer.headers.get("X-Request-Id") || "", relations: Object.fromEntries(found) };
}

/** @typedef {{item: string, title: string, options: Record<string, string>, available: boolean, document: Item}} Variant */
/** A product in all its variants. @param {string} id @returns {Promise<{item: string, group: string, axes: Record<string, string[]>, variants: Variant[]}>} */
export const variants = (id) => call(`/items/${encodeURIComponent(id)}/variants`);

/** @typedef {{sorts: string[], relations: boolean, reviews: boolean, variants: boolean, gpc: boolean}} Offers */
/** @type {Promise<Offers> | undefined} */
let offered;
/** What this shop can do; asked once a visit to it. @returns {Promise<Offers>} */
export function offers() {
  offered ??= call("/about").catch(() => {
    offered = undefined;
    return { sorts: ["relevance", "price_up", "price_down"], relations: false, reviews: false, variants: false, gpc: false };
  });
  return offered;
}

/** @param {string} id @returns {Promise<Item>} */
export const item = (id) => call(`/items/${encodeURIComponent(id)}`);

/** @param {string} prefix @param {AbortSignal} signal @returns {Promise<{text: string, kind: string, item?: unknown}[]>} */
export async function suggest(prefix, signal) {
  const answer = await call(`/suggest?${asking({ q: prefix, k: "8" })}`, undefined, signal);
  return Array.isArray(answer) ? answer : answer?.suggestions || [];
}
