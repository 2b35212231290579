/**
 * Bodega in any page: lists, search, completions and events, with attribution, consent and a queue that outlives bad
 * networks. No dependency; types in bodega.d.ts; how to use it in docs/client.md.
 */
const DAY = 864e5;
const QUEUED = 500;
const BATCH = 50;
const LATER = 1000;
const LONGEST = 6e4;

export const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** The shop said no. */
export class BodegaError extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || `HTTP ${status}`);
    this.name = "BodegaError";
    this.status = status;
    this.problem = problem;
  }
}

export class Bodega {
  #memory = {};
  #timer = 0;
  #sending = null;
  #underway = new Set();
  #pause = 0;
  #seen = new WeakMap();
  #eye;

  constructor(options = {}) {
    this.options = { url: new URL(import.meta.url).origin, key: "", language: document.documentElement.lang.slice(0, 2) || "en", consent: "opt-out", prefix: "bodega.", idle: 30 * DAY, ...options };
    this.options.url = this.options.url.replace(/\/+$/, "");
    if (this.options.user) this.user = this.options.user;
    addEventListener("online", () => this.flush());
    addEventListener("pagehide", () => this.#leave());
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && this.#leave());
    if (this.#queue().length) this.#soon();
  }

  // What this browser remembers; a full or forbidden storage only forgets sooner.
  #read(name, fallback) {
    try {
      return JSON.parse(localStorage.getItem(this.options.prefix + name)) ?? this.#memory[name] ?? fallback;
    } catch {
      return this.#memory[name] ?? fallback;
    }
  }
  #write(name, value) {
    this.#memory[name] = value;
    try {
      if (value == null) localStorage.removeItem(this.options.prefix + name);
      else localStorage.setItem(this.options.prefix + name, JSON.stringify(value));
    } catch {}
  }
  #queue() {
    const held = this.#read("queue", []);
    return Array.isArray(held) ? held : [];
  }

  // Who, and what they agreed to. A browser that sends Global Privacy Control has denied what was not expressly granted.
  get allowed() {
    const usual = this.options.consent === "opt-out" && !navigator.globalPrivacyControl;
    return { personalisation: usual, learning: usual, ...this.#read("consent", {}) };
  }
  get #known() {
    const { personalisation, learning } = this.allowed;
    return personalisation || learning;
  }
  get session() {
    if (!this.#known) return "";
    const now = Date.now();
    let visit = this.#read("visit");
    if (!visit?.id || now - visit.time > this.options.idle) visit = { id: `s-${randomId()}`, time: 0 };
    if (now - visit.time > 6e4) this.#write("visit", { ...visit, time: now });
    return visit.id;
  }
  get user() {
    return this.#known ? this.#read("user", "") : "";
  }
  set user(id) {
    this.#write("user", id || null);
  }
  async identify(user) {
    this.user = user;
    return user && this.#known ? this.call("/identify", { user, session: this.session }) : null;
  }
  async consent(purposes) {
    const before = { session: this.session, user: this.user };
    this.#write("consent", { ...this.#read("consent", {}), ...purposes });
    if (!this.#known) for (const name of ["queue", "from", "visit"]) this.#write(name, null);
    const session = this.session || before.session, user = this.user || before.user;
    return session || user ? this.call("/consent", { purposes, session, user }) : null;
  }
  forget() {
    for (const name of ["visit", "user", "queue", "from", "consent"]) this.#write(name, null);
    this.#seen = new WeakMap();
  }

  // Asking. A shop that is busy for a moment is asked again when it says so, at most twice.
  async call(path, body, how = {}) {
    const { url, key } = this.options;
    const headers = { Accept: "application/json", ...(key && { Authorization: `Bearer ${key}` }), ...(body && { "Content-Type": "application/json" }) };
    for (let turn = 0; ; turn++) {
      const answer = await fetch(`${url}/v1${path}`, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), credentials: "omit", ...how });
      if ([429, 503].includes(answer.status) && turn < (how.turns ?? 2)) {
        await wait(1000 * Math.min(3, +answer.headers.get("Retry-After") || 0.5));
        continue;
      }
      const told = await answer.json().catch(() => null);
      if (!answer.ok) throw Object.assign(new BodegaError(answer.status, told), { after: +answer.headers.get("Retry-After") });
      return told;
    }
  }
  async #ask(path, ask, { signal, ...more } = {}) {
    await Promise.race([Promise.all([this.flush(), ...this.#underway]), wait(1500)]); // the very next list knows the last click
    const { language } = this.options;
    const personal = this.allowed.personalisation;
    return this.call(path, { language, personal, session: this.session, user: this.user, ...ask, ...more }, { signal });
  }
  search(query, more) {
    return this.#ask("/search", { query }, more);
  }
  recommend(place = "home", more) {
    return this.#ask("/recommend", { place }, more);
  }
  similar(item, more) {
    return this.recommend("similar", { items: [item], ...more });
  }
  together(item, more) {
    return this.recommend("together", { items: [item], ...more });
  }
  complete(items, more) {
    return this.recommend("basket", { items, ...more });
  }
  item(id) {
    return this.call(`/items/${encodeURIComponent(id)}`);
  }
  async suggest(text, { k = 8, signal } = {}) {
    const { session, user, allowed } = this;
    const ask = { q: text, k, personal: allowed.personalisation, ...(session && { session }), ...(user && { user }) };
    return (await this.call(`/suggest?${new URLSearchParams(ask)}`, undefined, { signal })).suggestions;
  }

  // Telling. What happens to an item within a day of its click in a list is the merit of that list.
  from(page, hit) {
    return { place: page.place, position: hit.position, request_id: page.request_id, ...(page.query && { query: page.query }) };
  }
  origin(item) {
    const met = this.#read("from", {})[item];
    return met && Date.now() - met.time < DAY ? met.from : undefined;
  }
  track(type, what = {}) {
    if (!this.#known) return;
    if (type === "click" && what.request_id) {
      const { place, position, request_id, query } = what;
      const met = Object.entries(this.#read("from", {})).filter(([id]) => id !== what.item).slice(-99);
      this.#write("from", Object.fromEntries([...met, [what.item, { time: Date.now(), from: { place, position, request_id, query } }]]));
    }
    const { session, user } = this;
    const event = { id: randomId(), type, time: new Date().toISOString(), session, ...(user && { user }), ...(what.item && !what.request_id && this.origin(what.item)), ...what };
    this.#write("queue", [...this.#queue(), event].slice(-QUEUED));
    this.#soon(type === "impression" ? LATER : 0);
  }
  click(hit, page) {
    this.track("click", { item: hit.id, ...(page && this.from(page, hit)) });
  }
  view(item) {
    this.track("view", { item });
  }
  dismiss(hit, page) {
    this.track("dismiss", { item: hit.id, ...(page && this.from(page, hit)) });
  }
  cart(item, more) {
    this.track("cart", { item, ...more });
  }
  purchase(lines) {
    for (const line of [lines].flat()) this.track("purchase", line);
    return this.flush();
  }
  /** Counts an impression once half of the element was in view for half a second. */
  seen(element, hit, page) {
    this.#eye ??= new IntersectionObserver((all) => {
      for (const { target, isIntersecting } of all) {
        const watched = this.#seen.get(target);
        if (!watched) continue;
        clearTimeout(watched.timer);
        if (!isIntersecting) continue;
        watched.timer = setTimeout(() => {
          this.#eye.unobserve(target);
          if (target.isConnected) this.track("impression", watched.what);
        }, 500);
      }
    }, { threshold: 0.5 });
    this.#seen.set(element, { what: { item: hit.id, ...this.from(page, hit) } });
    this.#eye.observe(element);
  }

  // Sending: in batches, kept until acknowledged (the ids make a second delivery count once), slower while it fails.
  #soon(ms = LATER) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), Math.max(ms, this.#pause));
  }
  #done(batch) {
    const ids = new Set(batch.map((event) => event.id));
    const left = this.#queue().filter((event) => !ids.has(event.id));
    this.#write("queue", left.length ? left : null);
    return left.length;
  }
  flush() {
    clearTimeout(this.#timer);
    this.#sending ??= this.#send().finally(() => (this.#sending = null));
    return this.#sending;
  }
  async #send() {
    while (this.#known && navigator.onLine !== false) {
      const events = this.#queue().slice(0, BATCH);
      if (!events.length) return;
      try {
        await this.call("/events", { events }, { keepalive: true, turns: 0 });
      } catch (error) {
        // What is wrong will not get better; what is busy or out of reach will.
        if (!(error.status >= 400 && error.status < 500 && ![408, 429].includes(error.status))) {
          this.#pause = Math.min(LONGEST, Math.max(2 * this.#pause, 1000 * (error.after || 1)) * (1 + Math.random() / 4));
          return this.#soon();
        }
      }
      this.#pause = 0;
      if (!this.#done(events)) return;
    }
  }
  /** The page goes: what waits is sent by a request that outlives it (a beacon cannot carry the key). */
  #leave() {
    const events = this.#queue().slice(0, BATCH);
    if (!events.length || !this.#known) return;
    const sending = this.call("/events", { events }, { keepalive: true, turns: 0 }).then(() => this.#done(events), () => {});
    this.#underway.add(sending);
    sending.finally(() => this.#underway.delete(sending));
  }
}

let usual;
/** The client that the page's elements share: made once, of what the page says in <meta name="bodega-key"> and the like. */
export function bodega(options) {
  const said = (name) => document.querySelector(`meta[name="bodega-${name}"]`)?.content;
  const told = Object.fromEntries(["url", "key", "user", "language", "consent"].map((name) => [name, said(name)]).filter(([, value]) => value));
  return (usual ??= new Bodega({ ...told, ...options }));
}
