"""What does a field of a type mean? The text that stands under it in the source, for the document of the API.

Python throws the strings under attributes away, so the source is read (once, 5 ms a module); where there is none (a
frozen program) the types are simply not described. Not for: settings (`docs/make_settings.py` writes their page).
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable
from functools import cache
from types import ModuleType
from typing import Any


def describe(schemas: dict[str, dict[str, Any]], types: Iterable[type]) -> None:
    """Put descriptions under the properties of the schemas, from the modules that these types come from."""
    for name in dict.fromkeys(each.__module__ for each in types):
        for kind, fields in meanings(sys.modules[name]).items():
            properties = schemas.get(kind, {}).get("properties", {})
            for field, text in fields.items():
                if field in properties and "description" not in properties[field]:
                    properties[field] = {**properties[field], "description": text}


@cache
def meanings(module: ModuleType) -> dict[str, dict[str, str]]:
    """{class: {attribute: the text under it}} of one module."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return {}
    return {node.name: _fields(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _fields(node: ast.ClassDef) -> dict[str, str]:
    found = {}
    for statement, below in zip(node.body, node.body[1:], strict=False):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            found[statement.target.id] = " ".join(below.value.value.split())
    return found
