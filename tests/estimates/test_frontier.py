"""A series on the scale its trend is modelled on, with each point's own error."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import logit

from tests.estimates.invented import frontier, point, points
from tests.estimates.published import epoch_points
from tracker.errors import UsageError
from tracker.estimates.frontier import frontier_of, horizon_scale, scale_for

MINUTES = scale_for("minutes")


@given(st.sampled_from(["minutes", "fraction", "percent", "ECI points"]), st.floats(0.01, 0.99))
def test_a_value_comes_back_from_its_height(unit, share):
    scale, value = scale_for(unit), 100.0 * share if unit == "percent" else share
    assert scale.value(scale.height(value)) == pytest.approx(value, rel=1e-9)


def test_a_share_becomes_the_log2_of_its_odds():
    assert scale_for("fraction").height(0.8) == pytest.approx(logit(0.8) / math.log(2))
    assert scale_for("percent").height(80.0) == pytest.approx(2.0)
    assert scale_for("fraction").height(1.0) == scale_for("fraction").height(0.9999)


def test_five_points_of_epochs_index_are_one_unit():
    assert scale_for("ECI points").height(150.0) - scale_for("ECI points").height(130.0) == pytest.approx(4.0)


def test_heights_no_float_can_hold_are_infinite():
    assert MINUTES.value(5000.0) == math.inf
    assert scale_for("fraction").value(-5000.0) == pytest.approx(0.0)


@pytest.mark.parametrize("step", [None, 0.0, -1.0, math.nan])
def test_an_unknown_unit_needs_a_positive_step(step):
    with pytest.raises(UsageError, match="give a positive step"):
        scale_for("chess rating", step)
    assert scale_for("chess rating", 100.0).height(250.0) == 2.5


def test_only_minutes_are_a_time_horizon():
    assert horizon_scale("minutes") == MINUTES
    with pytest.raises(UsageError, match="series is in percent"):
        horizon_scale("percent")


def test_years_count_back_from_the_last_point():
    found = frontier([1.0, 2.0, 3.0], gap_days=365)
    assert found.years == pytest.approx(np.array([-730, -365, 0]) / 365.25)
    assert found.heights == pytest.approx([1.0, 2.0, 3.0])
    assert found.year_of(found.dates[-1]) == pytest.approx(1 / 365.25)  # the end of that day


def test_a_lopsided_interval_gives_a_standard_deviation_per_side():
    one = point("a", date(2024, 1, 1), 16.0, lower=8.0, upper=128.0, ci_level=0.95)
    found = frontier_of([one, *points([5.0, 6.0], sd=0.5)], MINUTES)
    assert found.sd_low[found.keys.index("a")] == pytest.approx(1 / 1.95996, rel=1e-4)
    assert found.sd_high[found.keys.index("a")] == pytest.approx(3 / 1.95996, rel=1e-4)
    assert found.sd[found.keys.index("a")] == pytest.approx(math.sqrt(5.0) / 1.95996, rel=1e-4)


def test_intervals_of_other_levels_are_read_at_their_level():
    ninety = frontier_of(epoch_points("eci_2025_12"), scale_for("ECI points"))
    index = ninety.keys.index("o1")
    assert ninety.sd_high[index] == pytest.approx((143.922 - 142.281) / 5.0 / 1.6449, rel=1e-3)
    odd = [replace(p, ci_level=0.9545) for p in points([1.0, 2.0, 3.0], sd=1.0)]
    assert frontier_of(odd, MINUTES).sd == pytest.approx(np.full(3, 1.95996 / 2.0), rel=1e-3)


def test_a_missing_interval_takes_the_others_median_and_says_so():
    known = points([1.0, 2.0, 3.0], sd=0.4)
    found = frontier_of([*known[:2], replace(known[2], lower=0.0)], MINUTES)
    assert found.sd_low[2] == pytest.approx(0.4, rel=1e-4)
    assert "1 points without a full interval" in found.warnings[0]
    assert not frontier([1.0, 2.0, 3.0]).sd.any()


def test_points_above_the_ceiling_are_only_known_to_lie_there():
    found = frontier([8.0, 9.0, 11.0], ceiling=960.0)
    assert found.censored.tolist() == [False, False, True]
    assert found.heights[-1] == pytest.approx(math.log2(960.0))
    assert found.measured[-1] == pytest.approx(11.0)
    assert "above 960" in found.warnings[-1]
    assert not frontier([8.0, 9.0, 11.0]).censored.any()


def test_one_score_listed_under_several_settings_is_one_point():
    twice = [*points([1.0, 2.0, 3.0]), point("m02-high", points([1, 2, 3])[2].at, 8.0)]
    assert frontier_of(twice, MINUTES).n == 3


def test_the_first_points_alone_are_a_frontier_of_their_own():
    whole = frontier([1.0, 2.0, 3.0, 4.0], sd=0.5)
    part, direct = whole.before(3), frontier([1.0, 2.0, 3.0], sd=0.5)
    assert part.years == pytest.approx(direct.years)
    assert (part.keys, part.last_day) == (direct.keys, direct.last_day)


def test_too_few_points_are_refused():
    with pytest.raises(UsageError, match="three or more points"):
        frontier([1.0, 2.0])
