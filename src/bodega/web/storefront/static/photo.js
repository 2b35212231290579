/**
 * How does a visitor ask with a photo? Chosen, taken, dropped or pasted; made small here (512 pixels are enough, and what
 * else the file holds stays here: place, time, camera), looked at by the shop, kept as a token in this tab. A preview is
 * drawn on a canvas, never loaded as an address; the name of a file is only ever text.
 */
import { announce, byId, facts, h, icon, toast } from "./dom.js";
import { addressOf } from "./reading.js";
import { randomId } from "./state.js";
import { t } from "./words.js";
import { placeNear } from "./why.js";

/** @typedef {{image: string, name: string, thumb: string}} Photo */
/** @typedef {(url: string, how?: {replace?: boolean, keep?: boolean}) => void} Go */

const LONGEST = 512;
const THUMB = 96;
const LARGEST = 30_000_000;
const KEPT = 6;
const STORE = "bodega.photos";
/** @type {Record<string, Photo>} */
let memory = {};

/** @returns {Record<string, Photo>} */
function photos() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE) || "null") || memory;
  } catch {
    return memory;
  }
}

/** The photo that an address speaks of; undefined where this tab does not have it (a link from elsewhere). @param {string} key */
export const photoOf = (key) => (key ? photos()[key] : undefined);

/** @param {string} key @param {Photo} photo */
function keep(key, photo) {
  memory = Object.fromEntries([...Object.entries(photos()), [key, photo]].slice(-KEPT));
  try {
    sessionStorage.setItem(STORE, JSON.stringify(memory));
  } catch {
    /* full or forbidden: it lasts as long as this page */
  }
}

/** @param {ImageBitmap} image @param {number} longest */
function drawn(image, longest) {
  const scale = Math.min(1, longest / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const on = canvas.getContext("2d");
  on.fillStyle = "#fff"; // what is transparent lies on white, as in the shop
  on.fillRect(0, 0, canvas.width, canvas.height);
  on.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** @param {HTMLCanvasElement} canvas @returns {Promise<Blob>} */
const squeezed = (canvas) => new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("no picture"))), "image/jpeg", 0.86));

/** What the shop makes of a photo. @param {Blob} blob @returns {Promise<string>} */
async function looked(blob) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", "Content-Type": "image/jpeg" };
  if (facts.key) headers["Authorization"] = `Bearer ${facts.key}`;
  const answer = await fetch(`${facts.api}/photo`, { method: "POST", headers, body: blob });
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw Object.assign(new Error(told?.detail || `HTTP ${answer.status}`), { status: answer.status });
  return String(told.image);
}

/** A small canvas that shows the photo. @param {Photo} photo */
function preview(photo) {
  const canvas = h("canvas", { class: "thumb", width: THUMB, height: THUMB, role: "img", "aria-label": t("photo.yours") });
  const bytes = Uint8Array.from(atob(photo.thumb), (letter) => letter.charCodeAt(0));
  createImageBitmap(new Blob([bytes], { type: "image/jpeg" })).then((image) => {
    const side = Math.min(image.width, image.height);
    canvas.getContext("2d").drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, THUMB, THUMB);
  }).catch(() => canvas.remove());
  return canvas;
}

/** The photo among what was asked, with a way to take it away. @param {URLSearchParams} params @param {string} query */
export function photoChip(params, query) {
  const key = params.get("photo") || "";
  if (!key) return null;
  const photo = photoOf(key), kept = new URLSearchParams(params);
  kept.delete("photo");
  const away = h("a", { class: "round", href: addressOf(query, { kept }), "aria-label": t("photo.remove"), "data-key": "photo" }, icon("x"));
  if (!photo) return h("p", { class: "notice", id: "photo-gone" }, t("photo.gone"), away);
  return h("p", { class: "photo-chip", id: "photo-chip" }, preview(photo), h("span", {}, t("photo.yours"), photo.name ? h("small", {}, photo.name) : null), away);
}

