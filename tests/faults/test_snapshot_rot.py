"""R5, bit rot: of 2,000 flipped bits in a learned snapshot none is served; the one before takes over and is named."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

import bodega
from bodega.engine.snapshot import MANIFEST, Snapshots
from bodega.errors import SnapshotCorrupt
from bodega.schema import Item


def flipped(path: Path, rng: random.Random) -> int:
    """Flip one bit where the file lies; returns which."""
    bit = rng.randrange(8 * path.stat().st_size)
    flip(path, bit)
    return bit


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def served_of(shelf: Snapshots, name: str, flips: int, seed: int = 7) -> int:
    """How many of so many random flips (any file, any bit) were not noticed."""
    rng, served = random.Random(seed), 0
    files = [path for path in sorted((shelf.folder / name).rglob("*")) if path.is_file() and path.stat().st_size]
    weights = [path.stat().st_size for path in files]
    for number in range(flips):
        path = rng.choices(files, weights)[0] if number % 2 else rng.choice(files)  # by size, and the small ones too
        bit = flipped(path, rng)
        try:
            shelf.verify(name)
            served += 1
        except SnapshotCorrupt:
            pass
        flip(path, bit)
    shelf.verify(name)
    return served


def made(folder: Path) -> dict[str, object]:
    """Files as a snapshot has them: arrays of numbers, JSON, something deeper."""
    rng = np.random.default_rng(7)
    (folder / "sources" / "popular").mkdir(parents=True)
    np.save(folder / "scores.npy", rng.normal(size=20_000).astype(np.float32))
    np.save(folder / "sources" / "popular" / "rows.npy", rng.integers(0, 99, 500))
    (folder / "sources" / "popular" / "facts.json").write_text('{"half_life_days": 14.0}')
    return {"items": 99}


@pytest.fixture
def shelf(tmp_path) -> Snapshots:
    shelf = Snapshots(tmp_path / "snapshots")
    shelf.publish(made, code="1")
    return shelf


def test_flipped_bits_are_not_served(shelf):
    assert served_of(shelf, shelf.current(), 300) == 0


@pytest.mark.faults
def test_two_thousand_flipped_bits_of_a_learned_shop_are_not_served(small_shop, tmp_path, promise):
    shutil.copytree(small_shop.folder / "snapshots", tmp_path / "snapshots")
    shelf = Snapshots(tmp_path / "snapshots")
    served = served_of(shelf, shelf.current(), 2_000)
    promise("R5", f"{served} of 2,000 flipped bits served", "0 served, the snapshot before takes over")
    assert served == 0


def test_a_verification_that_looks_at_sizes_only_serves_them(shelf, monkeypatch):
    """The broken twin: files of the right size pass, as they do where nothing but a format is checked."""
    from bodega.engine import snapshot

    name = shelf.current()
    entries = {shelf.folder / name / entry.path: entry for entry in shelf.verify(name).files}

    def trusting(folder: Path, path: Path) -> snapshot.Entry:
        return entries[path] if path.stat().st_size == entries[path].size else snapshot.Entry("", "", 0)

    monkeypatch.setattr(snapshot, "_entry", trusting)
    assert served_of(shelf, name, 100) > 50


@pytest.mark.slow
def test_the_snapshot_before_takes_over_and_every_answer_says_so(tmp_path, small_world):
    with bodega.open(tmp_path / "shop") as shop:
        shop.catalog.upsert(small_world.items)
        shop.events.record(small_world.events)
        first = shop.learn().snapshot
        shop.catalog.upsert([Item(id="fresh", title="Zanzibar marmalade")])
        second = shop.learn().snapshot
    folder = tmp_path / "shop" / "snapshots" / second
    largest = max((path for path in folder.rglob("*") if path.name != MANIFEST and path.is_file()), key=_size)
    flipped(largest, random.Random(7))
    with bodega.open(tmp_path / "shop") as shop:
        page = shop.search("milk")
        assert shop.health()["snapshot"] == first
        assert page.ids
        assert any(second in said for said in page.degraded), page.degraded
        assert any(second in said for said in shop.health()["warnings"])
        assert shop.search("zanzibar").ids[0] == "fresh", "what changed since the older snapshot is taken in again"


def _size(path: Path) -> int:
    return path.stat().st_size
