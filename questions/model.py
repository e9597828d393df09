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
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


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


class Transform(StrEnum):
    """How a price becomes a probability, which depends on what the market pays.

    ``identity``: 1 if it happens and 0 if not, so the price is read as the probability.
    ``half_if_neither``: half to each side when neither comes about, so the price is P(yes) + P(neither) / 2.
    ``share``: it may settle at a fraction, so the price is the fraction expected. ``void``: annulled by its
    own rules, so the price foretells nothing.
    """

    IDENTITY = "identity"
    HALF_IF_NEITHER = "half_if_neither"
    SHARE = "share"
    VOID = "void"


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
    the platform's title comes at run time. ``transform`` is how its price is read where that is not as its
    platform's prices are (``Platform``).

    Links with the same ``ladder`` ask one thing at several deadlines (``by``) or thresholds (``rung``, where
    more is harder): a harder rung cannot be the likelier one. Links with the same ``twin`` ask the same thing
    on different platforms.

    ``bucket``: the link is one answer of several on its ladder that exclude each other. ``dated``: between the
    deadline before it and ``by``; ``later``: after all of them; ``never``.
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
    transform: Annotated[Transform | None, Field(strict=False)] = None
    ladder: Key | None = None
    rung: float | None = None
    bucket: Literal["dated", "later", "never"] | None = None
    twin: Key | None = None
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

    @model_validator(mode="after")
    def _placed(self) -> Self:
        if self.bucket is not None and (
            self.ladder is None or (self.bucket == "dated") != (self.by is not None)
        ):
            raise ValueError("a bucket needs its ladder, and the deadline (by) exactly when it is dated")
        if self.ladder is not None and self.rung is None and self.by is None and self.bucket is None:
            raise ValueError(
                "a link on a ladder needs the deadline (by) or the threshold (rung) it asks about"
            )
        if self.ladder is None and self.rung is not None:
            raise ValueError("rung is a place on a ladder: name the ladder too")
        return self

    @property
    def key(self) -> tuple[str, str, str]:
        """(platform, external_id, outcome): unique in the catalogue."""
        return (self.platform, self.external_id, self.outcome)


class Platform(Record):
    """What a price on a platform is made of, and how it is read where a link does not say otherwise.

    ``money``: ``none`` (people's forecasts, no market), ``play`` or ``real``.
    """

    key: Key
    money: Literal["none", "play", "real"]
    transform: Annotated[Transform, Field(strict=False)]
    note: str = ""


class Seen(Record):
    """What stood on a platform when a person read the question and found that the link is right.

    Several may be kept of one question: the one with the latest ``at`` is in force. ``source`` delivered it.
    Digests are SHA-256 in hex: of the title, and of the resolution criteria (empty: none came). ``title`` is
    there to be read by people; ``outcomes`` are the streams it had.
    """

    platform: Key
    external_id: Annotated[str, Field(min_length=1, max_length=120)]
    source: Key
    at: datetime
    title_sha256: Digest
    title: str = ""
    criteria_sha256: Digest | Literal[""] = ""
    question_type: str = ""
    closes_at: datetime | None = None
    outcomes: tuple[str, ...] = ()

    @field_validator("outcomes", mode="before")
    @classmethod
    def _tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("at", "closes_at")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        return None if value is None else utc(value)

    @property
    def key(self) -> tuple[str, str, datetime]:
        """(platform, external_id, at): unique in the catalogue."""
        return (self.platform, self.external_id, self.at)
