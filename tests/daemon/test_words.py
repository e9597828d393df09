"""What the daemon says to systemd, to its log and to a dead-man switch; and how it asks."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from pydantic import SecretStr

from storage.records import RawPayload, SourceHealth, Validator
from tests.servers.local import LocalServer, reply
from tests.tracker.fakes import START, TRAITS
from tracker.config import Settings
from tracker.daemon.asking import (
    BACKOFF_MOST,
    HourlyBudget,
    Probing,
    Stoppable,
    backoff,
    held_until,
    tries,
)
from tracker.daemon.logs import LineFormatter, secrets_of
from tracker.daemon.notify import Notifier
from tracker.daemon.ping import new_run, no_ping, pinger
from tracker.errors import FetchError, Stopped
from tracker.http import HttpClient, HttpSettings
from tracker.source import Request, SourceTraits

QUICK = HttpSettings(attempts=3, backoff_initial_s=0.0, backoff_max_s=0.0, backoff_jitter_s=0.0)


# systemd


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_one_datagram(tmp_path: Path, abstract: bool) -> None:
    name = f"@speedup-{new_run()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0" + name[1:] if abstract else name)
        heard.settimeout(5)
        notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "120000000"})
        notifier("READY=1", "STATUS=leads")
        assert heard.recv(1000) == b"READY=1\nSTATUS=leads"
    assert notifier.watchdog_s == 120


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "soon"},
    ],
)
def test_without_systemd_nothing_is_said_and_nothing_fails(environ: dict[str, str]) -> None:
    notifier = Notifier(environ)
    notifier("READY=1")
    assert notifier.watchdog_s is None


# the log


def formatted(kind: str, message: str, *arguments: object, secrets: tuple[str, ...] = ()) -> str:
    record = logging.LogRecord("tracker.x", logging.WARNING, "", 0, message, arguments, None)
    return LineFormatter(kind, secrets).format(record)


@given(text=st.text(), kind=st.sampled_from(["text", "json"]))
def test_whatever_a_platform_says_is_one_line_that_speaks_to_no_terminal(text: str, kind: str) -> None:
    line = formatted(kind, "it said %s", text)
    assert line.isprintable()
    if kind == "json":
        told = json.loads(line)
        assert (told["level"], told["logger"]) == ("warning", "tracker.x")


def test_a_forged_line_and_an_escape_are_shown_as_what_they_are() -> None:
    line = formatted("text", "it said %s", "x\n2026-01-01T00:00:00Z ERROR all is lost \x1b[2J \u202e")
    assert r"x\n2026-01-01" in line
    assert r"\x1b[2J \u202e" in line


def test_no_secret_reaches_the_log_whichever_it_is() -> None:
    settings = Settings(
        database_url="postgresql://me:canary-database@db/x",
        metaculus_token=SecretStr("canary-token"),
        ping_url=SecretStr("https://ping.example/canary-ping/{job}"),
    )
    secrets = secrets_of(settings)
    for secret in ("canary-database", "canary-token", "https://ping.example/canary-ping/"):
        assert secret in secrets
        for kind in ("text", "json"):
            line = formatted(kind, "trouble at %s!", secret, secrets=secrets)
            assert secret not in line
            assert "[secret]" in line


def test_a_fault_is_logged_with_its_place_on_one_line() -> None:
    try:
        int("first\nsecond")
    except ValueError as error:
        fault = (type(error), error, error.__traceback__)
        record = logging.LogRecord("x", logging.ERROR, "", 0, "oh", (), fault)
    line = LineFormatter("text").format(record)
    assert "ValueError: invalid literal" in line
    assert "test_words.py" in line


# the dead-man switch


def test_the_switch_hears_of_start_and_end_under_one_id() -> None:
    with LocalServer() as server, HttpClient(user_agent="t", settings=QUICK) as client:
        heard: list[str] = []
        server.route_others(lambda seen: heard.append(seen.target) or reply(200, b"OK"))
        ping = pinger(f"{server.url}/abc", client, lambda: START)
        for event in ("start", "ok", "fail"):
            ping("backup", "run-1", event)
    assert heard == ["/abc/start?rid=run-1", "/abc?rid=run-1", "/abc/fail?rid=run-1"]


def test_each_job_can_have_a_switch_of_its_own() -> None:
    with LocalServer() as server, HttpClient(user_agent="t", settings=QUICK) as client:
        heard: list[str] = []
        server.route_others(lambda seen: heard.append(seen.path) or reply(200, b"OK"))
        ping = pinger(f"{server.url}/key/{{job}}", client, lambda: START)
        ping("poll:manifold", "run-1", "start")
        ping("backup", "run-2", "ok")
    assert heard == ["/key/poll-manifold/start", "/key/backup"]


def test_a_switch_that_is_down_is_tried_three_times_and_its_address_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with LocalServer() as server, HttpClient(user_agent="t", settings=QUICK) as client:
        server.route("/canary", reply(503))
        pinger(f"{server.url}/canary", client, lambda: START)("backup", "run-1", "ok")
        assert len(server.seen("/canary")) == 3
    assert "not reached" in caplog.text
    assert "canary" not in caplog.text
    assert pinger(None, client, lambda: START) is no_ping


# asking


class Net:
    """Answers nothing, or everything."""

    def __init__(self, up: bool, retry: bool = True) -> None:
        self.up, self.retry, self.asked = up, retry, 0

    def fetch(
        self,
        request: Request,
        traits: SourceTraits,
        *,
        base_url: str,
        secret: str | None,
        now: Callable[[], datetime],
        validator: Validator | None = None,
    ) -> RawPayload:
        self.asked += 1
        if not self.up:
            raise FetchError("fair", request.ref, "connect", "no route", retry=self.retry)
        return RawPayload("fair", request.ref, base_url, now(), 200, "", b"{}", {})

    def url_for(self, request: Request, base_url: str) -> str:
        return base_url


def ask(client: Stoppable, times: int) -> list[str]:
    """What came of so many requests: ok, or the kind of error."""
    found = []
    for _ in range(times):
        try:
            client.fetch(
                Request("fair", "a", "now"), TRAITS, base_url="https://x", secret=None, now=lambda: START
            )
            found.append("ok")
        except FetchError as error:
            found.append(error.kind)
    return found


def test_a_source_that_was_down_is_asked_once_and_left_alone_if_it_still_is() -> None:
    probe, client = Net(up=False), Net(up=True)
    assert ask(Probing([probe], client, threading.Event()), 5) == ["connect"] + 4 * ["not_tried"]
    assert (probe.asked, client.asked) == (1, 0)


def test_a_source_that_did_well_gets_a_second_chance_before_it_counts_as_down() -> None:
    net, probe = Net(up=False), Net(up=False)
    assert ask(Probing(tries(0, net, probe), net, threading.Event()), 4) == 2 * ["connect"] + 2 * [
        "not_tried"
    ]
    assert (net.asked, probe.asked) == (1, 1)
    net, probe = Net(up=False), Net(up=True)
    kinds = ask(Probing(tries(0, net, probe), probe, threading.Event()), 4)
    assert kinds == ["connect", "ok", "ok", "ok"], "one broken page does not stop the others"


@pytest.mark.parametrize(("failures", "through"), [(0, "cp"), (1, "p"), (7, "p"), (8, "pp"), (500, "pp")])
def test_how_many_chances_a_source_gets(failures: int, through: str) -> None:
    client, probe = Net(up=True), Net(up=False)
    assert [{client: "c", probe: "p"}[one] for one in tries(failures, client, probe)] == list(through)


def test_a_source_that_is_back_is_asked_everything() -> None:
    probe, client = Net(up=True), Net(up=True)
    assert ask(Probing([probe], client, threading.Event()), 5) == 5 * ["ok"]
    assert (probe.asked, client.asked) == (1, 4)


def test_one_question_that_is_refused_says_nothing_of_the_others() -> None:
    probe, client = Net(up=False, retry=False), Net(up=True)
    assert ask(Probing([probe], client, threading.Event()), 3) == ["connect", "ok", "ok"]


def test_nothing_is_asked_once_the_end_is_told() -> None:
    stop, net = threading.Event(), Net(up=True)
    stop.set()
    with pytest.raises(Stopped):
        ask(Stoppable(net, stop), 1)
    with pytest.raises(Stopped):
        ask(Probing([net], net, stop), 1)
    assert net.asked == 0


def test_a_source_down_for_a_week_costs_at_most_twelve_probes_on_any_day_and_five_later() -> None:
    """By the rule alone: a poll fails whenever it may be tried."""
    at, failures, tries = START, 0, []
    while at < START + timedelta(days=7):
        health = SourceHealth("fair", "failed", last_attempt_at=at, failures=failures)
        if failures == 0 or at >= (held_until(health) or at):
            tries.append(at)
            failures += 1
        at += backoff(failures)
    days = [
        sum(START + timedelta(days=n) <= one < START + timedelta(days=n + 1) for one in tries)
        for n in range(7)
    ]
    assert max(days) <= 12
    assert max(days[1:]) <= 5


def test_what_a_source_asked_for_itself_counts_too() -> None:
    assert held_until(None) is None
    assert held_until(SourceHealth("fair", last_attempt_at=START)) is None
    wait = START + timedelta(days=1)
    assert held_until(SourceHealth("fair", failures=1, last_attempt_at=START, not_before=wait)) == wait
    assert backoff(10**6) == BACKOFF_MOST


# the budget


@given(
    limit=st.integers(1, 20),
    waits=st.lists(st.floats(0, 2000), min_size=1, max_size=80),
)
def test_in_no_hour_more_is_let_go_than_the_budget_has(limit: int, waits: list[float]) -> None:
    now, sent = [0.0], []
    budget = HourlyBudget({"fair": limit}, clock=lambda: now[0])
    for wait in waits:
        now[0] += wait
        left = budget("fair")
        if left == 0:
            sent.append(now[0])
        else:
            assert budget("other") == 0, "every source has its own"
            assert 0 < left <= 3600
    for last in sent:
        assert sum(last - 3600 < one <= last for one in sent) <= limit
    assert budget.spent("fair") == sum(now[0] - one < 3600 for one in sent)


def test_the_budget_counts_every_request_that_leaves_retries_too_and_says_for_how_long_it_is_used_up() -> (
    None
):
    budget = HourlyBudget({"fair": 4})
    with LocalServer() as server, HttpClient(user_agent="t", settings=QUICK, budget=budget) as client:
        server.route("/now", reply(503))
        kinds = []
        for _ in range(3):
            with pytest.raises(FetchError) as caught:
                client.fetch(
                    Request("fair", "a", "now"), TRAITS, base_url=server.url, secret=None, now=lambda: START
                )
            kinds.append((caught.value.kind, caught.value.not_before_s is not None))
        assert len(server.seen("/now")) == 4
    assert kinds == [("http_503", False), ("budget", True), ("budget", True)]
