"""Calibration history: what was known at each month's end, kept as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from questions.catalogue import load_catalogue
from questions.records import OutcomeState, Quantity, QuestionInfo, Resolution, Snapshot, StreamKey
from storage.memory import MemoryStore
from storage.records import Batch
from tracker.errors import UsageError
from tracker.monthly import kept_history, stored_history, table_history
from tracker.scoring import forecast_table

DAY = timedelta(days=1)
CATALOGUE = load_catalogue()
START = datetime(2025, 1, 1, tzinfo=UTC)
NOW = datetime(2025, 6, 10, tzinfo=UTC)


def store(n: int = 12) -> MemoryStore:
    """Questions that close, and come out, on the 15th of January to April, three each month."""
    kept = MemoryStore()
    for k in range(n):
        key = StreamKey("manifold", "manifold", f"m{k}", "yes", Quantity.PLAY_MONEY_PRICE)
        close = datetime(2025, 1 + k % 4, 15, tzinfo=UTC)
        info = QuestionInfo("manifold", "manifold", f"m{k}", START, "t", closes_at=close)
        seen = close - 2 * DAY
        snapshot = Snapshot(key, seen, seen, probability=0.2)
        state = OutcomeState.NO
        word = Resolution("manifold", "manifold", f"m{k}", "yes", state, close, resolved_at=close, value=0.0)
        kept.append(Batch(snapshots=(snapshot,), infos=(info,), resolutions=(word,)))
    return kept


def history(kept: MemoryStore, **options):
    return stored_history(kept, CATALOGUE, lead_days=(1,), now=NOW, resamples=50, **options)


def test_each_month_has_what_was_known_at_its_end():
    months = [one for one in history(store()) if one.forecaster == "manifold"]
    assert [(f"{one.month:%m}", one.n_questions) for one in months] == [
        ("01", 3), ("02", 6), ("03", 9), ("04", 12), ("05", 12),
    ]  # fmt: skip
    assert all(one.brier == pytest.approx(0.04) for one in months)
    assert [one.ci95 is None for one in months] == [True, True, True, False, False]


def test_what_was_told_of_a_month_stays_told_and_a_correction_changes_later_months_alone():
    kept = store()
    before = history(kept)
    count = len(kept.scores())
    assert history(kept) == before
    assert len(kept.scores()) == count
    close = datetime(2025, 1, 15, tzinfo=UTC)
    corrected = Resolution(
        "manifold", "manifold", "m0", "yes", OutcomeState.YES, NOW, resolved_at=close, value=1.0
    )
    kept.append(Batch(resolutions=(corrected,)))
    later = stored_history(kept, CATALOGUE, lead_days=(1,), now=NOW + 30 * DAY, resamples=50)
    assert [one for one in later if one.month < NOW.date()] == before
    june = next(one for one in later if one.month.month == 6 and one.forecaster == "all")
    assert june.brier == pytest.approx((11 * 0.04 + 0.64) / 12)


def test_what_is_kept_is_read_without_making_more():
    kept = store()
    assert kept_history(kept, lead_days=(1,), known_at=NOW) == []
    made = history(kept)
    assert kept_history(kept, lead_days=(1,), known_at=NOW) == made
    assert kept_history(kept, lead_days=None, known_at=NOW) == []
    march = datetime(2025, 3, 10, tzinfo=UTC)
    assert {one.month.month for one in kept_history(kept, lead_days=(1,), known_at=march)} == {1, 2}


def test_a_part_has_a_history_of_its_own_that_is_not_kept():
    kept = store()
    whole = history(kept)
    count = len(kept.scores())
    part = history(kept, chosen=lambda table: table.rows(table.question == "manifold/m0"))
    assert [one.n_questions for one in part if one.forecaster == "manifold"] == [1] * 5
    assert len(kept.scores()) == count
    assert history(kept) == whole


def test_other_leads_are_another_history_and_an_earlier_view_is_shorter():
    kept = store()
    history(kept)
    daily = stored_history(kept, CATALOGUE, lead_days=None, now=NOW, resamples=0)
    assert daily
    early = history(kept, known_at=datetime(2025, 3, 10, tzinfo=UTC))
    assert {one.month.month for one in early} == {1, 2}
    assert history(MemoryStore()) == []


def test_a_table_has_a_history_too():
    made = [START] * 4
    over = [datetime(2025, m, 15, tzinfo=UTC) for m in (1, 1, 3, 5)]
    table = forecast_table([0.5] * 4, [1] * 4, list("abcd"), made_at=made, resolved_at=over)
    months = table_history(table, now=NOW)
    assert [(one.month.month, one.n_questions) for one in months] == [(1, 2), (2, 2), (3, 3), (4, 3), (5, 4)]
    with pytest.raises(UsageError, match="resolved_at"):
        table_history(forecast_table([0.5], [1], ["a"]), now=NOW)
