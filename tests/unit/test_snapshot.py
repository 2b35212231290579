"""Snapshots: content-addressed, verified, never half there, always a way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bodega.engine.snapshot import MANIFEST, POINTER, Snapshots
from bodega.errors import NotLearned, SnapshotCorrupt, UsageError


def writes(text: str) -> Any:
    def build(folder: Path) -> dict[str, Any]:
        (folder / "deep").mkdir()
        (folder / "deep" / "a.txt").write_text(text)
        return {"length": len(text)}

    return build


@pytest.fixture
def shelf(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "snapshots")


def test_nothing_learned_yet_says_what_to_do(shelf: Snapshots) -> None:
    with pytest.raises(NotLearned, match="bodega learn"):
        shelf.open()


def test_equal_content_is_the_same_snapshot_and_other_content_another(shelf: Snapshots) -> None:
    first = shelf.publish(writes("one"), code="1")
    assert shelf.publish(writes("one"), code="1") == first
    assert shelf.publish(writes("two"), code="1") != first
    assert [info.current for info in shelf.infos()] == [False, True]


def test_a_flipped_byte_is_refused_and_the_previous_snapshot_served(shelf: Snapshots) -> None:
    first = shelf.publish(writes("one"), code="1")
    second = shelf.publish(writes("two"), code="1")
    path = shelf.folder / second / "deep" / "a.txt"
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1, *path.read_bytes()[1:]]))
    folder, manifest, warnings = shelf.open()
    assert folder.name == first
    assert manifest.facts == {"length": 3}
    assert len(warnings) == 1
    assert second in warnings[0]


@pytest.mark.parametrize("damage", ["manifest", "missing file", "missing folder"])
def test_other_damage_is_found_too(shelf: Snapshots, damage: str) -> None:
    first = shelf.publish(writes("one"), code="1")
    second = shelf.publish(writes("two"), code="1")
    if damage == "manifest":
        path = shelf.folder / second / MANIFEST
        path.write_text(path.read_text().replace('"length": 3', '"length": 4'))
    else:
        (shelf.folder / second / "deep" / "a.txt").unlink()
        if damage == "missing folder":
            (shelf.folder / second / MANIFEST).unlink()
    assert shelf.open()[0].name == first


def test_when_no_snapshot_is_good_nothing_is_served(shelf: Snapshots) -> None:
    only = shelf.publish(writes("one"), code="1")
    (shelf.folder / only / "deep" / "a.txt").write_text("???")
    with pytest.raises(SnapshotCorrupt):
        shelf.open()


def test_every_single_bit_flip_is_caught(shelf: Snapshots) -> None:
    name = shelf.publish(writes("a snapshot of some bytes"), code="1")
    for path in (shelf.folder / name / "deep" / "a.txt", shelf.folder / name / MANIFEST):
        good = path.read_bytes()
        for bit in range(len(good) * 8):
            broken = bytearray(good)
            broken[bit // 8] ^= 1 << (bit % 8)
            path.write_bytes(broken)
            with pytest.raises(SnapshotCorrupt):
                shelf.verify(name)
        path.write_bytes(good)
    shelf.verify(name)


def test_rollback_goes_one_back_and_forth_and_refuses_the_unknown(shelf: Snapshots) -> None:
    first = shelf.publish(writes("one"), code="1")
    second = shelf.publish(writes("two"), code="1")
    assert shelf.rollback() == first
    assert shelf.open()[0].name == first
    assert shelf.rollback(second) == second
    with pytest.raises(UsageError, match="bodega snapshots"):
        shelf.rollback("0123456789abcdef")


def test_a_crash_while_building_leaves_the_served_snapshot_alone(shelf: Snapshots) -> None:
    first = shelf.publish(writes("one"), code="1")

    def dies(folder: Path) -> dict[str, Any]:
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shelf.publish(dies, code="1")
    assert shelf.open()[0].name == first
    assert [path.name for path in shelf.folder.iterdir() if path.name.startswith(".draft")] == []


def test_a_damaged_pointer_is_mended_from_the_folders(shelf: Snapshots) -> None:
    name = shelf.publish(writes("one"), code="1")
    (shelf.folder / POINTER).write_text("{")
    assert shelf.open()[0].name == name


def test_prune_keeps_the_newest_and_the_served(shelf: Snapshots) -> None:
    names = [shelf.publish(writes(str(number)), code="1") for number in range(5)]
    shelf.rollback(names[0])
    gone = shelf.prune(keep=2)
    assert names[0] not in gone
    assert shelf.open()[0].name == names[0]
    assert len([path for path in shelf.folder.iterdir() if path.is_dir()]) == 5 - len(gone)
