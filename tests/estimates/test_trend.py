"""Trend fits against METR's published figures, scipy's regression, and simulations."""

import itertools
import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from questions.records import Measurement
from tests.estimates.published import metr_points
from tracker.errors import UsageError
from tracker.estimates.trend import (
    SLOPE_T_INTERVAL,
    TASK_BOOTSTRAP,
    Selection,
    bootstrap_ci,
    crossing,
    fit_line,
    select,
    with_bootstrap,
)

NEWEST = "2026-05-08"
EPOCH = date(1970, 1, 1)
SINCE_2023 = Selection(start=date(2023, 1, 1), max_minutes=960.0)
ALL_TIME = Selection(max_minutes=960.0)
PAPER_2024 = Selection(start=date(2024, 1, 1), end=date(2025, 2, 25), sota="window")


def doubling_days(version, selection):
    return fit_line(select(metr_points(version), selection), selection).doubling_time_days


def point(key, at, minutes, **more):
    record = {"series": "s", "metric": "p50", "unit": "minutes", "is_sota": True} | more
    return Measurement(key=key, at=at, value=minutes, **record)


def line_points(log2_minutes, first=date(2024, 1, 1), gap_days=50):
    days = [first + timedelta(days=gap_days * i) for i in range(len(log2_minutes))]
    return [
        point(f"m{i}", day, 2.0**height)
        for i, (day, height) in enumerate(zip(days, log2_minutes, strict=True))
    ]


# METR's published doubling times


@pytest.mark.parametrize(
    ("version", "published"),
    [
        ("2026-01-30", 130.801),
        ("2026-02-06", 128.120),
        ("2026-02-22", 122.611),
        ("2026-03-03", 128.744),
        (NEWEST, 128.744),
    ],
)
def test_from_2023_on_equals_metrs_published_days(version, published):
    """Each version's own ``doubling_time_in_days.from_2023_on.point_estimate`` (metr.org,
    benchmark_results_1_1.yaml, by the day first seen), to the third decimal."""
    cap = 960.0 if version == NEWEST else None  # METR leaves out points above 16 hours since then
    assert doubling_days(version, Selection(start=date(2023, 1, 1), max_minutes=cap)) == pytest.approx(
        published, abs=5e-4
    )


@pytest.mark.parametrize(
    ("version", "published"),
    [("2026-01-30", 196.475), ("2026-02-06", 188.657), ("2026-02-22", 182.725), (NEWEST, 187.778)],
)
def test_all_time_equals_metrs_published_days(version, published):
    """Each version's own ``doubling_time_in_days.all_time_stitched.point_estimate`` (same files). The first
    is the 196.5 days of METR's post on suite 1.1, 2026-01-29."""
    assert doubling_days(version, ALL_TIME) == pytest.approx(published, abs=5e-4)


def test_the_version_of_march_2026_publishes_an_all_time_figure_its_own_points_do_not_give():
    """METR refitted everything in March 2026 and published 187.778 days, but still shipped the three
    older models' values from before the refit; those were replaced in May. With May's values for the
    three, March's other points do give the published figure: aggregates and points were out of step."""
    march, may = metr_points("2026-03-03"), metr_points(NEWEST)
    old = date(2023, 1, 1)
    own = doubling_days("2026-03-03", ALL_TIME)
    assert own == pytest.approx(184.726, abs=5e-4)
    assert abs(own - 187.778) > 3.0
    mended = [p for p in march if p.at >= old] + [p for p in may if p.at < old]
    assert fit_line(select(mended, ALL_TIME), ALL_TIME).doubling_time_days == pytest.approx(187.778, abs=5e-4)


def test_the_quoted_2024_trend_is_the_window_that_ends_before_the_papers_last_model():
    """88.6 days, "2024 trend" of METR's post on suite 1.1 (2026-01-29): releases of 2024-01-01 to 2025-02-24,
    records taken inside that window. By the file's flags it would be 92.3."""
    assert doubling_days("2026-01-30", PAPER_2024) == pytest.approx(88.6, abs=0.05)
    by_flag = Selection(start=PAPER_2024.start, end=PAPER_2024.end, sota="file")
    assert doubling_days("2026-01-30", by_flag) == pytest.approx(92.3, abs=0.05)


def test_the_papers_212_days_are_the_records_of_suite_1_0_up_to_its_last_model():
    """Kwa et al., arXiv 2503.14499, abstract: doubling every 212 days (95% 171 to 249), 2019 to 2025. Flags and
    running maximum agree here."""
    for sota in ("file", "window"):
        selection = Selection(end=date(2025, 3, 1), sota=sota)
        assert doubling_days("1.0-2026-01", selection) == pytest.approx(212.0, abs=0.5)


def test_the_2024_trend_of_suite_1_0_is_109_days():
    """The same post, the old suite's figure for the same window: 109 days. The window's first model is a
    record inside it though not of all time: by the file's flags it would be 120."""
    assert doubling_days("1.0-2026-01", PAPER_2024) == pytest.approx(109.0, abs=0.5)
    by_flag = Selection(start=PAPER_2024.start, end=PAPER_2024.end, sota="file")
    assert doubling_days("1.0-2026-01", by_flag) == pytest.approx(119.9, abs=0.05)


def test_the_risk_reports_105_days_are_the_flagged_models_of_2024_on():
    """METR's Frontier Risk Report (2026-05-19): 105 days for public models from 2024-01-01 on."""
    since_2024 = Selection(start=date(2024, 1, 1), max_minutes=960.0)
    assert doubling_days(NEWEST, since_2024) == pytest.approx(105.0, abs=0.5)


def test_the_cap_decides_the_newest_figure():
    uncapped = Selection(start=date(2023, 1, 1))
    assert doubling_days(NEWEST, uncapped) == pytest.approx(124.766, abs=5e-4)


def test_the_fit_is_scipys_linear_regression():
    points = select(metr_points(NEWEST), SINCE_2023)
    fit = fit_line(points, SINCE_2023)
    days = [(p.at - EPOCH).days for p in points]
    logs = np.log2([p.value for p in points])
    reference = stats.linregress(days, logs)
    t = stats.t.ppf(0.975, len(points) - 2)
    assert (fit.n, len(fit.keys)) == (14, 14)
    assert fit.slope_per_day == pytest.approx(reference.slope)
    assert fit.level_log2 - fit.slope_per_day * fit.mean_day == pytest.approx(reference.intercept)
    assert fit.r_squared == pytest.approx(reference.rvalue**2)
    assert fit.residual_sd_log2 / math.sqrt(fit.sxx) == pytest.approx(reference.stderr)
    assert fit.doubling_ci95_days == pytest.approx(
        (1 / (reference.slope + t * reference.stderr), 1 / (reference.slope - t * reference.stderr))
    )
    assert (fit.ci_method, fit.warnings) == (SLOPE_T_INTERVAL, ())


def test_the_80_percent_horizon_is_a_series_of_its_own():
    newest = metr_points(NEWEST)
    selection = Selection(metric="p80", start=date(2023, 1, 1))
    points = select(newest, selection)
    p50 = {p.key: p.value for p in newest if p.metric == "p50"}
    ratios = [p.value / p50[p.key] for p in newest if p.metric == "p80"]
    assert (min(ratios), max(ratios)) == pytest.approx((0.097, 0.426), abs=0.001)  # so no fixed factor
    reference = stats.linregress([p.at.toordinal() for p in points], [math.log2(p.value) for p in points])
    assert {p.metric for p in points} == {"p80"}
    assert fit_line(points, selection).doubling_time_days == pytest.approx(1 / reference.slope)


# Selection


