"""Real paths of the crowd through every adapter and into the store: what comes out is what the table says.

The whole table, and any other, by hand: ``python -m tests.sources.replay``.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from storage import open_store
from storage.memory import MemoryStore
from tests.sources.replay import BUNDLED, OWN, Compared, Paths, days_of, read_paths, replay_nights, replay_own

NIGHTS = 30


@pytest.fixture(scope="module")
def paths() -> Paths:
    return read_paths(BUNDLED)


@pytest.mark.parametrize("url", ["memory://", "sqlite://"])
def test_every_value_of_the_table_comes_back_from_its_own_platform(paths: Paths, url: str) -> None:
    store = open_store(url)
    done = replay_own(paths, store)
    assert done.differences == []
    assert done.values == sum(len(path) for (source, _), path in paths.items() if source in OWN) == 16_225
    store.close()


def test_a_month_of_nights_comes_back_from_forecastbench(paths: Paths) -> None:
    nights = days_of(paths)[-NIGHTS:]
    done = replay_nights(paths, nights, MemoryStore())
    assert done.differences == []
    assert done.values == sum(day in path for path in paths.values() for day in nights) > 1_500


@pytest.mark.parametrize("change", ["lost", "added", "changed"])
def test_the_comparison_sees_what_is_lost_added_or_changed(paths: Paths, change: str) -> None:
    name = ("metaculus", min(name for source, name in paths if source == "metaculus"))
    store = MemoryStore()
    assert replay_own({name: paths[name]}, store).differences == []
    path = dict(paths[name])
    day = [*path][3]
    if change == "lost":
        path[min(path) - timedelta(days=1)] = 0.5
    elif change == "added":
        del path[day]
    else:
        path[day] /= 2
    compared = Compared()
    compared.take({name: path}, store, "metaculus")
    assert [found[:2] for found in compared.differences] == [name]
