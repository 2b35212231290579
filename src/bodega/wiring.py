"""Which concrete parts does this shop use? Choices only: stores by URL, sources by name, settings by folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from weakref import ref

import msgspec
import numpy as np

from bodega import settings as settings_room
from bodega.adapters import backup as backups
from bodega.adapters.analytics import Analytics
from bodega.adapters.pictures.gallery import PictureGallery
from bodega.adapters.pictures.store import PictureBook
from bodega.adapters.sql import SqlStore
from bodega.adapters.streams import address_of, open_publisher, open_stream
from bodega.engine.deadline import Patient
from bodega.engine.erasure import LEDGER
from bodega.engine.learn import Parts, Unneeded, open_learned
from bodega.engine.photo import LARGEST, Photos, Sight
from bodega.engine.served import Handed
from bodega.engine.shop import Shop
from bodega.engine.snapshot import Snapshots
from bodega.engine.warming import warm
from bodega.errors import BadPicture, EndpointFailed, NotAShop
from bodega.events.border import Border
from bodega.events.consuming import Consumer, Consuming
from bodega.events.pseudonyms import Secrets, another_key
from bodega.protocols import Encoder, EncoderInfo, Progress, Publisher, Source
from bodega.ranking.fit import FEWEST
from bodega.retrieval.appeal import Appeal
from bodega.retrieval.asked import Asked
from bodega.retrieval.collaborative import Collaborative, CollaborativeOptions
from bodega.retrieval.content import Content, ContentOptions
from bodega.retrieval.dense import Dense
from bodega.retrieval.generative import Generative, GenerativeOptions
from bodega.retrieval.graph import Graph
from bodega.retrieval.intent import Intent
from bodega.retrieval.knowledge import Knowledge, KnowledgeOptions
from bodega.retrieval.lexical import Lexical
from bodega.retrieval.matrix import Matrix
from bodega.retrieval.pictures import Pictures
from bodega.retrieval.popular import Popular, PopularOptions
from bodega.retrieval.profile import Profile, Senses
from bodega.retrieval.recent import Recent
from bodega.retrieval.relations import Complements, Substitutes
from bodega.retrieval.repeat import Repeat, RepeatOptions
from bodega.retrieval.sequential import Sequential
from bodega.retrieval.slim import Slim
from bodega.retrieval.transition import Transition, TransitionOptions
from bodega.schema import ItemTable, World
from bodega.schema.moves import BackupReport, MoveReport
from bodega.settings import Learn, Settings, Understand
from bodega.settings import Pictures as PictureSettings
from bodega.understanding.graph import GraphOptions
from bodega.understanding.image import Limits, decode, open_image_encoder
from bodega.understanding.profile import ProfileOptions
from bodega.understanding.query import Understanding
from bodega.understanding.query.rewriter import LlmRewriter
from bodega.understanding.text.adapters import Adapted, adapt
from bodega.understanding.text.cached import CachedEncoder, KeptEncoder
from bodega.understanding.text.pretrained import best_installed, open_encoder
from bodega.understanding.text.training import TrainingOptions, train

if TYPE_CHECKING:
    from bodega.adapters.ring import Ring

DATABASE = "shop.db"
VECTORS = "vectors"
"""Folder of a shop: vectors of its passages by pretrained encoders; may be deleted."""

TEMPLATE = """# Settings of this shop. Every key, its default and its meaning: docs/settings.md
name = "{name}"
language = "{language}"
currency = "{currency}"
"""


def open_shop(folder: str | Path, *, create: bool = True) -> Shop:
    """Open the shop in a folder; an absent or empty folder becomes a new shop unless `create` is False.

    Raises NotAShop for a folder that holds something else, BadSettings, StoreError.
    """
    path = Path(folder).expanduser()
    if not is_shop(path):
        if not create or (path.exists() and not _empty(path)):
            raise NotAShop(
                "this folder holds no shop",
                where=str(path.absolute()),
                allowed=f"a folder with {settings_room.FILE}, or an empty one",
                got=_contents(path),
                next=f"bodega init {path}",
            )
        init_shop(path)
    shop, _ = _apart(path)
    _joined(shop)
    return shop


def _apart(path: Path) -> tuple[Shop, SqlStore]:
    """The shop in a folder, and its store; not joined with other servers yet."""
    settings = settings_room.load(path)
    store = SqlStore.open(settings.store.url or f"sqlite:///{path.absolute() / DATABASE}")
    keys = Secrets(path)
    if settings.privacy.pseudonyms and not store.people.key_known(keys.fingerprint):
        raise another_key(path)
    store.guarded(Border(keys, pseudonyms=settings.privacy.pseudonyms))
    analytics = Analytics(store.events, path / "analytics")
    shop = Shop(path, settings, store, parts_of(settings, path), analytics)
    shop.gallery = PictureGallery(path, settings.pictures, store.catalog, store.dead)
    shop.photos = Photos(_sight(settings, path), lambda name: _filed(name, settings.pictures, path))
    if settings.streams.url:
        shop.consuming = Consuming(lambda: consumer_of(shop), address_of(settings.streams.url).name)
    return shop, store


def _joined(shop: Shop) -> None:
    """Share the states of shoppers with other servers, where that is on."""
    settings = shop.settings
    if settings.state.url:
        from bodega.adapters.redis import open_states  # loads the client: a shop of one server never does

        shop.shoppers.join(open_states(settings.state, f"{settings.name} {settings.store.url}"))


def consumer_of(shop: Shop, url: str = "") -> Consumer:
    """A member of the group that reads the shop's stream (or that at `url`); opens it when used. Raises BadSettings."""
    chosen = url or shop.settings.streams.url
    address_of(chosen)
    return Consumer(
        lambda: open_stream(chosen, shop.stores.events.offsets),
        lambda events, along: shop.events.submit(events, along=along),
        shop.settings,
    )


