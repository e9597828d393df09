"""``/healthz``, ``/readyz``, ``/status.json`` and ``/metrics`` on loopback.

Only GET and HEAD, only for a Host that is this machine (a web page elsewhere must not read it through
somebody's browser), a connection that says nothing for five seconds is closed, and no more than eight are served
at once. Nothing here changes anything, but for the links in mails (``tracker.daemon.desk``), which alone may be
posted to and asked for under the name by which they are reached from outside.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from questions.errors import TrackerError
from tracker.errors import UsageError

SILENCE_S = 5.0
LONGEST_BODY = 4096
AT_ONCE = 8
_HOST = re.compile(r"(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

Page = tuple[HTTPStatus, str, str]
"""Status, content type, text."""


class Links(Protocol):
    """Answers for the links in mails, which are reached under ``host`` too. ``act``: not only look."""

    host: str

    def serves(self, path: str) -> bool: ...

    def __call__(self, path: str, *, act: bool) -> Page: ...


class Pages:
    """What is at which path. ``troubles`` tells why we are not ready, ``status`` and ``metrics`` the rest."""

    def __init__(
        self,
        troubles: Callable[[], list[str]],
        status: Callable[[], str],
        metrics: Callable[[], str],
        links: Links | None = None,
    ) -> None:
        self._troubles, self._status, self._metrics = troubles, status, metrics
        self.links = links
        self._one = threading.Lock()  # a store is asked by one at a time

    def link(self, path: str, *, act: bool) -> Page:
        """The answer to a link in a mail."""
        assert self.links is not None
        try:
            with self._one:
                return self.links(path, act=act)
        except TrackerError:
            text = "this cannot be written down now; please try again later\n"
            return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", text

    def __call__(self, path: str) -> Page:
        if path == "/healthz":
            return HTTPStatus.OK, "text/plain; charset=utf-8", "ok\n"
        if path == "/readyz":
            return self._readyz()
        if path in ("/status.json", "/metrics"):
            try:
                with self._one:
                    if path == "/metrics":
                        return HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", self._metrics()
                    return HTTPStatus.OK, "application/json", self._status()
            except TrackerError as error:
                text = json.dumps({"error": str(error)})
                return HTTPStatus.SERVICE_UNAVAILABLE, "application/json", text
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", "not here\n"

    def _readyz(self) -> Page:
        found = self._troubles()
        if not found:
            return HTTPStatus.OK, "text/plain; charset=utf-8", "ready\n"
        return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", "\n".join(found) + "\n"


class WebServer:
    """Serves pages in threads of its own; a context manager. Raises UsageError when the port is taken."""

    def __init__(self, bind: str, pages: Pages) -> None:
        host, _, port = bind.rpartition(":")
        host = host.strip("[]")
        kind = _Server6 if ":" in host else _Server
        try:
            self._server = kind((host, int(port)), pages)
        except OSError as error:
            raise UsageError(
                f"SPEEDUP_HTTP_BIND {bind}: {error.strerror}; choose another port, or off"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="web", daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> WebServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], pages: Pages) -> None:
        self.pages = pages
        self._free = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to speak of."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"  # one request a connection
    server_version = "speedup"
    sys_version = ""
    timeout = SILENCE_S
    server: _Server

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_POST(self) -> None:
        """Only a link in a mail may be posted to. The form it brings says nothing that the link does not."""
        links, path = self.server.pages.links, self.path.partition("?")[0]
        if links is None or not links.serves(path):
            self.send_error(HTTPStatus.NOT_IMPLEMENTED)
            return
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > LONGEST_BODY:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        self.rfile.read(int(length))
        self._answer(with_body=True, act=True)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses: another method, a request that is none. Repeats nothing of it."""
        self._send((HTTPStatus(code), "text/plain; charset=utf-8", "refused\n"), with_body=True)

    def _answer(self, *, with_body: bool, act: bool = False) -> None:
        pages, path = self.server.pages, self.path.partition("?")[0]
        host, is_link = self.headers.get("Host", ""), pages.links is not None and pages.links.serves(path)
        public = pages.links.host if pages.links is not None and is_link else ""
        if _HOST.fullmatch(host) is None and (not public or host.lower() != public):
            page: Page = (HTTPStatus.MISDIRECTED_REQUEST, "text/plain; charset=utf-8", "wrong host\n")
        elif is_link:
            page = pages.link(path, act=act)
        else:
            page = pages(path)
        self._send(page, with_body=with_body)

    def _send(self, page: Page, *, with_body: bool) -> None:
        status, kind, text = page
        body = text.encode()
        if not hasattr(self, "request_version"):
            self.request_version = "HTTP/1.0"  # refused before its first line was understood
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(
        self,
        format: str,  # noqa: A002 (the base class names it so)
        *args: object,
    ) -> None:
        """Requests are not logged: their text is anybody's."""
