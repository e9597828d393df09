"""Who comes first, from dates: closed forms, Monte Carlo and a transport programme as references."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import linprog
from scipy.stats import norm

from questions.records import Distribution
from tracker.errors import UsageError
from tracker.estimates.races import RHO_GRID, DateCdf, Field

GRID = tuple(np.linspace(0.0, 20.0, 81))


def exponential(rate, grid=GRID):
    return DateCdf(grid, tuple(-np.expm1(-rate * np.asarray(grid))))


def field(**marginals):
    return Field.of(marginals)


@st.composite
def cdfs(draw, points=6):
    rises = draw(st.lists(st.integers(0, 5), min_size=points, max_size=points))
    total = sum(rises) + draw(st.integers(1, 6))
    return DateCdf(tuple(map(float, range(points))), tuple((np.cumsum(rises) / total).tolist()))


def test_two_exponential_clocks_race_as_their_rates():
    """P(A first by h) = a / (a + b) (1 - exp(-(a + b) h))."""
    grid = tuple(np.linspace(0.0, 20.0, 2_001))
    race = field(a=exponential(0.3, grid), b=exponential(0.1, grid)).race("a", "b")
    assert race.first == pytest.approx(0.75 * -np.expm1(-0.4 * 20), abs=1e-5)
    assert race.neither == pytest.approx(np.exp(-0.4 * 20), abs=1e-9)
    assert race.first_if_any == pytest.approx(0.75, abs=1e-5)


def test_straight_lines_are_integrated_exactly():
    """U(0, 2) against U(1, 3): P(A first) = 7/8."""
    a = DateCdf((0.0, 1.0, 2.0, 3.0), (0.0, 0.5, 1.0, 1.0))
    b = DateCdf((0.0, 1.0, 2.0, 3.0), (0.0, 0.0, 0.5, 1.0))
    assert field(a=a, b=b).race("a", "b").first == pytest.approx(7 / 8)


@settings(deadline=None, max_examples=40)
@given(cdfs(), cdfs(), st.sampled_from([-0.9, -0.3, 0.0, 0.4, 0.95]))
def test_the_four_outcomes_sum_to_one_and_a_swap_mirrors_them(one, two, rho):
    both = field(a=one, b=two)
    race, back = both.race("a", "b", rho), both.race("b", "a", rho)
    assert race.first + race.second + race.both_already + race.neither == pytest.approx(1, abs=1e-9)
    assert (race.first, race.second) == pytest.approx((back.second, back.first), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(cdfs(), cdfs(), st.sampled_from([-0.95, -0.5, 0.0, 0.5, 0.95]))
def test_every_dependence_stays_inside_the_bounds(one, two, rho):
    both = field(a=one, b=two)
    least, most = both.bounds()
    assert least[0, 1] - 1e-3 <= both.race("a", "b", rho).first <= most[0, 1] + 1e-3


@settings(deadline=None, max_examples=8, derandomize=True)
@given(cdfs(points=4), cdfs(points=4))
def test_the_bounds_are_those_of_a_transport_programme(one, two):
    """Masses: already, a slice in each interval (A's and B's alternate finely), never; all couplings."""
    both = field(a=one, b=two)
    least, most = both.bounds()
    cuts = 16
    fine = np.linspace(0.0, 3.0, 3 * cuts + 1)
    mass = []
    for cdf in (one, two):
        at = cdf.at(fine)
        mass.append(np.concatenate([[at[0]], np.diff(at), [1 - at[-1]]]))
    n = len(mass[0])
    i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    first = (i < j).astype(float).ravel()
    keep = (mass[0][:, None] > 0) & (mass[1][None, :] > 0)
    rows = np.flatnonzero(keep.ravel())
    matrix = np.zeros((2 * n, len(rows)))
    matrix[rows // n, np.arange(len(rows))] = 1
    matrix[n + rows % n, np.arange(len(rows))] = 1
    right = np.concatenate(mass)
    sides = [linprog(sign * first[rows], A_eq=matrix, b_eq=right).fun * sign for sign in (1, -1)]
    # inside one thin slice the programme cannot tell who is first
    slack = 2 * max(np.diff(one.at(fine)).max(), np.diff(two.at(fine)).max()) + 1e-9
    assert sides[0] == pytest.approx(least[0, 1], abs=slack)
    assert sides[1] == pytest.approx(most[0, 1], abs=slack)


@pytest.mark.parametrize("rho", RHO_GRID)
def test_the_copula_agrees_with_draws(rho):
    marginals = {"a": exponential(0.2), "b": exponential(0.12), "c": exponential(0.05)}
    found = field(**marginals).p_before(rho)
    random = np.random.default_rng(7)
    shared, own = random.standard_normal((400_000, 1)), random.standard_normal((400_000, 3))
    u = norm.cdf(np.sqrt(rho) * shared + np.sqrt(1 - rho) * own)
    times = np.column_stack(
        [
            np.where(u[:, i] > one.cdf[-1], np.inf, np.interp(u[:, i], one.cdf, one.times))
            for i, one in enumerate(marginals.values())
        ]
    )
    for i in range(3):
        for j in range(3):
            assert found[i, j] == pytest.approx(np.mean(times[:, i] < times[:, j]), abs=0.003)


def test_dependence_makes_the_leader_surer_and_neither_likelier():
    both = field(a=exponential(0.2), b=exponential(0.1))
    firsts = [both.race("a", "b", rho) for rho in (-0.6, 0.0, 0.6, 0.9)]
    assert all(x.first_if_any < y.first_if_any for x, y in itertools.pairwise(firsts))
    assert all(x.neither < y.neither for x, y in itertools.pairwise(firsts))


@pytest.mark.parametrize("rho", [-0.8, -0.2, 0.1, 0.5, 0.9])
def test_a_pair_inside_the_bounds_tells_its_correlation(rho):
    both = field(a=exponential(0.2), b=exponential(0.12))
    stated = both.race("a", "b", rho).first
    assert min(abs(found - rho) for found in both.implied_rho("a", "b", stated)) < 1e-3


def test_a_pair_outside_the_bounds_has_none():
    both = field(a=exponential(0.2), b=exponential(0.1))
    least, most = both.bounds()
    assert both.implied_rho("a", "b", least[0, 1] / 2) == ()
    assert both.implied_rho("a", "b", (1 + most[0, 1]) / 2) == ()


def test_without_a_deadline_what_is_first_after_the_last_time_counts_too():
    """Exponential clocks read for 5 years only: their race without an end lies in the wider bounds alone."""
    fast, slow = 0.02, 0.01
    both = field(
        a=exponential(fast, np.linspace(0.0, 5.0, 40)), b=exponential(slow, np.linspace(0.0, 5.0, 40))
    )
    (least, most), (wide_least, wide_most) = both.bounds(), both.bounds(beyond=True)
    endless = fast / (fast + slow)
    assert most[0, 1] < endless < wide_most[0, 1] <= 1.0
    assert wide_least[0, 1] == least[0, 1] <= endless
    assert wide_most[0, 1] == pytest.approx(1.0)  # B is never ahead


def test_a_matrix_equals_its_pairs():
    all_three = field(a=exponential(0.2), b=exponential(0.12), c=exponential(0.3))
    matrix = all_three.p_before(0.6)
    assert matrix[0, 2] == pytest.approx(all_three.race("a", "c", 0.6).first, abs=1e-12)
    assert np.diag(matrix).tolist() == [0, 0, 0]


def test_a_stored_distribution_and_draws_become_dates():
    stored = Distribution(x=(0.0, 10.0, 20.0), cdf=(0.1, 0.4, 0.7), unit="date")
    assert DateCdf.from_distribution(stored).cdf == (0.1, 0.4, 0.7)
    drawn = DateCdf.from_draws(np.array([1.0, 3.0, np.inf, 2.0]), (0.0, 2.0, 4.0))
    assert drawn.cdf == (0.0, 0.5, 0.75)


def test_different_grids_meet_on_the_stretch_they_share():
    early, late = DateCdf((0.0, 10.0), (0.0, 1.0)), DateCdf((5.0, 15.0), (0.0, 1.0))
    race = field(early=early, late=late).race("early", "late")
    assert race.first == pytest.approx(0.5 + 0.5 * 0.75)
    assert race.second == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("times", "cdf", "said"),
    [
        ((0.0, 1.0), (0.5, 0.4), "fall"),
        ((0.0, 0.0), (0.1, 0.4), "rise"),
        ((0.0, 1.0), (0.5, 1.4), "point 2"),
        ((0.0,), (0.5,), "two or more"),
        ((0.0, float("nan")), (0.5, 0.6), "point 2"),
    ],
)
def test_what_is_no_distribution_is_refused_with_its_place(times, cdf, said):
    with pytest.raises(UsageError, match=said):
        DateCdf(times, cdf)


def test_wrong_races_are_refused():
    both = field(a=exponential(0.2), b=exponential(0.1))
    for call in (
        lambda: both.race("a", "c"),
        lambda: both.race("a", "a"),
        lambda: both.race("a", "b", 1.0),
        lambda: both.p_before(-0.1),
        lambda: Field.of({}),
        lambda: field(a=DateCdf((0.0, 1.0), (0.0, 1.0)), b=DateCdf((2.0, 3.0), (0.0, 1.0))),
    ):
        with pytest.raises(UsageError):
            call()
