"""The factor model against the essay's printed numbers and an independent run of the same noise."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from questions.model import FactorTable
from tests.estimates.published import GROUPS, PRINTED_RESULT, essay_table
from tracker.errors import UsageError
from tracker.estimates.factors import Noise, factor_scores, rank_factors
from tracker.estimates.kendall import tau_b
from tracker.estimates.ordering import first_of_group, group_with_the_first

TABLE = essay_table()
BASE = factor_scores(TABLE)
RECOMPUTED = dict(
    zip(BASE, (5.5321, 4.0419, 4.7587, 5.7791, 5.9272, 5.3709, 6.2110, 6.2193, 7.3490, 7.0872), strict=True)
)
ORDER = (
    "agent_scaffolding",
    "training_efficiency",
    "data_generation",
    "post_training",
    "dangerous_capability_evals",
    "ai_control",
    "interpretability",
    "pretraining_algorithms",
    "scalable_oversight",
    "alignment_theory",
)


@pytest.fixture(scope="module")
def voice():
    return rank_factors(TABLE, groups=GROUPS, noise=Noise(seed=11))


def with_row(factor: str, weight: float, change: float = 0.0) -> FactorTable:
    scores = TABLE.scores | {factor: {area: score + change for area, score in TABLE.scores[factor].items()}}
    return FactorTable(
        version="t", source_url="https://example.org", weights=TABLE.weights | {factor: weight}, scores=scores
    )


def means(overrides=None):
    scores = factor_scores(TABLE, overrides)
    return tuple(
        np.mean([score for area, score in scores.items() if GROUPS[area] == group])
        for group in ("safety", "capabilities")
    )


def order(overrides=None):
    scores = factor_scores(TABLE, overrides)
    return sorted(scores, key=scores.__getitem__, reverse=True)


# Printed and recomputed numbers


def test_the_ten_printed_results_come_out_to_two_decimals():
    assert factor_scores(TABLE) == pytest.approx(PRINTED_RESULT, abs=0.0051)


def test_the_ten_results_come_out_to_four_decimals():
    assert pytest.approx(RECOMPUTED, abs=5e-5) == BASE


def test_group_means_and_order_are_those_of_the_essay(voice):
    assert voice.group_means == pytest.approx({"safety": 5.2078, "capabilities": 6.4475}, abs=5e-5)
    assert voice.ranking == ORDER
    assert voice.scores == pytest.approx(BASE)


# Invariances


@settings(deadline=None)
@given(st.floats(0.01, 100))
def test_only_ratios_of_weights_matter(scale):
    scaled = {factor: weight * scale for factor, weight in TABLE.weights.items()}
    assert factor_scores(TABLE, scaled) == pytest.approx(BASE)


@pytest.mark.parametrize("factor", TABLE.factors)
def test_a_factor_of_weight_zero_is_as_good_as_absent(factor):
    rest = FactorTable(
        version="t",
        source_url="https://example.org",
        weights={name: weight for name, weight in TABLE.weights.items() if name != factor},
        scores={name: row for name, row in TABLE.scores.items() if name != factor},
    )
    assert factor_scores(TABLE, {factor: 0.0}) == pytest.approx(factor_scores(rest))


def test_a_constant_on_a_row_moves_all_areas_alike():
    shifted = factor_scores(with_row("insight_vs_engineering", 1.5, 1.0))
    assert shifted == pytest.approx({area: score + 1.5 / 8.6 for area, score in BASE.items()})


# Sensitivity claims, checked in the essay's discussion


def test_without_scheming_data_generation_falls_to_fifth():
    assert means({"scheming_risk": 0}) == pytest.approx((5.403, 6.342), abs=5e-4)
    assert order({"scheming_risk": 0}).index("data_generation") == 4
    assert order({"scheming_risk": 0}).index("dangerous_capability_evals") == 3


def test_doubling_scheming_widens_the_gap_and_lifts_pretraining():
    safety, capabilities = means({"scheming_risk": 0.8})
    assert capabilities - safety == pytest.approx(1.51, abs=0.005)
    assert order({"scheming_risk": 0.8}).index("pretraining_algorithms") < order(
        {"scheming_risk": 0.8}
    ).index("interpretability")


def test_equal_weights_keep_most_of_the_order():
    equal = factor_scores(TABLE, dict.fromkeys(TABLE.factors, 1.0))
    assert means(dict.fromkeys(TABLE.factors, 1.0)) == pytest.approx((4.34, 7.02), abs=0.005)
    assert float(tau_b(list(equal.values()), list(BASE.values()))) == pytest.approx(0.82, abs=0.005)


def test_without_feedback_quality_the_groups_are_nearly_level():
    scores = factor_scores(TABLE, {"feedback_quality": 0})
    safety, capabilities = means({"feedback_quality": 0})
    assert (capabilities, safety) == pytest.approx((6.016, 5.937), abs=5e-4)
    assert capabilities - safety == pytest.approx(0.079, abs=5e-4)
    assert float(tau_b(list(scores.values()), list(BASE.values()))) == pytest.approx(0.51, abs=0.005)


def test_compute_alone_turns_the_picture_round():
    alone = dict.fromkeys(TABLE.factors, 0.0) | {"compute_vs_labour": 1.0}
    scores = factor_scores(TABLE, alone)
    assert max(scores, key=scores.__getitem__) == "alignment_theory"
    assert float(tau_b(list(scores.values()), list(BASE.values()))) == pytest.approx(-0.29, abs=0.01)


def test_the_group_order_turns_at_a_compute_weight_of_5_44():
    below, above = means({"compute_vs_labour": 5.43}), means({"compute_vs_labour": 5.45})
    assert below[0] < below[1]
    assert above[0] > above[1]


# Monte Carlo, against an independent run with another seed; tolerances cover the noise of both and rounding


def test_mean_ranks_agree_with_an_independent_run(voice):
    independent = dict(zip(ORDER, (1.60, 2.30, 4.46, 4.55, 5.12, 5.65, 6.43, 6.99, 8.48, 9.41), strict=True))
    assert voice.mean_rank == pytest.approx(independent, abs=0.04)


def test_first_and_last_places_agree_with_an_independent_run(voice):
    first = dict(zip(ORDER, (0.59, 0.31, 0.03, 0.02, 0.03, 0.02, 0.01, 0.00, 0.00, 0.00), strict=True))
    last = dict(zip(ORDER, (0.00, 0.00, 0.01, 0.01, 0.00, 0.00, 0.01, 0.14, 0.10, 0.73), strict=True))
    assert {area: row[0] for area, row in voice.rank_probabilities.items()} == pytest.approx(first, abs=0.015)
    assert {area: row[-1] for area, row in voice.rank_probabilities.items()} == pytest.approx(last, abs=0.015)


PAIRS = """
- .66 .93 .94 .95 .96 .98 .99 1.00 .99
.34 - .85 .88 .85 .89 .93 .99 .99 .98
.07 .15 - .52 .63 .69 .76 .86 .93 .94
.06 .12 .48 - .61 .68 .76 .87 .94 .94
.05 .15 .37 .39 - .59 .72 .68 .94 .98
.04 .11 .31 .32 .41 - .64 .62 .92 .98
.02 .07 .24 .24 .28 .36 - .53 .85 .96
.01 .01 .14 .13 .32 .38 .47 - .73 .82
.00 .01 .07 .06 .06 .08 .15 .27 - .81
.01 .02 .06 .06 .02 .02 .04 .18 .19 -
"""


def test_pair_probabilities_agree_with_an_independent_run(voice):
    for one, line in zip(ORDER, PAIRS.split("\n")[1:-1], strict=True):
        expected = {two: float(p) for two, p in zip(ORDER, line.split(), strict=True) if p != "-"}
        assert voice.p_before[one] == pytest.approx(expected, abs=0.015)


def test_how_firm_the_order_is_agrees_with_an_independent_run(voice):
    taus = tau_b(voice.draws, list(voice.scores.values()))
    assert voice.tau_b_self == pytest.approx(0.674, abs=0.01)
    one_swap = 2 / 45  # tau moves in these steps, so a quantile may land on the next one
    assert np.quantile(taus, [0.05, 0.5, 0.95]) == pytest.approx([0.33, 0.69, 0.87], abs=one_swap + 0.005)
    shares = [np.mean(taus >= 0.6 - 1e-9), np.mean(taus >= 0.8 - 1e-9), np.mean(taus < 0.4 - 1e-9)]
    assert shares == pytest.approx([0.78, 0.23, 0.08], abs=0.015)


def test_claims_about_groups_agree_with_an_independent_run(voice):
    safety = first_of_group(voice, GROUPS)["safety"]
    assert voice.p_capabilities_first == pytest.approx(0.92, abs=0.01)
    assert safety["dangerous_capability_evals"] == pytest.approx(0.49, abs=0.015)
    assert safety["dangerous_capability_evals"] + safety["ai_control"] == pytest.approx(0.82, abs=0.015)
    assert group_with_the_first(voice, GROUPS)["safety"] == pytest.approx(0.06, abs=0.01)


@pytest.mark.parametrize(
    ("weight_sd", "score_sd", "tau", "capabilities", "scaffolding", "theory"),
    [
        (0.5, 0.0, 0.80, 0.93, 0.80, 0.82),
        (0.0, 1.0, 0.76, 1.00, 0.65, 0.89),
        (0.25, 0.5, 0.84, 0.995, 0.78, 0.92),
        (0.5, 2.0, 0.50, 0.89, 0.43, 0.52),
        (1.0, 1.0, 0.58, 0.82, 0.46, 0.68),
    ],
)
def test_other_noise_agrees_with_an_independent_run(
    weight_sd, score_sd, tau, capabilities, scaffolding, theory
):
    noisy = rank_factors(
        TABLE, groups=GROUPS, noise=Noise(weight_sd=weight_sd, score_sd=score_sd, draws=20_000, seed=5)
    )
    assert noisy.tau_b_self == pytest.approx(tau, abs=0.015)
    assert noisy.p_capabilities_first == pytest.approx(capabilities, abs=0.015)
    assert noisy.rank_probabilities["agent_scaffolding"][0] == pytest.approx(scaffolding, abs=0.02)
    assert noisy.rank_probabilities["alignment_theory"][-1] == pytest.approx(theory, abs=0.02)


def test_without_noise_every_draw_is_the_base_order():
    firm = rank_factors(TABLE, groups=GROUPS, noise=Noise(weight_sd=0, score_sd=0, draws=10, seed=1))
    assert firm.tau_b_self == 1.0
    assert firm.p_capabilities_first == 1.0
    assert firm.p_before["agent_scaffolding"]["alignment_theory"] == 1.0
    for rank, area in enumerate(firm.ranking):
        assert firm.mean_rank[area] == rank + 1
        assert firm.rank_probabilities[area][rank] == 1.0


def test_noisy_scores_stay_on_the_scale():
    wild = rank_factors(TABLE, groups=GROUPS, noise=Noise(score_sd=50.0, draws=2_000, seed=1))
    assert wild.draws.min() >= 1.0 - 1e-9
    assert wild.draws.max() <= 10.0 + 1e-9


def test_the_same_seed_gives_the_same_voice_and_another_seed_another():
    one, same, other = (
        rank_factors(TABLE, groups=GROUPS, noise=Noise(draws=500, seed=seed)) for seed in (1, 1, 2)
    )
    assert one == same
    assert one.p_before != other.p_before


# What is refused


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"charm": 1.0}, "unknown factor charm"),
        ({"task_length": -0.1}, "task_length"),
        ({"task_length": float("nan")}, "task_length"),
        ({"task_length": float("inf")}, "task_length"),
        (dict.fromkeys(TABLE.factors, 0.0), "all weights are zero"),
    ],
)
def test_weights_that_make_no_sense_are_refused(overrides, words):
    with pytest.raises(UsageError, match=words):
        rank_factors(TABLE, weight_overrides=overrides, groups=GROUPS, noise=Noise(seed=1))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"weight_sd": -1.0}, "standard deviations"),
        ({"score_sd": float("nan")}, "standard deviations"),
        ({"draws": 0}, "draws"),
        ({"seed": -1}, "seed"),
    ],
)
def test_noise_that_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        rank_factors(TABLE, groups=GROUPS, noise=Noise(**({"seed": 1} | arguments)))


def test_overrides_are_a_model_of_their_own_name():
    plain = rank_factors(TABLE, groups=GROUPS, noise=Noise(draws=10, seed=1))
    same = rank_factors(
        TABLE, weight_overrides={"task_length": 1.0}, groups=GROUPS, noise=Noise(draws=10, seed=1)
    )
    other = rank_factors(
        TABLE, weight_overrides={"task_length": 2.0}, groups=GROUPS, noise=Noise(draws=10, seed=1)
    )
    assert dataclasses.replace(same) == plain
    assert other.model == f"{plain.model} with task_length=2"
