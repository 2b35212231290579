"""What may a text hold that a tokenizer must not see? Half characters, NUL bytes, and too much of anything."""

from __future__ import annotations

LIMIT = 20_000
"""Characters looked at; what tokenizers keep of them is cut to their own number of tokens."""


def cleaned(text: str, limit: int = 2_000) -> str:
    """The text without lone surrogates and NULs, runs of white space as one space, at most `limit` characters."""
    whole = text[:LIMIT].encode("utf-8", "ignore").decode("utf-8").replace("\0", "")
    return " ".join(whole.split())[:limit]
