"""Community forecasts become hazards, hazards become an order; what cannot be used is named."""

import itertools
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import integrate, stats

from questions.model import Link, Platform
from questions.records import Distribution, Quantity, Snapshot, StreamKey, ValueState
from storage.records import Observation
from tests.estimates.published import GROUPS
from tracker.errors import UsageError
from tracker.estimates.curves import GRID, Curve
from tracker.estimates.market import (
    Rules,
    market_voice,
    pooled_by_kind,
    pooled_hazards,
    read_links,
    settings_matter,
)
from tracker.estimates.prices import Quality
from tracker.estimates.races import Field

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
YEAR = timedelta(days=365.25)
THEORY, CONTROL, SCAFFOLDING = "alignment_theory", "ai_control", "agent_scaffolding"


def link(external_id="q1", areas=(THEORY,), by=NOW + YEAR, **more):
    record = {
        "platform": "metaculus",
        "url": "https://example.org/q",
        "label": "our own words",
        "relation": "proxy",
        "view": "model",
        "weight": 0.5,
    }
    return Link(external_id=external_id, areas=areas, by=by, **(record | more))


def seen(
    probability,
    external_id="q1",
    *,
    age_days=0.0,
    timed=True,
    source="metaculus",
    platform="metaculus",
    outcome="yes",
    quantity=Quantity.FORECASTER_MEDIAN,
    seen_last=NOW,
    **more,
):
    at = NOW - timedelta(days=age_days)
    snapshot = Snapshot(
        key=StreamKey(source, platform, external_id, outcome, quantity),
        as_of=at,
        fetched_at=NOW if timed else at,
        probability=probability,
        timed_by_source=timed,
        **more,
    )
    return Observation(snapshot, seen_first=snapshot.fetched_at, seen_last=seen_last, times_seen=1)


def read(links, observations, **more):
    return read_links(links, observations, now=NOW, **more)


def voice_of(links, observations, **more):
    return market_voice(links, observations, **({"now": NOW, "seed": 1, "groups": GROUPS} | more))


def skip_reason(links, observations, **more):
    readings, skipped = read(links, observations, **more)
    assert readings == []
    (only,) = skipped
    return only.reason


# From a probability to a hazard


def test_an_even_chance_within_a_year_is_a_hazard_of_ln_2():
    (reading,), _ = read([link()], [seen(0.5)])
    assert math.exp(reading.log_hazard) == pytest.approx(math.log(2))


@settings(deadline=None)
@given(st.floats(0.05, 2.0), st.floats(0.2, 2.0))
def test_questions_about_one_constant_hazard_agree_whatever_their_deadline(hazard, years):
    (reading,), _ = read([link(by=NOW + years * YEAR)], [seen(-math.expm1(-hazard * years))])
    if not reading.clipped:
        assert math.exp(reading.log_hazard) == pytest.approx(hazard, rel=1e-6)


@settings(deadline=None)
@given(st.floats(0.01, 0.99))
def test_a_reversed_question_says_the_same_with_the_other_probability(p):
    (there,), _ = read([link()], [seen(p)])
    (back,), _ = read([link(polarity=-1)], [seen(1.0 - p)])
    assert there.log_hazard == pytest.approx(back.log_hazard)


@pytest.mark.parametrize(("p", "used"), [(0.0, 0.005), (0.002, 0.005), (1.0, 0.995)])
def test_certainty_is_clipped_and_recorded(p, used):
    (reading,), _ = read([link()], [seen(p)])
    assert (reading.p_faster, reading.clipped, reading.probability) == (used, True, p)
    assert "1 probabilities clipped" in voice_of([link()], [seen(p)]).note


def test_the_horizon_runs_from_when_the_value_stood():
    (old,), _ = read([link()], [seen(0.5, age_days=36.525)])
    assert old.horizon_years == pytest.approx(1.1)
    (kept,), _ = read([link()], [seen(0.5, age_days=36.525, timed=False)])
    assert kept.horizon_years == pytest.approx(1.0)


