/**
 * One shopper: a state, a timeline, a list beside itself without personalisation, identity with its evidence, consent,
 * and the two rights. Forgetting asks twice: what it does, then the id itself.
 */
import { get, problem, send } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { ago, date, money, number, percent } from "../lib/format.js";
import { badge, button, dialog, empty, field, form, framed, grid, heading, pairs, stat, toast, waiting } from "../lib/parts.js";
import { download } from "../lib/table.js";
import { maybe, t } from "../lib/words.js";
import { choice, shareBar, views } from "./office-parts.js";
import { looksTable } from "./shoppers.js";

const PLACES = ["home", "popular", "trending", "repeat", "rare", "recent"];
const GAP = 1800;
const TONES = { purchase: "good", cart: "info", dismiss: "bad", return: "bad" };

/** @param {any} view @param {any} route @param {{id: string, kind: string}} who */
export async function one(view, route, who) {
  const base = `/v1/shoppers/${encodeURIComponent(who.id)}`;
  const asked = { kind: who.kind };
  const state = await get(`${base}/state`, asked);
  const { chosen, row } = views(route, [["state", t("shoppers.state")], ["timeline", t("shoppers.timeline")], ["lists", t("shoppers.lists")], ["identity", t("shoppers.identity")], ["rights", t("shoppers.rights")]], t("shoppers.views"));
  const body = h("div", { class: "stack", role: "tabpanel", "aria-labelledby": `tab-${chosen}` }, waiting(4));
  view.append(
    heading(who.id, t(`shoppers.kind_${who.kind}`), h("a", { class: "button", href: route.link({}, "shoppers") }, icon("left"), t("shoppers.others"))),
    row, body);
  const draws = { state: drawState, timeline: drawTimeline, lists: drawLists, identity: drawIdentity, rights: drawRights };
  try {
    body.replaceChildren();
    if (!state.known && !["identity", "rights"].includes(chosen)) body.append(empty(t("shoppers.unknown"), t("shoppers.unknown_why")));
    else await /** @type {any} */ (draws)[chosen]({ body, route, who, base, asked, state });
  } catch (error) {
    problem(body, error, () => route.again());
  }
}

/** @param {any} at */
function drawState({ body, state }) {
  body.append(
    h("div", { class: "stats" },
      stat({ label: t("shoppers.last"), value: ago(state.last), note: t("shoppers.since", { date: date(state.first, { day: true }) }) }),
      ...["view", "click", "cart", "purchase"].filter((name) => state.counts[name]).map((name) => stat({ label: t(`shoppers.type_${name}`), value: number(state.counts[name]) })),
      state.prices ? stat({ label: t("shoppers.pays"), value: money(state.prices.middle), note: t("shoppers.pays_note", { low: money(state.prices.low), high: money(state.prices.high), of: t(`shoppers.type_${state.prices.of}`) }) }) : null),
    grid(
      framed({ title: t("shoppers.now"), note: t("shoppers.now_note") }, shares(state.now)),
      framed({ title: t("shoppers.always"), note: t("shoppers.always_note") }, shares(state.always)),
      framed({ title: t("shoppers.brands"), note: t("shoppers.brands_note") }, shares(state.brands)),
      state.visit ? framed({ title: t("shoppers.visit"), note: t(`shoppers.stage_${state.visit.stage}`) },
        pairs([[t("shoppers.visit_when"), date(state.visit.began)], [t("shoppers.visit_events"), number(state.visit.events)], [t("shoppers.visit_searches"), state.visit.searches.join(", ")]]),
        h("hr"), shares(state.visit.categories)) : null,
      framed({ title: t("shoppers.arms"), note: t("shoppers.arms_note") }, Object.keys(state.arms).length ? pairs(Object.entries(state.arms)) : h("p", { class: "soft" }, t("shoppers.arms_none"))),
    ));
}

/** @param {any[]} rows */
const shares = (rows) => rows.length
  ? h("ul", { class: "bars-list" }, rows.map((each) => h("li", {}, h("span", { class: "name small" }, each.name), shareBar(each.share))))
  : h("p", { class: "soft" }, t("shoppers.nothing"));

