/**
 * What does a product without a photo look like? A drawing made from its attributes: the shape of its kind, the colours of
 * its brand, the ground of its department, the initials and the package size. Same product, same picture, no request.
 */
import { h, s, safeUrl } from "./dom.js";
import { kindOf } from "./kinds.js";
import { shapes } from "./glyphs.js";

/** @typedef {import("./state.js").Item} Item */

/** Hues that look well on packages, in degrees of OKLCH. */
const HUES = [22, 45, 70, 95, 140, 165, 200, 235, 260, 290, 330, 355];
const SIZE = /\b\d+(?:[.,]\d+)?\s?(?:fl\.? ?oz|oz|g|kg|mg|ml|cl|l|lt|lb|lbs|ct|pk|pack|count|gal|qt|pt|inch|in)\b|\d+(?:\.\d+)?\s?(?:克|千克|公斤|斤|毫升|升|片|袋|包|盒|瓶|支|寸)/i;
const SIZE_FIELDS = ["package_size", "package", "size", "net_weight", "volume", "weight", "规格", "净含量"];

const COLOUR_FIELDS = ["color", "colour", "颜色"];
/** Colours by name: hue, how much lighter, how colourful. @type {[RegExp, number, number?, number?][]} */
const COLOURS = [
  [/\bnavy\b|藏青|深蓝/i, 262, -0.2], [/\b(?:red|burgundy)\b|红/i, 25, -0.05], [/\b(?:orange|coral)\b|橙|橘/i, 55], [/\b(?:yellow|gold|golden)\b|黄|金/i, 95],
  [/\b(?:green|olive|khaki)\b|绿/i, 145], [/\b(?:teal|turquoise|cyan)\b|青/i, 195], [/\bblue\b|蓝/i, 250], [/\b(?:purple|violet|lilac)\b|紫/i, 305], [/\b(?:pink|rose)\b|粉/i, 350, 0.06],
  [/\b(?:brown|tan)\b|棕|咖/i, 50, -0.2, 0.6], [/\bbeige\b|米色/i, 80, 0.12, 0.3], [/\bblack\b|黑/i, 270, -0.42, 0.12], [/\b(?:white|ivory|cream)\b|白/i, 90, 0.2, 0.12], [/\b(?:gr[ae]y|silver)\b|灰|银/i, 250, 0, 0.1],
];

/** The colour that a product is said to have: light green is green. @param {Item} item */
function colourOf(item) {
  const told = COLOUR_FIELDS.map((field) => item.attributes?.[field] ?? item.options?.[field]).flat().find((value) => typeof value === "string");
  return told ? COLOURS.find(([name]) => name.test(told)) : undefined;
}

/** A number that always is the same for the same text. @param {string} text */
function hash(text) {
  let value = 2166136261;
  for (const letter of text) value = Math.imul(value ^ /** @type {number} */ (letter.codePointAt(0)), 16777619);
  return (value ^ (value >>> 15)) >>> 0;
}

