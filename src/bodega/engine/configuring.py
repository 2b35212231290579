"""What can be set, what is set, and what would another value change? The settings as forms, and the file they live in.

The forms come out of the types in `settings`: kinds of values, limits, choices, the text under each key. A change is
checked by loading the whole tree with it, exactly as the next start will, and then written into `bodega.toml` in one
rename; comments and order stay (tomlkit). A change says when it takes effect (`engine.renewing`).
Passwords inside addresses are shown as `***` and kept when such an address comes back unchanged.
Cost: 5 ms. Not for: secrets (there are none here), nor tables of people's own names (`kinds`), which are shown only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect as kinds

from bodega.engine.meanings import meanings
from bodega.engine.renewing import takes_effect
from bodega.errors import BadRequest, BadSettings, MissingExtra, Stale
from bodega.settings import FILE, Settings, load

PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):([^/@\s]+)@")
MASK = "***"
LIMIT = 200


class Choice(msgspec.Struct, frozen=True):
    """One key that can be set."""

    key: str
    """Its path: `serve.port`."""
    kind: str
    """`text`, `integer`, `number`, `switch`, `choice`, `list` (texts), or `table` (shown, not edited here)."""
    about: str
    value: Any
    """What holds: of the file, the environment, or the default."""
    default: Any
    source: str
    """Where the value comes from: `default`, `file`, `environment`."""
    takes_effect: str
    """`now` (within seconds), `learn` or `restart`."""
    choices: list[str] = []
    least: float | None = None
    above: float | None = None
    """The value must be larger than this."""
    most: float | None = None


class Table(msgspec.Struct, frozen=True):
    """What belongs together."""

    name: str
    """"" for the keys on top."""
    about: str
    choices: list[Choice]


class Held(msgspec.Struct, frozen=True):
    """All settings, and the version of the file that they were read from."""

    version: str
    file: str
    tables: list[Table]


class Difference(msgspec.Struct, frozen=True):
    """One key with another value."""

    key: str
    before: Any
    after: Any
    takes_effect: str


class Considered(msgspec.Struct, frozen=True):
    """What a change would do; nothing is written yet, or it was (`saved`)."""

    differences: list[Difference]
    lines: list[str]
    """The file's lines that change, as a diff: ` `, `-`, `+`."""
    version: str
    saved: bool = False


class Configuring:
    """The settings of the shop in a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def held(self) -> Held:
        """What can be set and what is. Raises BadSettings where the file itself is broken."""
        text = self._text()
        now = _plain(load(self._path.parent))
        told = _flat(tomllib.loads(text))
        tables: dict[str, list[Choice]] = {}
        abouts: dict[str, str] = {}
        for path, spec, owner in _specs(Settings):
            key, table = ".".join(path), ".".join(path[:-1])
            value, default = _at(now, path), _at(_plain(Settings()), path)
            variable = "_".join(("BODEGA", *path)).upper()
            source = "environment" if variable in os.environ else "file" if key in told else "default"
            tables.setdefault(table, []).append(_choice(key, spec, owner, (value, default, source)))
            abouts.setdefault(table, _first(owner.__doc__) if path[:-1] else "")
        return Held(
            version=_version(text),
            file=self._path.name,
            tables=[Table(name, abouts[name], choices) for name, choices in tables.items()],
        )

    def consider(self, changes: Mapping[str, Any], version: str, *, save: bool = False) -> Considered:
        """What these values would change; `save` writes them. None takes a key back to its default.

        Raises BadSettings (at the key), Stale when the file was changed since, MissingExtra without tomlkit.
        """
        text = self._text()
        if version != _version(text):
            raise Stale(
                "the settings were changed since they were read",
                code="settings.stale",
                where=FILE,
                next="load the page again, then change them",
            )
        if len(changes) > LIMIT:
            raise BadRequest(
                "too many changes at a time",
                code="settings.too_many",
                where="changes",
                allowed=str(LIMIT),
                got=str(len(changes)),
            )
        known = {".".join(path): path for path, spec, _ in _specs(Settings) if _kind(spec.type) != "table"}
        unknown = sorted(changes.keys() - known.keys())
        if unknown:
            raise BadSettings(
                "there is no such setting to change here",
                code="settings.unknown",
                where=unknown[0][:100],
                got=unknown[0][:100],
            )
        written = self._written(text, {known[key]: value for key, value in changes.items()})
        after = _plain(_checked(written))
        before = _plain(_checked(text))
        differences = [
            Difference(key, masked(_at(before, path)), masked(_at(after, path)), takes_effect(path))
            for key, path in known.items()
            if key in changes and _at(before, path) != _at(after, path)
        ]
        if save and differences:
            self._save(written)
        return Considered(differences, _diff(text, written), _version(written if save else text), save)

    def _written(self, text: str, changes: Mapping[tuple[str, ...], Any]) -> str:
        """The file's text with the changes in it."""
        try:
            import tomlkit
        except ImportError as error:
            raise MissingExtra.named("console", needed_for="writing bodega.toml with its comments") from error
        document = tomlkit.parse(text)
        plain = tomllib.loads(text)
        for path, value in changes.items():
            at: Any = document
            kept = _at(plain, path)
            if isinstance(value, str) and MASK in value and isinstance(kept, str) and masked(kept) == value:
                continue  # a password that was never shown comes back as it was shown
            if value is None:
                _removed(document, path)
                continue
            for name in path[:-1]:
                if name not in at:
                    at[name] = tomlkit.table()
                at = at[name]
            at[path[-1]] = value
        return tomlkit.dumps(document)

    def _text(self) -> str:
        try:
            return self._path.read_text("utf-8")
        except FileNotFoundError:
            return ""

    def _save(self, text: str) -> None:
        """Write, fsync, rename, fsync the folder: a reader sees the old file or the new one."""
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        mode = self._path.stat().st_mode & 0o777 if self._path.exists() else 0o644
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.chmod(mode)
            draft.replace(self._path)
        finally:
            draft.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            handle = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def masked(value: Any) -> Any:
    """The value without passwords.

    >>> masked("postgresql://bodega:secret@db/shop")
    'postgresql://bodega:***@db/shop'
    """
    return PASSWORD.sub(rf"\1:{MASK}@", value) if isinstance(value, str) else value