def test_the_window_includes_its_start_and_excludes_its_end():
    points = [point(k, date(2024, 1, d), float(d)) for k, d in (("a", 1), ("b", 2), ("c", 3))]
    inside = select(points, Selection(start=date(2024, 1, 1), end=date(2024, 1, 3)))
    assert [p.key for p in inside] == ["a", "b"]


def test_window_mode_restarts_the_record_inside_the_window():
    points = [
        point("old", date(2023, 1, 1), 50.0),
        point("first", date(2024, 1, 1), 10.0, is_sota=False),
        point("weaker", date(2024, 2, 1), 9.0, is_sota=False),
        point("equal", date(2024, 3, 1), 10.0, is_sota=False),
        point("record", date(2024, 4, 1), 60.0),
    ]
    window = Selection(start=date(2024, 1, 1), sota="window")
    assert [p.key for p in select(points, window)] == ["first", "equal", "record"]
    assert [p.key for p in select(points, Selection(start=date(2024, 1, 1), sota="file"))] == ["record"]
    assert len(select(points, Selection(sota="all"))) == 5


def test_of_one_day_only_the_best_is_a_record_and_equal_bests_are_two():
    day = date(2024, 1, 1)
    points = [point("a", day, 5.0), point("b", day, 7.0), point("c", day, 7.0)]
    assert [p.key for p in select(points, Selection(sota="window"))] == ["b", "c"]


def test_a_model_above_the_cap_is_not_fitted_but_still_stands_above_later_ones():
    points = [point("huge", date(2024, 1, 1), 1000.0), point("later", date(2024, 2, 1), 900.0)]
    assert select(points, Selection(sota="window", max_minutes=960.0)) == []
    assert [p.key for p in select(points, Selection(sota="all", max_minutes=960.0))] == ["later"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)), max_size=8), st.randoms())
def test_window_records_do_not_depend_on_the_order_of_the_file(pairs, random):
    points = [point(f"k{i}", EPOCH + timedelta(days=d), float(v)) for i, (d, v) in enumerate(pairs)]
    shuffled = random.sample(points, len(points))
    chosen = select(shuffled, Selection(sota="window"))
    assert chosen == select(points, Selection(sota="window"))
    assert {p.key for p in chosen} == {
        p.key for p in points if all(q.value <= p.value for q in points if q.at <= p.at)
    }


def test_a_series_without_flags_cannot_be_selected_by_flag():
    unflagged = [point("a", date(2024, 1, 1), 1.0, is_sota=None)]
    with pytest.raises(UsageError, match="use window or all"):
        select(unflagged, Selection(sota="file"))
    assert select([], Selection(sota="file")) == []


# The line at its limits


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (line_points([1, 2]), "three or more points, the selection leaves 2"),
        (line_points([1, 2, 3], gap_days=0), "two or more release dates"),
        ([*line_points([1, 2, 3]), point("x", date(2025, 1, 1), 1.0, unit="percent")], "minutes, percent"),
    ],
)
def test_what_is_no_trend_is_refused(points, words):
    with pytest.raises(UsageError, match=words):
        fit_line(points, Selection())


def test_a_perfect_line_has_no_spread():
    fit = fit_line(line_points([0, 1, 2, 3]), Selection())
    assert fit.doubling_time_days == pytest.approx(50.0)
    assert fit.doubling_ci95_days == pytest.approx((50.0, 50.0))
    assert fit.r_squared == pytest.approx(1.0)
    result = crossing(fit, 2.0**10, [date(2025, 5, 14), date(2025, 5, 16)])
    assert abs(result.line - date(2025, 5, 15)) <= timedelta(days=1)  # rounding in log2 may cost a day
    for end in (*result.line_ci80, *result.line_ci95):
        assert abs(end - result.line) <= timedelta(days=1)


def test_a_flat_line_never_doubles_and_never_crosses():
    fit = fit_line(line_points([3, 3, 3]), Selection())
    assert (fit.doubling_time_days, fit.doubling_ci95_days) == (math.inf, (None, None))
    assert fit.r_squared == 0.0
    assert "does not rise" in fit.warnings[0]
    result = crossing(fit, 16.0, [date(2030, 1, 1)])
    assert (result.line, result.line_ci80, result.line_ci95) == (None, (None, None), (None, None))
    assert result.p_by == {date(2030, 1, 1): 0.0}


def test_a_falling_line_may_still_rise_within_its_doubt():
    fit = fit_line(line_points([3.0, 3.6, 2.5, 3.1, 2.7]), Selection())
    low, high = fit.doubling_ci95_days
    assert fit.slope_per_day < 0
    assert fit.doubling_time_days == math.inf
    assert low > 0
    assert high is None
    assert 0.0 < crossing(fit, 64.0, [date(2040, 1, 1)]).p_by[date(2040, 1, 1)] < 0.5


def test_an_unsure_slope_leaves_the_doubling_time_unbounded_and_says_so():
    fit = fit_line(line_points([1.0, 3.0, 1.5, 3.5]), Selection())
    assert fit.doubling_ci95_days[0] > 0
    assert fit.doubling_ci95_days[1] is None
    assert "no upper bound" in fit.warnings[0]


def test_tiny_values_count_as_the_floor_and_ceiling_values_are_announced():
    points = [*line_points([1, 2, 4]), point("dust", date(2023, 1, 1), 1e-9)]
    floored = [*line_points([1, 2, 4]), point("dust", date(2023, 1, 1), 1e-3)]
    fit = fit_line(points, Selection())
    assert fit.slope_per_day == fit_line(floored, Selection()).slope_per_day
    assert "1 points below" in fit.warnings[0]
    high = [*line_points([1, 2, 4]), point("top", date(2024, 9, 1), 2000.0, beyond_ceiling=True)]
    assert "1 of 4 points" in fit_line(high, Selection()).warnings[0]


# Crossings


def fieller_reference(x, y, height, level):
    """Days whose line value is not significantly different from the height, found on a fine grid."""
    n, mean = len(x), np.mean(x)
    r = stats.linregress(x, y)
    sxx = ((x - mean) ** 2).sum()
    s = np.sqrt(((y - r.intercept - r.slope * x) ** 2).sum() / (n - 2))
    grid = np.arange(mean - 20_000, mean + 20_000, 0.25)
    gap = np.abs(r.intercept + r.slope * grid - height) / (s * np.sqrt(1 / n + (grid - mean) ** 2 / sxx))
    inside = grid[gap <= stats.t.ppf(0.5 + level / 2, n - 2)]
    return inside.min(), inside.max()


def test_intervals_are_the_days_the_line_cannot_exclude():
    points = select(metr_points(NEWEST), SINCE_2023)
    fit = fit_line(points, SINCE_2023)
    x = np.array([(p.at - EPOCH).days for p in points], dtype=float)
    y = np.log2([p.value for p in points])
    result = crossing(fit, 10_020.0)
    for ends, level in ((result.line_ci80, 0.80), (result.line_ci95, 0.95)):
        expected = fieller_reference(x, y, math.log2(10_020.0), level)
        assert [(end - EPOCH).days for end in ends] == pytest.approx(expected, abs=1.5)


def test_the_line_reaches_a_work_month_where_its_equation_says():
    fit = fit_line(select(metr_points(NEWEST), SINCE_2023), SINCE_2023)
    result = crossing(fit, 10_020.0)
    height = fit.level_log2 + fit.slope_per_day * ((result.line - EPOCH).days - fit.mean_day)
    assert 2.0**height <= 10_020.0 < 2.0 ** (height + fit.slope_per_day)
    assert result.line_ci95[0] < result.line_ci80[0] < result.line < result.line_ci80[1] < result.line_ci95[1]


