"""A store read for one digest answers as the store does, and is asked each question once."""

from __future__ import annotations

import gc
from datetime import UTC, datetime, timedelta

import pytest

from questions.records import Quantity, Snapshot, StreamKey
from storage.memory import MemoryStore
from storage.records import Batch
from tracker.digest.reading import REMEMBERED, remembering, unswept

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
KEY = StreamKey("metaculus", "metaculus", "1", "yes", Quantity.FORECASTER_MEDIAN)


def test_each_question_is_asked_once_and_answered_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    store.append(Batch((Snapshot(KEY, AT, AT, probability=0.3),)))
    asked: list[object] = []
    whole = store.latest

    def latest(keys: object = None, *, known_at: datetime | None = None) -> object:
        asked.append(known_at)
        return whole(keys, known_at=known_at)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "latest", latest)
    reader, later = remembering(store), AT + timedelta(days=1)
    for _ in range(3):
        assert reader.latest([KEY], known_at=AT) == whole([KEY], known_at=AT)
        assert reader.latest([KEY], known_at=later) == whole([KEY], known_at=later)
        assert reader.latest(known_at=AT - timedelta(days=1)) == {}
        assert reader.streams() == [KEY]
    assert asked == [AT, later, AT - timedelta(days=1)]
    assert reader.history(KEY) == store.history(KEY)


def test_only_reading_is_remembered() -> None:
    assert all(callable(getattr(MemoryStore, name)) for name in REMEMBERED)
    assert not {
        name for name in REMEMBERED if name.startswith(("add", "put", "append", "queue", "claim", "end"))
    }


def test_the_sweeping_goes_on_whatever_happened() -> None:
    assert gc.isenabled()
    with unswept():
        assert not gc.isenabled()
    with pytest.raises(ZeroDivisionError), unswept():
        _ = 1 // 0
    assert gc.isenabled()
