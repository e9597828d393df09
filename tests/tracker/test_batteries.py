"""The battery script on a store: ratios with their origins, readings of judges and panels, what they resolve."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta

import pytest

from questions.catalogue import Catalogue, load_catalogue
from questions.evidence import Judgement
from questions.question import Question
from questions.records import Measurement, SeriesVersion
from questions.subjects import READING, subjects
from questions.time import parse_utc
from questions.verdicts import State
from questions.worlds import quarter_ends
from storage.memory import MemoryStore
from storage.records import Batch
from tracker.batteries import Evaluated, evaluate
from tracker.errors import UsageError
from tracker.judging import read, rows_of_quarter, write
from tracker.resolving import recompute, resolve_all

P1 = "pretraining_algorithms.P1"
SPEEDRUN = "nanogpt_speedrun"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def records(until: str, halves_in: float = 100.0) -> tuple[Measurement, ...]:
    """A record a fortnight from 2026-02 on, halving in so many days."""
    days = range(0, (date.fromisoformat(until) - date(2026, 2, 1)).days, 14)
    return tuple(
        Measurement(
            SPEEDRUN,
            f"r{day}",
            "record",
            date(2026, 2, 1) + timedelta(days=day),
            2.0 * 0.5 ** (day / halves_in),
            "minutes",
        )
        for day in days
    )


def pulled(store: MemoryStore, at: str, points: tuple[Measurement, ...], sha: str = "a") -> None:
    store.append(Batch(versions=(SeriesVersion(SPEEDRUN, sha * 64, parse_utc(at), points),)))


def run(
    store: MemoryStore, questions: Iterable[Question], at: str, *, keep: bool = True
) -> dict[str, Evaluated]:
    return {one.series: one for one in evaluate(store, questions, parse_utc(at), keep=keep)}


def reads(
    store: MemoryStore, catalogue: Catalogue, series: str, end: date, values: dict[str, float], at: str
) -> None:
    subject = subjects(catalogue.questions.values())[series]
    store.add_judgements(
        Judgement(
            subject.at(end),
            subject.version,
            who,
            READING,
            parse_utc(at),
            ("https://example.org/s",),
            value,
            end,
        )
        for who, value in values.items()
    )


def test_a_ratio_is_kept_with_the_formula_and_the_hashes_it_was_made_from(
    store: MemoryStore, catalogue: Catalogue
) -> None:
    pulled(store, "2027-04-02", records("2027-04-01"))
    questions = [catalogue.questions["date-pretraining-algorithms-3x"]]
    assert run(store, questions, "2027-04-03", keep=False)[P1].new
    assert store.versions(P1) == []
    told = run(store, questions, "2027-04-03")[P1]
    point = told.measurements[-1]
    assert (point.at, point.value) == (date(2027, 3, 31), pytest.approx(3.0))
    assert (point.unit, point.ci_level) == ("x", 0.8)
    (version,) = store.versions(P1)
    raw = store.get_raw(version.payload_sha256)
    assert raw is not None
    document = json.loads(raw.body)
    assert document["quarters"][-1]["payloads"] == ["a" * 64]
    assert document["quarters"][-1]["formula"]["kind"] == "halving_time"
    assert document["quarters"][-1]["lower"] == point.lower
    assert store.measurements(P1) == list(told.measurements)


def test_what_says_nothing_new_is_not_stored_again_and_a_correction_is(
    store: MemoryStore, catalogue: Catalogue
) -> None:
    questions = [catalogue.questions["date-pretraining-algorithms-3x"]]
    pulled(store, "2027-04-02", records("2027-04-01"))
    run(store, questions, "2027-04-03")
    assert not run(store, questions, "2027-04-04")[P1].new
    pulled(store, "2027-04-05", records("2027-04-01", halves_in=300.0), sha="b")
    assert run(store, questions, "2027-04-06")[P1].new
    first, second = store.versions(P1)
    assert first.payload_sha256 != second.payload_sha256
    assert store.measurements(P1)[-1].value == pytest.approx(1.0)


def test_an_entry_that_was_told_after_the_quarter_does_not_count_for_it(
    store: MemoryStore, catalogue: Catalogue
) -> None:
    """The series was first read before the quarter's end; an entry dated earlier came to light afterwards."""
    questions = [catalogue.questions["date-pretraining-algorithms-3x"]]
    pulled(store, "2027-03-20", records("2027-03-19"))
    before = run(store, questions, "2027-04-01")[P1].measurements[-1]
    late = Measurement(SPEEDRUN, "late", "record", date(2027, 3, 25), 1e-9, "minutes")
    pulled(store, "2027-04-10", (*records("2027-03-19"), late), sha="b")
    assert run(store, questions, "2027-04-11")[P1].measurements[-1] == before
    following = run(store, questions, "2027-07-01")[P1].measurements[-1]
    assert following.at == date(2027, 6, 30)
    assert following.value > 3.1


