"""How are static files served? A package's `static/` is read once, named by the digest of it all, and compressed once.

The digest is part of the address, so a browser may keep a file for a year and still gets the next release; an old
address keeps working (with today's bytes, to be asked for again). Not for: pictures, or anything that changes.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from litestar import Request, Response
from litestar.datastructures import State
from litestar.enums import MediaType

TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    name: str
    body: bytes
    squeezed: bytes
    """The body, gzipped."""
    type: str
    etag: str


def read(package: str, besides: Iterable[str] = ()) -> tuple[str, dict[str, Asset]]:
    """(version, {path below `static/`: file}) of a package; `besides` are further lines that the version stands for."""
    found: dict[str, Asset] = {}
    whole = hashlib.sha256()
    for name, entry in sorted(_below(files(package).joinpath("static"), "")):
        kind = TYPES.get(name.rpartition(".")[2])
        if kind is None:
            continue
        body = entry.read_bytes()
        digest = hashlib.sha256(body).hexdigest()
        whole.update(f"{name} {digest}\n".encode())
        found[name] = Asset(name, body, gzip.compress(body, 9, mtime=0), kind, f'"{digest[:20]}"')
    for line in besides:
        whole.update(f"{line}\n".encode())
    return whole.hexdigest()[:12], found


def answered(
    request: Request[object, object, State], asset: Asset, *, lasting: bool, besides: Mapping[str, str] | None = None
) -> Response[bytes]:
    """The file, or that it did not change. `lasting`: the address stands for these very bytes."""
    headers = {
        "ETag": asset.etag,
        "Cache-Control": "public, max-age=31536000, immutable" if lasting else "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
        **(besides or {}),
    }
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers, media_type=asset.type)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.squeezed, media_type=asset.type, headers=headers)
    return Response(asset.body, media_type=asset.type, headers=headers)


@dataclass(frozen=True, slots=True)
class Shell:
    """A page without anything of its reader in it, as bytes and gzipped: nothing that a length could tell of."""

    body: bytes
    squeezed: bytes

    @classmethod
    def of(cls, body: bytes) -> Shell:
        return cls(body, gzip.compress(body, 9, mtime=0))

    def answered(self, request: Request[object, object, State], headers: Mapping[str, str]) -> Response[bytes]:
        """The page as this browser takes it."""
        told = {**headers, "Vary": "Cookie, Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.squeezed, media_type=MediaType.HTML, headers={**told, "Content-Encoding": "gzip"})
        return Response(self.body, media_type=MediaType.HTML, headers=told)


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry
