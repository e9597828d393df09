"""Curated tables: what a file says, and that every mistake in it is told with its line."""

from __future__ import annotations

from datetime import date

import pytest

from questions.curated import Verification, read_table
from questions.errors import CatalogueError, Problem

FILE = """\
series = "example"
units = { speed = "multiple", share = "percent" }
source_url = "https://example.org/post"
as_of = 2026-05-11
entered_by = "A. Reader"
verification = "printed"
points = [
  { key = "b", metric = "speed", at = 2026-03-01, value = 3.0 },
  { key = "a", metric = "speed", at = 2025-03-01, value = 1.5, lower = 1.0, upper = 2.5, ci_level = 0.9 },
  { key = "a", metric = "share", at = 2025-03-01, value = 20, beyond_ceiling = true, source_url = "https://example.org/o", as_of = 2025-12-31, entered_by = "B. Reader", verification = "digitised" },
]
"""  # noqa: E501


def problems(text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(CatalogueError) as refused:
        read_table("example.toml", text.encode() if isinstance(text, str) else text)
    return refused.value.problems


def changed(before: str, after: str) -> str:
    assert before in FILE
    return FILE.replace(before, after, 1)


def test_points_come_in_order_with_the_unit_of_their_metric() -> None:
    told = [
        (
            p.series,
            p.key,
            p.metric,
            p.at,
            p.value,
            p.unit,
            p.lower,
            p.upper,
            p.ci_level,
            p.beyond_ceiling,
            p.label,
        )
        for p in read_table("example.toml", FILE.encode()).measurements()
    ]
    assert told == [
        ("example", "a", "share", date(2025, 3, 1), 20.0, "percent", None, None, None, True, ""),
        ("example", "a", "speed", date(2025, 3, 1), 1.5, "multiple", 1.0, 2.5, 0.9, False, ""),
        ("example", "b", "speed", date(2026, 3, 1), 3.0, "multiple", None, None, None, False, ""),
    ]


def test_a_point_has_the_tables_origin_unless_it_says_otherwise() -> None:
    origins = read_table("example.toml", FILE.encode()).origins()
    own, common = origins["a", "share"], origins["b", "speed"]
    assert (common.source_url, common.as_of, common.entered_by, common.verification) == (
        "https://example.org/post", date(2026, 5, 11), "A. Reader", Verification.PRINTED,
    )  # fmt: skip
    assert (own.source_url, own.as_of, own.entered_by, own.verification) == (
        "https://example.org/o", date(2025, 12, 31), "B. Reader", Verification.DIGITISED,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "line", "key", "says"),
    [
        ("value = 3.0", 'value = "3"', 8, "points.value", "valid number"),
        ("value = 3.0", "valeu = 3.0", 8, "points.valeu", "did you mean 'value'"),
        ("value = 3.0", "value = nan", 8, "points.value", "finite"),
        (", value = 3.0", "", 8, "points.value", "required"),
        ("at = 2026-03-01", "at = 2026-03-01T00:00:00Z", 8, "points.at", "date"),
        ("lower = 1.0", "lower = 9.0", 9, "points.lower", "upside down"),
        ("ci_level = 0.9", "ci_level = 90", 9, "points.ci_level", "less than 1"),
        ('"digitised"', '"guessed"', 10, "points.verification", "not known here"),
        ('metric = "share"', 'metric = "shape"', 7, "points", "no unit is given for 'shape'"),
        ('key = "b"', 'key = "a"', 7, "points", "two points have this key and metric"),
        ('"https://example.org/post"', '"example.org"', 3, "source_url", "https://"),
        ('"https://example.org/post"', '""', 3, "source_url", "must not be empty"),
        ('entered_by = "A. Reader"\n', "", 1, "entered_by", "required"),
        ('verification = "printed"\n', "", 1, "verification", "required"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_key(
    before: str, after: str, line: int, key: str, says: str
) -> None:
    told = {problem.key: problem for problem in problems(changed(before, after))}
    problem = told[key]
    assert problem.file == "example.toml"
    assert says in problem.message
    if "required" not in says or "value" in key:
        assert problem.line == line


def test_all_mistakes_come_at_once() -> None:
    text = changed("value = 3.0", "value = true").replace("as_of = 2026-05-11", 'as_of = "May"')
    assert {problem.key for problem in problems(text)} == {"points.value", "as_of"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("series = ", "not valid TOML"),
        (b"\xff", "not UTF-8"),
        ("", "required"),
        ("points = []\n", "required"),
    ],
)
def test_what_is_no_table_is_refused(text: str | bytes, says: str) -> None:
    assert any(says in problem.message for problem in problems(text))