# What is used and what is not


@pytest.mark.parametrize(
    ("a_link", "observation", "reason"),
    [
        (link(areas=()), seen(0.5), "no area"),
        (link(by=None), seen(0.5), "no deadline"),
        (link(by=NOW - timedelta(days=3)), seen(0.5), "deadline passed"),
        (link(external_id="other"), seen(0.5), "never seen"),
        (link(outcome="no"), seen(0.5), "never seen"),
        (link(), seen(None, state=ValueState.HIDDEN), "no value (hidden)"),
        (link(), seen(None, state=ValueState.GONE), "no value (gone)"),
        (link(), seen(None, value=7.0), "no probability"),
        (link(), seen(0.5, age_days=46), "too old"),
        (link(), seen(0.5, spread=0.11), "spread too wide"),
    ],
)
def test_a_link_without_a_usable_value_is_skipped_for_a_stated_reason(a_link, observation, reason):
    assert skip_reason([a_link], [observation]) == reason


def test_a_settled_question_is_no_forecast():
    assert skip_reason([link()], [seen(0.99)], resolved={("metaculus", "q1", "yes")}) == "already resolved"


def test_a_quantity_may_count_less_or_not_at_all():
    mana = seen(0.5, quantity=Quantity.PLAY_MONEY_PRICE)
    (reading,), _ = read([link()], [mana], rules=Rules(quantity_weights={Quantity.PLAY_MONEY_PRICE: 0.5}))
    assert reading.weight == 0.25
    weights = {Quantity.PLAY_MONEY_PRICE: 0.0}
    assert skip_reason([link()], [mana], rules=Rules(quantity_weights=weights)) == "quantity not used"


def test_a_context_link_is_no_evidence_and_not_missed():
    assert read([link(relation="context")], [seen(0.5)]) == ([], [])


def test_an_unchanged_value_we_still_see_is_not_old():
    (reading,), _ = read([link()], [seen(0.5, age_days=200, timed=False)])
    assert reading.as_of == NOW
    gone_dark = seen(0.5, age_days=200, timed=False, seen_last=NOW - timedelta(days=60))
    assert skip_reason([link()], [gone_dark]) == "too old"


def test_a_value_from_the_future_counts_as_of_now():
    (reading,), _ = read([link()], [seen(0.5, age_days=-3)])
    assert reading.as_of == NOW


def test_one_question_from_two_sources_is_taken_once_the_fresher():
    own = seen(0.3, age_days=1)
    feed = seen(0.6, age_days=9, source="forecastbench", quantity=Quantity.CROWD_DAILY)
    for order in ([own, feed], [feed, own]):
        voice = voice_of([link()], order)
        assert [(item.source, item.probability) for item in voice.evidence] == [("metaculus", 0.3)]


def test_when_the_fresher_value_cannot_be_used_the_other_is():
    hidden = seen(None, state=ValueState.HIDDEN)
    feed = seen(0.6, age_days=9, source="forecastbench", quantity=Quantity.CROWD_DAILY)
    (reading,), skipped = read([link()], [hidden, feed])
    assert reading.snapshot.key.source == "forecastbench"
    assert skipped == []


@pytest.mark.parametrize("first", [True, False])
def test_a_quote_goes_before_a_fresher_last_trade(first):
    poly = {"source": "polymarket", "platform": "polymarket"}
    quote = seen(0.3, age_days=5, quantity=Quantity.REAL_MONEY_MID, spread=0.02, **poly)
    trade = seen(0.6, age_days=0, quantity=Quantity.REAL_MONEY_LAST, **poly)
    (reading,), _ = read([link(platform="polymarket")], [quote, trade] if first else [trade, quote])
    assert reading.probability == 0.3


