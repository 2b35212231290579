"""A tuned network without torch: an ONNX file with 8-bit weights, which `understanding.text.tuned` serves.

The graph is written by torch once; onnxruntime's quantisation turns the weights of its matrices into 8 bits, one scale
an output channel (7 of them used, so that processors without VNNI sum without overflow). Activations are scaled a run,
so a run holds one text: its vector does not depend on what else is asked.
Cost: writing some 10 s; a quarter of the size, half of the time (docs/decisions/0038 has both figures).
Needs: the extra `adapters` to write, `encoders` or `minilm` (onnxruntime, tokenizers) to serve.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import msgspec

from bodega.errors import MissingExtra
from bodega.protocols import EncoderInfo
from bodega.understanding.adapting.networks import TextNetwork
from bodega.understanding.text.tuned import GRAPH, INFO, WORDS


def export(network: TextNetwork, folder: Path, name: str, origin: str, *, bits8: bool = True) -> EncoderInfo:
    """Write the network as an encoder into the folder (existing, empty). Raises MissingExtra."""
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / GRAPH
        _write(network, whole)
        if bits8:
            _quantised(whole, folder / GRAPH)
        else:
            (folder / GRAPH).write_bytes(whole.read_bytes())
    network.tokenizer.save(str(folder / WORDS))
    digest = hashlib.sha256((folder / GRAPH).read_bytes() + (folder / WORDS).read_bytes()).hexdigest()
    width = int(network.model.config.hidden_size)
    info = EncoderInfo(name, width, digest[:16], (), origin)
    (folder / INFO).write_bytes(msgspec.json.encode(info))
    return info


def _write(network: TextNetwork, path: Path) -> None:
    import torch

    class Pooled(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        """The network and the mean over its tokens; all texts of a run have the same number of them."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any) -> Any:
            told = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            return self.model(**told).last_hidden_state.mean(1)

    example = torch.ones(1, 7, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter says that it is the older one; it needs one package less
        torch.onnx.export(
            Pooled(network.model).eval(),
            (example,),
            str(path),
            input_names=["ids"],
            output_names=["mean"],
            dynamic_axes={"ids": {0: "texts", 1: "tokens"}, "mean": {0: "texts"}},
            opset_version=17,
            dynamo=False,
        )


def _quantised(whole: Path, path: Path) -> None:
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise MissingExtra.named("adapters", needed_for="8-bit weights") from error
    logging.getLogger().addFilter(_quiet)
    try:
        quantize_dynamic(str(whole), str(path), weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    finally:
        logging.getLogger().removeFilter(_quiet)


def _quiet(record: logging.LogRecord) -> bool:
    """Keep back the advice to simplify the graph first: matrices of transformers gain nothing by it."""
    return "pre-processing before quantization" not in record.getMessage()