def test_one_new_model_is_less_sure_than_the_line():
    fit = fit_line(select(metr_points(NEWEST), SINCE_2023), SINCE_2023)
    line, model = crossing(fit, 10_020.0), crossing(fit, 10_020.0, kind="new_model")
    assert line.line == model.line
    assert model.line_ci80[0] < line.line_ci80[0] < line.line_ci80[1] < model.line_ci80[1]


def test_a_threshold_the_trend_has_passed_lies_in_the_past():
    fit = fit_line(select(metr_points(NEWEST), SINCE_2023), SINCE_2023)
    assert crossing(fit, 60.0).line < date(2026, 1, 1)


def test_a_barely_rising_line_has_a_lower_but_no_upper_end():
    fit = fit_line(line_points([1.0, 2.2, 1.4, 2.6, 1.9, 3.1]), Selection())
    result = crossing(fit, 2.0**20)
    assert fit.doubling_ci95_days[1] is None
    assert result.line is not None
    assert result.line_ci95[1] is None
    assert result.line_ci95[0] < result.line


def test_a_line_that_could_go_anywhere_excludes_no_day():
    fit = fit_line(line_points([1.0, 3.0, 0.5, 3.1, 1.0]), Selection())
    assert crossing(fit, 4.0).line_ci95 == (None, None)


def test_a_crossing_beyond_the_calendar_is_no_date():
    fit = fit_line(line_points([1.0, 1.001, 1.002], gap_days=300), Selection())
    assert crossing(fit, 2.0**40).line is None


@pytest.mark.parametrize("minutes", [0.0, -1.0, math.inf, math.nan])
def test_a_threshold_must_be_a_positive_number(minutes):
    with pytest.raises(UsageError, match="threshold"):
        crossing(fit_line(line_points([1, 2, 4]), Selection()), minutes)


def test_intervals_cover_the_truth_as_often_as_they_say():
    """Simulation: a true line, nine models scattered about it, a threshold three doublings ahead."""
    random = np.random.default_rng(20261120)
    days = np.sort(random.integers(0, 900, 9))
    slope, scatter, runs = 1 / 120, 1.5, 800
    true_day = 900 + 3 / slope
    threshold = 2.0 ** (slope * true_day)
    hits = {"line_ci80": 0, "line_ci95": 0}
    for _ in range(runs):
        heights = slope * days + scatter * random.standard_normal(len(days))
        simulated = [
            point(f"m{i}", EPOCH + timedelta(days=int(day)), 2.0**height)
            for i, (day, height) in enumerate(zip(days, heights, strict=True))
        ]
        result = crossing(fit_line(simulated, Selection()), threshold)
        for name in hits:
            low, high = getattr(result, name)
            after = low is None or (low - EPOCH).days <= true_day
            before = high is None or (high - EPOCH).days + 1 >= true_day
            hits[name] += after and before
    assert hits["line_ci80"] / runs == pytest.approx(0.80, abs=0.04)
    assert hits["line_ci95"] / runs == pytest.approx(0.95, abs=0.025)


def test_probabilities_by_a_day_are_the_shares_of_possible_lines():
    """Against lines drawn from the flat-prior posterior (Gelman et al., Bayesian Data Analysis, 14.2)."""
    fit = fit_line(select(metr_points(NEWEST), SINCE_2023), SINCE_2023)
    random, df, size = np.random.default_rng(4), fit.n - 2, 50_000
    sigma = fit.residual_sd_log2 * np.sqrt(df / random.chisquare(df, size))
    levels = fit.level_log2 + sigma * random.standard_normal(size) / math.sqrt(fit.n)
    slopes = fit.slope_per_day + sigma * random.standard_normal(size) / math.sqrt(fit.sxx)
    days = [date(2027, 12, 31), date(2028, 6, 30), date(2029, 6, 30)]
    for day, p in crossing(fit, 10_020.0, days).p_by.items():
        height = levels + slopes * ((day - EPOCH).days + 1 - fit.mean_day)
        assert p == pytest.approx(np.mean(height >= math.log2(10_020.0)), abs=0.01)


