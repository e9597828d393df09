"""When we ask again, how long we wait, and when we leave a host alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from tests.http.conftest import NOW, QUICK, Asker, FakeTime
from tests.servers.local import LocalServer, json_reply, reply, too_many
from tracker.http import HttpClient, retry_after_s


def test_a_server_error_is_tried_again_and_the_answer_taken(server: LocalServer, ask: Asker) -> None:
    server.route("/x", reply(500), reply(503), json_reply({"ok": 1}))

    assert ask.payload().body == b'{"ok": 1}'
    assert len(server.requests) == 3


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_no_more_requests_are_made_than_the_budget_allows(server: LocalServer, attempts: int) -> None:
    server.route("/x", reply(500))

    with HttpClient(user_agent="test", settings=replace(QUICK, attempts=attempts)) as client:
        Asker(client, server.url).error()

    assert len(server.requests) == attempts


def test_waits_between_attempts_grow(server: LocalServer) -> None:
    server.route("/x", reply(500))
    settings = replace(QUICK, backoff_initial_s=0.1, backoff_max_s=1.0, backoff_jitter_s=0.0)

    with HttpClient(user_agent="test", settings=settings) as client:
        Asker(client, server.url).error()

    first, second, third = (seen.at for seen in server.requests)
    assert second - first >= 0.1
    assert third - second >= 0.2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    "asked", ["2", "30", "Fri, 20 Nov 2026 12:00:02 GMT", "Friday, 20-Nov-26 12:00:02 GMT", " 2 "]
)
def test_a_short_retry_after_is_waited_out_in_seconds_or_as_a_date(
    server: LocalServer, ask_in_fake_time: Asker, fake_time: FakeTime, asked: str, status: int
) -> None:
    server.route("/x", too_many(asked, status), json_reply({}))

    assert ask_in_fake_time.payload().status == 200
    assert fake_time.slept == [30.0 if asked == "30" else 2.0]
    assert len(server.requests) == 2


def test_a_short_retry_after_is_waited_out_on_a_real_clock(server: LocalServer, ask: Asker) -> None:
    server.route("/x", too_many(1), json_reply({}))
    ask()

    first, second = (seen.at for seen in server.requests)
    assert 1.0 <= second - first < 1.5


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("31", 31.0),
        ("3600", 3600.0),
        ("Fri, 20 Nov 2026 13:00:00 GMT", 3600.0),
        ("999999999", 86400.0),
        ("9" * 5000, 86400.0),
        ("Sat, 20 Nov 2027 12:00:00 GMT", 86400.0),
    ],
)
def test_a_long_retry_after_ends_the_fetch_at_once_and_is_passed_on(
    server: LocalServer, ask_in_fake_time: Asker, fake_time: FakeTime, asked: str, seconds: float
) -> None:
    server.route("/x", too_many(asked))

    error = ask_in_fake_time.error()

    assert (error.kind, error.retry, error.not_before_s) == ("http_429", True, seconds)
    assert fake_time.slept == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "asked", ["soon", "-5", "1.5", "", "nan", "Thu, 19 Nov 2026 12:00:00 GMT", "0", "²", None]
)
def test_a_senseless_retry_after_is_as_good_as_none(
    server: LocalServer, ask_in_fake_time: Asker, fake_time: FakeTime, asked: str | None
) -> None:
    server.route("/x", too_many(asked))

    error = ask_in_fake_time.error()

    assert (error.kind, error.not_before_s) == ("http_429", None)
    assert fake_time.slept == []
    assert len(server.requests) == 3


def test_waiting_as_asked_stops_at_the_total_deadline(
    server: LocalServer, ask_in_fake_time: Asker, fake_time: FakeTime
) -> None:
    server.route("/x", too_many(25))
    settings = replace(QUICK, total_deadline_s=40.0, attempts=9)

    with HttpClient(
        user_agent="test", settings=settings, sleep=fake_time.sleep, clock=fake_time.clock
    ) as client:
        error = Asker(client, server.url).error()

    assert fake_time.slept == [25.0]
    assert (error.kind, error.not_before_s) == ("http_429", 25.0)
    assert len(server.requests) == 2


def test_a_host_that_asked_to_be_left_alone_is_not_asked_anything_else(
    server: LocalServer, ask_in_fake_time: Asker, fake_time: FakeTime
) -> None:
    server.route("/x", too_many(3600))
    server.route("/other", json_reply({}))
    ask_in_fake_time.error()

    held = ask_in_fake_time.error("other")

    assert (held.kind, held.status, held.retry, held.not_before_s) == ("http_429", 429, True, 3600.0)
    assert server.seen("/other") == []
    fake_time.now += 3601
    assert ask_in_fake_time.payload("other").status == 200


def test_other_threads_wait_out_a_hosts_retry_after_too(server: LocalServer, ask: Asker) -> None:
    server.route("/first", too_many(1), json_reply({}))
    server.route("/second", json_reply({}))

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, "first")
        while not server.seen("/first"):
            time.sleep(0.01)
        time.sleep(0.1)
        second = pool.submit(ask, "second")
        first.result()
        second.result()

    assert server.seen("/second")[0].at - server.seen("/first")[0].at >= 1.0


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def test_a_retry_is_one_quiet_line_that_names_the_question(
    server: LocalServer, ask: Asker, logged: pytest.LogCaptureFixture
) -> None:
    server.route("/x", reply(500, b"inner workings"), json_reply({}))
    ask()

    lines = [(record.name, record.levelname, record.getMessage()) for record in logged.records]
    assert lines == [("tracker.http", "INFO", "metaculus q17: asking again after http_500")]


# The header itself ---------------------------------------------------------------------------------


@given(st.integers(1, 86_400))
def test_whole_seconds_are_read_as_they_stand(seconds: int) -> None:
    assert retry_after_s(str(seconds), NOW) == seconds


@given(st.integers(1, 86_400))
def test_a_date_is_as_far_away_as_it_says(seconds: int) -> None:
    date = (NOW + timedelta(seconds=seconds)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    assert retry_after_s(date, NOW) == seconds


@given(st.one_of(st.none(), st.text(), st.from_regex(r"[A-Za-z]{3}, ?[0-9]{1,3} [A-Za-z]{3} [0-9:+ -]*")))
def test_no_header_makes_us_wait_less_than_nothing_or_more_than_a_day(value: str | None) -> None:
    seconds = retry_after_s(value, datetime(2026, 11, 20, tzinfo=UTC))

    assert seconds is None or 0 < seconds <= 86_400