/** @param {any} at */
async function drawTimeline({ body, route, base, asked }) {
  const limit = Number(route.params.get("limit")) || 100;
  const found = await get(`${base}/timeline`, { ...asked, limit });
  let before = 0;
  const rows = found.events.map((/** @type {any} */ each) => {
    const gap = before && before - each.time > GAP;
    before = each.time;
    return h("li", { class: gap ? "gap" : "" },
      h("time", { class: "soft small", datetime: new Date(each.time * 1000).toISOString() }, date(each.time)),
      badge(t(`shoppers.type_${each.type}`), /** @type {any} */ (TONES)[each.type] || ""),
      h("span", {}, each.title || each.item || (each.query ? `“${each.query}”` : ""), " ",
        h("span", { class: "soft small" }, [each.item && each.title ? each.item : "", each.item && each.query ? `“${each.query}”` : "", each.place ? maybe(`shoppers.place_${each.place}`, each.place) : "", each.position == null ? "" : t("shoppers.at_place", { n: each.position + 1 }), each.price == null ? "" : money(each.price)].filter(Boolean).join(" · "))));
  });
  body.append(framed({ title: t("shoppers.timeline"), note: t("shoppers.timeline_note") },
    rows.length ? h("ol", { class: "timeline" }, rows) : h("p", { class: "soft" }, t("shoppers.nothing")),
    found.more && limit < 1000 ? button(t("shoppers.older"), () => route.go({ limit: Math.min(1000, limit * 3) })) : null));
}

/** @param {any} at */
async function drawLists({ body, route, base, asked }) {
  const place = PLACES.includes(route.params.get("place")) ? route.params.get("place") : "home";
  const found = await get(`${base}/lists`, { ...asked, place, k: 12 });
  const list = (/** @type {any[]} */ rows, /** @type {string} */ name) => h("div", {},
    h("h3", {}, name),
    rows.length ? h("ol", {}, rows.map((each, rank) => h("li", {},
      h("span", { class: "num soft" }, number(rank + 1)),
      h("span", {}, each.title || each.id),
      moved(each.plain, rank),
      h("span", { class: "why soft small" }, each.why.join(" · ") || each.sources.map((/** @type {any} */ source) => `${source.name} ${percent(source.share, 0)}`).join(", ")))))
      : h("p", { class: "soft" }, t("shoppers.list_empty")));
  body.append(framed({
    title: t("shoppers.lists"),
    note: t("shoppers.lists_note"),
    actions: choice(route, { name: "place", label: t("shoppers.place"), value: place, options: PLACES.map((name) => [name, t(`shoppers.place_${name}`)]) }),
  },
    h("p", {}, t("shoppers.overlap", { share: percent(found.overlap, 0) }), found.degraded.length ? h("span", { class: "soft small" }, ` ${t("shoppers.degraded")}: ${found.degraded.join("; ")}`) : null),
    h("div", { class: "beside" }, list(found.personal, t("shoppers.personal")), list(found.plain, t("shoppers.plain")))));
}

/** Where it stands in the other list. @param {number | null} other @param {number} rank */
function moved(other, rank) {
  if (other == null) return badge(t("shoppers.only_here"), "info");
  const by = other - rank;
  return by ? badge(`${by > 0 ? "↑" : "↓"} ${number(Math.abs(by))}`, by > 0 ? "good" : "warn") : badge("=");
}

