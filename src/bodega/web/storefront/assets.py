"""Which bytes does the browser load? The shop front's static files, named by the digest of them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bodega.web.files import Asset, read


@dataclass(frozen=True, slots=True)
class Assets:
    """All static files by name, and the `version` that stands in their address."""

    version: str
    files: Mapping[str, Asset]

    @classmethod
    def load(cls) -> Assets:
        return cls(*read(__package__))

    def url(self, name: str) -> str:
        return f"/static/storefront/{self.version}/{name}"

    @property
    def modules(self) -> list[str]:
        """Addresses of all script modules, to be loaded at once rather than one after the other."""
        return [self.url(name) for name in self.files if name.endswith(".js")]