def test_a_last_trade_without_a_quote_is_kept_flagged_and_counts_for_nothing():
    trade = seen(0.6, quantity=Quantity.REAL_MONEY_LAST, source="kalshi", platform="kalshi")
    wide = seen(0.6, "q2", spread=0.3, quantity=Quantity.PLAY_MONEY_PRICE)
    voice = voice_of([link(platform="kalshi"), link("q2"), link("q3")], [trade, wide, seen(0.2, "q3")])
    assert [(e.question, e.probability, e.weight, e.flag, e.kind) for e in voice.unused] == [
        ("kalshi:q1", 0.6, 0.0, "last trade without a quote", "real_money"),
        ("metaculus:q2", 0.6, 0.0, "spread too wide", "play_money"),
    ]
    assert [e.question for e in voice.evidence] == ["metaculus:q3"]


def test_a_price_that_pays_half_if_neither_is_no_probability():
    reason = skip_reason([link(transform="half_if_neither")], [seen(0.515)])
    assert reason == "pays half if neither"
    platforms = {"metaculus": Platform(key="metaculus", money="none", transform="share")}
    assert "share" in skip_reason([link()], [seen(0.5)], rules=Rules(platforms=platforms))
    (reading,), _ = read([link(transform="identity")], [seen(0.5)], rules=Rules(platforms=platforms))
    assert reading.p_faster == 0.5


def test_a_date_distribution_answers_by_the_deadline():
    now = NOW.timestamp()
    year = YEAR.total_seconds()
    dates = Distribution(x=(now, now + 2 * year), cdf=(0.1, 0.5), unit="date")
    (reading,), _ = read([link(by=NOW + YEAR)], [seen(None, distribution=dates)])
    assert reading.probability == pytest.approx(0.3)
    assert skip_reason([link(by=NOW + 3 * YEAR)], [seen(None, distribution=dates)]) == "no probability"


# Twins and ladders


def test_twins_are_one_question_pooled_in_log_odds():
    links = [link("q1", weight=0.4, twin="t"), link("q2", weight=0.4, twin="t"), link("q3", weight=0.4)]
    readings, _ = read(links, [seen(0.2, "q1"), seen(0.8, "q2"), seen(0.1, "q3")])
    assert [r.p_faster for r in readings] == pytest.approx([0.5, 0.5, 0.1])
    assert [r.probability for r in readings] == [0.2, 0.8, 0.1]  # the raw values stay
    assert sum(r.weight for r in readings[:2]) == pytest.approx(0.4)


@settings(deadline=None)
@given(st.lists(st.floats(0.02, 0.98), min_size=2, max_size=5))
def test_a_ladder_never_makes_a_harder_rung_likelier(chances):
    links = [link(f"q{i}", by=NOW + (i + 1) * YEAR, ladder="l") for i in range(len(chances))]
    readings, _ = read(links, [seen(p, f"q{i}") for i, p in enumerate(chances)])
    used = [r.p_faster for r in readings]
    assert all(later >= sooner - 1e-9 for sooner, later in itertools.pairwise(used))
    assert sum(r.weight for r in readings) == pytest.approx(0.5)
    if sorted(chances) == chances:
        assert used == pytest.approx(chances)


def test_rungs_by_threshold_fall_as_it_rises():
    links = [link(f"q{i}", ladder="l", rung=rung) for i, rung in enumerate((40.0, 16.0, 80.0))]
    readings, _ = read(links, [seen(0.6, "q0"), seen(0.5, "q1"), seen(0.1, "q2")])
    assert [r.p_faster for r in readings] == pytest.approx([0.55, 0.55, 0.1])


def test_rungs_are_compared_at_one_moment():
    """One rung was last seen ten days ago: the other is asked for what it stood at then."""
    links = [link("q1", by=NOW + YEAR, ladder="l"), link("q2", by=NOW + 2 * YEAR, ladder="l")]
    ago = NOW - timedelta(days=10)
    old, new = seen(0.4, "q1", age_days=10, seen_last=ago), seen(0.3, "q2", age_days=0)
    before = seen(0.5, "q2", age_days=11)
    asked = []

    def earlier(key, moment):
        asked.append((key.external_id, moment))
        return before

    readings, _ = read(links, [old, new], earlier=earlier)
    assert asked == [("q2", NOW - timedelta(days=10))]
    assert [r.p_faster for r in readings] == pytest.approx([0.4, 0.5])
    still_seen, _ = read(links, [seen(0.4, "q1", age_days=10), new], earlier=earlier)
    assert len(asked) == 1  # a price nobody moved for ten days is today's
    assert [r.p_faster for r in still_seen] == pytest.approx([0.35, 0.35])
    mixed_days, _ = read(links, [old, new])
    assert [r.p_faster for r in mixed_days] == pytest.approx([0.35, 0.35])


