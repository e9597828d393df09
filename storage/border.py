"""What every record goes through before it is kept: times in UTC, text that any database can hold.

Most records convert their own times; the operational ones (runs, gaps, health, quarantine) are plain,
so it is done here for all of them. NUL characters and lone surrogates, which PostgreSQL and UTF-8 refuse,
become U+FFFD: a hostile title must not be able to make a whole batch fail. The raw payload keeps
the bytes as they came.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from questions.records import SeriesVersion
from questions.time import utc

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)
else:
    Record = TypeVar("Record")

_UNKEEPABLE = dict.fromkeys([0, *range(0xD800, 0xE000)], "\ufffd")


def keepable(text: str) -> str:
    """The same text with U+FFFD for every character that not every database can hold.

    >>> keepable("a\\x00b")
    'a\ufffdb'
    """
    if text.isascii() and "\x00" not in text:
        return text
    return text.translate(_UNKEEPABLE)


@cache
def _names(kind: type[DataclassInstance]) -> tuple[str, ...]:
    return tuple(item.name for item in dataclasses.fields(kind))


def admit(record: Record) -> Record:
    """The record as it will come back: aware times in UTC, text that can be kept.

    Raises ValueError naming the field when a time is naive.
    """
    changed: dict[str, object] = {}
    for name in _names(type(record)):
        value = getattr(record, name)
        if isinstance(value, datetime):
            moment = _aware(value, type(record).__name__, name)
            if moment.tzinfo is not value.tzinfo:
                changed[name] = moment
        elif type(value) is str:
            text = keepable(value)
            if text is not value and text != value:
                changed[name] = text
    return dataclasses.replace(record, **changed) if changed else record


def _aware(moment: datetime, record: str, name: str) -> datetime:
    try:
        return utc(moment)
    except ValueError as error:
        raise ValueError(f"{record}.{name}: {error}") from error


def moment(at: datetime | None) -> datetime | None:
    """An optional instant in UTC; raises ValueError for a naive one."""
    return None if at is None else utc(at)


def admit_version(version: SeriesVersion) -> SeriesVersion:
    """A series version with its points, as they will come back."""
    return dataclasses.replace(
        version,
        series=keepable(version.series),
        payload_sha256=keepable(version.payload_sha256),
        measurements=tuple(map(admit, version.measurements)),
    )
