"""What the records of questions are built from: field types, and the words for "cannot be decided"."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from questions.model import Record
from questions.time import utc

ANNUL = "annul"
"""What a question comes to when it cannot be decided: stored, never scored, never an outcome's name."""

PENDING = "pending"
"""What a test world may expect besides outcomes: that nothing is decided yet when it is asked."""

_Item = TypeVar("_Item")


def _https(url: str) -> str:
    if url and not url.startswith("https://"):
        raise ValueError(f"{url!r} must start with https://")
    return url


Listed = Annotated[tuple[_Item, ...], Field(strict=False)]  # a TOML array is a list
Moment = Annotated[datetime, AfterValidator(utc)]
Text = Annotated[str, Field(min_length=1)]
Url = Annotated[str, AfterValidator(_https)]


_BARE = ("fraction", "probability", "multiple", "points of", "calendar", "agents /")
"""Units that are no noun to follow a number."""


def amount(value: float, unit: str) -> str:
    """A number with its unit, as a sentence has it: 3x, 45%, 360 minutes, 0.6 (fraction)."""
    if unit in ("", "x", "%"):
        return f"{value:g}{unit}"
    return f"{value:g} ({unit})" if unit.startswith(_BARE) else f"{value:g} {unit}"


class ContradictionError(ValueError):
    """Keys of one record that cannot all be true: ``findings`` are pairs of key path and message."""

    def __init__(self, findings: list[tuple[tuple[str, ...], str]]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f"{'.'.join(path)}: {message}" for path, message in findings))


class Policy(Record):
    """What the resolver does in one case (``then``), and in words what that means here (``note``).

    In a file a bare string stands for ``then`` without a note.
    """

    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"then": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        whole = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [whole["properties"]["then"], whole]}


class Gone(StrEnum):
    """The source has disappeared."""

    ANNUL = "annul"
    DEFAULT_OUTCOME = "default_outcome"
    LAST_SNAPSHOT = "last_snapshot"  # decide on what it had said before
    DROP = "drop"  # of a battery: the proxy counts no more
    JUDGES = "judges"  # people decide


class Silent(StrEnum):
    """The source has said nothing that decides by the last day a report counts."""

    ANNUL = "annul"
    DEFAULT_OUTCOME = "default_outcome"
    LAST_VALUE = "last_value"  # the newest value it gave before stands
    WAIT = "wait"  # overdue until it speaks; its first word decides
    DROP = "drop"  # of a battery: the proxy is not live
    JUDGES = "judges"


class BoundOnly(StrEnum):
    """The source says "at least X", "at most X", or flags the value as beyond what it can resolve."""

    IF_DECISIVE = "counts_if_decisive"  # counts when whatever lies behind the bound would count
    NOT_COUNTED = "not_counted"
    AS_VALUE = "counts_as_value"
    ANNUL = "annul"  # when the value behind the bound could have changed the outcome


class MethodChange(StrEnum):
    """The source changes how it measures under the same version."""

    ANNUL = "annul"
    ONLY_BEFORE = "only_before"  # what it publishes from then on does not count
    ACCEPT = "accept"
    DROP = "drop"  # of a battery: the proxy counts no more from then on


class Revised(StrEnum):
    """Which account of a figure counts when its source corrects it."""

    LATEST = "latest"  # as known on the last day a report counts
    FIRST_PUBLISHED = "first_published"
    KNOWN_AT_CLOSE = "known_at_close"


class IfGone(Policy):
    then: Annotated[Gone, Field(strict=False)]


class IfSilent(Policy):
    then: Annotated[Silent, Field(strict=False)]


class IfBoundOnly(Policy):
    then: Annotated[BoundOnly, Field(strict=False)]


class IfMethodChanges(Policy):
    then: Annotated[MethodChange, Field(strict=False)]


class IfRevised(Policy):
    then: Annotated[Revised, Field(strict=False)]
