"""Versions of the internal model against the figures the essay's discussion is checked with."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from questions.model import FactorTable
from tests.estimates.published import GROUPS, essay_table
from tracker.errors import UsageError
from tracker.estimates.factors import (
    WEIGHT_LAWS,
    Noise,
    central_weights,
    draw_model,
    draw_weights,
    factor_scores,
    rank_factors,
    table_digest,
)
from tracker.estimates.kendall import tau_b
from tracker.estimates.ordering import generator
from tracker.estimates.versions import add_factors, chosen, mix_raters, model_versions, rank_version

TABLE = essay_table()
VERSIONS = model_versions(TABLE, GROUPS)
BASE = factor_scores(TABLE)


def group_means(scores):
    return tuple(
        np.mean([score for area, score in scores.items() if GROUPS[area] == group])
        for group in ("safety", "capabilities")
    )


def order(scores):
    return sorted(scores, key=scores.__getitem__, reverse=True)


def rows(version, weights, scores):
    return FactorTable(version=version, source_url="https://example.org", weights=weights, scores=scores)


def eighth(weight):
    """Quantity over quality, with scores for illustration."""
    scores = dict(zip(TABLE.areas, (4, 1, 4, 8, 8, 2, 5, 9, 5, 4), strict=True))
    return rows("quantity", {"quantity_over_quality": weight}, {"quantity_over_quality": scores})


def test_the_declared_versions_are_all_there_and_differ_from_the_base():
    assert {
        "base",
        "equal-weights",
        "scheming-0",
        "scheming-double",
        "scheming-mixture",
        "racing",
        "slow-feedback",
        "short-safety-tasks",
    } | {f"without-{factor}" for factor in TABLE.factors} == set(VERSIONS)
    others = [
        version.digest for name, version in VERSIONS.items() if name not in ("base", "without-scheming_risk")
    ]
    assert len(set(others)) == len(others)
    assert VERSIONS["base"].digest not in others
    assert VERSIONS["without-scheming_risk"].digest == VERSIONS["scheming-0"].digest


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("base", (5.2078, 6.4475)),
        ("scheming-0", (5.403, 6.342)),
        ("scheming-double", (5.03, 6.54)),
        ("equal-weights", (4.34, 7.02)),
        ("without-feedback_quality", (5.937, 6.016)),
    ],
)
def test_group_means_of_the_versions(name, means):
    assert group_means(VERSIONS[name].scores()) == pytest.approx(means, abs=0.0051)


def test_slow_feedback_puts_training_efficiency_first_and_drops_the_others():
    scores = VERSIONS["slow-feedback"].scores()
    assert scores["agent_scaffolding"] == pytest.approx(6.77, abs=0.005)
    assert scores["post_training"] == pytest.approx(5.63, abs=0.005)
    assert scores["data_generation"] == pytest.approx(5.64, abs=0.005)
    assert order(scores)[:4] == [
        "training_efficiency",
        "agent_scaffolding",
        "dangerous_capability_evals",
        "ai_control",
    ]


def test_short_safety_tasks_lift_every_safety_area_by_the_weights_share():
    scores = VERSIONS["short-safety-tasks"].scores()
    for area, score in scores.items():
        assert score - BASE[area] == pytest.approx(1 / 8.6 if GROUPS[area] == "safety" else 0.0)


def test_racing_needs_a_weight_of_6_58_to_turn_the_first_two():
    assert order(VERSIONS["racing"].scores())[:2] == ["training_efficiency", "agent_scaffolding"]
    assert order(factor_scores(TABLE, {"economic_incentive": 6.57}))[0] == "agent_scaffolding"


def test_a_mixture_lies_between_its_parts_and_draws_equally_from_both():
    mixed = VERSIONS["scheming-mixture"]
    parts = [factor_scores(table) for table in mixed.tables]
    for area, score in mixed.scores().items():
        assert score == pytest.approx((parts[0][area] + parts[1][area]) / 2)
    voice = rank_version(mixed, groups=GROUPS, noise=Noise(weight_sd=0, score_sd=0, draws=1001, seed=1))
    column = voice.draws[:, voice.coverage.index("ai_control")]
    found = dict(zip(*np.unique(column.round(6), return_counts=True), strict=True))
    assert sorted(found.values()) == [500, 501]
    assert sorted(found) == pytest.approx(sorted(part["ai_control"] for part in parts), abs=1e-6)


def test_only_the_close_orders_differ_between_the_parts_of_the_mixture():
    """data, post-training and evaluations; interpretability and pre-training: no other pair turns."""
    without, twice = (factor_scores(VERSIONS[name].tables[0]) for name in ("scheming-0", "scheming-double"))
    turned = {
        frozenset((a, b)) for a in BASE for b in BASE if without[a] > without[b] and twice[a] < twice[b]
    }
    assert turned == {
        frozenset(("dangerous_capability_evals", "data_generation")),
        frozenset(("data_generation", "post_training")),
        frozenset(("interpretability", "pretraining_algorithms")),
    }


def test_weights_by_hand_do_not_go_with_a_mixture():
    with pytest.raises(UsageError, match="mixes"):
        rank_version(
            VERSIONS["scheming-mixture"],
            weight_overrides={"task_length": 2},
            groups=GROUPS,
            noise=Noise(seed=1),
        )


def test_a_version_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(UsageError, match="scheming-mixture"):
        chosen(VERSIONS, "schming")


# The eighth factor


@pytest.mark.parametrize(
    ("weight", "area", "place"), [(1.0, "dangerous_capability_evals", 4), (1.5, "data_generation", 2)]
)
def test_an_eighth_factor_lifts_what_it_is_said_to_lift(weight, area, place):
    assert order(factor_scores(add_factors(TABLE, eighth(weight)))).index(area) + 1 == place


def test_an_eighth_factor_of_2_5_puts_data_first_and_evaluations_third():
    scores = factor_scores(add_factors(TABLE, eighth(2.5)))
    assert order(scores)[0] == "data_generation"
    assert order(scores)[2] == "dangerous_capability_evals"
    safety, capabilities = group_means(scores)
    assert 0.8 < capabilities - safety < 1.2


def test_an_added_factor_of_next_to_no_weight_changes_nothing_and_a_known_name_is_refused():
    assert factor_scores(add_factors(TABLE, eighth(1e-12))) == pytest.approx(BASE)
    with pytest.raises(UsageError, match="task_length"):
        add_factors(TABLE, TABLE)


# Raters


def test_raters_mix_five_to_three():
    high = rows("h", {"f": 1.0}, {"f": dict.fromkeys(TABLE.areas, 9.0)})
    low = rows("a", {"f": 1.0}, {"f": dict.fromkeys(TABLE.areas, 1.0)})
    mid = rows("b", {"f": 1.0}, {"f": dict.fromkeys(TABLE.areas, 5.0)})
    assert set(mix_raters(high, [low]).scores["f"].values()) == {6.0}
    assert set(mix_raters(high, [low, mid]).scores["f"].values()) == {(45 + 3 * 3) / 8}
    assert mix_raters(high, []) is high
    with pytest.raises(UsageError, match="same factors"):
        mix_raters(high, [TABLE])


# Laws of weights


@pytest.mark.parametrize("law", WEIGHT_LAWS)
def test_drawn_weights_are_shares_and_absent_factors_stay_absent(law):
    stated = np.array([1.0, 0.0, 2.5, 0.4])
    drawn = draw_weights(stated, law, 0.5, 4_000, generator(1))
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0)
    assert (drawn >= 0).all()
    assert (drawn[:, 1] == 0).all()


def test_the_centred_law_has_the_stated_mean_and_the_asked_spread():
    stated = np.full(7, 2.0)
    drawn = draw_weights(stated, "centred", 0.5, 200_000, generator(3))
    np.testing.assert_allclose(drawn.mean(axis=0), 1 / 7, rtol=0.01)
    np.testing.assert_allclose(drawn.std(axis=0) * 7, 0.5, rtol=0.02)
    uneven = np.array(list(TABLE.weights.values()))
    drawn = draw_weights(uneven, "centred", 0.5, 200_000, generator(4))
    np.testing.assert_allclose(drawn.mean(axis=0), uneven / uneven.sum(), rtol=0.03)


def test_the_uniform_law_is_flat_on_the_simplex():
    """Each share of k has the law Beta(1, k - 1): mean 1/k, P(share > x) = (1 - x)^(k - 1)."""
    drawn = draw_weights(np.ones(7), "uniform", 0.5, 100_000, generator(5))
    np.testing.assert_allclose(drawn.mean(axis=0), 1 / 7, rtol=0.02)
    assert (drawn > 0.3).mean() == pytest.approx(0.7**6, abs=0.003)


def test_a_centred_law_wider_than_the_simplex_allows_is_refused():
    with pytest.raises(UsageError, match="below"):
        rank_factors(TABLE, groups=GROUPS, noise=Noise(law="centred", weight_sd=3.0, seed=1))


@pytest.mark.parametrize("law", ["lognormal", "centred"])
def test_without_noise_the_order_is_certain(law):
    voice = rank_factors(
        TABLE, groups=GROUPS, noise=Noise(law=law, weight_sd=0, score_sd=0, draws=100, seed=1)
    )
    assert {p for row in voice.rank_probabilities.values() for p in row} == {0.0, 1.0}


def test_central_weights_favour_an_area_and_average_back_to_all_weights():
    weights, scores = draw_model(TABLE, None, Noise(law="uniform", score_sd=0, draws=20_000, seed=2))
    central = central_weights(TABLE, weights, scores)
    theory, scaffolding = central["alignment_theory"], central["agent_scaffolding"]
    assert theory["compute_vs_labour"] > 0.5 > scaffolding["compute_vs_labour"]
    assert central["pretraining_algorithms"] is None or sum(
        central["pretraining_algorithms"].values()
    ) == pytest.approx(1)
    first = np.bincount(scores.argmax(axis=1), minlength=10) / len(scores)
    total = np.zeros(7)
    for share, area in zip(first, TABLE.areas, strict=True):
        if central[area]:
            total += share * np.array(list(central[area].values()))
    np.testing.assert_allclose(total, weights.mean(axis=0), rtol=1e-9)


def test_only_compute_alone_makes_theory_first_so_its_central_weights_reproduce_it():
    weights, scores = draw_model(TABLE, None, Noise(law="uniform", score_sd=0, draws=20_000, seed=2))
    for area, central in central_weights(TABLE, weights, scores).items():
        if central is not None:
            assert order(factor_scores(TABLE, central))[0] == area


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.sampled_from(WEIGHT_LAWS))
def test_identical_areas_share_their_ranks(seed, law):
    scores = {f: dict.fromkeys(("one", "two"), row["ai_control"]) for f, row in TABLE.scores.items()}
    twins = rows("twins", TABLE.weights, scores)
    voice = rank_factors(twins, groups={}, noise=Noise(law=law, draws=4_000, seed=seed))
    assert voice.p_before["one"]["two"] == pytest.approx(0.5, abs=0.05)


def test_digests_tell_tables_apart_by_content_not_by_name():
    renamed = TABLE.model_copy(update={"version": "other"})
    assert table_digest(renamed) == table_digest(TABLE)
    assert table_digest(VERSIONS["scheming-0"].tables[0]) != table_digest(TABLE)


def test_all_versions_keep_some_of_the_order():
    taus = {
        name: float(tau_b(list(v.scores().values()), list(BASE.values()))) for name, v in VERSIONS.items()
    }
    assert taus["base"] == 1
    assert taus["equal-weights"] == pytest.approx(0.82, abs=0.005)
    assert taus["without-feedback_quality"] == pytest.approx(0.51, abs=0.005)
    assert min(taus, key=taus.__getitem__) == "without-feedback_quality"