/** @param {any} at */
async function drawIdentity({ body, base, asked, state }) {
  const { looks } = await get(`${base}/looks`, asked);
  body.append(
    grid(
      framed({ title: t("shoppers.ids"), note: t("shoppers.ids_note") },
        state.ids.length ? h("ul", {}, state.ids.map((/** @type {string} */ id) => h("li", {}, h("code", {}, id)))) : h("p", { class: "soft" }, t("shoppers.ids_guest")),
        state.links.length ? h("table", {}, h("thead", {}, h("tr", {}, ["left", "right", "evidence", "when"].map((name) => h("th", { scope: "col" }, t(`shoppers.link_${name}`))))),
          h("tbody", {}, state.links.map((/** @type {any} */ link) => h("tr", {}, h("td", {}, link.left), h("td", {}, link.right), h("td", {}, link.apart ? badge(t("shoppers.apart"), "warn") : maybe(`shoppers.evidence_${link.evidence}`, link.evidence)), h("td", {}, date(link.time))))))
          : h("p", { class: "soft small" }, t("shoppers.links_none"))),
      framed({ title: t("shoppers.consent"), note: t("shoppers.consent_note") },
        pairs([[t("shoppers.personalisation"), granted(state.personalisation)], [t("shoppers.learning"), granted(state.learning)]]),
        state.words.length ? h("ul", { class: "small" }, state.words.map((/** @type {any} */ word) => h("li", {}, date(word.time), " · ", maybe(`shoppers.${word.purpose}`, word.purpose), " ", granted(word.granted), " ", h("span", { class: "soft" }, word.source)))) : h("p", { class: "soft small" }, t("shoppers.words_none")))),
    framed({ title: t("shoppers.looks"), note: t("shoppers.looks_note") }, looks.length ? looksTable(looks) : h("p", { class: "soft" }, t("shoppers.looks_none"))));
}

/** @param {boolean} yes */
const granted = (yes) => badge(t(yes ? "shoppers.granted" : "shoppers.denied"), yes ? "good" : "bad");

/** @param {any} at */
function drawRights({ body, route, who, base }) {
  if (who.kind === "session") return body.append(empty(t("shoppers.guest_rights"), t("shoppers.guest_rights_why"), `bodega privacy forget --session ${who.id}`));
  body.append(grid(
    framed({ title: t("shoppers.export"), note: t("shoppers.export_note") },
      button(t("shoppers.export_do"), async () => {
        const kept = await get(base);
        download(`shopper-${who.id.replace(/[^\w-]+/g, "_").slice(0, 60)}.json`, JSON.stringify(kept, null, 1), "application/json");
        toast(t("shoppers.exported", { n: kept.events.length }));
      }, { icon: "download" })),
    framed({ title: t("shoppers.forget"), note: t("shoppers.forget_note") },
      button(t("shoppers.forget_do"), () => forget(route, who, base), { kind: "danger", icon: "bin" }))));
}

/** @param {any} route @param {{id: string}} who @param {string} base */
async function forget(route, who, base) {
  const receipt = await dialog({
    title: t("shoppers.forget"),
    body: (/** @type {(value?: any) => void} */ close) => {
      const typed = field({ label: t("shoppers.forget_type", { id: who.id }), input: { name: "typed", autocapitalize: "off", spellcheck: "false" } });
      return h("div", { class: "stack" },
        h("p", {}, t("shoppers.forget_what")),
        h("p", {}, h("strong", {}, t("shoppers.forget_no_undo"))),
        form({
          fields: [typed],
          submit: t("shoppers.forget_yes"),
          kind: "danger",
          send: async (values) => (values.typed === who.id ? close(await send("DELETE", base)) : typed.fail(t("shoppers.forget_wrong"))),
        }));
    },
  });
  if (!receipt) return;
  await dialog({
    title: t("shoppers.receipt"),
    body: h("div", { class: "stack" },
      h("p", {}, t("shoppers.receipt_text")),
      pairs([[t("shoppers.receipt_id"), h("code", {}, receipt.id)], [t("shoppers.when"), date(receipt.time)], ...Object.entries(receipt.removed).map(([name, rows]) => /** @type {[any, any]} */ ([name, t("shoppers.rows", { n: rows })])), [t("shoppers.receipt_models"), receipt.models], [t("shoppers.receipt_signature"), h("code", {}, receipt.signature)]])),
    actions: (close) => [
      button(t("shoppers.receipt_save"), () => download(`receipt-${receipt.id}.json`, JSON.stringify(receipt, null, 1), "application/json"), { icon: "download" }),
      button(t("frame.close"), () => close(), { kind: "main" })],
  });
  route.to("shoppers");
}
