"""What every benchmark returns: one object with stable names, so that a figure can be quoted, compared and plotted.

`bodega bench X --json` prints exactly this; without `--json` the same figures are a table.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec


class BenchResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`figures` are named `<source>.<metric>` (`transition.ndcg@10`); `intervals` holds [low, high] at 95 %."""

    bench: str
    data: str
    seconds: float
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]] = {}
    slices: dict[str, dict[str, float]] = {}
    """{slice name: {figure name: value}}; each slice also carries `cases`."""
    facts: dict[str, Any] = {}
    """Seed, data hash, number of users and items, options: what is needed to repeat the run."""
    notes: tuple[str, ...] = ()


def data_hash(*paths: Path) -> str:
    """SHA-256 (first 16 hex digits) of the files' bytes, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