# Quality, carry, kinds


def test_quality_lowers_the_weight_of_old_thin_and_wide_prices():
    rules = Rules(quality=Quality({"play_money": 200.0}, memory_days=20.0, spread_scale=0.1))
    price = seen(0.5, quantity=Quantity.PLAY_MONEY_PRICE, age_days=10, liquidity=50.0, spread=0.05)
    (reading,), _ = read([link()], [price], rules=rules)
    assert reading.weight == pytest.approx(0.5 * 0.25 * math.exp(-0.5) * math.exp(-0.5))
    dry = seen(0.5, quantity=Quantity.PLAY_MONEY_PRICE, liquidity=0.0)
    assert skip_reason([link()], [dry], rules=rules) == "no liquidity"


def test_a_long_dated_price_in_real_money_is_believed_less_than_a_forecast():
    long = link(by=NOW + 8 * YEAR)
    (people,), _ = read([long], [seen(0.2)])
    (money,), _ = read([long], [seen(0.2, quantity=Quantity.REAL_MONEY_MID, spread=0.01)])
    assert (people.low, people.high, people.band_log_sd) == (0.2, 0.2, 0.0)
    assert money.low == 0.0
    assert money.high > 0.25
    assert money.band_log_sd > 0.5
    assert money.log_hazard == people.log_hazard  # widened, never moved
    sds = [pooled_hazards([r], GROUPS)[THEORY][1] for r in (people, money)]
    assert sds[1] == pytest.approx(math.hypot(sds[0], money.band_log_sd))


def test_kinds_can_be_told_apart():
    links = [link("q1"), link("q2"), link("q3")]
    values = [
        seen(0.1, "q1"),
        seen(0.5, "q2", quantity=Quantity.PLAY_MONEY_PRICE),
        seen(0.9, "q3", quantity=Quantity.REAL_MONEY_MID),
    ]
    kinds = pooled_by_kind(read(links, values, rules=Rules(carry_rate=0.0))[0], GROUPS)
    assert list(kinds) == ["forecasters", "play_money", "real_money"]
    assert kinds["play_money"][THEORY][0] == pytest.approx(math.log(math.log(2)))


def test_settings_of_quality_matter_only_where_qualities_differ():
    links = [link("q1"), link("q2")]
    alike = [seen(0.1, "q1", age_days=5), seen(0.6, "q2", age_days=5)]
    unlike = [seen(0.1, "q1", age_days=40), seen(0.6, "q2")]

    def moved(values):
        return settings_matter(
            lambda quality: read(links, values, rules=Rules(quality=quality))[0], Quality(), GROUPS
        )

    assert moved(alike) == pytest.approx(0, abs=1e-12)
    assert moved(unlike) > 0.01


def test_dates_of_single_areas_hold_the_doubt_about_their_hazard():
    """P(by t) averaged over a log-normal hazard, by quadrature; and pairs raced from them are the clocks'."""
    links = [link("q1", (THEORY,), weight=0.5), link("q2", (SCAFFOLDING,), weight=0.25)]
    voice = voice_of(links, [seen(0.3, "q1"), seen(0.6, "q2")])
    mean, sd = voice.scores[THEORY], math.sqrt(1 / 0.5)
    expected = integrate.quad(
        lambda z: stats.norm.pdf(z) * -math.expm1(-math.exp(mean + sd * z) * 5.0), -9, 9
    )[0]
    assert voice.marginals[THEORY].at(np.array([5.0]))[0] == pytest.approx(expected, abs=0.005)
    race = Field.of(voice.marginals).race(SCAFFOLDING, THEORY)
    times = np.exp(-voice.draws)
    first = np.mean((times[:, 1] < times[:, 0]) & (times[:, 1] <= 30.0))
    assert race.first == pytest.approx(first, abs=0.01)


