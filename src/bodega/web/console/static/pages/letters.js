/** Drawn soon. */
import { heading } from "../lib/parts.js";
import { t } from "../lib/words.js";

export const title = "letters.title";

/** @param {any} view @param {any} route */
export async function draw(view, route) {
  view.append(heading(t(title)));
}
