"""What a page tells of overdue questions goes by the user's own limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from questions.catalogue import load_catalogue
from questions.records import QuestionInfo
from storage.memory import MemoryStore
from storage.records import Batch
from tests.tracker.fakes import START, link
from tracker.config import LinkSettings
from tracker.findings import _overdue


@pytest.mark.parametrize(("limit", "overdue"), [(5.0, 1), (30.0, 0)])
def test_how_many_are_overdue_is_counted_by_the_limit_that_is_set(limit: float, overdue: int) -> None:
    store = MemoryStore()
    closed = START - timedelta(days=10)
    store.append(Batch(infos=(QuestionInfo("fair", "fair", "a", closed, "a question", closes_at=closed),)))
    catalogue = replace(load_catalogue(), links=(link("a"),))
    assert _overdue(store, catalogue, LinkSettings(overdue_days=limit), START) == overdue
