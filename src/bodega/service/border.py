"""What is different at the border where Algolia is spoken: how keys come in, how paths are read, how errors go out.

- The key comes as `x-algolia-api-key`, in a header or in the address (a browser need not ask for permission then). It
  is one of the shop's own keys with its scopes; the application id is not looked at. Log lines carry no address.
- Ids with slashes stay one segment of the path, percent-encoded.
- An error is `{"message": ..., "status": ...}`.

Called by the gate for addresses below `/1/`. Cost: 5 us a request. Not for: whether a key may do that (`guard`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import msgspec
from litestar.types import Scope

from bodega.errors import BadRequest
from bodega.service.desk import as_json
from bodega.service.problems import Problem

PREFIX = "/1/"
KEY = "x-algolia-api-key"
APPLICATION = "x-algolia-application-id"
AGENT = "x-algolia-agent"


def spoken(path: str) -> bool:
    """Is this an address of Algolia's protocol?"""
    return path.startswith(PREFIX)


def adopt(scope: Scope, raw: bytes) -> None:
    """Bring the key into the header where ours are looked for, and keep encoded segments as they are."""
    try:
        segments = [unquote(part, errors="strict") for part in raw.partition(b"?")[0].decode("ascii").split("/")]
    except UnicodeDecodeError as error:
        raise BadRequest("the address is not UTF-8", where="address", allowed="percent-encoded UTF-8") from error
    scope["path"] = "/".join(quote(segment, safe="*") for segment in segments)
    given = [value for name, value in scope["headers"] if name == KEY.encode()]
    asked = parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=None)
    given += [value.encode("utf-8", "replace") for name, value in asked if name.lower() == KEY]
    scope["headers"] = [*scope["headers"], *((b"x-api-key", value) for value in dict.fromkeys(given) if value)]


def segment(scope: Mapping[str, Any], name: str) -> str:
    """A path parameter, decoded."""
    return unquote(scope["path_params"][name], errors="replace")


def shaped(problem: Problem, path: str) -> Problem:
    """The problem as this address tells it: below `/1/` as Algolia's clients expect it, who show the message."""
    if not spoken(path):
        return problem
    facts = msgspec.json.decode(problem.body, type=dict[str, Any])
    said = [f"{label}: {facts[name]}" for name, label in _TOLD if facts.get(name)]
    body = as_json({"message": "; ".join([str(facts.get("detail", "")), *said]), "status": problem.status})
    return Problem(problem.status, body, problem.headers, "application/json")


_TOLD = (("where", "where"), ("got", "got"), ("allowed", "allowed"), ("next", "next"), ("id", "id"))
