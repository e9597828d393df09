"""Proper scores against other packages, hand-made cases and the definition of properness."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
import scoringrules
from hypothesis import given, strategies as st
from sklearn.metrics import brier_score_loss, log_loss as sklearn_log_loss

from tracker.scoring import (
    brier_score,
    clipped,
    log_score,
    reliability,
    scores,
    spherical_reward,
    spherical_score,
)

probabilities = st.floats(0.0, 1.0)
LOSSES = [brier_score, log_score, spherical_score]


@pytest.fixture
def forecasts():
    rng = np.random.default_rng(7)
    return rng.uniform(0.01, 0.99, 500), (rng.uniform(size=500) < 0.3).astype(float)


@pytest.mark.parametrize("module", [scores, reliability])
def test_the_examples_in_the_documentation_are_true(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_brier_agrees_with_scikit_learn_and_scoringrules(forecasts):
    p, y = forecasts
    assert np.mean(brier_score(p, y)) == pytest.approx(brier_score_loss(y, p), abs=1e-14)
    np.testing.assert_allclose(brier_score(p, y), scoringrules.brier_score(y, p), atol=1e-15)


def test_log_score_agrees_with_scikit_learn_and_scoringrules(forecasts):
    p, y = forecasts
    assert np.mean(log_score(p, y)) == pytest.approx(sklearn_log_loss(y, p), abs=1e-13)
    np.testing.assert_allclose(log_score(p, y), scoringrules.log_score(y, p), atol=1e-13)


def test_scores_worked_out_by_hand():
    assert brier_score(0.7, 1) == pytest.approx(0.09)
    assert log_score(0.25, 1) == pytest.approx(math.log(4))
    assert log_score(0.25, 0) == pytest.approx(math.log(4 / 3))
    assert spherical_reward(0.6, 0) == pytest.approx(0.4 / math.sqrt(0.52))
    assert spherical_score(0.5, 1) == pytest.approx(1 - math.sqrt(0.5))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_perfect_forecast_scores_best_and_a_sure_mistake_worst(loss):
    p = np.linspace(0, 1, 101)
    values = loss(p, np.ones(101))
    assert values.argmin() == 100
    assert values.argmax() == 0
    assert np.all(np.diff(values) <= 0)


@pytest.mark.parametrize("loss", LOSSES)
@given(truth=st.floats(0.01, 0.99), said=st.floats(0.002, 0.998))
def test_nobody_gains_by_saying_anything_but_what_he_believes(loss, truth, said):
    def expected(p: float) -> float:
        return truth * float(loss(p, 1)) + (1 - truth) * float(loss(p, 0))

    assert expected(truth) <= expected(said) + 1e-12


@pytest.mark.parametrize("loss", LOSSES)
@given(p=probabilities, y=st.sampled_from([0.0, 1.0, 0.25]))
def test_swapping_yes_and_no_changes_nothing(loss, p, y):
    assert loss(1 - p, 1 - y) == pytest.approx(float(loss(p, y)), abs=1e-9)


def test_single_and_double_precision_agree(forecasts):
    p, y = forecasts
    for loss in LOSSES:
        np.testing.assert_allclose(loss(p.astype(np.float32), y.astype(np.float32)), loss(p, y), atol=1e-5)


def test_clipping_bounds_the_log_score_and_is_counted():
    p = np.array([0.0, 0.001, 0.0005, 0.999, 1.0])
    moved, count = clipped(p, 0.001)
    assert count == 3
    assert moved.min() == 0.001
    assert log_score(0.0, 1, clip=0.001) == pytest.approx(-math.log(0.001))


def test_without_a_clip_a_sure_mistake_is_infinite_and_a_sure_hit_is_free():
    assert log_score([0.0, 1.0], [1, 1], clip=0.0).tolist() == [math.inf, 0.0]


def test_a_fractional_outcome_is_the_mixture_of_yes_and_no():
    for loss in (log_score, spherical_score):
        mixture = 0.3 * loss(0.6, 1) + 0.7 * loss(0.6, 0)
        assert loss(0.6, 0.3) == pytest.approx(float(mixture))


@pytest.mark.parametrize(
    ("p", "y"), [(1.2, 1), (-0.1, 0), (math.nan, 1), (0.5, math.nan), (0.5, 2), (math.inf, 1)]
)
@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_no_probability_is_refused(loss, p, y):
    with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
        loss(p, y)


@pytest.mark.parametrize("clip", [-0.1, 0.5, math.nan])
def test_a_clip_must_leave_room_for_forecasts(clip):
    with pytest.raises(ValueError, match="clip"):
        log_score(0.5, 1, clip=clip)
