"""Fatebook: a team's forecasts, one mean of everybody's latest, and outcomes that the platform only half tells."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from questions.records import OutcomeState, Quantity, StreamKey, ValueState
from questions.time import EPOCH, parse_utc
from storage.memory import MemoryStore
from tests.servers.local import LocalServer, json_reply
from tests.sources.answers import AT, PAYLOADS, answer, link, outcome, value
from tests.tracker.fakes import Clock
from tracker.collect import Collector
from tracker.config import Settings
from tracker.errors import ParseError
from tracker.http import HttpClient
from tracker.source import Parsed
from tracker.sources.fatebook import Fatebook

NOON = "2026-11-20T12:00:00Z"
SOURCE = Fatebook()
BINARY = json.loads((PAYLOADS / "fatebook" / "question.json").read_text())
OPTIONS = json.loads((PAYLOADS / "fatebook" / "options.json").read_text())
LIST = json.loads((PAYLOADS / "fatebook" / "list.json").read_text())
QUESTION = "exQuestion1"


def read(body: Any, **how: Any) -> Parsed:
    return SOURCE.parse(answer("fatebook", body, **how))


def forecast(p: object, made: str, user: str = "exUserA", option: str | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"forecast": p, "createdAt": made, "user": {"id": user, "name": "n"}}
    return told if option is None else {**told, "option": {"id": f"id of {option}", "text": option}}


def values(parsed: Parsed) -> list[tuple[str, str, str, object]]:
    return [value(snapshot) for snapshot in parsed.batch.snapshots]


# --- what is asked --------------------------------------------------------------------------------------


def test_every_question_is_asked_for_by_itself_and_with_the_key() -> None:
    plan = SOURCE.plan([link("fatebook", "a"), link("fatebook", "b"), link("fatebook", "a", "x")], AT, None)
    assert [(request.path, request.params) for request in plan.requests] == [
        ("v0/getQuestion", (("questionId", "a"),)),
        ("v0/getQuestion", (("questionId", "b"),)),
    ]
    assert all(request.private and request.accept_missing for request in plan.requests)
    assert SOURCE.plan([link("fatebook", "a")], AT, EPOCH) == SOURCE.plan([link("fatebook", "a")], AT, None)


@pytest.mark.parametrize("name", ["a&apiKey=x", "../x", "a b", "x" * 65])
def test_an_id_that_cannot_be_one_is_skipped_with_the_reason(name: str) -> None:
    plan = SOURCE.plan([link("fatebook", name)], AT, None)
    assert plan.requests == ()
    assert "no Fatebook question id" in plan.skipped[name]


# --- the list of all ------------------------------------------------------------------------------------

MANY = [f"exQ{number}" for number in range(8)]


def listed(name: str, *rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A row of the list, which is the database's: ids, decimals as text, options by id."""
    raw = [{**row, "forecast": str(row["forecast"])} for row in rows]
    return {**BINARY, "id": name, "userId": "exUserA", "forecasts": raw, **changes}


def page(*rows: Any, ref: str = ",".join(MANY), start: int = 0, **how: Any) -> Parsed:
    url = f"https://fatebook.io/api/v0/getQuestions?limit=100&cursor={start}"
    return read({"items": list(rows)}, ref=ref, url=url, **how)


def strangers(count: int) -> list[dict[str, Any]]:
    return [listed(f"exOther{number}", forecast(0.9, "2026-08-01T12:00:00Z")) for number in range(count)]


def test_more_than_a_few_questions_are_read_from_the_list() -> None:
    plan = SOURCE.plan([link("fatebook", one) for one in [*MANY, "a b"]], AT, None)
    (request,) = plan.requests
    assert (request.path, request.ref) == ("v0/getQuestions", ",".join(MANY))
    assert request.params == (("limit", "100"), ("cursor", "0"))
    assert request.private
    assert list(plan.skipped) == ["a b"]
    assert len(SOURCE.plan([link("fatebook", one) for one in MANY[:5]], AT, None).requests) == 5


