"""The path every value takes: ask, keep the bytes, read them, store what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from questions.model import Link
from storage.errors import StorageError
from storage.memory import MemoryStore
from storage.records import AppendReport, Batch, RawPayload
from tests.tracker.fakes import START, Clock, FairSource, FakeNet, link
from tracker.collect import Collector, SourceReport, reparse
from tracker.config import Settings
from tracker.errors import FetchError
from tracker.source import Parsed, Plan, Request

A, B = link("a"), link("b")


def collect(
    net: FakeNet,
    store: MemoryStore,
    *links: Link,
    clock: Clock | None = None,
    source: FairSource | None = None,
) -> SourceReport:
    collector = Collector(store, source or FairSource(), net, Settings(), clock or Clock())
    return collector.run(links)


def test_a_value_is_stored_with_the_bytes_it_came_from() -> None:
    store, body = MemoryStore(), b'{"a": 0.3}'
    report = collect(FakeNet({"history": body}), store, A)
    (seen,) = store.latest().values()
    assert seen.snapshot.probability == 0.3
    kept = store.get_raw(seen.snapshot.payload_sha256 or "")
    assert kept is not None
    assert kept.body == body
    assert (report.status, report.requests, report.appended.snapshots_new) == ("ok", 1, 1)
    assert store.health()["fair"].last_ok_at == START


def test_a_new_link_is_asked_for_with_its_history_and_a_known_one_for_the_present() -> None:
    store, clock = MemoryStore(), Clock()
    net = FakeNet({"history": b'{"a": 0.3}', "now": b'{"a": 0.3}'})
    collect(net, store, A, clock=clock)
    clock.forward(hours=1)
    net.answers["history"] = b'{"b": 0.5}'
    collect(net, store, A, B, clock=clock)
    assert [(request.path, request.ref) for request in net.asked] == [
        ("history", "a"),
        ("now", "a"),
        ("history", "b"),
    ]


def test_a_question_of_which_only_the_outcome_is_told_is_known_from_then_on() -> None:
    store, clock = MemoryStore(), Clock()
    net = FakeNet({"history": b'{"a": "resolved"}', "now": b'{"a": "resolved"}'})
    for _ in range(3):
        collect(net, store, A, clock=clock)
        clock.forward(hours=1)
    assert [request.path for request in net.asked] == ["history", "now", "now"]


@pytest.mark.parametrize("days_between", [1, 2, 3, 7])
def test_what_was_decided_a_month_ago_is_asked_for_by_turns_and_no_more_with_the_living(
    days_between: int,
) -> None:
    """A decision taken back is still seen: every question has its turn, however polls are spaced."""
    store, clock = MemoryStore(), Clock()
    decided = [link(f"d{number}") for number in range(20)]
    words = b"{" + b", ".join(b'"d%d": "resolved"' % number for number in range(20)) + b', "a": 0.3}'
    net = FakeNet({"history": words, "now": words})
    collect(net, store, A, *decided, clock=clock)
    clock.forward(days=29)
    collect(net, store, A, *decided, clock=clock)
    assert len(net.asked[-1].ref.split(",")) == 21
    clock.forward(days=2)
    turns = []
    for _ in range(5):
        collect(net, store, A, *decided, clock=clock)
        turns.append(set(net.asked[-1].ref.split(",")))
        clock.forward(days=days_between)
    assert set.union(*turns) == {"a", *(one.external_id for one in decided)}
    assert all("a" in turn for turn in turns)
    assert max(len(turn) - 1 for turn in turns[1:]) <= min(20, 4 * days_between + 1)
    (health,) = {
        (one.health.state, one.health.message)
        for one in store.question_health()
        if one.health.external_id != "a"
    }
    assert "nothing heard" not in health[1]


def test_a_question_with_one_outcome_decided_and_another_open_stays_with_the_living() -> None:
    store, clock = MemoryStore(), Clock()
    net = FakeNet({"history": b'{"a": "resolved"}', "now": b'{"a": "resolved"}'})
    both = (A, A.model_copy(update={"outcome": "other"}))
    collect(net, store, *both, clock=clock)
    clock.forward(days=31)
    for _ in range(5):
        collect(net, store, *both, clock=clock)
        clock.forward(days=1)
    assert [request.path for request in net.asked] == ["history", *["now"] * 5]


def test_what_is_not_followed_is_not_stored_but_its_bytes_are() -> None:
    store, body = MemoryStore(), b'{"a": 0.3, "stranger": 0.9}'
    collect(FakeNet({"history": body}), store, A)
    assert [key.external_id for key in store.latest()] == ["a"]
    assert [raw.body for raw in store.raw_payloads()] == [body]


def test_a_payload_that_cannot_be_read_is_quarantined_and_named_and_nothing_is_invented() -> None:
    store = MemoryStore()
    report = collect(FakeNet({"history": b"<html>"}), store, A)
    assert report.status == "failed"
    assert [(error.ref, error.kind) for error in report.errors] == [("a", "shape")]
    (entry,) = store.quarantined()
    assert "not JSON" in entry.reason
    assert store.get_raw(entry.payload_sha256) is not None
    assert store.latest() == {}


def test_one_wrong_row_is_a_fault_and_the_rest_is_taken() -> None:
    store = MemoryStore()
    report = collect(FakeNet({"history": b'{"a": 1.07, "b": 0.5}'}), store, A, B)
    assert report.status == "partial"
    assert [key.external_id for key in store.latest()] == ["b"]
    assert [error.ref for error in report.errors] == ["a"]
    assert len(store.quarantined()) == 1


def test_an_unreachable_source_is_a_line_in_the_report_and_counts_as_a_failure() -> None:
    store, clock = MemoryStore(), Clock()
    net = FakeNet({"history": FetchError("fair", "a", "refused", "connection refused", retry=True)})
    for _ in range(2):
        report = collect(net, store, A, clock=clock)
        clock.forward(hours=1)
    assert report.status == "failed"
    assert report.errors[0].retry
    assert store.health()["fair"].failures == 2
    assert store.health()["fair"].last_ok_at is None


def test_access_that_ends_is_not_permitted_and_the_last_value_stays() -> None:
    store, clock = MemoryStore(), Clock()
    net = FakeNet({"history": b'{"a": 0.3}', "now": 403})
    collect(net, store, A, clock=clock)
    clock.forward(hours=1)
    report = collect(net, store, A, clock=clock)
    assert report.status == "not_permitted"
    assert [seen.snapshot.probability for seen in store.latest().values()] == [0.3]


def test_a_page_that_is_not_there_is_reported_and_its_bytes_are_kept_but_not_quarantined() -> None:
    store = MemoryStore()
    report = collect(FakeNet({"history": 404}), store, A)
    assert report.status == "failed"
    assert [error.kind for error in report.errors] == ["http_404"]
    assert store.quarantined() == []
    assert [raw.status for raw in store.raw_payloads()] == [404]


def test_any_change_of_a_series_bytes_is_an_alert_of_the_poll_that_sees_it() -> None:
    store, clock, net = MemoryStore(), Clock(), FakeNet()
    told = []
    for body in (b'{"series": 1.0}', b'{"series": 1.0}', b'{"series": 2.0}', b'{"series": 2.0 }'):
        net.answers = {"history": body, "now": body}
        told.append(collect(net, store, A, clock=clock).changes)
        clock.forward(days=1)
    assert [len(changes) for changes in told] == [0, 0, 1, 1]
    assert told[2] == ["s has changed: `speedup series diff s 2026-08-01T12:00:00Z 2026-08-03T12:00:00Z`"]


class Rounds(FairSource):
    """One file a round; a round without a file is an answer."""

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        rounds = (Request("fair", f"r{n}", f"r{n}", accept_missing=True) for n in range(3))
        return Plan(tuple(rounds))

    def parse(self, raw: RawPayload) -> Parsed:
        return Parsed() if raw.status == 404 else super().parse(raw)


def test_a_feed_whose_every_file_is_missing_has_moved_or_closed() -> None:
    store = MemoryStore()
    net = FakeNet({"r0": 404, "r1": 404, "r2": 404})
    report = collect(net, store, A, source=Rounds())
    assert (report.status, [error.kind for error in report.errors]) == ("failed", ["http_404"])
    assert store.health()["fair"].failures == 1
    net.answers["r1"] = b'{"a": 0.3}'
    assert collect(net, store, A, source=Rounds()).status == "ok"


def test_missing_files_do_not_make_up_for_those_that_fail() -> None:
    down = FetchError("fair", "r1", "refused", "connection refused", retry=True)
    report = collect(FakeNet({"r0": 404, "r1": down, "r2": 404}), MemoryStore(), A, source=Rounds())
    assert report.status == "failed"


def test_not_modified_costs_no_bytes_and_extends_the_sighting() -> None:
    store, clock = MemoryStore(), Clock()
    net = FakeNet({"history": b'{"a": 0.3}', "now": b'{"a": 0.3}'}, tag='"v1"')
    collect(net, store, A, clock=clock)
    clock.forward(hours=1)
    collect(net, store, A, clock=clock)
    clock.forward(hours=1)
    report = collect(net, store, A, clock=clock)
    assert (report.status, report.bytes) == ("ok", 0)


def test_bytes_that_were_kept_but_not_read_are_asked_for_again_in_full() -> None:
    """A crash between storing bytes and values must not end in "not modified" for ever after."""

    class FullDisk(MemoryStore):
        full = True

        def append(self, batch: Batch) -> AppendReport:
            if self.full:
                raise StorageError("disk is full")
            return super().append(batch)

    store = FullDisk()
    net = FakeNet({"history": b'{"a": 0.3}'}, tag='"v1"')
    with pytest.raises(StorageError):
        collect(net, store, A)
    store.full = False
    assert collect(net, store, A).appended.snapshots_new == 1


def test_a_source_without_its_key_is_passed_over_with_what_to_set() -> None:
    source = FairSource()
    locked = FairSource(replace(source.traits, secret="metaculus_token", secret_required=True))
    store, net = MemoryStore(), FakeNet()
    report = collect(net, store, A, source=locked)
    assert report.status == "skipped"
    assert "SPEEDUP_METACULUS_TOKEN" in report.errors[0].message
    assert net.asked == []


def test_reparsing_after_a_fix_gives_the_same_records_and_releases_the_quarantine() -> None:
    class Broken(FairSource):
        def parse(self, raw: RawPayload):  # type: ignore[no-untyped-def]
            return super().parse(replace(raw, body=b"?"))

    store, clock = MemoryStore(), Clock()
    net = FakeNet({"history": b'{"a": 0.3}'})
    collect(net, store, A, clock=clock, source=Broken())
    assert store.latest() == {}
    clock.forward(days=3)
    followed = {("fair", "a")}
    first = reparse(store, FairSource(), followed, None, clock())
    again = reparse(store, FairSource(), followed, None, clock())
    (seen,) = store.latest().values()
    assert (seen.snapshot.probability, seen.snapshot.as_of) == (0.3, START)
    assert (first.appended.snapshots_new, again.appended.snapshots_new) == (1, 0)
    assert store.quarantined() == []


def test_a_page_chain_that_never_ends_is_stopped_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from tracker import collect as module

    class Endless(FairSource):
        def parse(self, raw: RawPayload) -> Parsed:
            number = int(raw.ref.removeprefix("a")) if raw.ref != "a" else 0
            follow = Request("fair", f"a{number + 1}", "history", params=(("page", str(number)),))
            return Parsed(follow=(follow,))

    monkeypatch.setattr(module, "MAX_FOLLOW", 20)
    report = collect(FakeNet({"history": b"{}"}), MemoryStore(), A, source=Endless())
    assert [error.kind for error in report.errors] == ["loop"]
    assert report.requests <= 25


def test_a_source_that_asks_us_to_stay_away_is_left_alone_until_then() -> None:
    store, clock = MemoryStore(), Clock()
    busy = FetchError(
        "fair", "a", "http_429", "too many requests", retry=True, status=429, not_before_s=3600.0
    )
    net = FakeNet({"history": busy})
    assert collect(net, store, A, clock=clock).status == "failed"
    clock.forward(minutes=59)
    report = collect(net, store, A, clock=clock)
    assert (report.status, len(net.asked)) == ("skipped", 1)
    assert "2026-08-01T13:00:00Z" in report.errors[0].message
    clock.forward(minutes=2)
    net.answers["history"] = b'{"a": 0.3}'
    assert collect(net, store, A, clock=clock).status == "ok"
    assert store.health()["fair"].not_before is None


def test_a_source_that_does_not_answer_is_not_asked_a_hundred_times() -> None:
    class Chatty(FairSource):
        def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
            return Plan(tuple(Request("fair", f"r{i}", f"p{i}") for i in range(100)))

    down = FetchError("fair", "r", "refused", "connection refused", retry=True)
    net = FakeNet({f"p{i}": down for i in range(100)})
    report = collect(net, MemoryStore(), A, source=Chatty())
    assert len(net.asked) < 10
    assert report.requests == len(net.asked)
    assert report.status == "failed"
    assert f"{100 - len(net.asked)} further requests not made" in report.errors[-1].message


def test_refusals_are_answers_and_do_not_stop_the_rest() -> None:
    class Chatty(FairSource):
        def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
            return Plan(tuple(Request("fair", f"r{i}", f"p{i}") for i in range(20)))

    bad = FetchError("fair", "r", "http_400", "bad request", retry=False, status=400)
    net = FakeNet({f"p{i}": bad for i in range(20)})
    assert collect(net, MemoryStore(), A, source=Chatty()).requests == 20


def test_a_mended_reading_holds_for_as_long_as_the_bytes_were_seen() -> None:
    """The same bytes polled for days: what they say today must not look days old."""

    class Broken(FairSource):
        def parse(self, raw: RawPayload):  # type: ignore[no-untyped-def]
            return super().parse(replace(raw, body=b"?"))

    store, clock = MemoryStore(), Clock()
    net = FakeNet({"history": b'{"a": 0.3}', "now": b'{"a": 0.3}'})
    for body in (b'{"a": 0.3}', b'{"a": 0.9}', b'{"a": 0.3}', b'{"a": 0.3}'):
        net.answers["history"] = body
        collect(net, store, A, clock=clock, source=Broken())
        clock.forward(days=3)
    reparse(store, FairSource(), {("fair", "a")}, None, clock())
    (seen,) = store.latest().values()
    assert seen.snapshot.probability == 0.3
    assert seen.seen_last == clock() - timedelta(days=3)
