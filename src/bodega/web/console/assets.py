"""Which bytes does the browser load? The console's static files by their path, named by the digest of them all.

The digest is part of the address, so a file may be cached for a year and still changes with the next release; modules
name each other by relative paths and stay within one version. Compressed once when loaded. Not for: libraries, which
are read when they are first asked for (`vendor`), or pictures.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from bodega.web.console.vendor import LIBRARIES

TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
PREFIX = "/static/console"


@dataclass(frozen=True, slots=True)
class Asset:
    name: str
    body: bytes
    squeezed: bytes
    """The body, gzipped."""
    type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All static files by path (`lib/dom.js`), and the `version` that stands in their address."""

    version: str
    files: Mapping[str, Asset]

    @classmethod
    def load(cls) -> Assets:
        found: dict[str, Asset] = {}
        whole = hashlib.sha256()
        for name, entry in sorted(_below(files(__package__).joinpath("static"), "")):
            kind = TYPES.get(name.rpartition(".")[2])
            if kind is None:
                continue
            body = entry.read_bytes()
            digest = hashlib.sha256(body).hexdigest()
            whole.update(f"{name} {digest}\n".encode())
            found[name] = Asset(name, body, gzip.compress(body, 9, mtime=0), kind, f'"{digest[:20]}"')
        for library in LIBRARIES.values():
            whole.update(f"{library.name} {library.digest}\n".encode())
        return cls(whole.hexdigest()[:12], found)

    def find(self, name: str) -> Asset | None:
        """A file of ours, or of a library that is installed as tested."""
        if name.startswith("vendor/"):
            library = LIBRARIES.get(name.removeprefix("vendor/"))
            if library is None or library.body is None:
                return None
            return Asset(name, library.body, library.squeezed, library.type, f'"{library.digest[:20]}"')
        return self.files.get(name)

    def url(self, name: str) -> str:
        return f"{PREFIX}/{self.version}/{name}"

    @property
    def frame(self) -> list[str]:
        """Addresses of the modules that every page needs, to be loaded at once; pages come when they are opened."""
        return [self.url(name) for name in self.files if name.endswith(".js") and not name.startswith("pages/")]


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry
