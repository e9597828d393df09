"""Scores over time, against Metaculus' own published cases, against sampling the clock, and by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import gmean

from tracker.errors import UsageError
from tracker.scoring import forecast_table
from tracker.scoring.lives import (
    Life,
    Steps,
    from_table,
    peer_averaged,
    records,
    records_json,
    spot_scores,
    time_averaged,
)
from tracker.scoring.metaculus import (
    Scale,
    baseline_score,
    baseline_score_cdf,
    bucket_of,
    bucket_probabilities,
    peer_scores,
)

TEN = Life("q", 0.0, 10.0, 10.0, 1.0)


def steps(*points: tuple[float, float]) -> Steps:
    return Steps(*(np.array(column, dtype=float) for column in zip(*points, strict=True)))


def baseline(one: Steps, life: Life = TEN):
    y = life.outcome
    return time_averaged(one, life, lambda p: baseline_score(p if y else 1.0 - p))


@pytest.mark.parametrize(
    ("points", "life", "score", "coverage"),
    [
        # the cases of Metaculus' own unit tests of its baseline score
        ([(0, 0.5)], TEN, 0.0, 1.0),
        ([(3, 0.5)], TEN, 0.0, 0.7),
        ([(0, 0.5), (3, math.nan)], TEN, 0.0, 0.3),
        ([(5, 0.5), (8, math.nan)], TEN, 0.0, 0.3),
        ([(0, 0.5)], Life("q", 0, 10, 5, 1), 0.0, 0.5),
        ([(0, 0.9)], TEN, 84.79969066, 1.0),
        ([(0, 0.1)], TEN, -232.19280949, 1.0),
        ([(0, 0.9)], Life("q", 0, 10, 10, 0), -232.19280949, 1.0),
        ([(5, 0.9)], TEN, 84.79969066 / 2, 0.5),
        ([(0, 2 ** (-1 / 2))], TEN, 50.0, 1.0),
        ([(0, 2 ** (-3 / 2))], TEN, -50.0, 1.0),
    ],
)
def test_the_published_cases_of_the_baseline_score(points, life, score, coverage):
    found = baseline(steps(*points), life)
    assert found.over_life == pytest.approx(score, abs=1e-6)
    assert found.coverage == pytest.approx(coverage)


def test_who_forecast_after_it_was_over_has_no_score():
    assert baseline(steps((5, 0.9)), Life("q", 0, 10, 5, 1)) is None


@pytest.mark.parametrize(
    ("probabilities", "published_mean"), [((0.7, 0.8, 0.9), 0.79581144), ((0.5, 0.5), 0.5)]
)
def test_the_published_geometric_mean_is_what_peers_are_measured_against(probabilities, published_mean):
    found = peer_scores({str(k): p for k, p in enumerate(probabilities)})
    n = len(probabilities)
    for k, p in enumerate(probabilities):
        assert found[str(k)] == pytest.approx(100 * n / (n - 1) * math.log(p / published_mean), abs=1e-5)


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=9))
def test_peer_scores_sum_to_zero_and_use_the_mean_of_all(probabilities):
    said = {str(k): p for k, p in enumerate(probabilities)}
    found = peer_scores(said)
    assert sum(found.values()) == pytest.approx(0.0, abs=1e-6)
    if len(said) > 1:
        n = len(said)
        assert found["0"] == pytest.approx(
            100 * n / (n - 1) * math.log(said["0"] / gmean(probabilities)), abs=1e-8
        )
        assert peer_scores(said, continuous=True)["0"] == pytest.approx(found["0"] / 2)


def test_peers_over_time_by_sampling_the_clock():
    everybody = {
        "early": steps((0, 0.6), (4, 0.8)),
        "late": steps((2, 0.3), (7, 0.5)),
        "leaver": steps((1, 0.9), (6, math.nan)),
    }
    life = Life("q", 0.0, 10.0, 8.0, 1.0)
    clock = np.arange(0.005, 8.0, 0.01)
    expected = dict.fromkeys(everybody, 0.0)
    stood = dict.fromkeys(everybody, 0)
    for t in clock:
        said = {name: one.standing(t) for name, one in everybody.items()}
        now = peer_scores({name: p for name, p in said.items() if not math.isnan(p)})
        for name, score in now.items():
            expected[name] += score * 0.01 / 10.0
            stood[name] += 1
    found = peer_averaged(everybody, life)
    for name, one in found.items():
        assert one.over_life == pytest.approx(expected[name], abs=1e-6)
        assert one.coverage == pytest.approx(stood[name] * 0.001, abs=1e-6)


def test_one_sure_and_wrong_forecaster_makes_nobody_infinite():
    found = peer_averaged({"fool": steps((0, 0.0)), "other": steps((0, 0.5))}, TEN)
    assert found["fool"].over_life == pytest.approx(200 * math.log(0.001 / math.sqrt(0.0005)))
    with pytest.raises(ValueError, match="clip"):
        peer_scores({"fool": 0.0, "other": 0.5})


@given(st.lists(st.floats(0.01, 9.9), min_size=1, max_size=30, unique=True))
def test_saying_the_same_again_adds_no_weight(times):
    calm = steps((0, 0.3), (5, 0.7))
    extra = {0.0: 0.3, 5.0: 0.7} | {t: (0.3 if t < 5 else 0.7) for t in times}
    busy = steps(*sorted(extra.items()))
    a, b = (time_averaged(one, TEN, lambda p: (1 - p) ** 2) for one in (calm, busy))
    assert a.while_standing == pytest.approx(b.while_standing)
    assert b.coverage == pytest.approx(1.0)


@pytest.mark.parametrize("zero", [None, 0.0, 200.0, -50.0])
def test_places_on_the_scale_are_those_of_the_formula(zero):
    scale = Scale(1.0, 100.0, zero)
    for u in (0.0, 0.3, 0.5, 1.0):
        if zero is None:
            value = 1.0 + 99.0 * u
        else:
            ratio = (100.0 - zero) / (1.0 - zero)
            value = 1.0 + 99.0 * (ratio**u - 1) / (ratio - 1)
        assert scale.place(value) == pytest.approx(u, abs=1e-9)
    assert scale.place(-5.0) < 0 < 1 < scale.place(300.0)


def test_buckets_and_the_baseline_of_a_distribution():
    even = np.linspace(0.05, 0.95, 201)
    assert bucket_probabilities(even).sum() == pytest.approx(1.0)
    for bucket in (0, 1, 100, 200, 201):
        assert baseline_score_cdf(even, bucket, open_bounds=2) == pytest.approx(0.0, abs=1e-9)
    sharp = np.where(np.arange(201) <= 100, 0.01, 0.99)
    assert baseline_score_cdf(sharp, bucket_of(0.5001, 200), open_bounds=2) == pytest.approx(
        50 * math.log(0.98 / (0.9 / 200))
    )
    assert baseline_score_cdf(np.linspace(0, 1, 201), 0, open_bounds=0) == -math.inf


def test_records_by_hand():
    lives = {
        "a": Life("a", 0.0, 100.0, 100.0, 1.0),
        "b": Life(
            "b", 0.0, 100.0, 40.0, 0.0
        ),  # over early: at a lead of 30 days there is nothing to forecast
    }
    paths = {
        ("x", "a"): steps((0, 0.5), (95, 0.9)),
        ("x", "b"): steps((0, 0.2)),
        ("y", "a"): steps((50, 0.5)),
    }
    x, y = records(paths, lives, leads=(30, 7, 3))
    assert (x.forecaster, x.n_questions, y.n_questions) == ("x", 2, 1)
    assert x.coverage == pytest.approx((1.0 + 0.4) / 2)
    assert x.brier.value == pytest.approx(((0.95 * 0.25 + 0.05 * 0.01) + 0.04) / 2)
    assert {lead: mean.value for lead, mean in x.at_leads.items()} == {
        "30": pytest.approx(0.25),
        "7": pytest.approx(0.25),
        "3": pytest.approx(0.01),
        "midpoint": pytest.approx(0.25),
    }
    expected_peer = 200 * math.log(0.9 / math.sqrt(0.45)) * 0.05  # on b nobody else forecast
    assert x.peer.value == pytest.approx(expected_peer)
    assert x.brier.ci95 is None


@pytest.mark.parametrize(
    ("times", "outcome"), [((0, 0, 0), 1), ((5, 4, 5), 1), ((0, 5, 6), 1), ((0, 5, 5), 0.5), ((3, 5, 2), 0)]
)
def test_impossible_lives_are_refused(times, outcome):
    with pytest.raises(ValueError, match="q: "):
        Life("q", *map(float, times), float(outcome))


def table(**changed):
    start = datetime(2025, 1, 1, tzinfo=UTC)
    columns = {
        "probability": [0.5, 0.9, 0.2],
        "outcome": [1, 1, 1],
        "question": ["a", "a", "a"],
        "forecaster": ["x", "x", "y"],
        "made_at": [start, start + timedelta(days=95), start + timedelta(days=50)],
        "closes_at": [start + timedelta(days=100)] * 3,
        "now": start + timedelta(days=200),
    }
    return forecast_table(**{**columns, **changed})


def test_a_table_of_forecasts_becomes_steps_that_stand_until_the_next():
    x, y = records(*from_table(table()), leads=(30, 3))
    assert x.brier.value == pytest.approx(0.95 * 0.25 + 0.05 * 0.01)
    assert (x.coverage, y.coverage) == (pytest.approx(1.0), pytest.approx(0.5))
    assert x.at_leads["3"].value == pytest.approx(0.01)
    assert y.at_leads["midpoint"].value == pytest.approx(0.64)


def test_a_question_over_early_ends_there_and_one_still_open_is_not_in_it():
    resolved = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=75)
    paths, lives = from_table(table(resolved_at=[resolved] * 3))
    (life,) = lives.values()
    assert life.ends - life.opens == pytest.approx(75)
    assert life.length == pytest.approx(100)
    assert set(paths) == {("x", "a"), ("y", "a")}
    still = from_table(table(resolved_at=[resolved] * 3, now=resolved))
    assert still == ({}, {})


def test_without_times_there_are_no_lives():
    with pytest.raises(UsageError, match="closes_at"):
        from_table(forecast_table([0.5], [1], ["a"]))


def test_the_document_has_a_reason_beside_every_null():
    (x, _) = records_json(records(*from_table(table())))
    assert x["brier"]["ci95"] is None
    assert "1 events" in x["brier"]["reason"]
    assert {lead["lead"] for lead in x["leads"]} == {"90", "30", "7", "midpoint"}


def test_the_spot_score_is_of_what_stood_at_that_moment():
    everybody = {"a": steps((0, 0.9)), "late": steps((6, 0.5))}
    assert spot_scores(everybody, TEN, 5.0) == {"a": (pytest.approx(84.79969066), None)}
    both = spot_scores(everybody, TEN, 7.0)
    assert both["a"][1] == pytest.approx(200 * math.log(0.9 / math.sqrt(0.45)))


def test_a_record_has_spot_scores_at_the_reveal_or_just_before_the_end():
    said = {"ann": steps((0, 0.5), (6, 0.8)), "bob": steps((0, 0.4), (9.5, 0.6)), "late": steps((10, 0.99))}
    paths = {(name, "q"): one for name, one in said.items()}
    found = {one.forecaster: one for one in records(paths, {"q": TEN})}
    assert found["ann"].spot_baseline.value == pytest.approx(100 * math.log(0.8 * 2) / math.log(2))
    assert found["ann"].spot_peer.value == pytest.approx(100 * math.log(0.8 / 0.6))  # of two: 2 ln(p / mean)
    revealed = Life("q", 0.0, 10.0, 10.0, 1.0, reveals=3.0)
    at_reveal = {one.forecaster: one for one in records(paths, {"q": revealed})}
    assert at_reveal["ann"].spot_baseline.value == pytest.approx(0.0)
    assert at_reveal["bob"].spot_peer.value == pytest.approx(-100 * math.log(0.5 / 0.4))
    assert "late" not in found
    nothing = records({("ann", "q"): steps((5, 0.8))}, {"q": revealed})
    assert nothing[0].spot_peer is None
    assert records_json(nothing)[0]["spot_peer"]["reason"] == "nothing stood at that moment"
