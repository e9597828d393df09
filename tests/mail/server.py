"""A real mail server on loopback that does as it is told, and keeps what it accepted."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.ports import free_port


@dataclass(frozen=True)
class Received:
    """A message that the server took: to whom, and its bytes."""

    to: str
    body: bytes

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.body, policy=policy.SMTP)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])


@dataclass
class Post:
    """The handler. ``rcpt``, ``data``: what is answered, by address. ``cut_after``: takes a message and hangs up."""

    rcpt: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    mail: str = ""
    cut_after: set[str] = field(default_factory=set)
    received: list[Received] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mail:
            return self.mail
        envelope.mail_from = address
        return "250 ok"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.seen.append(address)
        if address in self.rcpt:
            return self.rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        (to,) = envelope.rcpt_tos
        if to in self.data:
            return self.data[to]
        body = envelope.original_content
        assert isinstance(body, bytes)
        self.received.append(Received(to, body))
        if to in self.cut_after:
            self.cut_after.discard(to)
            assert server.transport is not None
            server.transport.abort()
        return "250 taken"


@contextmanager
def mail_server(
    post: Post,
    *,
    implicit: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
) -> Iterator[int]:
    """A server on a port of its own."""

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, said: Any) -> AuthResult:
        assert isinstance(said, LoginPassword)
        good = login is not None and (said.login.decode(), said.password.decode()) == login
        return AuthResult(success=good, handled=False)

    more: dict[str, Any] = {} if starttls is None else {"tls_context": starttls, "require_starttls": True}
    if login is not None:
        more |= {"authenticator": check, "auth_required": True, "auth_require_tls": implicit is None}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin() -> asyncio.Server:
        return await loop.create_server(
            lambda: SMTP(post, hostname="test", loop=loop, **more), "127.0.0.1", 0, ssl=implicit
        )

    async def end(server: asyncio.Server) -> None:
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def talker(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does to each caller what it is told, and no more."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    callers: list[socket.socket] = []

    def serve() -> None:
        while not over.is_set():
            try:
                caller, _ = listening.accept()
            except OSError:
                return
            callers.append(caller)
            threading.Thread(target=_quietly, args=(answer, caller), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        over.set()
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for caller in callers:
            caller.close()
        thread.join(5)


def _quietly(answer: Callable[[socket.socket], None], caller: socket.socket) -> None:
    with contextlib.suppress(OSError):
        answer(caller)


def silent(caller: socket.socket) -> None:
    """Says nothing at all."""


def dripping(caller: socket.socket) -> None:
    """Says its greeting a letter at a time, and never comes to an end."""
    while True:
        caller.sendall(b"2")
        time.sleep(0.05)


def stripping(caller: socket.socket) -> None:
    """A man in the middle who hides STARTTLS and would take whatever is said in clear."""
    caller.sendall(b"220 here\r\n")
    heard = b""
    while True:
        heard += caller.recv(1000)
        if heard.endswith(b"\r\n"):
            caller.sendall(
                b"250-here\r\n250 AUTH PLAIN LOGIN\r\n" if heard.startswith(b"ehlo") else b"250 ok\r\n"
            )
            heard = b""


def closed_port() -> int:
    """A port where nobody answers."""
    return free_port()
