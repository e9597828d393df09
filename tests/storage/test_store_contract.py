"""What every store promises (``storage.store``), on memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from questions.records import (
    Distribution,
    Forecast,
    ForecasterKind,
    OutcomeState,
    Quantity,
    Score,
    Snapshot,
    StreamKey,
    ValueState,
)
from storage import open_store
from storage.errors import StorageError
from storage.records import (
    AppendReport,
    Batch,
    Gap,
    Quarantined,
    Run,
    RunState,
    SourceHealth,
    Standing,
    Validator,
)
from storage.store import Store
from tests.storage.samples import (
    DAY,
    HOUR,
    KEY,
    T0,
    drift,
    health,
    hours,
    info,
    key,
    measured,
    payload,
    point,
    poll,
    resolution,
    version,
)


def append(store: Store, *snapshots: Snapshot) -> AppendReport:
    return store.append(Batch(snapshots=snapshots))


def standing(
    store: Store, stream: StreamKey = KEY, known_at: datetime | None = None
) -> list[tuple[object, ...]]:
    """A stream's history in short: (hour it stood from, probability, hours seen first and last, times)."""
    return [
        (
            (seen.snapshot.as_of - T0) / HOUR,
            seen.snapshot.probability,
            (seen.seen_first - T0) / HOUR,
            (seen.seen_last - T0) / HOUR,
            seen.times_seen,
        )
        for seen in store.history(stream, known_at=known_at)
    ]


# one value, seen again ----------------------------------------------------------------------------


def test_an_unchanged_value_polled_again_extends_its_row(store: Store) -> None:
    for hour in range(5):
        append(store, poll(hour))
    assert standing(store) == [(0, 0.5, 0, 4, 5)]


def test_a_year_of_hourly_polls_of_an_unchanged_value_is_one_row(store: Store) -> None:
    for day in range(365):
        append(store, *(poll(24 * day + hour) for hour in range(24)))
    assert standing(store) == [(0, 0.5, 0, 8759, 8760)]
    assert store.counts()["observation"] == 1


def test_two_days_of_silence_are_not_bridged(store: Store) -> None:
    for hour in (0, 1, 2, 50, 51):
        append(store, poll(hour))
    assert standing(store) == [(0, 0.5, 0, 2, 3), (50, 0.5, 50, 51, 2)]


def test_a_silence_of_exactly_the_longest_gap_is_bridged(store: Store) -> None:
    append(store, poll(0))
    append(store, poll(36))
    append(store, poll(36 * 2 + 0.001))
    assert standing(store) == [(0, 0.5, 0, 36, 2), (72.001, 0.5, 72.001, 72.001, 1)]


def test_a_changed_value_begins_a_row_and_so_does_its_return(store: Store) -> None:
    for hour, probability in enumerate((0.5, 0.6, 0.6, 0.5)):
        append(store, poll(hour, probability))
    assert standing(store) == [(0, 0.5, 0, 0, 1), (1, 0.6, 1, 2, 2), (3, 0.5, 3, 3, 1)]


@pytest.mark.parametrize(
    "other",
    [
        {"probability": 0.51},
        {"forecasters": 8},
        {"probability": None, "state": ValueState.HIDDEN},
        {"probability": None, "value": 0.5},
        {"probability": None, "distribution": Distribution((1.0, 2.0), (0.5, 0.5))},
        {"probability": None, "state": ValueState.HIDDEN, "hidden_until": T0 + DAY},
    ],
)
def test_whatever_is_content_begins_a_row(store: Store, other: dict[str, object]) -> None:
    append(store, poll(0, forecasters=7))
    told = {"probability": 0.5, "forecasters": 7} | other
    append(store, Snapshot(KEY, hours(1), hours(1), **told))  # type: ignore[arg-type]
    assert len(store.history(KEY)) == 2


def test_the_quality_of_a_market_stays_as_it_was_when_the_row_was_made(store: Store) -> None:
    append(store, poll(0, volume=1.0, liquidity=2.0, spread=0.1, last_trade_at=hours(-5)))
    append(store, poll(1, volume=9.0, liquidity=9.0, spread=0.9, last_trade_at=hours(0.5)))
    (seen,) = store.history(KEY)
    assert (seen.snapshot.volume, seen.snapshot.liquidity, seen.snapshot.spread) == (1.0, 2.0, 0.1)
    assert seen.snapshot.last_trade_at == hours(-5)
    assert seen.times_seen == 2


def test_absence_of_a_value_is_remembered_like_a_value(store: Store) -> None:
    hidden = {"state": ValueState.HIDDEN, "hidden_until": hours(100), "probability": None}
    for hour in range(3):
        append(store, Snapshot(KEY, hours(hour), hours(hour), **hidden))  # type: ignore[arg-type]
    (seen,) = store.history(KEY)
    assert (seen.snapshot.state, seen.snapshot.hidden_until) == (ValueState.HIDDEN, hours(100))
    assert seen.times_seen == 3


# points with the source's own time ----------------------------------------------------------------


def test_a_history_fetched_again_extends_only_its_newest_point(store: Store) -> None:
    first = append(store, *(point(hour, 10, hour / 10) for hour in range(4)))
    again = append(store, *(point(hour, 20, hour / 10) for hour in range(4)))
    assert (first.snapshots_new, again) == (4, AppendReport(snapshots_unchanged=4))
    assert standing(store) == [
        (0, 0.0, 10, 10, 1),
        (1, 0.1, 10, 10, 1),
        (2, 0.2, 10, 10, 1),
        (3, 0.3, 10, 20, 2),
    ]


def test_a_point_confirmed_after_a_long_silence_is_still_one_row(store: Store) -> None:
    append(store, point(0, 1))
    append(store, point(0, 1000))
    assert standing(store) == [(0, 0.5, 1, 1000, 2)]


def test_equal_values_at_different_times_of_the_source_are_different_points(store: Store) -> None:
    append(store, point(0, 10), point(1, 10))
    assert standing(store) == [(0, 0.5, 10, 10, 1), (1, 0.5, 10, 10, 1)]


def test_a_correction_is_a_new_row_and_history_has_the_last_word(store: Store) -> None:
    append(store, point(0, 1, 0.2))
    append(store, point(0, 5, 0.3))
    assert standing(store) == [(0, 0.3, 5, 5, 1)]
    assert standing(store, known_at=hours(4)) == [(0, 0.2, 1, 1, 1)]
    assert [seen.snapshot.probability for seen in store.revisions(KEY)] == [0.2, 0.3]


def test_a_poll_without_time_extends_the_newest_point_it_agrees_with(store: Store) -> None:
    append(store, point(0, 10, 0.4), point(5, 10, 0.6))
    append(store, poll(12, 0.6))
    append(store, poll(13, 0.4))
    assert standing(store) == [(0, 0.4, 10, 10, 1), (5, 0.6, 10, 12, 2), (13, 0.4, 13, 13, 1)]


def test_an_old_point_fetched_later_takes_its_place_in_the_history(store: Store) -> None:
    append(store, poll(10, 0.5))
    append(store, point(3, 20, 0.1))
    assert standing(store) == [(3, 0.1, 20, 20, 1), (10, 0.5, 10, 10, 1)]
    assert store.latest()[KEY].snapshot.probability == 0.5


def test_a_history_begins_with_what_stood_at_its_start(store: Store) -> None:
    append(store, *(point(hour, 20, 0.1 * hour) for hour in (1, 3, 5)))
    append(store, point(2, 30, 0.9))  # learnt later
    append(store, point(3, 40, 0.8))  # and corrected

    def since(start: float, known: float | None = None) -> list[tuple[float, float | None]]:
        known_at = None if known is None else hours(known)
        told = store.history(KEY, known_at=known_at, start=hours(start))
        whole = store.history(KEY, known_at=known_at)
        assert told == whole[len(whole) - len(told) :]
        return [((one.snapshot.as_of - T0) / HOUR, one.snapshot.probability) for one in told]

    assert [at for at, _ in since(0)] == [1, 2, 3, 5]
    assert [at for at, _ in since(1)] == [1, 2, 3, 5]
    assert since(2.5) == [(2, 0.9), (3, 0.8), (5, 0.5)]
    assert since(2.5, known=25) == [(1, 0.1), (3, pytest.approx(0.3)), (5, 0.5)]
    assert since(9) == [(5, 0.5)]
    assert since(9, known=10) == []


# late arrivals ------------------------------------------------------------------------------------


def test_a_late_snapshot_cuts_the_row_it_contradicts_at_what_is_sure(store: Store) -> None:
    for hour in (0, 1, 3, 4):
        append(store, poll(hour, 0.5))
    append(store, poll(2, 0.9))
    assert standing(store) == [(0, 0.5, 0, 0, 1), (2, 0.9, 2, 2, 1), (4, 0.5, 4, 4, 1)]
    for hour in (0, 1, 2, 3, 4):  # a replay, as `speedup reparse` does, brings back what was in between
        append(store, poll(hour, 0.9 if hour == 2 else 0.5))
    assert [row[:2] for row in standing(store)] == [(0, 0.5), (2, 0.9), (3, 0.5), (4, 0.5)]


def test_a_late_snapshot_of_the_same_value_extends_the_row_before_it(store: Store) -> None:
    append(store, poll(0))
    append(store, poll(60))
    append(store, poll(30))
    assert standing(store) == [(0, 0.5, 0, 30, 2), (60, 0.5, 60, 60, 1)]


def test_a_cut_row_keeps_the_market_quality_it_was_first_seen_with(store: Store) -> None:
    for hour, volume in ((0, 10.0), (1, 11.0), (3, 13.0)):
        append(store, poll(hour, volume=volume))
    append(store, poll(2, 0.9, volume=12.0))
    assert [seen.snapshot.volume for seen in store.history(KEY)] == [10.0, 12.0, 10.0]