def test_a_row_of_the_list_says_what_the_question_alone_says() -> None:
    rows = [listed(one, *BINARY["forecasts"]) for one in MANY]
    parsed = page(*strangers(3), *rows)
    alone = [read(BINARY, ref=one).batch for one in MANY]
    assert values(parsed) == [value(s) for batch in alone for s in batch.snapshots]
    assert [replace(info, payload_sha256=None) for info in parsed.batch.infos] == [
        replace(info, payload_sha256=None) for batch in alone for info in batch.infos
    ]
    assert (parsed.follow, parsed.faults, parsed.notes) == ((), (), ())


def test_a_whole_page_with_a_question_that_was_decided_option_by_option() -> None:
    parsed = page(*LIST["items"], ref="exQuestion1,exQuestion2")
    assert values(parsed) == [
        ("exQuestion1", "yes", "2026-08-01T12:00:00Z", 0.3),
        ("exQuestion1", "yes", "2026-08-03T09:30:00Z", pytest.approx(0.45)),
        ("exQuestion1", "yes", NOON, pytest.approx(0.45)),
        ("exQuestion2", "Audits", "2026-10-01T12:00:01Z", 0.25),
        ("exQuestion2", "Probes", "2026-10-01T12:00:00Z", 0.5),
    ]
    assert [outcome(one) for one in parsed.batch.resolutions] == [
        ("exQuestion2", "Audits", "no", 0.0, "2026-11-10T10:00:00Z"),
        ("exQuestion2", "Probes", "yes", 1.0, "2026-11-10T10:00:00Z"),
    ]
    assert (parsed.faults, parsed.notes, parsed.follow) == ((), (), ())


def test_options_are_told_by_their_ids() -> None:
    rows = [
        {**forecast("0.5", "2026-10-01T12:00:00Z"), "optionId": "o1"},
        {**forecast("0.2", "2026-10-01T12:00:00Z"), "optionId": "o2"},
    ]
    options = [{"id": "o1", "text": "Probes", "forecasts": []}, {"id": "o2", "text": "Audits"}]
    row = listed(MANY[0], *rows, type="MULTIPLE_CHOICE", options=options)
    assert {(s.key.outcome, s.probability) for s in page(row, ref=MANY[0]).batch.snapshots} == {
        ("Probes", 0.5),
        ("Audits", 0.2),
    }
    lost = listed(MANY[0], {**rows[0], "optionId": "o9"}, type="MULTIPLE_CHOICE", options=options)
    assert [fault.field for fault in page(lost, ref=MANY[0]).faults] == ["items[0].forecasts[0].option"]


def test_while_the_list_goes_on_and_many_are_missing_the_next_page_is_asked_for() -> None:
    parsed = page(listed(MANY[0]), *strangers(99))
    (request,) = parsed.follow
    assert (request.path, request.ref) == ("v0/getQuestions", ",".join(MANY[1:]))
    assert request.params == (("limit", "100"), ("cursor", "100"))
    assert request.private


@pytest.mark.parametrize(
    ("rows", "start"),
    [
        ([listed(MANY[0]), *strangers(98)], 0),  # the list ends here
        ([listed(one) for one in MANY[:4]] + strangers(96), 0),  # few are missing
        ([listed(MANY[0]), *strangers(99)], 1900),  # enough of it
        ([], 300),
    ],
)
def test_then_the_missing_ones_are_asked_for_alone(rows: list[Any], start: int) -> None:
    parsed = page(*rows, start=start)
    found = {info.external_id for info in parsed.batch.infos}
    assert {request.ref for request in parsed.follow} == set(MANY) - found
    assert {request.path for request in parsed.follow} == {"v0/getQuestion"}


def test_a_list_that_is_not_there_or_never_changes_ends_in_single_questions() -> None:
    assert len(page(status=404).follow) == len(MANY)
    asked, waiting = 0, [SOURCE.plan([link("fatebook", one) for one in MANY], AT, None).requests[0]]
    while waiting and (request := waiting.pop()).path == "v0/getQuestions":
        asked += 1
        waiting.extend(page(*strangers(100), ref=request.ref, start=int(request.params[1][1])).follow)
    assert asked == 20


