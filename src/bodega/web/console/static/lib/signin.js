/**
 * Who is there? A form that takes an admin key once and forgets it: the server answers with a cookie that scripts cannot
 * read. `bodega console` prints an address with a ticket instead, which is used up before anything else happens.
 */
import { Problem } from "./api.js";
import { facts, h } from "./dom.js";
import { command, field, form } from "./parts.js";
import { t } from "./words.js";

/** The ticket that stands in the address, which is cleaned at once. */
export function takeTicket() {
  const found = new URLSearchParams(location.hash.slice(1)).get("ticket");
  if (found) history.replaceState({}, "", location.pathname + location.search);
  return found || "";
}

/** Exchange a key or a ticket for a session. @param {string} authorization @returns {Promise<any>} */
export async function enter(authorization) {
  const answer = await fetch("/v1/console/session", { method: "POST", headers: { Authorization: authorization } }).catch(() => null);
  if (!answer) throw new Problem(0, null);
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(answer.status, told);
  return told;
}

/** @param {(who: any) => void} welcome */
export function signIn(welcome) {
  const key = field({ label: t("frame.key"), hint: t("frame.key_hint"), input: { type: "password", name: "key", required: true, maxlength: 256, autocomplete: "off", spellcheck: "false" } });
  return h("div", { class: "signin card" },
    h("h1", { tabindex: "-1" }, t("frame.sign_in_to", { shop: facts.shop_name })),
    form({
      fields: [key],
      submit: t("frame.sign_in"),
      send: async (values) => {
        try {
          const who = await enter(`Bearer ${values.key.trim()}`);
          key.input.value = "";
          welcome(who);
        } catch (error) {
          if (/** @type {any} */ (error).status !== 401) throw error;
          key.fail(t("frame.key_wrong"));
        }
      },
    }),
    h("hr", {}),
    h("p", { class: "soft small" }, t("frame.no_key")),
    command("bodega console"));
}
