"""Areas, factors, our questions and their links to other people's questions.

Catalogue records are pydantic models: unknown keys are refused, types are strict, all problems come
at once. They are frozen; a change is a new version in the TOML file.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from questions.time import utc

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
QuestionId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=120)]
Threshold = Literal[2, 3, 10, 30]


class Group(StrEnum):
    SAFETY = "safety"
    CAPABILITIES = "capabilities"


class View(StrEnum):
    """Whose eyes: four views that disagree by design and are never averaged into one number."""

    MODEL = "model"
    RESEARCHER = "researcher"
    LAB = "lab"
    ECONOMY = "economy"


class SpeedupKind(StrEnum):
    """What is multiplied. Kinds never share a series."""

    LABOUR_INPUT = "labour_input"
    PROGRESS = "progress"
    PERCEIVED = "perceived"
    THROUGHPUT = "throughput"
    CAPABILITY_INDICATOR = "capability_indicator"
    NONE = "none"


class QuestionKind(StrEnum):
    BINARY = "binary"
    DATE = "date"
    NUMERIC = "numeric"
    MULTIPLE_CHOICE = "multiple_choice"
    ORDERING = "ordering"
    CONDITIONAL = "conditional"


class Relation(StrEnum):
    """How an external question bears on an area.

    ``same`` asks our question; ``component`` asks part of it; ``proxy`` asks for something that tends to
    move with it; ``context`` is watched to learn how well its platform is calibrated and is no
    evidence about any area.
    """

    SAME = "same"
    COMPONENT = "component"
    PROXY = "proxy"
    CONTEXT = "context"


class Record(BaseModel):
    """Base of every catalogue record: strict, frozen, no unknown keys, no NaN, inputs not echoed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Area(Record):
    key: Key
    name: str
    short: Annotated[str, Field(max_length=10)]
    group: Annotated[Group, Field(strict=False)]
    scope: str


class FactorTable(Record):
    """The essay's weighted-factor model: ``scores[factor][area]`` on 1..10, 10 = more amenable.

    Source: Jan Wehner, "Will we get automated alignment research before an AI Takeoff?", 2026-01-22.
    """

    version: str
    source_url: str
    weights: dict[str, float]
    scores: dict[str, dict[str, float]]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if set(self.weights) != set(self.scores):
            raise ValueError(
                f"weights and scores name different factors: {set(self.weights) ^ set(self.scores)}"
            )
        if any(weight < 0 for weight in self.weights.values()) or not sum(self.weights.values()) > 0:
            raise ValueError("weights must not be negative and not all zero")
        areas = {frozenset(row) for row in self.scores.values()}
        if len(areas) != 1:
            raise ValueError("every factor needs a score for every area")
        for factor, row in self.scores.items():
            for area, score in row.items():
                if not 1.0 <= score <= 10.0:
                    raise ValueError(f"score {factor}/{area} is {score}, outside 1..10")
        return self

    @property
    def factors(self) -> tuple[str, ...]:
        return tuple(self.scores)

    @property
    def areas(self) -> tuple[str, ...]:
        return tuple(next(iter(self.scores.values())))


class Link(Record):
    """A question on another platform and how it bears on our areas.

    ``polarity`` +1: Yes (or earlier, or more) there means faster speedup here; -1 the reverse.
    ``by`` is the deadline asked about (used to compare questions with different horizons);
    ``weight`` (0..1] says how strongly the mapping is believed. ``label`` is our own short wording:
    the platform's title comes at run time.
    """

    platform: Key
    external_id: Annotated[str, Field(min_length=1, max_length=120)]
    outcome: str = "yes"
    url: Annotated[str, Field(pattern=r"^https://")]
    label: str
    relation: Annotated[Relation, Field(strict=False)]
    polarity: Literal[1, -1] = 1
    view: Annotated[View, Field(strict=False)]
    areas: tuple[str, ...] = ()
    question: str | None = None
    by: datetime | None = None
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    checked: str = ""
    note: str = ""

    @field_validator("areas", mode="before")
    @classmethod
    def _tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("by")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        return None if value is None else utc(value)

    @property
    def key(self) -> tuple[str, str, str]:
        """(platform, external_id, outcome): unique in the catalogue."""
        return (self.platform, self.external_id, self.outcome)
