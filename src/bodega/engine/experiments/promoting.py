"""How does an arm become the shop? Its dials are written into `bodega.toml`, and act in this process at once.

The file is edited line by line, as `bodega tune --apply` does: what a person wrote stays. Each process of the shop
does it when it notices that an experiment was finished with a promoted arm; the second one finds the file written.
Environment variables win over the file, as always: where one would, the dial acts until the next start, and the log
says so. Not for: snapshots, which are promoted by a rollback to them.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bodega import settings as settings_room
from bodega.engine.dials import Value, settings_of
from bodega.engine.tuning.applying import replaced, set_line
from bodega.settings import Settings

LOGGER = logging.getLogger("bodega.experiments")


def promoted(folder: Path, settings: Settings, turned: Mapping[str, Value]) -> Settings:
    """The settings with these dials turned, in the file too. Raises BadRequest, BadSettings."""
    after = settings_of(settings, turned)
    file = folder / settings_room.FILE
    text = file.read_text("utf-8") if file.exists() else ""
    lines = text.splitlines()
    for table, name in sorted({_key(dial) for dial in turned}):
        held: object = after
        for part in (*table.split("."), name):
            held = getattr(held, part)
        lines = set_line(lines, table, name, toml(held))
        variable = f"BODEGA_{table}_{name}".replace(".", "_").upper()
        if variable in os.environ:
            LOGGER.warning("an environment variable will win", extra={"facts": {"variable": variable}})
    new = "\n".join(lines) + "\n"
    if new != text:
        replaced(folder, new)
    return after


def _key(dial: str) -> tuple[str, str]:
    """(table, key) of a dial in the settings file."""
    parts = dial.split(".")
    if parts[0] == "dials":
        return "dials", parts[1]
    return ".".join(parts[:-1]), parts[-1]


def toml(value: object) -> str:
    """A value as the settings file holds it.

    >>> toml({"dense": 2.0}), toml(("a",)), toml(True), toml(0.2), toml("dpp")
    ('{ "dense" = 2.0 }', '["a"]', 'true', '0.2', '"dpp"')
    """
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in sorted(value.items())) + " }"
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
