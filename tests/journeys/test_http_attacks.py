"""Raw bytes against a real server on a real socket: whatever is sent, it answers properly and goes on answering."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bodega.errors import BadSettings, PortInUse
from bodega.service.server import free_port, listening, run

PROGRAM = textwrap.dedent(
    """
    import sys, time
    from bodega.schema import Item
    from bodega.service.app import create_app
    from bodega.service.server import run
    from bodega.settings import Serve, Settings
    from bodega.testing.canned import CannedShop

    slow = float(sys.argv[2])
    serve = Serve(port=0, body_limit=100_000, waiting=4, burst=10_000, requests_per_second=10_000.0)
    shop = CannedShop([Item(id=str(n), title=f"Shoe {n}") for n in range(20)], Settings(serve=serve))
    answer = shop.answer
    def slowly(request):
        time.sleep(slow)
        return answer(request)
    shop.answer = slowly
    key = shop.keys.create("test", ["search", "events", "admin"])
    def started(url):
        with open(sys.argv[1], "w") as file:
            file.write(url + " " + key)
    run(create_app(shop), port=0, started=started)
    print("stopped gracefully", flush=True)
    """
)


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    port: int
    key: str
    log: Path

    def raw(self, data: bytes, *, timeout: float = 5.0) -> bytes:
        """Send bytes, return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as wire:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                wire.sendall(data)
            got = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while chunk := wire.recv(65_536):
                    got += chunk
            return got

    def ask(self, method: str, url: str, body: bytes | None = None, **headers: str) -> tuple[int, dict, bytes]:
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        sent = {"X-API-Key": self.key, **{name.replace("_", "-"): value for name, value in headers.items()}}
        wire.request(method, url, body=body, headers=sent)
        answer = wire.getresponse()
        got = answer.read()
        wire.close()
        return answer.status, dict(answer.getheaders()), got

    def alive(self) -> bool:
        return self.ask("GET", "/livez")[0] == 200


@contextlib.contextmanager
def running(folder: Path, slow: float = 0.0) -> Iterator[Running]:
    told, log = folder / "told", folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(told), str(slow)], stdout=stream, stderr=stream)
    try:
        until = time.monotonic() + 30
        while not (told.exists() and " " in told.read_text()):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.05)
        url, key = told.read_text().split(" ")
        yield Running(process, int(url.rsplit(":", 1)[1]), key, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server")) as made:
        yield made
        assert made.process.poll() is None, "the server died"
        assert b"Traceback" not in made.log.read_bytes()


def post(path: str, body: bytes, key: str, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"X-API-Key: {key}", "Connection: close", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_a_chunked_body_without_end_is_cut_at_the_limit(server):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = post("/v1/events", b"", server.key, "Content-Type: application/json", "Transfer-Encoding: chunked")
    got = server.raw(head + chunk * 40)
    assert b" 413 " in got.split(b"\r\n")[0]
    assert server.alive()


def test_an_announced_body_that_is_too_large_is_refused_before_it_is_sent(server):
    head = post("/v1/events", b"", server.key, "Content-Type: application/json", "Content-Length: 99999999999")
    assert b" 413 " in server.raw(head, timeout=8).split(b"\r\n")[0], "before the 10 s that a body is waited for"
    assert server.alive()


@pytest.mark.parametrize(
    "more",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -1",),
        ("Content-Length: five",),
        ("Transfer-Encoding: chunked, identity",),
    ],
)
def test_smuggled_lengths_never_make_a_second_request(server, more):
    body = b"0\r\n\r\nGET /v1/search?q=smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    got = server.raw(post("/v1/events", body, server.key, "Content-Type: application/json", *more), timeout=2)
    assert got.count(b"HTTP/1.1 2") == 0
    assert server.alive()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 90_000,
        b'{"a":' * 15_000,
        b"[" * 45_000 + b"]" * 45_000,
        b'{"query": NaN}',
        b'{"k": 1e999}',
        b'{"k": -1}',
        b'{"offset": 99999999999999999999999999}',
        b'{"query": "\xff\xfe"}',
        b'{"query": "\\ud800"}',
        b'\xef\xbb\xbf{"query": 1}',
        b"\x00" * 1000,
        b'{"query": "a", "query": "b", "nope": 1}',
    ],
)
@pytest.mark.parametrize("path", ["/v1/search", "/v1/events", "/v1/items"])
def test_broken_json_is_a_400(server, path, body):
    status, headers, got = server.ask("POST", path, body, Content_Type="application/json")
    assert 400 <= status < 500, got
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(got)["status"] == status


def test_text_that_looks_like_an_attack_is_only_text(server):
    for text in ("\u0000", "a\r\nX-Evil: 1", "'; DROP TABLE items; --", "../../etc/passwd", "${jndi:x}", "<script>"):
        status, headers, got = server.ask(
            "POST", "/v1/search", json.dumps({"query": text}).encode(), Content_Type="application/json"
        )
        assert status == 200, got
        assert "X-Evil" not in headers


