"""A first sight that is killed at any request, or that any request of fails, ends with the same history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from questions.time import EPOCH
from storage.store import Store
from tests.servers.local import reply
from tests.sources.worlds import BODIES, CLIENT, Stored, World, later
from tracker.errors import FetchError

pytestmark = pytest.mark.exhaustive

NAMES = sorted(BODIES)
MOST = 60  # requests of a first sight; no small world needs more


class Killed(BaseException):
    """What no handler in the program catches: the process is gone."""


@dataclass
class Mortal:
    """The client, until it has been called so many times; then ``end`` happens, once."""

    calls: int
    end: Callable[[Any, Any], BaseException] = lambda *_: Killed()
    happened: list[str] = field(default_factory=list)

    def fetch(self, request: Any, traits: Any, **more: Any) -> Any:
        self.calls -= 1
        if self.calls < 0 and not self.happened:
            self.happened.append(request.ref)
            raise self.end(request, traits)
        return CLIENT.fetch(request, traits, **more)

    def url_for(self, request: Any, base_url: str) -> str:
        return CLIENT.url_for(request, base_url)


def reset(request: Any, _: Any) -> FetchError:
    return FetchError(request.source, request.ref, "reset", "connection reset", retry=True)


def whole(name: str, since: datetime | None) -> Stored:
    """What an undisturbed first sight and the poll after it leave."""
    with World(name) as world:
        world.poll(since)
        later(world, hours=1)
        world.poll()
        return world.stored()


def word_counts(store: Store) -> dict[str, int]:
    """Rows of what the source said; the ledger and the health of a source tell of the way there."""
    told = ("observation", "measurement", "resolution", "question_info", "stream", "series_version")
    return {name: n for name, n in store.counts().items() if name in told}


def polled(world: World, client: Any, since: datetime | None = None) -> bool:
    """One poll by a client; False when it was killed."""
    honest, world.client = world.client, client
    try:
        world.poll(since)
    except Killed:
        return False
    finally:
        world.client = honest
    return True


def without_times(told: Stored) -> dict[tuple[str, str, str, str], list[str]]:
    """Histories by the source's own times; what has only our time of fetch counts by its value."""
    return {name: sorted({str(value) for value in points.values()}) for name, points in told.items()}


@pytest.mark.parametrize("since", [None, EPOCH], ids=["first sight", "backfill"])
@pytest.mark.parametrize("end", [lambda *_: Killed(), reset], ids=["killed", "reset"])
@pytest.mark.parametrize("name", NAMES)
def test_a_first_sight_broken_off_at_any_request_comes_to_the_same_history(
    name: str, end: Callable[[Any, Any], BaseException], since: datetime | None
) -> None:
    expected = whole(name, since)
    for calls in range(MOST):
        with World(name) as world:
            mortal = Mortal(calls, end)
            polled(world, mortal, since)
            later(world, hours=1)
            world.poll()
            assert without_times(world.stored()) == without_times(expected), (calls, mortal.happened)
        if not mortal.happened:
            break
    assert 1 <= calls < MOST


@pytest.mark.parametrize("name", NAMES)
def test_a_second_backfill_adds_nothing(name: str) -> None:
    with World(name) as world:
        world.poll(EPOCH)
        once, rows = world.stored(), word_counts(world.store)
        world.poll(EPOCH)
        assert (world.stored(), word_counts(world.store)) == (once, rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_source_that_was_down_at_first_sight_is_asked_for_its_history_when_it_is_back(name: str) -> None:
    expected = whole(name, None)
    with World(name) as world:
        world.fault = lambda *_: reply(503)
        world.poll()
        world.fault = None
        later(world, hours=2)
        world.client._holds.clear()
        world.poll()
        assert without_times(world.stored()) == without_times(expected)
