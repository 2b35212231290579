"""Which bytes does the browser load? The package's static files, read once, named by the digest of them all.

The digest is part of the path, so a file may be cached for a year and still changes with the next release; an old
path keeps working (with today's bytes, revalidated). Compressed once when loaded: 130 kB become about 50 kB on the
wire. Not for pictures or uploads.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

TYPES = {
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
}


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
    """All static files by name, and the `version` that stands in their address."""

    version: str
    files: Mapping[str, Asset]

    @classmethod
    def load(cls) -> Assets:
        found: dict[str, Asset] = {}
        whole = hashlib.sha256()
        for entry in sorted(files(__package__).joinpath("static").iterdir(), key=lambda each: each.name):
            kind = TYPES.get(entry.name.rpartition(".")[2])
            if kind is None or not entry.is_file():
                continue
            body = entry.read_bytes()
            digest = hashlib.sha256(body).hexdigest()
            whole.update(f"{entry.name} {digest}\n".encode())
            found[entry.name] = Asset(entry.name, body, gzip.compress(body, 9, mtime=0), kind, f'"{digest[:20]}"')
        return cls(whole.hexdigest()[:12], found)

    def url(self, name: str) -> str:
        return f"/static/storefront/{self.version}/{name}"

    @property
    def modules(self) -> list[str]:
        """Addresses of all script modules, to be loaded at once rather than one after the other."""
        return [self.url(name) for name in self.files if name.endswith(".js")]
