"""Records of numbers and dates against scoringrules, numerical integration and simulated worlds."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import scoringrules
from scipy import integrate, stats

from tracker.scoring.lives import Life, Steps
from tracker.scoring.metaculus import bucket_probabilities
from tracker.scoring.numeric import (
    DAY_S,
    clustered_share,
    ladder,
    measures,
    numeric_json,
    numeric_records,
    pit_of,
    places,
    unscored,
)
from tracker.scoring.shapes import BASELINE, PEER, Answer, Form, Measure, Shape, Told

LEVELS = (0.1, 0.5, 0.9)
CRPS = Measure("crps", "range")


def answer(value: float, name: str = "q", **options) -> Answer:
    return Answer(name, value, 0.0, 100.0, options.pop("ends", 100.0), **options)


def test_time_is_integrated_over_what_stood_and_leads_take_what_stood_then():
    wide, sharp = Shape((0.0, 10.0), (0.0, 1.0)), Shape((0.0, 4.0, 5.0, 10.0), (0.0, 0.0, 1.0, 1.0))
    told = Told((0.0, 60.0, 90.0), (wide, sharp, None))
    (record,) = numeric_records({("ann", "q"): told}, {"q": answer(4.5)}, leads=(50, 30, 5))

    def crps(shape):
        def gap(x):
            return (np.interp(x, shape.x, shape.p) - (x >= 4.5)) ** 2

        return integrate.quad(gap, 0.0, 10.0, points=[4.0, 4.5, 5.0], limit=200)[0] / 10.0

    assert record.measure == CRPS
    assert record.mean.value == pytest.approx((60 * crps(wide) + 30 * crps(sharp)) / 90, rel=1e-6)
    assert record.coverage == pytest.approx(0.9)
    at = {lead: mean.value for lead, mean in record.at_leads.items()}
    assert at == pytest.approx({"50": crps(wide), "30": crps(sharp), "midpoint": crps(wide)}, rel=1e-6)


def test_dates_are_scored_in_days_and_a_bent_grid_in_its_own_places_too():
    x = tuple(DAY_S * 365 * t for t in (0.0, 1.0, 10.0))
    found = measures(Shape(x, (0.1, 0.5, 0.9), Form.GRID), answer(x[1], dated=True))

    def gap(t, bend):
        place = np.interp(t, bend, (0.1, 0.5, 0.9))
        return (place - (t >= bend[1])) ** 2

    days, even = (365.0 * np.array([0.0, 1.0, 10.0]), (0.0, 0.5, 1.0))
    for measure, grid in ((Measure("crps", "days"), days), (CRPS, even)):
        parts = [integrate.quad(gap, a, b - 1e-12, args=(grid,))[0] for a, b in pairwise(grid)]
        assert found[measure] == pytest.approx(sum(parts), rel=1e-9)
    # a border belongs to the bucket below it: 50 ln(0.4 / ((1 - 0.1) / 2))
    assert found[Measure("baseline", "points")] == pytest.approx(50 * math.log(0.4 / 0.45))


def test_quantiles_have_their_own_names_and_agree_with_scoringrules():
    q = np.array([1.0, 2.0, 5.0])
    found = measures(Shape(tuple(q), LEVELS, Form.QUANTILES), answer(4.0, span=(0.0, 10.0)))
    (measure,) = found
    assert (measure.name, measure.unit, measure.levels) == ("weighted_interval_score", "range", LEVELS)
    theirs = scoringrules.weighted_interval_score(4.0, 2.0, np.array([1.0]), np.array([5.0]), np.array([0.2]))
    assert found[measure] == pytest.approx(float(theirs) / 10.0)
    (lopsided,) = measures(Shape((1.0, 2.0), (0.2, 0.5), Form.QUANTILES), answer(4.0, span=(0.0, 10.0)))
    assert lopsided.name == "quantile_score"


def test_an_answer_beyond_the_range_scores_a_cdf_and_not_quantiles_and_the_count_says_so():
    cdf, quantiles = Shape((0.0, 1.0), (0.0, 0.7)), Shape((0.2, 0.5, 0.9), LEVELS, Form.QUANTILES)
    beyond = answer(math.inf, span=(0.0, 1.0))
    assert measures(cdf, beyond)[CRPS] == pytest.approx(0.49 / 3)
    assert measures(quantiles, beyond) == {}
    assert pit_of(cdf, beyond) == pytest.approx((0.7, 1.0))
    told = {("a", "q"): Told((0.0,), (quantiles,)), ("b", "q"): Told((0.0,), (None,))}
    assert unscored(told, {"q": beyond}) == {
        "quantiles of an answer beyond the range, which has no value": 1,
        "no distribution stood while the question was open": 1,
    }
    document = numeric_json(told, {"q": beyond}, {"pending: no outcome yet": 2})
    assert document["scores"] == []
    assert sum(one["n"] for one in document["not_scored"]) == 4


@pytest.mark.parametrize("harder", [False, True])
def test_rungs_of_a_ladder_have_a_ranked_probability_score(harder):
    p, happened = (0.1, 0.4, 0.8), (0.0, 1.0, 1.0)
    if harder:  # thresholds: the more, the less likely
        p, happened = tuple(1 - one for one in p), tuple(1 - one for one in happened)
    rungs = [
        (
            float(k),
            Steps(np.array([0.0]), np.array([p[k]])),
            Life(f"r{k}", 0.0, 50.0 + k, 50.0 + k, happened[k]),
        )
        for k in range(3)
    ]
    found = ladder(rungs[::-1], name="l", event="ladder l", harder=harder)
    assert found is not None
    (record,) = numeric_records({("m", "l"): found[0]}, {"l": found[1]}, leads=())
    assert record.measure.name == "ranked_probability_score"
    assert record.mean.value == pytest.approx((0.1**2 + 0.6**2 + 0.2**2) / 3)
    assert pit_of(Shape((0, 1, 2), (0.1, 0.4, 0.8), Form.RUNGS), found[1]) == (0.1, 0.4)
    clash = [
        (x, steps, Life("r", 0.0, 50.0, 50.0, y)) for (x, steps, _), y in zip(rungs, (1, 0, 1), strict=True)
    ]
    assert ladder(clash, name="l", event="e", harder=harder) is None


def test_a_calibrated_forecaster_has_even_places_and_a_narrow_one_is_found_out():
    rng = np.random.default_rng(5)
    grid = np.linspace(-6.0, 6.0, 241)
    told, answers = {}, {}
    for k in range(400):
        middle = rng.normal()
        answers[f"q{k}"] = answer(middle + rng.normal(), f"q{k}")
        for name, width in (("right", 1.0), ("narrow", 0.5)):
            shape = Shape(tuple(grid), tuple(stats.norm.cdf(grid, middle, width)))
            told[name, f"q{k}"] = Told((0.0,), (shape,))
    found = {one.forecaster: one for one in places(told, answers, leads=())}
    for share in found["right"].coverage:
        assert share.ci95[0] <= share.level <= share.ci95[1]
    narrow = stats.norm.cdf(0.5 * stats.norm.ppf(0.95)) * 2 - 1  # its 90 % interval holds so much
    ninety = found["narrow"].coverage[-1]
    assert ninety.ci95[0] <= narrow <= ninety.ci95[1] < 0.9
    assert stats.chisquare(found["right"].histogram).pvalue > 0.001
    assert stats.chisquare(found["narrow"].histogram).pvalue < 1e-6


def test_the_interval_of_a_share_counts_clusters():
    rng = np.random.default_rng(2)
    held = dict.fromkeys(("clustered", "rows"), 0)
    for _ in range(400):
        chance = rng.beta(4.0, 1.0, 60)  # what the questions of one event share
        cases = (rng.random((60, 8)) < chance[:, None]).astype(float).ravel()
        for name, cluster in (("clustered", np.repeat(np.arange(60), 8)), ("rows", np.arange(480))):
            low, high = clustered_share(cases, cluster)
            held[name] += low <= 0.8 <= high
    assert 0.92 <= held["clustered"] / 400 <= 0.98
    assert held["rows"] / 400 < 0.85
    assert clustered_share(np.ones(80), np.repeat(np.arange(10), 8))[0] == pytest.approx(
        clustered_share(np.ones(10), np.arange(10))[0]
    )


def test_peers_of_a_distribution_are_weighed_by_what_they_gave_to_the_answers_cell_moment_by_moment():
    """Metaculus: 50 N/(N-1) ln(p / geometric mean), over the scheduled life; by hand from the cells' probabilities."""
    x, y = tuple(np.linspace(0.0, 10.0, 201)), answer(4.49, ends=80.0)
    flat, sharp = (tuple(stats.norm(4.5, sd).cdf(x)) for sd in (3.0, 1.0))
    told = {
        ("ann", "q"): Told((0.0, 50.0), (Shape(x, flat, Form.GRID), Shape(x, sharp, Form.GRID))),
        ("bob", "q"): Told((0.0,), (Shape(x, flat, Form.GRID),)),
        ("cem", "q"): Told((0.0,), (Shape((0.0, 4.0, 9.0), (0.1, 0.5, 0.9), Form.QUANTILES),)),
        ("dan", "q"): Told((0.0,), (Shape(x[:-1], flat[:-1], Form.GRID),)),
    }
    found = {(one.forecaster, one.measure): one for one in numeric_records(told, {"q": y}, leads=())}
    cell = 1 + int(4.49 / 0.05)
    gave = [float(bucket_probabilities(cdf)[cell]) for cdf in (flat, sharp)]
    mean = math.sqrt(gave[0] * gave[1])
    spot = 50 * 2 * math.log(gave[1] / mean)
    assert found["ann", PEER].spot.value == pytest.approx(spot)
    assert found["ann", PEER].mean.value == pytest.approx(
        spot * 30 / 100
    )  # level until 50, over at 80 of 100
    assert found["bob", PEER].mean.value == pytest.approx(-found["ann", PEER].mean.value)
    assert found["ann", BASELINE].spot.value == pytest.approx(
        measures(told["ann", "q"].shapes[1], y)[BASELINE]
    )
    assert {who for who, measure in found if measure == PEER} == {"ann", "bob"}
    others = told | {("bob", "another question"): told["bob", "q"]}
    alone = numeric_records({key: told[key] for key in [("ann", "q")]}, {"q": y}, everybody=others)
    assert next(one for one in alone if one.measure == PEER).mean == found["ann", PEER].mean


