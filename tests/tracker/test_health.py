"""How a question is: every state a poll can leave it in, and what follows from what an answer says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from questions.model import Link
from questions.records import (
    History,
    OutcomeState,
    Quantity,
    QuestionHealth,
    QuestionInfo,
    QuestionState,
    Resolution,
    Snapshot,
    StreamKey,
    ValueState,
)
from questions.time import to_micros
from storage.memory import MemoryStore
from storage.records import Batch, RawPayload, Standing
from tests.tracker.fakes import START, TRAITS, Clock, FairSource, FakeNet, link
from tracker.collect import Collector, SourceReport
from tracker.config import Settings
from tracker.errors import FetchError
from tracker.health import QuestionView, gone_everywhere, taken_back, views
from tracker.source import Parsed, Plan, SourceTraits

A, B = link("a"), link("b")
WORDY = replace(TRAITS, unsettled=("open",))
DOWN = FetchError("fair", "a,b", "refused", "connection refused", retry=True)


@dataclass(frozen=True)
class WordySource(FairSource):
    """Answers may be a word too: a value's state, or a status of the question (``open``, ``closed``)."""

    traits: SourceTraits = WORDY

    def parse(self, raw: RawPayload) -> Parsed:
        plain = FairSource.parse(self, raw)
        if raw.status != 200:
            return plain
        words = {name: word for name, word in json.loads(raw.body).items() if isinstance(word, str)}
        states = {name: word for name, word in words.items() if word in set(ValueState)}
        infos = {name: word for name, word in words.items() if word in ("open", "closed")}
        faults = tuple(f for f in plain.faults if f.ref not in (*states, *infos))
        snapshots = tuple(
            Snapshot(
                key_of(name), raw.fetched_at, raw.fetched_at, ValueState(word), payload_sha256=raw.sha256
            )
            for name, word in states.items()
        )
        told = tuple(
            QuestionInfo("fair", "fair", name, raw.fetched_at, "Will it?", status=word)
            for name, word in infos.items()
        )
        batch = replace(plain.batch, snapshots=plain.batch.snapshots + snapshots, infos=told)
        return Parsed(batch=batch, faults=faults)


def key_of(name: str, outcome: str = "yes") -> StreamKey:
    return StreamKey("fair", "fair", name, outcome, Quantity.PLAY_MONEY_PRICE)


class Poll:
    """A source polled every hour, with what it answers said each time."""

    def __init__(self, source: FairSource | None = None, tag: str | None = None) -> None:
        self.store, self.clock, self.net = MemoryStore(), Clock(), FakeNet(tag=tag)
        self.source = source or WordySource()

    def __call__(self, answer: object, *links: Link, hours: float = 1) -> SourceReport:
        body = json.dumps(answer).encode() if isinstance(answer, dict) else answer
        self.net.answers = {"history": body, "now": body}
        report = Collector(self.store, self.source, self.net, Settings(), self.clock).run(links or (A,))
        self.clock.forward(hours=hours)
        return report

    def state(self, name: str = "a") -> tuple[str, str]:
        """State and message of a question."""
        (health,) = [s.health for s in self.store.question_health() if s.health.external_id == name]
        return health.state.value, health.message


def test_a_question_with_a_value_is_well_and_stays_one_record() -> None:
    poll = Poll()
    for _ in range(5):
        report = poll({"a": 0.3})
    assert report.questions == {"ok": 1}
    (standing,) = poll.store.question_health()
    assert standing.health.state is QuestionState.OK
    assert (standing.health.fetched_at, standing.seen_last) == (START, START + timedelta(hours=4))
    assert poll.store.counts()["question_health"] == 1


@pytest.mark.parametrize("word", ["no_forecast", "hidden", "not_permitted", "no_trade", "gone"])
def test_each_reason_for_having_no_value_is_its_own_state(word: str) -> None:
    poll = Poll()
    poll({"a": word})
    assert poll.state() == (word, "")


def test_access_that_ends_is_not_permitted_and_comes_back_as_ok() -> None:
    poll = Poll()
    poll({"a": 0.3})
    poll(403)
    assert poll.state()[0] == "not_permitted"
    assert [seen.snapshot.probability for seen in poll.store.latest().values()] == [0.3]
    poll({"a": 0.4})
    assert poll.state() == ("ok", "")
    states = [
        poll.store.question_health(known_at=START + timedelta(hours=h))[0].health.state.value
        for h in (0.5, 1.5, 2.5)
    ]
    assert states == ["ok", "not_permitted", "ok"]


def test_an_answer_that_cannot_be_read_is_a_changed_shape_with_the_bytes_it_was_seen_in() -> None:
    poll = Poll()
    poll({"a": 0.3, "b": 0.5}, A, B)
    poll({"a": 1.07, "b": 0.5}, A, B)
    assert poll.state("a") == ("changed_shape", "$.a: 1.07 is no probability")
    assert poll.state("b") == ("ok", "")
    health = poll.store.question_health()[0].health
    kept = poll.store.get_raw(health.payload_sha256 or "")
    assert kept is not None
    assert b"1.07" in kept.body


