"""Looking at single questions: each asked for by itself, and no other question's history is forgotten."""

from __future__ import annotations

from dataclasses import replace

from questions.catalogue import Catalogue, load_catalogue
from questions.model import Link
from storage.memory import MemoryStore
from storage.records import RunState
from tests.tracker.fakes import Clock, FairSource, FakeNet, link
from tracker import jobs
from tracker.collect import HISTORY, SourceReport
from tracker.config import Settings
from tracker.errors import FetchError

A, B = link("a"), link("b")
ANSWER = b'{"a": 0.3, "b": 0.5}'
DOWN = FetchError("fair", "a,b", "refused", "connection refused", retry=True)


def world(*links: Link) -> Catalogue:
    return replace(load_catalogue(), links=links)


def look(net: FakeNet, store: MemoryStore, *links: Link) -> list[SourceReport]:
    sources = {"fair": FairSource()}
    return jobs.look(sources, world(A, B), links, store=store, client=net, settings=Settings(), now=Clock())


def owed(store: MemoryStore) -> list[tuple[RunState, str]]:
    return [(run.state, run.message) for run in store.runs(HISTORY + "fair")]


def test_a_question_never_polled_brings_a_poll_of_all_with_their_history() -> None:
    net, store = FakeNet({"history": ANSWER, "now": ANSWER}), MemoryStore()
    look(net, store, A)
    assert [(request.path, request.ref) for request in net.asked] == [("history", "a,b")]
    assert owed(store) == [(RunState.DONE, "")]


def test_a_known_question_is_asked_for_by_itself_and_nothing_is_promised() -> None:
    net, store = FakeNet({"history": ANSWER, "now": ANSWER}), MemoryStore()
    look(net, store, A, B)
    before = owed(store)
    net.asked.clear()
    look(net, store, B)
    assert [(request.path, request.ref) for request in net.asked] == [("history", "b")]
    assert owed(store) == before


def test_what_is_still_owed_is_neither_forgotten_nor_taken_for_paid() -> None:
    net, store = FakeNet({"history": ANSWER, "now": ANSWER}), MemoryStore()
    look(net, store, A, B)
    for run in store.runs(HISTORY + "fair"):
        store.end_run(replace(run, state=RunState.PARTIAL, message="fair:b"))
    look(net, store, A)
    assert owed(store) == [(RunState.PARTIAL, "fair:b")]
    net.answers["history"] = DOWN
    look(net, store, B)
    assert [state for state, _ in owed(store)] == [RunState.PARTIAL]
    net.answers["history"] = ANSWER
    look(net, store, B)
    assert owed(store) == [(RunState.DONE, "")]


def test_why_a_question_was_not_fetched_is_told_for_each() -> None:
    net, store = FakeNet({"history": b'{"a": 0.3, "b": "shut"}'}), MemoryStore()
    found = jobs.failures({"fair": FairSource()}, [A, B], look(net, store, A, B))
    assert set(found) == {("fair", "b")}
    net.answers["history"] = DOWN
    told = jobs.failures({"fair": FairSource()}, [A, B], look(net, MemoryStore(), A, B))
    assert set(told.values()) == {"connection refused"}
    assert set(told) == {("fair", "a"), ("fair", "b")}


def test_a_platform_without_a_source_of_its_own_is_asked_of_whoever_tells_of_it() -> None:
    feed = FairSource(replace(FairSource().traits, name="feed", platforms=("fair", "orphan")))
    sources = {"feed": feed, "fair": FairSource()}
    net = FakeNet({"history": b"{}", "now": b"{}"})
    for links, told in (((A,), ["fair"]), ((link("x", "orphan"),), ["feed"])):
        reports = jobs.look(
            sources,
            world(*links),
            links,
            store=MemoryStore(),
            client=net,
            settings=Settings(),
            now=Clock(),
        )
        assert [report.source for report in reports] == told
