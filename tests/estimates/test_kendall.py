"""Kendall's tau-b against scipy, and its null distribution against published values."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import kendalltau

from tracker.estimates.kendall import tau_b, tau_critical, tau_null_interval, tau_null_p, tau_null_sd, tau_x

few_values = st.integers(min_value=2, max_value=8).flatmap(
    lambda k: st.tuples(*[st.lists(st.integers(0, 4), min_size=k, max_size=k)] * 2)
)


@settings(deadline=None)
@given(few_values)
def test_tau_equals_scipys_with_ties_too(pair):
    x, y = pair
    ours = float(tau_b(x, y))
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(kendalltau(x, y).statistic, abs=1e-9)


@settings(deadline=None)
@given(few_values)
def test_tau_is_symmetric_and_changes_sign_under_reversal(pair):
    x, y = (np.array(values, dtype=float) for values in pair)
    np.testing.assert_array_equal(tau_b(x, y), tau_b(y, x))
    np.testing.assert_array_equal(tau_b(-x, y), -tau_b(x, y))


def test_many_orders_at_once_equal_one_by_one():
    random = np.random.default_rng(7)
    many, one = random.integers(0, 5, (200, 6)), random.integers(0, 5, 6)
    np.testing.assert_allclose(tau_b(many, one), [float(tau_b(row, one)) for row in many])
    np.testing.assert_allclose(
        tau_b(many, many[::-1]), [float(tau_b(a, b)) for a, b in zip(many, many[::-1], strict=True)]
    )


def test_never_and_never_are_tied():
    never = -np.inf
    assert float(tau_b([3.0, 2.0, never, never], [3.0, 2.0, 1.0, 0.0])) == pytest.approx(
        kendalltau([3, 2, 0, 0], [3, 2, 1, 0]).statistic
    )


def test_a_gap_ties_values_that_are_close():
    assert float(tau_b([3.0, 2.0, 1.99], [3, 2, 1], gap_x=0.05)) == pytest.approx(
        kendalltau([3, 2, 2], [3, 2, 1]).statistic
    )
    assert float(tau_b([3.0, 2.0, 1.99], [3, 2, 1])) == 1.0


@pytest.mark.parametrize(
    ("x", "y"), [([1], [1]), ([1, 2], [1, 2, 3]), ([1, float("nan")], [1, 2]), (1.0, 2.0)]
)
def test_what_is_not_two_orders_of_the_same_items_is_refused(x, y):
    with pytest.raises(ValueError, match="order"):
        tau_b(x, y)


@pytest.mark.parametrize(("n", "sd"), [(4, 0.49), (5, 0.41), (6, 0.35), (8, 0.29), (10, 0.25)])
def test_the_null_spread_has_the_known_values(n, sd):
    assert tau_null_sd(n) == pytest.approx(sd, abs=0.005)


@pytest.mark.parametrize("n", [4, 6])
def test_the_null_spread_and_critical_value_are_those_of_all_permutations(n):
    taus = tau_b(np.array(list(itertools.permutations(range(n)))), np.arange(n))
    assert tau_null_sd(n) == pytest.approx(taus.std())
    reached = [t for t in np.unique(np.abs(taus)) if np.mean(np.abs(taus) >= t - 1e-12) <= 0.05]
    expected = min(reached) if reached else None
    assert tau_critical(n) == (None if expected is None else pytest.approx(expected))


TEN = [1, 0, 2, 3, 4, 9, 8, 7, 6, 5]  # 11 of 45 pairs reversed: tau = 23/45


def test_ten_areas_need_23_of_45_pairs_to_differ_from_chance():
    assert tau_critical(10) == pytest.approx(23 / 45)


def test_three_areas_can_never_differ_from_chance():
    assert tau_critical(3) is None


@pytest.mark.parametrize("function", [tau_null_sd, tau_critical])
def test_one_item_has_no_order(function):
    with pytest.raises(ValueError, match="two or more"):
        function(1)


def test_every_agreement_is_within_a_level_of_one():
    assert tau_critical(2, level=1.0) == 1.0


# Ties as statements, and the exact spread of chance


@settings(deadline=None)
@given(few_values)
def test_tau_x_is_emond_and_masons_matrix_product(pair):
    """Score matrices with 1 for "before or level with", -1 for "behind", 0 on the diagonal."""
    x, y = (np.array(values, dtype=float) for values in pair)
    n = len(x)

    def matrix(values):
        ahead = np.where(values[:, None] >= values[None, :], 1.0, -1.0)
        np.fill_diagonal(ahead, 0.0)
        return ahead

    expected = (matrix(x) * matrix(y)).sum() / (n * (n - 1))
    assert float(tau_x(x, y)) == pytest.approx(expected)


def test_tau_x_reads_a_common_tie_as_agreement_where_tau_b_is_silent():
    level = [1.0, 1.0, 1.0]
    assert float(tau_x(level, level)) == 1.0
    assert np.isnan(tau_b(level, level))
    assert float(tau_x(level, [1.0, 2.0, 3.0])) == pytest.approx(0.0)


@pytest.mark.parametrize("n", [4, 5, 6])
def test_the_null_interval_holds_nine_tenths_of_all_permutations(n):
    taus = np.array([tau_b(np.arange(n), order) for order in itertools.permutations(range(n))])
    low, high = tau_null_interval(n)
    inside = (taus >= low - 1e-9) & (taus <= high + 1e-9)
    assert inside.mean() >= 0.9
    narrower = (taus > low + 1e-9) & (taus < high - 1e-9)
    assert narrower.mean() < 0.9


TEN = [1, 0, 2, 3, 4, 9, 8, 7, 6, 5]  # 11 of 45 pairs reversed: tau = 23/45


def test_ten_areas_need_23_of_45_to_be_told_from_chance():
    assert tau_null_p(10, 23 / 45) == pytest.approx(kendalltau(range(10), TEN).pvalue, abs=1e-12)
    assert tau_null_p(10, 23 / 45) <= 0.05 < tau_null_p(10, 21 / 45)


def test_of_very_many_orders_each_comes_out_as_alone() -> None:
    random = np.random.default_rng(7)
    first, second = random.integers(0, 4, (2, 2_500, 5)).astype(float)
    some = [0, 999, 1_000, 1_999, 2_000, 2_499]
    every, to_one = tau_b(first, second, gap_x=1.0), tau_b(first, second[3])
    assert every.shape == to_one.shape == (2_500,)
    for row in some:
        np.testing.assert_array_equal(every[row], tau_b(first[row], second[row], gap_x=1.0))
        np.testing.assert_array_equal(to_one[row], tau_b(first[row], second[3]))