def test_a_payload_that_is_no_answer_at_all_concerns_every_question_it_was_asked_for() -> None:
    poll = Poll()
    poll(b"<html>", A, B)
    assert {poll.state(name)[0] for name in "ab"} == {"changed_shape"}


def test_a_question_no_answer_speaks_of_is_stale_at_once_and_says_so() -> None:
    poll = Poll()
    report = poll({"a": 0.3}, A, B)
    assert poll.state("b") == ("stale", "asked for, and no answer speaks of it")
    assert report.questions == {"ok": 1, "stale": 1}


def test_a_source_that_is_down_leaves_the_state_for_two_periods_and_then_it_is_stale() -> None:
    poll = Poll()
    poll({"a": 0.3})
    states = []
    for _ in range(4):
        poll(DOWN)
        states.append(poll.state()[0])
    assert states == ["ok", "ok", "stale", "stale"]
    assert poll.state()[1] == "nothing heard of it since 2026-08-01T12:00:00Z"
    poll({"a": 0.3})
    assert poll.state() == ("ok", "")


def test_a_question_never_answered_for_because_the_source_is_down_says_so() -> None:
    poll = Poll()
    poll(DOWN)
    assert poll.state() == ("stale", "no answer so far")


def test_not_modified_confirms_what_was_known() -> None:
    poll = Poll(tag='"v1"')
    for _ in range(6):
        poll({"a": 0.3})
    (standing,) = poll.store.question_health()
    assert standing.health.state is QuestionState.OK
    assert standing.seen_last == START + timedelta(hours=5)


def test_an_answer_without_a_value_keeps_the_state_of_the_values_we_have() -> None:
    poll = Poll()
    poll({"a": 0.3})
    poll({"a": "closed"})
    assert poll.state() == ("ok", "")
    poll({"b": "open"}, B)
    assert poll.state("b") == ("stale", "the platform speaks of it, and no answer held a value so far")


def test_a_missing_key_is_not_permitted_for_every_question_and_names_the_setting() -> None:
    poll = Poll(FairSource(replace(TRAITS, secret="metaculus_token", secret_required=True)))
    report = poll({"a": 0.3}, A, B)
    assert report.questions == {"not_permitted": 2}
    assert "SPEEDUP_METACULUS_TOKEN" in poll.state("b")[1]


def test_what_cannot_be_asked_for_says_why() -> None:
    class Picky(FairSource):
        def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
            kept = tuple(link for link in links if link.external_id != "b")
            return replace(super().plan(kept, now, since), skipped={"b": "not a number"})

    poll = Poll(Picky())
    poll({"a": 0.3}, A, B)
    assert poll.state("b") == ("stale", "not asked for: not a number")


# outcomes taken back, questions that go -----------------------------------------------------------


def test_an_outcome_the_platform_no_longer_tells_is_taken_back_and_may_come_again() -> None:
    poll = Poll()
    seen = []
    for answer in ({"a": 0.3}, {"a": "resolved"}, {"a": "open"}, {"a": "open"}, {"a": "resolved"}):
        poll(answer)
        seen.append([word.state.value for word in poll.store.resolutions()])
    assert seen == [[], ["yes"], ["unresolved"], ["unresolved"], ["yes"]]
    at = START + timedelta(hours=2.5)
    assert [word.state.value for word in poll.store.resolutions(known_at=at)] == ["unresolved"]


def test_a_status_that_may_go_with_an_outcome_takes_nothing_back() -> None:
    poll = Poll()
    poll({"a": "resolved"})
    poll({"a": "closed"})
    assert [word.state.value for word in poll.store.resolutions()] == ["yes"]


def info(hours: float, status: str = "open") -> QuestionInfo:
    return QuestionInfo("fair", "fair", "a", START + timedelta(hours=hours), "Will it?", status=status)


def outcome(hours: float, state: str = "yes", name: str = "yes") -> Resolution:
    value = 1.0 if state == "yes" else None
    at = START + timedelta(hours=hours)
    return Resolution("fair", "fair", "a", name, OutcomeState(state), at, value=value)


def test_every_outcome_of_the_question_is_taken_back_by_a_later_look_only() -> None:
    known = (outcome(0, name="one"), outcome(0, name="two"), outcome(3, name="three"))
    back = taken_back(Batch(infos=(info(2),)), known, ("open",))
    assert [(word.outcome, word.state.value) for word in back] == [
        ("one", "unresolved"),
        ("two", "unresolved"),
    ]
    assert taken_back(Batch(infos=(info(2),), resolutions=(outcome(2),)), known, ("open",)) == ()
    assert taken_back(Batch(infos=(info(2),)), (outcome(1, "unresolved"),), ("open",)) == ()