def test_headers_cannot_be_injected(server):
    for url in ("/v1/items/a%0d%0aX-Evil:%201", "/v1/search?q=a%0d%0aX-Evil:1", "/%0d%0aX-Evil:1"):
        status, headers, _ = server.ask("GET", url)
        assert status in (200, 404)
        assert "x-evil" not in {name.lower() for name in headers}
    got = server.raw(
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: a\nX-Evil: 1\r\nConnection: close\r\n\r\n"
    )
    answered_headers = got.split(b"\r\n\r\n")[0].lower()
    assert b"x-evil" not in answered_headers


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/static/../../../etc/passwd",
        "/static/storefront/x/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/items/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/v1/items/%00",
        "/v1/items/%ff",
        "/v1/items/",
        "/v1/items//similar",
    ],
)
def test_no_path_leads_out(server, path):
    got = server.raw(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {server.key}\r\nConnection: close\r\n\r\n".encode()
    )
    status = int(got.split(b" ")[1])
    assert 400 <= status < 500 or (status == 200 and path.endswith("/similar"))
    assert b"root:" not in got


@pytest.mark.parametrize("verb", ["TRACE", "CONNECT", "PATCH", "PUT", "PROPFIND", "GETX", "get", "HEAD"])
def test_other_verbs_do_nothing(server, verb):
    for path in ("/v1/events", "/v1/items", "/v1/items/1", "/livez"):
        data = f"{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {server.key}\r\nConnection: close\r\n\r\n"
        got = server.raw(data.encode())
        assert not got or 400 <= int(got.split(b" ")[1]) < 500
    for override in ("X-HTTP-Method-Override", "X-Method-Override", "_method"):
        assert server.ask("GET", "/v1/items/1", **{override: "DELETE"})[0] == 200
    assert server.ask("GET", "/v1/items/1")[0] == 200, "still there"


def test_repeated_and_huge_headers(server):
    many = "".join(f"X-Filler-{n}: {'y' * 100}\r\n" for n in range(200))
    got = server.raw(f"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n{many}Connection: close\r\n\r\n".encode())
    assert int(got.split(b" ")[1]) in (200, 400, 431)
    twice = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\nConnection: close\r\n\r\n"
    assert int(server.raw(twice).split(b" ")[1]) in (400, 421)
    assert server.alive()


def test_a_stranger_who_sends_half_a_request_blocks_nobody(server):
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            wire = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            wire.sendall(b"GET /v1/sea")
        started = time.monotonic()
        assert server.alive()
        assert time.monotonic() - started < 5.0, "the 10 s that a head is waited for are nobody else's"


def test_a_client_that_leaves_in_the_middle_is_no_error(server):
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as wire:
            head = post("/v1/events", b'[{"type"', server.key, "Content-Type: application/json", "Content-Length: 5000")
            wire.sendall(head)
    time.sleep(0.3)
    assert server.alive()
    assert b"unexpected error" not in server.log.read_bytes()


def test_no_key_stands_in_the_servers_log(server):
    server.ask("GET", f"/v1/search?q=x&key={server.key}")
    assert server.key.encode() not in server.log.read_bytes()
    for line in server.log.read_text().splitlines():
        json.loads(line)


# -- overload, start and stop -----------------------------------------------------------------------------------------


def test_overload_is_refused_at_once_and_what_is_taken_is_answered(tmp_path):
    with running(tmp_path, slow=0.2) as server, contextlib.ExitStack() as stack:
        wires = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in range(24)]
        for wire in wires:
            stack.callback(wire.close)
            wire.request("GET", "/livez")
            wire.getresponse().read()
        started = time.monotonic()
        for wire in wires:
            wire.request("GET", "/v1/search?q=shoe", headers={"X-API-Key": server.key})
        answers = [wire.getresponse() for wire in wires]
        for answer in answers:
            answer.read()
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 4
        assert all(answer.headers["Retry-After"] for answer in answers if answer.status == 503)
        assert time.monotonic() - started < 0.75 * 0.2 * len(wires), "the refused did not wait for the engine"
        assert server.ask("GET", "/v1/search?q=shoe")[0] == 200, "and it recovers"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_is_under_way(tmp_path, number):
    with running(tmp_path, slow=0.4) as server:
        wire = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        wire.request("GET", "/v1/search?q=shoe", headers={"X-API-Key": server.key})
        time.sleep(0.15)
        os.kill(server.process.pid, number)
        assert wire.getresponse().status == 200
        wire.close()
        assert server.process.wait(timeout=8) == 0
        assert b"stopped gracefully" in server.log.read_bytes()


def test_a_port_in_use_is_explained_with_a_way_out():
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse) as refused:
            run(None, port=port)
        assert str(port) in refused.value.where
        other = int(refused.value.next.split("--port ")[1].split()[0])
        assert other != port
        listening("127.0.0.1", other).close()


def test_an_address_that_is_not_ours_is_explained():
    for host in ("203.0.113.7", "no.such.host.invalid"):
        with pytest.raises(BadSettings):
            listening(host, 0)
    assert free_port() > 0
