"""Values within a day are let go only when asked, and nothing that is asked by the day comes out otherwise."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from questions.receipts import Exhibit
from questions.records import (
    History,
    OutcomeState,
    Quantity,
    QuestionInfo,
    Resolution,
    Score,
    Snapshot,
    StreamKey,
    ValueState,
)
from questions.time import to_micros
from storage import open_store
from storage.alerting import Alert
from storage.mailing import Channel, Issue, Letter, LetterState
from storage.memory import MemoryStore
from storage.records import Batch, Grain, OrderingRecord, RawPayload, digest
from storage.store import Store
from storage.thinning import RULE, Thinned
from tests.storage.samples import DAY, HOUR, T0, measured, receipt, version
from tracker.scorecard import as_told
from tracker.scoring.history import forecasts_from_history

KEY = StreamKey("manifold", "manifold", "q1", "yes", Quantity.PLAY_MONEY_PRICE)
MIDNIGHT = T0.replace(hour=0, minute=0, second=0, microsecond=0)
LATER = MIDNIGHT + 400 * DAY


def at(hours: float) -> datetime:
    return MIDNIGHT + timedelta(hours=hours)


def seen(hours: float, probability: float, **more: object) -> Snapshot:
    return Snapshot(KEY, at(hours), at(hours), probability=probability, **more)  # type: ignore[arg-type]


def told(store: Store) -> list[tuple[float, float | None]]:
    """(hours, probability) of every row."""
    return [
        ((row.snapshot.as_of - MIDNIGHT) / HOUR, row.snapshot.probability) for row in store.revisions(KEY)
    ]


def polls(store: Store, *values: float, first: float = 1.0, every: float = 1.0) -> None:
    for number, value in enumerate(values):
        store.append(Batch(snapshots=(seen(first + number * every, value),)))


def test_of_a_dense_day_the_last_the_highest_and_the_lowest_stay_and_what_went_is_written_down(
    store: Store,
) -> None:
    polls(store, 0.5)
    polls(store, 0.4, 0.5, 0.7, 0.6, 0.2, 0.3, 0.35, first=25)
    polls(store, 0.5, 0.6, 0.7, first=49)
    polls(store, 0.8, first=73)
    everything = told(store)
    foreseen = store.thin(LATER, LATER, dry_run=True)
    assert foreseen == Thinned(4, 1)
    assert told(store) == everything
    assert store.thinnings() == []
    assert store.thin(LATER, LATER) == foreseen
    gone = [(25, 0.4), (26, 0.5), (28, 0.6), (30, 0.3)]
    assert told(store) == [one for one in everything if one not in gone], (
        "a day of three values is left alone"
    )
    (record,) = store.thinnings()
    assert (record.key, record.rule, record.gone) == (KEY, RULE, 4)
    assert (record.since, record.until) == (at(25), at(30))
    assert (record.first_at, record.last_at) == (LATER, LATER)
    assert store.thin(LATER, LATER) == Thinned()
    assert store.counts()["thinning"] == 1
    assert store.check() == []


def test_days_that_are_not_over_stay_whole_and_later_ones_join_the_record(store: Store) -> None:
    for day in range(3):
        polls(store, 0.3, 0.1, 0.2, 0.4, 0.5, first=24 * day + 1)
    polls(store, 0.9, first=80)
    assert store.thin(at(47), LATER).values == 3 - 1, "the first of all stays"
    assert store.thin(at(71.99), LATER + DAY).values == 3
    (record,) = store.thinnings()
    assert (record.gone, record.first_at, record.last_at) == (5, LATER, LATER + DAY)
    assert [hours for hours, _ in told(store)] == [1, 2, 5, 26, 29, 49, 50, 51, 52, 53, 80]


def test_corrections_absences_and_what_lasted_over_midnight_stay(store: Store) -> None:
    polls(store, 0.5)
    timed = {"timed_by_source": True}
    store.append(Batch(snapshots=(seen(25, 0.1), seen(26, 0.2))))
    point = Snapshot(KEY, at(27), at(30), probability=0.3, **timed)  # type: ignore[arg-type]
    store.append(Batch(snapshots=(point,)))
    corrected = Snapshot(KEY, at(27), at(31), probability=0.35, **timed)  # type: ignore[arg-type]
    store.append(Batch(snapshots=(corrected,)))
    store.append(Batch(snapshots=(Snapshot(KEY, at(32), at(32), ValueState.HIDDEN),)))
    polls(store, 0.6, 0.05, 0.7, 0.4, 0.5, first=33)
    polls(store, 0.5, first=47 + 24)
    before = told(store)
    store.thin(LATER, LATER)
    assert sorted(set(before) - set(told(store))) == [(25, 0.1), (26, 0.2), (33, 0.6), (36, 0.4)]


def test_a_value_of_midnight_sharp_ends_one_day_and_begins_the_next(store: Store) -> None:
    polls(store, 0.5)
    polls(store, 0.4, 0.5, 0.1, 0.9, 0.6, first=24)
    store.append(Batch(snapshots=(seen(47, 0.7),)))
    late = [
        Snapshot(KEY, at(48 + n), at(72 if n == 3 else 73), probability=0.2 + n / 10, timed_by_source=True)
        for n in range(1, 7)
    ]
    for one in sorted(late, key=lambda one: one.fetched_at):
        store.append(Batch(snapshots=(one,)))
    store.thin(LATER, LATER)
    assert [hours for hours, _ in told(store)] == [1, 24, 26, 27, 47, 49, 51, 54]


def test_what_anything_kept_was_made_from_stays(store: Store) -> None:
    """A value for each reason, each an hour of one dense day, and one without any."""
    reasons = [1, 3, 5, 7, 9, 11, 13]
    names = [
        store.put_raw(RawPayload("manifold", "q1", f"https://e.org/{n}", at(n), 200, "", b"%d" % n))
        for n in range(24)
    ]
    polls(store, 0.5, first=-30)
    rows = [seen(n + 0.25, 0.3 + n / 100, payload_sha256=names[n]) for n in range(24)]
    store.append(Batch(snapshots=tuple(rows)))
    payload = '{"order": []}'
    record = OrderingRecord(
        Grain.DAY, "s", at(1.5), at(1.5), at(2), "1", "1", payload, digest(payload.encode())
    )
    store.add_orderings([record])
    store.add_issue(Issue("2026-W01", at(3.5) + 21 * DAY, LATER, "s", "t", "h"))
    store.keep_alerts([Alert("move:q", at(5.5), "move", "up", "t", "b", "a")], [])
    store.add_scores([Score("manifold/q1", "yes", "manifold", at(7.5), "brier", "1", 0.1, LATER)])
    exhibit = Exhibit("point", "s", "k", value=2.5, payload_sha256=names[9])
    store.add_receipts([receipt(2000, evidence=(exhibit,))])
    info = QuestionInfo("manifold", "manifold", "q1", at(0), "t", "u", closes_at=at(11.5) + 30 * DAY)
    word = Resolution(
        "manifold", "manifold", "q1", "yes", OutcomeState.YES, at(900), resolved_at=at(13.5), value=1.0
    )
    store.append(Batch(infos=(info,), resolutions=(word,)))
    store.thin(LATER, LATER)
    kept = [int(hours) for hours, _ in told(store) if hours > 0]
    assert kept == [0, *reasons, 23], "the lowest, one for each reason, and the highest, which is the last"
    assert store.check() == []


def test_series_are_not_touched(store: Store) -> None:
    for hour in range(12):
        store.append(Batch(versions=(version(hour, measured("m", 1 + hour)),)))
    polls(store, *(n / 20 for n in range(12)))
    before = store.versions("metr")
    names = store.series_ids()
    points = [store.measurements(name, known_at=at(hour)) for name in names for hour in range(40)]
    assert store.thin(LATER, LATER).values == 10
    assert store.versions("metr") == before
    assert [store.measurements(name, known_at=at(h)) for name in names for h in range(40)] == points


def test_told_again_they_are_there_again(store: Store) -> None:
    """What ``speedup reparse`` does with raw payloads that are still there."""
    points = tuple(seen(25 + n, 0.3 + (n * 7 % 10) / 20) for n in range(10))
    history = History(
        StreamKey("manifold", "manifold", "q2", "yes", Quantity.PLAY_MONEY_PRICE),
        at(500),
        tuple(to_micros(at(25 + n)) for n in range(10)),
        tuple(0.3 + (n * 7 % 10) / 20 for n in range(10)),
    )
    store.append(Batch(snapshots=points, histories=(history,)))
    before = [store.revisions(key) for key in store.streams()]
    assert store.thin(LATER, LATER).streams == 2
    assert [store.revisions(key) for key in store.streams()] != before
    store.append(Batch(snapshots=points, histories=(history,)))
    assert [store.revisions(key) for key in store.streams()] == before


def test_a_part_at_a_time_and_a_stream_never_in_part(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage import sql

    monkeypatch.setattr(sql, "THINNED_AT_ONCE", 3)
    with closing(open_store(url)) as store:
        for name in ("q1", "q2", "q3"):
            key = StreamKey("manifold", "manifold", name, "yes", Quantity.PLAY_MONEY_PRICE)
            rows = (Snapshot(key, at(n), at(n), probability=0.1 + n / 20) for n in range(10))
            store.append(Batch(snapshots=tuple(rows)))
        assert [store.thin(LATER, LATER) for _ in range(3)] == [
            Thinned(8, 1, more=True),
            Thinned(8, 1, more=True),
            Thinned(8, 1),
        ]


# daily answers stay what they were ----------------------------------------------------------------

HOURS = st.integers(0, 5 * 24 * 4).map(lambda quarter: quarter / 4)
POLLED = st.tuples(HOURS, st.integers(1, 9), st.booleans())
POINTS = st.tuples(HOURS, st.lists(st.tuples(HOURS, st.integers(1, 9)), min_size=1, max_size=12))


def fill(stores: list[Store], polled: list[tuple[float, int, bool]], fetches: list) -> None:  # type: ignore[type-arg]
    """Values without a time of their own as they are polled, and accounts of the past as they are fetched."""
    events = [(hours, [], number, shown) for hours, number, shown in polled]
    events += [(hours, points, 0, False) for hours, points in fetches]
    for hours, points, number, shown in sorted(events, key=lambda event: event[0]):
        past = tuple(
            Snapshot(KEY, at(min(when, hours)), at(hours), probability=value / 10, timed_by_source=True)
            for when, value in {min(when, hours): value for when, value in points}.items()
        )
        here: tuple[Snapshot, ...] = ()
        if number:
            state = ValueState.OK if shown or number % 5 else ValueState.HIDDEN
            here = (
                Snapshot(KEY, at(hours), at(hours), state, number / 10 if state is ValueState.OK else None),
            )
        for store in stores:
            store.append(Batch(snapshots=past + here))


def by_the_day(store: Store) -> list[object]:
    """What is asked by the day: the newest, and the value at the end of each day, as known at the end of each."""
    days = [MIDNIGHT + n * DAY for n in range(8)]
    answers: list[object] = []
    for known in days:
        answers.append(plain(store.latest(known_at=known).get(KEY)))
        history = store.history(KEY, known_at=known)
        for end in days:
            for exact in (False, True):
                standing = [
                    one
                    for one in history
                    if one.snapshot.as_of < end or (exact and one.snapshot.as_of == end)
                ]
                answers.append(plain(standing[-1] if standing else None))
    return [*answers, plain(store.latest().get(KEY))]


def plain(seen: object) -> object:
    return None if seen is None else (seen.snapshot, seen.seen_first, seen.seen_last)  # type: ignore[attr-defined]


def scores(store: Store) -> list[object]:
    """Forecasts that count, by the day and at whole days before the close, as known at the end of each day and now."""
    (close,) = {info.closes_at for info in store.infos()}
    assert close is not None
    found: list[object] = []
    for known in [None, *(MIDNIGHT + n * DAY for n in range(1, 8))]:
        history = {KEY: as_told(KEY, store.history(KEY, known_at=known))}
        for leads in (None, (1, 2, 3)):
            table = forecasts_from_history(
                history, store.resolutions(), lead_days=leads, closes={("manifold", "q1"): close}, now=LATER
            )
            assert table.made_at is not None
            found.append((table.made_at.tolist(), table.probability.tolist(), table.outcome.tolist()))
    return found


@settings(max_examples=40)
@given(st.lists(POLLED, min_size=6, max_size=40), st.lists(POINTS, max_size=3), st.integers(0, 95), st.data())
def test_no_answer_by_the_day_and_no_score_changes(
    polled: list[tuple[float, int, bool]],
    fetches: list[tuple[float, list[tuple[float, int]]]],
    quarter: int,
    data: st.DataObject,
) -> None:
    memory, sql = MemoryStore(), open_store("sqlite://")
    with closing(sql):
        info = QuestionInfo("manifold", "manifold", "q1", at(0), "t", "u", closes_at=at(4 * 24 + quarter / 4))
        end = at(4 * 24 + 30)
        word = Resolution(
            "manifold", "manifold", "q1", "yes", OutcomeState.YES, end, resolved_at=end, value=1.0
        )
        for store in (memory, sql):
            store.append(Batch(infos=(info,), resolutions=(word,)))
        fill([memory, sql], polled, fetches)
        answers, scored, count = by_the_day(sql), scores(sql), sql.counts()["observation"]
        before = data.draw(st.sampled_from([LATER, at(49), at(73)]))
        gone = sql.thin(before, LATER)
        assert memory.thin(before, LATER) == gone
        assert memory.revisions(KEY) == sql.revisions(KEY)
        assert memory.thinnings() == sql.thinnings()
        assert sql.counts()["observation"] == count - gone.values
        assert by_the_day(sql) == answers
        assert scores(sql) == scored
        assert sql.check() == []


# letters ------------------------------------------------------------------------------------------


def letter(number: int, **more: object) -> Letter:
    return Letter(
        f"digest:w{number // 2}:{number}", Channel.MAIL, f"p{number}@example.org", "digest", f"w{number // 2}",
        f"<{number}@t>", b"shared bytes of %d" % (number // 2), at(0), at(24), ((6, b" own"),), **more,
    )  # type: ignore[arg-type]  # fmt: skip


def test_the_bytes_of_letters_that_are_over_go_and_none_is_ever_queued_again(store: Store) -> None:
    assert store.queue_letters([letter(number) for number in range(4)]) == 4
    for state in (LetterState.SENT, LetterState.DEAD, LetterState.SENT):
        claimed = store.claim_letter(Channel.MAIL, at(1))
        assert claimed is not None
        store.settle_letter(claimed.key, state, at(2), f"{state.value}: said")
    before = {one.key: one for one in store.letters()}
    assert store.prune_letters(at(20)) == 0, "it might have been worth sending until tomorrow"
    assert store.prune_letters(at(25), dry_run=True) == 3
    assert {one.key: one for one in store.letters()} == before
    assert store.prune_letters(at(25)) == 3
    for one in store.letters():
        known = before[one.key]
        over = one.state is not LetterState.QUEUED
        assert one.body == (b"" if over else known.body)
        for name in ("message_id", "address", "state", "outcome", "attempts", "changed_at", "period"):
            assert getattr(one, name) == getattr(known, name)
    assert store.counts()["outbox_part"] == 2, "the empty one, and that of the letter that waits"
    assert store.prune_letters(at(25)) == 0
    assert store.queue_letters([letter(number) for number in range(4)]) == 0
    assert store.check() == []
