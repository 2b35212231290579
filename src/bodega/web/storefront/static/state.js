/**
 * What does this browser remember? A random session id, the basket, the newest clicks, recent searches, two switches.
 * All of it stays in localStorage; "forget me" throws it away. Tabs share it; a full or forbidden storage is no error.
 */

/** @typedef {{id: string, kind?: string, title?: string, brand?: string, category?: string[], price?: number, currency?: string,
 *   availability?: string, stock?: number, images?: string[], attributes?: Record<string, any>, options?: Record<string, string>,
 *   tags?: string[], description?: string, seller?: string}} Item */

const PREFIX = "bodega.";
/** @type {Record<string, any>} */
const memory = {};

/** @param {string} key @param {any} fallback */
function read(key, fallback) {
  try {
    const text = localStorage.getItem(PREFIX + key);
    return text == null ? (memory[key] ?? fallback) : JSON.parse(text);
  } catch {
    return memory[key] ?? fallback;
  }
}

/** @param {string} key @param {any} value */
function write(key, value) {
  memory[key] = value;
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    /* private mode or full: this page still works */
  }
  document.dispatchEvent(new CustomEvent("state", { detail: key }));
}

/** Random, with no meaning; enough for pages served without https too. */
export const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");

export function session() {
  const known = read("session", "");
  if (typeof known === "string" && known) return known;
  const fresh = `s-${randomId()}`;
  write("session", fresh);
  return fresh;
}

export const user = () => String(read("user", ""));
/** Shop as somebody known (for demonstrations), or as a guest with "". @param {string} id */
export function setUser(id) {
  write("shown", {});
  write("user", id);
}

export const personal = () => read("personal", true) !== false;
/** @param {boolean} on */
export const setPersonal = (on) => write("personal", on);

/** Only what a card shows. @param {Item} item @returns {Item} */
const slim = ({ id, kind, title, brand, category, price, currency, images, attributes, availability, stock }) => ({
  id, kind, title, brand, category, price, currency, images: images?.slice(0, 1), attributes, availability, stock,
});

/** Where in which list something was met. @typedef {{place?: string, position?: number, request_id?: string, query?: string}} From */

/** @returns {{item: Item, n: number, from?: From}[]} */
export const basket = () => [].concat(read("basket", [])).filter((/** @type {any} */ line) => line?.item?.id && line.n > 0);
export const basketCount = () => basket().reduce((sum, line) => sum + line.n, 0);

/** Set how many of an item are in the basket; 0 removes it. It stays the merit of the list that it first came from.
 * @param {Item} item @param {number} n @param {From} [from] */
export function setBasket(item, n, from) {
  const lines = basket();
  const at = lines.findIndex((line) => line.item.id === item.id);
  const line = { item: slim(item), n: Math.min(99, n), from: lines[at]?.from || from };
  if (at < 0) lines.push(line);
  else lines[at] = line;
  write("basket", lines.filter((each) => each.n > 0));
}

/** @param {string} id */
export const inBasket = (id) => basket().find((line) => line.item.id === id)?.n || 0;
export const emptyBasket = () => write("basket", []);

/** @returns {{item: Item, time: number, from?: From}[]} newest first */
export const clicks = () => [].concat(read("clicks", [])).filter((/** @type {any} */ each) => each?.item?.id);
/** @param {Item} item @param {From} [from] the list it was clicked in; without one, what was known before */
export const addClick = (item, from = origin(item.id)) =>
  write("clicks", [{ item: slim(item), time: Date.now(), from }, ...clicks().filter((each) => each.item.id !== item.id)].slice(0, 20));

const DAY = 86_400_000;
/** The list that led to a product within a day: what is bought of it is that list's merit. @param {string} id @returns {From | undefined} */
export function origin(id) {
  const click = clicks().find((each) => each.item.id === id);
  return click && Date.now() - click.time < DAY ? click.from : undefined;
}

/** @returns {string[]} */
export const searches = () => [].concat(read("searches", [])).filter((/** @type {any} */ each) => typeof each === "string");
/** @param {string} query */
export const addSearch = (query) => write("searches", [query, ...searches().filter((each) => each !== query)].slice(0, 6));

/** @returns {string[]} */
export const dismissed = () => [].concat(read("dismissed", []));
/** @param {string} id */
export const addDismissed = (id) => write("dismissed", [...dismissed().filter((each) => each !== id), id].slice(-200));
/** @param {string} id */
export const dropDismissed = (id) => write("dismissed", dismissed().filter((each) => each !== id));

/** Reviews this visitor found helpful. @returns {string[]} */
export const voted = () => [].concat(read("voted", []));
/** @param {string} id @param {boolean} on */
export const setVoted = (id, on) => write("voted", [...voted().filter((each) => each !== id), ...(on ? [id] : [])].slice(-200));

/** What a list showed last time, so that new products can be marked. @param {string} list @returns {string[]} */
export const lastShown = (list) => [].concat(read("shown", {})[list] || []);
/** @param {string} list @param {string[]} ids */
export const setShown = (list, ids) => write("shown", { ...read("shown", {}), [list]: ids });

/** Forget this visitor: a new session that nobody knows. The basket stays. */
export function forget() {
  for (const key of ["user", "clicks", "searches", "dismissed", "shown", "voted"]) write(key, Array.isArray(read(key, "")) ? [] : "");
  write("shown", {});
  write("session", `s-${randomId()}`);
}
