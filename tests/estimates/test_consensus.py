"""Pairs become orders: choix, brute force and hand-made cases as references."""

from itertools import permutations

import choix
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from tracker.errors import UsageError
from tracker.estimates.coherence import cycles, out_of_bounds, repaired, sum_gaps, triangles
from tracker.estimates.consensus import bradley_terry, hodge, kemeny, plackett_luce

NAMES = "abcdefgh"


def from_scores(scores):
    scores = np.asarray(scores, dtype=float)
    return expit(scores[:, None] - scores[None, :])


def joint(draws):
    """Pair probabilities of a joint distribution, hence coherent."""
    return (draws[:, :, None] < draws[:, None, :]).mean(axis=0)


@st.composite
def matrices(draw, size=5):
    """Any pair probabilities, each pair summing to at most 1."""
    raw = draw(arrays(float, (size, size), elements=st.floats(0, 1)))
    total = np.maximum(1.0, raw + raw.T)
    return np.where(np.eye(size, dtype=bool), 0, raw / total)


# HodgeRank and Bradley-Terry


def test_pairs_that_come_from_scores_give_them_back():
    scores = np.array([1.2, 0.1, -0.4, -0.9])
    found = hodge(from_scores(scores))
    np.testing.assert_allclose(found.scores, scores - scores.mean(), atol=1e-9)
    assert found.inconsistency == pytest.approx(0, abs=1e-12)
    assert all(abs(size) < 1e-9 for _, size in found.loops)


def test_a_pure_cycle_is_all_inconsistency():
    cycle = np.array([[0.5, 0.8, 0.2], [0.2, 0.5, 0.8], [0.8, 0.2, 0.5]])
    found = hodge(cycle)
    np.testing.assert_allclose(found.scores, 0, atol=1e-12)
    assert found.inconsistency == pytest.approx(1)
    assert found.loops[0][1] == pytest.approx(3 * np.log(4))


def test_weighted_least_squares_is_what_numpys_solver_gives():
    random = np.random.default_rng(2)
    p = from_scores(random.normal(size=6))
    p = np.clip(p + random.normal(0, 0.1, p.shape), 0.05, 0.95)
    p = np.triu(p, 1) + np.tril(1 - p.T, -1)
    weights = random.uniform(0.1, 2, (6, 6))
    weights = weights + weights.T
    pairs = [(i, j) for i in range(6) for j in range(i)]
    design = np.array([[(c == i) - (c == j) for c in range(6)] for i, j in pairs], dtype=float)
    root = np.sqrt([weights[pair] for pair in pairs])
    target = np.array([np.log(p[pair] / (1 - p[pair])) for pair in pairs])
    solved = np.linalg.lstsq(design * root[:, None], target * root, rcond=None)[0]
    np.testing.assert_allclose(hodge(p, weights).scores, solved - solved.mean(), atol=1e-9)


def test_a_pair_nobody_ever_wins_counts_for_nothing():
    p = from_scores([1.0, 0.0, -1.0])
    p[0, 2] = p[2, 0] = 0.0
    np.testing.assert_allclose(hodge(p).scores, [1, 0, -1], atol=1e-9)


def test_bradley_terry_is_choixs():
    random = np.random.default_rng(3)
    wins = random.integers(1, 30, (7, 7)).astype(float)
    np.fill_diagonal(wins, 0)
    ours, covariance = bradley_terry(wins, prior_wins=0)
    np.testing.assert_allclose(ours, choix.ilsr_pairwise_dense(wins), atol=1e-6)
    np.testing.assert_allclose(covariance.sum(axis=0), 0, atol=1e-9)


def test_bradley_terry_of_certain_wins_needs_its_prior():
    sweep = np.array([[0.0, 5.0], [0.0, 0.0]])
    with pytest.raises(UsageError, match="prior"):
        bradley_terry(sweep, prior_wins=0)
    strengths, _ = bradley_terry(sweep)
    assert strengths[0] - strengths[1] == pytest.approx(np.log(5.5 / 0.5))


def test_its_errors_are_those_of_the_likelihood():
    """Two areas: variance of the difference = 1 / (n p (1 - p))."""
    _, covariance = bradley_terry(np.array([[0.0, 30.0], [10.0, 0.0]]), prior_wins=0)
    difference = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert difference == pytest.approx(1 / (40 * 0.75 * 0.25))


# Kemeny


@settings(deadline=None, max_examples=40)
@given(matrices())
def test_the_consensus_order_is_the_best_of_all_orders(p):
    order, cost = kemeny(p)
    costs = [
        sum(p[later, earlier] for i, earlier in enumerate(way) for later in way[i + 1 :])
        for way in permutations(range(5))
    ]
    assert cost == pytest.approx(min(costs))
    assert sum(p[b, a] for i, a in enumerate(order) for b in order[i + 1 :]) == pytest.approx(cost)


