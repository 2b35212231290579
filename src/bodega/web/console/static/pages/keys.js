/**
 * Who may come in, and who changed what? Keys with their scopes (made here, shown once, revoked), and one trail of all
 * that people changed: keys, settings, rules, experiments, and whose data was forgotten.
 */
import { get, send } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { ago, date } from "../lib/format.js";
import { badge, button, command, confirm, dialog, empty, field, form, framed, heading, tabs, toast } from "../lib/parts.js";
import { table } from "../lib/table.js";
import { maybe, t } from "../lib/words.js";

export const title = "keys.title";

const SCOPES = ["search", "events", "admin"];
const AREAS = ["", "keys", "settings", "rules", "experiments", "privacy"];

/** @param {any} view @param {import("../app.js").Route} route */
export async function draw(view, route) {
  const tab = route.params.get("tab") === "audit" ? "audit" : "keys";
  view.append(
    heading(t(title), t("keys.note"), button(t("keys.make"), () => make(route), { kind: "main", icon: "plus" })),
    tabs([{ key: "keys", label: t("keys.keys") }, { key: "audit", label: t("keys.audit") }], tab, (key) => route.go({ tab: key === "keys" ? "" : key, area: "" })));
  await (tab === "keys" ? keys(view, route) : audit(view, route));
}

/** @param {any} view @param {any} route */
async function keys(view, route) {
  const held = (await get("/v1/keys")).keys;
  const all = route.params.get("revoked") === "1";
  const shown = held.filter((/** @type {any} */ key) => all || !key.revoked);
  const gone = held.length - held.filter((/** @type {any} */ key) => !key.revoked).length;
  view.append(framed({ actions: gone ? h("a", { class: "button quiet small", href: route.link({ revoked: all ? "" : "1" }) }, t(all ? "keys.hide_revoked" : "keys.show_revoked", { n: gone })) : null, title: t("keys.keys"), note: t("keys.keys_note") },
    table({
      id: "keys", label: t("keys.keys"), exportName: "keys", rows: shown,
      empty: empty(t("keys.none"), t("keys.none_why"), "bodega keys create --label web --scope search --scope events"),
      columns: [
        { key: "label", title: t("keys.label"), grow: 2, cell: (row) => h("span", { class: "row" }, h("strong", {}, row.label), row.mine ? badge(t("keys.mine"), "info") : null) },
        { key: "id", title: t("keys.id"), cell: (row) => h("code", {}, row.id), width: 120 },
        { key: "scopes", title: t("keys.scopes"), value: (row) => row.scopes.join(", "), cell: (row) => h("span", { class: "row" }, row.scopes.map((/** @type {string} */ scope) => badge(scope, scope === "admin" ? "warn" : ""))), width: 220 },
        { key: "created", title: t("keys.created"), cell: (row) => h("span", { title: date(row.created) }, ago(row.created)), width: 140 },
        { key: "revoked", title: t("keys.state"), sort: false, width: 140, value: (row) => t(row.revoked ? "keys.revoked" : "keys.valid"),
          cell: (row) => (row.revoked ? badge(t("keys.revoked"), "bad") : button(t("keys.revoke"), () => revoke(row, route), { kind: "danger small" })) },
      ],
    })));
}

/** @param {any} route */
function make(route) {
  dialog({
    title: t("keys.make"),
    body: (close) => {
      const label = field({ label: t("keys.label"), hint: t("keys.label_hint"), input: { name: "label", required: true, maxlength: 100 } });
      const scopes = SCOPES.map((scope) => field({ label: scope, hint: t(`keys.scope_${scope}`), input: { type: "checkbox", name: scope, checked: scope !== "admin" } }));
      return form({ fields: [label, ...scopes], submit: t("keys.make"), send: async (values) => {
        const chosen = SCOPES.filter((scope) => values[scope]);
        if (!chosen.length) return scopes[0].fail(t("keys.scope_none"));
        const made = await send("POST", "/v1/keys", { label: values.label, scopes: chosen });
        close();
        await dialog({ title: t("keys.made", { label: made.label }), body: [h("p", {}, t("keys.once")), command(made.key)], actions: (done) => h("button", { type: "button", class: "button main", onclick: () => done() }, t("keys.kept")) });
        route.again();
      } });
    },
  });
}

/** @param {any} key @param {any} route */
async function revoke(key, route) {
  const text = [h("p", {}, t("keys.revoke_text")), key.mine ? h("p", { class: "wrong" }, t("keys.revoke_mine")) : null];
  if (!(await confirm({ title: t("keys.revoke_sure", { label: key.label }), text: h("div", { class: "stack" }, text), yes: t("keys.revoke"), danger: true }))) return;
  await send("DELETE", `/v1/keys/${encodeURIComponent(key.id)}`);
  toast(t("keys.revoked_now", { label: key.label }));
  route.again();
}

/** @param {any} view @param {any} route */
async function audit(view, route) {
  const area = AREAS.includes(route.params.get("area")) ? route.params.get("area") : "";
  const { lines } = await get("/v1/audit", { area, limit: 500 });
  const choose = h("div", { class: "row", role: "group", "aria-label": t("keys.area") }, AREAS.map((each) => h("a", { class: each === area ? "button main small" : "button small", "aria-current": each === area ? "true" : null, href: route.link({ area: each }) }, t(`keys.area_${each || "all"}`))));
  view.append(framed({ title: t("keys.audit"), note: t("keys.audit_note"), actions: choose },
    table({
      id: "audit", label: t("keys.audit"), exportName: "audit", rows: lines, onRow: (line) => changed(line),
      empty: empty(t("keys.audit_none"), t("keys.audit_none_why")),
      columns: [
        { key: "time", title: t("keys.time"), cell: (row) => h("span", { title: date(row.time) }, ago(row.time)), width: 140 },
        { key: "who", title: t("keys.who"), value: (row) => row.who || (row.elsewhere ? t("keys.elsewhere") : "–"), width: 170 },
        { key: "area", title: t("keys.area"), value: (row) => t(`keys.area_${row.area}`), cell: (row) => badge(t(`keys.area_${row.area}`)), width: 140 },
        { key: "what", title: t("keys.what"), value: (row) => maybe(`keys.what_${row.what}`, row.what), width: 130 },
        { key: "name", title: t("keys.name"), grow: 2, value: (row) => (row.area === "settings" ? Object.keys(row.after || {}).join(", ") : row.after?.label || row.before?.label || row.name) },
      ],
    })));
}

/** What was there before, and after. @param {any} line */
function changed(line) {
  const side = (/** @type {string} */ name, /** @type {any} */ value) => h("div", { class: "grow stack" }, h("h3", {}, name), value == null ? h("p", { class: "soft" }, t("keys.nothing")) : h("pre", { class: "code-box" }, JSON.stringify(value, null, 2)));
  dialog({
    title: `${t(`keys.area_${line.area}`)}: ${maybe(`keys.what_${line.what}`, line.what)}`, wide: true,
    body: [h("p", {}, t("keys.line", { who: line.who || "–", time: date(line.time), name: line.name })), h("div", { class: "sides" }, side(t("keys.before"), line.before), side(t("keys.after"), line.after)),
      line.area === "rules" ? h("p", {}, h("a", { href: `/console/rules?tab=history` }, t("keys.to_rules"))) : null, line.area === "settings" ? h("p", {}, h("a", { href: "/console/settings?tab=history" }, t("keys.to_settings"))) : null],
  });
}
