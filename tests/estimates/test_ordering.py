"""Draws become ranks and pair probabilities; two voices are compared."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau, rankdata

from tests.estimates.published import GROUPS, essay_table
from tracker.errors import UsageError
from tracker.estimates.factors import Noise, rank_factors
from tracker.estimates.ordering import (
    compare,
    first_of_group,
    group_with_the_first,
    voice_from_draws,
)
from tracker.estimates.voice import Voice

NEVER = -np.inf
worlds = st.integers(1, 6).flatmap(
    lambda k: arrays(
        float,
        st.tuples(st.integers(1, 20), st.just(k)),
        elements=st.sampled_from([NEVER, 0.0, 1.0, 2.5, 4.0]),
    )
)
SIDES = {"a": "safety", "b": "safety", "c": "capabilities", "d": "capabilities"}


def voice_of(draws, name="v", scores=None, groups=SIDES, **more) -> Voice:
    values = np.asarray(draws, dtype=float)
    areas = "abcdefgh"[: values.shape[1]]
    if scores is None:
        scores = np.where(np.isfinite(values), values, -100.0).mean(axis=0)
    return voice_from_draws(
        name, "m", dict(zip(areas, map(float, scores), strict=True)), values, groups, **more
    )


# From draws to a voice


@settings(deadline=None)
@given(worlds)
def test_rank_probabilities_are_distributions_both_ways(draws):
    voice = voice_of(draws)
    matrix = np.array([voice.rank_probabilities[area] for area in voice.coverage])
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    np.testing.assert_allclose(matrix.sum(axis=0), 1.0)
    assert (matrix >= 0).all()


@settings(deadline=None)
@given(worlds)
def test_mean_ranks_are_scipys_average_ranks_and_fit_the_rank_probabilities(draws):
    voice = voice_of(draws)
    ranks = rankdata(np.where(np.isfinite(draws), -draws, 1e9), method="average", axis=1).mean(axis=0)
    np.testing.assert_allclose([voice.mean_rank[area] for area in voice.coverage], ranks)
    for area, row in voice.rank_probabilities.items():
        assert voice.mean_rank[area] == pytest.approx(np.dot(row, np.arange(1, len(row) + 1)))


@settings(deadline=None)
@given(worlds)
def test_a_pair_and_its_reverse_never_exceed_one(draws):
    voice = voice_of(draws)
    for i, one in enumerate(voice.coverage):
        for j, two in enumerate(voice.coverage):
            if i == j:
                assert two not in voice.p_before[one]
                continue
            both = voice.p_before[one][two] + voice.p_before[two][one]
            neither = np.mean(draws[:, i] == draws[:, j])
            assert both == pytest.approx(1.0 - neither)


@settings(deadline=None)
@given(worlds)
def test_how_firm_an_order_is_equals_scipys_mean_tau(draws):
    voice = voice_of(draws)
    finite = np.where(np.isfinite(draws), draws, -1e9)
    base = list(voice.scores.values())
    taus = [
        kendalltau(row, base).statistic
        for row in finite
        if len(base) > 1 and len(set(row)) > 1 and len(set(base)) > 1
    ]
    if taus:
        assert voice.tau_b_self == pytest.approx(np.mean(taus), abs=1e-9)
    else:
        assert voice.tau_b_self is None


@settings(deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(0, 3), min_size=2, max_size=6))
def test_without_ties_in_the_draws_it_is_scipys_too(seed, scores):
    draws = np.random.default_rng(seed).normal(size=(15, len(scores)))
    voice = voice_of(draws, scores=scores)
    if len(set(scores)) == 1:
        assert voice.tau_b_self is None
    else:
        assert voice.tau_b_self == pytest.approx(np.mean([kendalltau(d, scores).statistic for d in draws]))


def test_the_soonest_stands_first_and_equal_scores_go_by_mean_rank():
    voice = voice_of([[1, 2, 3], [1, 5, 4], [1, 5, 4]], scores=[1.0, 4.0, 4.0])
    assert voice.ranking == ("b", "c", "a")


def test_areas_that_never_come_are_before_nothing():
    voice = voice_of([[1.0, NEVER, NEVER]] * 4)
    assert voice.p_before == {"a": {"b": 1.0, "c": 1.0}, "b": {"a": 0.0, "c": 0.0}, "c": {"a": 0.0, "b": 0.0}}
    assert voice.rank_probabilities["b"] == (0.0, 0.5, 0.5)


def test_a_voice_may_know_its_pairs_more_exactly_than_its_draws():
    voice = voice_of([[1.0, 2.0]], p_before=np.array([[0.5, 0.25], [0.75, 0.5]]))
    assert voice.p_before == {"a": {"b": 0.25}, "b": {"a": 0.75}}


def test_groups_are_compared_draw_by_draw():
    draws = [[1, 9, 4, 5], [1, 1, 4, 5], [5, 5, 5, 5], [NEVER, 9, 1, 1]]
    voice = voice_of(draws, scores=[1, 3, 4, 6])
    assert voice.group_means == {"safety": 2.0, "capabilities": 5.0}
    # 5 > 4.5 is false, 4.5 > 1 true, level false, and a mean with "never" in it is never
    assert voice.p_capabilities_first == pytest.approx(2 / 4)


def test_one_group_alone_has_no_other_to_be_before():
    voice = voice_of([[1.0, 2.0]])
    assert voice.group_means == {"safety": 1.5}
    assert voice.p_capabilities_first is None


def test_the_first_of_each_group_and_the_group_with_the_first():
    voice = voice_of([[9, 1, 2, 3], [1, 2, 3, 3], [5, 5, 5, 1], [NEVER, NEVER, NEVER, 1]])
    assert first_of_group(voice, SIDES) == {
        "safety": {"a": 0.25, "b": 0.25},
        "capabilities": {"c": 0.25, "d": 0.5},
    }
    assert group_with_the_first(voice, SIDES) == {"safety": 0.25, "capabilities": 0.5}


def test_a_voice_without_draws_says_nothing_of_firsts():
    silent = Voice("market", "m", reason="nothing seen")
    assert first_of_group(silent, SIDES) == {}
    assert group_with_the_first(silent, SIDES) == {}
    assert group_with_the_first(voice_of([[1.0]]), {}) == {}


@pytest.mark.parametrize(
    ("draws", "scores", "words"),
    [
        ([[1.0, np.nan]], [1, 2], "-inf"),
        ([[1.0, np.inf]], [1, 2], "-inf"),
        ([[1.0, 2.0]], [1, NEVER], "finite"),
        (np.empty((0, 2)), [1, 2], "do not fit"),
    ],
)
def test_draws_that_are_no_worlds_are_refused(draws, scores, words):
    with pytest.raises(ValueError, match=words):
        voice_of(draws, scores=scores)


def test_draws_need_a_column_per_area_and_an_area():
    with pytest.raises(ValueError, match="do not fit 1 areas"):
        voice_from_draws("v", "m", {"a": 1.0}, np.ones((3, 2)), {})
    with pytest.raises(ValueError, match="reason"):
        voice_from_draws("v", "m", {}, np.ones((3, 0)), {})


# Two voices

BASE = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]])


def noisy(seed, scale=1.0):
    return BASE + scale * np.random.default_rng(seed).standard_normal((400, 5))


def test_a_firm_voice_agrees_with_itself_entirely():
    result = compare(voice_of(BASE, "one"), voice_of(BASE, "two"), seed=1)
    assert (result.a, result.b, result.areas) == ("one", "two", tuple("abcde"))
    assert (result.tau_b, result.tau_b_ci90, result.weighted_distance) == (1.0, (1.0, 1.0), 0.0)
    assert result.tau_null_sd == pytest.approx(0.41, abs=0.005)
    assert result.disagreements == ()
    assert result.reason == ""


def test_a_reversed_voice_disagrees_on_every_pair():
    result = compare(voice_of(BASE), voice_of(-BASE), seed=1)
    assert (result.tau_b, result.weighted_distance) == (-1.0, 1.0)
    assert len(result.disagreements) == 10
    assert {(pair.p_a, pair.p_b, pair.weeks) for pair in result.disagreements} == {(1.0, 0.0, None)}


@settings(deadline=None)
@given(st.permutations(range(5)), st.integers(0, 50))
def test_comparing_is_symmetric_and_reversal_changes_the_sign(order, seed):
    a, b = voice_of(noisy(seed)), voice_of(noisy(seed + 1)[:, order])
    there, back = compare(a, b, seed=3, resamples=50), compare(b, a, seed=3, resamples=50)
    assert there.tau_b == pytest.approx(back.tau_b)
    assert there.weighted_distance == pytest.approx(back.weighted_distance)
    assert {(p.first, p.second) for p in there.disagreements} == {
        (p.second, p.first) for p in back.disagreements
    }
    turned = compare(voice_of(-a.draws), b, seed=3, resamples=50)
    assert turned.tau_b == pytest.approx(-there.tau_b)
    assert turned.weighted_distance == pytest.approx(1.0 - there.weighted_distance)


def test_tau_is_scipys_on_the_shared_areas_only():
    a = voice_of(noisy(1))
    scores = {"e": 1.0, "x": 9.0, "a": 3.0, "c": 5.0, "b": 4.0}
    b = voice_from_draws("b", "m", scores, np.tile(list(scores.values()), (3, 1)), {})
    result = compare(a, b, seed=1)
    assert result.areas == ("a", "b", "c", "e")
    expected = kendalltau([a.scores[x] for x in result.areas], [scores[x] for x in result.areas]).statistic
    assert result.tau_b == pytest.approx(expected)
    assert result.tau_null_sd == pytest.approx(0.49, abs=0.005)


def test_fewer_than_four_shared_areas_are_not_compared():
    result = compare(voice_of(BASE), voice_of(BASE[:, :3]), seed=1)
    assert result.areas == ("a", "b", "c")
    assert (result.tau_b, result.tau_b_ci90, result.tau_null_sd, result.weighted_distance) == (None,) * 4
    assert "3 shared areas" in result.reason


def test_a_silent_voice_tells_why_nothing_was_compared():
    result = compare(voice_of(BASE), Voice("market", "m", reason="no linked questions"), seed=1)
    assert result.reason == "0 shared areas, 4 are needed; market: no linked questions"


def test_two_draws_of_the_essays_model_agree_as_an_independent_run_found():
    voice = rank_factors(essay_table(), groups=GROUPS, noise=Noise(draws=20_000, seed=3))
    low, high = compare(voice, voice, seed=4, resamples=20_000).tau_b_ci90
    assert (low, high) == pytest.approx((0.16, 0.82), abs=2 / 45)


def test_the_same_seed_gives_the_same_comparison():
    a, b = voice_of(noisy(1)), voice_of(noisy(2))
    assert compare(a, b, seed=9) == compare(a, b, seed=9)


def test_a_voice_that_ties_everything_has_no_tau():
    result = compare(voice_of(np.ones((3, 4))), voice_of(BASE[:, :4]), seed=1)
    assert (result.tau_b, result.tau_b_ci90, result.weighted_distance) == (None, None, None)
    assert "undefined" in result.reason


def test_scores_within_the_gap_are_level():
    a, b = voice_of([[4.0, 3.0, 2.01, 2.0]]), voice_of([[4.0, 3.0, 1.0, 2.0]])
    assert compare(a, b, seed=1).tau_b == pytest.approx(4 / 6)
    assert compare(a, b, seed=1, tie_gaps=(0.05, 0.0)).tau_b == pytest.approx(
        kendalltau([4, 3, 2, 2], [4, 3, 1, 2]).statistic
    )


def pairwise(p_ab, p_ba=None):
    """A voice on four areas, sure of every pair but the first, on which it gives the stated probabilities."""
    before = np.array([[0.5 if i == j else float(i < j) for j in range(4)] for i in range(4)])
    before[0, 1], before[1, 0] = p_ab, 1.0 - p_ab if p_ba is None else p_ba
    return voice_of([[4.0, 3.0, 2.0, 1.0]], p_before=before)


@pytest.mark.parametrize(
    ("p_a", "p_b", "disagree"),
    [
        (0.65, 0.35, True),
        (0.64, 0.35, False),
        (0.65, 0.36, False),
        (0.9, 0.49, False),
        (0.9, 0.8, False),
        (0.2, 0.7, True),
    ],
)
def test_a_disagreement_needs_both_sides_0_15_from_one_half(p_a, p_b, disagree):
    found = compare(pairwise(p_a), pairwise(p_b), seed=1).disagreements
    assert bool(found) is disagree
    if disagree:
        expected = ("a", "b", p_a, p_b) if p_a > 0.5 else ("b", "a", 1 - p_a, 1 - p_b)
        assert (found[0].first, found[0].second, found[0].p_a, found[0].p_b) == pytest.approx(expected)


def test_mass_on_never_is_no_opinion():
    unsure = pairwise(0.2, 0.1)  # seven in ten: neither; a leads the rest
    assert compare(pairwise(0.9), unsure, seed=1).disagreements == ()
    assert compare(pairwise(0.9), unsure, seed=1).weighted_distance == 0.0


def test_a_coin_flip_pair_costs_nothing():
    sure, flip = pairwise(0.0), pairwise(0.5)
    assert compare(sure, flip, seed=1).weighted_distance == 0.0
    assert compare(sure, pairwise(0.9), seed=1).weighted_distance == pytest.approx(0.2 / (0.2 + 5 * 0.25))


def test_weeks_count_an_unbroken_run_of_the_same_pair_the_same_way():
    a, b = pairwise(0.9), pairwise(0.1)

    def weeks(history):
        return compare(a, b, seed=1, weeks_history=history).disagreements[0].weeks

    same, other, turned = {("a", "b")}, {("c", "d")}, {("b", "a")}
    assert weeks(None) is None
    assert weeks([]) == 1
    assert weeks([same]) == 2
    assert weeks([same, other, same, same | other]) == 3
    assert weeks([same, same, turned]) == 1


def test_voices_without_draws_are_compared_by_their_scores():
    before = {one: {two: float(one < two) for two in "abcd" if two != one} for one in "abcd"}
    scores = dict(zip("abcd", (4.0, 3.0, 2.0, 1.0), strict=True))
    spoken = Voice("panel", "m", scores=scores, p_before=before, coverage=tuple("abcd"))
    assert compare(spoken, spoken, seed=1).tau_b == 1.0
    assert compare(spoken, spoken, seed=1).tau_b_ci90 is None
    low, high = compare(spoken, voice_of(noisy(1)[:, :4]), seed=1).tau_b_ci90
    assert -1 <= low < high <= 1


def test_resampling_needs_a_sample():
    with pytest.raises(UsageError, match="resamples"):
        compare(voice_of(BASE), voice_of(BASE), seed=1, resamples=0)