def test_a_mended_reading_of_the_same_fetch_counts_and_the_earlier_one_is_kept(store: Store) -> None:
    append(store, poll(0, 0.2))
    append(store, poll(1, 0.2))
    append(store, poll(0, 0.8))
    assert standing(store) == [(0, 0.8, 0, 0, 1)]
    append(store, poll(1, 0.8))
    assert standing(store) == [(0, 0.8, 0, 1, 2)]
    assert [(s.seen_first, s.snapshot.probability) for s in store.revisions(KEY)] == [
        (hours(0), 0.2),
        (hours(0), 0.8),
    ]


def test_a_reading_that_gave_way_does_not_come_back_by_being_appended_again(store: Store) -> None:
    append(store, poll(0, 0.2))
    append(store, poll(0, 0.8))
    before = store.revisions(KEY)
    assert append(store, poll(0, 0.2)) == AppendReport(snapshots_unchanged=1)
    assert standing(store) == [(0, 0.8, 0, 0, 1)]
    assert store.revisions(KEY) == before


def test_of_two_accounts_in_one_batch_the_later_one_counts(store: Store) -> None:
    append(store, point(0, 1, 0.2), point(0, 1, 0.8))
    assert standing(store) == [(0, 0.8, 1, 1, 1)]
    assert [seen.snapshot.probability for seen in store.revisions(KEY)] == [0.2, 0.8]


def test_a_long_history_may_come_in_pages_of_one_fetch(store: Store) -> None:
    for page in ((4, 5), (2, 3), (6, 7)):
        append(store, *(point(hour, 10, hour / 10) for hour in page))
    assert [row[0] for row in standing(store)] == [2, 3, 4, 5, 6, 7]
    append(store, point(7, 11, 0.7))
    assert standing(store)[-1] == (7, 0.7, 10, 11, 2)


# reading ------------------------------------------------------------------------------------------


def test_known_at_takes_back_everything_fetched_later(store: Store) -> None:
    for hour, probability in enumerate((0.5, 0.5, 0.6, 0.6)):
        append(store, poll(hour, probability))
    assert standing(store, known_at=hours(2.5)) == [(0, 0.5, 0, 1, 2), (2, 0.6, 2, 2.5, 2)]
    assert standing(store, known_at=hours(0)) == [(0, 0.5, 0, 0, 2)]
    assert standing(store, known_at=hours(-1)) == []
    assert store.latest(known_at=hours(1))[KEY].times_seen == 2
    assert store.latest(known_at=hours(-1)) == {}


def test_a_snapshot_comes_back_as_it_was(store: Store) -> None:
    whole = Snapshot(
        StreamKey("forecastbench", "metaculus", "4121", "Größer", Quantity.FORECASTER_MEDIAN),
        hours(-3),
        hours(2),
        value=12.5,
        distribution=Distribution((0.1, 0.2, 1e300), (0.0, 1 / 3, 0.75), "date"),
        timed_by_source=True,
        forecasters=123,
        volume=1e-9,
        liquidity=0.0,
        spread=1.0,
        last_trade_at=T0 - DAY,
        hidden_until=hours(7),
        payload_sha256="c" * 64,
    )
    append(store, whole)
    (seen,) = store.history(whole.key)
    assert seen.snapshot == whole


def test_streams_are_sorted_and_filtered_by_platform_and_question(store: Store) -> None:
    one = StreamKey("forecastbench", "metaculus", "1", "yes", Quantity.CROWD_DAILY)
    two = StreamKey("metaculus", "metaculus", "1", "yes", Quantity.FORECASTER_MEDIAN)
    three = StreamKey("manifold", "manifold", "b", "yes", Quantity.PLAY_MONEY_PRICE)
    append(store, *(poll(0, stream=stream) for stream in (three, two, one)))
    assert store.streams() == [one, three, two]
    assert store.streams("metaculus") == [one, two]
    assert store.streams("metaculus", "1") == [one, two]
    assert store.streams(external_id="b") == [three]
    assert store.streams("kalshi") == []


def test_latest_gives_the_newest_of_each_stream_asked_for(store: Store) -> None:
    for name in "abc":
        append(store, poll(0, 0.1, key(name)), poll(1, 0.2, key(name)))
    assert list(store.latest()) == [key("a"), key("b"), key("c")]
    found = store.latest([key("c"), key("a"), key("nobody"), key("a")])
    assert list(found) == [key("a"), key("c")]
    assert {seen.snapshot.probability for seen in found.values()} == {0.2}
    assert store.latest([]) == {}


def test_an_unknown_stream_has_no_history(store: Store) -> None:
    assert store.history(KEY) == []
    assert store.revisions(KEY) == []


