"""The shapes of a trend: their closed forms, their grids, and the plain criterion beside them."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tests.estimates.invented import frontier, scattered
from tests.estimates.published import metr_points
from tracker.errors import UsageError
from tracker.estimates.aicc import aicc
from tracker.estimates.frontier import frontier_of, scale_for
from tracker.estimates.shapes import (
    DECAYING,
    HIGH_POWER,
    POWER,
    PRIORS,
    QUADRATIC,
    SHAPES,
    SHRINKING,
    bent_rise,
    cells_of,
    columns,
    fittable,
    wander,
)
from tracker.estimates.trend import Selection, fit_line, select

FASTEST = 365.25 / PRIORS.floor_days


def rise(years, growth, kind, pace):
    one = (np.array([float(x)]) for x in (growth, kind, pace))
    return bent_rise(np.asarray(years, dtype=float), *one, PRIORS.floor_days)[0]


RATES = {
    QUADRATIC: lambda t, g, pace: g + pace * t,
    SHRINKING: lambda t, g, pace: g / (1.0 - t / pace) if t < pace else math.inf,
    DECAYING: lambda t, g, pace: g * 2.0 ** (t / pace),
    POWER: lambda t, g, pace: g * (1.0 + t / pace) ** 0.5,
    HIGH_POWER: lambda t, g, pace: g * (1.0 + t / pace) ** 2,
}


@pytest.mark.parametrize(
    ("kind", "pace"),
    [
        (QUADRATIC, 1.5),
        (SHRINKING, 4.0),
        (SHRINKING, 1.0),
        (DECAYING, 2.0),
        (DECAYING, -1.5),
        (POWER, 0.4),
        (HIGH_POWER, 4.0),
    ],
)
def test_growth_that_changes_adds_up_to_the_closed_form(kind, pace):
    """Against a numerical solution of height' = growth(t), the doubling time never below 30 days."""
    years = np.linspace(0.1, 6.0, 25)
    solved = solve_ivp(
        lambda t, _: [min(RATES[kind](t, 3.0, pace), FASTEST)], (0, 6), [0.0], t_eval=years, max_step=0.01
    )
    assert rise(years, 3.0, kind, pace) == pytest.approx(solved.y[0], rel=2e-3)


def test_each_doubling_takes_a_fixed_share_of_the_one_before():
    """AI Futures: time for K doublings = d0 (1 - r^K) / (1 - r), before the floor of 30 days is met."""
    growth, left = 3.0, 4.0
    r = math.exp(-1.0 / (growth * left))
    d0 = left * (1.0 - r)  # so that all doublings together take ``left`` years
    times = [d0 * (1 - r**k) / (1 - r) for k in range(1, 9)]
    assert rise(times, growth, SHRINKING, left) == pytest.approx(np.arange(1.0, 9.0))


def test_doubling_times_that_halve_every_two_years():
    """metr_graph: growth = h / (DT0 ln 2) (2^(t/h) - 1)."""
    assert rise([1.0], 2.5, DECAYING, 2.0)[0] == pytest.approx(2.5 * 2.0 / math.log(2) * (math.sqrt(2) - 1))


def test_past_and_future_of_a_curve_are_one_curve():
    cases = (
        (SHRINKING, 3.0),
        (DECAYING, 2.0),
        (DECAYING, -2.0),
        (QUADRATIC, 1.0),
        (POWER, 2.0),
        (HIGH_POWER, 5.0),
    )
    for kind, pace in cases:
        step = np.array([1e-5])
        offset, (_, growth) = columns(-step, np.array([float(kind)]), np.array([pace]))
        before = float(offset[0, 0] + 3.0 * growth[0, 0])
        assert -before == pytest.approx(rise(step, 3.0, kind, pace)[0], rel=1e-4)


def test_a_power_law_runs_through_its_beginning_and_all_points_come_after_it():
    """height = level + c ((t + P)^e - P^e) on both sides of the last point, with slope ``growth`` there."""
    for kind, exponent in ((POWER, 1.5), (HIGH_POWER, 3.0)):
        growth, pace, past = 2.0, 5.0, np.array([-4.9, -3.0, -0.5])
        c = growth / (exponent * pace ** (exponent - 1.0))
        _, (_, unit) = columns(past, np.array([float(kind)]), np.array([pace]))
        assert growth * unit[0] == pytest.approx(c * ((past + pace) ** exponent - pace**exponent))
        ahead = rise([0.3, 0.6], growth, kind, pace)
        assert ahead == pytest.approx(c * ((np.array([0.3, 0.6]) + pace) ** exponent - pace**exponent))
    found = frontier([float(i) for i in range(20)], gap_days=200)
    cells = cells_of(found, "superexponential")
    powers = np.isin(cells.settings["kind"], (POWER, HIGH_POWER))
    assert (cells.settings["pace"][powers] > -found.years.min()).all()
    share = [np.mean(cells.settings["kind"] == kind) for kind in (QUADRATIC, SHRINKING, DECAYING)]
    assert share == pytest.approx([0.25] * 3)
    assert powers.mean() == pytest.approx(0.25)


