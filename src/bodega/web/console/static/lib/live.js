/**
 * What happens right now? Server-sent events of `/v1/live`, handed to whoever asked for their name. One connection for
 * all pages; it is closed while the tab is hidden, and opened again by itself. Where the server does not send any, the
 * status is asked for every few seconds instead. Names: `status` (what `/readyz` says), and those that the server sends.
 */
const POLL = 10_000;
/** @type {Map<string, Set<(data: any) => void>>} */
const ears = new Map();
/** @type {EventSource | null} */
let source = null;
let timer = 0;
let dead = 0;

/** Hear of something; returns the function that stops it. @param {string} name @param {(data: any) => void} fn */
export function on(name, fn) {
  const known = ears.get(name) || new Set();
  if (!ears.has(name) && source && name !== "status") source.addEventListener(name, heard);
  ears.set(name, known.add(fn));
  return () => void known.delete(fn);
}

/** @param {MessageEvent} event */
function heard(event) {
  let data = null;
  try {
    data = JSON.parse(event.data);
  } catch {
    return;
  }
  tell(event.type, data);
}

/** @param {string} name @param {any} data */
function tell(name, data) {
  for (const fn of ears.get(name) || []) fn(data);
}

async function ask() {
  try {
    tell("status", await (await fetch("/readyz", { headers: { Accept: "application/json" } })).json());
  } catch {
    tell("status", { ready: false, state: "unreachable" });
  }
}

function open() {
  if (source || document.hidden || dead > 2) return;
  source = new EventSource("/v1/live");
  source.onopen = () => (dead = 0);
  source.onerror = () => {
    if (source?.readyState === EventSource.CLOSED) {
      // Refused (signed out, or a server without it): not asked for ever.
      source = null;
      dead += 1;
    }
  };
  for (const name of ears.keys()) if (name !== "status") source.addEventListener(name, heard);
}

function close() {
  source?.close();
  source = null;
}

/** Once somebody is signed in. */
export function listen() {
  dead = 0;
  if (!timer) {
    timer = window.setInterval(() => document.hidden || ask(), POLL);
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : (open(), ask())));
    addEventListener("pagehide", close);
  }
  ask();
  open();
}

/** When nobody is any more. */
export function silence() {
  clearInterval(timer);
  timer = 0;
  close();
}
