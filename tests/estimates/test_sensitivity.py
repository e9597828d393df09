"""How little turns the internal model's order: published figures, and a general solver as a reference."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import linprog

from questions.model import FactorTable
from tests.estimates.published import essay_table
from tracker.errors import UsageError
from tracker.estimates.factors import factor_scores
from tracker.estimates.sensitivity import nearest_weights, neighbours, smallest_swap

TABLE = essay_table()
BASE = factor_scores(TABLE)
ORDER = sorted(BASE, key=BASE.__getitem__, reverse=True)
PUBLISHED = {
    ("data_generation", "post_training"): (
        0.008,
        0.03,
        {"task_length": 0.94, "insight_vs_engineering": 1.47, "feedback_quality": 2.55,
         "compute_vs_labour": 2.64, "scheming_risk": 0.36, "economic_incentive": 0.69, "data_availability": 0.31},
    ),
    ("dangerous_capability_evals", "ai_control"): (
        0.148,
        0.51,
        {"insight_vs_engineering": 0.65, "task_length": 0.07, "feedback_quality": 4.18, "compute_vs_labour": 5.05},
    ),
    ("interpretability", "pretraining_algorithms"): (
        0.161,
        0.55,
        {"scheming_risk": 0.60, "economic_incentive": 0.75, "compute_vs_labour": 2.26, "feedback_quality": 2.88,
         "data_availability": 0.68, "task_length": 0.69, "insight_vs_engineering": 2.39},
    ),
}  # fmt: skip


@pytest.mark.parametrize("pair", PUBLISHED, ids=" > ".join)
def test_fragile_pairs_turn_at_the_published_single_values(pair):
    gap, points, weights = PUBLISHED[pair]
    swap = smallest_swap(TABLE, *pair)
    assert (swap.first, swap.second) == pair
    assert swap.gap == pytest.approx(gap, abs=0.0006)
    assert swap.single_scores["feedback_quality"] == pytest.approx(points, abs=0.005)
    for factor, value in weights.items():
        assert swap.single_weights[factor] == pytest.approx(value, abs=0.011), factor


def test_a_pair_is_the_same_whichever_way_it_is_named():
    assert smallest_swap(TABLE, "post_training", "data_generation") == smallest_swap(
        TABLE, "data_generation", "post_training"
    )


def test_single_weights_level_the_pair():
    for swap in neighbours(TABLE):
        for factor, value in swap.single_weights.items():
            scores = factor_scores(TABLE, {factor: value})
            assert scores[swap.first] == pytest.approx(scores[swap.second], abs=1e-9)


def tables(areas=("one", "two")):
    score = st.integers(1, 10).map(float)
    return (
        st.integers(2, 6)
        .flatmap(
            lambda k: st.tuples(
                st.lists(st.integers(1, 20).map(float), min_size=k, max_size=k),
                st.lists(st.tuples(*[score] * len(areas)), min_size=k, max_size=k),
            )
        )
        .map(
            lambda drawn: FactorTable(
                version="t",
                source_url="https://example.org",
                weights={f"f{i}": weight for i, weight in enumerate(drawn[0])},
                scores={f"f{i}": dict(zip(areas, row, strict=True)) for i, row in enumerate(drawn[1])},
            )
        )
    )


@settings(deadline=None, max_examples=60)
@given(tables())
def test_the_least_weight_moved_is_what_a_general_solver_finds(table):
    swap = smallest_swap(table, "one", "two")
    stated = np.array(list(table.weights.values()))
    shares = stated / stated.sum()
    d = np.array([row[swap.first] - row[swap.second] for row in table.scores.values()])
    k = len(d)
    # w = shares + up - down, up and down at least 0, w.d = 0, sum w = 1, w at least 0
    found = linprog(
        np.ones(2 * k),
        A_ub=np.hstack([-np.eye(k), np.eye(k)]),
        b_ub=shares,
        A_eq=np.array([np.concatenate([d, -d]), np.concatenate([np.ones(k), -np.ones(k)])]),
        b_eq=[-shares @ d, 0.0],
        bounds=(0, None),
    )
    if swap.moved_share is None:
        assert found.status == 2
    else:
        assert found.fun / 2 == pytest.approx(swap.moved_share, abs=1e-7)
        new = np.array(list(swap.weights.values()))
        assert new @ d == pytest.approx(0, abs=1e-9)
        assert (new >= -1e-12).all()
        assert new.sum() == pytest.approx(1)


def test_the_euclidean_distance_is_reached_by_the_projected_step():
    swap = smallest_swap(TABLE, "data_generation", "post_training")
    stated = np.array(list(TABLE.weights.values()))
    shares = stated / stated.sum()
    d = np.array([row[swap.first] - row[swap.second] for row in TABLE.scores.values()])
    across = d - d.mean()
    step = -swap.gap * across / (across @ across)
    assert np.linalg.norm(step) == pytest.approx(swap.distance)
    assert (shares + step) @ d == pytest.approx(0, abs=1e-12)
    assert step.sum() == pytest.approx(0, abs=1e-12)


def test_an_area_better_on_every_factor_leads_under_any_weights():
    assert smallest_swap(TABLE, "agent_scaffolding", "data_generation").moved_share is not None
    rows = {f: {"one": 6.0, "two": 5.0} for f in ("f", "g")}
    table = FactorTable(
        version="t", source_url="https://example.org", weights={"f": 1.0, "g": 2.0}, scores=rows
    )
    swap = smallest_swap(table, "one", "two")
    assert (swap.moved_share, swap.weights, swap.distance) == (None, None, None)
    assert not swap.single_weights


def test_the_models_own_order_needs_no_other_weights():
    found = nearest_weights(TABLE, ORDER)
    assert found.moved_share == pytest.approx(0, abs=1e-9)


def test_nearest_weights_give_the_order_asked_for():
    asked = ("dangerous_capability_evals", "post_training", "alignment_theory")
    found = nearest_weights(TABLE, asked, margin=0.01)
    scores = factor_scores(TABLE, found.weights)
    assert [area for area in sorted(scores, key=scores.__getitem__, reverse=True) if area in asked] == list(
        asked
    )
    assert 0 < found.moved_share < 1


def test_for_a_pair_the_programme_and_the_closed_form_agree():
    for swap in neighbours(TABLE):
        found = nearest_weights(TABLE, (swap.second, swap.first))
        assert found.moved_share == pytest.approx(swap.moved_share, abs=1e-7)


def test_an_order_no_weights_give_is_a_finding():
    found = nearest_weights(TABLE, tuple(reversed(ORDER)))
    assert found.weights is None
    assert found.moved_share is None
    assert "no weights" in found.reason


def test_wrong_areas_are_refused():
    for call in (
        lambda: smallest_swap(TABLE, "cooking", "ai_control"),
        lambda: smallest_swap(TABLE, "ai_control", "ai_control"),
        lambda: nearest_weights(TABLE, ("ai_control", "ai_control")),
        lambda: nearest_weights(TABLE, ("cooking",)),
    ):
        with pytest.raises(UsageError):
            call()
