"""What does a sentence of ours say, for who reads another language? Its stable code, and the values it was made of.

Reports, warnings and trails carry the English sentence, as they always did, and beside it a `Said`: a page that knows
the code says it in its reader's language (`web/console/strings/said.<language>.json`), any other shows the text. A
value that begins with `@` names texts by their keys, separated by spaces: `@loop.gate_quality @loop.gate_attack`.
Errors carry `code` and `values` themselves (`bodega.errors`). Not for: what people typed, which is nobody's sentence.
"""

from __future__ import annotations

import msgspec

Value = str | float | int


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sentence."""

    code: str
    """Stable; `loop.waits`, `drift`, `experiment.mismatch`."""
    text: str
    """The sentence in English."""
    values: dict[str, Value] = {}
    """What stands between its braces."""