def test_reports_add_up_over_a_batch_of_everything(store: Store) -> None:
    batch = Batch(
        snapshots=(poll(0), poll(0, stream=key("q2")), poll(1)),
        versions=(version(0, measured("a", 10), measured("b", 20)),),
        resolutions=(resolution(0),),
        infos=(info(0),),
    )
    assert store.append(batch) == AppendReport(2, 1, 2, 0, 1)
    before = store.counts()
    assert store.append(batch) == AppendReport(snapshots_unchanged=3)
    assert store.counts() == before


def test_a_batch_that_fails_leaves_nothing_behind(url: str) -> None:
    store = open_store(url)
    before = store.counts()
    batch = Batch(
        snapshots=(poll(0), poll(0, forecasters=2**70, stream=key("q2"))),
        resolutions=(resolution(0),),
        versions=(version(0, measured("a", 1)),),
    )
    with pytest.raises(StorageError, match="too large"):
        store.append(batch)
    assert store.counts() == before
    assert store.streams() == []
    store.close()


def test_hostile_text_cannot_make_a_batch_fail(store: Store) -> None:
    title = "<b>\x00\ud800 =?UTF-8?Q?=0A?= 世界"
    store.append(Batch(infos=(info(0, title),), snapshots=(poll(0, stream=key("\x00q")),)))
    (told,) = store.infos()
    assert told.title == "<b>\ufffd\ufffd =?UTF-8?Q?=0A?= 世界"
    (stream,) = store.streams()
    assert stream.external_id == "\ufffdq"
    assert store.history(key("\x00q")) == store.history(stream) != []


# raw payloads -------------------------------------------------------------------------------------


def test_a_payload_comes_back_byte_for_byte(store: Store) -> None:
    raw = payload(bytes(range(256)) * 50, status=203, headers={"etag": 'W/"ü"', "x": ""})
    sha256 = store.put_raw(raw)
    assert sha256 == raw.sha256
    assert store.get_raw(sha256) == raw
    assert store.get_raw("0" * 64) is None


def test_an_empty_body_is_a_payload_too(store: Store) -> None:
    assert store.get_raw(store.put_raw(payload(b""))) == payload(b"")


def test_the_same_bytes_are_stored_once_and_sighted_where_they_were_seen(store: Store) -> None:
    store.put_raw(payload(at=0))
    store.put_raw(payload(at=5))
    store.put_raw(payload(at=3, url="https://example.org/other"))
    assert store.counts()["payload"] == 1
    assert store.counts()["sighting"] == 2
    assert [(raw.url[-2:], raw.fetched_at) for raw in store.raw_payloads()] == [
        ("q1", hours(0)),
        ("er", hours(3)),
        ("q1", hours(5)),
    ]


def test_a_payload_is_known_from_its_first_fetch_whatever_came_in_first(store: Store) -> None:
    sha256 = store.put_raw(payload(at=5, ref="late"))
    store.put_raw(payload(at=2, ref="early"))
    raw = store.get_raw(sha256)
    assert raw is not None
    assert (raw.fetched_at, raw.ref) == (hours(2), "early")


def test_payloads_are_replayed_oldest_first_by_source_and_since(store: Store) -> None:
    for at, source in ((3, "b"), (1, "a"), (2, "b")):
        store.put_raw(payload(str(at).encode(), at, source=source))
    assert [raw.body for raw in store.raw_payloads()] == [b"1", b"2", b"3"]
    assert [raw.body for raw in store.raw_payloads("b")] == [b"2", b"3"]
    assert [raw.body for raw in store.raw_payloads(since=hours(2))] == [b"2", b"3"]
    assert [raw.body for raw in store.raw_payloads("a", hours(2))] == []


def test_a_replay_may_write_while_it_reads(store: Store) -> None:
    for at in range(45):
        store.put_raw(payload(str(at).encode(), at))
    for raw in store.raw_payloads():
        append(store, Snapshot(KEY, raw.fetched_at, raw.fetched_at, probability=int(raw.body) / 100))
    assert len(store.history(KEY)) == 45


def test_seeing_the_same_bytes_again_needs_them_to_have_been_stored(store: Store) -> None:
    sha256 = store.put_raw(payload(at=0))
    store.sight("manifold", "https://example.org/q1", sha256, hours(1))
    with pytest.raises(StorageError, match="never stored"):
        store.sight("manifold", "https://example.org/q2", sha256, hours(1))


# series -------------------------------------------------------------------------------------------

FIRST = (measured("gpt", 10), measured("claude", 20), measured("claude", 5, "p80"))


def test_points_come_back_as_they_were_sorted_by_metric_date_and_key(store: Store) -> None:
    odd = measured(
        "late",
        7,
        at=date(2024, 1, 1),
        lower=None,
        upper=None,
        ci_level=None,
        is_sota=None,
        beyond_ceiling=True,
    )
    store.append(Batch(versions=(version(0, *FIRST, odd),)))
    found = store.measurements("horizons")
    assert [(m.metric, m.key) for m in found] == [
        ("p50", "late"), ("p50", "claude"), ("p50", "gpt"), ("p80", "claude"),
    ]  # fmt: skip
    assert set(found) == {*FIRST, odd}
    assert store.measurements("horizons", "p80") == [FIRST[2]]
    assert store.measurements("nothing") == []
    assert store.series_ids() == ["horizons"]


