"""Encoders of pictures: what every one promises, and what each one is for."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from bodega.errors import BadSettings, MissingExtra, NotLearned, SnapshotCorrupt
from bodega.protocols import ImageEncoder, Pixels
from bodega.settings import Pictures
from bodega.understanding.image import _lite, opening
from bodega.understanding.image.histogram import HistogramEncoder
from bodega.understanding.image.likeness import BITS, difference_hash
from bodega.understanding.image.opening import open_image_encoder
from bodega.understanding.pinned import verify

HAS_IMAGES = all(importlib.util.find_spec(name) for name in ("PIL", "onnxruntime", opening.PACKAGE))
images_extra = pytest.mark.skipif(not HAS_IMAGES, reason="the extra 'images' is not installed")


def pictures(count: int = 4) -> list[Pixels]:
    rng = np.random.default_rng(3)
    shapes = [(48, 48), (60, 40), (40, 60), (33, 71)]
    tiles = np.ones((9, 9, 1), np.uint8)
    drawn = [np.kron(rng.integers(0, 255, (8, 8, 3), np.uint8), tiles) for _ in range(count)]
    return [one[:high, :wide] for one, (high, wide) in zip(drawn, shapes * count, strict=False)]


def check(encoder: ImageEncoder) -> None:
    """The contract of `protocols.ImageEncoder`."""
    shown = [*pictures(), np.zeros((1, 1, 3), np.uint8), np.full((1, 500, 3), 255, np.uint8)]
    rows = encoder.encode(shown)
    assert rows.shape == (len(shown), encoder.info.dimensions)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    alone = np.concatenate([encoder.encode([one]) for one in shown])
    assert np.allclose(rows, alone, atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.info.dimensions)
    assert encoder.info.name
    assert encoder.info.digest


def test_the_histogram_keeps_the_contract_and_knows_colours() -> None:
    encoder = HistogramEncoder()
    check(encoder)
    plain = [np.full((30, 30, 3), colour, np.uint8) for colour in ((200, 10, 10), (210, 20, 15), (10, 10, 200))]
    rows = encoder.encode(plain)
    assert rows[0] @ rows[1] > 0.9 > 0.1 > rows[0] @ rows[2]


@images_extra
def test_efficientnet_keeps_the_contract() -> None:
    encoder = open_image_encoder()
    assert encoder.info.name == "efficientnet-lite0"
    check(encoder)


@images_extra
def test_weights_are_read_as_torch_reads_them_and_the_graph_computes_as_torch_does() -> None:
    torch = pytest.importorskip("torch")
    from bodega.understanding.text._onnx import session

    spec = importlib.util.find_spec(opening.PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0]) / opening.FILE
    told = torch.load(path, weights_only=True)
    weights = _lite.read(path)
    assert {name for name, values in told.items() if values.is_floating_point()} == set(weights)
    assert all(np.array_equal(values, told[name].numpy()) for name, values in weights.items())
    planes = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        wanted = reference(torch, told, planes).numpy()
    found = session(_lite.graph(weights)).run(None, {"pixels": planes.numpy()})[0]
    assert np.abs(found - wanted).max() < 1e-4


def reference(torch, told, state):  # type: ignore[no-untyped-def]
    """EfficientNet-lite0 as its paper and the package that made the weights compute it."""
    functional = torch.nn.functional

    def same(values, kernel, stride):  # type: ignore[no-untyped-def]
        side = values.shape[-1]
        missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        first = missing // 2
        return functional.pad(values, (first, missing - first, first, missing - first))

    def norm(values, name):  # type: ignore[no-untyped-def]
        four = (told[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(values, *four, False, 0, 1e-3)

    def convolve(values, name, **how):  # type: ignore[no-untyped-def]
        return functional.conv2d(values, told[f"{name}.weight"], **how)

    state = functional.relu6(norm(convolve(same(state, 3, 2), "_conv_stem", stride=2), "_bn0"))
    for number, block in enumerate(_lite.blocks()):
        at, inner = f"_blocks.{number}.", state
        if block.expansion != 1:
            inner = functional.relu6(norm(convolve(inner, f"{at}_expand_conv"), f"{at}_bn0"))
        how = {"stride": block.stride, "groups": block.inner * block.expansion}
        inner = same(inner, block.kernel, block.stride)
        inner = functional.relu6(norm(convolve(inner, f"{at}_depthwise_conv", **how), f"{at}_bn1"))
        inner = norm(convolve(inner, f"{at}_project_conv"), f"{at}_bn2")
        state = state + inner if block.residual else inner
    return functional.relu6(norm(convolve(state, "_conv_head"), "_bn1")).mean((2, 3))


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"other bytes")
    with pytest.raises(SnapshotCorrupt, match="sha256"):
        verify(path, opening.WEIGHTS, opening.MEND)
    with pytest.raises(SnapshotCorrupt):
        _lite.read(path)


@pytest.mark.parametrize("name", ["resnet", "none", "hub:", "efficientnet"])
def test_a_name_that_means_nothing_teaches(name: str) -> None:
    with pytest.raises(BadSettings, match="histogram"):
        open_image_encoder(Pictures(encoder=name))


def test_what_is_not_installed_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(opening.util, "find_spec", lambda name: None)
    opening._open_efficientnet.cache_clear()
    with pytest.raises(MissingExtra, match=r"pip install 'bodega\[images\]'"):
        open_image_encoder(Pictures(encoder="efficientnet-lite0"))
    assert open_image_encoder(Pictures(), tmp_path).info.name == "histogram"
    with pytest.raises(NotLearned, match="bodega pictures --train"):
        open_image_encoder(Pictures(encoder="own"), tmp_path)


@pytest.mark.slow
def test_an_own_network_learns_shapes_and_is_kept(tmp_path: Path) -> None:
    """Rings and bars in any colour: the histogram of colours cannot tell them apart, a taught network can."""
    pytest.importorskip("torch")
    from bodega.understanding.image._own_training import OwnOptions, train_own
    from bodega.understanding.image.own import OwnEncoder

    rng = np.random.default_rng(5)
    shown = [drawing(at % 2, rng) for at in range(240)]
    labels = ["ring" if at % 2 else "bar" for at in range(240)]
    options = OwnOptions(batch=32, epochs=3)
    encoder = train_own(shown[:200], labels[:200], options)
    check(encoder)
    (tmp_path / "pictures" / "own").mkdir(parents=True)
    encoder.save(tmp_path / "pictures" / "own")
    again = open_image_encoder(Pictures(encoder="own"), tmp_path)
    assert isinstance(again, OwnEncoder)
    assert again.info == encoder.info
    assert np.array_equal(again.encode(shown[:3]), encoder.encode(shown[:3]))
    rows = encoder.encode(shown[200:])[:, :128]
    scores = rows @ rows.T
    np.fill_diagonal(scores, -1)
    right = np.mean([at % 2 == best % 2 for at, best in enumerate(scores.argmax(axis=1))])
    assert right > 0.8


def drawing(kind: int, rng: np.random.Generator) -> Pixels:
    """A ring, or a bar, somewhere, in a colour that says nothing."""
    grid = np.stack(np.meshgrid(np.arange(48), np.arange(48)), -1) - rng.integers(18, 30, 2)
    far = np.hypot(grid[..., 0], grid[..., 1])
    shape = (far > 8) & (far < 13) if kind else (np.abs(grid[..., 0]) < 4) & (np.abs(grid[..., 1]) < 17)
    pixels = np.empty((48, 48, 3), np.uint8)
    pixels[:] = rng.integers(150, 255, 3, np.uint8)
    pixels[shape] = rng.integers(0, 120, 3, np.uint8)
    return pixels


@pytest.mark.slow  # loading torch and transformers alone is 8 s
@pytest.mark.parametrize("kind", ["vit", "clip", "siglip"])
def test_a_hub_model_opens_from_a_folder(kind: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers", reason="the extra 'adapters' is not installed")
    torch.manual_seed(1)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    seen = small | {"image_size": 32, "patch_size": 8}
    if kind == "vit":
        model = transformers.ViTModel(transformers.ViTConfig(**seen))
    elif kind == "clip":
        text = small | {"vocab_size": 50, "max_position_embeddings": 8}
        model = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=seen, projection_dim=12))
    else:
        text = small | {"vocab_size": 50, "max_position_embeddings": 8}
        model = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=seen))
    model.save_pretrained(tmp_path)
    told = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    encoder = open_image_encoder(Pictures(encoder=f"hub:{tmp_path}"))
    check(encoder)
    assert encoder.info.name == f"hub:{tmp_path}"
    assert encoder.info.dimensions - encoder.info.colours == {"vit": 16, "clip": 12, "siglip": 16}[kind]


@pytest.mark.slow
def test_a_hub_model_that_is_not_there_teaches(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra 'adapters' is not installed")
    with pytest.raises(BadSettings, match="folder"):
        open_image_encoder(Pictures(encoder=f"hub:{tmp_path / 'nothing'}"))


def test_copies_hash_alike_and_others_do_not() -> None:
    image = pytest.importorskip("PIL.Image", reason="the extra 'images' is not installed")
    rng = np.random.default_rng(2)
    photos = [
        np.asarray(
            image.fromarray(rng.integers(0, 255, (7, 7, 3), np.uint8)).resize((200, 160), image.Resampling.BICUBIC)
        )
        for _ in range(12)
    ]
    hashes = [difference_hash(one) for one in photos]
    halves = [difference_hash(np.asarray(image.fromarray(one).resize((100, 80)))) for one in photos]
    assert max((one ^ other).bit_count() for one, other in zip(hashes, halves, strict=True)) <= BITS
    apart = [(hashes[one] ^ hashes[other]).bit_count() for one in range(12) for other in range(one)]
    assert min(apart) > BITS
