/** Types of bodega.js. The fields of items, events and pages are those of the HTTP API (docs/http.md). */

export interface Options {
  /** Where the shop answers; the origin this script came from unless said. */
  url?: string;
  /** An API key with the scopes `search` and `events`. It is public: give it no other. */
  key?: string;
  /** Who is signed in (pseudonymous). */
  user?: string;
  /** Of reasons and words: "en", "zh"; the page's own unless said. */
  language?: string;
  /** `opt-in`: nothing is kept or sent before consent() grants it. */
  consent?: "opt-in" | "opt-out";
  /** Of what is kept in localStorage. */
  prefix?: string;
  /** Milliseconds of idleness after which a visit ends. */
  idle?: number;
}

export type Place = "home" | "popular" | "trending" | "rare" | "repeat" | "recent" | "category" | "basket" | "similar" | "together" | "search" | (string & {});
export type EventType = "impression" | "view" | "click" | "cart" | "purchase" | "search" | "rating" | "dismiss" | "return";
export type Sort = "relevance" | "price_up" | "price_down" | "newest";
export type Purpose = "personalisation" | "learning";
export type Purposes = Partial<Record<Purpose, boolean>>;

export interface Item {
  id: string;
  kind?: string;
  title?: string;
  description?: string;
  brand?: string;
  category?: string[];
  price?: number;
  currency?: string;
  availability?: "in_stock" | "out_of_stock" | "preorder" | "backorder" | "discontinued";
  stock?: number;
  images?: string[];
  attributes?: Record<string, string | number | boolean | string[]>;
  tags?: string[];
  group?: string;
  options?: Record<string, string>;
  seller?: string;
  url?: string;
}

export interface Reason {
  source: string;
  share: number;
  text: string;
  because?: string[];
}

export interface Hit {
  id: string;
  position: number;
  score: number;
  document: Item;
  why?: Reason[];
}

export interface Facet {
  field: string;
  values?: { value: string; count: number; parent?: string; depth?: number }[];
  low?: number;
  high?: number;
  ranges?: { low: number; high: number; count: number }[];
}

export interface Page {
  request_id: string;
  place: string;
  hits: Hit[];
  total: number;
  query: string;
  corrected: string;
  facets: Facet[];
  degraded: string[];
  redirect?: string;
  related?: string[];
  relaxed?: string[];
}

export interface Filter {
  field: string;
  values?: string[];
  low?: number;
  high?: number;
}

/** Anything else a request may say; see docs/http.md. */
export interface More {
  k?: number;
  offset?: number;
  items?: string[];
  filters?: Filter[];
  facets?: string[];
  sort?: Sort;
  sort_by?: string;
  where?: string;
  verbatim?: boolean;
  personal?: boolean;
  segments?: string[];
  signal?: AbortSignal;
}

/** Where in which list an item was met. */
export interface From {
  place?: string;
  position?: number;
  request_id?: string;
  query?: string;
}

/** What is said of an event beside its type; id, time and session are added. */
export interface What extends From {
  item?: string;
  price?: number;
  currency?: string;
  quantity?: number;
  value?: number;
  channel?: string;
}

export interface Line extends What {
  item: string;
}

export interface Suggestion {
  text: string;
  kind: string;
  item?: string;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  where?: string;
  allowed?: string;
  got?: string;
  next?: string;
  id?: string;
}

export class BodegaError extends Error {
  status: number;
  problem: Problem | null;
}

export class Bodega {
  constructor(options?: Options);
  readonly options: Required<Omit<Options, "user">> & { user?: string };
  /** What holds now: what was said, else the default, which Global Privacy Control denies. */
  readonly allowed: Record<Purpose, boolean>;
  /** The visit's random id; "" while nothing is allowed. */
  readonly session: string;
  user: string;

  search(query: string, more?: More): Promise<Page>;
  recommend(place?: Place, more?: More): Promise<Page>;
  similar(item: string, more?: More): Promise<Page>;
  together(item: string, more?: More): Promise<Page>;
  /** What goes with this basket. */
  complete(items: string[], more?: More): Promise<Page>;
  item(id: string): Promise<Item>;
  suggest(text: string, how?: { k?: number; signal?: AbortSignal }): Promise<Suggestion[]>;
  /** Any address below /v1: GET, or POST where there is a body. Throws BodegaError. */
  call(path: string, body?: unknown, how?: RequestInit & { turns?: number }): Promise<any>;

  from(page: Page, hit: Hit): From;
  /** The list in which an item was clicked within a day. */
  origin(item: string): From | undefined;
  track(type: EventType, what?: What): void;
  click(hit: Hit, page?: Page): void;
  view(item: string): void;
  dismiss(hit: Hit, page?: Page): void;
  cart(item: string, more?: What): void;
  purchase(lines: Line | Line[]): Promise<void>;
  seen(element: Element, hit: Hit, page: Page): void;
  /** Sends what waits; resolves when it is acknowledged, or has to wait for the network. */
  flush(): Promise<void>;

  /** This visit is this user, from now on and what was done on it before. */
  identify(user: string): Promise<{ links: number } | null>;
  consent(purposes: Purposes): Promise<Record<Purpose, boolean> & { said: Purpose[] } | null>;
  /** Forgets everything in this browser: a new visit that nobody knows. */
  forget(): void;
}

export function randomId(): string;
/** The client that the page's elements share. */
export function bodega(options?: Options): Bodega;
