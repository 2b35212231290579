"""What else could have been meant? A language model's other wordings, for queries that found nothing. Off by default.

Any OpenAI-compatible server will do (`understand.endpoint`, `understand.llm`; the key comes from the environment and is
never logged). The model only words queries: it never sees, picks or orders items, and its wordings are searched like
anything a shopper types. `learn` judges it on the shop's own searches and switches it off where it does not surely help
(`engine.rewriting`). A server that fails is left alone for a while; the answer then says so and goes on without.
Cost: the server's, 3 s at most, and only where nothing else was found; wordings are remembered.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from typing import Any

import msgspec

from bodega import failpoints
from bodega.errors import BadSettings, MissingExtra
from bodega.settings import Understand

KEY = "BODEGA_ENDPOINT_KEY"
SECONDS = 3.0
PAUSE = 30.0
"""Seconds that a server which failed is left alone."""
REMEMBERED = 10_000
MOST = 3
LONGEST = 200
"""Characters of a query that is asked about, and of a wording."""

TASK = (
    "You reword product searches of an online shop. Given a search that found nothing, answer with up to three other "
    "short searches for the same product: common names instead of rare ones, no filler words, no explanations. "
    'Answer as JSON: {"queries": ["...", "..."]}'
)
SHAPE = {
    "type": "json_schema",
    "json_schema": {
        "name": "queries",
        "schema": {
            "type": "object",
            "properties": {"queries": {"type": "array", "items": {"type": "string"}, "maxItems": MOST}},
            "required": ["queries"],
            "additionalProperties": False,
        },
    },
}


class _Answer(msgspec.Struct):
    queries: list[str]


class LlmRewriter:
    """Other wordings of a query from a chat model; none where the server does not answer in time or in shape."""

    def __init__(self, chosen: Understand) -> None:
        """Raises MissingExtra without the `openai` client, BadSettings without an address."""
        try:
            from openai import OpenAI
        except ImportError as error:
            raise MissingExtra.named("llm", needed_for=f"rewriting queries with '{chosen.llm}'") from error
        if not chosen.endpoint.startswith(("http://", "https://")):
            raise BadSettings(
                "a language model needs the address of its server",
                where="understand.endpoint",
                allowed="http(s)://host[:port]/path such as http://127.0.0.1:8000/v1",
                next="set understand.endpoint, or clear understand.llm",
            )
        # Without a key of ours the client would send OPENAI_API_KEY, which belongs to somebody else.
        self._client: Any = OpenAI(
            api_key=os.environ.get(KEY, "") or "none", base_url=chosen.endpoint, timeout=SECONDS, max_retries=0
        )
        self.model = chosen.llm
        self._known: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._until = 0.0
        self._lock = threading.Lock()

    def wordings(self, query: str) -> tuple[str, ...]:
        """At most three other wordings, best first; empty where there are none."""
        query = " ".join(query[:LONGEST].split())
        known = self._known.get(query)
        if known is not None or not query or time.monotonic() < self._until:
            return known or ()
        found = self._ask(query)
        if found is None:
            self._until = time.monotonic() + PAUSE
            return ()
        with self._lock:
            self._known[query] = found
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    @property
    def trouble(self) -> str:
        """Why queries are not reworded at this moment; "" when they are."""
        return f"llm: {self.model} did not answer; searched without it" if time.monotonic() < self._until else ""

    def _ask(self, query: str) -> tuple[str, ...] | None:
        from openai import OpenAIError

        spoiled = False
        try:
            if failpoints.ON:
                spoiled = failpoints.reach("llm.ask")
            answer = self._client.chat.completions.create(
                model=self.model,
                messages=[{"role": "system", "content": TASK}, {"role": "user", "content": query}],
                response_format=SHAPE,
                temperature=0,
                max_tokens=120,
            )
            text = "{" if spoiled else answer.choices[0].message.content or ""
            told = msgspec.json.decode(text, type=_Answer).queries
        except (OpenAIError, OSError, msgspec.MsgspecError, ValueError, AttributeError, IndexError, TypeError):
            return None
        clean = [" ".join(text[:LONGEST].split()) for text in told]
        return tuple(dict.fromkeys(text for text in clean if text and text.casefold() != query.casefold()))[:MOST]
