"""Where may it break, on purpose? Named points at which a test makes a running shop fail.

    if failpoints.ON:
        failpoints.reach("events.commit.before")

`ON` is decided once, when the process starts, by the environment variable BODEGA_FAILPOINTS; without it a point costs
one look at a constant (about 30 ns) and nothing here can be switched on later.
Not for: choosing behaviour, or anything a shop may rely on.
"""

from __future__ import annotations

import os

ON = bool(os.environ.get("BODEGA_FAILPOINTS"))
"""Are there failpoints in this process?"""


def reach(name: str) -> None:
    """Fail here, if somebody asked for it."""
    del name