def publisher_of(settings: Settings, url: str = "") -> Publisher:
    """A writer into the shop's stream (or the one at `url`). Raises BadSettings, MissingExtra, StreamFailed."""
    return open_publisher(url or settings.streams.url)


@dataclass(frozen=True, slots=True)
class Shared:
    """What workers that are forked from one process have in common: an open shop without connections."""

    shop: Shop
    handed: Handed
    news: Path
    place: int
    """How far the ring of news had come before anything was counted."""

    def resumed(self) -> Shop:
        """The shop, from here on: called by a worker, once. Another one where the settings or keys were changed since.

        Raises what `open_shop` raises.
        """
        shop, folder = self.shop, self.shop.folder
        if settings_room.load(folder) == shop.settings and not shop.privacy.secrets.stale:
            _joined(shop)
        else:
            shop = open_shop(folder, create=False)
        try:
            shop.served.inherit(self.handed, open_news(self.news, place=self.place))
        except BaseException:
            shop.close()
            raise
        return shop


def open_shared(folder: Path, news: Path, rehearse: Callable[[Shop], object]) -> Shared:
    """The shop with its current snapshot, verified, open and warm, and what was counted since: for forked processes.

    Its connections are closed again before this returns: nothing that is open, no thread and no lock crosses a fork.
    `rehearse` is given the shop meanwhile and makes of it what a worker needs, so that this is shared, too.
    Raises NotLearned, SnapshotCorrupt, StoreError.
    """
    settings = settings_room.load(folder)
    opened = open_learned(Snapshots.of(folder, settings.snapshots.url), parts_of(settings, folder))
    warm(opened, settings)
    with closing(open_news(news)) as ring:
        place = ring.place
    shop, store = _apart(folder)
    try:
        handed = shop.served.hand(opened)
        shop.served.take(handed)
        shop.served.rehearse()
        rehearse(shop)
    finally:
        store.rest()
    return Shared(shop, handed, news, place)


def open_news(path: Path, *, fresh: bool = False, place: int | None = None) -> Ring:
    """The ring of news in a file, for the processes of one machine that serve the same shop; `fresh` begins it, `place`
    goes on from there (default: from now on)."""
    from bodega.adapters.ring import Ring  # needs a POSIX system, as does everything that has several workers

    return Ring.create(path) if fresh else Ring(path, place)


