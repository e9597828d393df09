"""Scores that are kept: once, by rule and moment; a corrected outcome adds and edits nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from questions.catalogue import load_catalogue
from questions.records import (
    Distribution,
    OutcomeState,
    Quantity,
    QuestionInfo,
    Resolution,
    Snapshot,
    StreamKey,
)
from storage.memory import MemoryStore
from storage.records import Batch
from tracker.daemon.chores import score_jobs
from tracker.recorded import latest, record_scores

CATALOGUE = load_catalogue()
DAY = timedelta(days=1)
OPEN, CLOSE = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 4, 11, tzinfo=UTC)
NOW = CLOSE + 20 * DAY


def store() -> MemoryStore:
    """One yes/no question of a hundred days at 0.2 that came out Yes, one number: uniform on 0..1, it came out 0.5."""
    kept = MemoryStore()
    for name, value in (("a", {"probability": 0.2}), ("n", {"distribution": Distribution((0, 1), (0, 1))})):
        outcome = "yes" if name == "a" else "value"
        key = StreamKey("manifold", "manifold", name, outcome, Quantity.PLAY_MONEY_PRICE)
        seen = tuple(Snapshot(key, OPEN + n * DAY, OPEN + n * DAY, **value) for n in range(0, 100, 2))
        info = QuestionInfo("manifold", "manifold", name, OPEN, "t", opens_at=OPEN, closes_at=CLOSE)
        kept.append(
            Batch(snapshots=seen, infos=(info,), resolutions=(word(name, 1.0 if name == "a" else 0.5),))
        )
    return kept


def word(name: str, value: float, at: datetime = CLOSE) -> Resolution:
    state = {1.0: OutcomeState.YES, 0.0: OutcomeState.NO}.get(value, OutcomeState.VALUE)
    outcome = "yes" if name == "a" else "value"
    return Resolution("manifold", "manifold", name, outcome, state, at, resolved_at=CLOSE, value=value)


def values(scores, rule: str) -> set[float]:
    return {round(one.value, 9) for one in scores if one.rule == rule}


def test_each_forecast_is_scored_once_by_each_rule_and_a_correction_adds_a_version():
    kept = store()
    new = record_scores(kept, CATALOGUE, now=NOW)
    assert new == 3 * 3 + 3  # 90, 30 and 7 days before the close; a CRPS for each
    assert record_scores(kept, CATALOGUE, now=NOW + DAY) == 0
    before = kept.scores()
    assert values(before, "brier") == {round(0.64, 9)}
    assert values(before, "crps, range") == {round(1 / 12, 9)}
    kept.append(Batch(resolutions=(word("a", 0.0, NOW + 2 * DAY),)))
    assert record_scores(kept, CATALOGUE, now=NOW + 3 * DAY) == 9
    assert [one for one in kept.scores() if one.score_version == "1"] == before
    assert values(latest(kept.scores()), "brier") == {round(0.04, 9)}
    kept.append(Batch(resolutions=(word("a", 1.0, NOW + 4 * DAY),)))
    record_scores(kept, CATALOGUE, now=NOW + 5 * DAY)
    assert {one.score_version for one in kept.scores()} == {"1", "1+1", "1+2"}
    assert values(latest(kept.scores()), "brier") == {round(0.64, 9)}


def test_the_daemon_keeps_scores_daily_and_each_month_that_is_over_once():
    kept = store()
    moment = [NOW]
    scores, history = score_jobs(CATALOGUE, lambda: moment[0])
    assert scores.run(kept, NOW).message == "12 new scores"
    first = history.run(kept, NOW)
    assert int(first.message.split()[0]) > 0  # April is over
    moment[0] = NOW + 2 * DAY
    assert history.run(kept, NOW).message == "0 new entries"
    moment[0] = datetime(2025, 6, 2, tzinfo=UTC)
    assert int(history.run(kept, NOW).message.split()[0]) > 0
    assert scores.slots.after(NOW) - scores.slots.at(NOW) == DAY
