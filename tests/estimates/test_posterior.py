"""Posterior draws of a shape against brute force, known truths, and simulation of their coverage."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from scipy import stats

from tests.estimates.invented import drawn_from, frontier, points, scattered
from tests.estimates.published import metr_points
from tracker.errors import UsageError
from tracker.estimates.frontier import frontier_of, scale_for
from tracker.estimates.posterior import fit_shape
from tracker.estimates.shapes import PRIORS, SHAPES, Priors, cells_of
from tracker.estimates.trend import DAYS_PER_YEAR, Selection, fit_line, select

LINE = scattered(9, 0.6, 0.4, seed=3)
FLAT = Priors(growth_sd=100.0, level_sd=100.0, scatter_sd=100.0)


def brute_force(found, likelihood, shared=0.0):
    """Mean and sd of level and growth of an exponential on a fine grid, priors as published."""
    level = np.linspace(found.heights[-1] - 4, found.heights[-1] + 4, 121)
    growth = np.linspace(-1.0, 8.0, 121)
    scatter = np.geomspace(0.03, 3.0, 60)
    a, g, tau = np.meshgrid(level, growth, scatter, indexing="ij")
    log = stats.norm.logpdf(a, found.heights[-1], PRIORS.level_sd)
    log += stats.norm.logpdf(g, PRIORS.growth_mean, PRIORS.growth_sd)
    log += stats.norm.logpdf(tau / PRIORS.scatter_sd) + np.log(tau)
    for i in range(found.n):
        log += likelihood(i, a + g * found.years[i], tau)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    means = [float((weight * x).sum()) for x in (a, g)]
    sds = [math.sqrt(float((weight * (x - mean) ** 2).sum())) for x, mean in zip((a, g), means, strict=True)]
    return means, sds


def check(fit, expected):
    means, sds = expected
    assert [fit.level.mean(), fit.growth.mean()] == pytest.approx(means, abs=0.03)
    assert [fit.level.std(), fit.growth.std()] == pytest.approx(sds, rel=0.05)


def test_an_exponential_is_the_posterior_brute_force_gives():
    found = frontier(LINE)
    normal = brute_force(found, lambda i, m, tau: stats.norm.logpdf(found.heights[i], m, tau))
    check(fit_shape(found, "exponential", draws=20_000, seed=1), normal)


def test_a_ceiling_point_counts_as_at_or_above_the_ceiling():
    found = frontier([*LINE, 12.0], ceiling=2.0**5.5)

    def likelihood(i, m, tau):
        if found.censored[i]:
            return stats.norm.logsf(found.heights[i], m, tau)
        return stats.norm.logpdf(found.heights[i], m, tau)

    fit = fit_shape(found, "exponential", draws=40_000, seed=1)
    check(fit, brute_force(found, likelihood))
    exact = fit_shape(frontier([*LINE, 12.0]), "exponential", draws=4_000, seed=1)
    ignored = fit_shape(frontier(LINE), "exponential", draws=4_000, seed=1)
    rises = [f.heights(np.array([9 / 5]), 1).mean() - f.level.mean() for f in (ignored, exact)]
    assert rises[0] < rises[1]  # as an exact point it would have pulled the line up
    assert found.censored.tolist() == [False] * 9 + [True]


def test_lopsided_intervals_weigh_each_side_by_its_own_width():
    lopsided = [
        replace(p, lower=p.value * 2.0**-0.4, upper=p.value * 2.0**3.0, ci_level=0.95) for p in points(LINE)
    ]
    found = frontier_of(lopsided, scale_for("minutes"))
    alone = Priors(shared=(0.0,))

    def likelihood(i, m, tau):
        low = np.sqrt(tau**2 + found.sd_low[i] ** 2)
        high = np.sqrt(tau**2 + found.sd_high[i] ** 2)
        side = np.where(m > found.heights[i], high, low)
        return np.log(2 / (low + high)) - 0.5 * ((m - found.heights[i]) / side) ** 2

    fit = fit_shape(found, "exponential", draws=60_000, seed=2, priors=alone)
    check(fit, brute_force(found, likelihood))
    even = fit_shape(frontier(LINE, sd=0.4), "exponential", draws=4_000, seed=2, priors=alone)
    assert fit.level.mean() > even.level.mean() + 0.1  # the wide side is where the truth may lie


def test_with_flat_priors_growth_is_the_least_squares_slope_and_its_t():
    """The grid against theory: with flat priors growth is t-distributed about the least-squares slope.

    The prior on the scatter is flat, not 1 / scatter, which costs one degree of freedom.
    """
    found = frontier(LINE)
    line = fit_line(points(LINE), Selection())
    fit = fit_shape(found, "exponential", draws=40_000, seed=4, priors=FLAT)
    centre = line.slope_per_day * DAYS_PER_YEAR
    rss = line.residual_sd_log2**2 * (line.n - 2)
    scale = math.sqrt(rss / (line.n - 3) / line.sxx) * DAYS_PER_YEAR
    for p in (0.1, 0.5, 0.9):
        expected = centre + scale * stats.t.ppf(p, line.n - 3)
        assert np.quantile(fit.growth, p) == pytest.approx(expected, abs=0.06)


def test_a_shared_error_moves_the_line_but_does_not_shrink_with_more_points():
    """Independent errors average out; the shared part stays however many systems are measured."""
    spreads = {}
    for count in (8, 64):
        heights = scattered(count, 0.1, 0.1, seed=5)
        for share in (0.0, 0.75):
            found = frontier(heights, gap_days=20, sd=0.5)
            fit = fit_shape(found, "exponential", draws=4_000, seed=5, priors=Priors(shared=(share,)))
            spreads[count, share] = fit.level.std()
    assert spreads[64, 0.0] < 0.6 * spreads[8, 0.0]
    assert spreads[64, 0.75] > math.sqrt(0.75) * 0.5 * 0.95
    assert spreads[64, 0.75] > 2 * spreads[64, 0.0]


def test_the_shared_error_is_still_there_when_the_next_system_is_measured():
    """Line and shared error are unsure, their sum is not: forecasts of measurements do not suffer."""
    found = frontier(scattered(40, 0.2, 0.1, seed=6), gap_days=30, sd=0.5)
    fit = fit_shape(found, "exponential", draws=4_000, seed=6, priors=Priors(shared=(0.75,)))
    shift, own = fit.measured(0.5)
    assert fit.level.std() > 0.4
    assert (fit.level + shift).std() < 0.2
    assert own == pytest.approx(np.sqrt(fit.scatter**2 + 0.25 * 0.25), abs=1e-4)


def test_a_break_in_growth_is_found_with_its_doubt():
    t = np.arange(18.0)
    heights = np.where(t < 8, 0.1 * t, 0.8 + 0.9 * (t - 8)) + 0.1 * np.random.default_rng(7).standard_normal(
        18
    )
    fit = fit_shape(frontier(heights.tolist()), "piecewise", draws=4_000, seed=7)
    low, high = np.quantile(fit.settings["knot"], [0.01, 0.99])
    spacing = np.diff(np.unique(cells_of(fit.frontier, "piecewise").settings["knot"]))[0]
    assert low - spacing / 2 < (8 - 17) / 5 < high + spacing / 2
    assert 0.99 * spacing <= high - low < 0.6
    assert np.median(fit.growth) == pytest.approx(4.5, abs=0.4)
    assert np.median(fit.growth - fit.settings["bend"]) == pytest.approx(0.5, abs=0.4)
    assert (
        fit.log_evidence > fit_shape(frontier(heights.tolist()), "exponential", draws=10, seed=7).log_evidence
    )


def test_random_walk_growth_follows_what_a_line_cannot():
    heights = (3 * np.sin(np.arange(20) / 4.0) + np.arange(20) / 4).tolist()
    wandering = fit_shape(frontier(heights), "random_walk", draws=4_000, seed=8)
    line = fit_shape(frontier(heights), "exponential", draws=4_000, seed=8)
    misses = [np.abs(f.fitted.mean(axis=0) - heights).mean() for f in (wandering, line)]
    assert misses[0] < misses[1] / 4
    ahead = np.array([0.2, 2.0])
    spread = wandering.heights(ahead, 1).std(axis=0) / line.heights(ahead, 1).std(axis=0)
    assert spread[1] > 2.0


def test_growing_and_decaying_growth_are_positive():
    found = frontier(scattered(7, 0.02, 0.5, seed=9))
    for shape in ("superexponential", "subexponential"):
        assert fit_shape(found, shape, draws=2_000, seed=9).growth.min() > 0.0


def test_a_falling_series_has_no_growing_growth():
    falling = frontier([400.0 - 50.0 * i for i in range(8)])
    with pytest.raises(UsageError, match="do not rise"):
        fit_shape(falling, "superexponential", draws=500, seed=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_trend_is_one_curve_from_the_points_on(shape):
    fit = fit_shape(frontier(scattered(10, 0.5, 0.3, seed=10)), shape, draws=500, seed=10)
    grid = np.array([-0.2, -1e-9, 0.0, 1e-6])
    heights = fit.heights(grid, seed=1)
    assert heights[:, 0] == pytest.approx(fit.fitted[:, -2], abs=0.02)
    assert heights[:, 1] == pytest.approx(fit.level, abs=1e-4)
    assert heights[:, 3] == pytest.approx(heights[:, 2], abs=0.01)
    assert fit.fitted[:, -1] == pytest.approx(fit.level, abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_seed_gives_the_same_draws(shape):
    found = frontier(LINE, sd=0.5)
    one, two, other = (fit_shape(found, shape, draws=50, seed=seed) for seed in (1, 1, 2))
    assert (one.growth == two.growth).all()
    assert (one.growth != other.growth).any()


def test_evidence_does_not_depend_on_the_draws():
    found = frontier(LINE)
    few, many = (fit_shape(found, "exponential", draws=n, seed=1).log_evidence for n in (10, 5_000))
    assert few == pytest.approx(many)


def test_metrs_points_use_their_intervals_and_leave_enough_draws():
    chosen = select(metr_points("2026-05-08"), Selection(start=date(2023, 1, 1)))
    wide = [replace(p, lower=p.value / 1.8, upper=p.value * 2.2, ci_level=0.95) for p in chosen]
    for shape in SHAPES:
        fit = fit_shape(frontier_of(wide, scale_for("minutes"), 960.0), shape, draws=4_000, seed=1)
        assert fit.effective > 400
        assert fit.frontier.censored.sum() == 1


def test_no_draws_are_no_fit():
    with pytest.raises(UsageError, match="draws must be 1 or more"):
        fit_shape(frontier(LINE), "exponential", draws=0, seed=1)


# Coverage


@pytest.mark.parametrize("shape", SHAPES)
def test_intervals_hold_the_truth_as_often_as_they_say(shape):
    """Small version of ``tests.bench.coverage_trend``: errors correlated across systems."""
    random = np.random.default_rng([20261120, SHAPES.index(shape)])
    template = frontier([0.0] * 12, gap_days=100, sd=0.45)
    cells, ranks = cells_of(template, shape), []
    for _ in range(150):
        heights, growth, _, _ = drawn_from(cells, shape, template, random)
        world = replace(template, heights=heights, measured=heights)
        fit = fit_shape(world, shape, draws=300, seed=len(ranks))
        ranks.append(np.mean(fit.growth < growth))
    off = np.abs(np.array(ranks) - 0.5)
    assert np.mean(off <= 0.40) == pytest.approx(0.80, abs=0.10)  # three standard errors
    assert np.mean(off <= 0.475) == pytest.approx(0.95, abs=0.055)
