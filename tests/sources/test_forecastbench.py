"""ForecastBench: crowd values by day, outcomes, titles, and files that are not there."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from questions.records import Quantity
from questions.time import EPOCH
from tests.sources.answers import AT, PAYLOADS, answer, link, outcome, value
from tracker.errors import ParseError
from tracker.source import Parsed
from tracker.sources.forecastbench import ForecastBench

SOURCE = ForecastBench()
FOLDER = PAYLOADS / "forecastbench"
ROUND = json.loads((FOLDER / "2026-11-08_resolution_set.json").read_bytes())
ASKED = json.loads((FOLDER / "2026-11-08-llm.json").read_bytes())
POLY_A, POLY_B = "0x" + "0" * 62 + "aa", "0x" + "0" * 62 + "bb"
LINKS = [link("manifold", "exMkt0001")]


def read(body: Any, **how: Any) -> Parsed:
    return SOURCE.parse(answer("forecastbench", body, **how))


def resolutions(change: Callable[[list[Any]], Any]) -> dict[str, Any]:
    body = copy.deepcopy(ROUND)
    change(body["resolutions"])
    return dict(body)


def questions(**changes: Any) -> dict[str, Any]:
    """The question set with the first question changed."""
    body = copy.deepcopy(ASKED)
    body["questions"][0].update(changes)
    return dict(body)


def row(**changes: Any) -> dict[str, Any]:
    """A resolution set of one good row, changed (a value of ... takes the key away)."""
    one: dict[str, Any] = {
        "id": "990001",
        "source": "metaculus",
        "direction": None,
        "resolution_date": "2026-11-19",
        "resolved_to": 0.5,
        "resolved": False,
    }
    one.update(changes)
    return {"resolutions": [{key: new for key, new in one.items() if new is not ...}]}


# --- what is asked --------------------------------------------------------------------------------------


def rounds(last: datetime | None, now: datetime) -> list[date]:
    """The rounds that a poll asks for when the one before was at ``last``."""
    newest, *sets = SOURCE.plan_after(LINKS, last, now).requests
    assert newest.ref == "latest"
    return [date.fromisoformat(request.ref) for request in sets]


def test_every_fortnight_of_the_last_370_days_is_asked_for() -> None:
    plan = SOURCE.plan(LINKS, AT, None)
    first, *sets = plan.requests
    assert first.path == "datasets/question_sets/latest-llm.json"
    days = [date.fromisoformat(request.ref) for request in sets]
    assert [request.path for request in sets] == [
        f"datasets/resolution_sets/{day}_resolution_set.json" for day in days
    ]
    assert days[0] == date(2026, 11, 8)
    assert all(newer - older == timedelta(days=14) for newer, older in pairwise(days))
    assert all(day.weekday() == 6 for day in days)
    assert date(2026, 8, 2) in days
    assert AT.date() - timedelta(days=370) <= days[-1] < AT.date() - timedelta(days=356)
    assert all(request.accept_missing and request.conditional for request in plan.requests)


@pytest.mark.parametrize("days", [1, 2, 7, 30])
def test_later_the_newest_rounds_are_asked_for_always_and_older_ones_by_turns(days: int) -> None:
    times = [AT + timedelta(days=days * n) for n in range(10)]
    for last, now in pairwise(times):
        every, asked = rounds(None, now), rounds(last, now)
        assert asked[:3] == every[:3]
        assert len(asked) <= 3 + -(-len(every[3:]) * days // 8) + 1
    turn = [day for last, now in pairwise(times[:9]) for day in rounds(last, now)]
    lasting = set(rounds(None, times[0])) & set(rounds(None, times[8]))
    assert lasting <= set(turn)


def test_since_reaches_back_but_never_shortens_the_window() -> None:
    everything = [request.ref for request in SOURCE.plan(LINKS, AT, EPOCH).requests]
    assert everything[-2:] == ["2025-03-02", "2024-07-21"]
    recent = SOURCE.plan(LINKS, AT, AT - timedelta(days=3))
    assert recent == SOURCE.plan(LINKS, AT, None)


def test_a_round_is_asked_for_on_the_day_it_is_due() -> None:
    day_before = SOURCE.plan(LINKS, datetime(2026, 11, 21, 23, tzinfo=UTC), None).requests[1].ref
    same_day = SOURCE.plan(LINKS, datetime(2026, 11, 22, tzinfo=UTC), None).requests[1].ref
    assert (day_before, same_day) == ("2026-11-08", "2026-11-22")


def test_before_the_first_round_only_the_newest_set_is_asked_for() -> None:
    plan = SOURCE.plan(LINKS, datetime(2024, 1, 1, tzinfo=UTC), None)
    assert [request.ref for request in plan.requests] == ["latest"]


def test_without_a_link_on_its_platforms_nothing_is_asked() -> None:
    assert SOURCE.plan([link("kalshi", "x")], AT, EPOCH).requests == ()
    assert SOURCE.plan_after([link("kalshi", "x")], None, AT).requests == ()


# --- resolution sets ------------------------------------------------------------------------------------


def test_open_questions_give_the_crowds_value_at_the_end_of_the_day() -> None:
    parsed = read(ROUND)
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == [
        ("exMkt0001", "yes", "2026-11-19T23:59:59Z", 0.625),
        ("990001", "yes", "2026-11-19T23:59:59Z", 0.26),
    ]
    assert [snapshot.key.platform for snapshot in parsed.batch.snapshots] == ["manifold", "metaculus"]
    assert {snapshot.key.source for snapshot in parsed.batch.snapshots} == {"forecastbench"}
    assert {snapshot.key.quantity for snapshot in parsed.batch.snapshots} == {Quantity.CROWD_DAILY}
    assert all(snapshot.timed_by_source for snapshot in parsed.batch.snapshots)


def test_resolved_questions_give_outcomes_and_no_value() -> None:
    parsed = read(ROUND)
    assert [(one.platform, *outcome(one)) for one in parsed.batch.resolutions] == [
        ("infer", "4321", "yes", "fraction", 0.5, "2026-11-14T00:00:00Z"),
        ("manifold", "exMkt0002", "yes", "yes", 1.0, "2026-11-12T00:00:00Z"),
        ("polymarket", POLY_A, "yes", "no", 0.0, "2026-11-13T00:00:00Z"),
    ]


def test_data_series_and_combinations_are_passed_over_in_silence() -> None:
    parsed = read(ROUND)
    assert (parsed.faults, parsed.notes, parsed.follow) == ((), (), ())


def test_an_unknown_source_is_noted_once() -> None:
    def change(rows: list[Any]) -> None:
        rows.extend({"id": str(number), "source": "kalshi", "resolved": False} for number in range(3))

    parsed = read(resolutions(change))
    assert parsed.notes == ("source 'kalshi' is not known; its rows are passed over",)
    assert parsed.faults == ()


def test_the_order_of_rows_does_not_matter() -> None:
    for seed in range(5):
        mixed = resolutions(random.Random(seed).shuffle)
        one, other = read(ROUND).batch, read(mixed).batch
        assert [value(s) for s in one.snapshots] == [value(s) for s in other.snapshots]
        assert [outcome(r) for r in one.resolutions] == [outcome(r) for r in other.resolutions]


def test_a_row_that_stands_twice_is_one() -> None:
    twice = read(resolutions(lambda rows: rows.extend(rows[:])))
    assert [value(s) for s in twice.batch.snapshots] == [value(s) for s in read(ROUND).batch.snapshots]
    assert [outcome(r) for r in twice.batch.resolutions] == [
        outcome(r) for r in read(ROUND).batch.resolutions
    ]
    assert twice.faults == ()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"resolved_to": 1.5}, "resolved_to"),
        ({"resolved_to": -0.1}, "resolved_to"),
        ({"resolved_to": "0.5"}, "resolved_to"),
        ({"resolved_to": None}, "resolved_to"),
        ({"resolved_to": True}, "resolved_to"),
        ({"resolved_to": float("nan")}, "resolved_to"),
        ({"resolved_to": ...}, "resolved_to"),
        ({"resolved": "yes"}, "resolved"),
        ({"resolved": ...}, "resolved"),
        ({"resolution_date": "2026-13-01"}, "resolution_date"),
        ({"resolution_date": "20.11.2026"}, "resolution_date"),
        ({"resolution_date": 20261120}, "resolution_date"),
        ({"resolution_date": "2026-11-20"}, "resolution_date"),
        ({"id": ""}, "id"),
        ({"id": 990001}, "id"),
        ({"id": "two words"}, "id"),
        ({"id": ...}, "id"),
        ({"source": None}, "source"),
    ],
)
def test_a_bad_row_is_a_fault_and_the_rest_is_taken(changes: dict[str, Any], field: str) -> None:
    body = row(**changes)
    body["resolutions"].append(row(id="990002")["resolutions"][0])
    parsed = read(body)
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == ["990002"]
    assert [fault.field for fault in parsed.faults] == [f"resolutions[0].{field}"]
    with pytest.raises(ParseError, match=field):
        read(row(**changes))


def test_an_outcome_dated_ahead_is_known_but_not_since_when() -> None:
    parsed = read(row(resolved=True, resolved_to=1.0, resolution_date="2026-12-31"))
    assert [outcome(one) for one in parsed.batch.resolutions] == [("990001", "yes", "yes", 1.0, None)]
    assert parsed.faults == ()


def test_two_values_for_one_question_and_day_are_a_fault() -> None:
    body = row()
    body["resolutions"].append(row(resolved_to=0.9)["resolutions"][0])
    parsed = read(body)
    assert [snapshot.probability for snapshot in parsed.batch.snapshots] == [0.5]
    assert "two different" in parsed.faults[0].message


# --- question sets --------------------------------------------------------------------------------------


def test_a_question_set_gives_titles_and_the_value_when_frozen() -> None:
    parsed = read(ASKED)
    assert [(info.platform, info.external_id, info.title) for info in parsed.batch.infos] == [
        ("manifold", "exMkt0001", "Invented question one?"),
        ("polymarket", POLY_B, "Invented question two?"),
    ]
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == [
        ("exMkt0001", "yes", "2026-10-29T00:00:00Z", 0.4375),
        (POLY_B, "yes", "2026-10-29T00:00:00Z", 0.051),
    ]
    first, second = parsed.batch.infos
    assert first.url == "https://manifold.markets/ExampleMaker/invented-question-one"
    assert first.opens_at == datetime(2026, 2, 21, 20, 26, 37, tzinfo=UTC)
    assert first.closes_at == datetime(2027, 12, 31, 22, 59, tzinfo=UTC)
    assert first.criteria_sha256 == hashlib.sha256(b"Invented.").hexdigest()
    assert (second.opens_at, second.closes_at) == (datetime(2026, 1, 12, tzinfo=UTC), None)
    assert parsed.faults == ()


@pytest.mark.parametrize(
    "frozen", ["1.2", "-0.1", "nan", "inf", "1e999", "many", "", "N/A", "0.5 ", 7, None, True]
)
def test_a_frozen_value_that_is_no_probability_is_a_fault_and_the_title_stays(frozen: object) -> None:
    parsed = read(questions(freeze_datetime_value=frozen))
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == [POLY_B]
    assert len(parsed.batch.infos) == 2
    assert [fault.field for fault in parsed.faults] == ["questions[0].freeze_datetime_value"]


@pytest.mark.parametrize("frozen", ["0.5", 0.5, "5e-1", ".5"])
def test_a_frozen_value_may_be_a_number_or_its_text(frozen: object) -> None:
    assert read(questions(freeze_datetime_value=frozen)).batch.snapshots[0].probability == 0.5


@pytest.mark.parametrize("moment", ["2026-12-29T00:00:00+00:00", "2026-10-29T00:00:00", "soon", 5, None])
def test_a_frozen_value_without_its_time_is_a_fault(moment: object) -> None:
    parsed = read(questions(freeze_datetime=moment))
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == [POLY_B]
    assert [fault.field for fault in parsed.faults] == ["questions[0].freeze_datetime"]


@pytest.mark.parametrize(
    ("criteria", "background", "rules", "words"),
    [
        ("Resolves Yes.", "A story.", "By 2028.", "Resolves Yes.\nA story.\nBy 2028."),
        ("Resolves\n Yes.", "", "N/A", "Resolves Yes."),
        ("N/A", "N/A", "N/A", None),
        (None, None, "By 2028.", "By 2028."),
    ],
)
def test_the_criteria_are_told_by_their_digest(
    criteria: str | None, background: str | None, rules: str, words: str | None
) -> None:
    body = questions(
        resolution_criteria=criteria, background=background, market_info_resolution_criteria=rules
    )
    (info, *_) = read(body).batch.infos
    assert info.criteria_sha256 == ("" if words is None else hashlib.sha256(words.encode()).hexdigest())


def test_criteria_that_are_no_text_are_a_fault_and_the_rest_is_taken() -> None:
    parsed = read(questions(background={"not": "text"}))
    assert len(parsed.batch.infos) == 2
    assert [fault.field for fault in parsed.faults] == ["questions[0].background"]


# --- the pointer, and what is not there -----------------------------------------------------------------


def test_the_pointer_leads_to_the_newest_question_set() -> None:
    parsed = read((FOLDER / "latest-llm.json").read_bytes(), ref="latest")
    (request,) = parsed.follow
    assert request.path == "datasets/question_sets/2026-11-08-llm.json"
    assert request.accept_missing
    assert request.conditional
    assert read(b"2026-11-08-llm.json\n", ref="latest").follow == parsed.follow


@pytest.mark.parametrize(
    "body",
    [
        b"../../../etc/passwd",
        b"2026-11-08-llm.json/../../x",
        b"https://evil.example/2026-11-08-llm.json",
        b"2026-11-08-llm.json\n2026-10-25-llm.json",
        b"2026-13-08-llm.json",
        b"2026-11-08-human.json",
        b"2026-11-08-llm.json\x00",
        "\u0662026-11-08-llm.json".encode(),
        b"version https://git-lfs.github.com/spec/v1",
    ],
)
def test_a_hostile_pointer_leads_nowhere(body: bytes) -> None:
    with pytest.raises(ParseError):
        read(body, ref="latest")


def test_a_server_that_resolves_the_pointer_itself_is_understood() -> None:
    assert read(ASKED, ref="latest") == read(ASKED)


def test_a_missing_set_is_an_answer() -> None:
    assert read(b"404: Not Found", status=404) == Parsed()


@pytest.mark.parametrize("body", [{}, {"resolutions": {}}, {"questions": None}, {"resolutions": ["x"]}])
def test_a_file_of_another_shape_is_refused(body: Any) -> None:
    with pytest.raises(ParseError):
        read(body)


def test_an_empty_set_is_no_error() -> None:
    assert read({"resolutions": []}) == Parsed()