def test_a_singularity_is_never_reached():
    assert np.isfinite(rise([0.5, 1.0, 30.0], 3.0, SHRINKING, 0.6)).all()


def test_wandering_growth_has_the_covariances_the_grid_assumes():
    """Simulated exact steps against the covariance of integrated Brownian motion used for past points."""
    found = frontier([0.0, 0.0, 0.0, 0.0, 0.0], gap_days=100)
    cells = cells_of(found, "random_walk")
    cell = len(cells.scatter) // 2
    level, growth = cells.settings["level_walk"][cell], cells.settings["growth_walk"][cell]
    since = found.years - found.years[0]
    random = np.random.default_rng(1)
    size = 200_000
    start = PRIORS.level_sd * random.standard_normal(size)
    drift = PRIORS.growth_mean + PRIORS.growth_sd * random.standard_normal(size)
    walks = np.full(size, level), np.full(size, growth)
    paths = wander(np.diff(since), start, drift, walks, random)
    simulated = np.cov(np.column_stack([start, paths]).T)
    assert simulated == pytest.approx(cells.cov[cell, :5, :5], rel=0.03)


def test_every_cell_has_the_priors_it_is_said_to_have():
    cells = cells_of(frontier([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], sd=0.5), "piecewise")
    assert np.unique(cells.shared).tolist() == list(PRIORS.shared)
    assert cells.mean[0].tolist() == [6.0, 2.0, 0.0, 0.0]
    assert np.sqrt(np.diag(cells.cov[0])).tolist() == [5.0, 2.0, 2.0, 1.0]
    assert (cells.settings["knot"] > -3 / 5).all()  # three points on either side
    assert (cells.settings["knot"] < -2 / 5).all()


def test_priors_are_said_in_words():
    for shape in SHAPES:
        words = PRIORS.describe(shape, "doublings")
        assert "growth normal 2 +- 2 doublings a year" in words
        assert (len(words) > 4) == (shape != "exponential")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_needs_enough_points(shape):
    heights = list(range(8))
    least = next(n for n in range(3, 9) if not fittable(shape, frontier(heights[:n])))
    assert least == {"exponential": 3, "piecewise": 6}.get(shape, 4)
    if least > 3:
        with pytest.raises(UsageError, match=f"{shape} needs {least} or more points"):
            cells_of(frontier(heights[: least - 1]), shape)


# The plain criterion


def test_the_criterion_of_a_line_is_the_textbooks():
    """AICc = n ln(RSS / n) + n (ln 2 pi + 1) + 2 k + 2 k (k + 1) / (n - k - 1) with k = 3."""
    points = select(metr_points("2026-05-08"), Selection(max_minutes=960.0))
    line = fit_line(points, Selection())
    n, rss = line.n, line.residual_sd_log2**2 * (line.n - 2)
    expected = n * math.log(rss / n) + n * (math.log(2 * math.pi) + 1) + 6 + 24 / (n - 4)
    assert aicc(frontier_of(points, scale_for("minutes")), "exponential") == pytest.approx(expected)


def test_one_slope_does_not_fit_metrs_whole_series():
    """Trend notes on METR 1.1: a single exponential since 2019 is decisively worse than one with a break."""
    found = frontier_of(select(metr_points("2026-05-08"), Selection()), scale_for("minutes"), 960.0)
    assert aicc(found, "exponential") - aicc(found, "piecewise") > 4


def test_the_criterion_prefers_the_shape_the_data_were_made_from():
    random = np.random.default_rng(4)
    t = np.arange(16.0)
    noise = 0.2 * random.standard_normal(16)
    made = {
        "exponential": 0.6 * t + noise,
        "piecewise": np.where(t < 7, 0.1 * t, 0.7 + 1.2 * (t - 7)) + noise,
        "superexponential": 0.05 * t**2 + noise,
        "subexponential": 8.0 * (1 - 2.0 ** (-t / 4)) + noise,
    }
    for truth, heights in made.items():
        scores = {shape: aicc(frontier(heights), shape) for shape in SHAPES}
        assert min(scores, key=scores.get) == truth


def test_without_enough_points_or_scatter_there_is_no_criterion():
    assert aicc(frontier([1.0, 2.0, 3.0, 4.0]), "exponential") is None
    assert aicc(frontier(list(range(8))), "exponential") is None
    assert aicc(frontier(scattered(6, 1.0, 0.3, 1)), "piecewise") is None
