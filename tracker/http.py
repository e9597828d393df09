"""The only door to the network: one request at a time, polite to hosts and suspicious of answers.

``HttpClient.fetch`` turns a ``Request`` into the bytes a source answered with, or into a FetchError
that says what went wrong and whether trying again can help. Nothing else comes out of it, whatever
the other side sends. ``HttpClient.send`` posts a JSON document, once and never again. Here live retries,
pace, redirects, limits of time and size, decompression, conditional requests, identity and secrets; what
bytes mean lives in the adapters.

httpx is imported in this module only. It takes a third of a second to load, so start-up code imports
this module where it is used.

Kinds of FetchError (``retry`` in brackets): ``http_<status>`` (yes for 408, 425, 429 and 5xx),
``timeout``, ``dns``, ``refused``, ``connect``, ``reset``, ``disconnected``, ``protocol``, ``cut_off``,
``truncated`` (yes); ``tls`` (not for a bad certificate); ``encoding``, ``too_large``, ``redirect``,
``blocked_address``, ``base_url``, ``request``, ``secret`` (no). ``sent`` tells whether the source may have got
the request: False only where not a byte of it had left.
"""

from __future__ import annotations

import html
import json
import logging
import math
import re
import socket
import sqlite3
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, partial
from http import HTTPStatus
from http.client import responses
from http.cookiejar import CookieJar
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlencode

import httpcore
import stamina

from storage.records import RawPayload, Validator
from tracker.errors import ConfigError, FetchError, Stopped
from tracker.netguard import (
    BlockedAddressError,
    Deadline,
    GuardedBackend,
    base_url_problem,
    is_loopback_host,
)
from tracker.source import Request, SourceTraits

# httpx does without its command line where that cannot be loaded; else it brings rich and pygments along.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
import httpx  # noqa: E402

if TYPE_CHECKING:
    from pyrate_limiter import StateBucket

__all__ = [
    "Fetched",
    "HostLimits",
    "HttpClient",
    "HttpSettings",
    "NotModified",
    "Usage",
    "machine_limits",
    "request_url",
    "retry_after_s",
]

log = logging.getLogger(__name__)

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
# An adapter can tell something from these: what there is, that we may not see it, that it is gone.
ANSWER_STATUSES = frozenset({*range(200, 300), 401, 403, 404, 410})
KEPT_HEADERS = ("content-type", "etag", "last-modified", "date", "retry-after")
DAY_S = 86_400.0

_INFLATE_STEP = 65_536
_EXCERPT_CHARS = 200
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,500}"')
_FIELD_TEXT = re.compile(r"[\x20-\x7e]{1,500}")
_TOKEN_TEXT = re.compile(r"[\x21-\x7e]+")
_SECRET, _CUT_OUT = "[secret]", "\x00"


@dataclass(frozen=True)
class HttpSettings:
    """Limits of one client; times in seconds. The read timeout and the body cap are the source's own.

    ``total_deadline_s`` bounds one fetch from its first request to its last byte, retries and redirects
    included, waiting in line for a host not included; with letting go it is over within a minute.
    ``pace_scale`` multiplies every source's pace (a source on loopback is never paced). ``ca_file`` adds a
    certificate authority; nothing turns verification off.
    """

    connect_timeout_s: float = 5.0
    write_timeout_s: float = 10.0
    pool_timeout_s: float = 10.0
    total_deadline_s: float = 57.0
    attempts: int = 3
    backoff_initial_s: float = 0.5
    backoff_max_s: float = 10.0
    backoff_jitter_s: float = 1.0
    retry_after_max_s: float = 30.0
    max_redirects: int = 3
    pace_scale: float = 1.0
    ca_file: Path | None = None


@dataclass(frozen=True)
class NotModified:
    """The source says the bytes we hold (``payload_sha256``, from the validator) are still current."""

    source: str
    ref: str
    url: str
    fetched_at: datetime
    payload_sha256: str


Fetched = RawPayload | NotModified


@dataclass(frozen=True)
class Usage:
    """What a source was asked: requests sent (redirects and retries count), of those retries, and bytes
    of body as they came over the wire."""

    requests: int = 0
    retries: int = 0
    bytes_received: int = 0


# What to ask ---------------------------------------------------------------------------------------


