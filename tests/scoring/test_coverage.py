"""Intervals hold the truth as often as they say when a question's snapshots are correlated; a small simulation."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.coverage_scoring import coverage, world
from tracker.scoring import calibrate, forecast_table, to_json
from tracker.scoring.reliability import consistency_band, corp_band, corp_curve


@pytest.mark.parametrize("questions", [50, 200])
def test_clustered_intervals_cover_and_rows_taken_as_independent_do_not(questions):
    found = coverage(questions, worlds=120 if questions == 50 else 60)
    # 95 % of 120 worlds is 114 +- 2.4; four standard deviations are left for luck
    for method in ("report", "question means", "calibration slope"):
        assert found[method] >= (0.87 if questions == 50 else 0.84)
    assert found["rows as independent"] < 0.6


def test_the_band_of_the_curve_holds_the_truth_and_knows_its_questions():
    held, width, naive_width = [], [], []
    for seed in range(40):
        p, y, which = world(150, np.random.default_rng(seed))
        p = np.round(p, 1)
        band = corp_band(p, y, which, resamples=200, seed=seed)
        naive = corp_band(p, y, np.arange(p.size), resamples=200, seed=seed)
        inside = (band.forecast > 0.15) & (band.forecast < 0.85)
        curve = corp_curve(p, y)
        assert np.array_equal(curve.forecast, band.forecast)
        true = TRUE[np.rint(10 * band.forecast).astype(int)]
        held.append(np.mean((band.lower <= true) & (true <= band.upper), where=inside))
        width.append(np.mean((band.upper - band.lower)[inside]))
        naive_width.append(np.mean((naive.upper - naive.lower)[inside]))
    assert 0.8 <= np.mean(held) <= 0.98
    assert np.mean(naive_width) < 0.5 * np.mean(width)


def test_the_consistency_band_holds_the_curves_of_calibrated_forecasts_as_often_as_it_says():
    rng = np.random.default_rng(8)
    p = np.round(rng.beta(0.8, 0.8, 300), 1)
    curve = corp_curve(p, (rng.random(300) < p).astype(float))
    band = consistency_band(curve.forecast, curve.n, resamples=1000)
    held = []
    for _ in range(200):
        again = corp_curve(p, (rng.random(300) < p).astype(float)).recalibrated
        held.append((band.lower <= again) & (again <= band.upper))
    inside = slice(1, -1)  # 0 and 1 are sure to be right
    assert 0.86 <= np.mean(held, axis=0)[inside].mean() <= 0.94
    assert band.lower[0] == band.upper[0] == 0.0
    squeezed = corp_curve(np.round(0.5 + 0.5 * (p - 0.5), 2), (rng.random(300) < p).astype(float))
    narrow = consistency_band(squeezed.forecast, squeezed.n, resamples=1000)
    outside = (squeezed.recalibrated < narrow.lower) | (squeezed.recalibrated > narrow.upper)
    assert outside.mean() > 0.4


def test_there_is_a_consistency_band_exactly_when_each_event_has_one_forecast():
    rng = np.random.default_rng(9)
    p = np.round(rng.random(60), 1)
    y = (rng.random(60) < p).astype(float)
    once = calibrate(forecast_table(p, y, np.arange(60)), curve=True, resamples=50)
    often = calibrate(forecast_table(p, y, np.arange(60) // 2), curve=True, resamples=50)
    assert once.curve is not None
    assert often.curve is not None
    assert len(once.curve.consistent_lower) == len(once.curve.forecast)
    assert often.curve.consistent_lower == ()
    assert "consistent_lower" in to_json(once)["curve"]["points"][0]
    assert to_json(often)["curve"]["reason"].startswith("no consistency band")


def _true_curve() -> np.ndarray:
    p, y, _ = world(50_000, np.random.default_rng(99))
    curve = corp_curve(np.round(p, 1), y)
    assert curve.forecast.size == 11
    return curve.recalibrated


TRUE = _true_curve()


def test_the_simulated_forecaster_is_not_calibrated_so_that_the_truth_is_not_the_diagonal():
    assert np.abs(TRUE - np.linspace(0, 1, 11)).max() > 0.02
