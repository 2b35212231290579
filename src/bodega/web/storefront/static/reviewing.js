/**
 * How does a visitor say what they think? A form for a review, and a vote that another one helped. What is sent is on the
 * page at once, or withheld with its reason; links and shouting wait for the merchant. Nothing is sent but what was typed.
 */
import { call } from "./api.js";
import { announce, h, icon, toast } from "./dom.js";
import { session, setVoted, user, voted } from "./state.js";
import { t } from "./words.js";

/** "Helpful" below a review, pressed or not. @param {{id: string, helpful: number}} review */
export function helpfulButton(review) {
  let count = review.helpful;
  const button = h("button", { class: "link small helpful", type: "button", onclick: async () => {
    const on = !voted().includes(review.id);
    button.disabled = true;
    try {
      const told = await call("/reviews/helpful", { id: review.id, session: session(), helped: on });
      count = told.helpful;
      setVoted(review.id, on);
      announce(t(on ? "helpful_said" : "helpful_back"));
    } catch (error) {
      console.info("vote:", error);
      toast(t("vote_failed"));
    }
    button.disabled = false;
    show();
    button.focus();
  } });
  const show = () => {
    const on = voted().includes(review.id);
    button.setAttribute("aria-pressed", String(on));
    button.replaceChildren(icon(on ? "check" : "plus"), t("helpful"), count ? ` (${count})` : "");
  };
  show();
  return button;
}

/** A button that opens the form. @param {string} item @param {() => void} written draws the reviews anew */
export function reviewForm(item, written) {
  const star = (/** @type {number} */ n) => h("label", { class: "star", title: t("stars_of", { n }) }, h("input", { type: "radio", name: "stars", value: String(n), required: true, class: "vh" }), h("span", { "aria-hidden": "true" }, "★"), h("span", { class: "vh" }, t("stars_of", { n })));
  const title = h("input", { type: "text", maxlength: 120, autocomplete: "off" });
  const text = h("textarea", { rows: 4, maxlength: 4000 });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const send = h("button", { class: "button", type: "submit" }, t("review_send"));
  const close = () => { form.hidden = true; open.hidden = false; open.focus(); };
  const form = h("form", { class: "review-form", hidden: true, "aria-labelledby": "review-form-title", onsubmit: async (/** @type {Event} */ event) => {
    event.preventDefault();
    const stars = Number(new FormData(form).get("stars"));
    send.disabled = true;
    problem.hidden = true;
    try {
      const told = await call("/reviews", { reviews: [{ item, stars, ...(user() ? { user: user() } : {}), ...(title.value.trim() ? { title: title.value.trim() } : {}), ...(text.value.trim() ? { text: text.value.trim() } : {}) }] });
      if (told.dead?.length || told.withheld) throw new Error(t("review_refused"));
      form.reset();
      close();
      toast(t("review_thanks"));
      written();
    } catch (error) {
      problem.textContent = error instanceof Error && error.constructor === Error ? error.message : t("review_failed");
      problem.hidden = false;
    }
    send.disabled = false;
  } },
    h("h3", { id: "review-form-title" }, t("review_write")),
    h("fieldset", { class: "stars-choice" }, h("legend", {}, t("review_stars")), [1, 2, 3, 4, 5].map(star)),
    h("label", { class: "field" }, t("review_title"), title), h("label", { class: "field" }, t("review_text"), text),
    h("p", { class: "soft small" }, t("review_public")), problem,
    h("p", { class: "buttons" }, send, h("button", { class: "button plain", type: "button", onclick: close }, t("cancel"))));
  const open = h("button", { class: "button plain", type: "button", onclick: () => { open.hidden = true; form.hidden = false; form.querySelector("input")?.focus(); } }, icon("plus"), t("review_write"));
  return h("div", { class: "review-write" }, open, form);
}
