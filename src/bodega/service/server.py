"""One process, one port: uvicorn around the application, on loopback unless told otherwise.

The socket is opened before anything else, so that a port in use is found at once and explained. SIGTERM and Ctrl-C stop
gracefully: no new connections, requests under way are finished (10 s at most), then `run` returns and the caller closes
the shop. SIGHUP looks for a new snapshot at once. Several processes on one port: `workers`. Not for: TLS and several
machines, which belong to a proxy in front.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bodega.errors import BadSettings, PortInUse
from bodega.service.guard import is_loopback
from bodega.service.live import STREAM
from bodega.service.telemetry import LOGGER, log_to

GRACE = 10
"""Seconds that requests under way are given at a stop."""
KEEP_ALIVE = 15
HEADERS = 10.0
"""Seconds in which the head of a request must have arrived."""
LAST_WORD = 1.0
"""Seconds that a connection on which nothing was asked yet stays open at a stop."""
CONNECTIONS = 2_000
SWITCH = 0.001
"""Seconds after which a thread that computes lets another one go on. Python's own 5 ms are waited for several times by
every commit of events beside busy pages: the slowest hundredth of acknowledgements took 49 ms, and takes 27, at the
same CPU time a page (docs/decisions/0044)."""
BACKLOG = 512


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to `run`: it would raise them again after a graceful stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Prompt(HttpToolsProtocol):
    """HTTP for clients that get to the point: whoever opens a connection, or begins a request, says in time what he
    wants. Without it some thousand connections that send a byte a minute keep everybody else out."""

    _hurry: asyncio.TimerHandle | None = None
    _asked = False
    """Was anything asked on this connection?"""
    _leaving = False

    def shutdown(self) -> None:
        """The server stops. Whoever just connected is on his way to ask: closed now, what he sent would be answered by
        a reset, and another worker could not take it up. He is given a second, and one answer."""
        if self._asked:
            if not self.transport.is_closing() and self.scope.get("path") == STREAM:
                self.transport.close()  # its answer never ends by itself
            super().shutdown()
        elif not self._leaving:
            self._leaving = True
            self.loop.call_later(LAST_WORD, self._give_up_if_silent)

    def _give_up_if_silent(self) -> None:
        if not self._asked:
            super().shutdown()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._leaving and not self.transport.is_closing():
            self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def on_message_begin(self) -> None:
        self._expect()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._calm()
        self._asked = True
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._calm()
        self._hurry = self.loop.call_later(HEADERS, self._give_up)

    def _calm(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()


def run(
    app: Any,
    *,
    host: str = "127.0.0.1",
    port: int = 7700,
    started: Callable[[str], None] | None = None,
    renew: Callable[[], object] | None = None,
    listener: socket.socket | None = None,
) -> None:
    """Serve the application until SIGTERM or Ctrl-C; `started` is told the address once it answers.

    `renew` is called (on a thread) at SIGHUP, unless that means that the terminal hung up. `listener` is a socket that
    listens already, which other processes may share; else one is opened.

    Raises PortInUse (with a port that is free) and BadSettings for a host that is not this machine's.
    """
    with listener or listening(host, port) as listener:
        log_to()
        if not is_loopback(host) and host != "localhost":
            LOGGER.warning(
                "reachable from other machines without TLS: put a proxy in front", extra={"facts": {"host": host}}
            )
        config = configured(app)
        server = _Server(config)
        with _switching(SWITCH), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve(server, listener, started, renew))


def configured(app: Any) -> uvicorn.Config:
    """How an application is served, nothing of which is open yet."""
    return uvicorn.Config(
        app,
        loop="auto",
        http=_Prompt,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=CONNECTIONS,
    )


@contextlib.contextmanager
def _switching(seconds: float) -> Iterator[None]:
    """Threads take turns this often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


async def _serve(
    server: _Server,
    listener: socket.socket,
    started: Callable[[str], None] | None,
    renew: Callable[[], object] | None,
) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, RuntimeError):  # not on Windows, not outside the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)
        if renew is not None and not _at_a_terminal():
            loop.add_signal_handler(signal.SIGHUP, _renewed, renew)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.02)
    if server.started:
        # What was loaded stays: without it in the collector's lists a full collection takes 1 ms, not 60.
        gc.collect()
        gc.freeze()
        host, port = listener.getsockname()[:2]
        if started is not None:
            started(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    await serving
    gc.unfreeze()


def _at_a_terminal() -> bool:
    """Would SIGHUP mean that the terminal is gone? Then it ends the program, as it always did."""
    try:
        return sys.stdin.isatty()
    except (AttributeError, ValueError):
        return False


def _renewed(renew: Callable[[], object]) -> None:
    async def renewing() -> None:
        try:
            await asyncio.to_thread(renew)
        except Exception as error:
            LOGGER.error("nothing new could be taken over: what was served goes on", exc_info=error)

    task = asyncio.get_running_loop().create_task(renewing())
    _RENEWING.add(task)
    task.add_done_callback(_RENEWING.discard)


_RENEWING: set[asyncio.Task[None]] = set()


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there (port 0: any free one). Raises PortInUse, BadSettings."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, OverflowError, UnicodeError) as error:
        raise BadSettings(
            "this is no address of this machine", where="serve.host", got=f"{host}:{port}", next="use 127.0.0.1"
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _notice_the_dead(listener)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port) from error
    return listener


def _notice_the_dead(listener: socket.socket) -> None:
    """Connections inherit this: one whose other end vanished without a word is closed within a minute."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000)):
        number = getattr(socket, name, None)
        if number is not None:
            listener.setsockopt(socket.IPPROTO_TCP, number, value)


def _explained(error: OSError, host: str, port: int) -> PortInUse | BadSettings:
    if error.errno == errno.EADDRINUSE:
        other = free_port(host)
        return PortInUse(
            f"port {port} is taken by another program",
            where=f"{host}:{port}",
            allowed="a port that nobody listens on",
            got="in use",
            next=f"bodega serve --port {other}   (or stop the other program)",
        )
    if error.errno == errno.EACCES:
        return PortInUse(
            f"port {port} needs more rights than this user has",
            where=f"{host}:{port}",
            allowed="1024 to 65535",
            got=str(port),
            next=f"bodega serve --port {free_port(host)}",
        )
    return BadSettings(
        "this address cannot be listened on", where="serve.host", got=f"{host}:{port} ({error.strerror})"
    )


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with listening(host, 0) as probe:
        port: int = probe.getsockname()[1]
        return port
