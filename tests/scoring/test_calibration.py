"""The calibration report: published figures, hand-made cases, honesty about what is missing."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.scoring.crowd import FILE, ROLES
from tracker.errors import UsageError
from tracker.scoring import CalibrationReport, calibrate, forecast_table, read_forecasts_csv, select, to_json
from tracker.scoring.table import joined

# Computed once from the same file with plain numpy, independently of this program.
PUBLISHED = {
    "all": (601, 434, 0.1414, 0.0480, (0.0351, 0.0630), 0.1714, 0.0254),
    "infer": (56, 21, 0.0714, 0.0697, (0.0192, 0.1540), 0.2367, 0.1026),
    "manifold": (144, 86, 0.2569, 0.0614, (0.0343, 0.0975), 0.2152, 0.0694),
    "metaculus": (65, 52, 0.2000, 0.0962, (0.0426, 0.1602), 0.3234, 0.0957),
    "polymarket": (336, 275, 0.0923, 0.0294, (0.0183, 0.0427), 0.1124, 0.0271),
}


@pytest.fixture(scope="module")
def forecastbench():
    return read_forecasts_csv(FILE, ROLES)


@pytest.fixture(scope="module")
def crowd(forecastbench):
    report = calibrate(forecastbench, group_by=["source"])
    return {"all": report} | {group.group["source"]: group for group in report.groups}


def invented(n_questions: int = 60, rows: int = 5, seed: int = 0):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.05, 0.95, n_questions)
    outcome = (rng.uniform(size=n_questions) < truth).astype(float)
    question = np.repeat(np.arange(n_questions), rows)
    p = np.clip(truth[question] + rng.normal(0, 0.1, question.size), 0, 1).round(2)
    return p, outcome[question], question


@pytest.mark.parametrize("source", PUBLISHED)
def test_it_reproduces_the_scores_of_the_forecastbench_crowd(crowd, source):
    n, questions, base_rate, brier, interval, log, ece = PUBLISHED[source]
    report = crowd[source]
    assert (report.n_forecasts, report.n_questions) == (n, questions)
    assert report.base_rate == pytest.approx(base_rate, abs=5e-5)
    assert report.brier.value == pytest.approx(brier, abs=5e-5)
    assert report.log_score.value == pytest.approx(log, abs=5e-5)
    assert report.ece == pytest.approx(ece, abs=5e-5)
    width = interval[1] - interval[0]
    assert report.brier.ci95 == pytest.approx(interval, abs=0.05 * width)


def test_the_interval_depends_on_the_seed_only_within_bootstrap_noise(forecastbench, crowd):
    other = calibrate(forecastbench, seed=99).brier.ci95
    assert other != crowd["all"].brier.ci95
    assert other == pytest.approx(crowd["all"].brier.ci95, abs=0.002)


def test_rows_of_one_question_widen_the_interval_they_are_no_new_evidence(forecastbench):
    p, y, question = invented(rows=30)
    clustered = calibrate(forecast_table(p, y, question)).brier.ci95
    as_if_independent = calibrate(forecast_table(p, y, np.arange(p.size))).brier.ci95
    assert np.ptp(clustered) > 3 * np.ptp(as_if_independent)


def test_a_hand_made_report():
    table = forecast_table([0.2, 0.8, 0.8, 0.6], [0, 1, 0, 1], ["a", "b", "c", "d"])
    report = calibrate(table, bins=2)
    assert report.brier.value == pytest.approx((0.04 + 0.04 + 0.64 + 0.16) / 4)
    assert report.brier_skill.value == pytest.approx(1 - 0.22 / 0.25)
    assert report.log_score.value == pytest.approx(-math.log(0.8 * 0.8 * 0.2 * 0.6) / 4)
    assert [(b.n, b.n_questions, b.observed) for b in report.bins] == [
        (1, 1, 0.0),
        (3, 3, pytest.approx(2 / 3)),
    ]
    assert report.bins[1].mean_forecast == pytest.approx(2.2 / 3)
    # isotonic: 0.2 -> 0; 0.6 -> 2/3 and 0.8 -> 2/3 pooled
    recalibrated = (0 + (1 / 3) ** 2 * 2 + (2 / 3) ** 2) / 4
    assert report.corp.miscalibration == pytest.approx(0.22 - recalibrated)
    assert report.corp.discrimination == pytest.approx(0.25 - recalibrated)


def test_scores_and_bins_alone_are_those_of_the_whole_report(forecastbench):
    whole, bare = (calibrate(forecastbench, resamples=50, shape=shape) for shape in (True, False))
    for name in ("brier", "log_score", "spherical", "brier_skill", "bins", "base_rate", "n_questions"):
        assert getattr(bare, name) == getattr(whole, name), name
    assert (bare.ece, bare.smooth_ece, bare.corp, bare.slope.value) == (None, None, None, None)
    told = to_json(bare)
    assert told["ece"]["value"] is None
    assert bare.reasons["corp"] == "not asked for"


def test_the_order_of_the_rows_changes_nothing():
    p, y, question = invented()
    order = np.random.default_rng(1).permutation(p.size)
    before = to_json(calibrate(forecast_table(p, y, question), resamples=200))
    after = to_json(calibrate(forecast_table(p[order], y[order], question[order]), resamples=200))
    assert flat(after) == pytest.approx(flat(before), abs=1e-9)


def test_repeating_every_row_changes_counts_only():
    p, y, question = invented()
    once = calibrate(forecast_table(p, y, question), resamples=200, bins="quantile:5")
    twice = calibrate(
        forecast_table(*(np.tile(c, 2) for c in (p, y, question))), resamples=200, bins="quantile:5"
    )
    assert twice.n_forecasts == 2 * once.n_forecasts
    assert twice.n_questions == once.n_questions
    assert flat(to_json(twice)["brier"]) == pytest.approx(flat(to_json(once)["brier"]), abs=1e-12)
    assert [b.observed for b in twice.bins] == pytest.approx([b.observed for b in once.bins])
    assert [b.ci95 for b in twice.bins if b.ci95] == [pytest.approx(b.ci95) for b in once.bins if b.ci95]


def flat(document: object) -> list[float]:
    """Every number of a JSON document, in order."""
    if isinstance(document, dict):
        return [number for value in document.values() for number in flat(value)]
    if isinstance(document, list):
        return [number for value in document for number in flat(value)]
    return [float(document)] if isinstance(document, int | float) else []


def test_a_group_gets_what_its_rows_alone_would_give(forecastbench, crowd):
    alone = calibrate(select(forecastbench, sources=["manifold"]))
    assert alone.brier == crowd["manifold"].brier
    assert alone.bins == crowd["manifold"].bins


def test_several_group_keys_split_together():
    moments = [datetime(2025, 1, 31, 23, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)] * 2
    table = forecast_table([0.1] * 4, [0] * 4, list("abcd"), forecaster=["x", "x", "y", ""], made_at=moments)
    groups = calibrate(table, group_by=["forecaster", "month"]).groups
    assert [(g.group["forecaster"], g.group["month"], g.n_forecasts) for g in groups] == [
        ("unknown", "2025-02", 1),
        ("x", "2025-01", 1),
        ("x", "2025-02", 1),
        ("y", "2025-01", 1),
    ]


def test_lead_groups_without_asked_leads_are_bands_in_natural_order():
    made = datetime(2025, 1, 1, tzinfo=UTC)
    resolved = [made + timedelta(days=days) for days in (3, 20, 400, 150)] + [None]
    table = forecast_table([0.5] * 5, [1] * 5, list("abcde"), made_at=[made] * 5, resolved_at=resolved)
    groups = calibrate(table, group_by=["lead"]).groups
    assert [g.group["lead"] for g in groups] == ["0-7", "7-30", "90-180", "over 365", "unknown"]


@pytest.mark.parametrize("key", ["forecaster", "month", "lead", "area", "colour"])
def test_grouping_by_what_is_not_there_is_refused_by_name(key):
    with pytest.raises(UsageError, match=key):
        calibrate(forecast_table([0.5], [1], ["a"]), group_by=[key])


def test_what_is_not_scored_is_counted_under_its_own_heading():
    made = datetime(2025, 3, 1, tzinfo=UTC)
    table = forecast_table(
        [0.9, 0.9, 0.9, 0.9, 0.9, 0.9],
        [1, math.nan, 0, 0.4, 1, 1],
        list("abcdef"),
        void=[False, False, True, False, False, False],
        made_at=[made] * 6,
        resolved_at=[made + timedelta(days=1)] * 4 + [made - timedelta(days=1), made + timedelta(days=1)],
        closes_at=[made, None, None, made, made, made + timedelta(days=300)],
        now=made + timedelta(days=30),
    )
    report = calibrate(table)
    assert report.n_forecasts == 1
    assert report.n_pending == 1
    assert report.n_void == 1
    assert report.n_fraction == 1
    assert report.n_after_resolution == 1
    assert report.n_resolved_early == 1
    assert report.n_close_unknown == 0
    assert report.brier.value == pytest.approx(0.01)


def test_fractions_are_scored_when_asked():
    table = forecast_table([0.5, 0.5, 0.5], [1, 0.25, 7.0], list("abc"))
    asked = calibrate(table, score_fractions=True)
    assert (asked.n_forecasts, asked.n_fraction) == (2, 1)  # 7 is no fraction of anything
    assert asked.brier.value == pytest.approx((0.25 + 0.0625) / 2)
    assert asked.corp.uncertainty == pytest.approx(np.var([1, 0.25]))


def test_clipped_forecasts_are_counted_and_bounded():
    report = calibrate(forecast_table([0.0, 1.0, 0.5], [1, 1, 1], list("abc")), log_clip=0.01)
    assert report.n_clipped == 2
    assert report.n_sure_and_wrong == 1  # 0 of what happened; the 1 was right
    assert calibrate(forecast_table([0.0, 1.0, 1.0], [0, 0, 1], list("abc"))).n_sure_and_wrong == 1
    assert report.log_score.value == pytest.approx(-np.mean(np.log([0.01, 0.99, 0.5])))


def test_early_resolution_would_make_calibrated_forecasts_look_far_too_low():
    rng = np.random.default_rng(5)
    n, now = 20_000, datetime(2026, 1, 1, tzinfo=UTC)
    asked = now - timedelta(days=365)
    chance = rng.uniform(0.4, 0.6, n)
    happens = rng.uniform(size=n) < chance
    deadline = 365 * rng.choice([0.9, 4.0], n)  # days after asking: a short and a long cohort
    event = rng.uniform(size=n) * deadline
    resolves = np.where(happens, event, deadline)
    known = resolves <= 365
    columns = {
        "made_at": [asked] * n,
        "resolved_at": [
            asked + timedelta(days=float(d)) if k else None for d, k in zip(resolves, known, strict=True)
        ],
        "now": now,
    }
    closes = [asked + timedelta(days=float(d)) for d in deadline]
    outcome = np.where(known, happens.astype(float), np.nan)
    honest = calibrate(
        forecast_table(chance, outcome, np.arange(n), closes_at=closes, **columns), resamples=0
    )
    naive = calibrate(forecast_table(chance, outcome, np.arange(n), **columns), resamples=0)
    assert honest.base_rate == pytest.approx(0.5, abs=0.02)
    assert honest.n_resolved_early > 1000
    assert naive.base_rate > 0.56
    assert naive.n_close_unknown == naive.n_questions


CONTRACT_KEYS = {
    *(
        "n_forecasts",
        "n_questions",
        "n_void",
        "n_pending",
        "base_rate",
        "log_clip",
        "brier",
        "log_score",
        "spherical",
    ),
    *("brier_skill", "ece", "smooth_ece", "corp", "bins"),
}


def test_json_has_the_public_names_all_the_way_down(crowd):
    document = json.loads(json.dumps(to_json(crowd["all"]), allow_nan=False))
    assert set(document) >= CONTRACT_KEYS | {"groups"}
    assert document["log_score"]["unit"] == "nats"
    assert document["brier_skill"]["reference"] == "base_rate"
    assert document["ece"]["bins"] == 10
    assert set(document["corp"]) == {"miscalibration", "discrimination", "uncertainty"}
    assert len(document["bins"]) == 10
    expected = {"lower", "upper", "n", "n_questions", "mean_forecast", "observed", "ci95"}
    assert all(set(one) - {"reason"} == expected for one in document["bins"])
    assert [group["source"] for group in document["groups"]] == [
        "infer",
        "manifold",
        "metaculus",
        "polymarket",
    ]
    assert all(set(group) >= CONTRACT_KEYS for group in document["groups"])
    assert sum(one["n"] for one in document["bins"]) == 601


def assert_every_null_has_its_reason(report: CalibrationReport) -> None:
    document = json.loads(json.dumps(to_json(report), allow_nan=False))
    missing = set(nulls(document))
    assert missing == {path for path in document["reasons"] if path != "corp"} | (
        {f"corp.{part}" for part in ("miscalibration", "discrimination", "uncertainty")}
        if "corp" in document["reasons"]
        else set()
    )
    for name in ("brier", "log_score", "spherical", "brier_skill", "ece", "smooth_ece", "corp"):
        assert ("reason" in document[name]) == (None in document[name].values())
    for one in document["bins"]:
        assert ("reason" in one) == (None in one.values())


def nulls(document: dict, path: str = "") -> list[str]:
    found = []
    for name, value in document.items():
        here = f"{path}{name}"
        if value is None:
            found.append(here)
        elif isinstance(value, dict) and name != "reasons":
            found += nulls(value, f"{here}.")
        elif name == "bins" and isinstance(value, list):
            for position, one in enumerate(value):
                found += nulls(one, f"bins.{position}.")
    return found


def test_an_empty_table_gives_nulls_with_reasons_not_an_error():
    report = calibrate(forecast_table([], [], []))
    assert report.n_forecasts == 0
    assert report.base_rate is None
    assert_every_null_has_its_reason(report)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0, math.nan, 0.5]), st.integers(0, 14)),
        max_size=60,
    ),
    st.sampled_from(["1", "10", "quantile:4"]),
    st.sampled_from([0, 50]),
)
def test_no_input_gives_nan_and_every_null_has_its_reason(rows, bins, resamples):
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    report = calibrate(forecast_table(*columns), bins=bins, resamples=resamples)
    assert_every_null_has_its_reason(report)
    assert report.n_forecasts + report.n_pending + report.n_fraction == len(rows)


def test_few_questions_get_no_interval_however_many_rows_they_have():
    p, y, question = invented(n_questions=9, rows=100)
    report = calibrate(forecast_table(p, y, question))
    assert report.brier.value is not None
    assert report.brier.ci95 is None
    assert "9 questions" in report.reasons["brier.ci95"]


def test_skill_is_not_defined_when_all_outcomes_agree():
    report = calibrate(forecast_table([0.1] * 20, [0] * 20, np.arange(20)))
    assert report.brier_skill.value is None
    assert "base rate" in report.reasons["brier_skill.value"]
    assert report.brier.value == pytest.approx(0.01)


def test_a_bin_whose_outcomes_all_agree_has_no_interval_of_width_zero():
    report = calibrate(forecast_table([0.05] * 20 + [0.95] * 20, [0] * 20 + [1] * 19 + [0], np.arange(40)))
    assert report.bins[0].observed == 0.0
    assert report.bins[0].ci95 is None
    assert "agree" in report.reasons["bins.0.ci95"]
    lower, upper = report.bins[9].ci95
    assert lower < report.bins[9].observed <= upper


@pytest.mark.parametrize("bins", ["0", "ten", "quantile:", "quantile:0", -3, 101, "5.5"])
def test_bad_bins_are_refused_with_what_would_be_right(bins):
    with pytest.raises(UsageError, match="quantile:N"):
        calibrate(forecast_table([0.5], [1], ["a"]), bins=bins)


def test_negative_resamples_are_refused():
    with pytest.raises(UsageError, match="resamples"):
        calibrate(forecast_table([0.5], [1], ["a"]), resamples=-1)


def test_questions_about_one_event_are_one_piece_of_evidence():
    p, y, question = invented(n_questions=40, rows=3)
    apart = calibrate(forecast_table(p, y, question))
    # each question asked three times under other names, about the same event
    copies = [f"{q}/{k}" for k in range(3) for q in question]
    threefold = [np.tile(column, 3) for column in (p, y, question)]
    together = calibrate(forecast_table(*threefold[:2], copies, event=threefold[2]))
    naive = calibrate(forecast_table(*threefold[:2], copies))
    assert (together.n_questions, together.n_events, naive.n_events) == (120, 40, 120)
    assert together.brier.value == pytest.approx(apart.brier.value)
    assert np.ptp(together.brier.ci95) == pytest.approx(np.ptp(apart.brier.ci95), rel=0.1)
    assert np.ptp(naive.brier.ci95) < 0.7 * np.ptp(together.brier.ci95)


def test_an_event_that_is_not_named_is_the_question_itself():
    p, y, question = invented(n_questions=40, rows=3)
    blank = calibrate(forecast_table(p, y, question, event=[""] * p.size))
    assert blank == calibrate(forecast_table(p, y, question))


def test_skill_against_a_reference_fixed_in_advance():
    table = forecast_table([0.2, 0.8, 0.8, 0.6], [0, 1, 0, 1], list("abcd"))
    report = calibrate(table, reference=0.3)
    yardstick = (2 * 0.09 + 2 * 0.49) / 4
    assert report.brier_skill.value == pytest.approx(1 - 0.22 / yardstick)
    assert to_json(report)["brier_skill"]["reference"] == 0.3
    alike = calibrate(forecast_table([0.5] * 3, [1, 1, 1], list("abc")), reference=0.5)
    assert alike.brier_skill.value == pytest.approx(0.0)  # the base rate would leave it undefined
    with pytest.raises(UsageError, match="reference"):
        calibrate(table, reference=1.0)


def test_neither_the_order_of_rows_nor_how_they_came_together_changes_a_digit():
    rng = np.random.default_rng(6)
    p, question = rng.random(900).round(3), rng.integers(0, 45, 900)
    y, event = (question % 3 == 0).astype(float), (question // 2).astype(str)
    options = {"curve": True, "resamples": 40, "bins": "quantile:7"}

    def made(rows):
        return forecast_table(p[rows], y[rows], question[rows].astype(str), event=event[rows])

    whole = calibrate(made(np.arange(900)), **options)
    assert calibrate(made(rng.permutation(900)), **options) == whole
    assert calibrate(joined(made(np.arange(300)), made(np.arange(300, 900))), **options) == whole
    assert calibrate(made(np.arange(900)).rows(np.arange(900)[::-1]), **options) == whole


def test_fractions_are_scored_where_asked_for_by_the_same_formulas():
    p, y = np.array([0.2, 0.7, 0.7]), np.array([0.5, 1.0, 0.25])
    report = calibrate(forecast_table(p, y, list("abc")), score_fractions=True, resamples=0)
    assert report.brier.value == pytest.approx(np.mean((p - y) ** 2))
    log = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert report.log_score.value == pytest.approx(log.mean())
    assert report.corp.uncertainty == pytest.approx(np.var(y))
    assert report.brier.value == pytest.approx(
        report.corp.miscalibration - report.corp.discrimination + report.corp.uncertainty
    )
    assert report.ece == pytest.approx((abs(0.2 - 0.5) + abs(1.4 - 1.25)) / 3)


@pytest.mark.parametrize("fractions", [False, True])
def test_rows_taken_some_at_a_time_add_up_to_the_same(monkeypatch, fractions):
    p, y, question = invented()
    event = np.array([f"e{n % 7}" if n % 3 else "" for n in question], dtype=object)  # in another order
    y = np.where(question % 5 == 0, 0.3, y) if fractions else y
    table = forecast_table(p, y, question, event=event)

    def numbers() -> list[float]:
        report = calibrate(table, resamples=50, score_fractions=fractions)
        every = (
            report.brier,
            report.log_score,
            report.spherical,
            report.brier_skill,
            report.intercept,
            report.slope,
        )
        return [n for one in every if one.value is not None for n in (one.value, *one.ci95)]

    whole = numbers()
    assert len(whole) == (12 if fractions else 18)
    for part in ("calibration", "recalibration", "reliability"):
        monkeypatch.setattr(f"tracker.scoring.{part}._ROWS", 7)
    assert numbers() == pytest.approx(whole, rel=1e-12)
