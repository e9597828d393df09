"""What a series is: one record for each, so that no number is shown without its view, unit and terms.

The measurements live in the store; here stands what the publisher's file does not say of itself. The
register (``Tracked``) says for each system and figure in the debate where we follow it, or why not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from questions.model import Key, Record, View
from questions.question import ContradictionError, Listed, Text, Url


class Direction(StrEnum):
    """Which way a series goes when research speeds up."""

    UP = "up"
    DOWN = "down"
    NONE = "none"  # it has no good end: a list of releases, a sign that may go either way


class Scale(StrEnum):
    """On which scale steps are alike: where a trend would be a straight line, if it were one."""

    LOG = "log"  # positive, grows by factors
    LOGIT = "logit"  # a share, bounded on both sides
    LINEAR = "linear"


class Cadence(StrEnum):
    """How its publisher changes it."""

    CONTINUOUS = "continuous"  # recomputed or added to all the time
    IRREGULAR = "irregular"  # new points now and then
    ONE_OFF = "one_off"  # a study: no change is expected
    FROZEN = "frozen"  # given up by its publisher: any change is news


class Metric(Record):
    """One measured quantity of a series. ``lowest`` and ``highest`` are possible values, both included.

    Above ``ceiling`` the instrument cannot tell values apart: such points are kept and flagged.
    """

    name: Key
    unit: Text
    says: Text
    lowest: float | None = None
    highest: float | None = None
    ceiling: float | None = None

    def allows(self, value: float) -> bool:
        """Whether a value is possible at all."""
        above = self.lowest is None or value >= self.lowest
        return above and (self.highest is None or value <= self.highest)


class SeriesRecord(Record):
    """One series, or a family of them: every series whose id begins with ``id`` and ``_``.

    ``source`` is the adapter that delivers it, or ``curated`` for a table kept in ``curated/``.
    ``max_age_days`` is the data age rule: a series whose bytes did not change for longer, or whose newest
    point is older, is frozen, which says nothing about progress. ``frozen_since`` is the day of the
    publisher's last change, where the publisher gave the series up. ``areas`` are those it informs; none
    means AI research as a whole, or no area at all.
    """

    id: Key
    family: bool = False
    name: Text
    view: Annotated[View, Field(strict=False)]
    source: Key
    source_url: Url
    direction: Annotated[Direction, Field(strict=False)]
    scale: Annotated[Scale, Field(strict=False)]
    metrics: Annotated[Listed[Metric], Field(min_length=1)]
    licence: Text
    credit: Text
    cadence: Annotated[Cadence, Field(strict=False)]
    max_age_days: Annotated[int | None, Field(ge=1)] = None
    frozen_since: date | None = None
    areas: Listed[Key] = ()
    note: str = ""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        findings: list[tuple[tuple[str, ...], str]] = []
        names = [metric.name for metric in self.metrics]
        if len(set(names)) != len(names):
            findings.append((("metrics",), "two metrics have one name"))
        if (self.cadence is Cadence.FROZEN) != (self.frozen_since is not None):
            findings.append((("frozen_since",), "goes with cadence frozen, and with no other"))
        if (self.cadence in (Cadence.ONE_OFF, Cadence.FROZEN)) != (self.max_age_days is None):
            findings.append((("max_age_days",), "is needed, except for cadence one_off and frozen"))
        if not self.source_url:
            findings.append((("source_url",), "must not be empty"))
        if findings:
            raise ContradictionError(findings)
        return self

    def metric(self, name: str) -> Metric | None:
        """The metric of this name, if the series has it."""
        return next((metric for metric in self.metrics if metric.name == name), None)


def _of_battery(series: str) -> SeriesRecord:
    """What a proxy's ratios at quarter ends are, or a panel's answers: our own series, one for each."""
    ratio = Metric(name="ratio", unit="x", says="the proxy's pace, or working time saved, over its baseline")
    return SeriesRecord.model_construct(
        id=series,
        family=False,
        name=f"Battery of {series.partition('.')[0]}: {series.partition('.')[2]}",
        view=View.RESEARCHER,
        source="battery",
        source_url="",
        direction=Direction.UP,
        scale=Scale.LOG,
        metrics=(ratio,),
        licence="our own computation",
        credit="the publishers of the series behind it, or the judges named in its payload",
        cadence=Cadence.IRREGULAR,
        max_age_days=_BATTERY_AGE_DAYS,
        frozen_since=None,
        areas=(series.partition(".")[0],),
        note="Read at quarter ends; `speedup questions proxies` shows from what.",
    )


class Tracked(Record):
    """A system, figure or claim of the debate, who brought it up, and where it is followed.

    ``links`` are questions on other platforms, as ``platform/external_id``. Without series, questions and
    links there must be a ``reason``; with them it may say what is still missing.
    """

    name: Text
    origin: Text
    claim: Text
    series: Listed[str] = ()
    questions: Listed[str] = ()
    links: Listed[str] = ()
    reason: str = ""

    @model_validator(mode="after")
    def _followed_or_not(self) -> Self:
        if not (self.series or self.questions or self.links or self.reason.strip()):
            raise ContradictionError([(("reason",), "is followed nowhere: say why not")])
        return self


_BATTERY = re.compile(r"[a-z][a-z0-9_]*\.([A-Z][0-9]|panel)")
_BATTERY_AGE_DAYS = 200  # two quarters and the time it takes to read one


def record_of(series: str, records: Mapping[str, SeriesRecord]) -> SeriesRecord | None:
    """The record of a stored series: its own, a battery's, or that of the family with the longest name."""
    if series in records:
        return records[series]
    if _BATTERY.fullmatch(series):
        return _of_battery(series)
    families = [one for one in records.values() if one.family and series.startswith(f"{one.id}_")]
    return max(families, key=lambda one: len(one.id), default=None)
