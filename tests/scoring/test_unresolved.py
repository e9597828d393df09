"""Belief movement by simulation with exact martingales; proxy scores against what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import norm

from tracker.scoring.scores import brier_score, log_score
from tracker.scoring.unresolved import belief_movement, proxy_brier, proxy_log


def learners(n: int, seed: int = 0, days: int = 40) -> np.ndarray:
    """The exact chance that a walk ends above 0, seen day by day while it runs."""
    rng = np.random.default_rng(seed)
    start = rng.normal(0.0, 0.7, (n, 1))
    walk = start + np.cumsum(rng.normal(0.0, 1 / np.sqrt(days + 20), (n, days)), axis=1)
    left = 1.0 - np.arange(0, days + 1) / (days + 20)
    return norm.cdf(np.concatenate([start, walk], axis=1) / np.sqrt(left))


def test_calibrated_learning_moves_as_much_as_it_loses_uncertainty():
    found = belief_movement(list(learners(3000)))
    assert found.excess.ci95[0] < 0.0 < found.excess.ci95[1]
    assert found.ratio == pytest.approx(1.0, abs=0.03)
    assert found.movement > 0.05


def test_noise_and_overreaction_move_too_much_and_sluggishness_too_little():
    paths = learners(1000, seed=1)
    rng = np.random.default_rng(2)
    noisy = np.clip(paths + rng.normal(0, 0.03, paths.shape), 0, 1)
    assert belief_movement(list(noisy)).excess.ci95[0] > 0.0
    slow = paths.copy()  # follows the news with a lag
    for day in range(1, slow.shape[1]):
        slow[:, day] = slow[:, day - 1] + 0.15 * (paths[:, day] - slow[:, day - 1])
    assert belief_movement(list(slow)).excess.ci95[1] < 0.0


def test_paths_of_one_event_are_one_piece_of_evidence():
    paths = [path for path in learners(40, seed=3) for _ in range(5)]
    together = belief_movement(paths, np.repeat(np.arange(40), 5)).excess
    apart = belief_movement(paths).excess
    assert np.ptp(together.ci95) > 2 * np.ptp(apart.ci95)
    assert together.n_clusters == 40


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_proxy_is_the_expectation_of_the_score(p, q):
    assert proxy_brier(p, q) == pytest.approx(q * brier_score(p, 1) + (1 - q) * brier_score(p, 0))
    assert proxy_log(p, q) == pytest.approx(q * log_score(p, 1) + (1 - q) * log_score(p, 0))
    assert proxy_brier(p, q) >= proxy_brier(q, q) - 1e-12


@pytest.mark.parametrize("paths", [[], [[0.5]], [[0.5, 1.2]], [[0.5, float("nan")]]])
def test_what_is_no_path_is_refused(paths):
    with pytest.raises(ValueError, match="path"):
        belief_movement(paths)