/** "Kings Hill" -> "KH", "农夫山泉" -> "农夫". @param {string} brand */
function initials(brand) {
  const words = brand.trim().split(/[\s\-_/.&']+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  if (!words.length) return "";
  if (/\p{Script=Han}/u.test(words[0])) return [...words[0]].slice(0, 2).join("");
  return words.slice(0, 2).map((word) => [...word][0]).join("").toUpperCase();
}

/** @param {Item} item */
function packageSize(item) {
  const told = SIZE_FIELDS.map((field) => item.attributes?.[field] ?? item.options?.[field]).find((value) => typeof value === "string" || typeof value === "number");
  const text = String(told ?? item.title?.match(SIZE)?.[0] ?? "").trim();
  if ([...text].length > 9) return "";
  return /^[\d\s./A-Z-]{3,}$/.test(text) ? text.toLowerCase() : text;
}

/** One part of a shape. @param {string} part @param {string} letters */
function draw(part, letters) {
  const role = part[0];
  const rest = part.slice(2);
  const [kind, ...numbers] = rest.split(" ");
  if (role === "@") {
    const [x, y, size] = rest.split(" ").map(Number);
    const fit = /\p{Script=Han}/u.test(letters) && [...letters].length > 1 ? size * 0.86 : size;
    if (!letters) return s("path", { class: "d", d: `M${x - 11} ${y - 3}h22M${x - 7} ${y + 5}h14` });
    return s("text", { x, y, "font-size": fit, class: "i" }, letters);
  }
  if (kind === "o") return s("ellipse", { class: role, cx: numbers[0], cy: numbers[1], rx: numbers[2], ry: numbers[3] });
  if (kind === "r") return s("rect", { class: role, x: numbers[0], y: numbers[1], width: numbers[2], height: numbers[3], rx: numbers[4] || 0 });
  return s("path", { class: role, d: rest });
}

/** Yellow is muddy unless it is light: how much lighter a hue must be, 0 to .14. @param {number} hue */
const sunny = (hue) => (0.14 * Math.exp(-(((hue - 98) / 26) ** 2))).toFixed(3);

/** The drawing of a shape in given hues. @param {string} shape @param {{hue: number, ground: number, accent: number, letters?: string, size?: string, lighter?: number, colourful?: number}} look */
export function drawing(shape, { hue, ground, accent, letters = "", size = "", lighter, colourful = 1 }) {
  const svg = s("svg", { viewBox: "0 0 200 200", class: "pic", "aria-hidden": "true", focusable: "false" },
    s("rect", { class: "ground", width: 200, height: 200 }),
    s("circle", { class: "halo", cx: 100, cy: 96, r: 78 }),
    s("ellipse", { class: "shade", cx: 100, cy: 168, rx: 62, ry: 8 }),
    shapes[shape].split("|").map((part) => draw(part, letters)));
  if (size) {
    const width = 16 + [...size].reduce((sum, letter) => sum + (letter > "\u2e80" ? 13 : 7.4), 0);
    svg.append(s("rect", { class: "tag", x: 190 - width, y: 168, width, height: 22, rx: 11 }), s("text", { class: "z", x: 190 - width / 2, y: 179.5 }, size));
  }
  for (const [name, value] of Object.entries({ h: hue, g: ground, s: accent, u: lighter ?? sunny(hue), v: sunny(accent), q: colourful })) svg.style.setProperty(`--${name}`, String(value));
  return svg;
}

/** @param {Item} item */
export function drawn(item) {
  const { shape, hue, accent } = kindOf(item.title || "", item.category || []);
  const own = hash(`${item.id}|${item.title || ""}`);
  const brand = hash(item.brand || item.title || item.id);
  const [, named, lighter, colourful] = (hue == null && colourOf(item)) || [];
  const natural = named != null ? named + (own % 9) - 4 : hue == null ? HUES[brand % HUES.length] + (own % 25) - 12 : hue + (own % 17) - 8;
  return drawing(shape, {
    hue: natural,
    ground: HUES[hash(item.category?.[0] || shape) % HUES.length] + ((own >>> 4) % 3 - 1) * 16,
    // Twins differ a little: a shelf of forty milks is not one picture forty times.
    accent: ((accent ?? natural + 165) + [0, 28, -28, 56][(own >>> 8) % 4] + 360) % 360,
    letters: initials(item.brand || ""),
    size: packageSize(item),
    lighter,
    colourful,
  });
}

/** A tile for a department. @param {string} name */
export function departmentPicture(name) {
  const { shape, hue, accent } = kindOf("", [name]);
  const ground = HUES[hash(name) % HUES.length];
  return drawing(shape, { hue: hue ?? ground, ground, accent: accent ?? ((hue ?? ground) + 150) % 360 });
}

/** Where a picture lies: at its address, or, named by a path, in the shop's own folder. @param {string} url */
const addressed = (url) => (/^[a-z][a-z0-9+.-]*:|^\/\//i.test(url) ? url : `/images/${url.split("/").filter(Boolean).map(encodeURIComponent).join("/")}`);

/** The photo when there is one that loads, else the drawing; the text beside it names the product, so it has no name itself.
 * @param {Item} item @param {string} [url] */
export function picture(item, url = item.images?.[0]) {
  const safe = url && typeof url === "string" ? safeUrl(addressed(url)) : "";
  if (!safe) return drawn(item);
  return h("img", {
    class: "pic photo", src: safe, alt: "", loading: "lazy", decoding: "async", referrerpolicy: "no-referrer", width: 400, height: 400,
    onerror: (/** @type {Event} */ event) => /** @type {Element} */ (event.target).replaceWith(drawn(item)),
  });
}