def test_options_have_a_baseline_and_peers_too():
    y = answer(1.0)
    shapes = {"ann": (0.2, 0.6, 0.2), "bob": (0.4, 0.15, 0.45)}
    told = {(who, "q"): Told((0.0,), (Shape((0.0, 1.0, 2.0), p, Form.OPTIONS),)) for who, p in shapes.items()}
    found = {(one.forecaster, one.measure): one for one in numeric_records(told, {"q": y}, leads=())}
    assert found["ann", BASELINE].mean.value == pytest.approx(100 * math.log(0.6 * 3) / math.log(3))
    assert found["ann", PEER].mean.value == pytest.approx(200 * math.log(0.6 / math.sqrt(0.6 * 0.15)))
    document = numeric_json(told, {"q": y}, {})
    (row,) = [one for one in document["scores"] if (one["forecaster"], one["score"]) == ("bob", "peer")]
    assert (row["better"], row["spot"]["value"]) == ("higher", pytest.approx(-found["ann", PEER].mean.value))


def test_a_hidden_crowd_has_its_spot_score_at_the_reveal():
    p = (
        Shape((0.0, 1.0, 2.0), (0.2, 0.6, 0.2), Form.OPTIONS),
        Shape((0.0, 1.0, 2.0), (0.1, 0.8, 0.1), Form.OPTIONS),
    )
    told = {("ann", "q"): Told((0.0, 50.0), p)}
    for reveals, said in ((40.0, 0.6), (60.0, 0.8), (math.nan, 0.8), (200.0, 0.8)):
        (record,) = (
            one
            for one in numeric_records(told, {"q": answer(1.0, reveals=reveals)})
            if one.measure == BASELINE
        )
        assert record.spot.value == pytest.approx(100 * math.log(said * 3) / math.log(3))


def test_draws_are_scored_fairly_and_placed_by_rank():
    """Against scoringrules' estimator; a calibrated ensemble's ranks are even."""
    rng = np.random.default_rng(8)
    draws = tuple(rng.normal(size=20).tolist())
    found = measures(Shape(draws, (), Form.DRAWS), answer(0.4, span=(-5.0, 5.0)))
    expected = scoringrules.crps_ensemble(np.array([0.4]), np.array([draws]), estimator="pwm")[0] / 10.0
    assert found == {Measure("crps_draws", "range"): pytest.approx(float(expected))}
    assert measures(Shape(draws, (), Form.DRAWS), answer(math.inf, span=(-5.0, 5.0))) == {}
    assert pit_of(Shape((3.0, 1.0, 2.0), (), Form.DRAWS), answer(2.5)) == (0.5, 0.75)
    said = (tuple(rng.normal(size=9)) for _ in range(4_000))
    ranks = [round(10 * pit_of(Shape(x, (), Form.DRAWS), answer(rng.normal()))[0]) for x in said]
    assert np.bincount(ranks) == pytest.approx(np.full(10, 400), abs=80)