# The order


def test_only_areas_with_evidence_are_covered():
    links = [link("q1", (SCAFFOLDING,)), link("q2", (THEORY, CONTROL)), link("q3", ("cookery",))]
    voice = voice_of(links, [seen(0.5, "q1"), seen(0.1, "q2"), seen(0.9, "q3")])
    assert voice.coverage == (THEORY, CONTROL, SCAFFOLDING)  # the order of the groups
    assert voice.ranking[0] == SCAFFOLDING
    assert "3 questions on 3 areas" in voice.note


def test_evidence_lists_every_used_link_once_per_area():
    links = [link("q1", (THEORY, CONTROL), weight=0.4), link("q9", (THEORY,))]
    voice = voice_of(links, [seen(0.2, age_days=2)])
    assert [(e.area, e.question, e.relation, e.weight, e.probability, e.label) for e in voice.evidence] == [
        (THEORY, "metaculus:q1", "proxy", 0.4, 0.2, "our own words"),
        (CONTROL, "metaculus:q1", "proxy", 0.4, 0.2, "our own words"),
    ]
    assert voice.evidence[0].as_of == NOW - timedelta(days=2)
    assert "Not used: 1 never seen." in voice.note


def test_another_outcome_than_yes_shows_in_the_name_of_the_question():
    voice = voice_of([link(outcome="before-2030")], [seen(0.2, outcome="before-2030")])
    assert voice.evidence[0].question == "metaculus:q1:before-2030"


def test_log_hazards_are_pooled_by_weight():
    links = [link("q1", weight=0.75), link("q2", weight=0.25)]
    voice = voice_of(links, [seen(0.5, "q1"), seen(0.1, "q2")])
    expected = 0.75 * math.log(math.log(2)) + 0.25 * math.log(-math.log(0.9))
    assert voice.scores == {THEORY: pytest.approx(expected)}


def race_reference(difference, sd):
    """E[1 / (1 + exp(-(difference + sd Z)))], by quadrature."""
    return integrate.quad(lambda z: stats.norm.pdf(z) / (1 + math.exp(-(difference + sd * z))), -9, 9)[0]


def test_pairs_race_as_exponential_clocks_with_uncertain_hazards():
    links = [link("q1", (THEORY,), weight=0.5), link("q2", (SCAFFOLDING,), weight=0.25)]
    voice = voice_of(links, [seen(0.1, "q1"), seen(0.5, "q2")])
    difference = voice.scores[SCAFFOLDING] - voice.scores[THEORY]
    sd = math.sqrt(1 / 0.5 + 1 / 0.25)
    assert voice.p_before[SCAFFOLDING][THEORY] == pytest.approx(race_reference(difference, sd), abs=0.005)
    by_draws = np.mean(voice.draws[:, 1] > voice.draws[:, 0])
    assert voice.p_before[SCAFFOLDING][THEORY] == pytest.approx(by_draws, abs=0.01)
    assert voice.rank_probabilities[SCAFFOLDING][0] == pytest.approx(by_draws)


def test_known_hazards_win_in_proportion():
    links = [link("q1", (THEORY,)), link("q2", (CONTROL,))]
    observations = [seen(1 - math.exp(-0.2), "q1"), seen(1 - math.exp(-0.6), "q2")]
    voice = voice_of(links, observations, proxy_log_sd=0.0)
    assert voice.p_before[CONTROL][THEORY] == pytest.approx(0.75)
    assert voice.p_before[THEORY][CONTROL] == pytest.approx(0.25)


