"""Intervals from a bootstrap over questions: do they cover, and would rows do?"""

from __future__ import annotations

import numpy as np
import pytest

from tracker.scoring.resampling import bootstrap_questions, percentile_interval, question_sums


def mean_interval(values: np.ndarray, question: np.ndarray, seed: int) -> np.ndarray:
    names, codes = np.unique(question, return_inverse=True)
    sums = question_sums([np.ones_like(values), values], codes, names.size)
    replicates = bootstrap_questions(sums, lambda t: t[:, 1:] / t[:, :1], resamples=400, seed=seed)
    return percentile_interval(replicates)[:, 0]


def covered(trial: int) -> tuple[bool, bool]:
    """Does the interval of the mean Brier score hold the truth: by questions, and by rows as if independent?"""
    rng = np.random.default_rng(trial)
    chance = rng.uniform(0.1, 0.9, 80)  # calibrated forecasts of 80 questions, 20 rows each
    happened = (rng.uniform(size=80) < chance).astype(float)
    loss = np.repeat((chance - happened) ** 2, 20)
    truth = 0.5 - np.mean([0.1**2, 0.1 * 0.9, 0.9**2])  # E[c(1-c)] = 1/2 - E[c^2], c uniform on 0.1..0.9
    question = np.repeat(np.arange(80), 20)
    by_question = mean_interval(loss, question, trial)
    by_row = mean_interval(loss, np.arange(loss.size), trial)
    return by_question[0] <= truth <= by_question[1], by_row[0] <= truth <= by_row[1]


def test_intervals_over_questions_cover_and_intervals_over_rows_do_not():
    by_question, by_row = np.mean([covered(trial) for trial in range(300)], axis=0)
    assert 0.90 <= by_question <= 0.98
    assert by_row < 0.5


def test_the_bootstrap_spread_is_the_clustered_standard_error():
    rng = np.random.default_rng(4)
    values, question = rng.normal(size=3000), np.repeat(np.arange(300), 10)
    values += np.repeat(rng.normal(size=300), 10)
    sums = question_sums([np.ones_like(values), values], question, 300)
    replicates = bootstrap_questions(sums, lambda t: t[:, 1:] / t[:, :1], resamples=4000, seed=1)[:, 0]
    per_question = values.reshape(300, 10).sum(axis=1) - 10 * values.mean()
    clustered = np.sqrt(np.sum(per_question**2)) / values.size  # CR0: Cameron & Miller 2015, eq. 11
    assert replicates.std() == pytest.approx(clustered, rel=0.05)
    assert replicates.mean() == pytest.approx(values.mean(), abs=0.01)


def test_results_do_not_hang_on_how_much_is_drawn_at_once(monkeypatch):
    sums = np.random.default_rng(0).uniform(size=(50, 2))
    whole = bootstrap_questions(sums, lambda t: t, resamples=30, seed=3)
    monkeypatch.setattr("tracker.scoring.resampling._CELLS", 120)
    np.testing.assert_allclose(bootstrap_questions(sums, lambda t: t, resamples=30, seed=3), whole)


def test_undefined_replicates_are_left_out_and_an_undefined_column_stays_undefined():
    replicates = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    interval = percentile_interval(replicates, level=0.5)
    assert interval[:, 0].tolist() == [1.5, 2.5]
    assert np.isnan(interval[:, 1]).all()
