"""Plays a recording over HTTP on 127.0.0.1, as of a moment that whoever holds it sets.

    with PlayServer(make_recording(), now=start) as server:
        settings = {"manifold_url": server.url("manifold")}     # http://127.0.0.1:<port>/manifold
        server.now = start + timedelta(days=1)                   # the platforms move on

Answers are rendered once per edition of a platform and kept until the next one: a simulated year of
polling takes seconds.
"""

from __future__ import annotations

import hashlib
import socket
import threading
from collections import Counter
from collections.abc import Hashable
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

from questions.time import utc
from tracker.demo.recording import PLATFORMS, Answer, Recording

TAGGED = frozenset({"metr", "forecastbench"})  # static files: their hosts send an ETag and honour it
NOWHERE = Answer(404, "text/plain; charset=utf-8", b"404: Not Found")


class PlayServer:
    """A loopback server for one recording. Safe for any number of client threads; use as a context manager.

    ``now`` may be set at any time, forwards or backwards; a request is answered as of the moment at which it
    arrives. Raises ValueError for a naive ``now``.
    """

    def __init__(self, recording: Recording, now: datetime) -> None:
        self.recording = recording
        self._now = utc(now)
        self._lock = threading.Lock()
        self._editions: dict[str, Hashable] = {}
        self._rendered: dict[str, dict[tuple[str, str], tuple[Answer, str]]] = {}
        self._counts: Counter[tuple[str, int]] = Counter()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def now(self) -> datetime:
        """The moment the platforms are at (aware, UTC)."""
        return self._now

    @now.setter
    def now(self, moment: datetime) -> None:
        self._now = utc(moment)

    def url(self, platform: str) -> str:
        """The base URL of a platform, without a slash at the end. Raises ValueError for an unknown platform."""
        if platform not in PLATFORMS:
            raise ValueError(f"no platform {platform!r} in the recording, there are {', '.join(PLATFORMS)}")
        return f"http://127.0.0.1:{self._server.server_address[1]}/{platform}"

    def requests(self, platform: str | None = None, status: int | None = None) -> int:
        """How many requests were answered, of one platform and with one status if these are given."""
        with self._lock:
            return sum(
                count
                for (name, code), count in self._counts.items()
                if platform in (None, name) and status in (None, code)
            )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def respond(self, target: str, authorization: str, if_none_match: str) -> tuple[Answer, str]:
        """The answer to a request target (path and query) now, and its ETag or an empty string."""
        platform, _, rest = target.removeprefix("/").partition("/")
        if platform in PLATFORMS:
            answer, tag = self._render(platform, rest, authorization)
        else:
            platform, answer, tag = "", NOWHERE, ""
        if tag and tag in (part.strip().removeprefix("W/") for part in if_none_match.split(",")):
            answer = Answer(304, answer.content_type, b"")
        with self._lock:
            self._counts[platform, answer.status] += 1
        return answer, tag

    def _render(self, platform: str, rest: str, authorization: str) -> tuple[Answer, str]:
        at = self._now
        edition = self.recording.edition(platform, at)
        with self._lock:
            if self._editions.get(platform) != edition or platform not in self._rendered:
                self._editions[platform], self._rendered[platform] = edition, {}
            kept = self._rendered[platform]
        if (rest, authorization) not in kept:
            path, _, query = rest.partition("?")
            answer = self.recording.answer(
                platform,
                unquote(path),
                parse_qsl(query, keep_blank_values=True),
                at=at,
                authorization=authorization,
            )
            kept[rest, authorization] = (answer, _tag(platform, answer))
        return kept[rest, authorization]


def _tag(platform: str, answer: Answer) -> str:
    tagged = platform in TAGGED and answer.status == HTTPStatus.OK
    return f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"' if tagged else ""


class _Server(ThreadingHTTPServer):
    """Binds a free port; remembers its connections so that it can end them all."""

    daemon_threads = False  # together with hang_up(): leaving the block waits for every thread

    def __init__(self, player: PlayServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.player = player
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End every open connection; a client waiting on keep-alive would hold its thread forever."""
        with self._open_lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """One connection: HTTP/1.1 keep-alive, one write per answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # buffered: headers and body leave together at the flush after each request
    server: _Server

    def do_GET(self) -> None:
        answer, tag = self.server.player.respond(
            self.path, self.headers.get("Authorization", ""), self.headers.get("If-None-Match", "")
        )
        self.send_response_only(answer.status)
        if tag:
            self.send_header("ETag", tag)
        if answer.status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that goes away in the middle is its own affair
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Quiet: requests are counted instead."""