/** The button in the search box, its panel, and the whole page as a place to drop or paste. @param {Go} go */
export function photoSearch(go) {
  const button = byId("photo");
  const panel = byId("photo-panel");
  const form = byId("search");
  let turn = 0;

  /** @param {File | Blob | null | undefined} file */
  async function take(file) {
    if (!file) return;
    const mine = ++turn;
    if (panel.matches(":popover-open")) panel.hidePopover();
    if (file.size > LARGEST || (file.type && !file.type.startsWith("image/"))) return toast(t("photo.bad"));
    button.setAttribute("aria-busy", "true");
    announce(t("photo.looking"));
    try {
      const image = await createImageBitmap(file, { imageOrientation: "from-image" });
      const [whole, small] = await Promise.all([squeezed(drawn(image, LONGEST)), squeezed(drawn(image, 2 * THUMB))]);
      image.close();
      const token = await looked(whole);
      if (mine !== turn) return;
      const thumb = btoa(Array.from(new Uint8Array(await small.arrayBuffer()), (byte) => String.fromCharCode(byte)).join(""));
      const key = randomId().slice(0, 10);
      keep(key, { image: token, name: String(/** @type {File} */ (file).name || "").slice(0, 80), thumb });
      const words = /** @type {HTMLInputElement} */ (byId("q")).value.trim();
      const on = location.pathname === "/search" && new URLSearchParams(location.search).get("q") === words ? words : "";
      go(`/search?${new URLSearchParams({ ...(on ? { q: on } : {}), photo: key })}`);
    } catch (error) {
      console.info("photo:", error);
      const status = /** @type {any} */ (error).status;
      toast(t(status === 501 ? "photo.blind" : status && status !== 422 ? "photo.failed" : "photo.bad"));
    } finally {
      if (mine === turn) button.removeAttribute("aria-busy");
    }
  }

  /** @param {string} label @param {boolean} camera */
  const chooser = (label, camera) => {
    const input = h("input", { type: "file", accept: "image/*", class: "vh", ...(camera ? { capture: "environment" } : {}), "data-camera": camera,
      onchange: () => { take(input.files?.[0]); input.value = ""; } });
    return h("label", { class: camera ? "button camera" : "button" }, icon(camera ? "camera" : "image"), label, input);
  };
  panel.append(
    h("div", { class: "head" }, h("h2", {}, t("photo.title")), h("button", { class: "round", type: "button", "aria-label": t("close"), onclick: () => panel.hidePopover() }, icon("x"))),
    h("p", {}, t("photo.more")), h("div", { class: "choices" }, chooser(t("photo.choose"), false), chooser(t("photo.take"), true)), h("p", { class: "soft" }, t("photo.kept")));
  const near = () => panel.matches(":popover-open") && placeNear(panel, button);
  button.addEventListener("click", () => { panel.togglePopover(); near(); panel.querySelector("input")?.focus({ preventScroll: true }); });
  addEventListener("scroll", near, { passive: true });
  addEventListener("resize", near, { passive: true });
  panel.addEventListener("toggle", () => {
    const open = panel.matches(":popover-open");
    button.setAttribute("aria-expanded", String(open));
    if (!open && panel.contains(document.activeElement)) button.focus();
  });

  const holds = (/** @type {DataTransfer | null} */ data) => Boolean(data && [...data.types].includes("Files"));
  const image = (/** @type {DataTransfer | null} */ data) => [...(data?.files || [])].find((file) => file.type.startsWith("image/"));
  addEventListener("dragover", (event) => { if (holds(event.dataTransfer)) { event.preventDefault(); form.classList.add("drop"); } });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) form.classList.remove("drop"); });
  addEventListener("drop", (event) => {
    form.classList.remove("drop");
    if (!holds(event.dataTransfer)) return;
    event.preventDefault(); // the browser would open the file in place of the shop
    const file = image(event.dataTransfer);
    if (file) take(file);
    else toast(t("photo.bad"));
  });
  addEventListener("paste", (event) => {
    const file = image(event.clipboardData);
    if (file) { event.preventDefault(); take(file); }
  });
}
