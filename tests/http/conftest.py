"""A local server, a client with short patience, and a way to ask in one line."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.records import RawPayload, Validator
from tests.servers.local import LocalServer
from tracker.errors import FetchError
from tracker.http import Fetched, HttpClient, HttpSettings
from tracker.source import Request, SourceTraits

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

QUICK = HttpSettings(
    connect_timeout_s=1.0,
    total_deadline_s=2.0,
    backoff_initial_s=0.01,
    backoff_max_s=0.02,
    backoff_jitter_s=0.01,
    pace_scale=0.0,
)

TRAITS = SourceTraits(
    name="metaculus",
    setting="METACULUS",
    base_url="https://www.metaculus.com/api",
    hosts=("www.metaculus.com",),
    pace_s=4.0,
    period_hours=6.0,
    platforms=("metaculus",),
    credit="",
    licence="",
    secret="metaculus_token",
    secret_prefix="Token ",
    read_timeout_s=1.0,
)


@dataclass
class Asker:
    """Asks one base URL; everything about the question may be given, nothing has to be."""

    client: HttpClient
    base_url: str
    traits: SourceTraits = field(default=TRAITS)

    def __call__(
        self,
        path: str = "x",
        *,
        secret: str | None = None,
        validator: Validator | None = None,
        base_url: str | None = None,
        traits: SourceTraits | None = None,
        **request: object,
    ) -> Fetched:
        return self.client.fetch(
            replace(Request("metaculus", "q17", path), **request),  # type: ignore[arg-type]
            traits or self.traits,
            base_url=self.base_url if base_url is None else base_url,
            secret=secret,
            now=lambda: NOW,
            validator=validator,
        )

    def payload(self, path: str = "x", **how: object) -> RawPayload:
        fetched = self(path, **how)  # type: ignore[arg-type]
        assert isinstance(fetched, RawPayload)
        return fetched

    def error(self, path: str = "x", **how: object) -> FetchError:
        with pytest.raises(FetchError) as caught:
            self(path, **how)  # type: ignore[arg-type]
        return caught.value


@dataclass
class FakeTime:
    """A clock that moves only when someone sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as local:
        yield local


@pytest.fixture
def client() -> Iterator[HttpClient]:
    with HttpClient(user_agent="speedup-tracker/0 (+https://example.org)", settings=QUICK) as made:
        yield made


@pytest.fixture
def ask(client: HttpClient, server: LocalServer) -> Asker:
    return Asker(client, server.url)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def ask_in_fake_time(server: LocalServer, fake_time: FakeTime) -> Iterator[Asker]:
    settings = replace(QUICK, total_deadline_s=60.0)
    with HttpClient(
        user_agent="test", settings=settings, sleep=fake_time.sleep, clock=fake_time.clock
    ) as client:
        yield Asker(client, server.url)


@dataclass(frozen=True)
class Certificate:
    """A certificate for two public names and this machine, and the context of a server that shows it."""

    authority: Path
    context: Callable[[], ssl.SSLContext]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "certificate.pem"
    names = "DNS:source.example,DNS:mirror.example,DNS:localhost,IP:127.0.0.1"
    subprocess.run(
        [
            *[openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
            *["-keyout", str(key), "-out", str(made), "-days", "2"],
            *["-subj", "/CN=source.example", "-addext", f"subjectAltName={names}"],
        ],
        check=True,
        capture_output=True,
    )

    def context() -> ssl.SSLContext:
        shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown.load_cert_chain(made, key)
        return shown

    return Certificate(made, context)
