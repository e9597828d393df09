"""The records that travel between sources, storage, estimates and scoring.

All are frozen and check themselves: a probability outside 0..1, a NaN or a naive time cannot be made.
Times are converted to UTC on the way in. "When the source says so" (``as_of``) and "when we saw it"
(``fetched_at``) are different facts and both are always there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import islice
from operator import lt

from questions.time import from_micros, utc


class Quantity(StrEnum):
    """What kind of number a community value is. Kinds never share a stream or a pool unsaid."""

    FORECASTER_MEDIAN = "forecaster_median"  # Metaculus: recency-weighted median of people
    PLAY_MONEY_PRICE = "play_money_price"  # Manifold: automated market maker, mana
    REAL_MONEY_MID = "real_money_mid"  # Polymarket, Kalshi: middle of bid and ask
    REAL_MONEY_LAST = "real_money_last"  # Polymarket, Kalshi: last trade
    CROWD_DAILY = "crowd_daily"  # ForecastBench: the platform's value at the end of a day
    PANEL_MEDIAN = "panel_median"  # surveys, panels
    TEAM_MEAN = "team_mean"  # Fatebook: mean of a team's latest forecasts


class ValueState(StrEnum):
    """Why a community value is, or is not, there. Absence has four different meanings."""

    OK = "ok"
    NO_FORECAST = "no_forecast"  # nobody has forecast yet
    HIDDEN = "hidden"  # hidden until a reveal time
    NOT_PERMITTED = "not_permitted"  # our token or tier may not see it
    NO_TRADE = "no_trade"  # a market without a price yet
    GONE = "gone"  # the question was deleted or moved


class QuestionState(StrEnum):
    """How a question on a platform is doing, as far as we can see: permission and health in one word."""

    OK = "ok"
    NO_FORECAST = "no_forecast"  # nobody has forecast yet
    HIDDEN = "hidden"  # hidden until a reveal time
    NOT_PERMITTED = "not_permitted"  # our token or tier may not see it
    NO_TRADE = "no_trade"  # a market without a price yet
    GONE = "gone"  # deleted or moved
    CHANGED_SHAPE = "changed_shape"  # the answer came and cannot be read any more
    STALE = "stale"  # nothing was heard of it for longer than it should take


class OutcomeState(StrEnum):
    """What a platform says became of a question. Only yes and no are scored as such."""

    YES = "yes"
    NO = "no"
    FRACTION = "fraction"  # pays a fraction (MKT, 50/50, scalar)
    VALUE = "value"  # numeric, date or option outcome, see ``text``
    AMBIGUOUS = "ambiguous"  # reality unclear
    VOID = "void"  # annulled, cancelled
    UNRESOLVED = "unresolved"  # a resolution was taken back


class ForecasterKind(StrEnum):
    """Who made a forecast."""

    MARKET = "market"
    MODEL = "model"
    TREND = "trend"
    PERSON = "person"
    PANEL = "panel"


def _finite(name: str, number: float | None) -> None:
    if number is not None and not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number!r}")


def _probability(name: str, number: float | None) -> None:
    _finite(name, number)
    if number is not None and not 0.0 <= number <= 1.0:
        raise ValueError(f"{name} must lie in 0..1, got {number!r}")


def _not_negative(name: str, number: float | None) -> None:
    _finite(name, number)
    if number is not None and number < 0:
        raise ValueError(f"{name} must not be negative, got {number!r}")


def _in_utc(record: object, *names: str) -> None:
    for name in names:
        moment = getattr(record, name)
        if moment is not None and moment.tzinfo is not UTC:  # the usual case is to be quick
            object.__setattr__(record, name, utc(moment))


@dataclass(frozen=True)
class Distribution:
    """A cumulative distribution on a grid: ``cdf[i]`` = P(X <= ``x[i]``).

    ``x`` strictly rises (dates as Unix seconds with ``unit="date"``); ``cdf`` never falls. Mass below
    ``x[0]`` is ``cdf[0]``, mass above the last point is ``1 - cdf[-1]`` (beyond the range, or never).
    """

    x: tuple[float, ...]
    cdf: tuple[float, ...]
    unit: str = ""

    def __post_init__(self) -> None:
        if len(self.x) != len(self.cdf) or len(self.x) < 2:
            raise ValueError("a distribution needs two or more points, as many x as cdf values")
        for number in self.x:
            _finite("x", number)
        for number in self.cdf:
            _probability("cdf", number)
        if any(b <= a for a, b in zip(self.x, self.x[1:], strict=False)):
            raise ValueError("x must strictly rise")
        if any(b < a for a, b in zip(self.cdf, self.cdf[1:], strict=False)):
            raise ValueError("cdf must not fall")


@dataclass(frozen=True, order=True)
class StreamKey:
    """Which series a community value belongs to.

    ``source`` delivered it (an adapter), ``platform`` is where the crowd forecast (they differ for
    aggregated feeds), ``external_id`` and ``outcome`` name the question and the option there.
    """

    source: str
    platform: str
    external_id: str
    outcome: str
    quantity: Quantity

    def __post_init__(self) -> None:
        for name in ("source", "platform", "external_id", "outcome"):
            if not getattr(self, name):
                raise ValueError(f"{name} must not be empty")
        object.__setattr__(self, "quantity", Quantity(self.quantity))


@dataclass(frozen=True)
class Snapshot:
    """A community value: what a platform said at ``as_of``, seen by us at ``fetched_at``.

    Exactly when ``state`` is ``ok`` there is a value: ``probability`` (0..1), or ``value`` (real units)
    and/or ``distribution`` for numeric and date questions. ``timed_by_source`` tells whether ``as_of``
    is the platform's own time stamp; if not, it equals ``fetched_at``. Market quality travels along:
    ``forecasters`` (people), ``volume`` and ``liquidity`` (the platform's money), ``spread`` (0..1),
    ``last_trade_at`` (where the platform tells it; a point rebuilt from trades is a trade itself).
    """

    key: StreamKey
    as_of: datetime
    fetched_at: datetime
    state: ValueState = ValueState.OK
    probability: float | None = None
    value: float | None = None
    distribution: Distribution | None = None
    timed_by_source: bool = False
    forecasters: int | None = None
    volume: float | None = None
    liquidity: float | None = None
    spread: float | None = None
    hidden_until: datetime | None = None
    payload_sha256: str | None = None
    last_trade_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", ValueState(self.state))
        _in_utc(self, "as_of", "fetched_at", "hidden_until", "last_trade_at")
        _probability("probability", self.probability)
        _finite("value", self.value)
        for name in ("forecasters", "volume", "liquidity", "spread"):
            _not_negative(name, getattr(self, name))
        has_value = not (self.probability is None and self.value is None and self.distribution is None)
        if has_value != (self.state is ValueState.OK):
            raise ValueError(
                f"state {self.state.value} and a value {'both' if has_value else 'neither'} given"
            )
        if not self.timed_by_source and self.as_of != self.fetched_at:
            raise ValueError("as_of must equal fetched_at unless the source gives the time")


@dataclass(frozen=True)
class History:
    """What one fetch told of a stream's past: probabilities at the source's own times, in columns.

    Means what ``snapshots`` gives, and takes a small part of the time and memory that a million of them take.
    ``as_of`` in microseconds since 1970-01-01T00:00Z, strictly rising; one ``probability`` for each.
    """

    key: StreamKey
    fetched_at: datetime
    as_of: tuple[int, ...]
    probability: tuple[float, ...]
    payload_sha256: str | None = None

    def __post_init__(self) -> None:
        _in_utc(self, "fetched_at")
        if not self.as_of or len(self.as_of) != len(self.probability):
            raise ValueError("a history needs one or more points, as many times as probabilities")
        if not all(map(lt, self.as_of, islice(self.as_of, 1, None))):
            raise ValueError("the times of a history must strictly rise")
        try:
            from_micros(self.as_of[0]), from_micros(self.as_of[-1])
        except OverflowError:
            raise ValueError("a time of a history lies outside the calendar") from None
        if not all(0.0 <= number <= 1.0 for number in self.probability):
            raise ValueError("the probabilities of a history must lie in 0..1")

    def __len__(self) -> int:
        return len(self.as_of)

    def snapshots(self) -> Iterator[Snapshot]:
        """Its points one by one, oldest first."""
        return map(self._snapshot, self.as_of, self.probability)

    def newest(self) -> Snapshot:
        """Its last point."""
        return self._snapshot(self.as_of[-1], self.probability[-1])

    def _snapshot(self, micros: int, probability: float) -> Snapshot:
        return Snapshot(
            self.key,
            from_micros(micros),
            self.fetched_at,
            probability=probability,
            timed_by_source=True,
            payload_sha256=self.payload_sha256,
        )


@dataclass(frozen=True)
class Measurement:
    """One trend point: a system's measured value with its interval.

    ``key`` is the publisher's own id of the system, ``at`` its release date, ``value`` in the series'
    ``unit``; ``lower``..``upper`` is the published interval at ``ci_level`` (0.95 for METR). A value the
    instrument cannot resolve has ``beyond_ceiling`` set and is kept.
    """

    series: str
    key: str
    metric: str
    at: date
    value: float
    unit: str
    lower: float | None = None
    upper: float | None = None
    ci_level: float | None = None
    is_sota: bool | None = None
    beyond_ceiling: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.at, datetime):
            raise ValueError("at is a date, not a datetime")
        for name in ("value", "lower", "upper"):
            _finite(name, getattr(self, name))
        _probability("ci_level", self.ci_level)
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError(f"interval of {self.key} is upside down: {self.lower} > {self.upper}")
        if not (self.series and self.key and self.metric and self.unit):
            raise ValueError("series, key, metric and unit must not be empty")


@dataclass(frozen=True)
class SeriesVersion:
    """One published version of a whole series: all its points and what the file says of itself.

    ``published`` keeps the file's own aggregates (for METR its doubling times in days), so that a
    reader can compare them with what the points give.
    """

    series: str
    payload_sha256: str
    fetched_at: datetime
    measurements: tuple[Measurement, ...]
    published: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _in_utc(self, "fetched_at")
        seen: set[tuple[str, str]] = set()
        for point in self.measurements:
            if point.series != self.series:
                raise ValueError(f"point {point.key} belongs to {point.series}, not {self.series}")
            if (point.key, point.metric) in seen:
                raise ValueError(f"two points with key {point.key} and metric {point.metric}")
            seen.add((point.key, point.metric))


@dataclass(frozen=True)
class Resolution:
    """What a platform says became of a question, and when we learnt it.

    ``value`` is 1 or 0 for yes and no, the fraction or the number otherwise; ``text`` keeps the
    platform's own word. ``resolved_at`` is the platform's time of the outcome.
    """

    source: str
    platform: str
    external_id: str
    outcome: str
    state: OutcomeState
    fetched_at: datetime
    resolved_at: datetime | None = None
    value: float | None = None
    text: str = ""
    payload_sha256: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", OutcomeState(self.state))
        _in_utc(self, "fetched_at", "resolved_at")
        _finite("value", self.value)
        if self.state is OutcomeState.YES and self.value != 1.0:
            raise ValueError("yes has value 1")
        if self.state is OutcomeState.NO and self.value != 0.0:
            raise ValueError("no has value 0")
        if self.state is OutcomeState.FRACTION:
            if self.value is None:
                raise ValueError("a fraction needs its value")
            _probability("fraction", self.value)


@dataclass(frozen=True)
class QuestionInfo:
    """What a platform tells about a question besides its value: title, dates, status.

    Kept as a bitemporal record like everything else; titles are hostile text until escaped.
    ``criteria_sha256`` is the digest of the resolution criteria as the platform words them (their text is
    in the raw payload only), so that a silent change of the rules is seen; empty when they did not come.
    """

    source: str
    platform: str
    external_id: str
    fetched_at: datetime
    title: str
    url: str = ""
    question_type: str = ""
    status: str = ""
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    resolves_by: datetime | None = None
    criteria_sha256: str = ""
    payload_sha256: str | None = None

    def __post_init__(self) -> None:
        _in_utc(self, "fetched_at", "opens_at", "closes_at", "resolves_by")


@dataclass(frozen=True)
class QuestionHealth:
    """Whether a source still tells us of a question, and if not, why: one word that stands until the next.

    ``message`` says in our words what was found; ``hidden_until`` is the platform's reveal time.
    """

    source: str
    platform: str
    external_id: str
    fetched_at: datetime
    state: QuestionState
    message: str = ""
    hidden_until: datetime | None = None
    payload_sha256: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", QuestionState(self.state))
        _in_utc(self, "fetched_at", "hidden_until")


@dataclass(frozen=True)
class Forecast:
    """A probability that somebody gave for one of our questions' outcomes at a time.

    ``version`` is the content hash of the version it was about; empty, it was the one that stood then
    (``questions.receipts.version_at``).
    """

    question: str
    outcome: str
    forecaster: str
    kind: ForecasterKind
    made_at: datetime
    probability: float
    version: str = ""
    comment: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", ForecasterKind(self.kind))
        _in_utc(self, "made_at")
        _probability("probability", self.probability)


@dataclass(frozen=True)
class Score:
    """A loss (lower is better) of one forecast once its outcome is known. Recomputed, never edited."""

    question: str
    outcome: str
    forecaster: str
    made_at: datetime
    rule: str
    score_version: str
    value: float
    computed_at: datetime

    def __post_init__(self) -> None:
        _in_utc(self, "made_at", "computed_at")
        _finite("value", self.value)
