/**
 * What do people say who have it? Stars with their histogram, aspects with bars and a quote of either side, the most
 * telling sentences, the reviews themselves, sorted and page by page, and a form for one's own.
 */
import { call } from "./api.js";
import { announce, h, icon } from "./dom.js";
import { helpfulButton, reviewForm } from "./reviewing.js";
import { fieldName, has, number, t } from "./words.js";

/** @typedef {{text: string, review: string, polarity?: number, aspects?: string[], stars?: number}} Quote */
/** @typedef {{aspect: string, praise?: number, complaint?: number, quotes?: Quote[]}} Aspect */
/** @typedef {{id: string, stars: number | null, title: string, text: string, time: string | null, verified: boolean, helpful: number}} Review */
/** @typedef {{stats: {count: number, rated: number, mean: number | null, histogram: number[]}, aspects: Aspect[], summary: Quote[],
 *   origin: string, total: number, reviews: Review[]}} Told */

const PAGE = 5;
const SHOWN = 6;
const ORDERS = ["newest", "helpful", "highest", "lowest"];

/** @param {number} value */
const share = (value) => String(Math.max(0, Math.min(1, Number(value) || 0)));

/** Stars as an image that is also said. @param {number} value */
export function marks(value) {
  const full = Math.max(0, Math.min(5, Number(value) || 0));
  const shown = h("span", { class: "marks", role: "img", "aria-label": t("stars_of", { n: full }) }, "★★★★★");
  shown.style.setProperty("--share", share(full / 5));
  return shown;
}

/** @param {string} name @param {number} part @param {string} [kind] */
function bar(name, part, kind = "") {
  const filled = h("i", { class: kind });
  filled.style.setProperty("--share", share(part));
  return h("span", { class: "meter", role: "img", "aria-label": name }, filled);
}

/** @param {Told} told @param {(stars: number) => void} choose */
function head(told, choose) {
  const { stats } = told;
  if (!stats.rated) return null;
  const rows = [5, 4, 3, 2, 1].map((stars) => {
    const count = stats.histogram[stars - 1] || 0;
    const name = t("stars_count", { stars: number(stars), n: count });
    return h("button", { class: "bar-row", type: "button", "aria-label": name, disabled: !count, onclick: () => choose(stars) },
      h("span", {}, `${stars} ★`), bar(name, count / stats.rated), h("span", { class: "soft" }, number(count)));
  });
  return h("div", { class: "stars-head" },
    h("p", { class: "mean" }, h("strong", {}, number(Math.round((stats.mean || 0) * 10) / 10)), marks(stats.mean || 0), h("span", { class: "soft" }, t("reviews_n", { n: stats.count }))),
    h("div", { class: "bars" }, rows));
}

/** A sentence, word for word. @param {Quote} quote */
const said = (quote) => h("q", { class: (quote.polarity || 0) < 0 ? "against" : "for" }, quote.text);

/** @param {Aspect} aspect */
function line(aspect) {
  const up = aspect.praise || 0, down = aspect.complaint || 0, all = Math.max(1, up + down);
  const name = has(`aspect.${aspect.aspect}`) ? t(`aspect.${aspect.aspect}`) : fieldName(aspect.aspect);
  const told = t("aspect_said", { name, up, down });
  return h("li", {}, h("div", { class: "aspect" }, h("span", {}, name), bar(told, up / all, down > up ? "low" : ""), h("span", { class: "soft small" }, t("aspect_counts", { up, down }))),
    (aspect.quotes || []).slice(0, 2).map(said));
}

/** @param {Review} review */
function one(review) {
  const when = review.time ? new Date(review.time) : null;
  const date = when && !Number.isNaN(when.getTime()) ? h("time", { datetime: when.toISOString(), class: "soft small" }, when.toLocaleDateString(document.documentElement.lang)) : null;
  return h("li", { class: "review" },
    h("p", {}, review.stars != null ? marks(review.stars) : null, review.title ? h("strong", {}, review.title) : null),
    review.text ? h("p", { class: "text" }, review.text) : null,
    h("p", { class: "soft small" }, date, review.verified ? h("span", { class: "verified" }, icon("check"), t("bought_here")) : null,
      review.id ? helpfulButton(review) : null));
}

/** The section of a product's page; hidden until there is something to say. @param {string} id of the item */
export function reviews(id) {
  const section = h("section", { class: "reviews", "aria-label": t("reviews"), hidden: true });
  const list = h("ul", { class: "review-list" });
  const more = h("button", { class: "button plain", type: "button", hidden: true, onclick: () => add(true) }, t("show_more"));
  const chosen = h("p", { class: "chips", hidden: true });
  let order = "helpful", stars = 0, shown = 0;

  /** @param {number} offset @returns {Promise<Told>} */
  const ask = (offset) => call(`/items/${encodeURIComponent(id)}/reviews?${new URLSearchParams({ order, stars: String(stars), k: String(PAGE), offset: String(offset) })}`);

  /** @param {Told} told @param {boolean} [further] */
  function put(told, further = false) {
    const fresh = told.reviews.map(one);
    if (further) list.append(...fresh);
    else list.replaceChildren(...fresh);
    shown = (further ? shown : 0) + fresh.length;
    more.hidden = shown >= told.total || !fresh.length;
    chosen.hidden = !stars;
    chosen.replaceChildren(...(stars ? [h("button", { class: "chip", type: "button", "aria-label": t("all_reviews"), onclick: () => choose(0) }, `${stars} ★`, icon("x"))] : []));
  }

  /** @param {boolean} [further] */
  async function add(further = false) {
    const told = await ask(further ? shown : 0).catch(() => null);
    if (!told) return;
    put(told, further);
    announce(t("reviews_n", { n: told.total }));
  }

  /** @param {number} n */
  function choose(n) {
    stars = n === stars ? 0 : n;
    add();
  }

  const sort = h("select", { "aria-label": t("order_reviews"), onchange: () => { order = sort.value; add(); } },
    ORDERS.map((each) => h("option", { value: each, selected: each === order }, t(`order.${each}`))));

  const load = async () => {
    const told = await ask(0).catch(() => null);
    if (!told) return;
    if (!told.stats?.count) {
      section.replaceChildren(h("h2", { id: "reviews-title", tabindex: "-1" }, t("reviews")), h("p", { class: "soft" }, t("no_reviews")), reviewForm(id, load));
      section.hidden = false;
      return;
    }
    const sayings = (told.summary || []).slice(0, SHOWN);
    const aspects = (told.aspects || []).slice(0, SHOWN);
    section.replaceChildren(h("h2", { id: "reviews-title", tabindex: "-1" }, t("reviews")),
      h("div", { class: "reviews-top" }, head(told, choose),
        sayings.length ? h("div", { class: "sayings" }, h("h3", {}, t("reviews_say")), sayings.map((quote) => h("p", {}, said(quote)))) : null),
      aspects.length ? h("ul", { class: "aspects" }, aspects.map(line)) : null,
      told.origin === "lexicon" ? h("p", { class: "soft small" }, t("judged_by_words")) : null,
      h("div", { class: "review-bar" }, chosen, sort), list, h("p", {}, more), reviewForm(id, load));
    section.hidden = false;
    put(told);
  };
  return Object.assign(section, { load });
}
