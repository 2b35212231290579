"""What does an entry of `Item.images` name, and which bytes are there? A file, a data URI, or an address.

A file lies inside the shop's picture folder (`pictures.folder`), and is opened without following a link out of it;
`..`, absolute paths elsewhere, devices and links that lead outside are refused. The stamp of a reference changes when
it may show something else (size and time of a file), so that an unchanged one is not even read again. An address has no
stamp: whoever changes a picture changes its address, as every CDN asks; `bodega pictures --again` fetches anew.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path
from urllib.parse import unquote_to_bytes

from bodega.adapters.pictures.addresses import Resolver, resolve
from bodega.adapters.pictures.fetch import fetch
from bodega.errors import BadPicture
from bodega.settings import Pictures


class References:
    """Reads what references name; threads may share it."""

    def __init__(self, shop: Path, chosen: Pictures, resolver: Resolver = resolve) -> None:
        """`shop`: the shop's folder."""
        self.chosen = chosen
        self.root = (shop / chosen.folder).absolute()
        self._resolver = resolver

    def stamp(self, reference: str) -> int:
        """Changes when it may show something else; 0 where nothing tells, -1 for a file that cannot be read."""
        if not is_file(reference):
            return 0
        try:
            told = self._path(reference).stat()
        except (OSError, BadPicture, ValueError):
            return -1
        return (told.st_mtime_ns ^ told.st_size << 40) & (2**63 - 1)

    def read(self, reference: str) -> bytes:
        """Its bytes. Raises BadPicture."""
        lower = reference[:8].lower()
        if lower.startswith("data:"):
            return self._data(reference)
        if lower.startswith(("http://", "https://")):
            if not self.chosen.fetch:
                raise _refused("not_fetched", "files and data URIs (pictures.fetch is off)", reference)
            return fetch(reference, self.chosen, self._resolver).data
        if not is_file(reference):
            raise _refused("bad_address", "http, https, data, or a path", reference)
        return self._file(reference)

    def _file(self, reference: str) -> bytes:
        path = self._path(reference)
        try:
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
            with os.fdopen(handle, "rb") as stream:
                told = os.fstat(stream.fileno())
                if not stat.S_ISREG(told.st_mode):
                    raise _refused("forbidden_path", "a plain file", reference)
                if told.st_size > self.chosen.bytes_limit:
                    raise _refused("too_many_bytes", f"at most {self.chosen.bytes_limit:,} bytes", reference)
                return stream.read(self.chosen.bytes_limit + 1)
        except OSError as error:
            raise _refused("missing", f"a file in {self.root}", reference, error) from error

    def _path(self, reference: str) -> Path:
        """Where the file lies, links resolved, inside of the folder. Raises BadPicture."""
        if "\0" in reference or len(reference) > 1_000:
            raise _refused("forbidden_path", "a path", reference)
        plain = reference.removeprefix("file://").replace("\\", "/")
        try:
            root = self.root.resolve()
            path = (root / plain).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise _refused("forbidden_path", f"a file in {self.root}", reference, error) from error
        if not path.is_relative_to(root) or path == root:
            raise _refused("forbidden_path", f"a file in {self.root}", reference)
        return path

    def _data(self, reference: str) -> bytes:
        head, comma, body = reference.partition(",")
        if not comma:
            raise _refused("bad_address", "data:image/...;base64,...", reference)
        if len(body) > self.chosen.bytes_limit * 4 // 3 + 4:
            raise _refused("too_many_bytes", f"at most {self.chosen.bytes_limit:,} bytes", head)
        try:
            if head.rstrip().lower().endswith(";base64"):
                return base64.b64decode(unquote_to_bytes(body), validate=True)
            return unquote_to_bytes(body)
        except (binascii.Error, ValueError) as error:
            raise _refused("bad_address", "data:image/...;base64,...", head, error) from error


def is_file(reference: str) -> bool:
    """Does it name a file (and not an address)?"""
    scheme, colon, _ = reference.partition(":")
    return not colon or "/" in scheme or scheme == "file" or not scheme.isascii() or not scheme[:1].isalpha()


def _refused(reason: str, allowed: str, reference: str, got: object = None) -> BadPicture:
    return BadPicture(
        "this picture cannot be read",
        reason=reason,
        where=reference[:200],
        allowed=allowed,
        got=got,
        next="put the file into the shop's picture folder, or name a public address",
    )