def request_url(base_url: str, request: Request) -> str:
    """The full URL of a request, as ``RawPayload.url`` and validators carry it.

    The path is put below the base URL and escaped (existing %-escapes stay); it cannot climb out or
    change the host. Raises FetchError of kind ``base_url`` or ``request``.
    """
    return str(_url(base_url, request))


def _url(base_url: str, request: Request) -> httpx.URL:
    problem = base_url_problem(base_url)
    if problem:
        raise FetchError(request.source, request.ref, "base_url", f"base URL {problem}", retry=False)
    message = f"path {_neutral(request.path)[:80]!r} and its parameters make no URL below the base URL"
    refusal = FetchError(request.source, request.ref, "request", message, retry=False)
    if any(unquote(part) in (".", "..") for part in request.path.split("/")):
        raise refusal
    try:
        path = quote(request.path.lstrip("/"), safe="/%:@!$&'()*+,;=~-._")
        joined = f"{base_url.rstrip('/')}/{path}" if request.path else base_url
        query = urlencode(request.params)
        return httpx.URL(f"{joined}?{query}" if query else joined)
    except (UnicodeError, httpx.InvalidURL):
        raise refusal from None


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds a ``Retry-After`` header asks for: whole seconds or an HTTP date (RFC 9110, 10.2.3).

    None when there is no header, it is neither, or it lies in the past; never more than a day.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        seconds = float(text[:10]) if len(text) <= 10 else DAY_S
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (aware - now).total_seconds()
    return min(seconds, DAY_S) if seconds > 0 else None


def _neutral(text: str) -> str:
    """Text from outside, made harmless for one line of a terminal or a log."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _spellings(secret: str | None) -> tuple[str, ...]:
    """A key as it is and as addresses, JSON and HTML write it, the longest first."""
    if not secret:
        return ()
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    forms |= {json.dumps(secret)[1:-1], html.escape(secret)}
    return tuple(sorted(forms, key=len, reverse=True))


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return (url.scheme, url.host, url.port)


# Reading a body ------------------------------------------------------------------------------------


class _BodyError(Exception):
    """The body is not acceptable. ``kind`` and ``retry`` as in FetchError."""

    def __init__(self, kind: str, message: str, *, retry: bool = False) -> None:
        self.kind, self.retry = kind, retry
        super().__init__(message)


class _Body:
    """Collects a body, undoing its content coding in small steps so that a bomb costs no memory.

    At most ``limit`` bytes are kept, counted after decoding; and no more than that is taken from the wire, so
    that a stream of empty blocks ends too.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self._coding = encoding.strip().lower()
        if self._coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise _BodyError("encoding", f"content coding {encoding!r} was not asked for")
        self._limit = limit
        self._data = bytearray()
        self._waiting = b""
        self._inflate: Any = None
        self.received = 0

    def feed(self, chunk: bytes) -> None:
        """Take a piece off the wire. Raises _BodyError (``too_large``, ``encoding``)."""
        self.received += len(chunk)
        if self.received > self._limit:
            raise self._too_large()
        if self._coding in ("", "identity"):
            self._keep(chunk)
            return
        try:
            self._decode(chunk)
        except zlib.error as error:
            raise _BodyError("encoding", f"body is not valid {self._coding}: {error}") from None

    def finish(self) -> bytes:
        """The whole body. Raises _BodyError (``truncated``) when the coding says there should be more."""
        if self._waiting or (self._inflate is not None and not self._inflate.eof):
            raise _BodyError("truncated", f"{self._coding} body ends before its end", retry=True)
        return bytes(self._data)

    def _decode(self, chunk: bytes) -> None:
        data = self._waiting + chunk
        if self._inflate is None and len(data) < 2:
            self._waiting = data
            return
        self._waiting = b""
        if self._inflate is None:
            self._inflate = zlib.decompressobj(self._window_bits(data))
        while data or not self._inflate.eof:
            if self._inflate.eof:  # a gzip file may have several members (RFC 1952, 2.2)
                self._inflate = zlib.decompressobj(31)
            piece = self._inflate.decompress(data, _INFLATE_STEP)
            self._keep(piece)
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if not data and len(piece) < _INFLATE_STEP:
                return

    def _window_bits(self, start: bytes) -> int:
        """gzip; or deflate, which servers send with (RFC 9110) and without its zlib wrapper."""
        if self._coding != "deflate":
            return 31
        wrapped = start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0
        return 15 if wrapped else -15

    def _keep(self, piece: bytes) -> None:
        if len(self._data) + len(piece) > self._limit:
            raise self._too_large()
        self._data += piece

    def _too_large(self) -> _BodyError:
        return _BodyError("too_large", f"body is larger than {self._limit} bytes")


