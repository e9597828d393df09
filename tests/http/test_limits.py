"""Pace and concurrency: how gently many threads together treat a host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.http.conftest import QUICK, TRAITS, Asker, FakeTime
from tests.servers.local import Answer, LocalServer, Wire, head
from tracker.http import HostLimits, HttpClient


def slow_answer(seconds: float) -> Answer:
    def write(wire: Wire) -> None:
        wire.pause(seconds)
        wire.send(head(200, [("Content-Length", "0")]))

    return Answer(write)


def in_threads(count: int, work: Callable[[int], Any]) -> None:
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work, number) for number in range(count)]:
            done.result()


def test_starts_to_one_host_are_a_pace_apart(fake_time: FakeTime) -> None:
    limits = HostLimits(clock=fake_time.clock, sleep=fake_time.sleep)
    starts = []
    for _ in range(4):
        with limits.slot("a.example", 4.0):
            starts.append(fake_time.now)
            fake_time.now += 1.0

    assert [round(later - earlier, 1) for earlier, later in pairwise(starts)] == [4.0, 4.0, 4.0]
    assert all(later - earlier >= 4.0 for earlier, later in pairwise(starts))


def test_a_host_that_had_its_rest_is_asked_at_once_and_hosts_do_not_wait_for_each_other(
    fake_time: FakeTime,
) -> None:
    limits = HostLimits(clock=fake_time.clock, sleep=fake_time.sleep)
    for host, rest in [("a.example", 0.0), ("b.example", 100.0), ("a.example", 0.0)]:
        with limits.slot(host, 4.0):
            pass
        fake_time.now += rest

    assert fake_time.slept == []


def test_two_sources_on_one_host_keep_the_slower_pace(fake_time: FakeTime) -> None:
    limits = HostLimits(clock=fake_time.clock, sleep=fake_time.sleep)
    for pace_s in (1.0, 5.0, 1.0, 1.0):
        with limits.slot("a.example", pace_s):
            pass

    assert sum(fake_time.slept) >= 1.0 + 5.0 + 5.0


def test_threads_share_the_pace_of_a_host() -> None:
    own = threading.local()
    starts: list[float] = []

    def clock() -> float:
        own.read = time.monotonic()
        return float(own.read)

    limits = HostLimits(clock=clock)

    def work(_: int) -> None:
        with limits.slot("a.example", 0.05):
            starts.append(own.read)  # when this thread's start was booked

    in_threads(8, work)

    assert len(starts) == 8
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(sorted(starts)))


def test_at_most_two_at_once_per_host_and_eight_in_all() -> None:
    limits = HostLimits()
    lock = threading.Lock()
    now: list[str] = []
    most_per_host: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        host = f"{number % 6}.example"
        with limits.slot(host, 0.0):
            with lock:
                now.append(host)
                most_per_host.append(now.count(host))
                most.append(len(now))
            time.sleep(0.02)
            with lock:
                now.remove(host)

    in_threads(30, work)

    assert (max(most_per_host), max(most)) == (2, 8)


def test_two_clients_of_one_process_treat_a_host_as_one(server: LocalServer) -> None:
    server.route("/x", slow_answer(0.05))

    with HttpClient(user_agent="one") as one, HttpClient(user_agent="two") as two:
        asks = [Asker(one, server.url), Asker(two, server.url)]
        in_threads(8, lambda number: asks[number % 2]())

    assert server.most_at_once == 2


@pytest.mark.parametrize("pace_scale", [1.0, 0.0])
def test_a_server_on_this_machine_is_not_paced(
    server: LocalServer, fake_time: FakeTime, pace_scale: float
) -> None:
    server.route("/x", slow_answer(0.0))
    settings = replace(QUICK, pace_scale=pace_scale)

    with HttpClient(
        user_agent="t", settings=settings, sleep=fake_time.sleep, clock=fake_time.clock
    ) as client:
        for _ in range(3):
            Asker(client, server.url, replace(TRAITS, pace_s=60.0))()

    assert fake_time.slept == []


def test_a_slot_is_given_back_when_a_fetch_fails(server: LocalServer, ask: Asker) -> None:
    server.route("/x", slow_answer(0.0))
    for _ in range(10):
        ask.error("x", base_url="https://no-such-host.invalid")
        ask.error("missing/../x")
    for _ in range(10):
        ask.payload()
