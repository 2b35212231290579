"""R5: bits rot. 2,000 of them are turned over in a published snapshot, one at a time: none is ever served.

safetensors and npy files carry no checksum (1,999 of 2,000 such flips loaded silently); the manifest's SHA-256 does.
After each flip the store of snapshots is opened as a server opens it: the damaged one is refused by name and the one
before it serves. A loader without the manifest is the broken twin: it must serve nearly all of them.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bodega.engine.snapshot import MANIFEST, POINTER, Snapshots
from bodega.errors import SnapshotCorrupt

FLIPS = 2_000


@pytest.fixture
def shelf(base: Any, tmp_path: Path) -> Snapshots:
    shutil.copytree(base.folder / "snapshots", tmp_path / "snapshots")
    return Snapshots(tmp_path / "snapshots")


def flipped(folder: Path, count: int) -> Iterator[Path]:
    """Turn over one random bit, let the caller look, turn it back; every byte of the folder is as likely."""
    rng = random.Random(5)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in files]
    for path in rng.choices(files, sizes, k=count):
        place, bit = rng.randrange(path.stat().st_size), 1 << rng.randrange(8)
        for _ in range(2):
            with path.open("r+b") as file:
                file.seek(place)
                byte = file.read(1)[0]
                file.seek(place)
                file.write(bytes([byte ^ bit]))
            if _ == 0:
                yield path


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_no_flipped_bit_is_served(shelf: Snapshots, promise: Any) -> None:
    current = shelf.open()[0]
    before = [info.id for info in shelf.infos() if not info.current][-1]
    served, touched = 0, set()
    for path in flipped(current, FLIPS):
        folder, _, warnings = shelf.open()
        served += folder.name == current.name
        touched.add(path)
        assert folder.name == before, "the snapshot before takes over"
        assert any(current.name in each and "refused" in each for each in warnings), "and it is said why"
    promise("R5", f"{served} of {FLIPS:,} damaged snapshots served", "0 of 2,000")
    assert served == 0, f"{served} of {FLIPS} damaged snapshots were served"
    assert len(touched) > 5
    assert shelf.open()[0] == current, "turned back, it is good again"


@pytest.mark.faults
def test_the_shop_answers_from_the_one_before_and_says_so(shops: Any, base: Any, tmp_path: Path) -> None:
    folder = base.copy(tmp_path / "shop")
    shelf = Snapshots(folder / "snapshots")
    current, _, _ = shelf.open()
    for _ in flipped(current, 1):
        ended, told = shops.run("open_only", folder)
        assert ended == 0
        assert told["ok"], told
        assert told["snapshot"] != current.name
        assert any(f"snapshot {current.name} refused" in note for note in told["degraded"])


def test_all_snapshots_damaged_is_an_error_that_teaches(shelf: Snapshots) -> None:
    for info in shelf.infos():
        (shelf.folder / info.id / MANIFEST).write_bytes(b"{}")
    with pytest.raises(SnapshotCorrupt) as caught:
        shelf.open()
    assert caught.value.next == "bodega learn"


def test_a_damaged_pointer_is_mended_from_what_is_there(shelf: Snapshots) -> None:
    current = shelf.open()[0].name
    raw = (shelf.folder / POINTER).read_bytes()
    rng = random.Random(6)
    for _ in range(200):
        place = rng.randrange(len(raw))
        (shelf.folder / POINTER).write_bytes(
            raw[:place] + bytes([raw[place] ^ (1 << rng.randrange(8))]) + raw[place + 1 :]
        )
        folder, manifest, _ = shelf.open()
        assert manifest.files
        assert shelf.verify(folder.name) == manifest
    for cut in (0, 1, len(raw) // 2):
        (shelf.folder / POINTER).write_bytes(raw[:cut])
        assert shelf.open()[1].files
    (shelf.folder / POINTER).write_bytes(raw)
    assert shelf.open()[0].name == current


def test_the_twin_without_the_manifest_is_caught(shelf: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that only looks whether the files are there."""
    verify = Snapshots.verify
    good = {info.id: verify(shelf, info.id) for info in shelf.infos()}
    monkeypatch.setattr(Snapshots, "verify", lambda self, name: good[name])
    current = shelf.open()[0]
    served = sum(shelf.open()[0] == current for _ in flipped(current, 100))
    assert served == 100