def init_shop(folder: Path, chosen: Settings | None = None) -> Path:
    """Make the folder a shop (an existing settings file stays as it is); returns the settings file."""
    chosen = chosen or Settings()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / settings_room.FILE
    if not file.exists():
        text = TEMPLATE.format(name=_quoted(chosen.name), language=chosen.language, currency=chosen.currency)
        if chosen.understand.teacher != Understand().teacher:
            text += f'\n[understand]\nteacher = "{_quoted(chosen.understand.teacher)}"\n'
        if chosen.learn.evaluated_users != Learn().evaluated_users:
            text += f"\n[learn]\nevaluated_users = {chosen.learn.evaluated_users}\n"
        if chosen.privacy.pseudonyms:
            text += "\n[privacy]\npseudonyms = true\n"
        file.write_text(text, "utf-8")
    return file


def move_store(source: str, target: str, progress: Progress) -> MoveReport:
    """Copy a store (a URL, or a shop's folder) into an empty database and compare every table.

    Raises UsageError where the target is not empty, StoreError where a digest differs.
    """
    from bodega.adapters.sql.moving import move

    folder = Path(source).expanduser()
    if "://" not in source and is_shop(folder):
        source = backups.store_url(folder, settings_room.load(folder))
    return move(source, target, progress)


def back_up(folder: Path, to: Path, progress: Progress) -> BackupReport:
    """Copy a shop into a new or empty folder while it serves. Raises NotAShop, UsageError, StoreError."""
    if not is_shop(folder):
        open_shop(folder, create=False)  # says why not
    return backups.back_up(folder, to, progress)


def restore(backup: Path, folder: Path, progress: Progress, *, replace: bool = False) -> BackupReport:
    """Put a shop back, compare it with its backup, and forget again whoever was forgotten since.

    Raises NotAShop, UsageError, StoreError.
    """
    report = backups.restore(backup, folder, progress, replace=replace)
    aside = sorted(folder.absolute().parent.glob(f"{folder.absolute().name}.before-*")) if replace else []
    if aside and (aside[-1] / LEDGER).exists():
        with open_shop(folder, create=False) as shop:
            shop.erasures.reapply(aside[-1] / LEDGER)
    return report


def is_shop(folder: Path) -> bool:
    """Does the folder hold a shop?"""
    return (folder / settings_room.FILE).is_file()


def parts_of(settings: Settings, folder: Path | None = None) -> Parts:
    """The sources of a shop: how a fresh one is made, and how a saved one is opened.

    `folder` is where vectors of a pretrained encoder are kept, so that no text is encoded twice (None: in memory only).
    """
    own = _Own(settings.understand)
    by_meaning, models = _by_meaning(settings, folder, own), settings.models
    profile = {} if settings.profile.learn == "never" else {"profile": _profile(settings, folder, own)}
    chosen = _chosen(settings) | profile | ({"pictures": _pictures(folder)} if folder is not None else {})
    return Parts(
        make={
            "lexical": lambda: Lexical(people=settings.understand.people),
            "content": lambda: Content(_turned(ContentOptions(), {"history_decay": models.content_history_decay})),
            "intent": Intent,
            **{name: each[0] for name, each in by_meaning.items()},
            "asked": Asked,
            "popular": lambda: Popular(_turned(PopularOptions(), {"half_life_days": models.popular_half_life_days})),
            "transition": lambda: Transition(
                _turned(
                    TransitionOptions(),
                    {"window": models.transition_window, "history_decay": models.transition_history_decay},
                )
            ),
            "collaborative": lambda: Collaborative(
                options=_turned(
                    CollaborativeOptions(ease_items=settings.learn.ease_items),
                    {"history_decay": models.collaborative_history_decay},
                )
            ),
            "repeat": lambda: Repeat(_turned(RepeatOptions(), {"half_life_days": models.repeat_half_life_days})),
            "recent": Recent,
            **{name: each[0] for name, each in chosen.items()},
        },
        load={
            "lexical": Lexical.load,
            "content": Content.load,
            "intent": Intent.load,
            **{name: each[1] for name, each in by_meaning.items()},
            "asked": Asked.load,
            "popular": Popular.load,
            "transition": Transition.load,
            "collaborative": Collaborative.load,
            "repeat": Repeat.load,
            "recent": Recent.load,
            **{name: each[1] for name, each in chosen.items()},
        },
        timeless=("content", "intent"),
        asking=("lexical", *by_meaning),
        optional=(*by_meaning, *chosen),
        quiet=("pictures", "profile") if settings.profile.learn == "auto" else ("pictures",),
        settings=settings,
        understand=lambda world: Understanding().fit(world, settings),
        reopen=Understanding.load,
        rewords=(lambda: LlmRewriter(settings.understand)) if settings.understand.llm else None,
    )