def test_a_new_version_revises_removes_and_adds_points(store: Store) -> None:
    store.append(Batch(versions=(version(0, *FIRST),)))
    second = version(10, measured("gpt", 11), FIRST[1], measured("new", 3), sha256="b" * 64)
    report = store.append(Batch(versions=(second,)))
    assert (report.measurements_new, report.measurements_revised) == (1, 2)
    assert [m.key for m in store.measurements("horizons")] == ["claude", "gpt", "new"]
    assert set(store.measurements("horizons", known_at=hours(9))) == set(FIRST)
    assert store.measurements("horizons", known_at=hours(-1)) == []


def test_what_changed_between_two_instants_is_named_by_its_weightiest_kind(store: Store) -> None:
    names = ("value", "interval", "date", "flag", "label", "gone", "same")
    store.append(Batch(versions=(version(0, *(measured(name, 10) for name in names)),)))
    changed = (
        measured("value", 11, is_sota=False),
        measured("interval", 10, upper=30.0, is_sota=False),
        measured("date", 10, at=date(2025, 2, 2), is_sota=False),
        measured("flag", 10, beyond_ceiling=True),
        measured("label", 10, label="another"),
        measured("same", 10),
        measured("come", 1),
    )
    store.append(Batch(versions=(version(5, *changed, sha256="b" * 64),)))
    found = {change.key: change for change in store.series_diff("horizons", hours(0), hours(5))}
    assert {name: change.kind for name, change in found.items()} == {
        "value": "revised",
        "interval": "interval",
        "date": "dated",
        "flag": "flagged",
        "label": "flagged",
        "gone": "removed",
        "come": "added",
    }
    assert list(found) == sorted(found)
    assert found["gone"].after is None
    assert found["value"].before == measured("value", 10)
    assert store.series_diff("horizons", hours(5), hours(9)) == []


def test_a_version_that_comes_back_is_a_new_entry(store: Store) -> None:
    told = [(0, "a"), (1, "a"), (2, "b"), (3, "a"), (4, "a"), (5, "a")]
    for at, name in told:
        value = 1.0 if name == "a" else 2.0
        store.append(Batch(versions=(version(at, measured("m", value), sha256=name * 64, days=value),)))
    assert [
        (v.payload_sha256[0], v.seen_first, v.seen_last, v.times_seen, dict(v.published))
        for v in store.versions("horizons")
    ] == [
        ("a", hours(0), hours(1), 2, {"days": 1.0}),
        ("b", hours(2), hours(2), 1, {"days": 2.0}),
        ("a", hours(3), hours(5), 3, {"days": 1.0}),
    ]
    assert [v.times_seen for v in store.versions("horizons", known_at=hours(4))] == [2, 1, 2]
    assert [m.value for m in store.measurements("horizons")] == [1.0]
    assert store.counts()["series"] == 1


def test_a_version_that_arrives_late_takes_its_place(store: Store) -> None:
    for at, value in ((0, 1.0), (4, 1.0), (2, 2.0)):
        store.append(Batch(versions=(version(at, measured("m", value), sha256=f"{value:064}"),)))
    assert [(v.seen_first, v.times_seen) for v in store.versions("horizons")] == [
        (hours(0), 1),
        (hours(2), 1),
        (hours(4), 1),
    ]
    assert [m.value for m in store.measurements("horizons", known_at=hours(3))] == [2.0]
    assert [m.value for m in store.measurements("horizons")] == [1.0]


def test_a_mended_reading_of_a_version_counts_at_the_same_look(store: Store) -> None:
    store.append(Batch(versions=(version(0, measured("m", 1)),)))
    report = store.append(Batch(versions=(version(0, measured("m", 2), measured("n", 1)),)))
    assert (report.measurements_new, report.measurements_revised) == (1, 1)
    assert [m.value for m in store.measurements("horizons")] == [2.0, 1.0]
    store.append(Batch(versions=(version(0, measured("m", 1)),)))
    assert [m.value for m in store.measurements("horizons")] == [2.0, 1.0]


def test_a_version_may_have_no_points_at_all(store: Store) -> None:
    store.append(Batch(versions=(version(0, measured("m", 1)), version(1, sha256="b" * 64))))
    assert store.measurements("horizons") == []
    assert len(store.versions("horizons")) == 2


# last words ---------------------------------------------------------------------------------------


