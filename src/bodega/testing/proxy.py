"""What does a dead, slow or lying server look like to whoever depends on it? A TCP proxy that plays it, and heals.

    with FaultProxy(server.port) as proxy:
        open_something(proxy.port)
        proxy.fault("black_hole")     # one of FAULTS
        ...
        proxy.heal()

Everything happens between two sockets on loopback, so the server behind it is real and stays healthy.
Cost: one thread a proxy. Not for: faults inside a process (`bodega.failpoints`).
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

HOST = "127.0.0.1"
CHUNK = 65_536
SLOW = 0.5
"""Seconds by which every chunk is late in both directions: an answer takes at least twice as long."""
FLAP = 0.4
"""Seconds between there and gone."""

FAULTS: dict[str, str] = {
    "refused": "nobody listens any more; connections that were open are reset",
    "black_hole": "bytes are taken and held, in both directions; they arrive when it heals",
    "slow": "every chunk is late",
    "reset": "connections come about and are reset at once, also those that were open",
    "garbage": "answers are random bytes",
    "half_open": "the peer is gone without a word: bytes are taken and never answered, also after it heals",
    "flapping": "refused and healthy in turn",
}
"""{fault: what the client of the proxy sees}."""


@dataclass(eq=False)
class _Link:
    """One client and its connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    task: asyncio.Task[None] | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    dead: bool = False
    """The server's side is gone and the client does not know."""


class FaultProxy:
    """A proxy before `port`; its own port is `port` of the same object, the same over all faults."""

    def __init__(self, server: int, *, seed: int = 7) -> None:
        self._server_port = server
        self._rng = random.Random(seed)  # noqa: S311 - garbage needs no secrecy
        self._fault = ""
        self._down = False
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._moved = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="bodega-proxy", daemon=True)
        self._flapping: asyncio.Task[None] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._done(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._done(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def fault(self, name: str) -> None:
        """From now on behave like this. Raises KeyError for what is none of FAULTS."""
        FAULTS[name]
        self._done(self._change(name))

    def heal(self) -> None:
        """Behave well again."""
        self._done(self._change(""))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _done(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, self.port))
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._accept, sock=listener)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _change(self, name: str) -> None:
        if self._flapping is not None:
            self._flapping.cancel()
            with suppress(asyncio.CancelledError):
                await self._flapping
            self._flapping = None
        self._fault = name
        self._moved.set()
        self._moved = asyncio.Event()
        if name in ("refused", "reset"):
            self._reset_all()
        if name == "half_open":
            for link in self._links:
                link.dead = True
        if name == "refused":
            await self._close()
        elif name == "flapping":
            self._flapping = asyncio.create_task(self._flap())
        elif self._server is None:
            await self._listen()

    async def _flap(self) -> None:
        while True:
            await self._close()
            self._reset_all()
            await asyncio.sleep(FLAP)
            await self._listen()
            await asyncio.sleep(FLAP)

    async def _end(self) -> None:
        await self._change("refused")
        for _ in range(2):  # who was accepted a moment ago comes in the second round
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for link in self._links:  # whose task was cancelled before its first step
                _reset(link.writer)
            await asyncio.sleep(0.05)  # aborted connections are closed in the next turns of the loop

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Known from now on, whether its task ever begins or not."""
        link = _Link(reader, writer)
        self._links.add(link)
        link.task = asyncio.create_task(self._serve(link))

    async def _serve(self, link: _Link) -> None:
        reader, writer = link.reader, link.writer
        behind: asyncio.StreamWriter | None = None
        try:
            while self._fault == "black_hole":
                await self._moved.wait()
            if self._fault == "reset":
                return
            link.dead = self._fault == "half_open"
            answers, behind = await asyncio.open_connection(HOST, self._server_port)
            link.tasks = [
                asyncio.create_task(self._carry(link, reader, behind, answer=False)),
                asyncio.create_task(self._carry(link, answers, writer, answer=True)),
            ]
            await asyncio.wait(link.tasks, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            for task in link.tasks:
                task.cancel()
            await asyncio.gather(*link.tasks, return_exceptions=True)
            self._links.discard(link)
            _reset(writer)
            if behind is not None:
                behind.transport.abort()

    async def _carry(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer: bool
    ) -> None:
        """Carry bytes one way until either side ends; a dead link swallows them and never ends by itself."""
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                while self._fault == "black_hole" and not link.dead:
                    await self._moved.wait()
                if link.dead:
                    continue
                if self._fault == "slow":
                    await asyncio.sleep(SLOW)
                if self._fault == "garbage" and answer:
                    chunk = self._rng.randbytes(max(64, len(chunk)))
                writer.write(chunk)
                await writer.drain()
        if link.dead and answer:
            await asyncio.Event().wait()

    def _reset_all(self) -> None:
        for link in list(self._links):
            _reset(link.writer)
            for task in link.tasks:
                task.cancel()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