def _checked(text: str) -> Settings:
    """The settings of this text, as a start would read them without an environment. Raises BadSettings at the key."""
    try:
        return msgspec.convert(tomllib.loads(text), Settings, strict=False)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(
            "the settings would not be valid TOML", code="settings.toml", where=FILE, got=str(error)
        ) from error
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise BadSettings(what, where=where.rstrip("`") or FILE, next="choose another value") from error


def _specs(struct: type[msgspec.Struct], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, type]]:
    """(path, field, the struct that holds it) of every key in the tree."""
    info = kinds.type_info(struct)
    assert isinstance(info, kinds.StructType)
    for spec in info.fields:
        if isinstance(spec.type, kinds.StructType):
            yield from _specs(spec.type.cls, (*path, spec.name))
        else:
            yield (*path, spec.name), spec, struct


def _choice(key: str, spec: Any, owner: type, known: tuple[Any, Any, str]) -> Choice:
    value, default, source = known
    kind = spec.type
    return Choice(
        key=key,
        kind=_kind(kind),
        about=meanings(sys.modules[owner.__module__]).get(owner.__name__, {}).get(spec.name, ""),
        value=masked(value),
        default=masked(default),
        source=source,
        takes_effect=takes_effect(key.split(".")),
        choices=[str(each) for each in kind.values] if isinstance(kind, kinds.LiteralType) else [],
        least=getattr(kind, "ge", None),
        above=getattr(kind, "gt", None),
        most=getattr(kind, "le", None),
    )


def _kind(kind: Any) -> str:
    names: dict[Any, str] = {
        kinds.BoolType: "switch",
        kinds.IntType: "integer",
        kinds.FloatType: "number",
        kinds.StrType: "text",
    }
    if type(kind) in names:
        return names[type(kind)]
    if isinstance(kind, kinds.LiteralType):
        return "choice"
    if isinstance(kind, kinds.VarTupleType | kinds.ListType) and isinstance(kind.item_type, kinds.StrType):
        return "list"
    return "table"


def _first(text: str | None) -> str:
    return " ".join((text or "").split())


def _plain(settings: msgspec.Struct) -> dict[str, Any]:
    """Every key, also of structs that are written without their defaults."""
    found: dict[str, Any] = {}
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        found[name] = _plain(value) if isinstance(value, msgspec.Struct) else msgspec.to_builtins(value)
    return found


def _at(tree: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    at: Any = tree
    for name in path:
        at = at.get(name) if isinstance(at, Mapping) else None
    return at


def _flat(tree: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Paths of everything that the tree says, tables included."""
    found: set[str] = set()
    for name, value in tree.items():
        found.add(prefix + name)
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
    return found


def _removed(document: Any, path: tuple[str, ...]) -> None:
    """Take a key out; a table that is empty then goes, too."""
    above = [document]
    for name in path[:-1]:
        if name not in above[-1]:
            return
        above.append(above[-1][name])
    above[-1].pop(path[-1], None)
    for table, name in zip(reversed(above[:-1]), reversed(path[:-1]), strict=True):
        if not len(table[name]):
            table.pop(name)


def _version(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _diff(before: str, after: str) -> list[str]:
    """Lines that change, two around them, without passwords."""
    import difflib

    found = difflib.unified_diff(masked(before).splitlines(), masked(after).splitlines(), n=2, lineterm="")
    return [line for line in found if not line.startswith(("---", "+++", "@@"))]
