"""Ids under a key: the same every time, moved on to a new key, never on disk or in a letter, and only with our key."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bodega
from bodega.engine.access import make_token, read_token
from bodega.errors import BadSettings, Stale, Unauthenticated
from bodega.events.border import WITHHELD, Border
from bodega.events.pseudonyms import FILE, MADE, VARIABLE, Pseudonyms, Secrets, fresh
from bodega.schema import DeadLetter, Event, EventType, Item, ItemTable
from bodega.settings import Settings
from bodega.wiring import init_shop, open_shop

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD, NEW = b"a" * 32, b"b" * 32


@given(st.text(max_size=40))
def test_an_id_has_one_pseudonym_and_a_pseudonym_is_one_already(name):
    made = Pseudonyms([OLD]).of("user", name)
    assert made == Pseudonyms([OLD]).of("user", name)
    assert Pseudonyms([OLD]).of("user", made) == made
    assert bool(MADE.fullmatch(made)) == bool(name)
    if name:
        assert made != Pseudonyms([OLD]).of("session", name)
        assert made != Pseudonyms([NEW]).of("user", name)


@given(st.text(min_size=1, max_size=20))
def test_a_stored_pseudonym_moves_on_to_a_new_key_without_the_raw_id(name):
    stored = Pseudonyms([OLD]).of("user", name)
    assert Pseudonyms([OLD, NEW]).of("user", stored) == Pseudonyms([OLD, NEW]).of("user", name)


def test_the_key_file_is_made_once_and_only_its_owner_reads_it(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: Secrets(tmp_path, {}).keys, range(16)))
    assert len(set(keys)) == 1
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    (tmp_path / FILE).chmod(0o644)
    with pytest.raises(BadSettings, match="chmod 600"):
        _ = Secrets(tmp_path, {}).keys


def test_the_environment_wins_and_is_rotated_there(tmp_path):
    first, second = fresh(), fresh()
    one, both = Secrets(tmp_path, {VARIABLE: first}), Secrets(tmp_path, {VARIABLE: f"{first},{second}"})
    assert not (tmp_path / FILE).exists()
    assert both.pseudonyms.newest == 2
    assert one.fingerprint == both.fingerprint
    assert both.pseudonyms.of("user", one.pseudonyms.of("user", "u")) == both.pseudonyms.of("user", "u")
    with pytest.raises(Stale, match=VARIABLE):
        one.rotate()
    with pytest.raises(BadSettings, match="no key"):
        _ = Secrets(tmp_path, {VARIABLE: "short"}).keys


def test_signatures_hold_for_their_purpose_only(tmp_path):
    keys = Secrets(tmp_path, {})
    signed = keys.sign(b"x", "one")
    keys.rotate()
    assert keys.verify(b"x", signed, "one"), "what an older key signed stays good"
    for payload, signature, purpose in ((b"y", signed, "one"), (b"x", signed, "two"), (b"x", "9.ab", "one")):
        assert not keys.verify(payload, signature, purpose)


def test_tokens_name_one_user_for_a_time(tmp_path):
    keys = Secrets(tmp_path, {})
    token = make_token(keys, "ann/7 牛", seconds=60, now=1000.0)
    assert read_token(keys, token, now=1059.0) == "ann/7 牛"
    other = make_token(Secrets(tmp_path / "..", {VARIABLE: fresh()}), "ann/7 牛", seconds=60, now=1000.0)
    body, _, signature = token.partition(".")
    forged = make_token(keys, "bob", seconds=60, now=1000.0).partition(".")[0]
    for wrong in ("", "x", other, f"{forged}.{signature}", f"{body}.", body, "é.1.2", "a" * 5000):
        with pytest.raises(Unauthenticated):
            read_token(keys, wrong, now=1059.0)
    with pytest.raises(Unauthenticated):
        read_token(keys, token, now=1061.0)


def test_a_letter_keeps_known_fields_only_under_pseudonyms(tmp_path):
    border = Border(Secrets(tmp_path, {}), pseudonyms=True)
    raw = b'{"customer_id": "canary", "context": {"email": "canary@x.y", "sku": "7"}, "type": "yawn"}'.decode()
    kept = border.letter(DeadLetter(kind="event", reason="unknown_type", message="no; got: canary", raw=raw))
    assert "canary" not in kept.raw + kept.message
    assert '"sku":"7"' in kept.raw
    assert border.letter(kept) == kept
    split = border.letter(DeadLetter(kind="event", reason="unreadable", message="m", raw="canary,1,2"))
    assert split.raw == WITHHELD
    item = DeadLetter(kind="item", reason="bad_item", message="m", raw="canary")
    assert border.letter(item) is item


def masked_shop(folder: Path) -> bodega.Shop:
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop" / "bodega.toml").write_text("[privacy]\npseudonyms = true\n")
    return open_shop(folder / "shop")


def click(user: str, session: str = "", item: str = "1", minute: int = 0) -> Event:
    return Event(type=EventType.CLICK, time=NOON.replace(minute=minute), user=user, session=session, item=item)


def on_disk(folder: Path, *words: str) -> list[str]:
    """Which files hold one of the words."""
    marks = [word.encode() for word in words]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(mark in path.read_bytes() for mark in marks)]


def test_raw_ids_never_reach_the_disk(tmp_path, caplog):
    with masked_shop(tmp_path) as shop:
        shop.catalog.upsert([Item(id="1", title="One")])
        shop.events.record([click("canary-u", "canary-s")])
        shop.events.add([{"type": "yawn", "user": "canary-u", "e_mail": "canary-m", "time": 1772366400, "item": "1"}])
        shop.events.add([{"type": "view", "user": "canary-v", "time": 1772366400, "item": "1"}])
        shop.privacy.identify("canary-u", session="canary-s", aliases=["canary-card"], who="test")
        shop.stores.dead.put([DeadLetter(kind="event", reason="bot", message="m", raw='{"user": "canary-d"}')])
        assert shop.events.count() == 2
        assert len(shop.shoppers.history("canary-u", "", shop_table()).items) == 0, "memory knows pseudonyms only"
        asked = shop.privacy.asked(bodega.Request(user="canary-u"))
        assert len(shop.shoppers.history(asked.user, "", shop_table()).items) == 1
    assert on_disk(tmp_path / "shop", "canary") == []
    assert "canary" not in caplog.text


def shop_table() -> ItemTable:
    return ItemTable.of([Item(id="1", title="One")])


def test_without_pseudonyms_the_canary_is_found(tmp_path):
    """The twin: the search above would see a raw id."""
    with open_shop(tmp_path / "shop") as shop:
        shop.events.record([click("canary-u", "canary-s")])
    assert on_disk(tmp_path / "shop", "canary")


def test_existing_rows_come_under_pseudonyms_and_a_new_key(tmp_path):
    init_shop(tmp_path / "shop", Settings())
    with open_shop(tmp_path / "shop") as shop:
        shop.events.record([click("canary-u", "canary-s"), click("", "canary-s", "2", 1)])
        shop.events.add([{"type": "yawn", "user": "canary-u", "time": 1772366400, "item": "1"}])
        shop.privacy.identify("canary-u", aliases=["canary-card"], who="test")
        with pytest.raises(BadSettings, match="not switched on"):
            shop.privacy.rekey()
    with (tmp_path / "shop" / "bodega.toml").open("a") as file:
        file.write("\n[privacy]\npseudonyms = true\n")
    with open_shop(tmp_path / "shop") as shop:
        counts = shop.privacy.rekey()
        assert (counts["events"], counts["dead_letters"], counts["identities"]) == (2, 1, 1)
        assert set(shop.privacy.rekey().values()) == {0}, "a second run finds nothing to do"
        assert shop.stores.people.compact()
        assert shop.events.record([click("canary-u", "canary-s")]).unchanged == 1, (
            "delivered again it is the same event"
        )
        before = shop.privacy.asked(bodega.Request(user="canary-card")).user
    assert on_disk(tmp_path / "shop", "canary") == []
    with open_shop(tmp_path / "shop") as shop:
        shop.privacy.secrets.rotate()
        assert shop.privacy.rekey()["events"] == 2
    with open_shop(tmp_path / "shop") as shop:
        found = shop.privacy.asked(bodega.Request(user="canary-card")).user
        assert found.startswith("~2.")
        assert found != before
        assert len(shop.privacy.steps(found, "", 10).time) == 2


def test_another_key_is_refused(tmp_path):
    with masked_shop(tmp_path) as shop:
        shop.events.record([click("u")])
    (tmp_path / "shop" / FILE).unlink()
    with pytest.raises(BadSettings, match="another key"):
        masked_shop(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_new_shops_of_the_command_line_keep_no_raw_ids(tmp_path):
    from typer.testing import CliRunner

    from bodega.cli import app

    assert CliRunner().invoke(app, ["init", str(tmp_path / "new")]).exit_code == 0
    with open_shop(tmp_path / "new") as shop:
        assert shop.settings.privacy.pseudonyms
    assert CliRunner().invoke(app, ["init", str(tmp_path / "raw"), "--raw-ids"]).exit_code == 0
    with open_shop(tmp_path / "raw") as shop:
        assert not shop.settings.privacy.pseudonyms
