"""One trend and assumed needs give an order; the needs decide it, the trend moves all areas together."""

from datetime import date, timedelta

import numpy as np
import pytest
from scipy.stats import norm, t

from questions.records import Measurement
from tests.estimates.published import metr_points
from tracker.errors import UsageError
from tracker.estimates.trend import Selection, crossing, fit_line, select, trend_voice

SINCE_2023 = Selection(start=date(2023, 1, 1), max_minutes=960.0)
NEEDS = {"a": 480.0, "b": 2_400.0, "c": 10_020.0, "d": 120_000.0}
GROUPS = {"a": "capabilities", "b": "safety", "c": "capabilities", "d": "safety"}
TODAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def fit():
    return fit_line(select(metr_points("2026-05-08"), SINCE_2023), SINCE_2023)


@pytest.fixture(scope="module")
def unsure_fit():
    heights = [1.0, 2.4, 1.2, 2.6, 1.5]
    points = [
        Measurement("s", f"m{i}", "p50", date(2024, 1, 1) + timedelta(days=60 * i), 2.0**h, "minutes")
        for i, h in enumerate(heights)
    ]
    return fit_line(points, Selection(sota="all"))


def voice_of(fit, needs=NEEDS, sd=2.0, **more):
    return trend_voice(fit, needs, sd, **({"seed": 1, "today": TODAY, "groups": GROUPS} | more))


def test_the_smallest_need_comes_first(fit):
    voice = voice_of(fit)
    assert voice.ranking == ("a", "b", "c", "d")
    assert voice.coverage == tuple(NEEDS)
    assert voice.name == "trend"


def test_pairs_follow_the_closed_form(fit):
    voice = voice_of(fit)
    for one, low in NEEDS.items():
        for two, high in NEEDS.items():
            if one != two:
                expected = norm.cdf(np.log2(high / low) / (2.0 * np.sqrt(2)))
                assert voice.p_before[one][two] == pytest.approx(expected, abs=0.01)


def test_scores_are_years_until_the_line_crosses(fit):
    voice = voice_of(fit, sd=0.0)
    for area, minutes in NEEDS.items():
        years = (crossing(fit, minutes).line - TODAY).days / 365.25
        assert voice.scores[area] == pytest.approx(-years, abs=0.03)


def test_one_line_moves_all_areas_together(fit):
    voice = voice_of(fit, sd=0.0)
    assert voice.tau_b_self == 1.0
    assert np.corrcoef(voice.draws[:, 2], voice.draws[:, 3])[0, 1] > 0.9


def test_lines_that_do_not_rise_mean_never_for_all(unsure_fit):
    voice = voice_of(unsure_fit)
    se = unsure_fit.residual_sd_log2 / np.sqrt(unsure_fit.sxx)
    p_flat = t.cdf(-unsure_fit.slope_per_day / se, unsure_fit.n - 2)
    assert 0.05 < p_flat < 0.5
    neither = 1.0 - voice.p_before["a"]["d"] - voice.p_before["d"]["a"]
    assert neither == pytest.approx(p_flat, abs=0.01)
    assert np.isneginf(voice.draws).mean() == pytest.approx(p_flat, abs=0.01)
    assert all(np.isfinite(list(voice.scores.values())))


def test_a_falling_trend_has_no_say():
    points = [
        Measurement("s", f"m{i}", "p50", date(2024, 1, 1) + timedelta(days=60 * i), 2.0 ** (5 - i), "minutes")
        for i in range(4)
    ]
    voice = voice_of(fit_line(points, Selection(sota="all")))
    assert voice.ranking == ()
    assert "does not clearly rise" in voice.reason


def test_no_needs_no_say(fit):
    assert voice_of(fit, needs={}).reason == "no area has a needed horizon"


def test_the_assumption_is_named_and_listed(fit):
    voice = voice_of(fit)
    assert "assumption" in voice.note
    assert "no independent support" in voice.note
    assert [(item.area, item.source) for item in voice.evidence] == [(area, "assumption") for area in NEEDS]
    assert voice.evidence[0].label == "tasks of 8 hours assumed to be needed"


def test_the_same_seed_gives_the_same_voice(fit):
    assert voice_of(fit, draws=200) == voice_of(fit, draws=200)


@pytest.mark.parametrize(
    ("needs", "sd", "words"),
    [({"a": 0.0}, 1.0, "needed horizon of a"), ({"a": np.nan}, 1.0, "of a"), ({"a": 1.0}, -1.0, "sd of")],
)
def test_needs_that_make_no_sense_are_refused(fit, needs, sd, words):
    with pytest.raises(UsageError, match=words):
        voice_of(fit, needs=needs, sd=sd)