Options = TypeVar("Options", bound=msgspec.Struct)


def _turned(options: Options, numbers: Mapping[str, float]) -> Options:
    """The options with the numbers that the settings turn; 0 leaves one as the model was made."""
    return msgspec.structs.replace(options, **{name: number for name, number in numbers.items() if number})


Made = tuple[Callable[[], Source], Callable[[Path, ItemTable], Source]]
"""How a fresh source is made, and how a saved one is opened."""


def _chosen(settings: Settings) -> dict[str, Made]:
    """Sources that a shop may have learned beside the usual ones."""
    more: dict[str, Made] = {
        "graph": (Graph, Graph.load),
        "matrix": (Matrix, Matrix.load),
        "slim": (Slim, Slim.load),
        "substitutes": (Substitutes, Substitutes.load),
        "complements": (Complements, Complements.load),
    }
    neural: dict[str, Made] = {
        "sequential": (Sequential, Sequential.load),
        "generative": (
            lambda: Generative(GenerativeOptions(people=settings.understand.people)),
            Generative.load,
        ),
    }
    known: dict[str, Made] = {
        "knowledge": (
            lambda: Knowledge(KnowledgeOptions(graph=GraphOptions(people=settings.understand.people))),
            Knowledge.load,
        )
    }
    more = (more if settings.learn.more else {}) | (known if settings.learn.knowledge else {})
    shown: dict[str, Made] = {"appeal": (Appeal, Appeal.load)} if settings.learn.appeal else {}
    return more | shown | (neural if settings.learn.neural else {})


class _Own:
    """Teaches the shop's own encoder once a world: several sources read with the same one."""

    def __init__(self, chosen: Understand) -> None:
        self._chosen = chosen
        self._last: tuple[tuple[ref[ItemTable], int], ref[Encoder]] | None = None

    def __call__(self, world: World) -> Encoder:
        """The encoder of this catalog and these searches; taught, where the last one was of others, or is gone."""
        searched = int(np.count_nonzero((world.log.query >= 0) & (world.log.item >= 0)))
        of = (ref(world.items), searched if searched >= FEWEST else 0)
        held = self._last[1]() if self._last is not None and self._last[0] == of else None
        if held is None:
            held = static_encoder(world, self._chosen)
            self._last = (of, ref(held))
        return held


def _pictures(folder: Path) -> Made:
    """The pictures that `bodega pictures` looked at; nothing where it never ran."""
    book = PictureBook(folder)

    def make() -> Source:
        if book.info is None:
            raise Unneeded
        return Pictures(book)

    return make, lambda saved, items: Pictures.load(saved, items, book)


def _sight(settings: Settings, folder: Path) -> Sight | None:
    """What photos of shoppers are looked at with: the encoder of the shop's pictures."""
    chosen = settings.pictures
    if chosen.encoder == "none":
        return None
    limits = Limits(bytes=min(chosen.bytes_limit, LARGEST), pixels=chosen.pixels_limit)
    return Sight(
        encoder=lambda: open_image_encoder(chosen, folder),
        decode=lambda data: decode(data, limits),
        fetch=(lambda url: _fetched(url, chosen)) if chosen.fetch else None,
    )


def _filed(name: str, chosen: PictureSettings, folder: Path) -> bytes:
    """A file of the shop's folder of pictures. Raises BadPicture."""
    from bodega.adapters.pictures.references import References, is_file

    if not is_file(name):
        raise BadPicture("this is no file of the shop's folder of pictures", where="pictures.folder", got=name[:100])
    return References(folder, chosen).read(name)


