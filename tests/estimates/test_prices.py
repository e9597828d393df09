"""What a price can and cannot say: published cases, identities, and scipy as a reference."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from questions.model import Transform
from questions.records import Quantity
from tracker.errors import UsageError
from tracker.estimates.prices import carry_band, kind_of, monotone, pool_log_odds, read_price

chances = st.floats(0.01, 0.99)


# Carry


@pytest.mark.parametrize(("years", "price"), [(5, 0.178), (10, 0.324)])
def test_at_four_percent_these_prices_can_still_mean_never(years, price):
    assert carry_band(price, years)[0] == pytest.approx(0.0, abs=1e-3)
    assert carry_band(price + 0.01, years)[0] > 0


@settings(deadline=None)
@given(chances, st.floats(0, 20), st.floats(0, 0.2))
def test_the_band_holds_the_price_and_turns_with_it(price, years, rate):
    low, high = carry_band(price, years, rate)
    assert low <= price + 1e-12
    assert high >= price - 1e-12
    no_low, no_high = carry_band(1 - price, years, rate)
    assert (no_low, no_high) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_the_band_is_exactly_the_probabilities_for_which_nobody_trades():
    price, years, rate = 0.3, 4.0, 0.05
    v = (1 + rate) ** -years
    low, high = carry_band(price, years, rate)
    for p in np.linspace(0, 1, 1_001):
        stable = v * p <= price + 1e-12 and price <= 1 - v * (1 - p) + 1e-12
        assert stable == (low - 1e-9 <= p <= high + 1e-9)


def test_without_time_or_return_a_price_is_what_it_is():
    assert carry_band(0.3, 0.0) == pytest.approx((0.3, 0.3))
    assert carry_band(0.3, 9.0, 0.0) == pytest.approx((0.3, 0.3))
    with pytest.raises(UsageError):
        carry_band(0.3, 1.0, -0.1)


# Payouts


def test_a_half_payout_needs_to_know_neither():
    """0.515 with 80% neither: 11.5% yes, 8.5% the other side."""
    alone = read_price(0.515, Transform.HALF_IF_NEITHER)
    assert alone.value is None
    assert (alone.low, alone.high) == pytest.approx((0.03, 0.515))
    assert read_price(0.515, Transform.HALF_IF_NEITHER, neither=0.8).value == pytest.approx(0.115)


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_half_payout_gives_back_what_made_the_price(yes, other):
    total = max(1.0, yes + other)
    yes, other = yes / total, other / total
    neither = max(0.0, 1 - yes - other)
    price = yes + neither / 2
    assert read_price(price, Transform.HALF_IF_NEITHER, neither).value == pytest.approx(yes, abs=1e-9)
    alone = read_price(price, Transform.HALF_IF_NEITHER)
    assert alone.low - 1e-9 <= yes <= alone.high + 1e-9


def test_a_price_and_a_neither_that_cannot_both_be_are_refused():
    with pytest.raises(UsageError, match="go together"):
        read_price(0.1, Transform.HALF_IF_NEITHER, neither=0.9)


def test_shares_and_annulments_tell_no_probability():
    assert read_price(0.4, Transform.SHARE).value is None
    assert read_price(0.4, Transform.VOID).value is None
    assert read_price(0.4, Transform.IDENTITY).value == 0.4


# Pools


@settings(deadline=None)
@given(st.lists(st.tuples(chances, st.floats(0.1, 3)), min_size=1, max_size=6))
def test_a_pool_is_the_mean_of_log_odds_and_turns_with_the_question(values):
    ps, weights = zip(*values, strict=True)
    pooled = pool_log_odds(ps, weights)
    assert pooled == pytest.approx(expit(np.average(logit(ps), weights=weights)))
    assert pool_log_odds([1 - p for p in ps], weights) == pytest.approx(1 - pooled)
    assert pool_log_odds(ps, [7 * w for w in weights]) == pytest.approx(pooled)


def test_equal_inputs_pool_to_themselves_unless_extremized():
    assert pool_log_odds([0.7] * 4) == pytest.approx(0.7)
    assert pool_log_odds([0.7] * 4, extremize=2) == pytest.approx(expit(2 * logit(0.7)))
    assert 0 < pool_log_odds([0.0, 1.0, 1.0]) < 1


@pytest.mark.parametrize("weights", [[], [0, 0], [1], [1, -1]])
def test_a_pool_without_weight_is_refused(weights):
    with pytest.raises(UsageError):
        pool_log_odds([0.2, 0.3] if weights else [], weights)


# Ladders


def test_one_violator_is_averaged_with_its_neighbour():
    assert monotone([0.5, 0.6, 0.1], [1, 1, 1]) == pytest.approx([0.55, 0.55, 0.1])
    assert monotone([0.5, 0.6, 0.1], [3, 1, 1]) == pytest.approx([0.525, 0.525, 0.1])
    assert monotone([0.5], [1]) == [0.5]


@settings(deadline=None)
@given(st.lists(st.tuples(chances, st.floats(0, 2)), min_size=2, max_size=8))
def test_a_ladder_made_monotone_never_rises_and_stays_in_range(rungs):
    ps, weights = map(list, zip(*rungs, strict=True))
    fitted = monotone(ps, weights)
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(fitted))
    assert min(ps) - 1e-12 <= min(fitted)
    assert max(fitted) <= max(ps) + 1e-12
    assert monotone(sorted(ps, reverse=True), weights) == sorted(ps, reverse=True)
    reference = isotonic_regression(ps, weights=[w + 0.01 for w in weights], increasing=False).x
    assert monotone(ps, [w + 0.01 for w in weights]) == pytest.approx(list(reference), abs=1e-9)


# Kinds


def test_a_daily_value_is_what_its_platform_trades_in():
    assert kind_of(Quantity.CROWD_DAILY, "real") == "real_money"
    assert kind_of(Quantity.CROWD_DAILY, "play") == "play_money"
    assert kind_of(Quantity.CROWD_DAILY, "none") == kind_of(Quantity.CROWD_DAILY) == "forecasters"
    assert kind_of(Quantity.TEAM_MEAN, "real") == "panel"
    assert all(kind_of(quantity) for quantity in Quantity)
