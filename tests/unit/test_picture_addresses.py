"""Nobody makes the shop ask a machine of its own network: hundreds of addresses, a server that counts, no hit."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bodega.adapters.pictures.addresses import is_public, target_of
from bodega.adapters.pictures.fetch import fetch
from bodega.errors import BadPicture
from bodega.settings import Pictures

NORMAL = Pictures(seconds_limit=3.0)
REASONS = ("forbidden_address", "bad_address", "unreachable")


@dataclass
class Server:
    """A web server of the own network that must never be asked, and a script of answers for where it may be."""

    port: int = 0
    hits: list[str] = field(default_factory=list)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.hits.append(self.path)
            status, headers, body = told.answers.get(self.path, (200, {}, b"secret"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield told
    listening.shutdown()
    listening.server_close()
    thread.join(5)


CLOSED = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.1.2.3",
    "127.255.255.255", "169.254.169.254", "169.254.170.2", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.1",
    "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "fe80::1", "febf::1", "fc00::1", "fd00:ec2::254", "fdff::1", "ff02::1", "ff0e::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:1::1", "2001::1",
    "2001:0:7f00:1::", "2001:10::1", "2001:20::1", "100::1", "3ffe::1", "5f00::1", "fec0::1",
)  # fmt: skip
"""Addresses that are not the public internet."""


def disguised() -> list[str]:
    """127.0.0.1 and the metadata server in the clothes that some parsers undress."""
    hosts = []
    for address in ("127.0.0.1", "169.254.169.254", "10.0.0.1"):
        number = int(ipaddress.IPv4Address(address))
        one, two, three, four = address.split(".")
        hosts += [
            str(number), hex(number), oct(number), f"0{number:o}", f"0x{number:08X}", str(number + 2**32),
            f"{int(one):#o}.{int(two):#o}.{int(three):#o}.{int(four):#o}".replace("0o", "0"),
            f"0x{int(one):x}.0x{int(two):x}.0x{int(three):x}.0x{int(four):x}",
            f"{one}.{two}.{int(three) * 256 + int(four)}", f"{one}.{int(two) * 65536 + int(three) * 256 + int(four)}",
            f"{int(one):03d}.{int(two):03d}.{int(three):03d}.{int(four):03d}", f"0{one}.0{two}.0{three}.0{four}",
            f"{one}.{two}.{three}.0x{int(four):x}", f"{address}.", f"{address}..", f" {address}", f"{address}%00",
            f"{address}%2f", f"{address}\t", f"{address}\\@example.com", f"{address}%0d%0a",
        ]  # fmt: skip
    hosts += ["127.1", "127.0.1", "0", "0x0", "00", "0x7f.1", "0177.1", "017700000001", "１２７.０.０.１", "①②⑦.⓪.⓪.①",
              "127。0。0。1", "127．0．0．1", "localhost", "LOCALHOST", "localhost.", "foo.localhost",
              "localhost.localdomain",
              "metadata.google.internal", "metadata", "instance-data", "kubernetes.default.svc", "router.local",
              "db.internal", "nas.lan", "printer.home.arpa", "intranet", "a" * 64 + ".com", "-x.com", "x..com", "",
              "ex ample.com", "exa\nmple.com", "_", "%31%32%37.0.0.1", "127.0.0.1.", "[::1", "::1]"]  # fmt: skip
    return hosts


def vectors(port: int) -> list[str]:
    wrapped = [f"[{one}]" if ":" in one else one for one in CLOSED]
    urls = [f"http://{host}/a.png" for host in wrapped] + [f"https://{host}/a.png" for host in wrapped]
    urls += [f"http://{host}:{port}/a.png" for host in (*wrapped, *disguised())]
    urls += [f"http://{host}/a.png" for host in disguised()]
    urls += [f"http://user:pw@{host}:{port}/a.png" for host in ("example.com", "127.0.0.1", "example.com#@127.0.0.1")]
    urls += [
        f"{scheme}://127.0.0.1:{port}/a.png"
        for scheme in (
            "ftp",
            "file",
            "gopher",
            "dict",
            "ldap",
            "jar:http",
            "unix",
            "http+unix",
            "ws",
            "HTTP",
            "hTTps",
            "",
        )
    ]
    urls += [f"http://8.8.8.8:{wrong}/" for wrong in (22, 25, 6379, 8080, 65_536, 0, -1)]
    return [
        *urls, "http:///a.png", "http:127.0.0.1", "//127.0.0.1/", "http://", "https://", "http://[fe80::1%25eth0]/",
        f"http://127.0.0.1:{port}#@8.8.8.8/", f"http://8.8.8.8@127.0.0.1:{port}/", f"http://8.8.8.8\\@127.0.0.1:{port}/",
        f"http://8.8.8.8 127.0.0.1:{port}/", f"http://127.0.0.1:{port}\r\nHost: x/", "http://example.com:80:80/",
        "http://" + "a" * 3_000, "javascript:alert(1)", "http://%6c%6f%63%61%6c%68%6f%73%74/",
    ]  # fmt: skip


def to_loopback(host: str, port: int) -> Sequence[str]:
    """The worst resolver: every name leads home."""
    del host, port
    return ["127.0.0.1"]


def test_hundreds_of_addresses_and_no_hit(server: Server) -> None:
    tried = vectors(server.port)
    assert len(set(tried)) >= 200
    for url in tried:
        with pytest.raises(BadPicture) as told:
            fetch(url, NORMAL, to_loopback)
        assert told.value.reason in REASONS, (url, told.value.reason)
    assert server.hits == []


@pytest.mark.parametrize("address", CLOSED)
def test_these_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_these_are_public_and_nonsense_is_not() -> None:
    assert all(map(is_public, ("8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001:81b::200e")))
    assert not any(map(is_public, ("", "x", "8.8.8", "8.8.8.8.8", "2606:4700::1111%eth0")))


def test_a_name_with_one_closed_address_is_refused() -> None:
    for found in (["93.184.216.34", "10.0.0.1"], ["2606:4700::1", "::1"], ["169.254.169.254"], []):
        with pytest.raises(BadPicture):
            target_of("https://shop.example.com/a.png", NORMAL, lambda *_, found=found: found)  # type: ignore[misc]


def test_rebinding_changes_nothing() -> None:
    """The second answer of the resolver is never asked for: the connection goes to what was checked."""
    asked: list[str] = []

    def resolver(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    target = target_of("http://rebind.example.com/a.png", NORMAL, resolver)
    assert target.addresses == ("93.184.216.34",)
    assert asked == ["rebind.example.com"]


def inside(server: Server, **more: object) -> Pictures:
    """Settings of a shop whose pictures lie on a machine of its own network."""
    told = {"private_hosts": f"127.0.0.1:{server.port}", "seconds_limit": 3.0} | more
    return Pictures(**told)  # type: ignore[arg-type]


def test_an_allowed_machine_is_asked_and_redirects_of_it_are_checked(server: Server) -> None:
    here = f"http://127.0.0.1:{server.port}"
    assert fetch(f"{here}/picture.png", inside(server)).data == b"secret"
    server.answers["/same"] = (302, {"Location": "/picture.png"}, b"")
    assert fetch(f"{here}/same", inside(server)).url == f"{here}/picture.png"
    before = len(server.hits)
    for away in ("http://169.254.169.254/latest/meta-data/", f"http://localhost:{server.port}/", "file:///etc/passwd",
                 f"http://[::ffff:127.0.0.1]:{server.port}/", "//10.0.0.1/a", "gopher://127.0.0.1/"):  # fmt: skip
        server.answers["/away"] = (302, {"Location": away}, b"")
        with pytest.raises(BadPicture) as told:
            fetch(f"{here}/away", inside(server), to_loopback)
        assert told.value.reason in REASONS
    assert server.hits[before:] == ["/away"] * 6


def test_what_never_ends_is_cut_off(server: Server) -> None:
    here = f"http://127.0.0.1:{server.port}"
    server.answers["/loop"] = (301, {"Location": "/loop"}, b"")
    server.answers["/large"] = (200, {}, bytes(5_000))
    server.answers["/lies"] = (200, {"Content-Length": "99999999999"}, b"x")
    server.answers["/short"] = (200, {"Content-Length": "50"}, b"x")
    server.answers["/gone"] = (404, {}, b"")
    server.answers["/busy"] = (503, {}, b"")
    wanted = {"/loop": "too_many_redirects", "/large": "too_many_bytes", "/lies": "too_many_bytes",
              "/short": "unreachable", "/gone": "gone", "/busy": "server_error"}  # fmt: skip
    for path, reason in wanted.items():
        with pytest.raises(BadPicture) as told:
            fetch(f"{here}{path}", inside(server, bytes_limit=1_000))
        assert told.value.reason == reason, path


def test_a_server_that_drips_is_cut_off() -> None:
    import socket

    quiet = socket.create_server(("127.0.0.1", 0))
    port, stop = quiet.getsockname()[1], threading.Event()

    def drip() -> None:
        connection, _ = quiet.accept()
        with connection:
            try:
                while not stop.wait(0.05):
                    connection.sendall(b"H")
            except OSError:
                pass

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    chosen = Pictures(private_hosts=f"127.0.0.1:{port}", seconds_limit=0.5)
    with pytest.raises(BadPicture) as told:
        fetch(f"http://127.0.0.1:{port}/", chosen)
    assert told.value.reason == "timeout"
    stop.set()
    quiet.close()
    thread.join(5)


def test_only_listed_hosts() -> None:
    chosen = Pictures(hosts="cdn.example.com, .shop.com")
    public = lambda *_: ["93.184.216.34"]  # noqa: E731
    for host in ("cdn.example.com", "img.shop.com", "a.b.shop.com"):
        assert target_of(f"https://{host}/x", chosen, public).host == host
    for host in ("example.com", "evilshop.com", "shop.com.evil.org", "cdn.example.com.evil.org"):
        with pytest.raises(BadPicture):
            target_of(f"https://{host}/x", chosen, public)


def test_international_names_and_paths_are_sent_in_ascii() -> None:
    target = target_of("https://bücher.example.com/größe 1.png".replace(" ", "%20"), NORMAL, lambda *_: ["1.1.1.1"])
    assert target.host == "xn--bcher-kva.example.com"
    assert target.path == "/gr%C3%B6%C3%9Fe%201.png"
