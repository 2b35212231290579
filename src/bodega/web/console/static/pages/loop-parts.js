/** What the pages judgments and loop share: their style sheet. */
import { h } from "../lib/dom.js";

/** @type {Promise<any> | null} */
let sheet = null;

/** Resolves once the style sheet is there. */
export function styled() {
  sheet ||= new Promise((done) => {
    const link = h("link", { rel: "stylesheet", href: new URL("./loop.css", import.meta.url) });
    link.onload = link.onerror = done;
    document.head.append(link);
  });
  return sheet;
}
