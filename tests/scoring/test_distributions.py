"""Scores of distributions against closed forms, numerical integration, scoringrules and scipy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scoringrules
from hypothesis import given, strategies as st
from scipy import integrate, stats

from tracker.scoring.distributions import (
    coverage,
    crps_cdf,
    crps_draws,
    pit_histogram,
    pit_interval,
    quantile_score,
    weighted_interval_score,
    wilson_interval,
)

UNIT = np.linspace(0.0, 1.0, 201)
UNEVEN = np.sort(np.concatenate([[0.0, 7.0], 7.0 * np.random.default_rng(3).uniform(size=30)]))


@pytest.mark.parametrize("y", [0.0, 0.1, 0.3141, 0.5, 1.0])
@pytest.mark.parametrize("points", [2, 3, 201])
def test_a_uniform_forecast_has_its_closed_form_whatever_the_grid(y, points):
    grid = np.linspace(0.0, 1.0, points)
    assert crps_cdf(grid, [grid], [y])[0] == pytest.approx((y**3 + (1 - y) ** 3) / 3, abs=1e-14)


@pytest.mark.parametrize("y", [-3.0, 0.0, 0.02, 2.5, 6.999, 7.0, 9.0])
def test_it_is_the_integral_over_the_range_with_uneven_steps_and_open_bounds(y):
    rng = np.random.default_rng(1)
    cdf = 0.05 + 0.8 * np.cumsum(rng.dirichlet(np.ones(UNEVEN.size)))

    def squared(x):
        return (np.interp(x, UNEVEN, cdf) - (x >= y)) ** 2

    kinks = sorted({*UNEVEN.tolist(), min(max(y, 0.0), 7.0)})
    pieces = [integrate.quad(squared, a + 1e-13, b - 1e-13)[0] for a, b in pairwise(kinks)]
    assert crps_cdf(UNEVEN, [cdf], [y])[0] == pytest.approx(sum(pieces), rel=1e-9)
    part = (1.0, 5.0)
    kinks = sorted({k for k in kinks if part[0] < k < part[1]} | set(part))
    pieces = [integrate.quad(squared, a + 1e-13, b - 1e-13)[0] for a, b in pairwise(kinks)]
    assert crps_cdf(UNEVEN, [cdf], [y], between=part)[0] == pytest.approx(sum(pieces), rel=1e-9)


def test_a_dense_grid_gives_the_crps_of_a_normal():
    grid = np.linspace(-8.0, 8.0, 4001)
    y = np.array([-1.5, 0.0, 2.0])
    ours = crps_cdf(grid, np.tile(stats.norm.cdf(grid), (3, 1)), y)
    assert ours == pytest.approx(scoringrules.crps_normal(y, 0.0, 1.0, backend="numpy"), rel=1e-5)


def test_how_far_beyond_the_range_it_fell_makes_no_difference():
    cdf = 0.2 + 0.5 * UNIT
    assert crps_cdf(UNIT, [cdf] * 2, [1.01, 1e9])[0] == crps_cdf(UNIT, [cdf] * 2, [1.01, 1e9])[1]
    assert crps_cdf(UNIT, [cdf], [-1.0])[0] == pytest.approx(
        integrate.quad(lambda x: (0.5 * x - 0.8) ** 2, 0, 1)[0]
    )


def test_units_only_scale_it():
    cdf = UNIT**2
    days = 1000.0 + 365.0 * UNIT
    assert crps_cdf(days, [cdf], [1100.0])[0] == pytest.approx(365.0 * crps_cdf(UNIT, [cdf], [100 / 365])[0])


@given(st.integers(0, 10_000))
def test_with_open_bounds_nothing_beats_the_true_distribution(seed):
    rng = np.random.default_rng(seed)
    grid = np.linspace(0.0, 1.0, 6)
    truth, lie = (np.sort(rng.uniform(size=6)) for _ in range(2))
    # outcomes at the middle of cells, as a fine discrete law: below, cells, above
    fine = np.concatenate([[-1.0], (np.arange(2000) + 0.5) / 2000, [2.0]])
    at = np.interp(np.linspace(0.0, 1.0, 2001), grid, truth)
    mass = np.concatenate([[at[0]], np.diff(at), [1.0 - at[-1]]])

    def expected(said):
        return float(mass @ crps_cdf(grid, np.tile(said, (fine.size, 1)), fine))

    assert expected(truth) <= expected(lie) + 1e-6


def test_weighted_interval_score_against_scoringrules_and_the_pinball_form():
    rng = np.random.default_rng(2)
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    q = np.sort(rng.normal(size=(50, 5)), axis=1)
    y = rng.normal(size=50) * 2
    ours = weighted_interval_score(levels, q, y)
    assert ours == pytest.approx(quantile_score(levels, q, y))
    alpha = 2 * levels[:2]
    # scoringrules 0.10's own weighted score adds the median itself instead of its distance from the outcome
    intervals = [
        scoringrules.interval_score(y, q[:, k], q[:, 4 - k], alpha[k], backend="numpy") * alpha[k] / 2
        for k in range(2)
    ]
    assert ours == pytest.approx((0.5 * np.abs(y - q[:, 2]) + sum(intervals)) / 2.5)
    pinball = np.stack(
        [scoringrules.quantile_score(y, q[:, k], levels[k], backend="numpy") for k in range(5)]
    )
    assert quantile_score(levels, q, y) == pytest.approx(2 * pinball.mean(axis=0))


def test_five_levels_of_a_normal_come_out_lower_than_its_crps_and_many_do_not():
    y = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    crps = scoringrules.crps_normal(y, 0.0, 1.0, backend="numpy").mean()

    def mean(levels):
        q = np.tile(stats.norm.ppf(levels), (y.size, 1))
        return quantile_score(levels, q, y).mean() / crps

    assert mean(np.array([0.05, 0.25, 0.5, 0.75, 0.95])) == pytest.approx(0.88, abs=0.01)
    assert mean((np.arange(400) + 0.5) / 400) == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize("estimator", ["fair", "ecdf"])
def test_draws_by_the_definition(estimator):
    rng = np.random.default_rng(4)
    draws, y = rng.normal(size=(20, 9)), rng.normal(size=20)
    spread = np.abs(draws[:, :, None] - draws[:, None, :]).sum(axis=(1, 2)) / (
        9 * 8 if estimator == "fair" else 81
    )
    expected = np.abs(draws - y[:, None]).mean(axis=1) - spread / 2
    assert crps_draws(draws, y, estimator=estimator) == pytest.approx(expected)


def test_the_places_of_a_calibrated_forecasters_outcomes_are_even_and_covered_as_stated():
    rng = np.random.default_rng(5)
    grid = np.linspace(-1.0, 1.0, 101)  # a fifth of each normal lies beyond
    centre = rng.normal(size=4000) * 0.3
    cdf = stats.norm.cdf(grid, centre[:, None], 0.8)
    pit = pit_interval(grid, cdf, centre + 0.8 * rng.normal(size=4000))
    counts = pit_histogram(pit, 10)
    assert counts.sum() == pytest.approx(4000)
    assert stats.chisquare(counts).pvalue > 0.001
    for level in (0.5, 0.8, 0.9):
        share, (low, high) = coverage(pit, level)
        assert low < level < high or share == pytest.approx(level, abs=0.02)


def test_too_narrow_a_forecast_makes_a_bowl():
    rng = np.random.default_rng(6)
    grid = np.linspace(-4.0, 4.0, 201)
    pit = pit_interval(grid, np.tile(stats.norm.cdf(grid, 0, 0.5), (2000, 1)), rng.normal(size=2000))
    counts = pit_histogram(pit, 10)
    assert min(counts[0], counts[-1]) > 2 * counts[4:6].max()
    assert coverage(pit, 0.8)[0] < 0.6


@pytest.mark.parametrize(("count", "n"), [(0, 5), (8, 10), (50, 50), (481, 1000)])
def test_wilson_against_scipy(count, n):
    theirs = stats.binomtest(count, n).proportion_ci(method="wilson")
    assert wilson_interval(count, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: crps_cdf([0.0, 0.0], [[0.0, 1.0]], [0.5]),
        lambda: crps_cdf([0.0, 1.0], [[0.9, 0.1]], [0.5]),
        lambda: crps_cdf([0.0, 1.0], [[0.0, 1.1]], [0.5]),
        lambda: crps_cdf([0.0, 1.0], [[0.0, 1.0]], [np.nan]),
        lambda: crps_cdf([0.0, 1.0], [[0.0, 1.0]], [0.5], between=(0.5, 2.0)),
        lambda: quantile_score([0.5, 0.1], [[1.0, 2.0]], [1.0]),
        lambda: quantile_score([0.1, 0.5], [[2.0, 1.0]], [1.0]),
        lambda: weighted_interval_score([0.1, 0.5, 0.8], [[1.0, 2.0, 3.0]], [1.0]),
        lambda: crps_draws([[1.0]], [1.0]),
        lambda: crps_draws([[np.inf, 1.0]], [1.0]),
    ],
)
def test_nonsense_is_refused(call):
    with pytest.raises(ValueError, match=r"."):
        call()
