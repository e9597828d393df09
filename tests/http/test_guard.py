"""Where connections may go: the address check at dial time, redirects, and https for real."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import httpcore
import pytest

from tests.http.conftest import QUICK, TRAITS, Asker, Certificate, FakeTime
from tests.servers.local import LocalServer, Seen, json_reply, redirect
from tracker import netguard
from tracker.http import HostLimits, HttpClient
from tracker.netguard import BlockedAddressError, Deadline, GuardedBackend, is_loopback_host, is_public

PUBLIC = "93.184.215.14"


@dataclass
class Dialled:
    """A dialler that notes every address and connects all of them to one local port (1: a closed one)."""

    port: int = 1
    addresses: list[str] = field(default_factory=list)

    def __call__(self, address: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
        self.addresses.append(address)
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", self.port, timeout)


def names(**known: str | Sequence[str]) -> Callable[[str, int, float | None], list[netguard.Address]]:
    """A resolver that knows these names (``_`` for a dot) and asks the system about everything else."""
    table = {name.replace("_", "."): [at] if isinstance(at, str) else list(at) for name, at in known.items()}

    def look_up(host: str, port: int, timeout: float | None) -> list[netguard.Address]:
        if host in table:
            return [ipaddress.ip_address(address) for address in table[host]]
        return netguard.resolve(host, port, timeout)

    return look_up


NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "fc00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_the_open_internet_are_told_apart(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", PUBLIC, "2606:2800:21f::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"],
)
def test_public_addresses_pass_also_when_wrapped(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_name_that_leads_inside_is_never_dialled(address: str) -> None:
    dialled = Dialled()
    backend = GuardedBackend(names(source_example=[PUBLIC, address]), dialled)

    with HttpClient(user_agent="test", settings=QUICK, backend=backend) as client:
        error = Asker(client, "https://source.example").error()

    assert (error.kind, error.retry) == ("blocked_address", False)
    assert dialled.addresses == []


SPELLINGS = [
    "127.1",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_an_inside_address_is_dialled(host: str) -> None:
    dialled = Dialled()

    with HttpClient(user_agent="test", settings=QUICK, backend=GuardedBackend(dialler=dialled)) as client:
        error = Asker(client, f"https://{host}").error()

    assert error.kind in (
        "blocked_address",
        "dns",
        "base_url",
    )  # some systems refuse the odder spellings themselves
    assert dialled.addresses == []


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_redirect_reaches_an_inside_address_even_for_a_host_on_the_list(
    server: LocalServer, host: str
) -> None:
    server.route("/x", redirect(f"https://{host}/latest/meta-data"))
    dialled = Dialled(server.port)
    listed = replace(TRAITS, hosts=(host.strip("[]"),))

    with HttpClient(user_agent="test", settings=QUICK, backend=GuardedBackend(dialler=dialled)) as client:
        error = Asker(client, server.url, listed).error()

    assert error.kind in ("blocked_address", "dns", "redirect")
    assert dialled.addresses == ["127.0.0.1"]  # the first hop, which was permitted


def test_the_judged_address_is_the_one_that_is_dialled() -> None:
    dialled = Dialled()
    backend = GuardedBackend(names(source_example=[PUBLIC, "2606:2800:21f::1"]), dialled)

    with HttpClient(user_agent="test", settings=replace(QUICK, attempts=1), backend=backend) as client:
        error = Asker(client, "https://source.example").error()

    assert error.kind == "refused"
    assert dialled.addresses == [PUBLIC, "2606:2800:21f::1"]


def test_every_connection_of_the_client_goes_through_the_guard(server: LocalServer) -> None:
    # Should a release of httpx stop using the pool we put in its place, nothing would be dialled here.
    server.route("/x", json_reply({}))
    dialled = Dialled(server.port)

    with HttpClient(user_agent="test", backend=GuardedBackend(dialler=dialled)) as client:
        Asker(client, server.url).payload()

    assert dialled.addresses == ["127.0.0.1"]


def test_a_loopback_name_that_leads_elsewhere_is_not_dialled() -> None:
    dialled = Dialled()
    backend = GuardedBackend(names(localhost=PUBLIC), dialled)

    with HttpClient(user_agent="test", settings=QUICK, backend=backend) as client:
        assert Asker(client, "http://localhost:8000").error().kind == "blocked_address"
    assert dialled.addresses == []


def test_nothing_is_dialled_outside_a_permit() -> None:
    backend = GuardedBackend()
    with pytest.raises(BlockedAddressError):
        backend.connect_tcp(PUBLIC, 443)
    with pytest.raises(BlockedAddressError):
        backend.connect_unix_socket("/var/run/docker.sock")


def test_a_permit_ends_with_its_block_and_belongs_to_its_thread() -> None:
    backend = GuardedBackend()
    elsewhere: list[str] = []

    def look() -> None:
        try:
            backend.permit()
        except BlockedAddressError:
            elsewhere.append("none")

    with backend.permitted(loopback=True, deadline=Deadline(9)):
        with backend.permitted(loopback=False, deadline=Deadline(1)):
            assert backend.permit().loopback is False
        assert backend.permit().loopback is True
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert elsewhere == ["none"]
    with pytest.raises(BlockedAddressError):
        backend.permit()


@pytest.mark.parametrize(
    ("host", "own"),
    [
        *[
            ("localhost", True),
            ("LOCALHOST.", True),
            ("127.0.0.1", True),
            ("127.9.9.9", True),
            ("[::1]", True),
        ],
        *[("127.1", False), ("localhost.example", False), ("0.0.0.0", False), ("::ffff:127.0.0.1", False)],
    ],
)
def test_this_machine_is_recognised_by_plain_names_only(host: str, own: bool) -> None:
    assert is_loopback_host(host) is own


def test_a_resolver_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])
    started = time.monotonic()

    with HttpClient(user_agent="t", settings=replace(QUICK, connect_timeout_s=0.1, attempts=1)) as client:
        error = Asker(client, "https://source.example").error()
    over.set()

    assert (error.kind, error.retry) == ("timeout", True)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b.example"])
def test_names_the_resolver_cannot_even_write_down_are_not_found(host: str, ask: Asker) -> None:
    assert ask.error(base_url=f"https://{host}").kind in ("dns", "request")


# Redirects on this machine -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["/there", "there", "{url}/there#part"])
def test_a_redirect_to_the_same_host_is_followed_and_the_url_asked_for_is_kept(
    server: LocalServer, ask: Asker, status: int, where: str
) -> None:
    server.route("/x", redirect(where.format(url=server.url), status))
    server.route("/there", json_reply({"there": True}))

    raw = ask.payload()

    assert raw.body == b'{"there": true}'
    assert raw.url == f"{server.url}/x"
    assert ask.client.usage("metaculus").requests == 2


def test_three_redirects_are_followed_and_a_fourth_is_not(server: LocalServer, ask: Asker) -> None:
    for number in range(4):
        server.route(f"/{number}", redirect(f"/{number + 1}"))
    server.route("/4", json_reply({}))

    assert ask.payload("1").status == 200
    error = ask.error("0")
    assert (error.kind, error.retry) == ("redirect", False)
    assert len(server.seen("/4")) == 1


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/",
        "http://www.metaculus.com/",
        "//evil.example/x",
        "http://localhost:1/x",
        "http://127.0.0.2/x",
        "http://user:pw@127.0.0.1/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://www.metaculus.com:8443/",
        "https://www.metaculus.com.evil.example/",
        "http://[::1",
        "https://\x80\xff../",
        "http://127.0.0.1:99999/",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_a_redirect_to_anywhere_else_is_refused(server: LocalServer, ask: Asker, location: str) -> None:
    server.route("/x", redirect(location))

    error = ask.error()

    assert (error.kind, error.retry) == ("redirect", False)
    assert len(server.requests) == 1


def test_the_secret_does_not_follow_a_redirect_to_another_port(server: LocalServer, ask: Asker) -> None:
    with LocalServer() as other:
        server.route("/x", redirect(f"{other.url}/y"))
        other.route("/y", json_reply({}))
        ask.payload(private=True, secret="s3cret")

        assert server.seen("/x")[0].headers["authorization"] == "Token s3cret"
        assert "s3cret" not in str(other.requests)


# https, with a server that plays two public hosts ---------------------------------------------------


@pytest.fixture
def public(certificate: Certificate) -> Iterator[LocalServer]:
    with LocalServer(tls=certificate.context()) as local:
        yield local


@pytest.fixture
def dialled(public: LocalServer) -> Dialled:
    return Dialled(public.port)


@pytest.fixture
def ask_public(dialled: Dialled, certificate: Certificate) -> Iterator[Asker]:
    backend = GuardedBackend(names(source_example=PUBLIC, mirror_example=PUBLIC), dialled)
    settings = replace(QUICK, ca_file=certificate.authority, pace_scale=0.5)
    traits = replace(TRAITS, hosts=("source.example", "mirror.example"), pace_s=0.1)
    with HttpClient(user_agent="test", settings=settings, backend=backend, limits=HostLimits()) as client:
        yield Asker(client, "https://source.example", traits)


def test_a_public_host_is_reached_over_tls_at_its_judged_address(
    public: LocalServer, ask_public: Asker, dialled: Dialled
) -> None:
    public.route("/x", json_reply({}))

    assert ask_public.payload().url == "https://source.example/x"
    assert dialled.addresses == [PUBLIC]
    assert public.seen("/x")[0].headers["host"] == "source.example"


def test_a_public_host_is_paced_and_waiting_in_line_is_not_held_against_it(
    public: LocalServer, dialled: Dialled, certificate: Certificate, fake_time: FakeTime
) -> None:
    public.route("/x", redirect("/y"))
    public.route("/y", redirect("/z"))
    public.route("/z", json_reply({}))
    settings = replace(QUICK, ca_file=certificate.authority, pace_scale=0.5, total_deadline_s=3.0)

    with HttpClient(
        user_agent="test",
        settings=settings,
        backend=GuardedBackend(names(source_example=PUBLIC), dialled),
        sleep=fake_time.sleep,
        clock=fake_time.clock,
    ) as client:
        ask = Asker(client, "https://source.example")
        ask.payload()
        ask.payload()

    assert sum(fake_time.slept) == pytest.approx(5 * 0.5 * TRAITS.pace_s, abs=0.02)


def test_a_429_without_a_time_slows_a_public_host_down(public: LocalServer, ask_public: Asker) -> None:
    public.route("/x", json_reply({}, 429), json_reply({}))
    ask_public()

    first, second = (seen.at for seen in public.requests)
    assert second - first >= 2.5 * 0.05


def test_a_listed_host_may_be_redirected_to_but_gets_no_secret(
    public: LocalServer, ask_public: Asker
) -> None:
    def answer(seen: Seen) -> object:
        home = seen.headers["host"] == "source.example"
        return redirect("https://mirror.example/x") if home else json_reply({"from": "mirror"})

    public.route("/x", answer)  # type: ignore[arg-type]

    assert ask_public.payload(private=True, secret="s3cret").body == b'{"from": "mirror"}'
    home, mirror = public.requests
    assert home.headers["authorization"] == "Token s3cret"
    assert "authorization" not in mirror.headers


@pytest.mark.parametrize(
    "location",
    [
        "http://source.example/y",
        "http://127.0.0.1/y",
        "https://127.0.0.1/y",
        "https://localhost/y",
        "https://source.example:22/y",
        "https://sub.source.example/y",
        "https://2130706433/y",
    ],
)
def test_a_public_host_cannot_send_us_inside_or_off_https(
    public: LocalServer, ask_public: Asker, dialled: Dialled, location: str
) -> None:
    public.route("/x", redirect(location))

    assert ask_public.error().kind == "redirect"
    assert dialled.addresses == [PUBLIC]


def test_a_certificate_nobody_vouches_for_is_not_accepted(public: LocalServer, client: HttpClient) -> None:
    error = Asker(client, public.url).error()

    assert (error.kind, error.retry) == ("tls", False)
    assert "certificate" in str(error)
    assert public.requests == []


def test_a_certificate_for_another_name_is_not_accepted(
    public: LocalServer, certificate: Certificate
) -> None:
    backend = GuardedBackend(names(elsewhere_example=PUBLIC), Dialled(public.port))

    with HttpClient(
        user_agent="test", settings=replace(QUICK, ca_file=certificate.authority), backend=backend
    ) as client:
        assert Asker(client, "https://elsewhere.example").error().kind == "tls"
    assert public.requests == []


def test_a_server_that_does_not_speak_tls_is_named_so(server: LocalServer, ask: Asker) -> None:
    assert ask.error(base_url=server.url.replace("http:", "https:")).kind == "tls"