def _fetched(url: str, chosen: PictureSettings) -> bytes:
    """The bytes of a photo at an address. Raises BadPicture."""
    from bodega.adapters.pictures.fetch import fetch  # loads an HTTP client: most shops are never asked by address

    return fetch(url, chosen).data


def _profile(settings: Settings, folder: Path | None, own: _Own) -> Made:
    """The item profiles, which read with the encoder of `dense` and the pictures that were looked at."""
    chosen, book = settings.understand, None if folder is None else PictureBook(folder)

    def read(world: World) -> Encoder | None:
        if chosen.encoder in ("", "none"):
            return None
        if chosen.encoder == "static":
            return own(world)
        return KeptEncoder(open_encoder(chosen.encoder, chosen), folder / VECTORS if folder else None)

    senses = Senses(read, lambda _: _opened(chosen.encoder, chosen), book)
    options = ProfileOptions(
        dimensions=settings.profile.dimensions, steps=(min(60, settings.profile.steps), settings.profile.steps)
    )

    def make() -> Source:
        if settings.profile.learn == "auto" and (book is None or book.info is None):
            raise Unneeded
        return Profile(senses, options)

    return make, lambda saved, items: Profile.load(saved, items, senses)


def _opened(encoder: str, chosen: Understand) -> Encoder:
    """A pretrained encoder as requests use it."""
    kept = CachedEncoder(open_encoder(encoder, chosen))
    return Patient(kept) if encoder.startswith("endpoint:") else kept


def _by_meaning(settings: Settings, folder: Path | None, own: _Own) -> dict[str, Made]:
    """The dense sources: one of the shop's own or a chosen encoder, and perhaps a pretrained one beside it."""
    chosen = settings.understand
    names = {"dense": chosen.encoder, "sentences": chosen.beside}
    return {
        name: _of_own(own) if encoder == "static" else _of_pretrained(name, encoder, chosen, folder)
        for name, encoder in names.items()
        if encoder not in ("", "none")
    }


def _of_own(own: _Own) -> Made:
    """A dense source over the encoder that the shop teaches itself."""
    return lambda: Dense(own), Dense.load


def _of_pretrained(name: str, encoder: str, chosen: Understand, folder: Path | None) -> Made:
    """A dense source over a pretrained encoder, adapted to the shop's clicks where that surely helps."""
    held: list[ref[KeptEncoder]] = []  # shared by the two fits of one `learn`, and gone after it

    def kept() -> KeptEncoder:
        found = held[-1]() if held else None
        if found is None:
            found = KeptEncoder(open_encoder(encoder, chosen), folder / VECTORS if folder else None)
            held[:] = [ref(found)]
        return found

    def make(world: World) -> Encoder:
        base = kept()
        adapter, _ = adapt(base, world) if world.log.queries else (None, None)
        return base if adapter is None else Adapted(base, adapter)

    def reopen(_: EncoderInfo) -> Encoder:
        return _opened(encoder, chosen)

    def load(saved: Path, items: ItemTable) -> Source:
        return Dense.load(saved, items, reopen=reopen)

    return lambda: Dense(make, name=name, reopen=reopen), load


def static_encoder(world: World, chosen: Understand) -> Encoder:
    """The shop's own encoder, taught by a pretrained one where there is one that answers (`teacher`)."""
    name = best_installed() if chosen.teacher == "auto" else chosen.teacher
    different = len(set(world.items.titles))  # a supermarket's 92,331 items share 3,000 titles: 40 s less to read
    options = TrainingOptions(teacher_texts=min(chosen.teacher_texts, max(500, 2 * different)))
    if name not in ("", "none"):
        try:
            return train(world, options, open_encoder(name, chosen))[0]
        except EndpointFailed:
            pass  # a teacher that is away is no reason not to learn: `info.origin` says who taught
    return train(world, options)[0]


def _empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _contents(folder: Path) -> str:
    if not folder.exists():
        return "no such folder"
    if not folder.is_dir():
        return "a file"
    names = sorted(entry.name for entry in folder.iterdir())[:5]
    return ", ".join(names) if names else "an empty folder"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
