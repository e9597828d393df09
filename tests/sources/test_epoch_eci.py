"""Epoch's Capabilities Index: its points, its anchors, and tables that are not it."""

from __future__ import annotations

from datetime import date

import pytest

from tests.sources.answers import PAYLOADS, answer
from tracker.errors import ParseError
from tracker.source import Parsed
from tracker.sources.epoch_eci import EpochEci

FILE = (PAYLOADS / "epoch_eci" / "eci_scores.csv").read_text(encoding="utf-8")


def read(text: str | bytes) -> Parsed:
    return EpochEci().parse(answer("epoch_eci", text.encode() if isinstance(text, str) else text))


def changed(before: str, after: str) -> str:
    assert before in FILE
    return FILE.replace(before, after, 1)


def test_every_dated_model_gives_a_point_with_its_interval_at_ninety_percent() -> None:
    parsed = read(FILE)
    assert parsed.faults == ()
    assert parsed.notes == ("1 models without a score or a date are left out",)
    (version,) = parsed.batch.versions
    told = [(p.key, p.at, p.value, p.lower, p.upper, p.ci_level, p.label) for p in version.measurements]
    assert told == [
        ("Alpha 1", date(2025, 6, 1), 151.5, 148.25, 157.0, 0.9, "Alpha One (high)"),
        ("Anchor", date(2025, 3, 1), 150.0, None, None, None, "Anchor"),
        ("Beta 2", date(2024, 11, 5), 99.5, 95.0, 101.25, 0.9, "Beta Two"),
    ]
    assert {(p.metric, p.unit) for p in version.measurements} == {("eci", "ECI points")}


@pytest.mark.parametrize(
    ("before", "after", "field", "says"),
    [
        ("99.5,95.0", "many,95.0", "line 4.eci", "no number"),
        ("99.5,95.0", "9950000,95.0", "line 4.eci", "another scale or column"),
        ("95.0,101.25", "195.0,101.25", "line 4", "upside down"),
        ("2024-11-05", "2024-13-05", "line 4.date", "no date"),
        ("2024-11-05", "1924-11-05", "line 4.date", "cannot be a release date"),
        ("Beta 2,", "x" * 200 + ",", "line 4.Model", "too long"),
    ],
)
def test_a_bad_row_is_named_and_the_rest_is_taken(before: str, after: str, field: str, says: str) -> None:
    parsed = read(changed(before, after))
    (fault,) = parsed.faults
    assert fault.field == field
    assert says in fault.message
    assert len(parsed.batch.versions[0].measurements) == 2


def test_a_model_given_twice_with_two_scores_is_a_fault_and_the_first_is_kept() -> None:
    parsed = read(FILE + "Beta 2,Beta Two,88.0,80.0,90.0,2024-11-05,Sample AI,Nowhere,Unknown,Other,\n")
    assert [fault.message for fault in parsed.faults] == [
        "two different rows of one system and metric; the first is kept"
    ]
    assert {p.key: p.value for p in parsed.batch.versions[0].measurements}["Beta 2"] == 99.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("<html>moved</html>", "HTML"),
        (b"\xff\xfe", "UTF-8"),
        (b"Model,eci\x00\n", "NUL"),
        (FILE.replace("eci_ci_low", "low"), "eci_ci_low: no such column; there are: Model, Display name"),
        (FILE.replace("Display name", "Model", 1), "stands twice"),
        (FILE.splitlines()[0] + "\n", "no point in it"),
        (FILE.splitlines()[0] + '\n"open,1,2\n', "not readable as CSV"),
        (FILE.splitlines()[0] + "\nA,A,x,,,2025-01-01,,,,,\n", "no point can be read; first: is no number"),
    ],
)
def test_what_is_no_such_table_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(ParseError, match=says.replace("(", r"\(")) as refused:
        read(text)
    assert refused.value.source == "epoch_eci"
    assert refused.value.ref == "eci"
