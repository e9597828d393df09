"""SWE-bench's leaderboards: the two lists we read, and what is wrong in them."""

from __future__ import annotations

import copy
import json
from datetime import date
from typing import Any

import pytest

from tests.sources.answers import PAYLOADS, answer
from tracker.errors import ParseError
from tracker.source import Parsed
from tracker.sources.swebench import SweBench

FILE: dict[str, Any] = json.loads((PAYLOADS / "swebench" / "leaderboards.json").read_bytes())


def read(body: Any) -> Parsed:
    return SweBench().parse(answer("swebench", body))


def entry(**changes: Any) -> dict[str, Any]:
    """The file with the first entry of the verified list changed."""
    body = copy.deepcopy(FILE)
    body["leaderboards"][1]["results"][0].update(changes)
    return body


def test_two_lists_are_two_series_in_percent_by_day_of_submission() -> None:
    parsed = read(FILE)
    assert parsed.faults == ()
    told = {
        version.series: [(p.key, p.at, p.value, p.unit, p.label) for p in version.measurements]
        for version in parsed.batch.versions
    }
    unchecked = " (not checked by the maintainers)"
    assert told == {
        "swebench_verified": [
            ("20231010_agent_b", date(2023, 10, 10), 0.0, "percent", "Agent B" + unchecked),
            ("20240402_agent_c", date(2024, 4, 2), 12.5, "percent", "Agent C" + unchecked),
            ("20250701_agent_a", date(2025, 7, 1), 61.4, "percent", "Agent A + alpha-1"),
        ],
        "swebench_bash_only": [
            ("20250726_mini_alpha-1", date(2025, 7, 26), 55.0, "percent", "alpha-1" + unchecked)
        ],
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"resolved": 101}, "resolved"),
        ({"resolved": -1}, "resolved"),
        ({"resolved": "61.4"}, "resolved"),
        ({"resolved": None}, "resolved"),
        ({"folder": ""}, "folder"),
        ({"folder": "x" * 300}, "folder"),
        ({"folder": 7}, "folder"),
        ({"date": "soon"}, "date"),
        ({"date": "2199-01-01"}, "date"),
    ],
)
def test_a_bad_entry_is_named_and_the_rest_is_taken(changes: dict[str, Any], field: str) -> None:
    parsed = read(entry(**changes))
    assert [fault.field for fault in parsed.faults] == [f"leaderboards[1].results[0].{field}"]
    assert [len(version.measurements) for version in parsed.batch.versions] == [2, 1]


def test_a_list_that_is_gone_or_there_twice_is_a_fault() -> None:
    body = copy.deepcopy(FILE)
    body["leaderboards"][2]["name"] = "Verified"
    with pytest.raises(ParseError, match="leaderboards: no point can be read; first: is there 2 times"):
        read(body)
    body = {"leaderboards": FILE["leaderboards"][:2]}
    parsed = read(body)
    assert [(fault.ref, fault.message) for fault in parsed.faults] == [
        ("bash-only", "is there 0 times, not once")
    ]
    assert [version.series for version in parsed.batch.versions] == ["swebench_verified"]


def test_two_entries_of_one_folder_that_differ_are_a_fault() -> None:
    body = copy.deepcopy(FILE)
    results = body["leaderboards"][1]["results"]
    results.append(results[0] | {"resolved": 70.0})
    parsed = read(body)
    assert [fault.ref for fault in parsed.faults] == ["20250701_agent_a"]
    assert 61.4 in {p.value for p in parsed.batch.versions[0].measurements}
