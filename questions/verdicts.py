"""What the resolver says of a question, and the states of a question's life."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, StrEnum

from questions.evidence import Datum, Judgement, Look, Mark, Word

Used = Datum | Word | Judgement | Look | Mark
Computed = tuple[tuple[str, float | str | None], ...]


class State(StrEnum):
    """Where a question stands in its life."""

    OPEN = "open"
    CLOSED = "closed"  # no event counts any more; everything needed so far is there
    AWAITING_DATA = "awaiting_data"  # closed, and something that decides is not there yet
    OVERDUE = "overdue"  # it should be settled and cannot be
    RESOLVED = "resolved"
    VOID = "void"
    DISPUTED = "disputed"  # those who decide disagree, or took their word back
    RE_RESOLVED = "re_resolved"  # settled before, to something else

    @property
    def final(self) -> bool:
        """Whether there is an outcome or an annulment."""
        return self in (State.RESOLVED, State.VOID, State.RE_RESOLVED)


class End(Enum):
    """How far the evidence goes."""

    DECIDED = "decided"
    VOID = "void"
    WAITING = "waiting"  # nothing is missing, it is only too early
    MISSING = "missing"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the evidence known at one instant comes to; ``at`` is the time of the event."""

    end: End
    reason: str
    outcome: str | None = None
    at: datetime | None = None
    value: float | None = None
    on: date | None = None
    used: tuple[Used, ...] = ()
    computed: Computed = ()

    @property
    def decided(self) -> bool:
        return self.end in (End.DECIDED, End.VOID)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a question comes to, and why. An annulled one has the outcome ``annul``, an open one none.

    ``value`` and ``on`` go with numeric and date outcomes; ``resolved_at`` is the time of the event, not of
    the look. ``used`` is the evidence that decided, ``computed`` what was made of it by ``rule``.
    """

    question: str
    state: State
    rule: str
    outcome: str | None
    value: float | None
    on: date | None
    resolved_at: datetime | None
    used: tuple[Used, ...]
    computed: Computed
    reason: str
