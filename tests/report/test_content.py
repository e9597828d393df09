"""What the records say, before anyone lays them out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest

from questions.records import Measurement
from storage.records import Change
from tests.report.contents import NOW, empty_content
from tests.report.voices import AREAS, INTERNAL, MARKET, PANEL, TREND
from tracker.estimates.voice import Comparison, Evidence, Voice
from tracker.report.content import (
    PARTS,
    agreement,
    biggest_gap,
    comparison_row,
    evidence_rows,
    ordering,
    places_of,
    reliability_report,
    revision_row,
)
from tracker.scoring.calibration import Bin, CalibrationReport, ScoreEstimate

NAMES = {area.key: area.name for area in AREAS}


def test_equal_scores_share_the_best_of_their_ranks() -> None:
    tied = Voice("v", "m", scores={"a": 3.0, "b": 2.0, "c": 2.0, "d": 1.0}, ranking=("a", "b", "c", "d"))
    assert {key: place.label for key, place in places_of(tied).items()} == {
        "a": "1",
        "b": "2=",
        "c": "2=",
        "d": "4",
    }


def test_a_voice_without_a_view_on_an_area_has_no_place_for_it() -> None:
    table = ordering((INTERNAL, MARKET, PANEL), AREAS)
    for row in table.rows:
        key = next(area.key for area in AREAS if area.name == row.area)
        assert ("market" in row.places) == (key in MARKET.coverage)
        assert "panel" not in row.places
    assert {voice.name: voice.n_covered for voice in table.voices} == {
        "internal": 10,
        "market": 5,
        "panel": 0,
    }


def test_rows_follow_the_voice_that_covers_most() -> None:
    rows = ordering((TREND, INTERNAL, MARKET), AREAS).rows
    assert [row.area for row in rows] == [NAMES[key] for key in INTERNAL.ranking]


def test_an_ordering_without_any_view_still_lists_every_area() -> None:
    assert [row.area for row in ordering((PANEL,), AREAS).rows] == [area.name for area in AREAS]
    assert len(ordering((), AREAS).rows) == 10


def two_voices(before_a: float, after_a: float, before_b: float, after_b: float) -> tuple[Voice, Voice]:
    first, second = "ai_control", "post_training"
    return tuple(  # type: ignore[return-value]
        Voice(name, "m", p_before={first: {second: before}, second: {first: after}})
        for name, before, after in (("x", before_a, after_a), ("y", before_b, after_b))
    )


def test_the_biggest_gap_is_between_leans_with_neither_split_in_halves() -> None:
    gap = biggest_gap("ai_control", two_voices(0.7, 0.3, 0.1, 0.3), NAMES)
    assert gap is not None
    assert (gap.other, gap.voice_a, gap.voice_b) == ("Post-training", "x", "y")
    assert (gap.p_a, gap.p_b) == pytest.approx((0.7, 0.4))


def test_mass_on_neither_is_no_disagreement() -> None:
    gap = biggest_gap("ai_control", two_voices(0.5, 0.5, 0.05, 0.05), NAMES)
    assert gap is not None
    assert gap.p_a == gap.p_b == 0.5


def test_one_voice_alone_disagrees_with_nobody() -> None:
    assert biggest_gap("ai_control", (INTERNAL, PANEL), NAMES) is None


@pytest.mark.parametrize(
    ("tau", "sd", "words"),
    [
        (0.0, 0.41, "indistinguishable from no agreement"),
        (0.67, 0.41, "indistinguishable from no agreement"),
        (-0.67, 0.41, "indistinguishable from no agreement"),
        (0.69, 0.41, "more alike than unrelated orders would be"),
        (-0.69, 0.41, "more opposed than unrelated orders would be"),
        (0.69, None, "no null spread to judge by"),
    ],
)
def test_tau_inside_the_null_band_is_called_what_it_is(tau: float, sd: float | None, words: str) -> None:
    assert agreement(Comparison("a", "b", ("k",) * 5, tau, None, sd)) == words


def test_a_comparison_of_too_few_areas_gives_its_reason() -> None:
    row = comparison_row(Comparison("a", "b", ("ai_control",), reason="1 shared areas, 4 are needed"), AREAS)
    assert (row.tau_b, row.verdict, row.n_shared) == (None, "1 shared areas, 4 are needed", 1)


def point(value: float, **changes: object) -> Measurement:
    base = Measurement("s", "k", "p50", date(2025, 1, 1), value, "minutes")
    return replace(base, **changes)  # type: ignore[arg-type]


def test_the_largest_revision_is_the_largest_in_ratio_whichever_way() -> None:
    changes = [
        Change("up", "p50", "revised", point(100.0), point(116.0)),
        Change("down", "p50", "revised", point(100.0), point(83.0)),
        Change("new", "p50", "added", None, point(1.0)),
        Change("gone", "p50", "removed", point(1.0), None),
        Change("ci", "p50", "interval", point(1.0), point(1.0)),
        Change("date", "p50", "dated", point(1.0), point(1.0)),
    ]
    row = revision_row(date(2026, 3, 3), changes, doubling_before_days=122.6, doubling_after_days=128.7)
    # |ln 0.83| = 0.186 is more than ln 1.16 = 0.148
    assert row.largest_key == "down"
    assert row.largest_ratio == pytest.approx(0.83)
    assert (row.n_added, row.n_removed, row.n_revised, row.n_interval_only) == (1, 1, 2, 1)


def test_a_version_that_revised_nothing_has_no_largest_change() -> None:
    row = revision_row(date(2026, 3, 3), [])
    assert (row.largest_key, row.largest_ratio, row.n_revised) == ("", None, 0)


def test_evidence_takes_the_platforms_title_where_it_is_known() -> None:
    evidence = (
        Evidence("ai_control", "q1", "manifold", "proxy", 0.5, 0.2, NOW, "our label"),
        Evidence("ai_control", "q2", "kalshi", "proxy", 0.5, label="our other label"),
    )
    rows = evidence_rows(
        [replace(MARKET, evidence=evidence)], AREAS, {"q1": ("Their title", "https://x.example/1")}
    )
    assert [(row.title, row.url, row.area) for row in rows] == [
        ("Their title", "https://x.example/1", "AI control"),
        ("our other label", "", "AI control"),
    ]


def calibration(**changes: object) -> CalibrationReport:
    nothing = ScoreEstimate()
    base = CalibrationReport(
        n_forecasts=12,
        n_questions=5,
        n_void=0,
        n_pending=0,
        n_fraction=0,
        n_after_resolution=0,
        n_resolved_early=3,
        n_close_unknown=1,
        n_clipped=0,
        base_rate=0.4,
        log_clip=0.001,
        brier=ScoreEstimate(0.2, (0.1, 0.3)),
        log_score=nothing,
        spherical=nothing,
        brier_skill=nothing,
        ece=None,
        ece_bins=10,
        smooth_ece=None,
        corp=None,
        bins=(Bin(0.0, 0.5, 12, 5, 0.3, 0.4, None), Bin(0.5, 1.0, 0, 0, None, None, None)),
        resamples=0,
        seed=1,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_calibration_report_is_taken_over_number_by_number() -> None:
    report = reliability_report("manifold", calibration())
    assert report is not None
    assert (report.brier, report.brier_ci95, report.log_score) == (0.2, (0.1, 0.3), None)
    assert (report.n_forecasts, report.n_questions, report.n_resolved_early, report.n_close_unknown) == (
        12,
        5,
        3,
        1,
    )
    assert [bin_.n for bin_ in report.filled] == [12]


def test_a_calibration_report_that_scored_nothing_is_no_record() -> None:
    assert reliability_report("manifold", calibration(brier=ScoreEstimate())) is None


@pytest.mark.parametrize("part", PARTS)
def test_an_empty_part_needs_a_reason(part: str) -> None:
    content = empty_content()
    reasons = {name: reason for name, reason in content.reasons.items() if name != part}
    with pytest.raises(ValueError, match=f"no reason given: {part}"):
        replace(content, reasons=reasons)


def test_a_page_needs_an_aware_time_and_a_row_per_area() -> None:
    with pytest.raises(ValueError, match="naive"):
        replace(empty_content(), as_of=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="a row for every area"):
        replace(empty_content(), ordering=ordering((INTERNAL,), ()))
