"""The trend crosses, a system is published as measured above: two dates, and one that may never come."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from tests.estimates.invented import frontier, point, scattered
from tests.estimates.published import metr_points
from tracker.errors import UsageError
from tracker.estimates.frontier import frontier_of, scale_for
from tracker.estimates.mixture import fit_mixture
from tracker.estimates.posterior import fit_shape
from tracker.estimates.releases import (
    MAX_RELEASES,
    METR_LAGS_DAYS,
    first_above,
    first_above_each,
    passage,
    simulate,
    time_grid,
)
from tracker.estimates.trend import DAYS_PER_YEAR, Selection, crossing, fit_line, select

SINCE_2023 = Selection(start=date(2023, 1, 1))
DAYS = [date(2027, 12, 31), date(2030, 12, 31)]


@pytest.fixture(scope="module")
def metr():
    return frontier_of(select(metr_points("2026-05-08"), SINCE_2023), scale_for("minutes"), 960.0)


@pytest.fixture(scope="module")
def futures(metr):
    return simulate(fit_mixture(metr, draws=2_000, seed=1).members, seed=1)


def steady(found, *, growth=2.0, scatter=0.0, draws=2_000):
    """A trend without doubt: level at the last height, one growth, one scatter, no shared error."""
    fit = fit_shape(found, "exponential", draws=draws, seed=1)
    flat = np.full(draws, 0.0)
    return replace(
        fit,
        level=flat + found.heights[-1],
        growth=flat + growth,
        scatter=flat + scatter,
        shared=flat,
        common=flat,
    )


def day_of(found, years):
    return found.dates[-1] + timedelta(days=years * DAYS_PER_YEAR)


# Two different dates


def test_a_sure_trend_crosses_when_its_equation_says():
    found = frontier(np.arange(8) * 0.4)  # ends at 2.8
    when = passage(simulate([steady(found)], seed=1), 2.0**5.8).line
    assert abs(when - day_of(found, 1.5)) <= timedelta(days=1)


def test_a_record_waits_for_a_release_and_its_publication():
    """Every fifth of a year a system exactly on the trend: the first one past the crossing, 30 days later."""
    found = frontier(np.arange(8) * 0.4)
    result = passage(simulate([steady(found)], seed=1, lags_days=[30.0]), 2.0**5.7)
    assert abs(result.line - day_of(found, 1.45)) <= timedelta(days=1)
    assert abs(result.record - (found.dates[-1] + timedelta(days=8 * 73 + 30))) <= timedelta(days=1)
    assert result.record_ci95[0] == result.record_ci95[1] == result.record


def plain_simulation(found, growth, scatter, height, lags, runs, random):
    """The same story told one world and one release at a time."""
    gaps = np.diff([(d - found.dates[0]).days for d in found.dates])
    dates = []
    for _ in range(runs):
        day, record = 0.0, found.heights[-1]
        while record < height:
            day += random.choice(gaps)
            measured = found.heights[-1] + growth * day / DAYS_PER_YEAR + scatter * random.standard_normal()
            record = max(record, measured)
        dates.append(day + random.choice(lags))
    return np.array(dates)


def test_simulated_records_are_those_of_a_plain_loop_over_releases():
    made = zip((0, 20, 120, 150, 300, 390, 400), (0.0, 0.5, 1.5, 1.7, 2.2, 3.0, 3.1), strict=True)
    systems = [point(f"m{d}", date(2023, 1, 1) + timedelta(days=d), 2.0**height) for d, height in made]
    found = frontier_of(systems, scale_for("minutes"))
    fit = steady(found, growth=2.5, scatter=0.7, draws=20_000)
    result = passage(simulate([fit], seed=2), 2.0**7.0)
    slow = plain_simulation(found, 2.5, 0.7, 7.0, METR_LAGS_DAYS, 4_000, np.random.default_rng(3))
    for p, when in ((0.1, result.record_ci80[0]), (0.5, result.record), (0.9, result.record_ci80[1])):
        assert (when - found.dates[-1]).days == pytest.approx(np.quantile(slow, p), abs=15)


def test_records_only_rise(futures, metr):
    assert (np.diff(futures.records, axis=1) >= 0).all()
    assert futures.records[:, 0].min() >= metr.heights.max()
    assert (futures.published >= futures.released + min(METR_LAGS_DAYS) / DAYS_PER_YEAR - 1e-12).all()


def test_gaps_between_releases_are_those_seen_before(futures, metr):
    days = np.unique(np.round(np.diff(futures.released, axis=1) * DAYS_PER_YEAR).astype(int))
    seen = np.diff([(d - metr.dates[0]).days for d in metr.dates])
    assert set(days) == set(seen)


def test_a_silence_so_far_means_a_later_next_release(metr):
    fit = fit_shape(metr, "exponential", draws=500, seed=1)
    last = metr.dates[-1]
    first = [
        simulate([fit], seed=1, quiet_until=day).released[:, 0].min() * DAYS_PER_YEAR
        for day in (None, last + timedelta(days=60), last + timedelta(days=400))
    ]
    assert first[0] < 60 < first[1] < 400 < first[2]


def test_better_measured_worlds_have_later_records_for_the_same_trend():
    """Scatter brings a threshold forward: the first lucky system passes it before the trend does."""
    found = frontier(np.arange(8) * 0.4)
    noisy, exact = (
        passage(simulate([steady(found, scatter=s)], seed=1, lags_days=[0.0]), 2.0**7) for s in (1.0, 0.0)
    )
    assert noisy.record < exact.record
    assert noisy.line == exact.line


# What the instrument can show


def test_above_the_ceiling_nothing_is_ever_observed_on_this_instrument(futures):
    above = passage(futures, 6_000.0, DAYS, ceiling=960.0)
    assert above.p_never_observed == 1.0
    assert "above what the instrument can resolve" in above.reason
    assert above.record is not None  # on an instrument without that ceiling
    free = passage(futures, 6_000.0, DAYS)
    assert free.p_never_observed < 0.05
    assert (free.record, free.reason) == (above.record, "")


def test_what_has_been_measured_has_the_date_it_was(futures, metr):
    passed = passage(futures, 480.0, DAYS, ceiling=960.0)
    assert passed.record == date(2026, 2, 5)  # METR 1.1: 719 minutes
    assert passed.record_ci95 == (passed.record, passed.record)
    assert (passed.p_never_observed, passed.record_p_by[DAYS[0]]) == (0.0, 1.0)


def test_a_trend_that_does_not_rise_never_gets_there():
    found = frontier([5.0, 4.6, 4.4, 4.1, 3.4, 3.3, 2.9, 2.5])
    result = passage(simulate([steady(found, growth=-1.0)], seed=1), 2.0**9, DAYS)
    assert (result.line, result.line_ci80, result.record) == (None, (None, None), None)
    assert result.line_p_by == result.record_p_by == dict.fromkeys(DAYS, 0.0)
    assert result.p_never_observed == 1.0


def test_a_few_gaps_are_no_basis_for_simulated_releases():
    found = frontier([1.0, 2.0, 3.0, 4.0, 5.0])
    result = passage(simulate([fit_shape(found, "exponential", draws=100, seed=1)], seed=1), 1_000.0, DAYS)
    assert result.line is not None
    assert (result.record, result.record_p_by, result.p_never_observed) == (None, None, None)
    assert "5 or more gaps between past records, there are 4" in result.reason


# Dates of the trend


def test_the_exponentials_trend_agrees_with_the_least_squares_line(metr):
    """Wide priors, no intervals, no ceiling point: the posterior's median and 80% are Fieller's to weeks."""
    points = select(metr_points("2026-05-08"), replace(SINCE_2023, max_minutes=960.0))
    found = frontier_of(points, scale_for("minutes"))
    ours = passage(simulate([fit_shape(found, "exponential", draws=8_000, seed=1)], seed=1), 10_020.0)
    theirs = crossing(fit_line(points, SINCE_2023), 10_020.0)
    assert abs(ours.line - theirs.line) < timedelta(days=15)
    for mine, fieller in zip(ours.line_ci80, theirs.line_ci80, strict=True):
        assert abs(mine - fieller) < timedelta(days=30)


def test_probabilities_rise_with_the_day_and_fall_with_the_threshold(futures):
    near, far = (passage(futures, minutes, DAYS) for minutes in (2_400.0, 120_000.0))
    for result in (near, far):
        assert result.line_p_by[DAYS[0]] < result.line_p_by[DAYS[1]]
    assert near.line_p_by[DAYS[0]] > far.line_p_by[DAYS[0]]
    assert near.record_p_by[DAYS[0]] > far.record_p_by[DAYS[0]]


def test_quantiles_are_dates_by_which_that_share_has_happened(futures):
    result = passage(futures, 10_020.0)
    for end, share in ((result.line_ci80[0], 0.1), (result.line, 0.5), (result.line_ci80[1], 0.9)):
        by = passage(futures, 10_020.0, [end]).line_p_by[end]
        before = passage(futures, 10_020.0, [end - timedelta(days=2)])
        assert by >= share - 1e-9
        assert before.line_p_by[end - timedelta(days=2)] <= share + 1e-9


def test_a_first_crossing_counts_even_if_the_trend_falls_back():
    grid = np.array([0.0, 1.0, 2.0, 3.0])
    trend = np.array([[0.0, 4.0, 1.0, 8.0], [5.0, 6.0, 7.0, 8.0], [0.0, 1.0, 1.0, 1.0]])
    assert first_above(grid, trend, 3.0) == pytest.approx([0.75, 0.0, np.inf])
    assert first_above(grid, trend, np.array([4.0, 6.5, 0.5])) == pytest.approx([1.0, 1.5, 0.5])


@given(st.data())
def test_many_heights_at_once_are_reached_when_each_alone_is(data):
    trend = data.draw(
        arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 9)), elements=st.integers(-5, 5))
    )
    rows = data.draw(arrays(np.intp, st.integers(1, 12), elements=st.integers(0, len(trend) - 1)))
    heights = data.draw(arrays(np.float64, (len(rows), 3), elements=st.integers(-6, 6)))
    grid = np.cumsum(np.arange(1.0, trend.shape[1] + 1.0))
    alone = [first_above(grid, trend[rows], heights[:, i]) for i in range(3)]
    assert first_above_each(grid, trend, rows, heights).tolist() == np.stack(alone, axis=1).tolist()


def test_futures_of_the_trend_alone_cross_when_those_with_records_do(metr):
    members = fit_mixture(metr, draws=200, seed=1).members
    both, alone = simulate(members, seed=1), simulate(members, seed=1, records=False)
    assert np.array_equal(both.trend, alone.trend)
    assert passage(alone, 10_020.0).line_ci80 == passage(both, 10_020.0).line_ci80
    assert (passage(alone, 10_020.0).record, alone.reason) == (None, "records were not asked for")


def test_the_grid_of_times_runs_through_the_points_to_the_horizon(metr):
    grid = time_grid(metr, 4.0)
    assert (np.diff(grid) > 0).all()
    assert set(metr.years) <= set(grid)
    assert (grid[0], grid[-1]) == (metr.years[0], 4.0)


def test_many_short_gaps_do_not_fill_the_memory():
    found = frontier(scattered(30, 0.1, 0.1, seed=1), gap_days=1)
    futures = simulate([fit_shape(found, "exponential", draws=50, seed=1)], seed=1)
    assert futures.released.shape == (50, MAX_RELEASES)


@pytest.mark.parametrize("threshold", [0.0, -1.0, np.nan, np.inf])
def test_a_threshold_must_be_a_positive_number(futures, threshold):
    with pytest.raises(UsageError, match="threshold"):
        passage(futures, threshold)


def test_simulations_need_a_shape_and_lags_that_make_sense(metr):
    fit = fit_shape(metr, "exponential", draws=10, seed=1)
    with pytest.raises(UsageError, match="no shape"):
        simulate([], seed=1)
    for lags in ([], [-1.0]):
        with pytest.raises(UsageError, match="lags"):
            simulate([fit], seed=1, lags_days=lags)
