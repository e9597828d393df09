"""Past records forecast from what was known before them: the published references, and the shapes."""

from dataclasses import replace
from datetime import UTC, date, datetime, time

import numpy as np
import pytest
import scoringrules
from scipy import stats

from questions.records import SeriesVersion
from tests.estimates.invented import FIRST, frontier, points, scattered
from tests.estimates.published import epoch_points, leaderboard_points, metr_points
from tracker.errors import UsageError
from tracker.estimates.backtest import (
    LAST_PLUS_SLOPE,
    LEVELS,
    LINE,
    MIXTURE,
    backtest,
    crps,
    reference_samples,
)
from tracker.estimates.frontier import scale_for
from tracker.estimates.shapes import SHAPES
from tracker.estimates.trend import Selection, fit_line, select

SINCE_2023 = Selection(start=date(2023, 1, 1))
RECORDS = Selection(metric="score", sota="window")
MINUTES = scale_for("minutes")
VERSIONS = ("2026-01-30", "2026-02-06", "2026-02-22", "2026-03-03", "2026-05-08")


@pytest.fixture(scope="module")
def metr():
    return backtest(metr_points("2026-05-08"), SINCE_2023, MINUTES, ceiling=960.0, seed=0)


def epoch(series):
    found = epoch_points(series)
    return backtest(found, RECORDS, scale_for(found[0].unit), seed=0)


# METR: eleven records of 1.1 after its first four of 2023 on


def test_the_references_err_as_published(metr):
    """Trend notes, issue on trends: mean absolute error 0.77 doublings, all too low, and 0.38."""
    line, step = metr.summary(LINE), metr.summary(LAST_PLUS_SLOPE)
    assert line.n == 11
    assert line.mean_absolute_error == pytest.approx(0.77, abs=0.005)
    assert step.mean_absolute_error == pytest.approx(0.38, abs=0.005)
    assert all(f.error < 0 for f in metr.forecasts if f.forecaster == LINE)
    assert line.mean_error == pytest.approx(-line.mean_absolute_error)


def test_the_default_beats_both_references_on_metr(metr):
    default = metr.summary(MIXTURE)
    for reference in (LINE, LAST_PLUS_SLOPE):
        assert default.crps < 0.9 * metr.summary(reference).crps
    assert default.mean_absolute_error < metr.summary(LAST_PLUS_SLOPE).mean_absolute_error
    assert default.coverage[0.95] >= 10 / 11


def test_the_default_beats_both_references_on_epochs_index():
    found = epoch("eci_2025_12")
    default = found.summary(MIXTURE)
    assert default.n == 9
    for reference in (LINE, LAST_PLUS_SLOPE):
        assert default.crps < found.summary(reference).crps
        assert default.mean_absolute_error < found.summary(reference).mean_absolute_error


@pytest.mark.parametrize(("series", "records"), [("swe_bench_leaderboard", 26), ("mle_bench", 9)])
def test_the_default_beats_both_references_on_two_leaderboards(series, records):
    """SWE-bench Verified (submissions up to 2025-12) and MLE-bench (up to 2026-02): shares of tasks, on the odds
    scale, the settings those of every other series."""
    made = leaderboard_points(series)
    found = backtest(made, RECORDS, scale_for(made[0].unit), seed=0)
    default = found.summary(MIXTURE)
    assert default.n == records
    for reference in (LINE, LAST_PLUS_SLOPE):
        assert default.crps < 0.9 * found.summary(reference).crps
        assert default.mean_absolute_error < found.summary(reference).mean_absolute_error
    assert default.coverage[0.95] >= 0.85


def test_on_a_later_edition_of_the_index_its_median_is_no_better_than_the_last_step():
    """An honest miss: sharper and better by CRPS, but the mean absolute error is some 5% above."""
    found = epoch("eci_2026_04")
    default, step = found.summary(MIXTURE), found.summary(LAST_PLUS_SLOPE)
    assert default.crps < step.crps < found.summary(LINE).crps
    assert 1.0 < default.mean_absolute_error / step.mean_absolute_error < 1.15


def test_four_records_of_a_saturating_benchmark_defeat_it():
    """An honest miss: SWE-bench Verified slowed down just after the fourth record; all shapes were too high."""
    found = epoch("swe_bench_verified")
    default, step = found.summary(MIXTURE), found.summary(LAST_PLUS_SLOPE)
    assert default.n == 4
    assert default.mean_error == pytest.approx(default.mean_absolute_error)
    assert step.crps < default.crps < found.summary(LINE).crps


def test_weights_before_a_record_come_from_the_records_before_it(metr):
    keys = list(metr.weights)
    assert keys[0] == "o1_preview"
    assert metr.weights[keys[0]] == pytest.approx(dict.fromkeys(SHAPES, 0.2))
    assert metr.weights[keys[-1]] != metr.weights[keys[-2]]


def test_the_future_does_not_leak_into_a_forecast(metr):
    """Without the last three records the earlier forecasts are the same to the digit."""
    early = [p for p in metr_points("2026-05-08") if p.at < date(2025, 12, 1)]
    cut = backtest(early, SINCE_2023, MINUTES, ceiling=960.0, seed=0)
    assert cut.forecasts == metr.forecasts[: len(cut.forecasts)]
    assert len(cut.weights) == 8


