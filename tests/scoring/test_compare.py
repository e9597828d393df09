"""Comparisons count only what both forecast, at the same moment, and each question or event once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from tracker.errors import UsageError
from tracker.scoring import forecast_table
from tracker.scoring.compare import compare, comparison_json

DAY = timedelta(days=1)
START = datetime(2025, 1, 6, tzinfo=UTC)


def table(n: int = 60, *, days: int = 3, event: bool = False, seed: int = 0):
    """Two forecasters on n questions each day; the second also on hard ones of his own."""
    rng = np.random.default_rng(seed)
    rows = []
    for q in range(n + 20):
        truth = rng.uniform(0.05, 0.95)
        y = float(rng.uniform() < truth)
        for day in range(days):
            good = np.clip(truth + rng.normal(0, 0.05), 0, 1)
            bad = np.clip(truth + rng.normal(0, 0.35), 0, 1)
            if q < n:
                rows.append((good, y, f"q{q}", "good", day, q))
                rows.append((bad, y, f"q{q}", "bad", day, q))
            else:  # sure and wrong, where nobody else forecast
                rows.append((1.0 - y, y, f"q{q}", "good", day, q))
    p, y, question, who, day, number = zip(*rows, strict=True)
    return forecast_table(
        p,
        y,
        question,
        forecaster=who,
        made_at=[START + d * DAY for d in day],
        closes_at=[START + (10 + 7 * k) * DAY for k in number],
        event=[f"e{k // 5}" for k in number] if event else None,
        now=START + 5000 * DAY,
    )


def test_only_common_questions_count_and_each_once():
    rows = table()
    (pair,) = compare(rows, resamples=0).pairs
    assert (pair.a, pair.b, pair.difference.n) == ("bad", "good", 60)
    losses = {}
    for p, y, q, who in zip(rows.probability, rows.outcome, rows.question, rows.forecaster, strict=True):
        losses.setdefault((who, q), []).append((p - y) ** 2)
    d = [np.mean(losses["bad", f"q{k}"]) - np.mean(losses["good", f"q{k}"]) for k in range(60)]
    theirs = stats.ttest_1samp(d, 0.0).confidence_interval()
    assert pair.difference.ci95 == pytest.approx((theirs.low, theirs.high))
    assert pair.won == pytest.approx(np.mean(np.array(d) < 0))
    assert pair.detectable == pytest.approx(2.8015852 * np.std(d, ddof=1) / np.sqrt(60))
    assert pair.sequence.steps == 60
    assert pair.sequence.ci95[0] < pair.difference.ci95[0] < pair.difference.ci95[1] < pair.sequence.ci95[1]


def test_the_raw_means_would_have_said_the_opposite():
    rows = table()
    found = {one.forecaster: one for one in compare(rows).adjusted}
    raw = {
        name: np.mean(np.square(rows.probability - rows.outcome)[rows.forecaster == name])
        for name in ("good", "bad")
    }
    assert raw["good"] > raw["bad"]
    assert found["good"].value < found["bad"].value


def test_questions_of_one_event_are_one_step_and_one_cluster():
    apart, together = (compare(table(event=event), resamples=0).pairs[0] for event in (False, True))
    assert (apart.difference.n, together.difference.n) == (60, 60)
    assert (apart.difference.n_clusters, together.difference.n_clusters) == (60, 12)
    assert together.difference.value == pytest.approx(apart.difference.value)
    assert together.sequence.steps == 12


def test_forecasts_at_other_moments_are_not_compared():
    moments = [START, START + DAY]
    rows = forecast_table([0.1, 0.9], [1, 1], ["q", "q"], forecaster=["a", "b"], made_at=moments)
    assert compare(rows).pairs == ()
    assert [one.value is None for one in compare(rows).adjusted].count(True) == 1


def test_without_times_a_questions_forecasts_are_averaged():
    rows = forecast_table([0.1, 0.3, 0.5], [0, 0, 0], ["q"] * 3, source=["a", "a", "b"])
    (pair,) = compare(rows, "source").pairs
    assert pair.difference.value == pytest.approx((0.01 + 0.09) / 2 - 0.25)
    assert pair.sequence is None


def test_the_json_has_no_null_without_a_reason():
    document = json.loads(json.dumps(comparison_json(compare(table(n=3), resamples=0)), allow_nan=False))
    (pair,) = document["pairs"]
    assert pair["difference"]["ci95"] is None
    assert "3 events" in pair["difference"]["reason"]
    assert all("reason" in one for one in document["adjusted"] if one["ci95"] is None)


def test_nobody_named_is_nobody_compared():
    with pytest.raises(UsageError, match="forecaster"):
        compare(forecast_table([0.5], [1], ["a"]))
    empty = forecast_table([], [], [], forecaster=[])
    assert compare(empty).pairs == ()
