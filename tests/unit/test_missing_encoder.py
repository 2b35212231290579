"""An encoder that is not to be had: the shop learns and answers without it, and says so everywhere."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

import bodega
from bodega import Item
from bodega.settings import Settings, Understand
from bodega.wiring import init_shop


class ConnectError(Exception):
    """What the hub's client raises without a network."""


class NoNetwork(ModuleType):
    """`sentence_transformers` on a machine that the hub cannot be reached from."""

    @staticmethod
    def SentenceTransformer(name: str, **_: object) -> object:  # noqa: N802 - its name
        try:
            raise ConnectError("no route")
        except ConnectError as error:
            raise OSError(f"{name} could not be loaded") from error


@pytest.mark.parametrize("package", [None, NoNetwork("sentence_transformers")], ids=["no package", "no network"])
def test_a_shop_learns_and_answers_without_an_encoder_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: ModuleType | None
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    init_shop(tmp_path / "shop")
    with (tmp_path / "shop" / "bodega.toml").open("a", encoding="utf-8") as file:
        file.write('\n[understand]\nencoder = "none"\nbeside = "hub:no/such-model"\n')
    with bodega.open(tmp_path / "shop") as shop:
        assert shop.settings.understand == Understand(encoder="none", beside="hub:no/such-model")
        shop.catalog.upsert([Item(id="a", title="Red lamp"), Item(id="b", title="Blue lamp")])
        report = shop.learn()
        assert report.published
        assert [note for note in report.notes if note.startswith("sentences: left out") and "pip install" in note]
        page = shop.search("red lamp")
        assert page.ids[0] == "a"
        assert [note for note in page.degraded if note.startswith("sentences:")]
        assert [note for note in shop.health()["warnings"] if note.startswith("sentences:")]


def test_the_default_needs_no_package(tmp_path: Path) -> None:
    assert Settings().understand.beside == ""
    assert Settings().understand.encoder == "static"