def test_the_clocks_of_the_draws_have_the_stated_rate():
    voice = voice_of([link()], [seen(1 - math.exp(-0.4))], proxy_log_sd=0.0)
    years = np.exp(-voice.draws[:, 0])
    assert stats.kstest(years, "expon", args=(0, 1 / 0.4)).pvalue > 0.01


def test_the_same_question_for_all_areas_orders_none():
    voice = voice_of([link(areas=tuple(GROUPS))], [seen(0.4)])
    pairs = [p for row in voice.p_before.values() for p in row.values()]
    assert pairs == pytest.approx([0.5] * 90, abs=0.01)
    assert voice.tau_b_self is None
    assert voice.p_capabilities_first == pytest.approx(0.5, abs=0.01)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 1.0)), min_size=2, max_size=6))
def test_every_pair_and_its_reverse_make_one(values):
    links = [
        link(f"q{i}", (area,), weight=weight)
        for i, (area, (_, weight)) in enumerate(zip(GROUPS, values, strict=False))
    ]
    voice = voice_of(links, [seen(p, f"q{i}") for i, (p, _) in enumerate(values)], draws=50)
    for one in voice.coverage:
        assert sum(voice.rank_probabilities[one]) == pytest.approx(1.0)
        for two, p in voice.p_before[one].items():
            assert p + voice.p_before[two][one] == pytest.approx(1.0)


# Nothing to say


@pytest.mark.parametrize(
    ("links", "observations", "reason"),
    [
        ([], [], "no linked questions"),
        ([link(relation="context")], [seen(0.5)], "no linked questions"),
        ([link(), link("q2")], [seen(None, state=ValueState.HIDDEN)], "1 never seen, 1 no value (hidden)"),
        ([link(areas=("cookery",))], [seen(0.5)], "bears on these areas"),
    ],
)
def test_without_evidence_the_market_has_a_reason_instead(links, observations, reason):
    voice = voice_of(links, observations)
    assert (voice.coverage, voice.ranking, voice.draws) == ((), (), None)
    assert reason in voice.reason


@pytest.mark.parametrize(
    ("arguments", "words"), [({"draws": 0}, "draws"), ({"proxy_log_sd": -1.0}, "proxy_log_sd")]
)
def test_settings_that_make_no_sense_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        voice_of([link()], [seen(0.5)], **arguments)


def test_a_naive_now_is_refused():
    with pytest.raises(ValueError, match="naive"):
        voice_of([link()], [seen(0.5)], now=datetime(2026, 11, 20))


def test_the_same_seed_gives_the_same_voice():
    links = [link("q1", (THEORY,)), link("q2", (CONTROL,))]
    observations = [seen(0.2, "q1"), seen(0.6, "q2")]
    assert voice_of(links, observations, draws=200) == voice_of(links, observations, draws=200)


# Several dates in one question


def ladder_of(*rungs, areas=(THEORY,), name="dates", **more):
    """Links and values of one event asked at several deadlines: (years, probability)."""
    links = [
        link(f"{name}-{years}", areas=areas, by=NOW + years * YEAR, ladder=name, **more) for years, _ in rungs
    ]
    return links, [seen(p, f"{name}-{years}") for years, p in rungs]


def test_a_ladder_of_one_constant_hazard_says_what_a_single_deadline_does():
    hazards = {THEORY: 0.3, CONTROL: 0.12}
    links, values = ladder_of(*((t, -math.expm1(-0.3 * t)) for t in (1, 2, 5)))
    single = link("single", areas=(CONTROL,), by=NOW + 2 * YEAR)
    values.append(seen(-math.expm1(-0.12 * 2), "single"))
    voice = voice_of([*links, single], values, proxy_log_sd=0.0)
    for area, hazard in hazards.items():
        assert math.exp(voice.scores[area]) == pytest.approx(hazard, rel=1e-6)
        times = np.array(voice.marginals[area].times)
        assert voice.marginals[area].at(times) == pytest.approx(-np.expm1(-hazard * times), abs=2e-3)
    assert voice.p_before[THEORY][CONTROL] == pytest.approx(0.3 / 0.42, abs=2e-3)
    assert voice.p_before[CONTROL][THEORY] == pytest.approx(0.12 / 0.42, abs=2e-3)
    assert np.mean(voice.draws[:, 0] > voice.draws[:, 1]) == pytest.approx(0.3 / 0.42, abs=0.01)