def test_the_last_word_on_a_question_is_what_is_known_at_a_time(store: Store) -> None:
    told = (resolution(0), resolution(1), resolution(5, "unresolved"), resolution(9, "no"))
    reports = [store.append(Batch(resolutions=(word,))) for word in told]
    assert [report.resolutions_new for report in reports] == [1, 0, 1, 1]
    assert [r.state for r in store.resolutions()] == [OutcomeState.NO]
    assert [r.state for r in store.resolutions(known_at=hours(6))] == [OutcomeState.UNRESOLVED]
    assert [r.fetched_at for r in store.resolutions(known_at=hours(2))] == [hours(0)]
    assert store.resolutions(known_at=hours(-1)) == []


def test_a_resolution_comes_back_as_it_was(store: Store) -> None:
    whole = resolution(
        3, "fraction", value=0.37, text="MKT 37%", resolved_at=hours(-2), payload_sha256="d" * 64
    )
    store.append(Batch(resolutions=(whole,)))
    assert store.resolutions() == [whole]


def test_resolutions_are_kept_apart_by_source_platform_question_and_outcome(store: Store) -> None:
    words = [
        resolution(0),
        resolution(0, outcome="no"),
        resolution(0, external_id="q2"),
        resolution(0, source="forecastbench"),
    ]
    store.append(Batch(resolutions=tuple(reversed(words))))
    assert [(r.source, r.external_id, r.outcome) for r in store.resolutions()] == [
        ("forecastbench", "q1", "yes"),
        ("manifold", "q1", "no"),
        ("manifold", "q1", "yes"),
        ("manifold", "q2", "yes"),
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_the_last_word_does_not_depend_on_the_order_of_arrival(store: Store, order: tuple[int, ...]) -> None:
    told = (resolution(0), resolution(2, "unresolved"), resolution(4))
    for index in order:
        store.append(Batch(resolutions=(told[index],)))
    assert store.resolutions() == [told[2]]
    assert store.resolutions(known_at=hours(3)) == [told[1]]
    assert store.resolutions(known_at=hours(1)) == [told[0]]


def test_question_facts_are_kept_as_they_changed(store: Store) -> None:
    whole = info(
        0, url="https://example.org", question_type="binary", status="open", opens_at=hours(-9),
        closes_at=hours(9), resolves_by=hours(99), payload_sha256="e" * 64,
    )  # fmt: skip
    for fact in (whole, info(1, "Will it now?"), info(1, external_id="q0")):
        store.append(Batch(infos=(fact,)))
    assert [i.title for i in store.infos()] == ["Will it?", "Will it now?"]
    assert store.infos(known_at=hours(0)) == [whole]


# forecasts and scores -----------------------------------------------------------------------------


def forecast(probability: float = 0.3, hour: float = 0, **more: object) -> Forecast:
    told = {"question": "oversight-10x", "outcome": "yes", "forecaster": "ada", "kind": ForecasterKind.PERSON}
    return Forecast(**(told | more), made_at=hours(hour), probability=probability)  # type: ignore[arg-type]


def test_a_silent_change_of_the_criteria_is_a_change_of_the_facts(store: Store) -> None:
    first, second = info(0, criteria_sha256="b" * 64), info(1, criteria_sha256="c" * 64)
    store.append(Batch(infos=(first, replace(first, fetched_at=hours(0.5)), second)))
    assert store.infos() == [second]
    assert store.infos(known_at=hours(0.7)) == [first]


def test_a_question_is_as_well_as_it_was_last_seen_to_be_and_since_when(store: Store) -> None:
    store.append(Batch(healths=(health(0), health(1), health(3, "hidden", hidden_until=hours(9)))))
    store.append(Batch(healths=(health(2, external_id="q2"),)))
    hidden = health(3, "hidden", hidden_until=hours(9))
    assert store.question_health() == [
        Standing(hidden, hours(3)),
        Standing(health(2, external_id="q2"), hours(2)),
    ]
    assert store.question_health(known_at=hours(2.5))[0] == Standing(health(0), hours(1))
    assert store.question_health(known_at=hours(0.5)) == [Standing(health(0), hours(0.5))]
    assert store.question_health(known_at=hours(-1)) == []


def test_a_reason_that_changes_is_another_word_on_a_questions_health(store: Store) -> None:
    store.append(Batch(healths=(health(0, "changed_shape", message="prob is text"),)))
    store.append(Batch(healths=(health(1, "changed_shape", message="prob is missing"),)))
    store.append(Batch(healths=(health(2, "changed_shape", message="prob is missing"),)))
    (standing,) = store.question_health()
    assert (standing.health.message, standing.health.fetched_at, standing.seen_last) == (
        "prob is missing",
        hours(1),
        hours(2),
    )


def test_a_drift_is_recorded_once_with_the_bytes_that_first_showed_it(store: Store) -> None:
    first, again = drift(1), drift(4, payload_sha256="b" * 64)
    other = drift(2, detail="text")
    assert store.add_drifts([first, other]) == [first, other]
    assert store.add_drifts([again]) == []
    assert store.drifts() == [other, replace(first, seen_last=hours(4))]
    assert store.drifts(known_at=hours(1.5)) == [replace(first, seen_last=hours(1.5))]
    assert store.drifts("kalshi") == []


def test_bytes_seen_earlier_are_what_first_showed_a_drift(store: Store) -> None:
    store.add_drifts([drift(4)])
    assert store.add_drifts([drift(1, payload_sha256="b" * 64)]) == []
    assert store.drifts() == [replace(drift(1, payload_sha256="b" * 64), seen_last=hours(4))]


def test_forecasts_are_stored_once_and_known_from_when_they_were_made(store: Store) -> None:
    one, two = forecast(comment="a\nb", version="3"), forecast(0.4, 5, kind=ForecasterKind.MODEL)
    assert store.add_forecasts([two, one, one]) == 2
    assert store.add_forecasts([one]) == 0
    assert store.forecasts() == [one, two]
    assert store.forecasts(known_at=hours(4)) == [one]


def test_two_probabilities_for_one_forecast_are_refused_with_all_that_came_along(store: Store) -> None:
    store.add_forecasts([forecast(0.3)])
    with pytest.raises(StorageError, match="ada already gave"):
        store.add_forecasts([forecast(0.5, 9), forecast(0.31)])
    with pytest.raises(StorageError, match="another time"):
        store.add_forecasts([forecast(0.1, 7), forecast(0.2, 7)])
    assert store.forecasts() == [forecast(0.3)]


def test_a_score_of_the_same_version_is_stored_once(store: Store) -> None:
    def score(value: float, version: str = "1", hour: float = 0) -> Score:
        return Score(
            "oversight-10x", "yes", "ada", hours(hour), "brier", version, value, computed_at=hours(100)
        )

    assert store.add_scores([score(0.1), score(0.2), score(0.3, "2")]) == 2
    assert store.add_scores([score(0.1), score(0.4, hour=1)]) == 1
    assert store.scores() == [score(0.1), score(0.3, "2"), score(0.4, hour=1)]
    assert store.add_scores([]) == store.add_forecasts([]) == 0


# quarantine ---------------------------------------------------------------------------------------


def test_a_payload_stays_in_quarantine_until_it_is_released(store: Store) -> None:
    sha256 = store.put_raw(payload())
    entry = Quarantined(sha256, "manifold", "q1", "probability: not a number", "3", hours(1))
    store.quarantine(entry)
    store.quarantine(Quarantined(sha256, "manifold", "q1", "another word for it", "3", hours(2)))
    store.quarantine(Quarantined(sha256, "manifold", "q1", "still", "4", hours(3)))
    assert [q.reason for q in store.quarantined()] == [entry.reason, "still"]
    store.release(sha256, hours(5))
    assert store.quarantined() == []
    released = store.quarantined(unresolved_only=False)
    assert [(q.parser_version, q.resolved_at) for q in released] == [("3", hours(5)), ("4", hours(5))]
    store.release(sha256, hours(9))
    assert store.quarantined(unresolved_only=False) == released
    assert store.get_raw(sha256) == payload()


# the ledger ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "age", "claimed"),
    [
        (RunState.RUNNING, 0.99, False),
        (RunState.RUNNING, 1, True),
        (RunState.DONE, 99, False),
        (RunState.PARTIAL, 99, False),
        (RunState.SKIPPED, 99, False),
        (RunState.FAILED, 0, True),
    ],
)
def test_a_slot_can_be_claimed_again_only_after_failure_or_an_hour_of_silence(
    store: Store, state: RunState, age: float, claimed: bool
) -> None:
    assert store.begin_run("pull", hours(0), hours(1))
    store.end_run(Run("pull", hours(0), state, hours(1), None if state is RunState.RUNNING else hours(2)))
    assert store.begin_run("pull", hours(0), hours(1 + age)) is claimed


