/**
 * What did the visitor do? Clicks and the like are sent at once, impressions in batches of what was really seen.
 * `settled()` resolves when everything sent so far is acknowledged (or after 1.500 s: a slow shop must not stop the page).
 * With personalisation switched off nothing is sent but purchases.
 */
import { personal, randomId, session, user } from "./state.js";
import { send } from "./wire.js";

/** @typedef {{type: string, item?: string, query?: string, place?: string, position?: number, request_id?: string,
 *   price?: number, currency?: string, quantity?: number}} Happening */

/** @type {Set<Promise<any>>} */
const underway = new Set();
/** @type {any[]} */
let waiting = [];
let timer = 0;

/** @param {Happening} what */
const complete = (what) => ({ id: randomId(), time: new Date().toISOString(), session: session(), ...(user() ? { user: user() } : {}), channel: "web", ...what });

/** @param {any[]} events */
async function post(events) {
  try {
    // sendBeacon cannot carry the key; keepalive lets the request outlive the page just as well.
    await send("/events", { events }, { keepalive: true });
  } catch {
    /* an event that cannot be sent must never break shopping */
  }
}

/** Record something now. @param {Happening[]} happened */
export function record(...happened) {
  const wanted = happened.filter((each) => personal() || each.type === "purchase");
  if (!wanted.length) return Promise.resolve();
  const sending = post(wanted.map(complete));
  underway.add(sending);
  sending.finally(() => underway.delete(sending));
  return sending;
}

/** Everything recorded so far has arrived. */
export const settled = () => Promise.race([Promise.all(underway), new Promise((done) => setTimeout(done, 1500))]);

/** @param {Happening} seen */
function impression(seen) {
  if (!personal()) return;
  waiting.push(complete({ type: "impression", ...seen }));
  clearTimeout(timer);
  if (waiting.length >= 50) flush();
  else timer = window.setTimeout(flush, 1000);
}

function flush() {
  const batch = waiting;
  waiting = [];
  if (batch.length) post(batch);
}

/** @type {WeakMap<Element, Happening>} */
const watched = new WeakMap();
/** @type {Map<Element, number>} */
const looking = new Map();

const eye = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      clearTimeout(looking.get(target));
      looking.delete(target);
      if (!isIntersecting) continue;
      // Half of it in view for half a second counts as seen.
      looking.set(target, window.setTimeout(() => {
        looking.delete(target);
        eye.unobserve(target);
        if (target.isConnected) impression(watched.get(target));
      }, 500));
    }
  },
  { threshold: 0.5 },
);

/** Count it when it was really seen. @param {Element} el @param {Happening} what */
export function watch(el, what) {
  watched.set(el, what);
  eye.observe(el);
}

addEventListener("pagehide", flush);
document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && flush());
