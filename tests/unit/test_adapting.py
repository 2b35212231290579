"""Whole networks, tuned: kept only where it surely helps, then written so that no torch is needed to serve them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from bodega.bench._judged import no_log
from bodega.errors import BadSettings, NoEvidence
from bodega.schema import Item, ItemTable, World
from bodega.understanding.adapting.lora import LoraOptions, apart, tune
from bodega.understanding.adapting.networks import ImageNetwork, TextNetwork
from bodega.understanding.adapting.shop import adapt_text, pairs_of
from bodega.understanding.text.pretrained import open_encoder

NEEDED = ("torch", "transformers", "peft", "onnx", "tokenizers")
pytestmark = [
    pytest.mark.slow,  # loading torch, transformers and peft alone is 10 s
    pytest.mark.skipif(not all(map(importlib.util.find_spec, NEEDED)), reason="the extra 'adapters' is not installed"),
]
THINGS = [f"{one}{two}" for one in "bdfgklmnprst" for two in ("ala", "ebe", "ifi", "omo", "usu")]
QUICK = LoraOptions(rank=8, alpha=32, rate=5e-3, batch=48, steps=120, check=30, patience=4, judged=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of nothing, with random weights: each thing has two names that it does not know to be one."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = tmp_path_factory.mktemp("net")
    words = ["[UNK]", "[CLS]", "[SEP]", *THINGS, *(f"x{one}" for one in THINGS)]
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.save(str(made / "tokenizer.json"))
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=128,
        max_position_embeddings=80,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(made)
    return made


def pairs(count: int, right: bool = True) -> list[tuple[str, str]]:
    """("xala xebe", "ala ebe"): the same two things by their other names; or by any names at all."""
    rng = np.random.default_rng(1)
    drawn = [rng.choice(THINGS, 2, replace=False) for _ in range(count)]
    others = drawn if right else [rng.choice(THINGS, 2, replace=False) for _ in range(count)]
    return [(f"x{one} x{two}", f"{three} {four}") for (one, two), (three, four) in zip(drawn, others, strict=True)]


def test_parts_are_apart() -> None:
    split = apart(1_000, LoraOptions(), np.random.default_rng(1))
    parts = (split.teach, split.stop, split.judge)
    assert sum(map(len, parts)) == len(set(np.concatenate(parts).tolist())) == 1_000


def test_what_helps_is_kept_and_written(folder: Path, tmp_path: Path) -> None:
    import torch

    told = pairs(700)
    items = [Item(id=str(at), title=title, description=query) for at, (query, title) in enumerate(told)]
    world = World(ItemTable.of(items), no_log(), 0.0)
    assert pairs_of(world)[1] == 0, "nobody searched: descriptions stand in"
    found = adapt_text(world, str(folder), tmp_path / "tuned", QUICK)
    assert found.facts.kept
    assert found.facts.low > 0
    assert found.facts.after > 1.5 * found.facts.before
    assert 0 < found.facts.trained < found.facts.of
    encoder = open_encoder(f"onnx:{tmp_path / 'tuned'}")
    assert encoder.info == found.encoder
    asked, titles = (encoder.encode([pair[side] for pair in told[:80]]) for side in (0, 1))
    alone = np.concatenate([encoder.encode([pair[0]]) for pair in told[:80]])
    assert np.allclose(asked, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(asked, axis=1), 1, atol=1e-5)
    whole = TextNetwork(str(tmp_path / "tuned" / "network"), told)
    with torch.inference_mode():
        exact = whole.vectors([pair[1] for pair in told[:80]]).numpy()
    assert np.einsum("ij,ij->i", exact, titles).min() > 0.97, "8 bits are near to the network itself"
    assert not encoder.encode(["", "unheard words"]).any()
    assert str(tmp_path / "tuned") in found.setting
    file = tmp_path / "tuned" / "encoder.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BadSettings, match="bodega adapt"):
        open_encoder(f"onnx:{tmp_path / 'tuned'}")


def test_what_does_not_help_leaves_the_network_as_it_was(folder: Path, tmp_path: Path) -> None:
    import torch

    network = TextNetwork(str(folder), pairs(300, right=False))
    before = {name: values.clone() for name, values in network.model.state_dict().items()}
    options = LoraOptions(batch=32, steps=20, check=10, patience=1, judged=40)
    facts = tune(network, 300, options)
    assert not facts.kept
    assert "holds 0" in facts.why
    after = network.model.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(values, after[name]) for name, values in before.items())


def test_too_few_pairs_are_refused(folder: Path) -> None:
    with pytest.raises(NoEvidence, match="too few pairs"):
        tune(TextNetwork(str(folder), pairs(20)), 20)


def test_a_name_that_is_no_network_teaches(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="minilm"):
        TextNetwork(str(tmp_path), [])


def test_an_image_network_is_tuned_on_photos_of_one_kind(tmp_path: Path) -> None:
    import torch
    import transformers

    torch.manual_seed(2)
    config = transformers.ViTConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    transformers.ViTModel(config).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 32}))
    rng = np.random.default_rng(4)
    shown = [rng.integers(0, 255, (32, 32, 3), np.uint8) for _ in range(240)]
    network = ImageNetwork(str(tmp_path), shown, [f"kind {at % 6}" for at in range(240)], rng)
    used = [one for pair in network.pairs for one in pair]
    assert len(used) == len(set(used)) == 240
    assert all(one % 6 == other % 6 for one, other in network.pairs)
    facts = tune(network, len(network.pairs), LoraOptions(steps=4, check=2, batch=16, judged=20))
    assert facts.pairs == 120
    (tmp_path / "out").mkdir()
    network.save(tmp_path / "out", tmp_path)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"model.safetensors", "preprocessor_config.json"}
