"""Scores over several options against scoringrules, against the binary scores, and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
from hypothesis import given, strategies as st

from tracker.scoring.choices import (
    brier_choice_score,
    log_choice_score,
    ranked_probability_score,
    spherical_choice_score,
)
from tracker.scoring.scores import brier_score, log_score, spherical_score

SCORES = (brier_choice_score, log_choice_score, spherical_choice_score, ranked_probability_score)


def drawn(options: int, n: int = 200, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(options), n), rng.integers(options, size=n)


def test_two_options_are_the_binary_scores():
    p, y = drawn(2)
    yes, happened = p[:, 1], (y == 1).astype(float)
    assert brier_choice_score(p, y) == pytest.approx(brier_score(yes, happened))
    assert ranked_probability_score(p, y) == pytest.approx(brier_score(yes, happened))
    assert log_choice_score(p, y) == pytest.approx(log_score(yes, happened))
    assert spherical_choice_score(p, y) == pytest.approx(spherical_score(yes, happened))


def test_ranked_probability_score_is_that_of_scoringrules_divided_by_the_steps():
    p, y = drawn(5)
    theirs = scoringrules.rps_score(y + 1, p, backend="numpy")  # it counts options from 1
    assert ranked_probability_score(p, y) * 4 == pytest.approx(theirs)


@pytest.mark.parametrize("score", SCORES)
@given(
    st.lists(st.integers(1, 40), min_size=3, max_size=6), st.lists(st.integers(1, 40), min_size=6, max_size=6)
)
def test_nothing_beats_saying_what_one_believes(score, believed, other):
    truth = np.array(believed) / sum(believed)
    lie = np.array(other[: truth.size]) / sum(other[: truth.size])
    options = np.arange(truth.size)

    def expected(said):
        return float(truth @ score(np.tile(said, (truth.size, 1)), options))

    assert expected(truth) <= expected(lie) + 1e-12


def test_a_near_miss_costs_less_than_a_far_one_only_where_order_counts():
    sure = [[1.0, 0.0, 0.0, 0.0]]
    assert ranked_probability_score(sure, [1])[0] < ranked_probability_score(sure, [3])[0]
    assert brier_choice_score(sure, [1])[0] == brier_choice_score(sure, [3])[0] == 1.0


@pytest.mark.parametrize(
    ("p", "y", "said"),
    [
        ([[0.5, 0.4]], [0], "sum to 1"),
        ([[1.2, -0.2]], [0], "0..1"),
        ([[np.nan, 1.0]], [0], "0..1"),
        ([[0.5, 0.5]], [2], "position"),
        ([[0.5, 0.5]], [0.5], "position"),
        ([[1.0]], [0], "two or more"),
        ([[0.5, 0.5]], [0, 1], "one outcome"),
    ],
)
@pytest.mark.parametrize("score", SCORES)
def test_nonsense_is_refused(score, p, y, said):
    with pytest.raises(ValueError, match=said):
        score(p, y)