def test_one_bad_row_does_not_spoil_the_others_and_what_is_not_followed_is_not_read() -> None:
    rows = [{"id": 7}, "x", listed(MANY[0], title=None), {"id": "exOther", "forecasts": 3}, listed(MANY[1])]
    parsed = page(*rows, ref=",".join(MANY[:2]))
    assert [info.external_id for info in parsed.batch.infos] == [MANY[1]]
    assert {fault.field for fault in parsed.faults} == {"items[0].id", "items[1].id", "items[2].title"}
    assert parsed.follow == ()


def test_a_refused_list_denies_every_question_asked_for() -> None:
    assert page(status=401).denied == tuple(MANY)


# --- the mean -------------------------------------------------------------------------------------------


def test_the_mean_is_of_everybodys_latest_forecast_after_each_one_and_now() -> None:
    parsed = read(BINARY)
    assert values(parsed) == [
        (QUESTION, "yes", "2026-08-01T12:00:00Z", 0.3),
        (QUESTION, "yes", "2026-08-03T09:30:00Z", pytest.approx(0.45)),
        (QUESTION, "yes", "2026-09-10T08:00:00Z", 0.5),
        (QUESTION, "yes", NOON, 0.5),
    ]
    assert [s.forecasters for s in parsed.batch.snapshots] == [1, 2, 2, 2]
    assert [s.timed_by_source for s in parsed.batch.snapshots] == [True, True, True, False]
    assert {s.key.quantity for s in parsed.batch.snapshots} == {Quantity.TEAM_MEAN}
    assert parsed.faults == ()


def test_numbers_may_be_text_or_numbers() -> None:
    for p in (0.25, "0.25", ".25", "2.5e-1", "2.5E-1"):
        parsed = read({**BINARY, "forecasts": [forecast(p, "2026-08-01T12:00:00.000Z")]})
        assert [s.probability for s in parsed.batch.snapshots] == [0.25, 0.25]


@given(
    told=st.lists(
        st.tuples(st.integers(0, 50), st.sampled_from("abcd"), st.floats(0, 1)),
        min_size=1,
        max_size=30,
        unique_by=lambda one: (one[0], one[1]),
    )
)
def test_the_mean_of_now_is_the_mean_of_what_each_person_said_last(
    told: list[tuple[int, str, float]],
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [forecast(p, (start + timedelta(hours=at)).isoformat(), user) for at, user, p in told]
    last = {user: p for _, user, p in sorted(told)}
    for order in (rows, rows[::-1]):
        now = read({**BINARY, "forecasts": order}).batch.snapshots[-1]
        assert now.probability == pytest.approx(statistics.fmean(last.values()), abs=1e-12)
        assert now.forecasters == len(last)


def test_a_question_nobody_has_forecast_says_so() -> None:
    parsed = read({**BINARY, "forecasts": []})
    assert values(parsed) == [(QUESTION, "yes", NOON, "no_forecast")]


def test_forecasts_hidden_from_us_are_not_in_the_mean() -> None:
    rows = [forecast(0.2, "2026-08-01T12:00:00Z"), {"forecast": None, "createdAt": "2026-08-02T12:00:00Z"}]
    parsed = read({**BINARY, "forecasts": rows})
    assert [s.probability for s in parsed.batch.snapshots] == [0.2, 0.2]
    assert parsed.faults == ()


def test_a_forecast_from_after_the_fetch_is_left_out_and_noted() -> None:
    parsed = read({**BINARY, "forecasts": [forecast(0.2, "2026-11-20T12:00:01Z")]})
    assert values(parsed) == [(QUESTION, "yes", NOON, "no_forecast")]
    assert any("clocks" in note for note in parsed.notes)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (forecast(1.2, "2026-08-01T12:00:00Z"), "forecasts[0].forecast"),
        (forecast("26%", "2026-08-01T12:00:00Z"), "forecasts[0].forecast"),
        (forecast("nan", "2026-08-01T12:00:00Z"), "forecasts[0].forecast"),
        (forecast("-0.1", "2026-08-01T12:00:00Z"), "forecasts[0].forecast"),
        (forecast(True, "2026-08-01T12:00:00Z"), "forecasts[0].forecast"),
        (forecast(0.5, "2026-08-01T12:00:00"), "forecasts[0].createdAt"),
        ({"forecast": 0.5, "createdAt": "2026-08-01T12:00:00Z"}, "forecasts[0]"),
        (forecast(0.5, "2026-08-01T12:00:00Z", option="Probes"), "forecasts[0].option"),
        ("text", "forecasts[0]"),
    ],
)
def test_a_bad_forecast_is_a_fault_and_the_rest_is_taken(row: object, field: str) -> None:
    parsed = read({**BINARY, "forecasts": [row, forecast(0.4, "2026-08-02T12:00:00Z")]})
    assert [s.probability for s in parsed.batch.snapshots] == [0.4, 0.4]
    assert [fault.field for fault in parsed.faults] == [field]


