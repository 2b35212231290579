"""How is an ONNX graph written without the `onnx` package? By the protobuf wire format, of which a graph needs little.

`onnx` (9 MB, and ml_dtypes with it) would be installed only to fill eight kinds of message. Field numbers are those of
`onnx.proto3`, IR version 8. Cost: one copy of the weights. Not for: reading graphs (onnxruntime does that).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

MICROSOFT = "com.microsoft"
"""Domain of the fused operators that every onnxruntime build carries."""

_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}
_FLOAT, _INT, _INTS = 1, 2, 7

Attribute = float | int | Sequence[int]


def tensor(name: str, values: NDArray[np.generic]) -> bytes:
    """A named constant."""
    data = np.ascontiguousarray(values)
    dims = b"".join(_number(1, size) for size in data.shape)
    return dims + _number(2, _TYPES[data.dtype.name]) + _text(8, name) + _bytes(9, data.tobytes())


def node(
    kind: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    attributes: Mapping[str, Attribute] | None = None,
    *,
    domain: str = "",
) -> bytes:
    """One operator; an input that is left out is ""."""
    body = b"".join(_text(1, name) for name in inputs) + b"".join(_text(2, name) for name in outputs) + _text(4, kind)
    body += b"".join(_bytes(5, _attribute(name, value)) for name, value in (attributes or {}).items())
    return body + (_text(7, domain) if domain else b"")


def floats(name: str, shape: Sequence[int | str]) -> bytes:
    """A float32 input or output; a dimension by name may have any size."""
    dims = b"".join(_bytes(1, _number(1, size) if isinstance(size, int) else _text(2, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, dims)))


def model(
    nodes: Sequence[bytes], constants: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]
) -> bytes:
    """A whole model file: opset 18 and the fused operators."""
    parts = ((1, nodes), (5, constants), (11, inputs), (12, outputs))
    graph = _text(2, "encoder") + b"".join(_bytes(field, one) for field, many in parts for one in many)
    opsets = _bytes(8, _text(1, "") + _number(2, 18)) + _bytes(8, _text(1, MICROSOFT) + _number(2, 1))
    return _number(1, 8) + _bytes(7, graph) + opsets


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, _FLOAT)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _INT)
    return _text(1, name) + b"".join(_number(8, one) for one in value) + _number(20, _INTS)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value & (2**64 - 1))


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
