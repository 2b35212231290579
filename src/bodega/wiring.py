"""Which concrete parts does this shop use? Choices only: stores by URL, sources by name, settings by folder."""

from __future__ import annotations

from pathlib import Path

from bodega import settings as settings_room
from bodega.adapters.analytics import Analytics
from bodega.adapters.sql import SqlStore
from bodega.engine.learn import Parts
from bodega.engine.shop import Shop
from bodega.errors import NotAShop
from bodega.retrieval.collaborative import Collaborative
from bodega.retrieval.content import Content
from bodega.retrieval.lexical import Lexical
from bodega.retrieval.popular import Popular
from bodega.retrieval.recent import Recent
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.transition import Transition
from bodega.settings import Settings

DATABASE = "shop.db"

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
    settings = settings_room.load(path)
    store = SqlStore.open(settings.store.url or f"sqlite:///{path.absolute() / DATABASE}")
    analytics = Analytics(store.events, path / "analytics")
    return Shop(path, settings, store, parts_of(settings), analytics)


def init_shop(folder: Path, chosen: Settings | None = None) -> Path:
    """Make the folder a shop (an existing settings file stays as it is); returns the settings file."""
    chosen = chosen or Settings()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / settings_room.FILE
    if not file.exists():
        text = TEMPLATE.format(name=_quoted(chosen.name), language=chosen.language, currency=chosen.currency)
        file.write_text(text, "utf-8")
    return file


def is_shop(folder: Path) -> bool:
    """Does the folder hold a shop?"""
    return (folder / settings_room.FILE).is_file()


def parts_of(settings: Settings) -> Parts:
    """The sources of a shop: how a fresh one is made, and how a saved one is opened."""
    return Parts(
        make={
            "lexical": Lexical,
            "content": Content,
            "popular": Popular,
            "transition": Transition,
            "collaborative": lambda: Collaborative(ease_items=settings.learn.ease_items),
            "repeat": Repeat,
            "recent": Recent,
        },
        load={
            "lexical": Lexical.load,
            "content": Content.load,
            "popular": Popular.load,
            "transition": Transition.load,
            "collaborative": Collaborative.load,
            "repeat": Repeat.load,
            "recent": Recent.load,
        },
        timeless=("lexical", "content"),
        settings=settings,
    )


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