def test_scores_do_not_hang_on_the_seed(metr):
    again = backtest(metr_points("2026-05-08"), SINCE_2023, MINUTES, ceiling=960.0, seed=5)
    assert again.summary(MIXTURE).crps == pytest.approx(metr.summary(MIXTURE).crps, rel=0.05)
    assert again.summary(LINE) == metr.summary(LINE)


# As known at the time


def version(day):
    seen = datetime.combine(date.fromisoformat(day), time(12), UTC)
    return SeriesVersion("metr_th11", day.replace("-", ""), seen, tuple(metr_points(day)))


def test_records_newer_than_a_version_are_forecast_from_that_version(metr):
    """Claude Opus 4.6 came out on 2026-02-05: METR's file of 2026-01-30 is what was known, and its value
    was first published as 870 minutes, not the 719 of the refit in March."""
    known = backtest(
        metr_points("2026-05-08"),
        SINCE_2023,
        MINUTES,
        ceiling=960.0,
        versions=[version(v) for v in VERSIONS],
        seed=0,
    )
    by_key = {f.key: f for f in known.forecasts if f.forecaster == LINE}
    opus, mythos = by_key["claude_opus_4_6_inspect"], by_key["claude_mythos_preview_early_inspect"]
    assert (opus.known_from, mythos.known_from) == (date(2026, 1, 30), date(2026, 3, 3))
    assert 2.0**opus.outcome == pytest.approx(870.03, abs=0.01)
    before = select(metr_points("2026-01-30"), SINCE_2023)
    fit = fit_line(before, SINCE_2023)
    ahead = (opus.released - date(1970, 1, 1)).days - fit.mean_day
    assert opus.median == pytest.approx(fit.level_log2 + fit.slope_per_day * ahead, abs=1e-3)
    old = {f.key: f for f in metr.forecasts if f.forecaster == LINE}["o1_preview"]
    assert by_key["o1_preview"] == old  # older than every version: today's values, cut at the release date
    assert old.known_from is None


def test_a_record_that_no_version_holds_is_refused():
    made = points(scattered(8, 0.6, 0.2, seed=1))
    seen = datetime.combine(made[6].at, time(12), UTC)
    only = SeriesVersion("s", "0" * 64, seen, tuple(made[:7]))
    with pytest.raises(UsageError, match="no version of the series holds m07"):
        backtest(made, Selection(), MINUTES, versions=[only], seed=0)


# Scores


def test_crps_is_that_of_scoringrules():
    random = np.random.default_rng(1)
    for outcome in (-1.0, 0.3, 4.0):
        sample = random.normal(0.5, 1.2, 400)
        assert crps(sample, outcome) == pytest.approx(scoringrules.crps_ensemble(outcome, sample), abs=1e-9)


def test_crps_of_a_point_is_its_absolute_error():
    assert crps(np.full(10, 2.0), 3.5) == pytest.approx(1.5)


def test_the_lines_forecast_is_the_textbook_prediction_for_a_new_point():
    made = points(scattered(10, 0.6, 0.4, seed=2))
    line, step = reference_samples(frontier(scattered(10, 0.6, 0.4, seed=2)), 0.4, 4_000)
    fit = fit_line(made, Selection())
    ahead = (made[-1].at - date(1970, 1, 1)).days + 0.4 * 365.25 - fit.mean_day
    centre = fit.level_log2 + fit.slope_per_day * ahead
    spread = fit.residual_sd_log2 * np.sqrt(1 + 1 / 10 + ahead**2 / fit.sxx)
    for p in (0.025, 0.5, 0.9):
        assert np.quantile(line, p) == pytest.approx(centre + spread * stats.t.ppf(p, 8), abs=0.01)
    assert np.median(step) == pytest.approx(
        np.log2(made[-1].value) + fit.slope_per_day * 0.4 * 365.25, abs=0.001
    )


def test_intervals_nest_and_coverage_counts_them(metr):
    for forecast in metr.forecasts:
        hits = [forecast.inside[level] for level in LEVELS]
        assert hits == sorted(hits)
        if min(abs(forecast.pit - edge) for edge in (0.025, 0.975)) > 1e-3:  # not between two draws
            assert forecast.inside[0.95] == (0.025 <= forecast.pit <= 0.975)
    mine = [f for f in metr.forecasts if f.forecaster == MIXTURE]
    assert metr.summary(MIXTURE).coverage[0.8] == pytest.approx(np.mean([f.inside[0.8] for f in mine]))
    with pytest.raises(KeyError):
        metr.summary("oracle")


def test_on_records_of_a_true_line_the_default_is_calibrated():
    """Simulation: lines with scatter of which only records count; 80% intervals hold about 80% of them."""
    random = np.random.default_rng(3)
    hits = []
    for run in range(8):
        heights = 0.5 * np.arange(12) + 0.4 * random.standard_normal(12)
        found = backtest(points(heights.tolist()), Selection(sota="window"), MINUTES, seed=run)
        hits += [f.inside[0.8] for f in found.forecasts if f.forecaster == MIXTURE]
    assert len(hits) > 30
    assert np.mean(hits) == pytest.approx(0.8, abs=0.2)


def test_a_series_without_a_later_record_has_nothing_to_forecast():
    with pytest.raises(UsageError, match="nothing to forecast"):
        backtest(points([1.0, 2.0, 3.0, 4.0, 3.0]), Selection(), MINUTES, seed=0)
    later = [replace(p, at=FIRST) for p in points([1.0, 2.0, 3.0, 4.0, 5.0])]
    with pytest.raises(UsageError):
        backtest(later, Selection(), MINUTES, seed=0)