def test_the_doubt_about_a_curve_is_that_about_its_hazard():
    links, values = ladder_of((1, -math.expm1(-0.3)), (4, -math.expm1(-1.2)))
    flat = link("flat", by=NOW + YEAR)
    other = link("other", areas=(CONTROL,), by=NOW + YEAR)
    beside = [other], [seen(-math.expm1(-0.1), "other")]
    curved = voice_of([*links, *beside[0]], [*values, *beside[1]])
    straight = voice_of([flat, *beside[0]], [seen(-math.expm1(-0.3), "flat"), *beside[1]])
    assert curved.p_before[THEORY][CONTROL] == pytest.approx(straight.p_before[THEORY][CONTROL], abs=5e-3)
    spans = [voice.p_before_ci90[THEORY][CONTROL] for voice in (curved, straight)]
    assert spans[0] == pytest.approx(spans[1], abs=0.02)


def test_the_order_of_pairs_follows_the_dates_and_not_one_probability():
    """Likely late against possible now: the same chance by the last deadline, and yet not the same race."""
    early, told = ladder_of((1, 0.5), (5, 0.6), name="early")
    late, more = ladder_of((1, 0.05), (5, 0.6), areas=(CONTROL,), name="late")
    voice = voice_of([*early, *late], [*told, *more], proxy_log_sd=0.0)
    random = np.random.default_rng(1)
    uniform = random.uniform(size=(200_000, 2))

    def when(knots, u):
        at, known = (
            np.array([0.0, *(t for t, _ in knots)]),
            -np.log1p(-np.array([0.0, *(p for _, p in knots)])),
        )
        target = -np.log1p(-u)
        rate = known[-1] / at[-1]
        return np.where(
            target < known[-1], np.interp(target, known, at), at[-1] + (target - known[-1]) / rate
        )

    first = np.mean(when([(1, 0.5), (5, 0.6)], uniform[:, 0]) < when([(1, 0.05), (5, 0.6)], uniform[:, 1]))
    assert voice.p_before[THEORY][CONTROL] == pytest.approx(first, abs=5e-3)
    assert first > 0.6


def buckets(*answers, areas=(THEORY,), **more):
    """Answers of one question that exclude each other: (kind, years, price)."""
    links, values = [], []
    for kind, years, price in answers:
        name = f"{kind}{years or ''}"
        by = None if years is None else NOW + years * YEAR
        links.append(link("when", areas=areas, by=by, ladder="when", bucket=kind, outcome=name, **more))
        if price is not None:
            values.append(seen(price, "when", outcome=name))
    return links, values


def test_answers_by_dates_add_up_to_a_distribution_with_what_never_comes():
    """Prices that add up to 1.04 are scaled; a quarter of them is on never, and stays there."""
    links, values = buckets(
        ("dated", 1, 0.26), ("dated", 3, 0.26), ("later", None, 0.26), ("never", None, 0.26)
    )
    links += [link("other", areas=(CONTROL,), by=NOW + YEAR)]
    voice = voice_of(links, [*values, seen(0.5, "other")], proxy_log_sd=0.0)
    assert voice.marginals[THEORY].at(np.array([1.0, 3.0])) == pytest.approx([0.25, 0.5], abs=5e-3)
    assert voice.marginals[THEORY].cdf[-1] == pytest.approx(0.75, abs=0.01)
    assert np.isneginf(voice.draws[:, 0]).mean() == pytest.approx(0.25, abs=0.01)
    first, second = voice.p_before[THEORY][CONTROL], voice.p_before[CONTROL][THEORY]
    assert first + second == pytest.approx(1.0, abs=5e-3)  # the other area comes for certain
    used = [item for item in voice.evidence if item.area == THEORY]
    assert [item.adjusted for item in used] == pytest.approx([0.25, 0.5])
    assert sum(item.weight for item in used) == pytest.approx(0.5)  # one question's weight
    both, told = buckets(("dated", 1, 0.5), ("never", None, 0.5), areas=(THEORY, CONTROL))
    alone = voice_of(both, told, proxy_log_sd=0.0)
    assert alone.p_before[THEORY][CONTROL] == pytest.approx(
        0.375, abs=5e-3
    )  # (1 - 1/4) / 2, neither in 1 of 4