# Being polite --------------------------------------------------------------------------------------


class HostLimits:
    """Pace and concurrency per host, shared by all threads (and, by default, all clients) of a process.

    At most ``per_host`` requests at once to a host and ``overall`` in all; between two starts to one host
    lie at least the pace of the slowest source that uses it. ``shared`` names a file through which all
    processes keep the pace together; should it be unusable, that is logged and the process keeps its own.
    ``clock`` is then the wall clock.
    """

    def __init__(
        self,
        *,
        per_host: int = 2,
        overall: int = 8,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        shared: Path | None = None,
    ) -> None:
        self._clock = clock or (time.monotonic if shared is None else time.time)
        self._per_host, self._sleep, self._shared = per_host, sleep, shared
        self._overall = threading.BoundedSemaphore(overall)
        self._hosts: dict[str, threading.BoundedSemaphore] = {}
        self._buckets: dict[str, StateBucket] = {}
        self._lock = threading.Lock()

    @contextmanager
    def slot(self, host: str, pace_s: float) -> Iterator[None]:
        """Wait in line for a host; inside the block a request may be under way."""
        with self._lock:
            own = self._hosts.setdefault(host, threading.BoundedSemaphore(self._per_host))
        # The pace comes last: starts are spaced only if nothing can hold a request up after it.
        with own, self._overall:
            while (wait := self._wait_s(host, pace_s)) > 0:
                self._sleep(wait)
            yield

    def _wait_s(self, host: str, pace_s: float) -> float:
        """Take the next start to a host (0.0), or say how long until there is one.

        pyrate-limiter keeps the account (GCRA with a burst of one); its Limiter is left out because it
        sleeps and reads the clock by itself, and both are arguments here.
        """
        if pace_s <= 0:
            return 0.0
        from pyrate_limiter import Rate, RateItem

        # Starts are accounted in whole milliseconds, rounded down: one more makes up for it.
        interval_ms = math.ceil(pace_s * 1000) + 1
        with self._lock:
            bucket = self._buckets.get(host)
            if bucket is None:
                bucket = self._buckets[host] = self._bucket(host, interval_ms)
            elif bucket.rates[0].interval < interval_ms:
                bucket.rates = [Rate(1, interval_ms)]
            start = RateItem(host, int(self._clock() * 1000))
            try:
                if bucket.put(start) is True:
                    return 0.0
                wait_ms = bucket.waiting(start)
            except sqlite3.Error as error:
                log.warning("%s: %s; this process keeps its own pace", self._shared, error)
                self._shared = None
                self._buckets.clear()
                return pace_s
        return max(int(wait_ms), 1) / 1000 if isinstance(wait_ms, int) else pace_s

    def _bucket(self, host: str, interval_ms: int) -> StateBucket:
        from pyrate_limiter import Rate, StateBucket

        if self._shared is None:
            return StateBucket([Rate(1, interval_ms)])
        from tracker.pace import FileStore

        return StateBucket([Rate(1, interval_ms)], store=FileStore(self._shared, host))


_PROCESS_LIMITS = HostLimits()


@cache
def machine_limits(file: Path) -> HostLimits:
    """Limits whose pace all processes that name the same file keep together."""
    return HostLimits(shared=file)


def sleep_until(stop: threading.Event) -> Callable[[float], None]:
    """A way to wait for a program that may be told to end: once ``stop`` is set, every wait ends by Stopped."""

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopped("the program was told to end")

    return sleep


@dataclass(frozen=True)
class _Hold:
    until: float
    status: int


# The client ----------------------------------------------------------------------------------------


