"""People's forecasts and rankings become an order; each person counts once, silence is no view."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.special import expit, logit

from questions.catalogue import load_catalogue
from questions.records import Forecast
from questions.time import iso
from tracker.errors import UsageError
from tracker.estimates.panel import Ranking, panel_voice, read_rankings

NOW = datetime(2027, 3, 1, tzinfo=UTC)
CATALOGUE = load_catalogue()
GROUPS = CATALOGUE.groups
CONTROL, SCAFFOLDING, THEORY, DATA = "ai_control", "agent_scaffolding", "alignment_theory", "data_generation"


def pair(one, two, p_one, p_two=None, who="ann", *, k=10, days_ago=1, **more):
    question = CATALOGUE.ordering(one, two, k)
    at = NOW - timedelta(days=days_ago)
    said = [(one, p_one), (two, p_two)]
    kind = more.pop("kind", "person")
    return [Forecast(question.id, outcome, who, kind, at, p, **more) for outcome, p in said if p is not None]


def dates(area, quantiles, who="ann", *, k=10):
    question = f"date-{area.replace('_', '-')}-{k}x"
    assert question in CATALOGUE.questions
    return [
        Forecast(question, f"<={iso(day)}", who, "person", NOW, level) for level, day in quantiles.items()
    ]


def day(year):
    return datetime(year, 1, 1, tzinfo=UTC)


def voice_of(forecasts, rankings=(), **more):
    return panel_voice(
        CATALOGUE.questions,
        forecasts,
        **(
            {"threshold": 10, "now": NOW, "groups": GROUPS, "draws": 4_000, "seed": 1, "rankings": rankings}
            | more
        ),
    )


def test_a_pair_is_pooled_over_people_in_log_odds():
    said = pair(SCAFFOLDING, CONTROL, 0.6, 0.2, "ann") + pair(SCAFFOLDING, CONTROL, 0.3, 0.3, "bob")
    voice = voice_of(said)
    expected = expit((logit(0.75) + logit(0.5)) / 2)
    assert voice.p_before[SCAFFOLDING][CONTROL] == pytest.approx(expected)
    assert voice.ranking == (SCAFFOLDING, CONTROL)
    assert set(voice.coverage) == {SCAFFOLDING, CONTROL}  # nobody said anything about the others
    assert "2 people" in voice.note


def test_only_the_last_word_of_a_person_counts():
    said = pair(SCAFFOLDING, CONTROL, 0.1, 0.8, days_ago=20) + pair(SCAFFOLDING, CONTROL, 0.6, 0.2)
    assert voice_of(said).p_before[SCAFFOLDING][CONTROL] == pytest.approx(0.75)


def test_one_side_alone_leaves_the_rest_to_the_other():
    assert voice_of(pair(SCAFFOLDING, CONTROL, 0.7)).p_before[SCAFFOLDING][CONTROL] == pytest.approx(0.7)


def test_pairs_chain_to_an_order_of_all_compared_areas():
    said = pair(SCAFFOLDING, CONTROL, 0.7, 0.3) + pair(CONTROL, THEORY, 0.8, 0.2)
    voice = voice_of(said)
    assert voice.ranking == (SCAFFOLDING, CONTROL, THEORY)
    through = expit(logit(0.7) + logit(0.8))
    assert voice.p_before[SCAFFOLDING][THEORY] == pytest.approx(through)
    i, j = voice.coverage.index(SCAFFOLDING), voice.coverage.index(THEORY)
    assert np.mean(voice.draws[:, i] > voice.draws[:, j]) == pytest.approx(through, abs=0.03)


def test_people_who_differ_make_the_order_less_firm():
    alike = [f for n in range(6) for f in pair(SCAFFOLDING, CONTROL, 0.9, 0.1, f"p{n}")]
    split = [
        f
        for n in range(6)
        for f in pair(SCAFFOLDING, CONTROL, (0.999, 0.28)[n % 2], (0.001, 0.72)[n % 2], f"p{n}")
    ]
    firm, loose = voice_of(alike), voice_of(split)
    first = firm.p_before[SCAFFOLDING][CONTROL]
    assert loose.p_before[SCAFFOLDING][CONTROL] == pytest.approx(first, abs=0.05)
    spread = [
        np.std(
            voice.draws[:, voice.coverage.index(SCAFFOLDING)] - voice.draws[:, voice.coverage.index(CONTROL)]
        )
        for voice in (firm, loose)
    ]
    assert spread[1] > spread[0] * 1.1


def test_dates_are_averaged_and_raced():
    early = dates(SCAFFOLDING, {0.1: day(2028), 0.5: day(2029), 0.9: day(2031)})
    late = dates(THEORY, {0.1: day(2031), 0.3: day(2033)})
    voice = voice_of(early + late)
    assert voice.ranking == (SCAFFOLDING, THEORY)
    assert voice.p_before[SCAFFOLDING][THEORY] > 0.9
    assert voice.marginals[THEORY].cdf[-1] == pytest.approx(0.3)


def test_pooled_dates_are_the_mean_of_peoples():
    said = dates(SCAFFOLDING, {0.2: day(2029)}, "ann") + dates(SCAFFOLDING, {0.6: day(2029)}, "bob")
    said += dates(THEORY, {0.5: day(2030)}, "ann")
    pooled = voice_of(said).marginals[SCAFFOLDING]
    years = (day(2029) - NOW) / timedelta(days=365.25)
    assert pooled.at(np.array([years]))[0] == pytest.approx(0.4)


def test_rankings_enter_by_their_strengths():
    rankings = [Ranking(f"p{n}", (SCAFFOLDING, DATA, CONTROL)) for n in range(4)]
    rankings.append(Ranking("q", (CONTROL, SCAFFOLDING)))
    voice = voice_of([], rankings)
    assert voice.ranking == (SCAFFOLDING, DATA, CONTROL)
    assert THEORY not in voice.coverage
    assert {e.area: e.weight for e in voice.evidence}[CONTROL] == 5


def test_rankings_and_forecasts_weigh_as_many_people_as_stand_behind_them():
    lone = voice_of(pair(SCAFFOLDING, CONTROL, 0.2, 0.8)).p_before[SCAFFOLDING][CONTROL]
    rankings = [Ranking(f"p{n}", (SCAFFOLDING, CONTROL)) for n in range(9)]
    many = voice_of([], rankings).p_before[SCAFFOLDING][CONTROL]
    both = voice_of(pair(SCAFFOLDING, CONTROL, 0.2, 0.8), rankings).p_before[SCAFFOLDING][CONTROL]
    assert logit(both) == pytest.approx((logit(lone) + 9 * logit(many)) / 10)


@pytest.mark.parametrize(
    "said",
    [
        [],
        pair(SCAFFOLDING, CONTROL, 0.7, 0.2, k=3),
        pair(SCAFFOLDING, CONTROL, 0.7, 0.2, days_ago=400),
        pair(SCAFFOLDING, CONTROL, 0.7, 0.2, days_ago=-1),
        pair(SCAFFOLDING, CONTROL, 0.7, 0.2, kind="model"),
    ],
    ids=["nothing", "other threshold", "lapsed", "not yet made", "a model's"],
)
def test_what_is_no_panel_gives_a_reason(said):
    voice = voice_of(said)
    assert voice.ranking == ()
    assert "10x" in voice.reason


def test_the_same_seed_gives_the_same_voice():
    said = pair(SCAFFOLDING, CONTROL, 0.7, 0.2)
    assert voice_of(said) == voice_of(said)


# Rankings from a file


def test_rankings_are_read_with_partial_ones():
    text = (
        "forecaster,1,2,3\nann,ai_control,data_generation,alignment_theory\nbob,data_generation,ai_control,\n"
    )
    assert read_rankings("r.csv", text, tuple(GROUPS)) == (
        Ranking("ann", (CONTROL, DATA, THEORY)),
        Ranking("bob", (DATA, CONTROL)),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1"),
        ("name,1\n", "line 1, column 1"),
        ("forecaster,1,2\n", "no ranking"),
        ("forecaster,1,2\nann,ai_controll,data_generation\n", "line 2, column 2: unknown area 'ai_controll'"),
        ("forecaster,1,2\nann,ai_control,ai_control\n", "line 2, column 3"),
        ("forecaster,1,2,3\nann,ai_control,,data_generation\n", "line 2, column 4: an empty cell"),
        ("forecaster,1,2\nann,ai_control\n", "line 2, column 2: a ranking needs two"),
        (
            "forecaster,1,2\nann,ai_control,data_generation\nann,data_generation,ai_control\n",
            "line 3, column 1",
        ),
        ("forecaster,1,2\n,ai_control,data_generation\n", "line 2, column 1"),
        ('forecaster,1,2\nann,"ai_control,data_generation\n', "not readable"),
    ],
)
def test_wrong_rankings_are_refused_with_their_place(text, said):
    with pytest.raises(UsageError, match=said):
        read_rankings("r.csv", text, tuple(GROUPS))
