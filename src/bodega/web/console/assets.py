"""Which bytes does the browser load? The console's static files by their path, named by the digest of them all.

Modules name each other by relative paths and stay within one version. Not for: libraries, which are read when they are
first asked for (`vendor`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bodega.web.console.vendor import LIBRARIES
from bodega.web.files import Asset, read

PREFIX = "/static/console"


@dataclass(frozen=True, slots=True)
class Assets:
    """All static files by path (`lib/dom.js`), and the `version` that stands in their address."""

    version: str
    files: Mapping[str, Asset]

    @classmethod
    def load(cls) -> Assets:
        return cls(*read(__package__, (f"{library.name} {library.digest}" for library in LIBRARIES.values())))

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
