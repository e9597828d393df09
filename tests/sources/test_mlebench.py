"""MLE-bench's README: the table among the words, its columns by their headings, and what is not comparable."""

from __future__ import annotations

from datetime import date

import pytest

from tests.sources.answers import PAYLOADS, answer
from tracker.errors import ParseError
from tracker.source import Parsed
from tracker.sources.mlebench import NOT_COMPARABLE, SERIES, MleBench

FILE = (PAYLOADS / "mlebench" / "README.md").read_text(encoding="utf-8")
ONE = "Agent One (Example Labs)@alpha-1@24h@2026-01-05"


def read(text: str) -> Parsed:
    return MleBench().parse(answer("mlebench", text.encode()))


def told(
    parsed: Parsed, series: str = SERIES
) -> dict[tuple[str, str], tuple[float, float | None, float | None]]:
    (version,) = (version for version in parsed.batch.versions if version.series == series)
    return {(p.key, p.metric): (p.value, p.lower, p.upper) for p in version.measurements}


def changed(before: str, after: str) -> str:
    assert before in FILE
    return FILE.replace(before, after, 1)


def test_scores_come_with_one_standard_error_and_stay_within_the_scale() -> None:
    parsed = read(FILE)
    assert parsed.faults == ()
    found = told(parsed)
    assert found[ONE, "all"] == (62.0, 60.75, 63.25)
    assert found[ONE, "medium"] == (60.0, 57.5, 62.5)
    agent = "Lab Agent-2.0@beta-2 (low effort)@12h@2025-02-01"
    assert found[agent, "high"] == (5.0, 0.0, 12.5)
    assert found[agent, "medium"] == (10.0, None, None)
    assert len(found) == 12
    version = parsed.batch.versions[0]
    assert {p.at for p in version.measurements} == {date(2026, 1, 5), date(2025, 2, 1), date(2024, 10, 8)}
    assert {p.ci_level for p in version.measurements if p.lower is not None} == {0.6827}


def test_entries_that_are_not_comparable_are_a_series_of_their_own_with_the_reason() -> None:
    parsed = read(FILE)
    assert max(value for value, _, _ in told(parsed).values()) == 80.3
    leaky = told(parsed, NOT_COMPARABLE)
    assert leaky["Leaky@Ensemble (alpha-1, beta-2)@24h@2026-02-03", "all"] == (77.0, 76.5, 77.5)
    labels = {p.label for version in parsed.batch.versions[1:] for p in version.measurements}
    assert labels == {"Leaky, Ensemble (alpha-1, beta-2) (Test-set feedback)"}


def test_a_column_of_known_leakage_sets_entries_apart_too() -> None:
    lines = FILE.split("## Tasks")[0].split("### Additional")[0].splitlines()
    marks = iter([" Known leakage |", "---|", " ✓ |", " X |", " X |"])
    text = "\n".join(line + next(marks) if line.startswith("|") else line for line in lines)
    parsed = read(text)
    assert {key for key, _ in told(parsed, NOT_COMPARABLE)} == {ONE}
    assert ONE not in {key for key, _ in told(parsed)}


def test_columns_are_found_by_their_headings_in_any_order() -> None:
    turned = []
    for line in FILE.splitlines():
        cells = line.strip().strip("|").split("|")
        turned.append("|" + "|".join(reversed(cells)) + "|" if line.startswith("|") else line)
    assert told(read("\n".join(turned))) == told(read(FILE))


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("62.0 ± 1.25", "620 ± 1.25", "line 9.all"),
        ("62.0 ± 1.25", "62.0 ± ", "line 9.all"),
        ("62.0 ± 1.25", "sixty", "line 9.all"),
        ("| 2026-01-05 |", "| January |", "line 9.date"),
        ("| 2026-01-05 | X", "| 2026-01-05", "line 9"),
        ("[Agent One](https://example.org/one)<br>(Example Labs)", "x" * 300, "line 9.agent"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_the_rest_is_taken(before: str, after: str, field: str) -> None:
    parsed = read(changed(before, after))
    assert [fault.field for fault in parsed.faults] == [field]
    assert len(told(parsed)) == 8


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no table"),
        ("# A page\n\nwithout a table\n", "no table"),
        ("<!DOCTYPE html><html>", "HTML"),
        (FILE.replace("| Date |", "| Day |"), "no table"),
        (FILE.replace("Running Time (hours)", "All of it"), "stands twice"),
        (FILE.split("| [Agent One]")[0], "no point in it"),
    ],
)
def test_a_page_without_the_table_is_refused(text: str, says: str) -> None:
    with pytest.raises(ParseError, match=says):
        read(text)
