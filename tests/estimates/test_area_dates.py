"""When the trend reaches what areas need: one future for all of them, needs of their own."""

from datetime import date, timedelta

import numpy as np
import pytest
from scipy.stats import norm

from tests.estimates.invented import frontier
from tests.estimates.published import epoch_points, metr_points
from tracker.errors import UsageError
from tracker.estimates.area_dates import area_dates, dates_voice
from tracker.estimates.frontier import frontier_of, scale_for
from tracker.estimates.mixture import fit_mixture
from tracker.estimates.releases import passage, simulate
from tracker.estimates.trend import Selection, crossing, fit_line, select

SINCE_2023 = Selection(start=date(2023, 1, 1))
NEEDS = {"a": 2_400.0, "b": 6_000.0, "c": 10_020.0, "d": 120_000.0}
GROUPS = {"a": "capabilities", "b": "safety", "c": "capabilities", "d": "safety"}
TODAY = date(2026, 11, 20)
DAYS = [date(2027, 6, 30), date(2028, 12, 31)]


@pytest.fixture(scope="module")
def mixture():
    found = frontier_of(select(metr_points("2026-05-08"), SINCE_2023), scale_for("minutes"), 960.0)
    return fit_mixture(found, draws=4_000, seed=1)


def voice_of(mixture, needs=NEEDS, sd=1.5, *, draws=4_000):
    return dates_voice(area_dates(mixture, needs, sd, draws=draws, seed=1), today=TODAY, groups=GROUPS)


def test_with_known_needs_an_areas_date_is_when_the_trend_passes_it(mixture):
    dates = area_dates(mixture, NEEDS, 0.0, draws=4_000, seed=1)
    futures = simulate(mixture.members, seed=1)
    for area, minutes in NEEDS.items():
        trend = passage(futures, minutes, DAYS)
        assert dates.dates(area).quantile(0.5) == trend.line
        assert dates.dates(area, DAYS).p_by == trend.line_p_by
    assert dates.p_by(DAYS[0])["b"] == pytest.approx(passage(futures, 6_000.0, DAYS).line_p_by[DAYS[0]])


def test_areas_with_the_same_need_are_level_whatever_the_draws(mixture):
    voice = voice_of(mixture, NEEDS | {"b": NEEDS["a"]})
    assert voice.scores["a"] == voice.scores["b"] > voice.scores["c"] > voice.scores["d"]
    dates = area_dates(mixture, NEEDS | {"b": NEEDS["a"]}, 1.5, draws=4_000, seed=1)
    assert dates.dates("a", DAYS).p_by == dates.dates("b", DAYS).p_by
    assert dates.p_by(DAYS[0])["a"] == dates.p_by(DAYS[0])["b"] == dates.dates("a", DAYS).p_by[DAYS[0]]
    assert voice.p_before["a"]["b"] == pytest.approx(0.5, abs=0.03)


def test_one_future_moves_all_areas_together(mixture):
    dates = area_dates(mixture, NEEDS, 0.0, draws=4_000, seed=1)
    reached = np.isfinite(dates.years).all(axis=1)
    assert np.corrcoef(dates.years[reached, 1], dates.years[reached, 2])[0, 1] > 0.9
    assert dates.p_before("a", "d") > 0.98
    assert dates.p_before("d", "a") == 0.0
    spread = dates.dates("d").interval(0.8)
    assert spread[1] - spread[0] > timedelta(days=365)  # unsure when, sure in which order


def test_unsure_needs_make_the_order_unsure_as_the_closed_form_says(mixture):
    """P(a before b) = Phi(log2(need_b / need_a) / (sd sqrt 2)), less where neither is ever reached."""
    dates = area_dates(mixture, NEEDS, 2.0, draws=40_000, seed=1)
    for one, two in (("a", "b"), ("b", "c"), ("c", "d")):
        expected = norm.cdf(np.log2(NEEDS[two] / NEEDS[one]) / (2.0 * np.sqrt(2)))
        assert dates.p_before(one, two) == pytest.approx(expected, abs=0.03)


def test_more_or_fewer_draws_keep_every_shapes_weight(mixture):
    few, many = (area_dates(mixture, NEEDS, 1.0, draws=n, seed=1) for n in (1_000, 16_000))
    for area, chance in many.p_by(DAYS[0]).items():
        assert few.p_by(DAYS[0])[area] == pytest.approx(chance, abs=0.05)
    assert (few.years.shape, many.years.shape) == ((1_000, 4), (16_000, 4))


