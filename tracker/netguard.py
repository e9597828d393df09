"""Where the program may connect to, checked twice: when a URL is accepted and when a socket is dialled.

A URL check alone is not enough: a permitted name may resolve to 127.0.0.1 or to a cloud's metadata
address, today or at the second look (DNS rebinding). So names are resolved here, every address is
judged, and the connection goes to exactly the address that was judged. The total deadline of a fetch
is kept here as well, because only the socket sees a peer that sends one header byte a second.

Only ``tracker.http`` uses this module.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore

__all__ = [
    "BlockedAddressError",
    "Deadline",
    "GuardedBackend",
    "base_url_problem",
    "is_loopback_host",
    "is_public",
    "resolve",
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int, float | None], Sequence[Address]]
Dialler = Callable[[str, int, float | None], httpcore.NetworkStream]

# 0177.0.0.1: octal to some, decimal to others, and nothing anyone means to write.
_ODD_IPV4 = re.compile(r"(?=.*(?:^|\.)0[0-9])[0-9.]+")

# RFC 6052: the well-known prefix under which NAT64 hides an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class BlockedAddressError(Exception):
    """A name led to an address this program must not talk to."""


class Deadline:
    """A moment on the monotonic clock by which one fetch has to be over."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._end = clock, clock() + seconds

    def remaining(self) -> float:
        """Seconds left; zero or negative when time is up."""
        return self._end - self._clock()

    def extend(self, seconds: float) -> None:
        """Move the end: this much time was not the other side's to lose."""
        self._end += seconds


# URLs ----------------------------------------------------------------------------------------------


def is_loopback_host(host: str) -> bool:
    """Whether a URL's host plainly says "this machine": ``localhost`` or a loopback address.

    Odd spellings (``127.1``, ``2130706433``, ``::ffff:127.0.0.1``) do not count: whoever means
    loopback can write it, and the dial check refuses the rest.
    """
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    # Python 3.13 looks through IPv4-mapped addresses where 3.11 does not; here neither shall.
    mapped = address.version == 6 and address.ipv4_mapped is not None
    return address.is_loopback and not mapped


def base_url_problem(url: str) -> str | None:
    """What is wrong with a base URL, in words for a settings report; None when it will do.

    https to anywhere public, http or https to this machine; nothing but scheme, host, port and path.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"not a URL: {error}"
    if not parts.hostname or not url.isascii() or not url.isprintable() or " " in url:
        return "must look like https://host/path"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user name or password"
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return "must not contain a query or a fragment"
    if port == 0 or _ODD_IPV4.fullmatch(parts.hostname):
        return "must name a host and port that can be connected to"
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback_host(parts.hostname)):
        return None
    return "must be https (plain http only to this machine: http://127.0.0.1 or http://localhost)"


# Addresses -----------------------------------------------------------------------------------------


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet, after taking off what it may be wrapped in.

    IPv4-mapped, 6to4 and NAT64 addresses are judged by the IPv4 address inside. ``is_global`` alone would
    pass multicast and ``fec0::/10``, ``not is_private`` alone the shared space 100.64.0.0/10 (Python 3.11).
    """
    address = _unwrapped(address)
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def resolve(host: str, port: int, timeout: float | None) -> list[Address]:
    """Every address of a host, in the system's order. Raises socket.gaierror or TimeoutError.

    The system's resolver knows no time limit (a silent DNS server holds it for half a minute), so it
    is asked in a thread of its own that is left behind when time is up.
    """
    answers: list[Any] = []

    def ask() -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.append(error)

    asking = threading.Thread(target=ask, daemon=True, name="resolve")
    asking.start()
    asking.join(timeout)
    if not answers:
        raise TimeoutError("the name was not resolved in time")
    answer = answers[0]
    if isinstance(answer, UnicodeError):
        raise socket.gaierror(socket.EAI_NONAME, "not a host name")
    if isinstance(answer, OSError):
        raise answer
    found = [ipaddress.ip_address(sockaddr[0].partition("%")[0]) for *_, sockaddr in answer]
    return list(dict.fromkeys(found))


# Sockets -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Permit:
    loopback: bool
    deadline: Deadline

    def clip(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
        """The shorter of a timeout and what is left of the deadline; raises ``late`` when nothing is."""
        left = self.deadline.remaining()
        if left <= 0:
            raise late("the total deadline has passed")
        return left if timeout is None else min(left, timeout)


class GuardedBackend(httpcore.NetworkBackend):
    """Dials for httpcore: resolve, judge every address, connect to a judged address and nothing else.

    A thread may dial, read and write only inside ``permitted``: httpcore's synchronous pool does all its
    work in the calling thread, and a connection kept open may serve another thread later, so the rules
    belong to the thread and not to the connection.
    """

    def __init__(self, resolver: Resolver = resolve, dialler: Dialler | None = None) -> None:
        self._resolve = resolver
        self._dial = dialler or _dial
        self._thread = threading.local()

    @contextmanager
    def permitted(self, *, loopback: bool, deadline: Deadline) -> Iterator[None]:
        """What this thread may do inside the block: reach this machine or not, and until when."""
        before = getattr(self._thread, "permit", None)
        self._thread.permit = _Permit(loopback, deadline)
        try:
            yield
        finally:
            self._thread.permit = before

    def permit(self) -> _Permit:
        """This thread's permit. Raises BlockedAddressError outside ``permitted``."""
        permit: _Permit | None = getattr(self._thread, "permit", None)
        if permit is None:
            raise BlockedAddressError("no connection was asked for in this thread")
        return permit

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first judged address that answers.

        Raises BlockedAddressError, or httpcore's ConnectError and ConnectTimeout.
        """
        permit = self.permit()
        addresses = self._judged(host, port, permit, timeout)
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            limit = permit.clip(timeout, httpcore.ConnectTimeout)
            try:
                return _GuardedStream(self._dial(str(address), port, limit), self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Never: no source lives on a unix socket."""
        raise BlockedAddressError("unix sockets are not for sources")

    def _judged(self, host: str, port: int, permit: _Permit, timeout: float | None) -> Sequence[Address]:
        limit = permit.clip(timeout, httpcore.ConnectTimeout)
        try:
            addresses = self._resolve(host, port, limit)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        own = permit.loopback and is_loopback_host(host)
        for address in addresses:
            # One bad address condemns the name: a mixture of public and private is how rebinding looks.
            if not (address.is_loopback if own else is_public(address)):
                where = "is not this machine" if own else "is not a public address"
                raise BlockedAddressError(f"{host} leads to {address}, which {where}")
        return addresses


def _dial(address: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
    """A TCP connection to a literal address; nothing is resolved again."""
    return httpcore.SyncBackend().connect_tcp(address, port, timeout)


class _GuardedStream(httpcore.NetworkStream):
    """A socket whose every wait is cut to the deadline of the thread that uses it."""

    def __init__(self, stream: httpcore.NetworkStream, backend: GuardedBackend) -> None:
        self._stream, self._backend = stream, backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        limit = self._backend.permit().clip(timeout, httpcore.ReadTimeout)
        return self._stream.read(max_bytes, limit)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._backend.permit().clip(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        try:
            limit = self._backend.permit().clip(timeout, httpcore.ConnectTimeout)
        except httpcore.ConnectTimeout:
            self.close()  # as httpcore's own stream does when a handshake fails
            raise
        return _GuardedStream(self._stream.start_tls(ssl_context, server_hostname, limit), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
