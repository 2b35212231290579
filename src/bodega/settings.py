"""One frozen, typed tree of settings. Unknown keys are refused, every value has its default here and nowhere else.

A shop folder may hold `bodega.toml`; environment variables `BODEGA_<TABLE>_<KEY>` win over it. No secret is kept here.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from bodega.errors import BadSettings
from bodega.schema import Diversity, Explore

FILE = "bodega.toml"

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Store(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where items and events are kept."""

    url: str = ""
    """SQLAlchemy URL of the store; empty means SQLite in the shop's folder."""


class Snapshots(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where what was learned is kept."""

    url: str = ""
    """A folder that several servers share (a path, or `file:///path`): `learn` publishes there, servers fetch from
    there and check every byte. Empty: the shop's own folder only."""


class Ingest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may come in, and how much at once."""

    bad_rows_limit: Share = 0.2
    """A feed with a larger share of unusable rows stops (0 to 1)."""
    batch: Count = 5_000
    """Rows a transaction."""
    future_seconds: Positive = 300.0
    """Events further ahead of the clock than this go to the dead letter box."""
    oldest_days: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Events older than this many days go to the dead letter box; 0: any since 1990 is taken."""
    bot_events_per_minute: Count = 120
    """A user or session with more events than this in one minute is taken for a bot and not learned from."""
    text_limit: Count = 20_000
    """Longest title or description kept, in characters."""


class Streams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where events are streamed from (docs/streams.md). `bodega serve` reads the stream too where `url` is set."""

    url: str = ""
    """kafka://host:port/topic?group=bodega or redis://host:port/key?group=bodega; empty for none. A password is read
    from BODEGA_STREAMS_PASSWORD."""
    batch: Count = 1_000
    """At most this many records a transaction."""
    record_limit: Count = 1_000_000
    """Largest record in bytes; larger ones go to the dead letter box."""


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where shoppers' states are shared by several servers (docs/streams.md)."""

    url: str = ""
    """redis://host:port/0 where several machines serve the shop; empty: each process keeps its own. A password is read
    from BODEGA_STATE_PASSWORD."""
    timeout_ms: Positive = 20.0
    """How long an answer waits for it; then the event store is asked instead, and `degraded` says so."""
    heal_seconds: Positive = 5.0
    """How long a server that failed is left alone."""
    hours: Positive = 24.0
    """How long the state of a shopper who does not come back is kept there."""


class Learn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the shop learns and judges what it learned."""

    validation_days: Positive = 14.0
    """Length of the validation window before the test window, in days (shorter logs use a tenth of their span)."""
    test_days: Positive = 14.0
    """Length of the test window, the newest days of the log; figures are taken there and nothing is chosen on it."""
    evaluated_users: Count = 500
    """At most this many cases a list are looked at in each window (chosen by a seeded draw)."""
    seed: int = 7
    """Seed of every random draw: same data, same seed, same snapshot."""
    ease_items: Annotated[int, msgspec.Meta(ge=0)] = 20_000
    """Catalogs up to this many sold items use EASE, larger ones cosine item-kNN (measured switch)."""
    more: bool = False
    """Learn the whole family of item-to-item sources: graph, matrix, slim, substitutes, complements. Minutes more on a
    million events; `learn` weighs them like all others."""
    neural: bool = False
    """Learn the neural sources too (extra `neural`): a CPU half hour on a million events. Where the extra is missing
    they are left out, and the report names them."""
    knowledge: bool = False
    """Learn the shop's knowledge graph (what goes with what, what could stand in for it, what it is for), show it on
    product pages and propose from it; about a minute on 12,000 items."""
    appeal: bool = False
    """Learn what is taken of what is shown, too (source `appeal`): for shops that record impressions with their places
    and learn often from lists they made themselves (docs/loop.md)."""
    taught_cases: Annotated[int, msgspec.Meta(ge=0)] = 1_000
    """At most this many cases of the validation window teach a list's learned ranker; 0: weighted sums everywhere."""


class Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers inside models that `bodega tune` turns; 0 leaves a model as it was made. They act at the next `learn`."""

    transition_window: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0
    """How far apart two items of one shopper may lie and still lead to each other, in items."""
    transition_history_decay: Share = 0.0
    """What comes after: weight of a shopper's item for each step that it lies before the newest one."""
    collaborative_history_decay: Share = 0.0
    """What shoppers with a similar taste chose: the same weight."""
    content_history_decay: Share = 0.0
    """What reads like this: the same weight."""
    popular_half_life_days: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Days after which an event counts half for popularity."""
    repeat_half_life_days: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Days after which a purchase counts half for what is bought again."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a request looks."""

    candidates: Count = 200
    """Candidates asked of each source."""
    history: Count = 1_000
    """Newest events of a shopper that are looked at."""
    k_limit: Count = 1_000
    """Largest `k` (and offset + k) a request may ask for."""
    deadline_ms: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Milliseconds after which a list is answered with what is there: sources that were not asked yet are left out and
    named. 0: no deadline. A request may bring a shorter one (header X-Deadline-Ms)."""
    remote_ms: Positive = 60.0
    """Longest wait for anything that must be asked over a network to answer a list (an encoder behind an endpoint, a
    store on another machine), in milliseconds; what is cut off is left out and named."""
    slow_ms: Annotated[float, msgspec.Meta(ge=0)] = 250.0
    """A source or stage that takes longer three times running is left alone for some seconds, in milliseconds; 0: none
    is (simulations on a busy machine)."""
    curated: str = ""
    """Ids of items, separated by commas, that lists show while all else is broken; empty: the catalog's first."""


class Understand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How words are understood. A missing encoder degrades (and is named), it never fails."""

    encoder: str = "static"
    """Encoder of the dense source: `static` (learned from this shop), `none`, or a pretrained one: `e5`, `minilm`,
    `hub:NAME` (sentence-transformers), `onnx:FOLDER` (what `bodega adapt` wrote), `endpoint:MODEL` (an
    OpenAI-compatible address)."""
    beside: str = ""
    """A second, pretrained encoder asked beside the first (slower, better); empty for none."""
    teacher: str = "auto"
    """Pretrained encoder that the static one is distilled from: `auto`: an installed one, `none`: no start from one."""
    teacher_texts: Count = 20_000
    """At most this many titles are shown to the teacher (about 3 ms each)."""
    endpoint: str = ""
    """Base URL of an OpenAI-compatible server; its key is read from BODEGA_ENDPOINT_KEY, never from here."""
    llm: str = ""
    """Model at `endpoint` that may rewrite queries; empty (the default) needs none."""
    people: Count = 20
    """A query is suggested, mined or shown only when at least this many different people asked it."""


class Pictures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is read of the pictures that items name (docs/pictures.md)."""

    encoder: str = "auto"
    """Encoder of pictures: `auto` (the best that is installed), `efficientnet-lite0`, `own` (learned from this shop's
    photos), `histogram` (colours and edges), `hub:NAME` (a hub model or a folder), or `none`."""
    folder: str = "images"
    """Folder that pictures named by a path may lie in, relative to the shop's; nothing outside of it is read."""
    per_item: Count = 3
    """At most this many pictures of an item are read, in its order."""
    learn: bool = False
    """Read the pictures of new items when the shop learns, too; else only `bodega pictures` does."""
    fetch: bool = True
    """Fetch pictures named by an http or https address; off: only files and data URIs are read."""
    hosts: str = ""
    """Hosts that pictures may be fetched from, separated by commas (`cdn.example.com`, `.example.com` with all below
    it); empty: any public one."""
    private_hosts: str = ""
    """Hosts inside your own network that may be asked although their addresses are private, separated by commas, with
    their port where it is none of 80 and 443 (`minio.local:9000`)."""
    bytes_limit: Count = 20_000_000
    """Largest picture in bytes."""
    pixels_limit: Count = 40_000_000
    """Largest picture in pixels; larger ones are refused before anything is allocated."""
    seconds_limit: Positive = 20.0
    """Longest time for fetching one picture, redirects included."""
    connections: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    """Pictures fetched at one time."""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One vector an item of text, words, attributes, picture and behaviour (docs/item-profile.md)."""

    learn: Literal["auto", "always", "never"] = "auto"
    """`auto`: learn it where the shop's pictures were looked at; `always`: also of text, attributes and behaviour."""
    dimensions: Annotated[int, msgspec.Meta(ge=16, le=512)] = 128
    """Numbers of a vector, two bytes each."""
    steps: Count = 1_200
    """At most this many steps of learning, about 35 CPU ms each; small shops take fewer."""


class Updates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What takes effect between two learns, without training (docs/online-learning.md)."""

    counts: bool = True
    """Count new co-occurrences, popularity, chosen items of queries and new items on top of the snapshot."""
    events: Count = 200_000
    """At most this many events since the snapshot are counted; later ones wait for the next learn."""
    pairs: Count = 500_000
    """At most this many pairs of items are counted of each kind, about 120 bytes each."""
    hours_before: Annotated[float, msgspec.Meta(ge=0)] = 24.0
    """Events of so many hours before the snapshot's newest one are read again at the start, so that what comes after
    is counted as following them."""
    steps: bool = False
    """Let clicks on pages correct the order of the lists in small steps, behind a guard that takes them back when they
    foresee clicks worse than the frozen order; off, since it is not shown to help (docs/decisions/0033)."""


class Serve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the HTTP service listens and what it refuses."""

    host: str = "127.0.0.1"
    """Address to listen on; the default is reachable from this machine only."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 7700
    """Port to listen on."""
    body_limit: Count = 5_000_000
    """Largest request body in bytes."""
    requests_per_second: Positive = 200.0
    """Sustained rate of one key or address before 429; loopback without a key is not limited."""
    burst: Count = 400
    """Requests that one key or address may send at once before the rate counts."""
    shopper_per_second: Annotated[float, msgspec.Meta(ge=0)] = 20.0
    """Sustained rate of lists for one user or session before 429, through whatever addresses; 0: not limited."""
    shopper_burst: Count = 200
    """Lists that one user or session may ask for at once before the rate counts."""
    keyless_loopback: bool = False
    """Answer loopback clients without a key (search and events scopes only, never admin)."""
    hosts: str = ""
    """Host names that requests may be addressed to, separated by commas; empty means loopback's own names when bound
    to loopback, any name otherwise. Set it behind a reverse proxy."""
    origins: str = ""
    """Web origins whose pages may call the API (CORS), separated by commas; empty means none but its own."""
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Processes that answer on the port, over one memory-mapped snapshot: about one a core."""
    waiting: Count = 8
    """Requests that may wait for the engine at one moment, in each process; the next one is refused with 503."""
    events_limit: Count = 2_000_000
    """Largest body of events in bytes: some 8,000 events."""


class Console(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pages at `/console` for the people who run the shop (docs/console.md)."""

    on: bool = True
    """Serve them, and let admin keys sign in."""
    hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 31)] = 12.0
    """How long somebody stays signed in, in hours; a key that is revoked ends it at once."""
    insecure: bool = False
    """Let people sign in over plain http from other machines: their key travels in the open."""


class Telemetry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the service tells of itself beside its log and `/metrics` (docs/operate)."""

    otel: bool = False
    """Hand every request and its stages to OpenTelemetry as spans (extra `otel`); the process configures the SDK, for
    example `opentelemetry-instrument bodega serve`."""


class Algolia(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Under which names does the shop answer where it speaks Algolia's protocol (docs/algolia.md)? A name may be
    written with `{index}`; several names are separated by commas."""

    index: str = "products"
    """Name of the shop as an index, best matches first."""
    price_asc: str = "{index}_price_asc"
    """Names of the same index, cheapest first."""
    price_desc: str = "{index}_price_desc"
    """Names of the same index, dearest first."""
    newest: str = "{index}_newest"
    """Names of the same index, newest first."""


class Mixing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How mixed the lists of each place are: one table a place, such as `[diversity.home]`. All are off by default;
    what each dial costs and buys is printed by `bodega bench diversity`."""

    home: Diversity = Diversity()
    category: Diversity = Diversity()
    search: Diversity = Diversity()
    similar: Diversity = Diversity()
    together: Diversity = Diversity()
    basket: Diversity = Diversity()
    popular: Diversity = Diversity()
    trending: Diversity = Diversity()
    repeat: Diversity = Diversity()
    recent: Diversity = Diversity()

    def of(self, place: str) -> Diversity:
        """The dial of a place; off for one that has none."""
        dial: Diversity = getattr(self, place, OFF)
        return dial


OFF = Diversity()


class Exploring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each place may try out: one table a place, such as `[explore.home]`. All are off by default; what it costs
    and buys is printed by `bodega bench exploration`, what it would have earned by `bodega offpolicy`."""

    keep_days: Positive = 90.0
    """Days for which it is kept what was tried, and with which chance."""
    home: Explore = Explore()
    category: Explore = Explore()
    search: Explore = Explore()
    similar: Explore = Explore()
    together: Explore = Explore()
    basket: Explore = Explore()
    popular: Explore = Explore()
    trending: Explore = Explore()

    def of(self, place: str) -> Explore:
        """The dial of a place; off for one that has none."""
        dial: Explore = getattr(self, place, TRIES_NOTHING)
        return dial

    @property
    def off(self) -> bool:
        """Does no place try anything?"""
        return all(self.of(name).off for name in self.__struct_fields__ if name != "keep_days")


TRIES_NOTHING = Explore()


class Knowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is mined of items from their own texts (docs/knowledge.md)."""

    mine: bool = True
    """Fill columns that the shop left empty from titles, descriptions, category paths and article numbers."""
    threshold: Annotated[float, msgspec.Meta(ge=0.5, le=1)] = 0.9
    """Facts act from this confidence on (.9: nine of ten are right on items whose values are known); others wait for
    somebody to accept them."""
    refit_share: Share = 0.1
    """What mentions are worth is learned anew once this share of the catalog has changed; till then only changed items
    are mined."""


class Privacy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who shoppers are to this shop, what may be made of what they did, and for how long (docs/privacy.md)."""

    pseudonyms: bool = False
    """Keep the ids of shoppers and visits as keyed digests only: raw ids reach neither disk nor logs. The key lies in
    `privacy.key` in the shop's folder (mode 0600) or in BODEGA_PRIVACY_KEY. `bodega init` switches it on."""
    stitch: bool = True
    """Take ids that belong to one shopper (a visit before signing in, web, app, till) for one."""
    ids_per_profile: Count = 20
    """Ids of shoppers that may be one; where more were said to be, none of them are merged (a shared terminal)."""
    personalisation: Literal["granted", "denied"] = "granted"
    """May lists go by what a shopper did, as long as the shopper has said nothing?"""
    learning: Literal["granted", "denied"] = "granted"
    """May models, statistics and suggestions be made of it, as long as the shopper has said nothing?"""
    without_consent: Literal["drop", "anonymous"] = "drop"
    """Events of who agrees to neither purpose: `drop` keeps none, `anonymous` keeps them without any id."""
    gpc: Literal["deny", "ignore"] = "deny"
    """What a browser's `Sec-GPC: 1` says: `deny` both purposes that were not expressly granted."""
    keep_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Events older than this many days are removed, daily while serving or by `bodega retain`; 0 keeps them."""


class Reviews(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shoppers write of items (docs/reviews.md)."""

    text_limit: Annotated[int, msgspec.Meta(ge=100, le=100_000)] = 5_000
    """Longest text kept, in characters."""
    labels: Annotated[int, msgspec.Meta(ge=60)] = 300
    """Reviews with stars and words from which a language is judged by a model of the shop's own; before, by a list of
    words."""
    prior: Positive = 8.0
    """A product's rating counts as if it had this many more reviews of the shop's mean."""
    summary: Annotated[int, msgspec.Meta(ge=0, le=10)] = 4
    """Sentences of a summary."""
    ranking: bool = True
    """May rankers go by stars and sentiment?"""


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of the pages that were answered, and how events are joined to them (docs/metrics.md)."""

    log: bool = True
    """Keep one line a page: what every figure of clicks by place, position and source is made of."""
    share: Share = 1.0
    """Part of the pages that is kept (0 to 1), the same ones in every process; those of running experiments always."""
    keep_days: Positive = 90.0
    """Days for which a line is kept; what was counted of it by day stays, and names nobody."""
    session_minutes: Positive = 30.0
    """An event that names no page is put down to the newest page within so many minutes that showed its item to the
    same shopper."""


class Judgments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who says how well an item answers a query, and what is made of it (docs/judgments.md)."""

    model: Literal["pbm", "sdbn"] = "pbm"
    """How places are taken out of clicks: `pbm` (every place has its chance of being looked at) or `sdbn` (people read
    from the top until they are satisfied)."""
    days: Count = 90
    """Clicks of so many newest days of the log are judged by."""
    llm: str = ""
    """Model at `understand.endpoint` that `bodega judge llm` asks; empty (the default): none is asked."""
    queries: Count = 50
    """From so many judged queries on `learn` lets them weigh the search."""


class Loop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a new snapshot comes to be served when the shop learns by itself (docs/loop.md)."""

    approve: Literal["human", "auto"] = "human"
    """Who has the last word: `human` waits for `bodega loop approve`, `auto` serves what came through."""
    hold_days: Positive = 2.0
    """Newest days of the log that a candidate does not learn from and is judged on."""
    every_days: Positive = 1.0
    """A run begins once so many days of events are new to learn from, and as many came since the last run."""
    cases: Count = 400
    """At most this many cases a list are judged in the gate."""
    margin: Share = 0.02
    """A candidate comes through where it is surely no more than this part worse than what is served."""
    exposure: Share = 0.2
    """At most this part of the first ten places may move between sellers, or away from what few buy."""
    attack: Share = 0.02
    """At most this part of the first ten places may be newly held by items that few or new hands pushed."""
    latency: Positive = 2.0
    """A candidate may take this many times as long as what is served."""
    contest_pages: Count = 2_000
    """Interleaved pages planned to decide between candidate and current."""
    contest_days: Positive = 14.0
    """... and the longest time it may take."""
    contest: bool = True
    """Ask shoppers, too, by interleaving; off: the gate alone decides."""


class Dials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What lists are made with, beside how mixed they are and what they try out. An experiment's arm may turn each of
    these, those of `diversity` and `explore` too (docs/experiments.md)."""

    personal: bool = True
    """May lists go by what the shopper did? Off: everybody is answered as nobody in particular."""
    rules: bool = True
    """Do merchandising rules act?"""
    ranker: bool = True
    """Does a learned ranker order the lists that have one? Off: the weighted sum of the sources does."""
    weights: dict[str, Annotated[float, msgspec.Meta(ge=0, le=100)]] = {}
    """{source: factor on the weight that was learned for it}, e.g. `weights = { dense = 2.0 }`; where any is given, the
    weighted sum orders, so that they are what counts."""
    off: tuple[str, ...] = ()
    """Sources that are not asked at all."""


class Experiments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How experiments on shoppers are watched and read (docs/experiments.md)."""

    guard_minutes: Positive = 5.0
    """Running experiments are read so often while the shop is served; harm or arms of the wrong size stops them."""
    before_days: Annotated[float, msgspec.Meta(ge=0)] = 28.0
    """What shoppers did in so many days before they first saw their arm is taken out of what they did since: the same
    certainty from fewer shoppers. 0: nothing is."""
    guard: bool = True
    """Stop experiments that do harm without asking anybody."""


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of item beside products (docs/kinds.md)."""

    title: str = ""
    """What people call it; empty: its name."""
    title_zh: str = ""
    """The same in Chinese."""
    fields: tuple[str, ...] = ()
    """Attributes that an item of this kind is described by; `bodega doctor` names items without them."""
    sold: bool = False
    """Has it a price and a stock? Else `bodega doctor` does not miss them."""
    least: dict[str, Annotated[int, msgspec.Meta(ge=0, le=100)]] = {}
    """{place: how many at least on each page}, e.g. `least = { home = 1 }`."""
    most: dict[str, Annotated[int, msgspec.Meta(ge=0, le=100)]] = {}
    """{place: how many at most on each page}."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole tree: a table each for the rooms that can be set, and what names the shop."""

    name: str = "My shop"
    """Name of the shop, shown on the storefront."""
    language: str = "en"
    """Language of the storefront and of reasons when a request names none: `en` or `zh`."""
    currency: str = "USD"
    """Currency (ISO 4217) of prices that come without one."""
    store: Store = Store()
    snapshots: Snapshots = Snapshots()
    ingest: Ingest = Ingest()
    streams: Streams = Streams()
    state: State = State()
    learn: Learn = Learn()
    models: Models = Models()
    answer: Answer = Answer()
    diversity: Mixing = Mixing()
    explore: Exploring = Exploring()
    understand: Understand = Understand()
    pictures: Pictures = Pictures()
    knowledge: Knowledge = Knowledge()
    profile: Profile = Profile()
    updates: Updates = Updates()
    serve: Serve = Serve()
    console: Console = Console()
    telemetry: Telemetry = Telemetry()
    kinds: dict[str, Kind] = {}
    """Kinds of items beside products: a table each, e.g. `[kinds.article]`."""
    algolia: Algolia = Algolia()
    privacy: Privacy = Privacy()
    reviews: Reviews = Reviews()
    answers: Answers = Answers()
    dials: Dials = Dials()
    experiments: Experiments = Experiments()
    judgments: Judgments = Judgments()
    loop: Loop = Loop()


def load(folder: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """The shop's settings: defaults, then `bodega.toml`, then the environment. Raises BadSettings."""
    path = folder / FILE
    try:
        tree: dict[str, Any] = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(
            "the settings file is not valid TOML",
            code="settings.file_toml",
            where=str(path),
            got=str(error),
            next="mend that line",
        ) from error
    _overlay(tree, os.environ if environment is None else environment)
    try:
        return msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise BadSettings(
            "a setting is not one of ours or has a value it cannot take",
            code="settings.file_value",
            where=str(path),
            allowed="the keys listed in docs/settings.md",
            got=str(error),
            next="correct or remove the key",
        ) from error


def _overlay(tree: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Put BODEGA_LEARN_SEED=3 at tree["learn"]["seed"]; only names of known settings are looked at."""
    for path in _paths(Settings):
        key = "_".join(("BODEGA", *path)).upper()
        if key in environment:
            at = tree
            for name in path[:-1]:
                at = at.setdefault(name, {})
            at[path[-1]] = environment[key]


def _paths(struct: type[msgspec.Struct]) -> Iterator[tuple[str, ...]]:
    """Where every plain key lies in the tree."""
    for spec in msgspec.structs.fields(struct):
        if isinstance(spec.type, type) and issubclass(spec.type, msgspec.Struct):
            yield from ((spec.name, *rest) for rest in _paths(spec.type))
        else:
            yield (spec.name,)