@dataclass
class _Job:
    """One fetch on its way: what is asked, by which rules, and how long it may take."""

    request: Request
    traits: SourceTraits
    url: httpx.URL
    loopback: bool
    secret: str | None = field(repr=False)
    now: Callable[[], datetime]
    validator: Validator | None
    content: bytes | None = field(default=None, repr=False)
    idempotency_key: str = ""
    deadline: Deadline | None = None
    failed: FetchError | None = None
    sent_any: bool = False

    def error(
        self,
        kind: str,
        message: str,
        *,
        retry: bool,
        status: int | None = None,
        not_before_s: float | None = None,
    ) -> FetchError:
        return FetchError(
            self.request.source,
            self.request.ref,
            kind,
            self.cleaned(message),
            retry=retry,
            status=status,
            not_before_s=not_before_s,
            sent=self.sent_any,
        )

    def watch(self, event: str, _details: object) -> None:
        """httpcore tells what it is doing: from its first header on, a request may have arrived."""
        self.sent_any = self.sent_any or event.endswith("send_request_headers.started")

    def cleaned(self, text: str) -> str:
        """One harmless line without our secret, which a server may well echo; cut only after that."""
        for spelling in _spellings(self.secret):
            text = text.replace(spelling, _CUT_OUT)
        if self.shown_in(text):
            return _SECRET
        return _neutral(text.replace(_CUT_OUT, _SECRET))[:500]

    def shown_in(self, text: str) -> bool:
        """Whether our secret stands in a text, escaped or not."""
        forms = (text, unquote(text), unquote_plus(text))
        return any(spelling in form for spelling in _spellings(self.secret) for form in forms)

    def sent(self, url: httpx.URL) -> httpx.URL:
        """The URL as it goes out. Only the one we made may carry a key, never one we were sent on to."""
        name = self.traits.secret_param
        if url is not self.url or name is None or not (self.request.private and self.secret):
            return url
        return httpx.URL(f"{url}{'&' if url.query else '?'}{urlencode({name: self.secret})}")

    def kept(self, body: bytes) -> bytes:
        """The body as it came, but for a key that was in its URL: pages of errors like to show their address.

        A key in a header comes back so seldom, and may be so short, that bodies are left alone then.
        Raises _BodyError (``secret``) when the key cannot be cut out.
        """
        if self.traits.secret_param is None or not self.request.private:
            return body
        for spelling in _spellings(self.secret):
            body = body.replace(spelling.encode(), _SECRET.encode())
        if self.shown_in(body.decode("latin-1")):
            raise _BodyError("secret", "the body shows our key; it is not kept")
        return body

    def headers(self, url: httpx.URL) -> dict[str, str]:
        """What this request adds to every request. The secret goes to the source's own origin alone."""
        headers = {} if self.content is None else {"Content-Type": "application/json"}
        if self.idempotency_key:
            headers["Idempotency-Key"] = self.idempotency_key
        may = self.request.private and self.traits.secret_param is None and _origin(url) == _origin(self.url)
        if may and self.secret:
            headers[self.traits.secret_header] = self.traits.secret_prefix + self.secret
        if self.validator is not None:
            # Both came from a server once: what could not stand in a header is left out.
            if self.validator.etag and _ENTITY_TAG.fullmatch(self.validator.etag):
                headers["If-None-Match"] = self.validator.etag
            if self.validator.last_modified and _FIELD_TEXT.fullmatch(self.validator.last_modified):
                headers["If-Modified-Since"] = self.validator.last_modified
        return headers


@dataclass(frozen=True)
class _Detour:
    """Where an answer sends us instead of answering."""

    location: str


class _NoCookies(CookieJar):
    """Sources need no cookies; a jar shared by all of them would only carry things between them."""

    def extract_cookies(self, response: object, request: object) -> None: ...

    def add_cookie_header(self, request: object) -> None: ...


class _GuardedTransport(httpx.HTTPTransport):
    """httpx's transport over a connection pool that dials through ``tracker.netguard``.

    httpx offers no way to hand a network backend to its pool (encode/httpx 0.28), so ``_pool`` is set here, in
    place of the parent's ``__init__``, which would do nothing but build another one. That the guard is
    really in the way is tested in tests/http/test_guard.py.
    """

    def __init__(self, backend: GuardedBackend, context: ssl.SSLContext) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=16,
            max_keepalive_connections=8,
            keepalive_expiry=15.0,
            http1=True,
            http2=False,
            retries=0,
            network_backend=backend,
        )


