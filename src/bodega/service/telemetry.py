"""What does the service tell its operator? One JSON line a request, and one an incident, without a secret in them.

A line carries the request's id (which the answer carries too), the route's pattern, not the address, and the facts of
the error; what looks like a key or a password is struck out before it is written. What is counted is in `metrics`.
Cost: about 15 us a line.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from typing import Any, TextIO

import msgspec

LOGGER = logging.getLogger("bodega.service")
SECRET = re.compile(
    r"bodega_[A-Za-z0-9_\-+.]{16,}"
    r"|(?i:bearer|basic)\s+[^\s\"',]+"
    r"|(?<=://)[^\s/:\"']*:[^\s/\"']+(?=@)"  # user:password of an address
    r"|(?i:password|passwd|pwd|secret|token|api[_-]?key|credential)s?[\"']?\s*[=:]\s*[\"']?[^\s\"',;&}]+"
    r"|\bsk-[A-Za-z0-9_\-]{8,}"
)
"""Our keys, an Authorization header, the password of an address, `password=...`, keys of model servers."""
STRUCK_OUT = "[key]"


def struck(text: str) -> str:
    """The text without anything that looks like a key."""
    return SECRET.sub(STRUCK_OUT, text)


def traced(error: BaseException) -> list[str]:
    """Where an error came from, as "file:line function", innermost last; no values of variables."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return [f"{frame.filename.rsplit('/src/')[-1]}:{frame.lineno} {frame.name}" for frame in frames]


class JsonLines(logging.Formatter):
    """One JSON object a record: time, level, message, and the `facts` the record was given."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "what": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            facts["exception"] = f"{type(error).__name__}: {str(error)[:500]}"
            facts["trace"] = traced(error)
        return struck(msgspec.json.encode(facts, enc_hook=str).decode())


def log_to(stream: TextIO | None = None, level: int = logging.INFO) -> logging.Handler:
    """Write the service's and the server's log lines to a stream (default: stderr) as JSON; returns the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("bodega", "uvicorn", "litestar"):
        logger = logging.getLogger(name)
        for old in [each for each in logger.handlers if isinstance(each.formatter, JsonLines)]:
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    return handler
