"""How old a series is: a feed given up never reads as no progress, and a change of its bytes is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from questions.records import Measurement
from questions.series import SeriesRecord
from storage.records import VersionInfo
from tracker.freshness import Freshness, Standing, byte_changes, freshness

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RECORD: Mapping[str, Any] = {
    "id": "example",
    "name": "An example",
    "view": "model",
    "source": "metr",
    "source_url": "https://example.org/",
    "direction": "up",
    "scale": "log",
    "metrics": [{"name": "p50", "unit": "minutes", "says": "how long"}],
    "licence": "facts",
    "credit": "Example",
    "cadence": "continuous",
    "max_age_days": 90,
}


def record(**changes: Any) -> SeriesRecord:
    return SeriesRecord.model_validate({**RECORD, **changes})


GIVEN_UP = record(cadence="frozen", max_age_days=None, frozen_since=date(2026, 5, 8))
STUDY = record(cadence="one_off", max_age_days=None)


def versions(*seen: tuple[str, str]) -> list[VersionInfo]:
    """Versions by the first letter of their hash and the day first seen, each seen until the next."""
    days = [datetime.fromisoformat(day).replace(tzinfo=UTC) for _, day in seen]
    ends = [*days[1:], NOW][: len(days)]
    return [
        VersionInfo("example", letter * 64, first, last, 2, {})
        for (letter, _), first, last in zip(seen, days, ends, strict=True)
    ]


def point(at: date) -> Measurement:
    return Measurement("example", f"system-{at}", "p50", at, 1.0, "minutes")


def fresh(
    of: SeriesRecord | None, seen: list[VersionInfo], newest: date = date(2026, 11, 1), now: datetime = NOW
) -> Freshness:
    return freshness(of, seen, [point(date(2020, 1, 1)), point(newest)], now)


def test_nothing_stored_is_unseen_and_an_unknown_series_has_no_record() -> None:
    assert fresh(record(), []).standing is Standing.UNSEEN
    assert fresh(None, versions(("a", "2026-11-01"))).standing is Standing.UNRECORDED


def test_a_series_that_changes_often_enough_is_current() -> None:
    found = fresh(record(), versions(("a", "2026-01-01"), ("b", "2026-11-10")))
    assert (found.standing, found.unchanged_days, found.newest_point_days) == (Standing.CURRENT, 10, 19)


@pytest.mark.parametrize(("days", "standing"), [(90, Standing.CURRENT), (91, Standing.FROZEN)])
def test_a_series_unchanged_for_longer_than_its_rule_is_frozen(days: int, standing: Standing) -> None:
    first = (NOW - timedelta(days=days)).isoformat()[:19]
    found = fresh(record(), versions(("a", first)))
    assert (found.standing, found.unchanged_days) == (standing, days)
    assert (str(days) in found.reason) == (standing is Standing.FROZEN)


@pytest.mark.parametrize(("days", "standing"), [(90, Standing.CURRENT), (91, Standing.FROZEN)])
def test_a_series_first_seen_today_is_frozen_when_its_newest_point_is_old(
    days: int, standing: Standing
) -> None:
    found = fresh(record(), versions(("a", "2026-11-20")), NOW.date() - timedelta(days=days))
    assert (found.standing, found.unchanged_days, found.newest_point_days) == (standing, 0, days)


def test_points_in_the_future_do_not_make_a_series_young() -> None:
    found = freshness(
        record(), versions(("a", "2026-11-20")), [point(date(2026, 1, 1)), point(date(2030, 1, 1))], NOW
    )
    assert (found.newest_point, found.standing) == (date(2026, 1, 1), Standing.FROZEN)


def test_a_feed_given_up_tells_its_age_from_the_publishers_last_change_however_lately_we_came() -> None:
    found = fresh(GIVEN_UP, versions(("a", "2026-11-20")))
    assert (found.standing, found.unchanged_days) == (Standing.FROZEN, 196)
    assert found.reason == "not updated by its publisher since 2026-05-08"


def test_before_the_publisher_gave_it_up_a_feed_was_current() -> None:
    found = fresh(GIVEN_UP, versions(("a", "2026-01-30")), date(2026, 2, 1), datetime(2026, 3, 1, tzinfo=UTC))
    assert (found.standing, found.unchanged_days) == (Standing.CURRENT, 30)


def test_a_change_of_a_feed_given_up_is_news_for_a_month() -> None:
    seen = versions(("a", "2026-05-08"), ("b", "2026-11-10"))
    assert fresh(GIVEN_UP, seen).standing is Standing.CHANGED
    later = fresh(GIVEN_UP, seen, now=NOW + timedelta(days=30))
    assert (later.standing, later.unchanged_days) == (Standing.FROZEN, 40)


def test_the_last_change_itself_is_no_news() -> None:
    seen = versions(("a", "2026-03-03"), ("b", "2026-05-08T12:00:00"))
    assert fresh(GIVEN_UP, seen, now=datetime(2026, 5, 20, tzinfo=UTC)).standing is Standing.FROZEN


def test_a_study_never_grows_old() -> None:
    assert fresh(STUDY, versions(("a", "2020-01-01")), date(2020, 1, 1)).standing is Standing.ONE_OFF


def test_changes_of_bytes_are_told_once_each_and_a_new_reading_is_none() -> None:
    seen = {
        "example": versions(
            ("a", "2026-01-01"), ("b", "2026-02-01"), ("b", "2026-03-01"), ("a", "2026-04-01")
        )
    }
    found = byte_changes(seen, datetime(2026, 1, 1, tzinfo=UTC), {"example": GIVEN_UP})
    assert [(c.at.date(), c.before_sha256[0], c.after_sha256[0], c.surprising) for c in found] == [
        (date(2026, 2, 1), "a", "b", True),
        (date(2026, 4, 1), "b", "a", True),
    ]


def test_only_changes_since_then_are_told_and_only_some_surprise() -> None:
    seen = {
        name: versions(("a", "2026-01-01"), ("b", "2026-02-01")) for name in ("z", "study", "mine", "new")
    }
    records = {
        "z": record(id="z"),
        "study": record(id="study", cadence="one_off", max_age_days=None),
        "mine": record(id="mine", cadence="one_off", max_age_days=None, source="curated"),
    }
    found = byte_changes(seen, datetime(2026, 2, 1, tzinfo=UTC), records)
    assert [(c.series, c.surprising) for c in found] == [
        ("mine", False), ("new", False), ("study", True), ("z", False),
    ]  # fmt: skip
    assert byte_changes(seen, datetime(2026, 2, 1, 0, 0, 1, tzinfo=UTC), records) == ()


@given(
    letters=st.lists(st.sampled_from("abc"), max_size=8),
    since=st.integers(min_value=0, max_value=10),
)
def test_as_many_changes_as_neighbours_that_differ(letters: list[str], since: int) -> None:
    seen = versions(*((letter, f"2026-01-{day + 1:02d}") for day, letter in enumerate(letters)))
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=since)
    differ = [n for n in range(1, len(letters)) if letters[n] != letters[n - 1] and n >= since]
    assert [
        (c.at - datetime(2026, 1, 1, tzinfo=UTC)).days for c in byte_changes({"x": seen}, start, {})
    ] == differ
