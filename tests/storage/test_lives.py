"""What is only ever added, in every store alike: versions, judgements, receipts; orderings."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import text

from questions.receipts import Edit
from questions.verdicts import State
from storage.engine import Database
from storage.errors import IntegrityFailure, StorageError
from storage.records import Grain
from storage.sql import SqlStore
from storage.store import Store
from tests.storage.samples import hours, judgement, ordering, question_version, receipt


def test_a_receipt_comes_back_whole(store: Store) -> None:
    given = receipt(5, value=1.5, on=date(2027, 3, 31), reason="because")
    bare = receipt(4, "awaiting_data", question="q2")
    assert store.add_receipts([given, bare]) == 2
    assert store.receipts() == [bare, given]
    assert store.receipts("q1") == [given]


def test_receipts_are_only_ever_added(store: Store) -> None:
    first = receipt(5)
    assert (store.add_receipts([first]), store.add_receipts([first])) == (1, 0)
    again = receipt(6, "re_resolved", outcome="no")
    assert store.add_receipts([again]) == 1
    with pytest.raises(StorageError, match="another receipt under the same key"):
        store.add_receipts([receipt(7), replace(first, outcome="no")])
    assert store.receipts() == [first, again]
    assert [one.state for one in store.receipts(known_at=hours(5.5))] == [State.RESOLVED]


def test_two_versions_of_a_question_have_receipts_of_their_own(store: Store) -> None:
    one, other = receipt(5), receipt(5, version="v2", outcome="no")
    assert store.add_receipts([other, one]) == 2
    assert store.receipts() == [one, other]


def test_judgements_are_all_kept(store: Store) -> None:
    first, second = judgement(1), judgement(2, "bob", value=2.0, on=date(2027, 1, 1), note="see page 3")
    changed = judgement(3, outcome="no", citations=("https://example.org/b", "https://example.org/c"))
    assert store.add_judgements([second, first]) == 2
    assert store.add_judgements([first, changed]) == 1
    assert store.judgements() == [first, second, changed]
    assert store.judgements("q1", known_at=hours(2)) == [first, second]
    assert store.judgements("q2") == []
    with pytest.raises(StorageError, match="another judgement"):
        store.add_judgements([judgement(1, outcome="no")])


def test_versions_of_a_record_are_kept_by_when_they_were_seen(store: Store) -> None:
    first = question_version(1, record='{"title": "Führt es?"}')
    second = replace(question_version(2), edit=Edit.WORDING, text="t9")
    assert store.add_question_versions([second, first]) == 2
    assert store.add_question_versions([first]) == 0
    assert store.question_versions("q1") == [first, second]
    assert store.question_versions(known_at=hours(1)) == [first]


def test_text_that_no_database_can_hold_is_kept_as_far_as_it_can_be(store: Store) -> None:
    store.add_judgements([judgement(1, "a\x00b", note="\ud800", citations=("https://example.org/\x00",))])
    (kept,) = store.judgements()
    assert (kept.judge, kept.note) == ("a\ufffdb", "\ufffd")
    assert kept.citations == ("https://example.org/\x00",)


def test_orderings_are_found_by_their_instant_their_settings_and_when_they_were_made(store: Store) -> None:
    first, late, other = ordering(1), ordering(1, 9, payload="[]"), ordering(2, settings="s2")
    day = ordering(1, grain="day")
    assert store.add_orderings([late, day, other, first]) == 4
    assert store.add_orderings([first]) == 0
    assert store.orderings(Grain.WEEK) == [first, late, other]
    assert store.orderings(Grain.WEEK, known_at=hours(5)) == [first, other]
    assert store.orderings(Grain.WEEK, settings="s1", until=hours(1)) == [first, late]
    assert store.orderings(Grain.WEEK, since=hours(1.5)) == [other]
    assert store.orderings(Grain.DAY) == [day]
    with pytest.raises(StorageError, match="another ordering"):
        store.add_orderings([ordering(3), ordering(1, payload="[1]")])
    assert len(store.orderings(Grain.WEEK)) == 3


def test_an_ordering_whose_bytes_have_changed_is_noticed(database: Database) -> None:
    with pytest.raises(ValueError, match="does not hash"):
        replace(ordering(1), payload="[]")
    store = SqlStore(database)
    store.add_orderings([ordering(1)])
    assert store.check() == []
    with database.write() as connection:
        connection.execute(text("UPDATE ordering SET payload = '[]'"))
    with pytest.raises(IntegrityFailure, match="does not hash"):
        store.orderings(Grain.WEEK)
    assert len(store.check()) == 1
