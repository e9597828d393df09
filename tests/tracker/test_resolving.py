"""Our questions against a store: evidence as known at an instant, receipts, recomputation, versions, judges."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from questions.catalogue import Catalogue, load_catalogue
from questions.curated import read_table
from questions.evidence import Judgement
from questions.question import ANNUL, Question
from questions.receipts import Edit, Life, Receipt, seen, terms_hash, text_hash, version_at
from questions.records import (
    Measurement,
    OutcomeState,
    QuestionHealth,
    QuestionState,
    Resolution,
    SeriesVersion,
)
from questions.time import parse_utc
from questions.verdicts import State
from storage.memory import MemoryStore
from storage.records import Batch, RawPayload
from storage.store import Store
from tests.questions.examples import binary
from tests.tracker.test_curated import TABLE
from tracker.errors import UsageError
from tracker.judging import read, rows_for, write
from tracker.resolving import Resolved, open_lives, recompute, resolve_all

SERIES = {"kind": "series_threshold", "series": "horizon", "metric": "p50"}


def asked(rule: dict[str, Any] | None = None, **more: Any) -> Question:
    told = {"threshold": {"value": 10.0}, "rule": rule or SERIES, **more}
    return Question.model_validate(binary(**told))


def point(
    key: str, value: float, at: str = "2027-05-01", series: str = "horizon", **more: Any
) -> Measurement:
    return Measurement(series, key, "p50", date.fromisoformat(at), value, "minutes", **more)


def look(store: Store, at: str, *points: Measurement, sha: str = "a", series: str = "horizon") -> None:
    store.append(Batch(versions=(SeriesVersion(series, sha * 64, parse_utc(at), points),)))


def says(store: Store, at: str, state: str, source: str = "manifold", **more: Any) -> None:
    value = {"yes": 1.0, "no": 0.0}.get(state)
    told = {"value": value, "resolved_at": parse_utc(at), "payload_sha256": "b" * 64, **more}
    word = Resolution(source, "manifold", "m1", "yes", OutcomeState(state), parse_utc(at), **told)
    store.append(Batch(resolutions=(word,)))


def run(store: Store, questions: Sequence[Question], now: str, *, keep: bool = True) -> list[Resolved]:
    return resolve_all(store, questions, parse_utc(now), parse_utc(now), keep=keep)


def only(store: Store, question: Question, now: str) -> Receipt:
    (found,) = run(store, [question], now)
    return found.receipt


def keep_by_hand(store: Store, at: str, table: str) -> None:
    raw = RawPayload(
        "curated", "example", "package:x", parse_utc(at), 200, "application/toml", table.encode()
    )
    store.put_raw(raw)
    points = read_table("example.toml", raw.body).measurements()
    store.append(Batch(versions=(SeriesVersion("example", raw.sha256, parse_utc(at), points),)))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_receipt_names_the_payload_and_the_figure_and_can_be_computed_again(store: MemoryStore) -> None:
    look(store, "2027-04-01", point("m1", 4.0), sha="a")
    look(store, "2027-06-01", point("m1", 4.0), point("m2", 12.0), sha="c")
    receipt = only(store, asked(), "2027-07-01")
    assert (receipt.state, receipt.outcome) == (State.RESOLVED, "yes")
    assert receipt.resolved_at == parse_utc("2027-05-01T12:00Z")
    (used,) = receipt.evidence
    assert (used.source, used.key, used.value, used.payload_sha256) == ("horizon", "m2", 12.0, "c" * 64)
    assert used.published == "2027-06-01T00:00:00Z"
    look(store, "2027-08-01", point("m1", 4.0), sha="d")
    assert recompute(store, receipt) == receipt


def test_a_correction_in_time_resolves_again_and_one_too_late_does_not(store: MemoryStore) -> None:
    question = asked()
    look(store, "2027-06-01", point("m1", 12.0), sha="a")
    first = only(store, question, "2027-07-01")
    look(store, "2028-01-10", point("m1", 8.0), sha="c")
    again = only(store, question, "2028-04-01")
    assert (first.outcome, again.outcome, again.state) == ("yes", "no", State.RE_RESOLVED)
    look(store, "2028-05-01", point("m1", 15.0), sha="d")
    (late,) = run(store, [question], "2028-06-01")
    assert (late.new, late.receipt.outcome, late.receipt.state) == (False, "no", State.RE_RESOLVED)
    kept = store.receipts(question.id)
    assert kept == [first, again]
    assert [recompute(store, receipt) for receipt in kept] == kept


def test_a_correction_before_the_end_reopens_and_is_a_dispute(store: MemoryStore) -> None:
    question = asked()
    look(store, "2027-06-01", point("m1", 12.0), sha="a")
    only(store, question, "2027-07-01")
    look(store, "2027-08-01", point("m1", 8.0), sha="c")
    disputed = only(store, question, "2027-09-01")
    assert (disputed.state, disputed.outcome) == (State.DISPUTED, None)
    look(store, "2027-10-01", point("m1", 12.0), sha="a")
    assert only(store, question, "2027-11-01").state is State.RESOLVED
    assert [one.state.value for one in store.receipts()] == ["resolved", "disputed", "resolved"]


@pytest.mark.parametrize(
    ("compared", "outcome"),
    [("2027-12-30", ANNUL), ("2027-12-31", "no"), ("2028-02-01", "no")],
)
def test_a_table_kept_by_hand_says_no_only_if_it_was_compared_after_the_close(
    store: MemoryStore, compared: str, outcome: str
) -> None:
    """Reading it again shows nothing of its publisher; an entry that decides counts whatever the day."""
    table = TABLE.decode().replace("2026-05-11", compared)
    question = asked(
        {**SERIES, "series": "example", "metric": "speed"},
        resolution={"authority": "us", "if_silent": "annul"},
    )
    keep_by_hand(store, "2027-02-01", table)
    keep_by_hand(store, "2028-03-01", table)
    assert only(store, question, "2028-04-02").outcome == outcome
    more = 'key = "b", metric = "speed", at = 2027-05-01, value = 12.0'
    keep_by_hand(store, "2028-03-02", table.replace("points = [", "points = [{ " + more + " }, "))
    assert only(store, question, "2028-04-03").outcome == "yes"


def test_a_receipt_is_kept_when_something_changed_and_never_in_a_dry_run(store: MemoryStore) -> None:
    look(store, "2027-06-01", point("m1", 1.0))
    assert [one.new for one in run(store, [asked()], "2027-07-01", keep=False)] == [True]
    assert (store.receipts(), store.question_versions()) == ([], [])
    assert [one.new for one in run(store, [asked()], "2027-07-01")] == [True]
    assert [one.new for one in run(store, [asked()], "2027-07-02")] == [False]
    assert len(store.receipts()) == 1


def test_as_known_then_what_came_later_is_not_seen(store: MemoryStore) -> None:
    look(store, "2027-04-01", point("m1", 1.0))
    look(store, "2027-06-01", point("m1", 12.0), sha="c")
    then = parse_utc("2027-05-01")
    (found,) = resolve_all(store, [asked()], then, parse_utc("2029-01-01"), keep=False)
    assert found.receipt.state is State.OPEN


def test_a_flagged_value_counts_by_its_lower_end_where_the_record_lets_it(store: MemoryStore) -> None:
    look(store, "2027-06-01", point("m1", 30.0, lower=9.0, upper=99.0, beyond_ceiling=True))
    look(store, "2028-01-05", point("m1", 30.0, lower=9.0, upper=99.0, beyond_ceiling=True), sha="c")
    resolution = {"authority": "a", "if_bound_only": "counts_if_decisive"}
    assert only(store, asked(resolution=resolution), "2028-04-01").outcome == "no"
    as_value = {**resolution, "if_bound_only": "counts_as_value"}
    assert only(store, asked(id="b2", resolution=as_value), "2028-04-01").outcome == "yes"


def test_a_pinned_payload_is_the_only_one_that_counts(store: MemoryStore) -> None:
    look(store, "2026-06-01", point("m1", 4.0), sha="a")
    look(store, "2027-06-01", point("m1", 12.0), sha="c")
    pinned = {"version_policy": "pin", "version": "a" * 12}
    assert only(store, asked(measurement=pinned), "2028-04-01").outcome != "yes"
    assert (
        only(store, asked(id="b2", measurement={**pinned, "version": "c" * 12}), "2027-07-01").outcome
        == "yes"
    )


@pytest.mark.parametrize(
    ("policy", "outcome"), [("pin", None), ("named_successor", "yes"), ("annul_on_change", ANNUL)]
)
def test_a_successor_is_another_series(store: MemoryStore, policy: str, outcome: str | None) -> None:
    look(store, "2027-03-01", point("m1", 4.0))
    look(store, "2027-06-01", point("m1", 12.0, series="horizon-2"), sha="c", series="horizon-2")
    measurement = {"version_policy": policy, "successors": ["horizon-2"]}
    resolution = {"authority": "a", "if_silent": "wait"}
    receipt = only(store, asked(measurement=measurement, resolution=resolution), "2028-04-01")
    assert receipt.outcome == outcome


def test_a_platforms_word_resolves_and_its_retraction_disputes(store: MemoryStore) -> None:
    rule = {"platform": "manifold", "external_id": "m1", "outcomes": {"yes": "yes", "no": "no"}}
    question = asked({"kind": "platform_outcome", **rule}, threshold=None)
    says(store, "2027-05-01", "yes")
    first = only(store, question, "2027-06-01")
    assert (first.outcome, first.resolved_at) == ("yes", parse_utc("2027-05-01"))
    assert first.evidence[0].payload_sha256 == "b" * 64
    says(store, "2027-07-01", "unresolved", resolved_at=None)
    assert only(store, question, "2027-08-01").state is State.DISPUTED
    says(store, "2027-09-01", "no")
    assert only(store, question, "2027-10-01").state is State.RE_RESOLVED
    kept = store.receipts()
    assert [recompute(store, receipt) for receipt in kept] == kept


def test_what_a_platform_said_by_the_last_day_counts_though_it_changed_later(store: MemoryStore) -> None:
    rule = {"platform": "manifold", "external_id": "m1", "outcomes": {"yes": "yes", "no": "no"}}
    question = asked({"kind": "platform_outcome", **rule}, threshold=None)
    says(store, "2027-05-01", "yes")
    says(store, "2028-08-01", "no")
    assert only(store, question, "2029-01-01").outcome == "yes"


def test_a_deleted_platform_question_is_gone(store: MemoryStore) -> None:
    rule = {"platform": "manifold", "external_id": "m1", "outcomes": {"yes": "yes"}}
    question = asked(
        {"kind": "platform_outcome", **rule},
        threshold=None,
        resolution={"authority": "a", "if_gone": "annul"},
    )
    gone = QuestionHealth("manifold", "manifold", "m1", parse_utc("2027-06-01"), QuestionState.GONE)
    store.append(Batch(healths=(gone,)))
    receipt = only(store, question, "2028-04-01")
    assert (receipt.state, receipt.outcome) == (State.VOID, ANNUL)


def test_a_parent_is_resolved_before_what_depends_on_it(store: MemoryStore) -> None:
    look(store, "2027-03-01", point("m1", 12.0, at="2027-02-01"))
    condition = {
        "parent": "b1", "parent_deadline": parse_utc("2027-06-30"), "if_parent_no": "annul", "if_parent_void": "annul",
    }  # fmt: skip
    child = asked(id="b2", kind="conditional", conditional=condition)
    found = run(store, [child, asked()], "2027-04-01")
    assert {one.receipt.question: one.receipt.outcome for one in found} == {"b1": "yes", "b2": "yes"}


# batteries ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def ratios(store: MemoryStore, proxy: str, quarters: dict[str, float]) -> None:
    name = f"ai_control.{proxy}"
    points = [
        Measurement(name, day, "ratio", date.fromisoformat(day), lower + 1, "x", lower, lower + 2, 0.8)
        for day, lower in quarters.items()
    ]
    look(store, "2029-05-01", *points, series=name)


def test_a_battery_crosses_on_stored_ratios_and_nobody_speaks_for_dead_proxies(
    store: MemoryStore, catalogue: Catalogue
) -> None:
    question = catalogue.questions["date-ai-control-3x"]
    assert question.battery is not None
    able = [proxy.id for proxy in question.battery.arms[0].deciding(3.0)]
    ends = ["2026-12-31", "2027-03-31", "2027-06-30", "2027-09-30", "2027-12-31", "2028-06-30"]
    for proxy in able:
        ratios(store, proxy, {day: 3.2 if day in ends[2:4] else 1.0 for day in ends})
    receipt = only(store, question, "2029-07-15")
    assert (receipt.outcome, receipt.on) == ("date", date(2027, 6, 30))
    assert len(receipt.evidence) == 2 * len(able)
    empty = MemoryStore()
    assert only(empty, question, "2029-07-15").state is State.VOID


def test_an_interval_narrower_than_the_rules_level_is_no_lower_end(
    store: MemoryStore, catalogue: Catalogue
) -> None:
    question = catalogue.questions["date-ai-control-3x"]
    assert question.battery is not None
    ends = ["2026-12-31", "2027-06-30", "2027-09-30", "2028-06-30"]
    for proxy in question.battery.arms[0].deciding(3.0):
        name = f"ai_control.{proxy.id}"
        points = [
            Measurement(name, day, "ratio", date.fromisoformat(day), 9.0, "x", 4.0, 9.5, 0.5) for day in ends
        ]
        look(store, "2029-05-01", *points, series=name)
    assert only(store, question, "2029-07-15").outcome == "not_by_deadline"


# versions -----------------------------------------------------------------------------------------


def edited(question: Question, **changes: Any) -> Question:
    return Question.model_validate(question.model_dump(mode="python") | changes)


def test_what_binds_is_hashed_and_what_does_not_is_not() -> None:
    question = asked()
    same = edited(question, background="more", coi="none", version=2, cost_minutes=3)
    assert text_hash(same) == text_hash(question)
    worded = edited(question, title="Does it, then?")
    assert (text_hash(worded) == text_hash(question), terms_hash(worded) == terms_hash(question)) == (
        False,
        True,
    )
    stricter = edited(question, threshold={"value": 11.0})
    assert terms_hash(stricter) != terms_hash(question)
    judged = asked({"kind": "judged"}, threshold=None)
    assert terms_hash(edited(judged, title="Does it, then?")) != terms_hash(judged)


@pytest.mark.parametrize(
    ("key", "value"),
    [("ratio", "another ratio"), ("measures", "something else"), ("evidence", "progress_rate")],
)
def test_what_a_judge_reads_of_a_proxy_is_a_term_of_the_question(
    catalogue: Catalogue, key: str, value: str
) -> None:
    question = catalogue.questions["date-interpretability-3x"]
    record = question.model_dump(mode="json")
    record["battery"]["arms"][0]["proxies"][0][key] = value
    assert terms_hash(Question.model_validate_json(json.dumps(record))) != terms_hash(question)


def test_a_formula_the_panels_question_and_the_way_to_an_interval_are_terms(catalogue: Catalogue) -> None:
    question = catalogue.questions["date-pretraining-algorithms-3x"]
    for path, value in (
        (("battery", "arms", 0, "proxies", 0, "formula", "baseline_days"), 30.0),
        (("battery", "interval"), "another way"),
        (("battery", "agree_within"), 2.0),
        (("panel", "question"), "How fast?"),
    ):
        record: Any = question.model_dump(mode="json")
        *above, last = path
        place = record
        for step in above:
            place = place[step]
        place[last] = value
        edited_one = Question.model_validate_json(json.dumps(record))
        assert terms_hash(edited_one) != terms_hash(question), path
    reworded = question.model_copy(update={"title": "When?"})
    assert terms_hash(reworded) == terms_hash(question)


def test_where_judges_may_step_in_every_binding_word_is_a_term() -> None:
    question = asked(resolution={"authority": "us", "if_gone": "judges"})
    assert terms_hash(edited(question, title="Does it, then?")) != terms_hash(question)


def test_an_edit_after_opening_is_a_clone_unless_it_is_wording_and_says_so() -> None:
    question, opened = asked(), parse_utc("2027-02-01")
    first = seen(question, [], parse_utc("2026-11-01"))
    assert first is not None
    assert first.edit is Edit.FIRST
    assert seen(question, [first], opened) is None
    worded = edited(question, title="Does it, then?", version=2)
    draft = seen(worded, [first], parse_utc("2026-12-01"))
    silent = seen(worded, [first], opened)
    change = {"version": 2, "on": date(2027, 2, 1), "note": "clearer", "wording": True}
    told = seen(edited(worded, changelog=[change]), [first], opened)
    sly = seen(edited(worded, changelog=[change], threshold={"value": 9.0}), [first], opened)
    assert draft is not None
    assert silent is not None
    assert told is not None
    assert sly is not None
    assert [draft.edit, silent.edit, told.edit, sly.edit] == [
        Edit.DRAFT, Edit.MATERIAL, Edit.WORDING, Edit.MATERIAL,
    ]  # fmt: skip
    assert (told.version, told.text) == (first.version, text_hash(worded))
    assert silent.version == silent.text != first.version


def test_a_material_edit_closes_the_old_version_and_both_resolve_by_their_own_record(
    store: MemoryStore,
) -> None:
    question = asked()
    look(store, "2027-03-01", point("m1", 1.0))
    before = only(store, question, "2027-02-01")
    stricter = edited(question, threshold={"value": 20.0}, version=2)
    old, new = run(store, [stricter], "2027-04-01")
    assert (old.life.closed_at, new.life.closed_at) == (parse_utc("2027-04-01"), None)
    assert (old.receipt.version, old.receipt.state) == (before.version, State.CLOSED)
    assert new.receipt.state is State.OPEN
    look(store, "2027-06-01", point("m1", 12.0), sha="c")
    assert [one.receipt.outcome for one in run(store, [stricter], "2027-07-01")] == ["yes", None]
    kept = store.receipts()
    assert {receipt.version for receipt in kept} == {old.life.version, new.life.version}
    known = store.question_versions(question.id)
    made = [version_at(known, parse_utc(day)) for day in ("2027-01-15", "2027-02-15", "2027-04-02")]
    assert made == [None, old.life.version, new.life.version]
    assert [recompute(store, receipt) for receipt in kept] == kept


def test_a_stored_version_is_the_record_it_was(catalogue: Catalogue) -> None:
    for question in list(catalogue.questions.values())[::20]:
        version = seen(question, [], parse_utc("2026-11-01"))
        assert version is not None
        assert version.load() == question.model_copy(update={"fixtures": ()})
        assert text_hash(version.load()) == version.version


# judges -------------------------------------------------------------------------------------------


@pytest.fixture
def judged() -> Question:
    return asked({"kind": "judged", "citations": 2}, threshold=None)


def batch(store: MemoryStore, question: Question, now: str = "2028-01-10") -> list[Life]:
    return open_lives(store, [question], parse_utc(now), keep=True)


CITED = ["https://example.org/a", "https://example.org/b"]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_two_judges_fill_a_batch_and_the_question_resolves(
    store: MemoryStore, judged: Question, form: str
) -> None:
    lives = batch(store, judged)
    now = parse_utc("2028-01-10")
    for hour, judge in enumerate(("Ada", "Bob")):
        rows = [row | {"judge": judge, "outcome": "yes", "citations": CITED} for row in rows_for(lives)]
        found = read(write(rows, form), form, lives, (), now + timedelta(hours=hour))
        assert store.add_judgements(found) == 1
    receipt = only(store, judged, "2028-01-11")
    assert (receipt.outcome, [one.source for one in receipt.evidence]) == ("yes", ["Ada", "Bob"])
    assert receipt.evidence[0].text == " ".join(CITED)
    assert recompute(store, receipt) == receipt


def test_that_nothing_happened_is_judged_on_the_last_day_at_the_earliest(
    store: MemoryStore, judged: Question
) -> None:
    lives = batch(store, judged)
    settled = judged.dates.settled_by
    row = rows_for(lives)[0] | {"judge": "Ada", "outcome": "no", "citations": CITED}
    with pytest.raises(UsageError, match=f"no can be given from {settled:%Y-%m-%d} on"):
        read(write([row], "csv"), "csv", lives, (), settled - timedelta(days=2))
    for judge in ("Ada", "Bob"):
        text = write([row | {"judge": judge}], "csv")
        store.add_judgements(read(text, "csv", lives, (), settled + timedelta(hours=1)))
    assert only(store, judged, "2028-04-02").outcome == "no"


def test_judgements_on_another_version_do_not_count(store: MemoryStore, judged: Question) -> None:
    batch(store, judged)
    at = parse_utc("2028-01-10")
    store.add_judgements(
        [Judgement("b1", "other", name, "yes", at, ("https://e.org",)) for name in ("a", "b")]
    )
    assert only(store, judged, "2028-01-11").outcome is None


def test_an_empty_batch_has_nothing_to_keep(store: MemoryStore, judged: Question) -> None:
    lives = batch(store, judged)
    for form in ("json", "csv"):
        assert read(write(rows_for(lives), form), form, lives, (), parse_utc("2028-01-10")) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": "b9"}, "there is no question 'b9'"), ({"version": "old"}, "has no version 'old'"),
        ({"judge": ""}, "needs its judge's name"), ({"judge": "Fay"}, "Fay has forecast b1"),
        ({"outcome": "maybe"}, "'maybe' is none of yes, no, annul"), ({"citations": CITED[:1]}, "at least 2 needed"),
        ({"citations": ["http://example.org"]}, "must start with https://"), ({"value": "many"}, "is no number"),
        ({"on": "soon"}, "soon"), ({"made_at": "2030-01-01"}, "lies ahead"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_told_and_nothing_is_kept(
    store: MemoryStore, judged: Question, changes: dict[str, Any], message: str
) -> None:
    lives = batch(store, judged)
    good = rows_for(lives)[0] | {"judge": "Ada", "outcome": "yes", "citations": CITED}
    for form in ("json", "csv"):
        with pytest.raises(UsageError, match=message):
            read(write([good | changes], form), form, lives, {("b1", "Fay")}, parse_utc("2028-01-10"))


@pytest.mark.parametrize(
    ("text", "form", "message"),
    [
        ("{", "json", "not valid JSON"), ("[]", "json", "expected"), ("a,b\n1,2\n", "csv", "columns are missing"),
        (json.dumps({"format": "speedup-judgements-1", "judgements": [1]}), "json", "should be an object"),
        ('{"format": "speedup-judgements-1", "judgements": [{"judge": 1}]}', "json", "should be text, not int"),
        ("", "csv", "columns are missing"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_batch_is_refused(text: str, form: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(text, form, [], (), parse_utc("2028-01-10"))


def test_one_judge_judges_a_question_once_in_a_file(store: MemoryStore, judged: Question) -> None:
    lives = batch(store, judged)
    row = rows_for(lives)[0] | {"judge": "Ada", "outcome": "yes", "citations": CITED}
    with pytest.raises(UsageError, match="Ada judges b1 twice"):
        read(write([row, row | {"outcome": ANNUL}], "csv"), "csv", lives, (), parse_utc("2028-01-10"))


def test_closed_questions_without_an_outcome_are_what_judges_are_asked(
    store: MemoryStore, judged: Question
) -> None:
    open_ones = open_lives(store, [judged], parse_utc("2027-06-01"), keep=False, closed_only=True)
    closed = open_lives(store, [judged], parse_utc("2028-01-10"), keep=False, closed_only=True)
    assert (open_ones, [life.question.id for life in closed]) == ([], ["b1"])
    assert store.question_versions() == []