class HttpClient:
    """Asks sources over HTTP. A context manager; ``fetch`` may be called from any number of threads.

    ``user_agent`` names the project and a contact. ``clock`` (monotonic seconds) and ``sleep`` govern pace,
    ``Retry-After`` and the deadline; giving either makes the client keep its own ``HostLimits`` instead
    of the process's. ``budget`` is asked before every request to a source, retries too: 0.0 lets it go, else it
    is refused for so many seconds (kind ``budget``). ``backend`` is for tests of the address guard. Raises
    ConfigError for a user agent that cannot stand in a header and for an unreadable ``ca_file``.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        settings: HttpSettings | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        limits: HostLimits | None = None,
        backend: GuardedBackend | None = None,
        budget: Callable[[str], float] | None = None,
    ) -> None:
        if not _FIELD_TEXT.fullmatch(user_agent):
            raise ConfigError(["user agent: must be one line of plain ASCII"])
        self._settings = settings or HttpSettings()
        self._sleep, self._clock = sleep, clock
        own_time = sleep is not time.sleep or clock is not time.monotonic
        self._limits = limits or (HostLimits(clock=clock, sleep=sleep) if own_time else _PROCESS_LIMITS)
        self._backend = backend or GuardedBackend()
        self._budget = budget
        self._holds: dict[str, _Hold] = {}
        self._usage: dict[str, Usage] = {}
        self._lock = threading.Lock()
        _quieten()
        self._client = httpx.Client(
            transport=_GuardedTransport(self._backend, _tls_context(self._settings.ca_file)),
            headers={"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "gzip"},
            cookies=_NoCookies(),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def url_for(self, request: Request, base_url: str) -> str:
        """The full URL a request goes to: what validators are kept under."""
        return request_url(base_url, request)

    def usage(self, source: str) -> Usage:
        """What this client has asked of a source so far."""
        with self._lock:
            return self._usage.get(source, Usage())

    def fetch(
        self,
        request: Request,
        traits: SourceTraits,
        *,
        base_url: str,
        secret: str | None,
        now: Callable[[], datetime],
        validator: Validator | None = None,
    ) -> Fetched:
        """Ask, again if that can help, and return the bytes.

        A RawPayload comes back for every 2xx and for 401, 403, 404 and 410 (``status`` says which: adapters
        know what a refusal or an absence means); NotModified for a 304 to a ``conditional`` request with
        a validator. ``url`` is the URL asked for, before redirects and without any key. The secret travels in the
        source's header, for ``private`` requests, to the base URL's origin and nowhere else; or in its query
        parameter, to the URL asked for and never along a redirect.

        Raises FetchError, and nothing else, for everything that can go wrong outside this program.
        """
        job = self._job(request, traits, base_url, secret, now, validator)
        limits = self._settings
        for attempt in stamina.retry_context(
            on=partial(self._again, job),
            attempts=limits.attempts,
            timeout=None,  # the deadline is ours: it cuts into a running request, which this would not
            wait_initial=limits.backoff_initial_s,
            wait_max=limits.backoff_max_s,
            wait_jitter=limits.backoff_jitter_s,
        ):
            with attempt:
                return self._attempt(job)
        raise AssertionError("retry_context ends with a result or an error")

    def send(
        self,
        request: Request,
        traits: SourceTraits,
        document: object,
        *,
        base_url: str,
        secret: str | None,
        now: Callable[[], datetime],
        idempotency_key: str = "",
    ) -> RawPayload:
        """POST a JSON document, once: never again after a failure, and never on to where an answer points.
        ``idempotency_key`` (plain ASCII) goes along in a header, so that a receiver can tell a document sent again.

        Pace, limits, the guard and the secret are as in ``fetch``. A RawPayload comes back for a 2xx alone.
        Every other end is a FetchError: of kind ``http_<status>`` when the source answered (its words are
        in the message); else ``sent`` tells whether it may have got the document, and only the source
        knows what it did with it then. Raises nothing else for what can go wrong outside this program.
        """
        job = self._job(request, traits, base_url, secret, now, None)
        if idempotency_key and not _TOKEN_TEXT.fullmatch(idempotency_key):
            raise job.error("request", "the idempotency key cannot stand in a header", retry=False)
        job.idempotency_key = idempotency_key
        job.content = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
        answer = self._exchange(job, job.url)
        assert isinstance(answer, RawPayload)  # what is posted is not sent on, and a POST has no validator
        return answer

    def _job(
        self,
        request: Request,
        traits: SourceTraits,
        base_url: str,
        secret: str | None,
        now: Callable[[], datetime],
        validator: Validator | None,
    ) -> _Job:
        url = _url(base_url, request)
        if secret is not None and not _TOKEN_TEXT.fullmatch(secret):
            # Said without the value: an HTTP library's complaint would show it.
            message = f"setting {traits.secret or 'for the key'} has characters no key has"
            raise FetchError(request.source, request.ref, "secret", message, retry=False)
        usable = validator if request.conditional else None
        return _Job(request, traits, url, is_loopback_host(url.host), secret, now, usable)

    def _again(self, job: _Job, error: Exception) -> bool | float:
        """stamina's question after a failure: try again (after how long)?"""
        if not isinstance(error, FetchError):
            return False
        job.failed = error
        left = job.deadline.remaining() if job.deadline else 0.0
        if not error.retry or not (error.status is None or error.status in RETRIED_STATUSES):
            return False
        if error.not_before_s is not None:
            # The wait itself is in _wait_out_hold, where the other threads for this host wait too.
            return 0.0 if error.not_before_s <= min(self._settings.retry_after_max_s, left) else False
        return left > self._settings.backoff_max_s

    def _attempt(self, job: _Job) -> Fetched:
        if job.failed is not None:
            log.info("%s %s: asking again after %s", job.request.source, job.request.ref, job.failed.kind)
            self._count(job, Usage(retries=1))
        url = job.url
        for _ in range(self._settings.max_redirects + 1):
            answer = self._exchange(job, url)
            if not isinstance(answer, _Detour):
                return answer
            url = self._redirected(job, url, answer.location)
        raise job.error("redirect", f"more than {self._settings.max_redirects} redirects", retry=False)

    def _exchange(self, job: _Job, url: httpx.URL) -> Fetched | _Detour:
        """One request and its answer, in its turn."""
        queued = self._clock()
        with self._limits.slot(url.netloc.decode("ascii"), self._pace_s(job, url)):
            if job.deadline is None:
                job.deadline = Deadline(self._settings.total_deadline_s, self._clock)
            else:
                job.deadline.extend(self._clock() - queued)
            self._wait_out_hold(job, url)
            self._spend(job)
            self._count(job, Usage(requests=1))
            with self._backend.permitted(loopback=job.loopback, deadline=job.deadline):
                outcome = self._converse(job, url)
        # Raised here, not where it was caught: httpx's exceptions carry the request and with it the
        # secret's header, and must not travel along as the cause or context of ours.
        if isinstance(outcome, FetchError):
            raise outcome
        return outcome

    def _spend(self, job: _Job) -> None:
        """Take one request out of the source's budget, if it has one."""
        wait_s = self._budget(job.traits.name) if self._budget is not None else 0.0
        if wait_s > 0:
            message = f"its budget of requests is used up for {wait_s:.0f} s"
            raise job.error("budget", message, retry=True, not_before_s=wait_s)

    def _pace_s(self, job: _Job, url: httpx.URL) -> float:
        """Seconds between starts to this host; a server on this machine needs no mercy."""
        return 0.0 if is_loopback_host(url.host) else job.traits.pace_s * self._settings.pace_scale

    def _converse(self, job: _Job, url: httpx.URL) -> Fetched | _Detour | FetchError:
        """Send and read. Every failure of the network is returned as a FetchError."""
        reading = False
        try:
            request = self._client.build_request(
                "GET" if job.content is None else "POST",
                job.sent(url),
                content=job.content,
                headers=job.headers(url),
                timeout=self._timeout(job),
                extensions={"trace": job.watch},
            )
            response = self._client.send(request, stream=True)
            reading = True
            try:
                return self._read(job, url, response)
            finally:
                response.close()
        except BlockedAddressError as error:
            return job.error("blocked_address", str(error), retry=False)
        except _BodyError as error:
            return job.error(error.kind, str(error), retry=error.retry)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
            return _explained(job, error, reading=reading)

    def _timeout(self, job: _Job) -> httpx.Timeout:
        return httpx.Timeout(
            connect=self._settings.connect_timeout_s,
            read=job.traits.read_timeout_s,
            write=self._settings.write_timeout_s,
            pool=self._settings.pool_timeout_s,
        )

    def _read(self, job: _Job, url: httpx.URL, response: httpx.Response) -> Fetched | _Detour | FetchError:
        status = response.status_code
        if job.content is not None and not 200 <= status < 300:
            return self._refusal(job, url, response)
        location = response.headers.get("location")
        if status in REDIRECT_STATUSES and location:
            return _Detour(location)
        if status == HTTPStatus.NOT_MODIFIED and job.validator is not None:
            sha256 = job.validator.payload_sha256
            return NotModified(job.request.source, job.request.ref, str(job.url), job.now(), sha256)
        if status not in ANSWER_STATUSES:
            return self._refusal(job, url, response)
        body = job.kept(self._body(job, response, job.traits.max_body_bytes))
        return RawPayload(
            source=job.request.source,
            ref=job.request.ref,
            url=str(job.url),
            fetched_at=job.now(),
            status=status,
            content_type=job.cleaned(response.headers.get("content-type", "")),
            body=body,
            headers=_kept_headers(job, response),
        )

    def _body(self, job: _Job, response: httpx.Response, limit: int) -> bytes:
        body = _Body(response.headers.get("content-encoding", ""), limit)
        try:
            for chunk in response.iter_raw():
                body.feed(chunk)
            return body.finish()
        finally:
            self._count(job, Usage(bytes_received=body.received))

    def _refusal(self, job: _Job, url: httpx.URL, response: httpx.Response) -> FetchError:
        """The error for a status that is no answer; notes how long the host wants to be left alone."""
        status = response.status_code
        asked = None
        if status in RETRIED_STATUSES:
            asked = retry_after_s(response.headers.get("retry-after"), job.now())
            self._hold(job, url, status, asked)
        said = self._excerpt(job, response)
        answered = f"{url.host} answered {status} {responses.get(status, '')}".rstrip()
        return job.error(
            f"http_{status}",
            f"{answered}: {said}" if said else answered,
            retry=status in (408, 425, 429) or status >= 500,
            status=status,
            not_before_s=asked,
        )

    def _excerpt(self, job: _Job, response: httpx.Response) -> str:
        """How an error's body begins, if that can be had quickly."""
        left = job.deadline.remaining() if job.deadline else 0.0
        try:
            with self._backend.permitted(
                loopback=job.loopback, deadline=Deadline(min(2.0, left), self._clock)
            ):
                body = self._body(job, response, 65_536)
        except (_BodyError, httpx.HTTPError, httpx.StreamError):
            return ""
        return job.cleaned(body.decode("utf-8", "replace"))[:_EXCERPT_CHARS]

    def _hold(self, job: _Job, url: httpx.URL, status: int, asked: float | None) -> None:
        """Keep every thread away from a host that asked for it, or that said 429 without a time."""
        seconds = asked
        if seconds is None and status == HTTPStatus.TOO_MANY_REQUESTS:
            seconds = 2.5 * self._pace_s(job, url)
        if seconds is not None:
            hold = _Hold(self._clock() + seconds, status)
            with self._lock:
                host = url.netloc.decode("ascii")
                known = self._holds.get(host, hold)
                self._holds[host] = max(known, hold, key=lambda each: each.until)

    def _wait_out_hold(self, job: _Job, url: httpx.URL) -> None:
        """Stay away from a host as long as it asked; FetchError at once when that is too long to wait."""
        with self._lock:
            hold = self._holds.get(url.netloc.decode("ascii"))
        wait = hold.until - self._clock() if hold else 0.0
        if hold is None or wait <= 0:
            return
        left = job.deadline.remaining() if job.deadline else 0.0
        if wait > min(self._settings.retry_after_max_s, left):
            message = f"{url.host} answered {hold.status} and wants {wait:.0f} s without requests"
            raise job.error(f"http_{hold.status}", message, retry=True, status=hold.status, not_before_s=wait)
        self._sleep(wait)

    def _redirected(self, job: _Job, current: httpx.URL, location: str) -> httpx.URL:
        """The URL to go on with. Raises FetchError unless it is one the source may send us to."""
        try:
            target = current.join(location).copy_with(fragment=None)
        except (httpx.InvalidURL, ValueError):
            target = None
        if target is None or not self._may_follow(job, current, target):
            shown = job.cleaned(location)[:_EXCERPT_CHARS]
            raise job.error(
                "redirect", f"{current.host} sends us to {shown!r}, which is not allowed", retry=False
            )
        return target

    def _may_follow(self, job: _Job, current: httpx.URL, target: httpx.URL) -> bool:
        host = target.host.lower()
        at_home = job.loopback and is_loopback_host(host)
        if target.userinfo or host not in {job.url.host, *job.traits.hosts}:
            return False
        if job.traits.secret_param is not None and job.shown_in(str(target)):
            return False  # our own URL, key included, given back to us
        if target.port is not None and not 0 < target.port < 65536:
            return False
        if target.scheme == "https":
            return at_home or target.port is None or _origin(target) == _origin(job.url)
        return target.scheme == "http" and at_home and current.scheme == "http"

    def _count(self, job: _Job, more: Usage) -> None:
        with self._lock:
            old = self._usage.get(job.request.source, Usage())
            self._usage[job.request.source] = replace(
                old,
                requests=old.requests + more.requests,
                retries=old.retries + more.retries,
                bytes_received=old.bytes_received + more.bytes_received,
            )