def test_all_methods_agree_where_there_is_one_order():
    p = from_scores([0.3, 2.0, -1.0, 1.0])
    assert kemeny(p)[0] == (1, 3, 0, 2)
    assert np.argsort(-hodge(p).scores).tolist() == [1, 3, 0, 2]
    assert np.argsort(-bradley_terry(p)[0]).tolist() == [1, 3, 0, 2]


def test_too_many_areas_for_an_exact_order_are_refused():
    with pytest.raises(UsageError, match="14"):
        kemeny(np.full((15, 15), 0.5))


# Plackett-Luce


def test_many_rankings_give_their_strengths_back():
    random = np.random.default_rng(5)
    true = np.array([1.5, 0.5, 0.0, -0.5, -1.5])
    rankings = (-(true + random.gumbel(size=(4_000, 5)))).argsort(axis=1).tolist()
    partial = [ranking[: 2 + i % 4] for i, ranking in enumerate(rankings)]
    np.testing.assert_allclose(plackett_luce(rankings, 5, prior=1e-6), true, atol=0.08)
    assert np.argsort(-plackett_luce(partial, 5)).tolist()[0] == 0


def test_a_ranking_of_two_is_a_single_comparison():
    three_to_one = [[0, 1]] * 3 + [[1, 0]]
    strengths = plackett_luce(three_to_one, 2, prior=1e-9)
    assert strengths[0] - strengths[1] == pytest.approx(np.log(3), abs=1e-4)


@pytest.mark.parametrize("rankings", [[], [[0]], [[0, 0]], [[0, 7]], [[0, -1]]])
def test_what_is_no_ranking_is_refused(rankings):
    with pytest.raises(UsageError):
        plackett_luce(rankings, 3)


# Coherence


@settings(deadline=None, max_examples=40)
@given(arrays(float, (30, 5), elements=st.sampled_from([1.0, 2.0, 3.0, 4.0, np.inf])))
def test_what_comes_from_one_joint_distribution_breaks_nothing(draws):
    p = joint(draws)
    neither = 1 - p - p.T
    assert sum_gaps(NAMES[:5], p, neither) == ()
    assert triangles(NAMES[:5], p) == ()
    _fixed, change = repaired(p, neither)
    assert change == pytest.approx(0, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(matrices())
def test_repaired_pairs_break_nothing_and_cost_no_more_than_an_even_coin(p):
    fixed, change = repaired(p)
    assert triangles(NAMES[:5], fixed) == ()
    assert sum_gaps(NAMES[:5], fixed) == ()
    assert change == pytest.approx(np.abs(fixed - p)[~np.eye(5, dtype=bool)].sum(), abs=1e-7)
    half = (p + p.T) / 2  # always coherent: every pair level
    assert change <= np.abs(half - p)[~np.eye(5, dtype=bool)].sum() + 1e-7


def test_a_broken_triangle_is_named_and_repaired_by_its_excess():
    p = np.array([[0, 0.9, 0.2], [0.1, 0, 0.9], [0.8, 0.1, 0]])
    (worst,) = triangles("abc", p)
    assert (worst.a, worst.b, worst.c) == ("a", "b", "c")
    assert worst.excess == pytest.approx(0.9 + 0.9 - 0.2 - 1)
    fixed, change = repaired(p)
    assert change == pytest.approx(2 * worst.excess)  # a pair and its reverse move together
    np.testing.assert_allclose((fixed + fixed.T)[~np.eye(3, dtype=bool)], 1)


def test_sums_above_one_and_unexplained_sums_are_named():
    p = np.array([[0, 0.7], [0.5, 0]])
    assert sum_gaps("ab", p)[0].excess == pytest.approx(0.2)
    assert sum_gaps("ab", p / 2) == ()
    assert sum_gaps("ab", p / 2, np.zeros((2, 2)))[0].excess == pytest.approx(-0.4)


def test_cycles_are_named_and_orders_have_none():
    cycle = np.array([[0, 0.6, 0.4, 0.9], [0.4, 0, 0.6, 0.9], [0.6, 0.4, 0, 0.9], [0.1, 0.1, 0.1, 0]])
    assert cycles("abcd", cycle) == (("a", "b", "c"),)
    assert triangles("abcd", cycle) == ()  # a cycle can be coherent
    assert cycles("abcd", from_scores([1, 2, 3, 4])) == ()


def test_a_cycle_of_four_with_level_diagonals_is_found():
    p = np.full((4, 4), 0.5)
    for i in range(4):
        p[i, (i + 1) % 4], p[(i + 1) % 4, i] = 0.7, 0.3
    assert cycles("abcd", p) == (("a", "b", "c", "d"),)


def test_pairs_that_dates_rule_out_are_named_and_unstated_ones_passed_over():
    stated = np.array([[0, 0.9, np.nan], [0.1, 0, 0.3], [np.nan, 0.3, 0]])
    least, most = np.full((3, 3), 0.2), np.full((3, 3), 0.8)
    found = {(one.first, one.second) for one in out_of_bounds("abc", stated, least, most)}
    assert found == {("a", "b"), ("b", "a")}
