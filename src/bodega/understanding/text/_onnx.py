"""How is an ONNX graph run here? With one thread a run; several runs at once are the affair of `_batches`."""

from __future__ import annotations

from typing import Any


def session(graph: bytes | str) -> Any:
    """An onnxruntime session over a model in memory or at a path."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
