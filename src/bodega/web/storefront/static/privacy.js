/**
 * What does a visitor allow, and what is kept of the visit? What each purpose does and a switch for it, what the browser's own
 * signal (Global Privacy Control) decides, everything kept as a file, and the end of it with a signed receipt.
 */
import { call, offers } from "./api.js";
import { announce, facts, h, icon, toast } from "./dom.js";
import { settled } from "./events.js";
import { forget, personal, session, setPersonal, user } from "./state.js";
import { number, t } from "./words.js";

const PURPOSES = ["personalisation", "learning"];

/** The browser's word: a newer one tells the page, every one tells the shop. */
const signalled = async () => Boolean(/** @type {any} */ (navigator).globalPrivacyControl) || (await offers()).gpc;

/** A token for this very visit, from the page's own server. */
async function token() {
  const answer = await fetch("/storefront/token", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ session: session() }) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return String((await answer.json()).token);
}

/** @param {string} method @returns {Promise<any>} */
async function mine(method) {
  await settled();
  const headers = { Accept: "application/json", "X-Shopper-Token": await token(), ...(facts.key ? { Authorization: `Bearer ${facts.key}` } : {}) };
  const answer = await fetch(`${facts.api}/me`, { method, headers });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return answer.json();
}

/** @param {any} value @param {string} name */
function download(value, name) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(value, null, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** @param {HTMLElement} main */
export async function privacyPage(main) {
  const who = { session: session(), ...(user() ? { user: user() } : {}) };
  const [held, gpc] = await Promise.all([call(`/consent?${new URLSearchParams(who)}`), signalled()]);
  const said = h("div", { class: "told", role: "status" });
  /** @param {string} name */
  const purpose = (name) => {
    const denied = gpc && !held.said?.includes(name);
    const box = h("input", { type: "checkbox", role: "switch", id: `purpose-${name}`, checked: held[name] && !denied, onchange: async () => {
      box.disabled = true;
      try {
        Object.assign(held, await call("/consent", { ...who, purposes: { [name]: box.checked } }));
        announce(t("consent_kept"));
        toast(t("consent_kept"));
      } catch (error) {
        console.info("consent:", error);
        box.checked = !box.checked;
        toast(t("consent_failed"));
      }
      box.disabled = false;
      box.focus();
    } });
    return h("label", { class: "switch" }, box, h("span", {}, h("strong", {}, t(`purpose.${name}`)), h("br"), h("span", { class: "soft small" }, t(`means.${name}`))));
  };
  const here = h("input", { type: "checkbox", role: "switch", id: "personal-here", checked: personal(), onchange: () => { setPersonal(here.checked); announce(t(here.checked ? "personal_is_on" : "personal_is_off")); } });
  const attempt = (/** @type {() => Promise<void>} */ run) => async (/** @type {any} */ event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      await run();
    } catch (error) {
      console.info("privacy:", error);
      said.replaceChildren(h("p", { class: "notice" }, t("mine_failed")));
    }
    button.disabled = false;
  };
  const show = async () => {
    const kept = await mine("GET");
    said.replaceChildren(h("p", {}, t("mine_kept", { n: kept.events.length })), kept.events.length ? h("ul", { class: "kept" }, kept.events.slice(-8).reverse().map((/** @type {any} */ each) => h("li", {}, h("time", { datetime: each.time, class: "soft" }, new Date(each.time).toLocaleString(facts.language)), ` ${t(`did.${each.type}`)} `, each.query || each.item || ""))) : "",
      h("button", { class: "button plain", type: "button", onclick: () => download(kept, `${facts.shop_name}.json`) }, t("mine_download")));
  };
  const dialog = h("dialog", { class: "ask", "aria-labelledby": "ask-title" }, h("h2", { id: "ask-title" }, t("forget_ask")), h("p", {}, t("forget_ask_more")),
    h("form", { method: "dialog", class: "buttons" }, h("button", { class: "button", value: "yes" }, t("forget_yes")), h("button", { class: "button plain", value: "" }, t("cancel"))));
  dialog.addEventListener("close", () => { if (dialog.returnValue === "yes") erase(); });
  const erase = async () => {
    try {
      const receipt = await mine("DELETE");
      forget();
      const rows = Object.entries(receipt.removed || {}).filter(([, count]) => typeof count === "number" && count);
      said.replaceChildren(h("div", { class: "receipt" }, h("h2", { tabindex: "-1" }, icon("shield"), t("receipt")), h("p", {}, t("receipt_more", { id: String(receipt.id) })),
        rows.length ? h("ul", {}, rows.map(([name, count]) => h("li", {}, `${name}: ${number(Number(count))}`))) : "",
        h("button", { class: "button plain", type: "button", onclick: () => download(receipt, "receipt.json") }, t("receipt_download"))));
      said.querySelector("h2")?.focus();
      toast(t("forgotten"));
    } catch (error) {
      console.info("forget:", error);
      said.replaceChildren(h("p", { class: "notice" }, t("mine_failed")));
    }
  };
  main.replaceChildren(h("div", { class: "wrap privacy" }, h("div", { class: "page-title" }, h("h1", { tabindex: "-1" }, t("privacy"))), h("p", { class: "lead" }, t("privacy_more")),
    gpc ? h("p", { class: "notice", id: "gpc" }, icon("shield"), t("gpc")) : null,
    h("section", { "aria-labelledby": "may" }, h("h2", { id: "may" }, t("privacy_may")), PURPOSES.map(purpose), h("label", { class: "switch" }, here, h("span", {}, h("strong", {}, t("personal_here")), h("br"), h("span", { class: "soft small" }, t("personal_more"))))),
    h("section", { "aria-labelledby": "mine" }, h("h2", { id: "mine" }, t("mine")), user() ? h("p", { class: "soft" }, t("mine_visit_only")) : null,
      h("p", { class: "buttons" }, h("button", { class: "button plain", type: "button", id: "show-mine", onclick: attempt(show) }, t("mine_show")), h("button", { class: "button plain", type: "button", id: "forget-mine", onclick: () => dialog.showModal() }, icon("bin"), t("forget_mine"))), said), dialog));
  return t("privacy");
}