def test_what_was_passed_long_ago_is_taken_to_be_passed_at_the_first_point(mixture):
    dates = area_dates(mixture, {"tiny": 0.001}, 0.0, draws=500, seed=1)
    assert dates.dates("tiny").quantile(0.5) == mixture.frontier.dates[0]


def test_the_voice_orders_areas_by_need_and_says_its_weights(mixture):
    voice = voice_of(mixture)
    assert voice.ranking == ("a", "b", "c", "d")
    assert voice.coverage == tuple(NEEDS)
    assert "exponential 2" in voice.model
    assert [(e.area, e.source) for e in voice.evidence] == [(area, "assumption") for area in NEEDS]
    assert voice.evidence[0].label == "tasks of 40 hours assumed to be needed"
    assert "no independent support" in voice.note


def test_the_mixture_is_sooner_than_the_plain_line_as_growth_has_sped_up(mixture):
    capped = Selection(start=SINCE_2023.start, max_minutes=960.0)
    line = fit_line(select(metr_points("2026-05-08"), capped), capped)
    voice = voice_of(mixture)
    for area, minutes in NEEDS.items():
        years = (crossing(line, minutes).line - TODAY).days / 365.25
        assert voice.scores[area] > -years


def test_any_part_of_the_draws_is_a_fair_sample_of_all(mixture):
    """Rows are not in the order of shapes: the first and the last quarter agree."""
    dates = area_dates(mixture, NEEDS, 0.0, draws=8_000, seed=1)
    first, last = dates.years[:2_000, 3], dates.years[-2_000:, 3]
    assert np.median(first) == pytest.approx(np.median(last), rel=0.05)
    assert np.mean(np.isinf(first)) == pytest.approx(np.mean(np.isinf(last)), abs=0.02)


def test_more_draws_than_are_computed_at_once_are_all_there(mixture):
    dates = area_dates(mixture, {"a": 2_400.0}, 0.0, draws=45_000, seed=1)
    assert dates.years.shape == (45_000, 1)
    assert dates.dates("a").quantile(0.5) == area_dates(
        mixture, {"a": 2_400.0}, 0.0, draws=4_000, seed=1
    ).dates("a").quantile(0.5)


def test_scores_are_years_until_the_median_date(mixture):
    voice = voice_of(mixture, sd=0.0)
    dates = area_dates(mixture, NEEDS, 0.0, draws=4_000, seed=1)
    for area in NEEDS:
        days = (dates.dates(area).quantile(0.5) - TODAY).days
        assert voice.scores[area] == pytest.approx(-days / 365.25, abs=0.02)


def test_the_same_seed_gives_the_same_voice(mixture):
    assert voice_of(mixture, draws=300) == voice_of(mixture, draws=300)


def test_where_the_trend_may_never_get_there_neither_area_comes_first(mixture):
    """A trend that may stop: the chances of either order leave out the futures that reach neither."""
    far = voice_of(mixture, needs={"a": 1e7, "d": 1e8}, sd=0.0)
    neither = 1.0 - far.p_before["a"]["d"] - far.p_before["d"]["a"]
    never = area_dates(mixture, {"a": 1e7}, 0.0, draws=4_000, seed=1).dates("a").never
    assert 0.0 < never == pytest.approx(neither, abs=0.01)


def test_without_needs_or_a_rising_trend_the_voice_says_why(mixture):
    assert voice_of(mixture, needs={}).reason == "no area has a needed horizon"
    falling = fit_mixture(frontier([9.0 - i for i in range(8)]), draws=500, seed=1)
    voice = voice_of(falling)
    assert voice.ranking == ()
    assert "do not reach the need of a, b, c, d" in voice.reason


def test_only_time_horizons_can_reach_a_need_in_minutes():
    found = frontier_of(epoch_points("eci_2025_12"), scale_for("ECI points"))
    with pytest.raises(UsageError, match="in minutes"):
        area_dates(fit_mixture(found, draws=50, seed=1), NEEDS, 1.0, draws=50, seed=1)


def test_an_area_without_a_need_is_named(mixture):
    dates = area_dates(mixture, NEEDS, 1.0, draws=50, seed=1)
    with pytest.raises(UsageError, match="'z'; there are: a, b, c, d"):
        dates.dates("z")
    with pytest.raises(UsageError, match="'z'"):
        dates.p_before("a", "z")


@pytest.mark.parametrize(("needs", "sd"), [({"a": 0.0}, 1.0), ({"a": np.nan}, 1.0), ({"a": 1.0}, -1.0)])
def test_needs_that_make_no_sense_are_refused(mixture, needs, sd):
    with pytest.raises(UsageError):
        voice_of(mixture, needs=needs, sd=sd)