def test_one_outcome_of_several_is_taken_back_when_it_has_a_value_again() -> None:
    known = (outcome(0, name="one"), outcome(0, name="two"), outcome(0, name="three"))
    at = START + timedelta(hours=2)
    again = Snapshot(key_of("a", "two"), at, at, probability=0.4)
    batch = Batch(snapshots=(again,), resolutions=(outcome(2, name="one"),), infos=(info(2),))
    assert [word.outcome for word in taken_back(batch, known, ("open",))] == ["two"]


def test_an_option_that_was_withdrawn_takes_no_other_with_it() -> None:
    option = Snapshot(key_of("a", "option"), START, START, ValueState.GONE, timed_by_source=True)
    assert gone_everywhere(Batch(snapshots=(option,)), [key_of("a"), key_of("a", "option")]) == ()


def test_a_question_that_is_gone_is_gone_in_each_of_its_outcomes() -> None:
    poll = Poll()
    option = Snapshot(key_of("a", "option"), START, START, probability=0.2)
    poll.store.append(Batch(snapshots=(option,)))
    poll.clock.forward(hours=1)
    poll({"a": "gone"})
    latest = {key.outcome: seen.snapshot.state for key, seen in poll.store.latest().items()}
    assert latest == {"yes": ValueState.GONE, "option": ValueState.GONE}
    assert [seen.snapshot.probability for seen in poll.store.history(option.key)] == [0.2, None]


class PastSource(FairSource):
    """Answers tell the past of their questions and nothing else."""

    def parse(self, raw: RawPayload) -> Parsed:
        times = tuple(to_micros(raw.fetched_at) - ago for ago in (2_000_000, 1_000_000))
        histories = tuple(
            History(key_of(name), raw.fetched_at, times, (0.25, 0.75), raw.sha256)
            for name in json.loads(raw.body)
        )
        return Parsed(batch=Batch(histories=histories))


def test_a_history_is_stored_for_what_we_follow_and_is_word_of_the_question() -> None:
    poll = Poll(PastSource())
    report = poll({"a": 1, "not followed": 1})
    assert (report.status, report.values, report.appended.snapshots_new) == ("ok", 2, 2)
    assert poll.store.streams() == [key_of("a")]
    assert poll.state() == ("ok", "")


def test_a_stream_whose_past_was_told_is_not_gone_with_the_others() -> None:
    gone = Snapshot(key_of("a"), START, START, ValueState.GONE)
    past = History(key_of("a", "told"), START, (to_micros(START),), (0.5,))
    streams = [key_of("a"), key_of("a", "told"), key_of("a", "other")]
    added = gone_everywhere(Batch(snapshots=(gone,), histories=(past,)), streams)
    assert [snapshot.key for snapshot in added] == [key_of("a", "other")]


def test_other_questions_and_outcomes_that_were_told_are_left_alone() -> None:
    gone = Snapshot(key_of("a"), START, START, ValueState.GONE)
    told = Snapshot(key_of("a", "told"), START, START, probability=0.5)
    streams = [key_of("a"), key_of("a", "told"), key_of("a", "other"), key_of("b")]
    added = gone_everywhere(Batch(snapshots=(gone, told)), streams)
    assert [snapshot.key for snapshot in added] == [key_of("a", "other")]


# what a reader is told ----------------------------------------------------------------------------


def standing(source: str, state: str, name: str = "a") -> Standing:
    health = QuestionHealth(source, "fair", name, START, QuestionState(state))
    return Standing(health, START + timedelta(hours=1))


def view(
    *words: Standing, infos: Sequence[QuestionInfo] = (), outcomes: Sequence[Resolution] = (), days: float = 0
) -> QuestionView:
    (found,) = views(
        [A],
        words,
        infos,
        outcomes,
        now=START + timedelta(days=days),
        overdue_after=timedelta(days=30),
    )
    return found


def test_the_best_word_of_any_source_tells_how_a_question_is() -> None:
    found = view(standing("one", "not_permitted"), standing("two", "ok"), standing("three", "stale"))
    assert (found.state, found.source) == (QuestionState.OK, "two")
    assert not found.troubled


def test_what_was_never_asked_for_is_stale_and_says_so() -> None:
    found = view(standing("one", "ok", "b"))
    assert (found.state, found.message) == (QuestionState.STALE, "never asked for")
    assert found.troubled


@pytest.mark.parametrize(
    ("days", "outcomes", "overdue"),
    [
        (29, (), None),
        (30, (), None),
        (31, (), 31),
        (31, (outcome(0),), None),
        (31, (outcome(0, "void"),), None),
        (31, (outcome(0, "unresolved"),), 31),
    ],
)
def test_closed_for_long_without_an_outcome_is_overdue(
    days: int, outcomes: Sequence[Resolution], overdue: int | None
) -> None:
    closed = replace(info(0, "closed"), closes_at=START)
    found = view(standing("one", "ok"), infos=[closed], outcomes=outcomes, days=days)
    assert found.overdue_days == overdue
    assert found.troubled is (overdue is not None)


def test_a_question_whose_close_nobody_told_is_not_called_overdue() -> None:
    assert view(standing("one", "ok"), infos=[info(0)], days=1000).overdue_days is None