def test_a_quarter_ends_with_the_last_second_of_its_day(store: MemoryStore, catalogue: Catalogue) -> None:
    questions = [catalogue.questions["date-pretraining-algorithms-3x"]]
    pulled(store, "2027-03-20", records("2027-03-19"))
    assert run(store, questions, "2027-03-31T23:59:58Z")[P1].quarters[-1].end == date(2026, 12, 31)
    before = run(store, questions, "2027-03-31T23:59:59Z", keep=False)[P1]
    assert before.quarters[-1].end == date(2027, 3, 31)
    new = Measurement(SPEEDRUN, "new", "record", date(2027, 3, 30), 1e-9, "minutes")
    pulled(store, "2027-03-31T18:00:00Z", (*records("2027-03-19"), new), sha="b")
    after = run(store, questions, "2027-04-01", keep=False)[P1]
    assert after.measurements[-1].at == date(2027, 3, 31)
    assert after.measurements[-1].value != before.measurements[-1].value


def test_two_judges_who_agree_cross_a_labour_question_and_the_receipt_can_be_made_again(
    store: MemoryStore, catalogue: Catalogue
) -> None:
    """From judges' readings to a date: the same two proxies at two quarter ends in a row."""
    question = catalogue.questions["date-alignment-theory-labour-3x"]
    for end, at in ((date(2027, 3, 31), "2027-04-20"), (date(2027, 6, 30), "2027-07-20")):
        for series in ("alignment_theory.C2", "alignment_theory.C5"):
            reads(store, catalogue, series, end, {"Ada": 3.4, "Bob": 3.2}, at)
        run(store, [question], at)
    now = parse_utc("2027-07-21")
    (found,) = resolve_all(store, [question], now, now, keep=True)
    assert (found.receipt.state, found.receipt.on) == (State.RESOLVED, date(2027, 3, 31))
    shown = {one.payload_sha256 for one in found.receipt.evidence}
    kept = [store.get_raw(sha) for sha in shown if sha]
    assert kept
    assert all(raw is not None and b'"judge": "Ada"' in raw.body for raw in kept)
    again = recompute(store, found.receipt)
    assert again is not None
    assert again.gist == found.receipt.gist


def test_judges_who_differ_hold_nothing_until_a_third_has_read(
    store: MemoryStore, catalogue: Catalogue
) -> None:
    question = catalogue.questions["date-alignment-theory-labour-3x"]
    end, series = date(2027, 3, 31), "alignment_theory.C2"
    reads(store, catalogue, series, end, {"Ada": 9.0, "Bob": 2.0}, "2027-04-20")
    (quarter,) = run(store, [question], "2027-04-21")[series].quarters
    assert quarter.point is None
    assert "a third judge is needed" in quarter.reason
    reads(store, catalogue, series, end, {"Cyd": 4.0}, "2027-04-22")
    (point,) = run(store, [question], "2027-04-23")[series].measurements
    assert (point.value, point.lower, point.ci_level) == (4.0, 4.0, 0.8)


def test_a_panel_speaks_where_no_proxy_can(store: MemoryStore, catalogue: Catalogue) -> None:
    question = catalogue.questions["date-alignment-theory-3x"]
    for end, at in ((date(2027, 3, 31), "2027-04-20"), (date(2027, 6, 30), "2027-07-20")):
        reads(store, catalogue, "alignment_theory.panel", end, {"A": 2.0, "B": 5.0, "C": 4.0}, at)
        run(store, [question], at)
    now = parse_utc("2027-07-21")
    (found,) = resolve_all(store, [question], now, now, keep=True)
    assert (found.receipt.state, found.receipt.on) == (State.RESOLVED, date(2027, 3, 31))


def test_every_quarter_since_the_baseline_is_looked_at_and_says_why_it_has_no_ratio(
    store: MemoryStore, catalogue: Catalogue
) -> None:
    told = run(store, catalogue.questions.values(), "2027-04-03", keep=False)
    assert set(told) == {P1, "pretraining_algorithms.P2"}
    wanted = quarter_ends(parse_utc("2026-01-22"), parse_utc("2027-04-03"))
    for one in told.values():
        assert tuple(quarter.end for quarter in one.quarters) == wanted
        assert one.measurements == ()
        assert all(quarter.reason for quarter in one.quarters)
        assert not one.new


# what a judge fills in ----------------------------------------------------------------------------

END = date(2027, 3, 31)
NOW = parse_utc("2027-04-20")


def filled(catalogue: Catalogue, **cells: str) -> str:
    asked = subjects(catalogue.questions.values())["alignment_theory.C2"]
    (row,) = rows_of_quarter([asked], END)
    row |= {"judge": "Ada", "outcome": "reading", "value": "1.5", "citations": ["https://example.org/s"]}
    return write([row | cells], "csv")


def judged(catalogue: Catalogue, text: str, forecasters: Iterable[tuple[str, str]] = ()) -> list[Judgement]:
    asked = subjects(catalogue.questions.values())
    return read(text, "csv", [], set(forecasters), NOW, asked)


def test_a_filled_row_is_a_judgement_of_its_quarter(catalogue: Catalogue) -> None:
    (found,) = judged(catalogue, filled(catalogue))
    assert (found.question, found.judge, found.value) == ("alignment_theory.C2@2027-03-31", "Ada", 1.5)
    assert judged(catalogue, filled(catalogue, judge="", outcome="")) == []
    (nothing,) = judged(catalogue, filled(catalogue, outcome="nothing", value=""))
    assert (nothing.outcome, nothing.value) == ("nothing", None)


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"judge": ""}, "needs its judge's name"),
        ({"outcome": "yes"}, "is none of reading, nothing"),
        ({"outcome": "nothing"}, "value: goes with the outcome reading"),
        ({"value": ""}, "value: goes with the outcome reading"),
        ({"value": "inf"}, "not finite"),
        ({"on": "2027-03-30"}, "last day of a quarter"),
        ({"on": "2027-06-30"}, "last day of a quarter that is over"),
        ({"citations": ""}, "at least 1 needed"),
        ({"version": "0" * 64}, "export it again"),
        ({"made_at": "2027-05-01"}, "lies ahead"),
    ],
)
def test_a_wrong_reading_is_told(catalogue: Catalogue, cells: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        judged(catalogue, filled(catalogue, **cells))


def test_who_forecast_a_question_may_not_read_what_decides_it(catalogue: Catalogue) -> None:
    with pytest.raises(
        UsageError, match=r"Ada has forecast date-\S+-3x, which alignment_theory.C2 may decide"
    ):
        judged(catalogue, filled(catalogue), [("date-alignment-theory-labour-3x", "Ada")])
