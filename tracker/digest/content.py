"""What a digest says, before anyone decides how it looks: plain frozen records.

Titles are as platforms gave them and hostile until ``layout`` has cleaned them. Probabilities are 0..1, scores are
losses, times are UTC. A part with nothing to tell is empty, and ``Digest.missing`` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from questions.model import Area, Group
from questions.records import Measurement
from tracker.digest.period import Period
from tracker.estimates.voice import Voice
from tracker.mail.content import Taste
from tracker.report.content import Gap, ReliabilityReport
from tracker.report.plots import Outlook

CLOSING_DAYS = 14
CALIBRATION_LEAD_DAYS = 14
SAID_DAYS = 7  # what was said of a question so many days before its outcome


@dataclass(frozen=True)
class Subject:
    """A question a line is about: the title as its platform words it, its page there, the areas it bears on."""

    title: str
    platform: str
    external_id: str
    url: str = ""
    areas: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standing:
    """Where a voice puts an area: ``rank`` 1 is soonest of ``of``; ``before`` a week ago, None without a view then."""

    rank: int
    of: int
    tied: bool = False
    before: int | None = None


@dataclass(frozen=True)
class OrderRow:
    """One area across voices; a voice that is not in ``standings`` has no view on it."""

    area: str
    name: str
    group: Group
    standings: Mapping[str, Standing]
    gap: Gap | None = None


@dataclass(frozen=True)
class OrderChange:
    """How a voice's order changed in the week: ``passed`` (the area now before, the one it overtook), by name.

    ``first``: it had no view at all then. ``why``: what did it, from what is stored.
    """

    voice: str
    passed: tuple[tuple[str, str], ...] = ()
    entered: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    first: bool = False


@dataclass(frozen=True)
class Opinion:
    """The last probability that somebody gave, and from when it counts."""

    who: str
    probability: float
    at: datetime


@dataclass(frozen=True)
class Mover:
    """A question whose value moved by more than it usually does.

    ``previous`` as known a week ago, ``now`` as known at the digest's time; ``z``: the change in log-odds over the
    sd of its own weekly changes, ``weeks`` of which were known; ``n``: people behind the value, where told.
    ``opinions``: what people last forecast on it; ``raws``: SHA-256 of the payloads both values were read from.
    """

    subject: Subject
    source: str
    previous: float
    now: float
    z: float
    weeks: int
    n: int | None
    n_before: int | None
    why: tuple[str, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    raws: tuple[str, ...] = ()

    @property
    def change(self) -> float:
        return self.now - self.previous


@dataclass(frozen=True)
class Dispute:
    """A pair two voices order differently: P(``first`` before ``second``) by each, with an interval where there is
    one (``note`` says of what). ``action``: the question that counts most in it; ``ours``: our own question on it."""

    first: str
    second: str
    voice_a: str
    p_a: float
    range_a: tuple[float, float] | None
    voice_b: str
    p_b: float
    range_b: tuple[float, float] | None
    weeks: int | None
    action: Subject | None = None
    ours: str = ""


@dataclass(frozen=True)
class Closing:
    """A question that closes soon, with its newest value."""

    subject: Subject
    closes_at: datetime
    probability: float | None
    n: int | None
    raws: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """What one source or person said of a question ``SAID_DAYS`` before its outcome, and its losses."""

    who: str
    probability: float
    brier: float
    log_score: float


@dataclass(frozen=True)
class Resolved:
    """A question whose outcome was told in the week. ``value`` is 1 or 0 where it can be scored."""

    subject: Subject
    outcome: str
    at: datetime
    value: float | None
    said: tuple[Said, ...] = ()
    raws: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overdue:
    """A question that closed long ago and has no outcome."""

    subject: Subject
    closed_at: datetime
    days: int


@dataclass(frozen=True)
class PointChange:
    """One point of a series that is new or changed; ``before`` None: it is new, ``after`` None: it is gone."""

    label: str
    metric: str
    unit: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class TrendNews:
    """A series that was published anew in the week: ``points`` the weightiest first, of ``n_*`` in all.

    ``n_revised`` values changed; of ``n_interval`` only the interval, the date or a flag. ``doubling_*``: days, by
    the line through METR's record models. ``raws``: SHA-256 of the payloads of the version before and of the last.
    """

    series: str
    name: str
    url: str
    seen_at: datetime
    first: bool
    points: tuple[PointChange, ...]
    n_added: int
    n_revised: int
    n_interval: int
    n_removed: int
    n_points: int
    doubling_before: float | None = None
    doubling_after: float | None = None
    raws: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceState:
    """How a source is, from what it told: ``state`` ok, stale, or a word for what its questions say."""

    name: str
    last_heard: datetime | None
    state: str
    message: str = ""


@dataclass(frozen=True)
class DataHealth:
    """Whether the data can be trusted this week. ``never``: sources never asked. ``states``: questions by state.

    ``gaps``: (source, from, to, why) in the week; ``quarantined``: payloads that cannot be read, by source;
    ``drift``: differences from the expected shape first seen in the week, (source, where, what), of
    ``n_drift`` ever; ``frozen``: series that say nothing about progress now, or changed though given up, and why.
    """

    sources: tuple[SourceState, ...] = ()
    never: tuple[str, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    gaps: tuple[tuple[str, datetime, datetime, str], ...] = ()
    quarantined: Mapping[str, int] = field(default_factory=dict)
    drift: tuple[tuple[str, str, str], ...] = ()
    n_drift: int = 0
    frozen: tuple[tuple[str, str], ...] = ()

    @property
    def troubled(self) -> tuple[SourceState, ...]:
        return tuple(source for source in self.sources if source.state != "ok")


@dataclass(frozen=True)
class Charts:
    """What the pictures are drawn from; None or empty: not drawn."""

    voices: tuple[Voice, ...] = ()
    areas: tuple[Area, ...] = ()
    trend: tuple[Measurement, ...] = ()
    trend_before: tuple[Measurement, ...] = ()
    outlook: Outlook | None = None
    calibration: ReliabilityReport | None = None


@dataclass(frozen=True)
class Digest:
    """A week.

    ``voices``: name, areas covered, and the reason of one that covers none. ``movers`` are the first of
    ``n_movers``, out of ``n_followed`` questions with a standing value, ``n_before`` of which had one a week ago.
    ``missing[part]`` says why a part is empty; ``skipped``: weeks before it for which no digest was sent; ``chosen``:
    names of the areas it is about (all when none is named); ``taste``: what else its reader chose.
    """

    period: Period
    voices: tuple[tuple[str, int, str], ...]
    order: tuple[OrderRow, ...]
    changes: tuple[OrderChange, ...]
    movers: tuple[Mover, ...]
    n_movers: int
    n_followed: int
    n_before: int
    disputes: tuple[Dispute, ...]
    closing: tuple[Closing, ...]
    resolved: tuple[Resolved, ...]
    overdue: tuple[Overdue, ...]
    records: tuple[ReliabilityReport, ...]
    trends: tuple[TrendNews, ...]
    health: DataHealth
    charts: Charts
    missing: Mapping[str, str]
    skipped: tuple[str, ...] = ()
    program_version: str = ""
    chosen: tuple[str, ...] = ()
    taste: Taste = field(default_factory=Taste)

    @property
    def quiet(self) -> bool:
        """Nothing changed beyond its threshold, and there was something that could have: no order, no mover, no
        outcome, no series."""
        return self.n_before > 0 and not (self.changes or self.movers or self.resolved or self.trends)
