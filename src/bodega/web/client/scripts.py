"""Which scripts can a shop's own pages load, under which address and digest? The files of `static/`, read once.

The digest of all of them is part of the address, so a browser may keep a file for a year; `integrity` (SHA-384) lets a
page refuse anything else. `/client/v1/...` always serves today's files, to be asked for again: for pages that are not
edited at every upgrade. Pages of other origins may load them (they hold nothing secret); whether such pages may ask
anything is decided by `serve.origins` and their key. Cost: 60 kB of text, compressed once.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler

from bodega.web.files import Asset, answered

FLOATING = "v1"
"""The address that always serves today's files."""
TYPES = {".d.ts": "text/plain", ".js": "text/javascript"}
ANYBODY = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Timing-Allow-Origin": "*",
}
"""Pages of any origin may load these files."""
CLIENT, ELEMENTS = "bodega.js", "bodega-elements.js"


@dataclass(frozen=True, slots=True)
class Script:
    """One file."""

    name: str
    body: bytes
    squeezed: bytes
    """The body, gzipped."""
    type: str
    integrity: str
    """For the attribute of that name: `sha384-...`."""


@dataclass(frozen=True, slots=True)
class Scripts:
    """All files by name, and the `version` that stands in their address."""

    version: str
    files: Mapping[str, Script]

    @classmethod
    def load(cls) -> Scripts:
        found: dict[str, Script] = {}
        whole = hashlib.sha256()
        for entry in sorted(files(__package__).joinpath("static").iterdir(), key=lambda each: each.name):
            kind = next((kind for end, kind in TYPES.items() if entry.name.endswith(end)), None)
            if kind is None:
                continue
            body = entry.read_bytes()
            whole.update(f"{entry.name} {hashlib.sha256(body).hexdigest()}\n".encode())
            digest = base64.b64encode(hashlib.sha384(body).digest()).decode()
            found[entry.name] = Script(entry.name, body, gzip.compress(body, 9, mtime=0), kind, f"sha384-{digest}")
        return cls(whole.hexdigest()[:12], found)

    def url(self, name: str, base: str = "", *, floating: bool = False) -> str:
        return f"{base.rstrip('/')}/client/{FLOATING if floating else self.version}/{name}"


def client_handlers() -> list[HTTPRouteHandler]:
    """The route of the scripts, ready for a Litestar application."""
    scripts = Scripts.load()

    @get(
        "/client/{version:str}/{name:str}",
        include_in_schema=False,
        sync_to_thread=False,
        opt={"public": True},
        name="client_script",
    )
    def script(request: Request[object, object, State]) -> Response[bytes]:
        version, name = request.path_params["version"], request.path_params["name"]
        found = scripts.files.get(name)
        if found is None:
            raise NotFoundException(detail=f"there is no script named {name!r}; there are {', '.join(scripts.files)}")
        asset = Asset(name, found.body, found.squeezed, found.type, f'"{found.integrity[7:27]}"')
        return answered(request, asset, lasting=version == scripts.version, besides=ANYBODY)

    return [script]


def snippet(base: str, key: str, *, floating: bool = False) -> str:
    """What a page's `<head>` needs: the key, and the scripts with the digests that they must have.

    `base` is where the shop answers (`https://search.example`); `key` holds the scopes search and events.
    """
    scripts = Scripts.load()

    def tied(name: str) -> str:
        held = f' integrity="{scripts.files[name].integrity}"' if not floating else ""
        return f'"{html.escape(scripts.url(name, base, floating=floating))}"{held} crossorigin="anonymous"'

    return "\n".join(
        (
            f'<meta name="bodega-key" content="{html.escape(key)}">',
            f'<link rel="modulepreload" href={tied(CLIENT)}>',
            f'<script type="module" src={tied(ELEMENTS)}></script>',
        )
    )
