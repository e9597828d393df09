"""The factor model's forecasts: coherent, shrunk as declared, and the shrinkage found again by simulation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import integrate, stats

from questions.catalogue import load_catalogue
from tracker.errors import UsageError
from tracker.estimates.factors import Noise, rank_factors
from tracker.estimates.modelled import arm_lean, changed, fit_shrinkage, model_forecasts, shrunk

NOW = datetime(2026, 11, 20, tzinfo=UTC)
CATALOGUE = load_catalogue()
VOICE = rank_factors(CATALOGUE.factors, groups=CATALOGUE.groups, noise=Noise(draws=4_000, seed=1))


def made(**more):
    return model_forecasts(VOICE, CATALOGUE.questions.values(), **({"made_at": NOW, "version": "v"} | more))


def by_question(forecasts):
    found = {}
    for one in forecasts:
        found.setdefault(one.question, {})[one.outcome] = one.probability
    return found


def test_every_ordering_question_gets_a_forecast_of_every_outcome():
    found = by_question(made())
    orderings = {q.id: q for q in CATALOGUE.questions.values() if q.ordering}
    assert set(found) == set(orderings)
    assert len(orderings) == 94
    for name, chances in found.items():
        assert set(chances) == set(orderings[name].outcomes)
        assert sum(chances.values()) == pytest.approx(1)


def test_the_share_of_the_pair_is_the_shrunk_probability_at_any_threshold():
    for k in (3, 10):
        question = CATALOGUE.ordering("agent_scaffolding", "alignment_theory", k)
        chances = by_question(made(threshold=k))[question.id]
        p = VOICE.p_before["agent_scaffolding"]["alignment_theory"]
        share = chances["agent_scaffolding"] / (chances["agent_scaffolding"] + chances["alignment_theory"])
        assert share == pytest.approx(0.5 + 0.7 * (p - 0.5))
        assert chances["tie"] == chances["neither"] == 0.25


def test_only_the_asked_threshold_and_only_open_questions():
    assert {"3x" in one.question for one in made(threshold=3)} == {True}
    after = datetime(2029, 1, 1, tzinfo=UTC)
    assert {"10x" in one.question for one in made(made_at=after)} == {True}
    assert made(threshold=30) == ()


def test_areas_without_a_view_get_no_forecast():
    two = {area: CATALOGUE.groups[area] for area in ("ai_control", "data_generation")}
    table = CATALOGUE.factors.model_copy(
        update={"scores": {f: {a: row[a] for a in two} for f, row in CATALOGUE.factors.scores.items()}}
    )
    voice = rank_factors(table, groups=two, noise=Noise(draws=100, seed=1))
    found = model_forecasts(voice, CATALOGUE.questions.values(), made_at=NOW, version="v")
    assert len(by_question(found)) == 2  # no group of areas is whole


@pytest.mark.parametrize("wrong", [{"shrinkage": 1.2}, {"decided": -0.1}, {"decided": float("nan")}])
def test_declared_numbers_outside_their_range_are_refused(wrong):
    with pytest.raises(UsageError):
        made(**wrong)


def test_what_was_said_already_is_not_said_again_and_a_change_is_told_as_a_whole():
    first = made()
    later = made(made_at=NOW + timedelta(days=7))
    assert changed(later, first) == ()
    assert changed(first, ()) == first
    assert changed(made(version="w"), first) == made(version="w")
    moved = changed(made(made_at=NOW + timedelta(days=7), decided=0.6, threshold=3), first)
    assert len(moved) == 4 * 47


# Groups of areas


def groups_asked(k=10):
    """(first area of either group, most areas of either group) as the catalogue asks them."""
    found = [q.ordering for q in CATALOGUE.questions.values() if q.ordering and q.ordering.a_areas]
    return sorted({one.areas_needed: one for one in found}.values(), key=lambda one: one.areas_needed)


def test_the_two_questions_about_groups_are_counted_over_draws_one_by_one():
    first, most = groups_asked()
    assert (first.areas_needed, most.areas_needed) == (1, 3)
    for arms in (first, most):
        won = 0.0
        for draw in VOICE.draws[:1_000]:
            sooner = dict(zip(VOICE.coverage, draw.tolist(), strict=True))
            a, b = (
                sorted((sooner[x] for x in arms.of(side)), reverse=True)[arms.areas_needed - 1]
                for side in "ab"
            )
            won += 1.0 if a > b else 0.5 if a == b else 0.0
        part = replace(VOICE, draws=VOICE.draws[:1_000])
        assert arm_lean(part, arms) == pytest.approx(won / 1_000)
    assert arm_lean(VOICE, first) != arm_lean(VOICE, most)


def test_a_group_that_never_gets_there_is_no_opinion():
    first, most = groups_asked()
    never = replace(VOICE, draws=np.full((10, len(VOICE.coverage)), -np.inf))
    assert arm_lean(never, first) == arm_lean(never, most) == 0.5


# Shrinkage


def test_shrinkage_draws_towards_one_half():
    assert shrunk(0.9, 0.7) == pytest.approx(0.78)
    assert shrunk(0.5, 0.3) == 0.5
    assert shrunk(0.2, 1.0) == 0.2


def test_without_questions_the_prior_speaks():
    mean, (low, high) = fit_shrinkage([])
    assert mean == pytest.approx(0.7, abs=1e-3)
    assert (low, high) == pytest.approx(stats.beta(7, 3).ppf([0.05, 0.95]), abs=2e-3)


def test_the_posterior_is_that_of_plain_integration():
    resolved = [(0.9, True), (0.8, False), (0.3, False), (0.95, True)]

    def density(x):
        said = [0.5 + x * (p - 0.5) for p, _ in resolved]
        likelihood = np.prod([s if y else 1 - s for s, (_, y) in zip(said, resolved, strict=True)])
        return stats.beta(7, 3).pdf(x) * likelihood

    whole = integrate.quad(density, 0, 1)[0]
    expected = integrate.quad(lambda x: x * density(x), 0, 1)[0] / whole
    assert fit_shrinkage(resolved)[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("truth", [0.1, 0.5, 0.95])
def test_many_resolved_questions_give_the_shrinkage_back(truth):
    random = np.random.default_rng(3)
    p = random.uniform(0, 1, 4_000)
    came = random.uniform(size=4_000) < 0.5 + truth * (p - 0.5)
    mean, (low, high) = fit_shrinkage(list(zip(p.tolist(), came.tolist(), strict=True)))
    assert mean == pytest.approx(truth, abs=0.06)
    assert low - 0.02 <= truth <= high + 0.02