# --- options --------------------------------------------------------------------------------------------


def test_every_option_is_a_stream_of_its_own() -> None:
    parsed = read(OPTIONS, ref="exQuestion2")
    assert values(parsed) == [
        ("exQuestion2", "Audits", "2026-10-01T12:00:01Z", 0.25),
        ("exQuestion2", "Audits", NOON, 0.25),
        ("exQuestion2", "Probes", "2026-10-01T12:00:00Z", 0.5),
        ("exQuestion2", "Probes", "2026-10-02T12:00:00Z", pytest.approx(0.6)),
        ("exQuestion2", "Probes", NOON, pytest.approx(0.6)),
    ]


def test_an_option_without_forecasts_has_none_if_the_answer_lists_it() -> None:
    body = {**OPTIONS, "forecasts": [], "options": [{"id": "o", "text": "Probes", "resolution": None}]}
    assert values(read(body)) == [(QUESTION, "Probes", NOON, "no_forecast")]
    assert values(read({**OPTIONS, "forecasts": []})) == [(QUESTION, "yes", NOON, "no_forecast")]


# --- outcomes -------------------------------------------------------------------------------------------

RESOLVED = {"resolved": True, "resolvedAt": "2026-10-10T10:00:00.000Z"}


@pytest.mark.parametrize(
    ("word", "state", "number"),
    [
        ("YES", OutcomeState.YES, 1.0),
        ("NO", OutcomeState.NO, 0.0),
        ("AMBIGUOUS", OutcomeState.AMBIGUOUS, None),
    ],
)
def test_a_resolved_question_has_an_outcome_and_no_value_of_now(
    word: str, state: OutcomeState, number: float | None
) -> None:
    parsed = read({**BINARY, **RESOLVED, "resolution": word})
    assert [outcome(one) for one in parsed.batch.resolutions] == [
        (QUESTION, "yes", state.value, number, "2026-10-10T10:00:00Z")
    ]
    assert all(snapshot.timed_by_source for snapshot in parsed.batch.snapshots)
    assert len(parsed.batch.snapshots) == 3
    assert parsed.batch.infos[0].status == "resolved"


def test_an_unknown_word_is_a_fault_and_an_unresolved_question_has_no_outcome() -> None:
    assert [f.field for f in read({**BINARY, **RESOLVED, "resolution": "MAYBE"}).faults] == ["resolution"]
    assert [f.field for f in read({**BINARY, **RESOLVED, "resolution": None}).faults] == ["resolution"]
    assert read({**BINARY, "resolution": "YES"}).batch.resolutions == ()