def test_a_claimed_slot_is_running_and_others_are_free(store: Store) -> None:
    assert store.begin_run("pull", hours(0), hours(0))
    assert not store.begin_run("pull", hours(0), hours(0))
    assert store.begin_run("pull", hours(1), hours(1))
    assert store.begin_run("digest", hours(0), hours(1))
    assert [(run.job, run.slot, run.state) for run in store.runs()] == [
        ("digest", hours(0), RunState.RUNNING),
        ("pull", hours(0), RunState.RUNNING),
        ("pull", hours(1), RunState.RUNNING),
    ]
    assert [run.slot for run in store.runs("pull", hours(1))] == [hours(1)]


def test_a_new_claim_forgets_how_the_last_attempt_ended(store: Store) -> None:
    failed = Run("pull", hours(0), RunState.FAILED, hours(0), hours(1), "disk full")
    store.end_run(failed)
    assert store.runs() == [failed]
    assert store.begin_run("pull", hours(0), hours(2))
    assert store.runs() == [Run("pull", hours(0), RunState.RUNNING, hours(2))]


def test_a_growing_gap_is_one_gap(store: Store) -> None:
    store.add_gap(Gap("kalshi", hours(0), hours(2), "timeout"))
    store.add_gap(Gap("kalshi", hours(0), hours(5), "http_503"))
    store.add_gap(Gap("kalshi", hours(0), hours(3), "timeout"))
    store.add_gap(Gap("kalshi", hours(9), hours(9), "timeout"))
    store.add_gap(Gap("manifold", hours(1), hours(2), "timeout"))
    assert store.gaps("kalshi") == [
        Gap("kalshi", hours(0), hours(5), "http_503"),
        Gap("kalshi", hours(9), hours(9), "timeout"),
    ]
    assert len(store.gaps()) == 3
    with pytest.raises(StorageError, match="ends before it starts"):
        store.add_gap(Gap("kalshi", hours(2), hours(1), "clock"))


