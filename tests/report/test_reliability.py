"""The reliability diagram."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.report.contents import RELIABILITY
from tests.report.drawings import all_text
from tracker.report import plots
from tracker.report.content import ReliabilityBin, ReliabilityReport

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FEW = ReliabilityReport(
    "few", 3, 3, 0.09, bins=(ReliabilityBin(0.0, 0.5, 0), ReliabilityBin(0.5, 1.0, 3, 0.7, 1.0))
)
NARROW = replace(
    RELIABILITY,
    bins=tuple(ReliabilityBin(i / 100, (i + 1) / 100, 12345, i / 100, i / 100) for i in range(100)),
)


def test_each_filled_bin_is_a_point_and_an_empty_one_is_none() -> None:
    square = plots.reliability_chart(FEW, as_of=NOW).axes[0]
    marked = [line for line in square.lines if line.get_marker() == "o"]
    assert [np.asarray(line.get_xydata()).tolist() for line in marked] == [[[0.7, 1.0]]]


def test_the_header_numbers_stand_beside_the_diagram() -> None:
    text = all_text(plots.svg_text(plots.reliability_chart(RELIABILITY, as_of=NOW)))
    for piece in ("0.143", "95 %: 0.129 to 0.159", "0.441", "312", "1,504", "0.36", "2026-11-20"):
        assert piece in text
    for bin_ in RELIABILITY.bins:
        assert f"{bin_.n}" in text.splitlines()


@pytest.mark.parametrize("report", [RELIABILITY, FEW, NARROW], ids=["usual", "few", "a hundred bins"])
def test_no_text_overlaps_or_is_clipped(report: ReliabilityReport) -> None:
    assert plots.overlapping_texts(plots.reliability_chart(report, as_of=NOW)) == []


def test_without_a_scored_forecast_there_is_no_chart() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.reliability_chart(replace(FEW, bins=(ReliabilityBin(0.0, 1.0, 0),)), as_of=NOW)


def test_a_bin_says_what_happened_exactly_when_it_holds_forecasts() -> None:
    with pytest.raises(ValueError, match="exactly when"):
        ReliabilityBin(0.0, 0.1, 3)
    with pytest.raises(ValueError, match="exactly when"):
        ReliabilityBin(0.0, 0.1, 0, 0.05, 0.0)
    with pytest.raises(ValueError, match="does not lie"):
        ReliabilityBin(0.5, 0.1, 0)


def test_the_words_for_the_chart_hold_its_numbers() -> None:
    alt = plots.reliability_alt(RELIABILITY)
    assert "Brier score 0.143 (95 %: 0.129 to 0.159)" in alt
    assert "0.25 to 0.50: 404 forecasts, said 0.37, happened 0.31" in alt
