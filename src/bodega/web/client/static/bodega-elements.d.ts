/** Types of bodega-elements.js: <bodega-search> and <bodega-list>. */
import type { Hit, Page } from "./bodega.js";
export { bodega } from "./bodega.js";

/** Attributes: for, results, parameter, label, placeholder, language. Fires `bodega-search` ({query}, cancelable). */
export class BodegaSearch extends HTMLElement {
  search(query: string, quiet?: boolean): void;
}

/**
 * Attributes: place, items, query, k, heading, href, layout, currency, language, personal, plain, cart, quiet.
 * Fires `bodega-loaded` ({page}), `bodega-error` ({error}), and `bodega-click` (cancelable), `bodega-cart`, `bodega-dismiss`
 * ({hit, item, page}).
 */
export class BodegaList extends HTMLElement {
  render: ((hit: Hit, page: Page) => Node) | null;
  load(offset?: number): Promise<Page | null>;
}

declare global {
  interface HTMLElementTagNameMap {
    "bodega-search": BodegaSearch;
    "bodega-list": BodegaList;
  }
}
