"""The Economic Index: which tables there are, and what is read of each layout."""

from __future__ import annotations

import json
from datetime import date

import pytest

from tests.sources.answers import PAYLOADS, answer
from tracker.errors import ParseError
from tracker.source import Parsed
from tracker.sources.aei import MAX_TABLE, EconomicIndex

TREE = (PAYLOADS / "aei" / "tree.json").read_bytes()
WEEKS = (PAYLOADS / "aei" / "weeks.csv").read_text(encoding="utf-8")
MONTHS = (PAYLOADS / "aei" / "months.csv").read_text(encoding="utf-8")


def read(body: str | bytes, ref: str = "1p_api_2026-01-15") -> Parsed:
    return EconomicIndex().parse(answer("aei", body.encode() if isinstance(body, str) else body, ref=ref))


def told(parsed: Parsed) -> dict[tuple[str, date], float]:
    (version,) = parsed.batch.versions
    return {(p.metric, p.at): p.value for p in version.measurements}


def test_the_list_of_files_is_a_series_so_that_a_new_release_is_seen() -> None:
    parsed = read(TREE, "releases")
    (version,) = parsed.batch.versions
    assert version.series == "aei_releases"
    assert sorted({p.at for p in version.measurements}) == [date(2026, 1, 15), date(2026, 6, 26)]
    assert {p.unit for p in version.measurements} == {"bytes"}
    assert len(version.measurements) == 4


def test_tables_that_are_not_too_large_are_asked_for_and_the_others_named() -> None:
    parsed = read(TREE, "releases")
    assert [(request.ref, request.conditional) for request in parsed.follow] == [
        ("1p_api_2026-01-15", True),
        ("1p_api_2026-06-26", True),
    ]
    assert all(
        request.path.startswith("datasets/Anthropic/EconomicIndex/resolve/main/release_")
        for request in parsed.follow
    )
    assert 219_000_000 > MAX_TABLE > 77_000_000
    assert parsed.notes == (
        "release_2026_06_26/data/aei_claude_ai_2026-06-26.csv: 219000000 bytes are more than we take; left out",
    )


@pytest.mark.parametrize(
    "path",
    [
        "release_2026_01_15/../../aei_1p_api_2026-01-15.csv",
        "release_2026_01_15/data/aei_1p_api_2026-01-15.csv?download=1",
        "release_2026_01_15/data/aei_1p_api_2026 01 15.csv",
        "https://elsewhere.example/release_2026_01_15/aei_1p_api_x.csv",
        "release_2026_01_15/a/b/c/d/e/aei_1p_api_x.csv",
    ],
)
def test_a_path_of_another_form_is_never_asked_for(path: str) -> None:
    files = [*json.loads(TREE), {"type": "file", "path": path, "size": 10, "oid": "0"}]
    assert [request.ref for request in read(json.dumps(files), "releases").follow] == [
        "1p_api_2026-01-15",
        "1p_api_2026-06-26",
    ]


def test_a_release_dated_on_no_day_is_a_fault() -> None:
    files = [*json.loads(TREE), {"type": "file", "path": "release_2026_13_45/data/x.csv", "size": 10}]
    (fault,) = read(json.dumps(files), "releases").faults
    assert fault.field == "[6].path"


def test_a_week_gives_the_shares_of_all_the_world_summed_over_the_ways_of_working() -> None:
    parsed = read(WEEKS)
    assert parsed.faults == ()
    assert parsed.batch.versions[0].series == "aei_1p_api_2026_01_15"
    day = date(2025, 11, 20)
    assert told(parsed) == {("automation", day): 70.75, ("augmentation", day): 22.25}


def test_months_give_their_metrics_in_their_own_units() -> None:
    parsed = read(MONTHS, "claude_ai_2026-06-26")
    assert parsed.faults == ()
    assert parsed.batch.versions[0].series == "aei_claude_ai_2026_06_26"
    assert told(parsed) == {
        ("automation", date(2026, 5, 1)): 70.5,
        ("augmentation", date(2026, 5, 1)): 25.5,
        ("automation", date(2026, 6, 1)): 72.0,
        ("autonomy", date(2026, 6, 1)): 3.5,
        ("human_only_time", date(2026, 6, 1)): 3.25,
        ("human_with_ai_time", date(2026, 6, 1)): 42.5,
    }
    assert {p.metric: p.unit for p in parsed.batch.versions[0].measurements}[
        "human_with_ai_time"
    ] == "minutes"


def test_a_way_of_working_that_is_missing_or_there_twice_gives_no_wrong_sum() -> None:
    line = "GLOBAL,global,2025-11-13,2025-11-20,1P API,collaboration,0,collaboration_pct,learning,8.0\n"
    assert line in WEEKS
    with pytest.raises(ParseError, match="these ways of working are missing: learning"):
        read(WEEKS.replace(line, ""))
    parsed = read(WEEKS.replace(line, line + line.replace("8.0", "9.0")))
    assert [fault.message for fault in parsed.faults] == ["a way of working stands twice; the first is kept"]
    assert told(parsed)["augmentation", date(2025, 11, 20)] == 22.25


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MONTHS.replace("geo_level", "geography"), "geo_level: no such column"),
        (WEEKS.replace("facet", "category"), "facet: no such column"),
        (MONTHS.replace("global", "world"), "no point in it"),
        (
            MONTHS.split("\n")[0]
            + "\n2026-04-01,2026-05-01,GLOBAL,global,overall,0,ai_autonomy_mean,70,Overall,-\n",
            "another scale",
        ),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 77000000\n", "no such column"),
        ("<html>sign in</html>", "HTML"),
    ],
)
def test_another_table_is_refused(text: str, says: str) -> None:
    with pytest.raises(ParseError, match=says):
        read(text)
