"""A real HTTP server on 127.0.0.1 that answers by script, records what it was asked, and misbehaves on demand.

    with LocalServer() as server:
        server.route("/v0/market/a", json_reply({"id": "a"}))
        server.route("/flaky", reply(500), json_reply({}))     # in order; the last one repeats
        server.route("/echo", lambda seen: json_reply(dict(seen.query)))
        ... ask server.url + "/v0/market/a" ...
        assert server.seen("/v0/market/a")[0].headers["user-agent"]

It writes its own bytes to the socket (no http.server in between), so that every fault a network can
produce can be produced here. Paths without a route get a 404. One thread per connection; keep-alive
like a real server; leaving the ``with`` block ends every connection, joins every thread and raises
what a callable route raised.
"""

from __future__ import annotations

import gzip
import json
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Seen:
    """One request as it arrived. ``headers`` have lower-case names; ``at`` is ``time.monotonic()``."""

    method: str
    target: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    at: float
    body: bytes = b""


class StoppingError(Exception):
    """The server is going down while an answer was being written slowly."""


class Wire:
    """The connection an answer is written to."""

    def __init__(
        self, connection: socket.socket, stopping: threading.Event, on_first_byte: Callable[[], None]
    ) -> None:
        self.connection, self._stopping = connection, stopping
        self.keep_open = True
        self._on_first_byte: Callable[[], None] | None = on_first_byte

    def send(self, data: bytes) -> None:
        self.sending()
        self.connection.sendall(data)

    def sending(self) -> None:
        """The client no longer waits for the first byte: told once, before it is sent."""
        told, self._on_first_byte = self._on_first_byte, None
        if told is not None:
            told()

    def pause(self, seconds: float) -> None:
        """Wait, but not past the end of the test."""
        if self._stopping.wait(seconds):
            raise StoppingError

    def close(self) -> None:
        """End the connection after this answer."""
        self.keep_open = False

    def reset(self) -> None:
        """End the connection at once with a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.keep_open = False


@dataclass(frozen=True)
class Answer:
    """What to do with one request: write something (or nothing) to the wire."""

    write: Callable[[Wire], None]


Route = Answer | Callable[[Seen], Answer]
Headers = Iterable[tuple[str, str]]


# Honest answers ------------------------------------------------------------------------------------


def head(status: int, headers: Headers) -> bytes:
    """A status line and headers, ready to send."""
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def reply(
    status: int = 200,
    body: bytes = b"",
    content_type: str = "application/json",
    headers: Headers = (),
) -> Answer:
    """A whole, correct answer."""
    lines = [*headers] if status in (204, 304) else [("Content-Type", content_type), *headers]
    if status not in (204, 304):
        lines.append(("Content-Length", str(len(body))))
    message = head(status, lines) + (b"" if status in (204, 304) else body)
    return Answer(lambda wire: wire.send(message))


def json_reply(value: object, status: int = 200, headers: Headers = ()) -> Answer:
    """A whole JSON answer."""
    return reply(status, json.dumps(value).encode(), "application/json; charset=utf-8", headers)


def gzip_reply(body: bytes, content_type: str = "application/json") -> Answer:
    """A correct answer, compressed with gzip."""
    return encoded_reply(gzip.compress(body), "gzip", content_type)


def deflate_reply(body: bytes, *, bare: bool = False) -> Answer:
    """A correct answer with ``Content-Encoding: deflate``; ``bare`` leaves out the zlib wrapper."""
    packer = zlib.compressobj(wbits=-15 if bare else 15)
    return encoded_reply(packer.compress(body) + packer.flush(), "deflate")


def encoded_reply(body: bytes, encoding: str, content_type: str = "application/json") -> Answer:
    """Bytes sent as they are under any ``Content-Encoding``, true or not."""
    return reply(200, body, content_type, [("Content-Encoding", encoding)])


def chunked_reply(*pieces: bytes, pause_s: float = 0.0) -> Answer:
    """A correct chunked answer, one chunk per piece, with a pause before each."""

    def write(wire: Wire) -> None:
        wire.send(head(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]))
        for piece in pieces:
            wire.pause(pause_s)
            wire.send(_chunk(piece))
        wire.send(b"0\r\n\r\n")

    return Answer(write)


def cached_reply(body: bytes, *, etag: str | None = None, last_modified: str | None = None) -> Route:
    """A route that answers 304 to whoever shows its tag or its date, and in full to everyone else."""
    tags = [("ETag", etag)] if etag else []
    dates = [("Last-Modified", last_modified)] if last_modified else []

    def answer(seen: Seen) -> Answer:
        same_tag = etag is not None and seen.headers.get("if-none-match") == etag
        same_date = last_modified is not None and seen.headers.get("if-modified-since") == last_modified
        if same_tag or (same_date and "if-none-match" not in seen.headers):
            return reply(304, headers=[*tags, *dates])
        return reply(200, body, headers=[*tags, *dates])

    return answer


# Refusals and detours ------------------------------------------------------------------------------


def too_many(retry_after: str | int | None = None, status: int = 429) -> Answer:
    """A refusal, with ``Retry-After`` as given: seconds, an HTTP date, or rubbish."""
    headers = [] if retry_after is None else [("Retry-After", str(retry_after))]
    return json_reply({"detail": "slow down"}, status, headers)


def redirect(location: str, status: int = 302) -> Answer:
    """A redirect to anywhere, absolute or relative."""
    return reply(status, b"moved", "text/plain", [("Location", location)])


def html_page(status: int = 200) -> Answer:
    """A web page where JSON was expected (a challenge, a login, a maintenance notice)."""
    return reply(status, b"<!doctype html><title>One moment</title><p>Checking.", "text/html; charset=utf-8")


# Faults --------------------------------------------------------------------------------------------


def raw(data: bytes) -> Answer:
    """Any bytes at all, then the connection ends."""

    def write(wire: Wire) -> None:
        wire.close()
        wire.send(data)

    return Answer(write)


def invalid_status_line() -> Answer:
    return raw(b"ICY two hundred\r\n\r\n")


def stall() -> Answer:
    """Not one byte, ever."""
    return Answer(lambda wire: wire.pause(3600))


def stall_in_body(body: bytes, after: int) -> Answer:
    """The first ``after`` bytes of the body, then silence with the connection open."""

    def write(wire: Wire) -> None:
        wire.send(head(200, _plain(len(body))) + body[:after])
        wire.pause(3600)

    return Answer(write)


def drip(body: bytes, every_s: float) -> Answer:
    """A correct answer whose body comes one byte at a time."""

    def write(wire: Wire) -> None:
        wire.send(head(200, _plain(len(body))))
        for position in range(len(body)):
            wire.pause(every_s)
            wire.send(body[position : position + 1])

    return Answer(write)


def drip_headers(every_s: float) -> Answer:
    """A header line at a time, without end."""

    def write(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 Scripted\r\n")
        for number in range(1_000_000):
            wire.pause(every_s)
            wire.send(b"X-Drip-%d: 1\r\n" % number)

    return Answer(write)


def endless_headers() -> Answer:
    """Headers as fast as the wire takes them, without end."""

    def write(wire: Wire) -> None:
        wire.close()
        wire.send(b"HTTP/1.1 200 Scripted\r\n")
        for number in range(10_000_000):
            wire.send(b"X-Flood-%d: %s\r\n" % (number, b"a" * 1000))

    return Answer(write)


def endless_informational() -> Answer:
    """``100 Continue`` for ever: an answer that never starts."""

    def write(wire: Wire) -> None:
        wire.close()
        while True:
            wire.pause(0.001)
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)

    return Answer(write)


def cut(body: bytes, after: int) -> Answer:
    """The connection ends cleanly after ``after`` bytes of a longer body."""

    def write(wire: Wire) -> None:
        wire.close()
        wire.send(head(200, _plain(len(body))) + body[:after])

    return Answer(write)


def cut_chunked(piece: bytes) -> Answer:
    """A chunked body that ends before its last chunk."""
    opening = head(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")])
    return raw(opening + _chunk(piece))


def wrong_length(body: bytes, claimed: int) -> Answer:
    """A whole body under a ``Content-Length`` that is not its length; the connection stays open."""

    def write(wire: Wire) -> None:
        wire.send(head(200, _plain(claimed)) + body)
        if claimed > len(body):
            wire.close()

    return Answer(write)


def truncated_gzip(body: bytes, missing: int = 10) -> Answer:
    """A gzip stream without its last bytes, honestly measured, so that only decoding can tell."""
    return encoded_reply(gzip.compress(body)[:-missing], "gzip")


def gzip_bomb(decoded_bytes: int) -> Answer:
    """Zeros that take a thousandth of their size on the wire, packed while they are sent."""

    def write(wire: Wire) -> None:
        wire.close()
        wire.send(
            head(
                200,
                [("Content-Type", "application/json"), ("Content-Encoding", "gzip"), ("Connection", "close")],
            )
        )
        for piece in _packed_zeros(decoded_bytes):
            wire.send(piece)

    return Answer(write)


def reset(after: bytes = b"") -> Answer:
    """A TCP reset instead of an answer, or after these bytes of one."""

    def write(wire: Wire) -> None:
        if after:
            wire.send(after)
            wire.pause(0.05)  # let the client take the bytes: a reset throws unread ones away
        wire.reset()

    return Answer(write)


def hang_up() -> Answer:
    """The connection ends without an answer."""
    return Answer(lambda wire: wire.close())


def _plain(length: int) -> list[tuple[str, str]]:
    return [("Content-Type", "application/json"), ("Content-Length", str(length))]


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def _packed_zeros(total: int) -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1024 * 1024)
    for _ in range(total // len(zeros)):
        yield packer.compress(zeros)
    yield packer.compress(bytes(total % len(zeros))) + packer.flush()


# The server ----------------------------------------------------------------------------------------


@dataclass
class _Script:
    answers: tuple[Route, ...]
    next: int = 0

    def take(self) -> Route:
        route = self.answers[min(self.next, len(self.answers) - 1)]
        self.next += 1
        return route


class LocalServer:
    """The server; see the module's text. Pass an SSL context to speak https."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.tls = tls
        self.requests: list[Seen] = []
        self.connections = 0
        self.failures: list[BaseException] = []
        self.most_at_once = 0
        self._at_once = 0
        self._scripts: dict[str, _Script] = {}
        self._fallback: Callable[[Seen], Answer] = lambda _: json_reply({"detail": "no such route"}, 404)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._tcp = _Listener((host, 0), self)
        self._thread = threading.Thread(target=self._tcp.serve_forever, kwargs={"poll_interval": 0.005})

    @property
    def port(self) -> int:
        return int(self._tcp.server_address[1])

    @property
    def url(self) -> str:
        """``http://127.0.0.1:<port>``, without a slash at the end."""
        return f"{'https' if self.tls else 'http'}://{self._tcp.server_address[0]!s}:{self.port}"

    def route(self, path: str, *answers: Route) -> None:
        """Answer this path with these, in order; the last one repeats. Replaces an earlier script."""
        if not answers:
            raise ValueError("a route needs at least one answer")
        with self._lock:
            self._scripts[path] = _Script(answers)

    def route_others(self, answer: Callable[[Seen], Answer]) -> None:
        """Answer every path that has no script."""
        self._fallback = answer

    def seen(self, path: str) -> list[Seen]:
        """The requests for one path, oldest first."""
        with self._lock:
            return [request for request in self.requests if request.path == path]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._tcp.shutdown()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._tcp.server_close()
        self._thread.join()
        if self.failures and error is None:
            raise self.failures[0]

    # called from the connection threads

    @contextmanager
    def holding(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self.connections += 1
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    @contextmanager
    def answering(self, connection: socket.socket) -> Iterator[Wire]:
        """Counts a request from its arrival to the first byte of its answer: after that the client may be
        done with it before this thread runs again."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        wire = Wire(connection, self._stopping, self._answered)
        try:
            yield wire
        finally:
            wire.sending()

    def _answered(self) -> None:
        with self._lock:
            self._at_once -= 1

    def answer(self, seen: Seen) -> Answer:
        with self._lock:
            self.requests.append(seen)
            script = self._scripts.get(seen.path)
            route = script.take() if script else None
        if route is None:
            return self._fallback(seen)
        return route if isinstance(route, Answer) else route(seen)

    def serve(self, connection: socket.socket) -> None:
        """Answer the requests of one connection until either side has had enough."""
        reader = connection.makefile("rb")
        with reader:
            while not self._stopping.is_set():
                seen = _read_request(reader)
                if seen is None:
                    return
                with self.answering(connection) as wire:
                    self.answer(seen).write(wire)
                if not wire.keep_open or seen.headers.get("connection", "").lower() == "close":
                    return


def _read_request(reader: BufferedReader) -> Seen | None:
    if not reader.peek(1)[:1].isalpha():  # the end, or a client that speaks something else (TLS)
        return None
    method, target, _ = reader.readline(65536).decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (raw_line := reader.readline(65536)) not in (b"\r\n", b"\n", b""):
        name, _, value = raw_line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    parts = urlsplit(target)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    body = reader.read(int(headers.get("content-length", 0)))
    return Seen(method, target, unquote(parts.path), query, headers, time.monotonic(), body)


class _Connection(socketserver.BaseRequestHandler):
    server: _Listener

    def handle(self) -> None:
        local = self.server.local
        connection: socket.socket = self.request
        with suppress(OSError, StoppingError):
            if local.tls is not None:
                connection.settimeout(5)  # a client may refuse our certificate and say nothing more
                connection = local.tls.wrap_socket(connection, server_side=True)
                connection.settimeout(None)
            with local.holding(connection), connection:
                local.serve(connection)


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = False  # so that server_close() joins them
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], local: LocalServer) -> None:
        self.local = local
        super().__init__(address, _Connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """A mistake in a test's own route: raised when the server goes down, instead of printed."""
        error = sys.exception()
        if error is not None:
            self.local.failures.append(error)