def test_answers_that_are_incomplete_say_nothing():
    links, values = buckets(("dated", 1, 0.3), ("dated", 3, None), ("later", None, 0.3))
    readings, skipped = read(links, values)
    assert readings == []
    assert sorted(item.reason for item in skipped) == [
        "another answer of its question has no value",
        "another answer of its question has no value",
        "never seen",
    ]
    past, told = buckets(("dated", -0.1, None), ("dated", 3, 0.4), ("later", None, 0.4))
    (reading,), _ = read(past, told)  # a date that is over is no answer any more
    assert reading.p_faster == pytest.approx(0.5)


def test_a_whole_distribution_of_dates_is_read_given_that_it_has_not_happened():
    """An exponential law that began two years ago says of the future what one that begins now says."""
    starts = NOW - 2 * YEAR
    years = np.linspace(0.0, 22.0, 200)
    told = Distribution(
        tuple((starts + float(t) * YEAR).timestamp() for t in years),
        tuple((-np.expm1(-0.2 * years)).tolist()),
        "date",
    )
    (reading,), _ = read([link(by=None, outcome="value")], [seen(None, outcome="value", distribution=told)])
    assert math.exp(reading.log_hazard) == pytest.approx(0.2, rel=0.01)
    assert reading.curve.hazard(np.array([1.0, 5.0, 40.0])) == pytest.approx([0.2, 1.0, 8.0], rel=0.01)
    voice = voice_of(
        [link(by=None, outcome="value"), link("other", areas=(CONTROL,))],
        [seen(None, outcome="value", distribution=told), seen(-math.expm1(-0.1), "other")],
        proxy_log_sd=0.0,
    )
    assert voice.p_before[THEORY][CONTROL] == pytest.approx(2 / 3, abs=5e-3)


def test_a_distribution_without_dates_or_that_ends_now_is_not_read():
    numbers = Distribution((1.0, 2.0), (0.1, 0.9), "")
    assert skip_reason([link(by=None)], [seen(None, distribution=numbers)]) == "no probability"
    over = Distribution(((NOW - YEAR).timestamp(), NOW.timestamp()), (0.1, 0.9), "date")
    assert skip_reason([link(by=None)], [seen(None, distribution=over)]) == "deadline passed"


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.05, 10.0), st.floats(0.0, 1.0)),
        min_size=1,
        max_size=6,
        unique_by=lambda x: x[0],
    ),
    st.floats(0.0, 1.0),
)
def test_a_curve_never_falls_and_leaves_what_never_comes(points, share):
    times, chances = zip(*sorted(points), strict=True)
    cdf = np.maximum.accumulate(chances)
    never = share * (1.0 - float(cdf[-1]))
    curve = Curve(times, tuple(cdf.tolist()), never)
    reached = -np.expm1(-curve.hazard(GRID))
    assert np.all(np.diff(reached) >= -1e-12)
    assert reached[-1] <= max(1.0 - never, 0.005) + 1e-6


@pytest.mark.parametrize(
    "wrong",
    [
        ((1.0, 1.0), (0.1, 0.2)),
        ((0.0,), (0.1,)),
        ((1.0, 2.0), (0.3, 0.2)),
        ((1.0,), (1.2,)),
        ((1.0,), (0.8,), 0.3),
        ((), ()),
    ],
)
def test_a_curve_that_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError):
        Curve(*wrong)
