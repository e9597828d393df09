"""What a probe, Prometheus and a hostile neighbour get from the daemon's pages."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from storage.memory import MemoryStore
from storage.records import Run, RunState, SourceHealth
from tests.tracker.fakes import START
from tracker.commands.session import to_json
from tracker.daemon import web
from tracker.daemon.state import HELP, Watch, metrics, status
from tracker.daemon.web import AT_ONCE, Pages, WebServer
from tracker.errors import UsageError
from tracker.schedule import Every
from tracker.work import Done, Job

HOUR = timedelta(hours=1)


def _document(watch: Watch, troubles: list[str]) -> dict[str, object]:
    store, slots = MemoryStore(), Every("poll:fair", HOUR)
    store.set_health(
        SourceHealth("fair", "failed", START, START - 3 * HOUR, failures=4, message='odd "one"\n')
    )
    store.end_run(Run("poll:fair", slots.at(START), RunState.FAILED, START, START, "no answer"))
    job = Job("poll:fair", slots, lambda *_: Done(RunState.DONE), "fair", source="fair", period=HOUR)
    return status(watch, store, [job], START, troubles)


class Site:
    def __init__(self) -> None:
        self.watch, self.troubles = Watch(), []
        self.watch.count("speedup_runs_total", job='po"ll\n', state="done")
        pages = Pages(
            lambda: list(self.troubles),
            lambda: to_json(_document(self.watch, self.troubles)),
            lambda: metrics(self.watch, _document(self.watch, self.troubles)),
        )
        self.server = WebServer("127.0.0.1:0", pages)

    def ask(self, path: str, method: str = "GET", host: str = "localhost") -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()

    def raw(self, sent: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as line:
            line.sendall(sent)
            line.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: line.recv(65536), b""))


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    with made.server:
        yield made


def test_ready_only_without_troubles_and_healthy_while_it_answers(site: Site) -> None:
    assert site.ask("/healthz")[:2] == (200, "ok\n")
    assert site.ask("/readyz")[:2] == (200, "ready\n")
    site.troubles.append("the disk is full")
    code, text, headers = site.ask("/readyz")
    assert (code, text) == (503, "the disk is full\n")
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert site.ask("/healthz")[0] == 200
    assert site.ask("/elsewhere")[0] == 404


def test_status_tells_every_source_its_age_against_its_promise(site: Site) -> None:
    told = json.loads(site.ask("/status.json")[1])
    (source,) = told["sources"]
    assert (source["source"], source["stale"], source["age_s"]) == ("fair", True, 3 * 3600)
    assert told["jobs"][0]["state"] == "failed"


SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (-?[0-9.e+-]+)')


def test_every_line_of_metrics_is_prometheus_text(site: Site) -> None:
    lines = site.ask("/metrics")[1].splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    found = {match[1] for line in samples if (match := SAMPLE.fullmatch(line))}
    assert all(SAMPLE.fullmatch(line) for line in samples), samples
    assert found <= set(HELP)
    assert 'speedup_source_failures{source="fair"} 4' in samples
    assert 'speedup_runs_total{job="po\\"ll\\n",state="done"} 1' in samples


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "", "10.0.0.1"])
def test_a_page_of_somebody_else_gets_nothing_through_a_browser(site: Site, host: str) -> None:
    assert site.ask("/status.json", host=host)[:2] == (421, "wrong host\n")


@pytest.mark.parametrize("host", ["localhost:8321", "127.0.0.1", "[::1]:1", "LOCALHOST"])
def test_this_machine_by_any_of_its_names_is_answered(site: Site, host: str) -> None:
    assert site.ask("/healthz", host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "<script>"])
def test_only_get_and_head_are_known_and_a_refusal_repeats_nothing(site: Site, method: str) -> None:
    answer = site.raw(f"{method} /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    assert b" 501 " in answer.split(b"\r\n")[0]
    assert answer.endswith(b"\r\n\r\nrefused\n")
    assert method.encode() not in answer
    code, text, headers = site.ask("/healthz", "HEAD")
    assert (code, text, headers["content-length"]) == (200, "", "3")


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n", b"nonsense\r\n\r\n", b"GET /" + b"a" * 70_000, b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01"],
)
def test_what_is_no_request_ends_the_connection_and_nothing_else(site: Site, sent: bytes) -> None:
    site.raw(sent)
    site.raw(b"GET /healthz HTTP/1.0\r\n" + b"X: y\r\n" * 200 + b"\r\n")
    assert site.ask("/healthz")[0] == 200


def test_who_says_nothing_is_hung_up_on_and_no_more_than_a_few_are_let_in(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web._Handler, "timeout", 0.3)
    silent = [
        socket.create_connection(("127.0.0.1", site.server.port), timeout=10) for _ in range(AT_ONCE + 4)
    ]
    try:
        for line in silent:
            assert line.recv(1) == b""
    finally:
        for line in silent:
            line.close()
    done = threading.Event()
    for _ in range(100):
        try:
            assert site.ask("/healthz")[0] == 200
            break
        except (ConnectionError, http.client.HTTPException):
            done.wait(0.02)
    else:
        raise AssertionError("nobody is let in any more")


def test_a_port_that_is_taken_is_a_message_with_the_setting(site: Site) -> None:
    with pytest.raises(UsageError, match="SPEEDUP_HTTP_BIND"):
        WebServer(f"127.0.0.1:{site.server.port}", lambda _: site.server)  # type: ignore[arg-type,return-value]