# The publisher's bootstrap


def plain_bootstrap(draws, dates):
    """METR's rule, one draw at a time, with scipy's regression."""
    doublings = []
    for row in draws:
        kept = [(d.toordinal(), v) for d, v in zip(dates, row, strict=True) if math.isfinite(v) and v >= 1e-3]
        if len(kept) < 2 or len({d for d, _ in kept}) < 2:
            continue
        slope = stats.linregress([d for d, _ in kept], np.log2([v for _, v in kept])).slope
        if slope > 0:
            doublings.append(1 / slope)
    return np.percentile(doublings, [2.5, 50, 97.5]), len(doublings)


def test_bootstrap_equals_metrs_rule_done_one_draw_at_a_time():
    random = np.random.default_rng(5)
    points = line_points([0.0, 1.2, 1.9, 3.3, 4.1, 4.8])
    dates = [p.at for p in points]
    draws = 2.0 ** (np.log2([p.value for p in points]) + random.normal(0, 1.5, (150, 6)))
    draws[::7, 0], draws[::5, 2], draws[::11, 4] = np.nan, 1e-20, np.inf
    draws[3, 1:], draws[4, :] = np.nan, np.nan
    draws[5] = [32, 16, 8, 4, 2, 1]
    fit = fit_line(points, Selection())
    interval = bootstrap_ci(fit, draws, dates)
    expected, used = plain_bootstrap(draws, dates)
    assert (interval.low_days, interval.median_days, interval.high_days) == pytest.approx(tuple(expected))
    assert (interval.used, interval.dropped) == (used, len(draws) - used)
    assert interval.dropped >= 3


def test_a_fit_can_carry_the_bootstrap_interval_and_names_it():
    points = line_points([0.0, 1.2, 1.9])
    fit = fit_line(points, Selection())
    draws = [[1, 2, 4], [1, 2, 5], [4, 2, 1]]
    carried = with_bootstrap(fit, bootstrap_ci(fit, draws, [p.at for p in points]))
    assert carried.doubling_time_days == fit.doubling_time_days
    assert carried.ci_method == TASK_BOOTSTRAP
    assert carried.doubling_ci95_days[0] < carried.doubling_ci95_days[1] == pytest.approx(50.0, abs=0.5)
    assert "1 bootstrap draws" in carried.warnings[-1]


def test_bootstrap_columns_outside_the_window_are_left_out():
    points = line_points([0.0, 1.2, 1.9, 3.3])
    dates = [p.at for p in points]
    selection = Selection(start=dates[1])
    draws = [[500.0, 2.0, 4.0, 9.0]] * 2
    windowed = bootstrap_ci(fit_line(points[1:], selection), draws, dates)
    alone = bootstrap_ci(fit_line(points[1:], Selection()), [row[1:] for row in draws], dates[1:])
    assert windowed == alone


def test_bootstrap_refuses_what_does_not_fit_or_gives_nothing():
    points = line_points([0.0, 1.2, 1.9])
    fit, dates = fit_line(points, Selection()), [p.at for p in points]
    with pytest.raises(UsageError, match="do not fit 3 release dates"):
        bootstrap_ci(fit, [[1.0, 2.0]], dates)
    with pytest.raises(UsageError, match="no bootstrap draw"):
        bootstrap_ci(fit, [[4.0, 2.0, 1.0], [np.nan, np.nan, 1.0]], dates)


def test_every_version_is_told_apart_in_the_facts():
    versions = ["2026-01-30", "2026-02-06", "2026-02-22", "2026-03-03", NEWEST]
    counts = [len({p.key for p in metr_points(version)}) for version in versions]
    assert counts == [17, 20, 23, 23, 26]
    for a, b in itertools.pairwise(versions):
        assert metr_points(a) != metr_points(b)
