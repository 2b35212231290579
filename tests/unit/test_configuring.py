"""Settings as forms, letters mended, the trail: what is asked of a folder, without a server."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bodega.engine.configuring import Configuring, masked
from bodega.engine.mending import letter_id, mend
from bodega.engine.trail import FILE as TRAIL
from bodega.engine.trail import Trail
from bodega.errors import BadRequest, BadSettings, MissingExtra, Stale
from bodega.schema import DeadLetter
from bodega.settings import FILE, Settings, load
from bodega.testing.canned import CannedShop

TEXT = """# The corner shop.
name = "Corner"   # as people call it

[store]
url = "postgresql://bodega:secret@db/shop"

# busy
[serve]
port = 8000
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / FILE).write_text(TEXT)
    return tmp_path


def test_every_key_of_the_settings_is_a_choice_with_its_text(folder: Path) -> None:
    held = Configuring(folder).held()
    choices = {each.key: each for table in held.tables for each in table.choices}
    assert len(choices) > 120
    assert [each.key for each in choices.values() if not each.about and not each.key.startswith("answers.")] == []
    port = choices["serve.port"]
    assert (port.kind, port.value, port.default, port.source) == ("integer", 8000, 7700, "file")
    assert (port.least, port.most, port.takes_effect) == (0, 65535, "restart")
    assert choices["learn.seed"].takes_effect == "learn"
    assert choices["profile.learn"].choices == ["always", "auto", "never"]
    assert choices["serve.burst"].source == "default"
    assert choices["console.on"].kind == "switch"
    assert choices["kinds"].kind == "table"


def test_a_change_is_shown_before_it_is_made_and_comments_stay(folder: Path) -> None:
    desk = Configuring(folder)
    version = desk.held().version
    told = desk.consider({"serve.port": 9000, "learn.seed": 3, "serve.burst": 400}, version)
    assert [(each.key, each.before, each.after) for each in told.differences] == [
        ("learn.seed", 7, 3),
        ("serve.port", 8000, 9000),
    ]
    assert "-port = 8000" in told.lines
    assert "+port = 9000" in told.lines
    assert (folder / FILE).read_text() == TEXT, "nothing is written by looking"
    saved = desk.consider({"serve.port": 9000, "learn.seed": 3}, version, save=True)
    text = (folder / FILE).read_text()
    assert "# as people call it" in text
    assert "# busy" in text
    assert load(folder, {}).serve.port == 9000
    assert load(folder, {}).learn.seed == 3
    assert saved.version == desk.held().version != version
    with pytest.raises(Stale):
        desk.consider({"serve.port": 1}, version, save=True)
    desk.consider({"serve.port": None, "learn.seed": None}, saved.version, save=True)
    assert load(folder, {}).serve.port == Settings().serve.port
    assert "[learn]" not in (folder / FILE).read_text()


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"serve.port": 70_000}, "serve.port"),
        ({"serve.port": "many"}, "serve.port"),
        ({"profile.learn": "sometimes"}, "profile.learn"),
        ({"serve.prt": 1}, "serve.prt"),
        ({"kinds": {"article": {}}}, "kinds"),
        ({"serve": {"port": 1}}, "serve"),
        ({"__class__": 1}, "__class__"),
    ],
)
def test_what_cannot_be_set_is_refused_at_its_key(folder: Path, changes: dict[str, object], where: str) -> None:
    desk = Configuring(folder)
    with pytest.raises(BadSettings) as caught:
        desk.consider(changes, desk.held().version, save=True)
    assert caught.value.where == where
    assert (folder / FILE).read_text() == TEXT


def test_passwords_are_neither_shown_nor_lost(folder: Path) -> None:
    desk = Configuring(folder)
    held = desk.held()
    url = next(each for table in held.tables for each in table.choices if each.key == "store.url")
    assert url.value == "postgresql://bodega:***@db/shop"
    done = desk.consider({"store.url": url.value, "name": "New"}, held.version, save=True)
    assert [each.key for each in done.differences] == ["name"]
    assert load(folder, {}).store.url == "postgresql://bodega:secret@db/shop"
    moved = desk.consider({"store.url": "postgresql://bodega:other@db/shop"}, done.version)
    assert "secret" not in repr(moved)
    assert "other" not in repr(moved)
    assert masked("redis://:pw@host/0") == "redis://:***@host/0"


def test_the_environment_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODEGA_SERVE_PORT", "9123")
    choices = {each.key: each for table in Configuring(folder).held().tables for each in table.choices}
    assert (choices["serve.port"].source, choices["serve.port"].value) == ("environment", 9123)


def test_a_shop_without_a_file_gets_one(tmp_path: Path) -> None:
    desk = Configuring(tmp_path)
    desk.consider({"answer.curated": 'a"b\\c\n'}, desk.held().version, save=True)
    assert load(tmp_path, {}).answer.curated == 'a"b\\c\n'
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE], "no draft is left"


def test_without_the_library_the_command_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tomlkit", None)
    desk = Configuring(folder)
    with pytest.raises(MissingExtra, match=r"bodega\[console\]"):
        desk.consider({"name": "x"}, desk.held().version)


def letter(kind: str, raw: str) -> DeadLetter:
    return DeadLetter(kind=kind, reason="x", message="?", source="f.csv", line=3, raw=raw, time=datetime.now(UTC))


def test_a_mended_row_is_taken_in_and_its_letter_out(tmp_path: Path) -> None:
    shop = CannedShop(folder=tmp_path)
    event, item = letter("event", "{}"), letter("item", '{"title": 1}')
    shop.stores.dead.put([event, item])
    assert letter_id(event) != letter_id(item)
    with pytest.raises(BadRequest, match="look"):
        mend(shop, shop.stores.dead, event, {"type": "look", "item": "1", "user": "u", "time": 1_700_000_000})
    with pytest.raises(BadRequest):
        mend(shop, shop.stores.dead, item, {"id": "", "title": "Shoe"})
    assert len(shop.stores.dead.list()) == 2, "what is still wrong stays"
    done = mend(shop, shop.stores.dead, event, {"type": "view", "item": "1", "user": "u", "time": 1_700_000_000})
    assert done.added == 1
    mend(shop, shop.stores.dead, item, {"id": "7", "title": "Shoe", "price": "12.50"})
    assert shop.catalog.get("7").price == 12.5
    assert shop.stores.dead.list() == []
    with pytest.raises(BadRequest, match="kind"):
        mend(shop, shop.stores.dead, letter("review", "{}"), {})


def test_the_trail_keeps_every_line_and_leaves_out_what_a_crash_cut_off(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    assert trail.list() == []
    for number in range(5):
        trail.add(
            "ada", "keys" if number % 2 else "settings", "change", str(number), ({"a": number}, {"a": number + 1})
        )
    with (tmp_path / TRAIL).open("ab") as file:
        file.write(b'{"time":"2026-01-')
    trail.add("ada", "rules", "change", "5")
    assert [line.name for line in trail.list()] == ["5", "4", "3", "2", "1", "0"]
    assert [line.name for line in trail.list(area="keys", limit=1)] == ["3"]
    assert (tmp_path / TRAIL).stat().st_mode & 0o077 == 0
    assert os.access(tmp_path / TRAIL, os.W_OK)
