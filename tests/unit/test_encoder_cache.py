"""Queries are remembered within their bytes; catalogs are encoded once, whatever happens in between."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bodega.errors import StoreError
from bodega.schema.arrays import Floats
from bodega.testing.fakes import FakeEncoder
from bodega.understanding.text import cached
from bodega.understanding.text.cached import CachedEncoder, encode_all

TEXTS = [f"product number {number}" for number in range(300)]


class Directed(FakeEncoder):
    """A query is not a passage."""

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        return super().encode([f"{'q' if query else 'p'} {text}" for text in texts])


class Stops(FakeEncoder):
    """Is killed after some batches."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.batches = batches

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        self.batches -= 1
        if self.batches < 0:
            raise KeyboardInterrupt
        return super().encode(texts, query=query)


def test_a_query_is_encoded_once() -> None:
    inner = FakeEncoder()
    encoder = CachedEncoder(inner)
    first = encoder.encode(["red scarf", "milk", "red scarf"], query=True)
    again = encoder.encode(["milk", "blue scarf", "red scarf"], query=True)
    assert inner.asked == ["red scarf", "milk", "blue scarf"]
    assert np.array_equal(first, FakeEncoder().encode(["red scarf", "milk", "red scarf"]))
    assert np.array_equal(again, FakeEncoder().encode(["milk", "blue scarf", "red scarf"]))
    assert encoder.info == inner.info


def test_a_query_and_a_passage_with_the_same_words_differ() -> None:
    encoder = CachedEncoder(Directed())
    asked, said = encoder.encode(["milk"], query=True), encoder.encode(["milk"])
    assert not np.allclose(asked, said)
    assert np.array_equal(encoder.encode(["milk"], query=True), asked)


def test_the_oldest_is_forgotten_and_the_bytes_are_kept() -> None:
    inner = FakeEncoder()
    encoder = CachedEncoder(inner, size=5 * (32 * 4 + 4 * 2 + cached.OVERHEAD))
    for text in ("q0", "q1", "q2", "q3", "q4"):
        encoder.encode([text])
    encoder.encode(["q0"])
    encoder.encode(["q5"])
    inner.asked.clear()
    encoder.encode(["q0", "q2", "q3", "q4", "q5"])
    assert inner.asked == [], "q1 was asked for longest ago"
    encoder.encode(["q1"])
    assert inner.asked == ["q1"]
    for number in range(2_000):
        encoder.encode([f"other {number}" * (number % 7)])
        assert encoder.used <= 5 * (32 * 4 + 4 * 2 + cached.OVERHEAD)


def test_long_queries_and_large_batches_pass_through() -> None:
    inner = FakeEncoder()
    encoder = CachedEncoder(inner)
    encoder.encode(["a" * (cached.LONGEST_KEPT + 1)])
    encoder.encode(TEXTS)
    assert encoder.used == 0
    assert len(inner.asked) == 1 + len(TEXTS)


def test_threads_share_it() -> None:
    encoder = CachedEncoder(FakeEncoder(), size=8_000)
    truth = FakeEncoder().encode(TEXTS)

    def ask(seed: int) -> bool:
        picks = np.random.default_rng(seed).integers(0, len(TEXTS), (200, 3))
        return all(np.array_equal(encoder.encode([TEXTS[p] for p in three]), truth[three]) for three in picks)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(4)))
    assert 0 < encoder.used <= 8_000


def test_a_catalog_is_encoded_once(tmp_path: Path) -> None:
    inner = FakeEncoder()
    texts = [*TEXTS, TEXTS[0], ""]
    rows = encode_all(inner, texts, tmp_path)
    assert np.array_equal(rows, FakeEncoder().encode(texts))
    assert sorted(inner.asked) == sorted({*TEXTS, ""}), "the same text twice is encoded once"
    inner.asked.clear()
    changed = ["new product", *TEXTS[5:]]
    assert np.array_equal(encode_all(inner, changed, tmp_path), FakeEncoder().encode(changed))
    assert inner.asked == ["new product"]


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "BLOCK", 50)
    with pytest.raises(KeyboardInterrupt):
        encode_all(Stops(4), TEXTS, tmp_path)
    inner = FakeEncoder()
    rows = encode_all(inner, TEXTS, tmp_path)
    assert len(inner.asked) == 100, "four of six blocks were there"
    assert np.array_equal(rows, FakeEncoder().encode(TEXTS))


@pytest.mark.parametrize("harm", ["cut", "zeros", "flipped", "garbage"])
def test_damage_is_encoded_again(tmp_path: Path, harm: str) -> None:
    encode_all(FakeEncoder(), TEXTS, tmp_path)
    (file,) = tmp_path.rglob("*.vectors")
    data = bytearray(file.read_bytes())
    record = 16 + 4 + 4 * 32
    assert len(data) == record * len(TEXTS)
    if harm == "cut":
        del data[-10:]
    elif harm == "zeros":
        data[-3 * record :] = bytes(3 * record)
    elif harm == "flipped":
        data[7 * record + 40] ^= 1
    else:
        data = bytearray(b"garbage" * 100)
    file.write_bytes(bytes(data))
    inner = FakeEncoder()
    assert np.array_equal(encode_all(inner, TEXTS, tmp_path), FakeEncoder().encode(TEXTS))
    assert len(inner.asked) == {"cut": 1, "zeros": 3, "flipped": 1, "garbage": 300}[harm]
    inner.asked.clear()
    encode_all(inner, TEXTS, tmp_path)
    assert inner.asked == []


def test_another_encoder_has_its_own_vectors(tmp_path: Path) -> None:
    encode_all(FakeEncoder(), TEXTS, tmp_path)
    remote = FakeEncoder()
    remote.info = replace(remote.info, digest="", origin="small at http://127.0.0.1")
    for other in (FakeEncoder(name="other"), FakeEncoder(16), remote):
        rows = encode_all(other, TEXTS, tmp_path)
        assert len(other.asked) == len(TEXTS)
        assert np.array_equal(rows, other.encode(TEXTS))


def test_vectors_of_texts_that_are_gone_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "BLOCK", 10)
    encode_all(FakeEncoder(), TEXTS, tmp_path)
    kept = TEXTS[:20]
    encode_all(FakeEncoder(), kept, tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.vectors")) == 20 * (16 + 4 + 4 * 32)
    inner = FakeEncoder()
    encode_all(inner, kept, tmp_path)
    assert inner.asked == []


def test_many_small_files_become_one(tmp_path: Path) -> None:
    for count in range(1, 25):
        encode_all(FakeEncoder(), TEXTS[: count * 10], tmp_path)
        assert len(list(tmp_path.rglob("*.vectors"))) <= cached.PARTS
    inner = FakeEncoder()
    encode_all(inner, TEXTS[:240], tmp_path)
    assert inner.asked == []


def test_nothing_to_encode(tmp_path: Path) -> None:
    assert encode_all(FakeEncoder(), [], tmp_path).shape == (0, 32)


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="vectors could not be kept"):
        encode_all(FakeEncoder(), TEXTS, tmp_path / "file")


class Counts:
    def __init__(self) -> None:
        self.told: list[object] = []

    def start(self, task: str, total: float | None = None) -> None:
        self.told.append((task, total))

    def advance(self, amount: float = 1.0) -> None:
        self.told.append(amount)

    def finish(self) -> None:
        self.told.append("end")


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "BLOCK", 200)
    progress = Counts()
    encode_all(FakeEncoder(), TEXTS, tmp_path, progress)
    assert progress.told == [("encode with fake", 300), 200, 100, "end"]
