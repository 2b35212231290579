"""How does a diff become settings? As TOML lines to read, and, where the gain is sure, written into `bodega.toml`.

The file is edited line by line: comments, order and everything else a person wrote stay. The new text has to load as
settings before it takes the old one's place, by a rename, so that a shop is never without readable settings.
Not for: settings from the environment, which win over the file; `apply` refuses where one of them would.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bodega import settings as settings_room
from bodega.engine.tuning.dials import Change
from bodega.engine.tuning.search import Tuned
from bodega.errors import BadRequest

_TABLE = re.compile(r"^\s*\[\s*([A-Za-z0-9_.-]+)\s*\]\s*(#.*)?$")


def toml_lines(diff: Sequence[Change]) -> str:
    """The diff as a person would write it."""
    tables: dict[str, list[Change]] = {}
    for change in diff:
        tables.setdefault(change.key.partition(".")[0], []).append(change)
    blocks = []
    for table, own in tables.items():
        lines = [f"{_name(each)} = {_number(each.after)}  # was {_number(each.before)}" for each in own]
        blocks.append("\n".join([f"[{table}]", *lines]))
    return "\n\n".join(blocks)


def apply(folder: Path, found: Tuned, environment: Mapping[str, str] | None = None) -> Path:
    """Write the diff into the shop's settings, atomically; returns the file. Learn again for it to act.

    Raises BadRequest where there is no sure gain, or where the environment would win over what is written.
    """
    if not found.sure:
        raise BadRequest(
            "these settings are not surely better: nothing was written",
            where="bodega tune --apply",
            allowed="a gain whose 95 % interval lies above 0 on the confirming window",
            got=found.verdict,
            next="keep today's settings; tune again when more has happened",
        )
    held = os.environ if environment is None else environment
    louder = [name for each in found.diff if (name := f"BODEGA_{each.key.replace('.', '_').upper()}") in held]
    if louder:
        raise BadRequest(
            "an environment variable wins over what would be written",
            where="bodega tune --apply",
            got=", ".join(louder),
            next="unset it, or change it by hand",
        )
    file = folder / settings_room.FILE
    return replaced(folder, edited(file.read_text("utf-8") if file.exists() else "", found.diff))


def replaced(folder: Path, text: str) -> Path:
    """Make this the shop's settings file, atomically; returns it. Raises BadSettings where it cannot be read so."""
    file = folder / settings_room.FILE
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tuning-") as own:
        fresh = Path(own) / settings_room.FILE
        with fresh.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        settings_room.load(Path(own), {})  # raises BadSettings before anything is replaced
        if file.exists():
            fresh.chmod(file.stat().st_mode & 0o777)
        fresh.replace(file)
    return file


def edited(text: str, diff: Sequence[Change]) -> str:
    """The settings file with these keys set; every other line as it was.

    >>> edited('name = "x"  # mine', [Change("models.transition_window", 20, 8, "")])
    'name = "x"  # mine\\n\\n[models]\\ntransition_window = 8\\n'
    """
    lines = text.splitlines()
    for change in diff:
        lines = set_line(lines, change.key.partition(".")[0], _name(change), _number(change.after))
    return "\n".join(lines) + "\n"


def set_line(lines: list[str], table: str, name: str, value: str) -> list[str]:
    """The lines of a settings file with this key of this table set; every other line as it was."""
    start = next((row for row, line in enumerate(lines) if _table_of(line) == table), None)
    if start is None:
        gap = [""] if lines and lines[-1].strip() else []
        return [*lines, *gap, f"[{table}]", f"{name} = {value}"]
    end = next((row for row in range(start + 1, len(lines)) if _table_of(lines[row]) is not None), len(lines))
    key = re.compile(rf"^\s*[\"']?{re.escape(name)}[\"']?\s*=[^#]*")
    for row in range(start + 1, end):
        found = key.match(lines[row])
        if found:
            rest = lines[row][found.end() :]
            mended = f"{name} = {value}" + (f"  {rest}" if rest else "")
            return [*lines[:row], mended, *lines[row + 1 :]]
    while end > start + 1 and not lines[end - 1].strip():
        end -= 1
    return [*lines[:end], f"{name} = {value}", *lines[end:]]


def _table_of(line: str) -> str | None:
    found = _TABLE.match(line)
    return found.group(1) if found else None


def _name(change: Change) -> str:
    return change.key.partition(".")[2]


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)
