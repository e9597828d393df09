"""Resolutions and question facts: the last word at any time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from questions.records import Resolution
from storage import open_store
from storage.records import Batch
from storage.store import Store
from tests.storage.conftest import EVERY, url_for
from tests.storage.samples import hours, resolution

_numbers = count()


@pytest.fixture(params=EVERY, scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.create(request.getfixturevalue("postgres_template")))
    else:
        url = url_for(request.param, tmp_path_factory.mktemp("words"), request)
    opened = open_store(url)
    yield opened
    opened.close()


words = st.lists(
    st.builds(resolution, st.integers(0, 10), st.sampled_from(["yes", "no", "unresolved"])),
    min_size=1,
    max_size=9,
    unique_by=lambda word: word.fetched_at,
)
arrivals = words.flatmap(
    lambda told: st.tuples(st.just(told), st.permutations(told), st.integers(1, len(told)))
)
relaxed = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def tell(store: Store, arrived: list[Resolution], size: int, name: str = "") -> str:
    """Append words of a question (by default one never asked before), a few at a time; returns its id."""
    name = name or f"example-{next(_numbers)}"
    for start in range(0, len(arrived), size):
        part = arrived[start : start + size]
        store.append(Batch(resolutions=tuple(replace(word, external_id=name) for word in part)))
    return name


def said_of(store: Store, name: str, hour: float | None = None) -> tuple[object, ...] | None:
    known_at = None if hour is None else hours(hour)
    found = [word for word in store.resolutions(known_at=known_at) if word.external_id == name]
    assert len(found) <= 1
    return (found[0].state, found[0].fetched_at) if found else None


def expected(told: list[Resolution], hour: float) -> tuple[object, ...] | None:
    """The word of the last fetch by then, and the fetch since which it was the word."""
    standing: tuple[object, ...] | None = None
    for word in sorted(told, key=lambda word: word.fetched_at):
        if word.fetched_at <= hours(hour) and (standing is None or standing[0] != word.state):
            standing = (word.state, word.fetched_at)
    return standing


def as_fetched(told: list[Resolution]) -> list[Resolution]:
    return sorted(told, key=lambda word: word.fetched_at)


@given(told=words, size=st.integers(1, 9))
@relaxed
def test_heard_as_fetched_the_word_at_any_time_is_the_last_one(
    shared: Store, told: list[Resolution], size: int
) -> None:
    name = tell(shared, as_fetched(told), size)
    assert said_of(shared, name) == expected(told, 10)
    for hour in (-1, 3, 5.5, 8):
        assert said_of(shared, name, hour) == expected(told, hour)


@given(arrived=arrivals)
@relaxed
def test_after_any_order_of_arrival_hearing_them_as_fetched_tells_every_word_right(
    shared: Store, arrived: tuple[list[Resolution], list[Resolution], int]
) -> None:
    told, order, size = arrived
    name = tell(shared, order, size)
    tell(shared, as_fetched(told), 1, name)
    for word in told:
        hour = (word.fetched_at - hours(0)).total_seconds() / 3600
        found, right = said_of(shared, name, hour), expected(told, hour)
        assert found is not None
        assert right is not None
        assert found[0] == right[0]


@given(told=words)
@relaxed
def test_saying_it_all_again_adds_nothing(shared: Store, told: list[Resolution]) -> None:
    name = tell(shared, as_fetched(told), 1)
    before = shared.counts()
    for word in as_fetched(told):
        report = shared.append(Batch(resolutions=(replace(word, external_id=name),)))
        assert report.resolutions_new == 0
    assert shared.counts() == before


def test_of_two_readings_of_one_fetch_the_one_stored_last_counts(store: Store) -> None:
    for state in ("yes", "no", "yes"):
        store.append(Batch(resolutions=(resolution(0, state),)))
    assert [word.value for word in store.resolutions()] == [0.0]
    store.append(Batch(resolutions=(resolution(1, "yes"), resolution(2, "no"))))
    assert [word.fetched_at for word in store.resolutions()] == [hours(2)]
    assert [word.value for word in store.resolutions(known_at=hours(0.5))] == [0.0]