def _kept_headers(job: _Job, response: httpx.Response) -> dict[str, str]:
    kept = {name: response.headers.get(name, "") for name in KEPT_HEADERS}
    return {
        name: value
        for name, value in kept.items()
        if _FIELD_TEXT.fullmatch(value) and not job.shown_in(value)
    }


def _explained(job: _Job, error: Exception, *, reading: bool) -> FetchError:
    """What an httpx exception means, as ours. ``reading``: the headers had arrived already."""
    text = str(error)
    if isinstance(error, httpx.InvalidURL) or "in location header" in text:
        # httpx prepares the next request of a redirect even when told not to follow it.
        return job.error("redirect", f"redirect to nowhere: {text}", retry=False)
    for cause in () if reading else _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return job.error("tls", f"certificate not accepted: {cause.verify_message}", retry=False)
        if isinstance(cause, ssl.SSLError):
            return job.error("tls", f"no TLS connection: {cause.reason or cause}", retry=True)
        if isinstance(cause, socket.gaierror):
            return job.error("dns", f"{job.url.host} not found: {cause.strerror or cause}", retry=True)
        if isinstance(cause, ConnectionRefusedError):
            return job.error("refused", f"connection to {job.url.host} refused", retry=True)
    match error:
        case httpx.TimeoutException():
            return job.error("timeout", f"{_phase(error)} took too long", retry=True)
        case httpx.RemoteProtocolError() if reading and "without sending complete" in text:
            return job.error("cut_off", f"body was cut off: {text}", retry=True)
        case httpx.RemoteProtocolError() if "disconnected" in text:
            return job.error("disconnected", "connection closed without an answer", retry=True)
        case httpx.RemoteProtocolError():
            return job.error("protocol", f"not HTTP as it should be: {text}", retry=True)
        case httpx.ConnectError():
            return job.error("connect", f"no connection: {text}", retry=True)
        case httpx.NetworkError() if reading:
            return job.error("cut_off", f"body was cut off: {text}", retry=True)
        case httpx.NetworkError():
            return job.error("reset", f"connection broke before an answer: {text}", retry=True)
    # What is left are complaints about our own request; their text may quote its headers.
    return job.error("request", f"request refused by the HTTP library ({type(error).__name__})", retry=False)


def _phase(error: httpx.TimeoutException) -> str:
    match error:
        case httpx.ConnectTimeout():
            return "connecting"
        case httpx.WriteTimeout():
            return "sending"
        case httpx.PoolTimeout():
            return "waiting for a free connection"
    return "the answer"


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    """The error and what lies under it. httpcore's pool cuts ``__cause__`` off, ``__context__`` stays."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is None:
        return _common_tls_context()
    context = httpx.create_ssl_context(trust_env=False)
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError([f"ca_file {ca_file}: not a readable certificate file ({error})"]) from error
    return context


@cache
def _common_tls_context() -> ssl.SSLContext:
    """Reading a few hundred authorities takes longer than everything else a new client does."""
    return httpx.create_ssl_context(trust_env=False)


def _quieten() -> None:
    """httpx logs full URLs at INFO, httpcore headers at DEBUG, stamina a line per retry as a warning."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("stamina").setLevel(logging.ERROR)
