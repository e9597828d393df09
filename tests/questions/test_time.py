"""Instants survive every door unchanged; a time without an offset gets through none."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from questions.time import EPOCH, from_micros, iso, parse_utc, to_micros, utc

offsets = st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)
# A day from either end of the calendar, so that every offset still has an instant in UTC.
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=offsets)


@given(moments)
def test_micros_give_back_the_very_instant(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment
    assert from_micros(to_micros(moment)).tzinfo is UTC


@given(moments)
def test_text_gives_back_the_very_instant(moment: datetime) -> None:
    text = iso(moment)
    assert parse_utc(text) == moment
    assert text.endswith("Z")


@given(moments, moments)
def test_micros_keep_the_order_of_instants(a: datetime, b: datetime) -> None:
    assert (to_micros(a) < to_micros(b)) == (a < b)


@given(moments)
def test_micros_agree_with_exact_arithmetic_on_the_parts(moment: datetime) -> None:
    """Days, seconds and microseconds counted apart, as timestamp() would round them."""
    at = moment.astimezone(UTC)
    days = at.toordinal() - date(1970, 1, 1).toordinal()
    seconds = days * 86_400 + at.hour * 3600 + at.minute * 60 + at.second
    assert to_micros(moment) == seconds * 1_000_000 + at.microsecond


@given(st.datetimes())
def test_a_naive_datetime_is_refused_everywhere(moment: datetime) -> None:
    for door in (utc, iso, to_micros):
        with pytest.raises(ValueError, match="offset is needed"):
            door(moment)


def test_text_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="an offset is needed"):
        parse_utc("2027-01-04T00:00:00")


@given(st.dates())
def test_a_bare_date_is_its_midnight_in_utc(day: date) -> None:
    assert parse_utc(day.isoformat()) == datetime(day.year, day.month, day.day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2027-01-04T01:30:00+02:00", "2027-01-03T23:30:00Z"),
        (" 2027-01-04T00:00:00Z ", "2027-01-04T00:00:00Z"),
        ("2027-01-04 00:00:00.250000+00:00", "2027-01-04T00:00:00.250000Z"),
    ],
)
def test_offsets_are_taken_into_account(text: str, same: str) -> None:
    assert iso(parse_utc(text)) == same


@pytest.mark.parametrize(
    "text", ["", "2027-02-30", "2027-13-01T00:00:00Z", "tomorrow", "2027-01-04T25:00:00Z"]
)
def test_text_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|month|day|hour"):
        parse_utc(text)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    ],
)
def test_an_instant_outside_the_calendar_in_utc_is_refused(moment: datetime) -> None:
    with pytest.raises(ValueError, match="outside the calendar"):
        utc(moment)


def test_the_count_begins_with_1970() -> None:
    assert to_micros(EPOCH) == 0
    assert to_micros(EPOCH - timedelta(microseconds=1)) == -1