@pytest.mark.parametrize(
    ("word", "audits", "probes"),
    [
        ("OTHER", "no", "no"),
        ("NO", "no", "no"),  # how the platform keeps OTHER
        ("AMBIGUOUS", "ambiguous", "ambiguous"),
        ("Probes", "no", "yes"),
    ],
)
def test_the_word_of_a_question_with_options_is_told_of_each(word: str, audits: str, probes: str) -> None:
    parsed = read({**OPTIONS, **RESOLVED, "resolution": word})
    assert {one.outcome: one.state.value for one in parsed.batch.resolutions} == {
        "Audits": audits,
        "Probes": probes,
    }


def test_when_the_answer_does_not_say_which_option_it_was_no_outcome_is_made_up() -> None:
    parsed = read({**OPTIONS, **RESOLVED, "resolution": "YES"})
    assert parsed.batch.resolutions == ()
    assert any("does not say which" in note for note in parsed.notes)


def test_an_options_own_word_goes_first_even_before_the_question_is_resolved() -> None:
    listed = [
        {"id": "1", "text": "Probes", "resolution": "YES", "resolvedAt": "2026-10-09T10:00:00Z"},
        {"id": "2", "text": "Audits", "resolution": None, "resolvedAt": None},
    ]
    parsed = read({**OPTIONS, "options": listed})
    assert [outcome(one)[1:] for one in parsed.batch.resolutions] == [
        ("Probes", "yes", 1.0, "2026-10-09T10:00:00Z")
    ]


def test_quantities_forecast_no_event_that_we_know() -> None:
    parsed = read({**BINARY, "type": "QUANTITY"})
    assert parsed.batch.snapshots == ()
    assert any("QUANTITY" in note for note in parsed.notes)


# --- the rest -------------------------------------------------------------------------------------------


def test_what_a_question_tells_of_itself() -> None:
    (info,) = read(BINARY).batch.infos
    assert info.title.startswith("Will the interpretability team")
    assert info.url == f"https://fatebook.io/q/--{QUESTION}"
    assert (info.question_type, info.status) == ("binary", "open")
    assert info.criteria_sha256 == ""
    (noted,) = read({**BINARY, "notes": "By  the\nstandards."}).batch.infos
    assert noted.criteria_sha256 == hashlib.sha256(b"By the standards.").hexdigest()
    assert info.closes_at == info.resolves_by == parse_utc("2027-12-31T00:00:00Z")


def test_an_unknown_question_is_gone_and_a_refused_key_is_denied() -> None:
    (snapshot,) = read({}, status=404).batch.snapshots
    assert (snapshot.key.external_id, snapshot.state) == (QUESTION, ValueState.GONE)
    for status in (401, 403):
        refused = read({"error": "Invalid API key."}, status=status)
        assert refused.denied == (QUESTION,)
        assert refused.batch.snapshots == ()


@pytest.mark.parametrize("body", [{}, {"error": "Invalid request."}, {"title": "t", "type": "BINARY"}])
def test_an_answer_without_its_forecasts_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        read(body)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as local:
        yield local


def test_a_forecast_taken_back_does_not_stay_the_newest_word(server: LocalServer) -> None:
    """Somebody mistypes 0.9, which is polled, and deletes it: the newest value is the mean without it."""
    slip = forecast(0.9, "2026-11-20T11:00:00.000Z", "exUserB")
    before, after = [*BINARY["forecasts"], slip], BINARY["forecasts"]
    server.route(
        "/v0/getQuestion",
        json_reply({**BINARY, "forecasts": before}),
        json_reply({**BINARY, "forecasts": after}),
    )
    store, clock = MemoryStore(), Clock(AT)
    key = StreamKey("fatebook", "fatebook", QUESTION, "yes", Quantity.TEAM_MEAN)
    newest = []
    with HttpClient(user_agent="tests") as client:
        settings = Settings(fatebook_url=server.url, fatebook_key="k")
        for _ in range(3):
            report = Collector(store, SOURCE, client, settings, clock).run([link("fatebook", QUESTION)])
            assert report.status == "ok"
            newest.append(store.latest([key])[key].snapshot.probability)
            clock.forward(hours=6)
    assert newest == pytest.approx([0.65, 0.5, 0.5])
    assert report.appended.snapshots_new == 0