def test_a_url_may_be_longer_than_any_index_entry(store: Store) -> None:
    long = "https://example.org/v0/market-probs?" + "&".join(f"ids={n:012d}" for n in range(1000))
    assert len(long) > 10_000
    sha256 = store.put_raw(payload(url=long))
    store.set_validator(Validator(long, '"1"', None, sha256))
    store.sight("manifold", long, sha256, hours(3))
    assert store.validator(long) == Validator(long, '"1"', None, sha256)
    assert [raw.fetched_at for raw in store.raw_payloads()] == [hours(0), hours(3)]
    assert [raw.url for raw in store.raw_payloads()] == [long, long]


def test_health_and_validators_are_replaced(store: Store) -> None:
    sick = SourceHealth("kalshi", "failed", hours(1), hours(0), None, 3, hours(2), "http_503")
    store.set_health(SourceHealth("manifold"))
    store.set_health(SourceHealth("kalshi", "ok"))
    store.set_health(sick)
    assert store.health() == {"kalshi": sick, "manifold": SourceHealth("manifold")}
    assert list(store.health()) == ["kalshi", "manifold"]
    store.set_validator(Validator("https://e.org", '"1"', None, "a" * 64))
    second = Validator("https://e.org", None, "Sun, 01 Mar 2026 12:00:00 GMT", "b" * 64)
    store.set_validator(second)
    assert store.validator("https://e.org") == second
    assert store.validator("https://e.org/other") is None


# together -----------------------------------------------------------------------------------------


def test_calls_together_see_each_other_and_last(store: Store) -> None:
    with store.together():
        append(store, poll(0))
        assert standing(store) == [(0, 0.5, 0, 0, 1)]
        with store.together():
            append(store, poll(1))
        assert store.begin_run("pull", hours(0), hours(0))
    assert standing(store) == [(0, 0.5, 0, 1, 2)]
    assert len(store.runs()) == 1


# checking -----------------------------------------------------------------------------------------


def test_a_store_in_good_order_has_nothing_to_report(store: Store) -> None:
    sha256 = store.put_raw(payload())
    store.append(Batch(snapshots=(poll(0, payload_sha256=sha256), poll(1, payload_sha256=sha256))))
    assert store.check() == []


def test_records_of_a_payload_that_was_never_stored_are_reported(store: Store) -> None:
    store.append(Batch(resolutions=(resolution(0, payload_sha256="f" * 64),)))
    (problem,) = store.check()
    assert "f" * 64 in problem
    assert "not stored" in problem


def test_counts_name_what_there_is(store: Store) -> None:
    store.put_raw(payload())
    append(store, *(poll(hour, stream=key(name)) for hour in range(3) for name in "ab"))
    found = store.counts()
    assert (found["stream"], found["observation"], found["payload"], found["sighting"]) == (2, 2, 1, 1)
    assert found["forecast"] == 0


def test_the_gap_is_36_hours_unless_said_otherwise(store: Store) -> None:
    assert store.max_gap == timedelta(hours=36)


def test_a_look_that_finds_the_same_bytes_extends_the_version(store: Store) -> None:
    """A 304 reads nothing anew, and yet the history says when we looked."""
    old, new = payload(b"old", 0), payload(b"new", 10)
    store.put_raw(old)
    store.append(Batch(versions=(version(0, measured("m", 1.0), sha256=old.sha256),)))
    store.sight(old.source, old.url, old.sha256, hours(8))
    store.put_raw(new)
    store.append(Batch(versions=(version(10, measured("m", 2.0), sha256=new.sha256),)))
    store.sight(new.source, new.url, new.sha256, hours(30))
    assert [v.seen_last for v in store.versions("horizons")] == [hours(8), hours(30)]
    assert [v.seen_last for v in store.versions("horizons", known_at=hours(5))] == [hours(5)]


def test_a_payload_is_found_by_the_first_digits_of_its_hash(store: Store) -> None:
    names = sorted(store.put_raw(payload(b"answer %d" % number, 0)) for number in range(60))
    for start in (names[0][:8], names[7][:2], "f", ""):
        assert store.raw_names(start, 100) == [name for name in names if name.startswith(start)]
    assert store.raw_names("", 3) == names[:3]
    assert store.raw_names("0123456789") == []
