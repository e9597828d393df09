"""Formulas by which a program reads a proxy's ratio at a quarter's end from stored series.

Only what is asked stands here; ``tracker.estimates.proxies`` computes it. Series are written ``series/metric``.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from questions.fields import ContradictionError
from questions.model import Record

SeriesRef = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*/[a-z][a-z0-9_]*$")]


class HalvingTime(Record):
    """``baseline_days`` divided by the halving time of a falling record over the last ``window_days``.

    The halving time is ln 2 over minus the slope of the least-squares line of ln(value) against days, through at
    least ``least`` entries; the interval is that of the slope under Student's t with n - 2 degrees of freedom.
    """

    kind: Literal["halving_time"]
    of: SeriesRef
    baseline_days: Annotated[float, Field(gt=0)]
    window_days: Annotated[int, Field(gt=0)]
    least: Annotated[int, Field(ge=3)]

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.of,)

    @property
    def says(self) -> str:
        """The formula in words, for whoever computes it by hand."""
        return (
            f"{self.baseline_days:g} times minus the least-squares slope of ln(value) a day, over the entries of "
            f"{self.of} dated in the {self.window_days} days up to the quarter end (at least {self.least}), divided "
            "by ln 2; its interval is that of the slope by Student's t with two degrees of freedom less than entries"
        )


class SlopeRatio(Record):
    """The slope over the last ``window_days`` divided by the slope from ``baseline_from`` to ``baseline_to``.

    Least-squares lines of the value against days, at least ``least`` entries each; the interval is Fieller's, of
    a ratio of two independent slopes.
    """

    kind: Literal["slope_ratio"]
    of: SeriesRef
    baseline_from: date
    baseline_to: date
    window_days: Annotated[int, Field(gt=0)]
    least: Annotated[int, Field(ge=3)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.baseline_from >= self.baseline_to:
            raise ContradictionError([(("baseline_to",), "the baseline must end after it starts")])
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.of,)

    @property
    def says(self) -> str:
        """The formula in words, for whoever computes it by hand."""
        return (
            f"the least-squares slope a day of the entries of {self.of} dated in the {self.window_days} days up to the "
            f"quarter end, divided by that of those dated {self.baseline_from} to {self.baseline_to} (at least "
            f"{self.least} each); its interval is Fieller's for two independent slopes, with Student's t of the "
            "fewer degrees of freedom; none while the two windows overlap"
        )


ReadingFormula = Annotated[HalvingTime | SlopeRatio, Field(discriminator="kind")]
