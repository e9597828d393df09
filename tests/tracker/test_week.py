"""A week as a record: the same bytes whenever it is made, read back as it was said, counted over weeks."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from storage.errors import IntegrityFailure
from storage.records import Grain, OrderingRecord, digest
from tests.report.voices import INTERNAL, MARKET, TREND
from tracker.estimates.ordering import compare
from tracker.estimates.voice import Evidence
from tracker.week import (
    WEEK,
    Week,
    canonical,
    difference,
    read_week,
    record_of,
    running,
    settings_name,
    week_end,
    week_ends,
)

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
SETTINGS = {"model": "base", "seed": 0, "weights": {"a": 1.0, "b": 2.0}}
SEEN = Evidence(
    "ai_control", "manifold:q", "manifold", "proxy", 0.5, 0.25, MONDAY, "a \u2028 label", "play_money", 0.2
)
VOICES = {"internal": INTERNAL, "market": replace(MARKET, evidence=(SEEN,), draws=None)}
COMPARED = [compare(INTERNAL, MARKET, seed=1, resamples=200)]


def record(at: datetime = MONDAY, made_at: datetime = MONDAY) -> OrderingRecord:
    return record_of(Grain.WEEK, at, VOICES, COMPARED, SETTINGS, made_at=made_at)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))
def test_a_week_ends_on_the_last_monday_at_midnight(moment: datetime) -> None:
    now = moment.replace(tzinfo=UTC)
    end = week_end(now)
    assert (end.weekday(), end.time().isoformat()) == (0, "00:00:00")
    assert end <= now < end + WEEK
    assert week_ends(now, 3) == (end - 2 * WEEK, end - WEEK, end)


def test_what_is_read_is_what_was_said_to_six_places() -> None:
    week = read_week(record())
    said, meant = week.voices["market"], VOICES["market"]
    assert said.ranking == meant.ranking
    assert said.evidence == meant.evidence
    assert said.scores == pytest.approx(meant.scores, abs=1e-6)
    assert week.comparisons[0].tau_b == pytest.approx(COMPARED[0].tau_b, abs=1e-6)
    assert week.disagreeing("internal", "market") == {(p.first, p.second) for p in COMPARED[0].disagreements}
    assert week.between("internal", "panel") is None
    assert week.stored
    again = record_of(Grain.WEEK, MONDAY, week.voices, week.comparisons, SETTINGS, made_at=MONDAY)
    assert again.sha256 == record().sha256


def test_a_record_depends_on_what_is_said_and_not_on_when_it_is_made() -> None:
    assert record().sha256 == record(made_at=MONDAY + WEEK).sha256
    other = record_of(
        Grain.WEEK, MONDAY, {"internal": INTERNAL, "trend": TREND}, [], SETTINGS, made_at=MONDAY
    )
    found = difference(record(), other)
    assert found is not None
    assert found.largest is None  # a voice that is not there is no number
    assert difference(record(), record()) is None


def test_settings_are_one_name_whatever_their_order_and_numbers_that_are_none_are_refused() -> None:
    assert settings_name(dict(reversed(SETTINGS.items()))) == settings_name(SETTINGS)
    assert settings_name(SETTINGS | {"seed": 1}) != settings_name(SETTINGS)
    assert canonical({"b": -0.0000001, "a": (1, 2.5)}) == '{"a":[1,2.5],"b":0.0}'
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": math.nan})


@pytest.mark.parametrize("payload", ["[]", "{", '{"voices":[{}],"comparisons":[]}', '{"voices":1}'])
def test_a_payload_of_another_shape_is_named_by_its_week(payload: str) -> None:
    odd = replace(record(), payload=payload, sha256=digest(payload.encode()))
    with pytest.raises(IntegrityFailure, match="2026-11-16T00:00:00Z"):
        read_week(odd)


def test_weeks_of_a_disagreement_are_counted_and_a_missing_week_breaks_the_run() -> None:
    assert COMPARED[0].disagreements

    def week(back: int, *, quiet: bool = False) -> Week:
        one = read_week(record(MONDAY - back * WEEK))
        return replace(one, comparisons=()) if quiet else one

    def last(weeks: list[Week]) -> set[int | None]:
        return {pair.weeks for one in running(weeks)[-1].comparisons for pair in one.disagreements}

    assert last([week(2), week(1), week(0)]) == {3}
    assert last([week(3), week(1), week(0)]) == {2}
    assert last([week(2), week(1, quiet=True), week(0)]) == {1}
    assert timedelta(days=7) == WEEK
