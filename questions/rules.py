"""Rules a program can resolve by: what to read, how to count it, and which outcome it gives.

A rule repeats nothing that the record says elsewhere: number and comparator stand in ``threshold``, days in
``dates``, versions in ``measurement``, what happens when a source fails in ``resolution``. The battery
of an area (``[question.battery]``) is a rule of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from questions.fields import ANNUL, ContradictionError, Listed, Moment, Text
from questions.model import Key, Record

Statistic = Literal["max", "min", "last", "count"]
"""Of the points that count: the greatest, the least, the newest, or how many meet the threshold."""


class SeriesRule(Record):
    """The points of one stored series that count.

    Without ``metric`` or ``key`` every metric or key counts. ``reading`` is the figure compared: the value
    or an end of its published interval. Events before ``since`` do not count. ``looks`` readings of the
    source in a row must show the same before it counts (1: the first is enough).
    """

    series: Text
    metric: str = ""
    key: str = ""
    reading: Literal["value", "lower", "upper"] = "value"
    since: Moment | None = None
    looks: Annotated[int, Field(ge=1)] = 1


class SeriesThreshold(SeriesRule):
    """Yes when the statistic of the series meets the question's threshold by the deadline, else the default."""

    kind: Literal["series_threshold"]
    statistic: Statistic = "max"
    at_least: Annotated[int, Field(ge=1)] = 1
    yes: Text = "yes"


class Bucket(Record):
    """An outcome for values from ``lower`` (inclusive) to ``upper`` (exclusive); absent ends are open."""

    outcome: Text
    lower: float | None = None
    upper: float | None = None

    def holds(self, value: float) -> bool:
        return (self.lower is None or self.lower <= value) and (self.upper is None or value < self.upper)


class SeriesValue(SeriesRule):
    """The statistic itself at the deadline is the outcome; with ``buckets``, the one it falls into."""

    kind: Literal["series_value"]
    statistic: Literal["max", "min", "last"] = "last"
    outcome: Text = "value"
    buckets: Listed[Bucket] = ()

    @model_validator(mode="after")
    def _partition(self) -> Self:
        findings: list[tuple[tuple[str, ...], str]] = []
        for before, after in zip(self.buckets, self.buckets[1:], strict=False):
            if before.upper is None or before.upper != after.lower:
                findings.append((("buckets",), f"{after.outcome!r} must begin where {before.outcome!r} ends"))
        if self.buckets and (self.buckets[0].lower, self.buckets[-1].upper) != (None, None):
            findings.append(
                (
                    ("buckets",),
                    "the first needs no lower and the last no upper end, so that none falls through",
                )
            )
        if findings:
            raise ContradictionError(findings)
        return self


class FirstCrossing(SeriesRule):
    """The day of the first point that meets the question's threshold."""

    kind: Literal["first_crossing"]
    outcome: Text = "date"


class SeriesOrder(Record):
    """Which of two series first has a point that meets the threshold; ``a`` and ``b`` are the ordering's arms."""

    kind: Literal["series_order"]
    a: SeriesRule
    b: SeriesRule


class PlatformOutcome(Record):
    """What another platform resolves its own question to, in our outcomes.

    ``outcomes`` maps the platform's states (``yes``, ``no``, ``ambiguous``, ``void``) or the text of its
    options to ours or ``annul``; what it does not name is annulled. A fraction is annulled, or goes to the
    side with more than half of it (``majority``; exactly half is annulled).
    """

    kind: Literal["platform_outcome"]
    platform: Key
    external_id: Text
    outcome: Text = "yes"
    outcomes: dict[str, str]
    fraction: Literal["annul", "majority"] = "annul"
    value_outcome: str = ""


class Judged(Record):
    """Two people decide independently, each with at least so many citations; when they differ, a third."""

    kind: Literal["judged"]
    citations: Annotated[int, Field(ge=1)] = 1
    minutes: Annotated[int, Field(ge=1)] | None = None


Rule = Annotated[
    SeriesThreshold | SeriesValue | FirstCrossing | SeriesOrder | PlatformOutcome | Judged,
    Field(discriminator="kind"),
]


def outcomes_named(rule: Rule) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every outcome a rule can give, with the key that names it; ``annul`` is left out."""
    if isinstance(rule, SeriesThreshold):
        yield ("yes",), rule.yes
    elif isinstance(rule, FirstCrossing):
        yield ("outcome",), rule.outcome
    elif isinstance(rule, SeriesValue):
        named = [bucket.outcome for bucket in rule.buckets] or [rule.outcome]
        yield from ((("buckets" if rule.buckets else "outcome",), outcome) for outcome in named)
    elif isinstance(rule, PlatformOutcome):
        given = [*rule.outcomes.values(), *([rule.value_outcome] if rule.value_outcome else [])]
        yield from ((("outcomes",), outcome) for outcome in given if outcome != ANNUL)
