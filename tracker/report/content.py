"""What a report says, before anyone decides how it looks: plain records, and how to fill them.

The page and its plain-text twin are written from the same ``PageContent``. Whatever part is empty has a
reason in ``reasons``; an empty table or chart is never shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import combinations
from typing import TYPE_CHECKING

from questions.model import Area, Group
from questions.time import utc
from storage.records import Change
from tracker.estimates.voice import Comparison, Voice
from tracker.report.wording import clean

if TYPE_CHECKING:
    from tracker.scoring.calibration import CalibrationReport

EARLY_RESOLUTION_CAVEAT = (
    "A question of the kind “will it happen by a date” can resolve Yes on any day but No only at its deadline, "
    "so scoring outcomes as they come would count too many Yes. A question that resolved before its scheduled "
    "close is therefore scored only once that close has passed; until then its forecasts stand under “resolved "
    "early”. Where a platform names no close (“close unknown”) Yes may still be over-represented. Forecasts made "
    "close to the end are easier than forecasts made far from it, and platforms answer different questions: "
    "compare them only on questions they share, at the same lead."
)
WHAT_THIS_IS_NOT = (
    "It makes no forecast of its own: it shows what markets, panels, trends and one published factor model "
    "say, each by itself, and never averages them into one number.",
    "The factor model orders areas by how amenable they look to automation. It says nothing about dates.",
    "No platform asks directly when one of these areas becomes ten times faster. Market orders rest on "
    "related questions whose bearing on an area is our declared judgement.",
    "An area without evidence has no view. It is not last.",
    "It does not trade and it is no advice.",
)
PARTS = (
    "comparisons",
    "agreement",
    "changes",
    "evidence",
    "revisions",
    "calibration",
    "health",
    "slope",
    "horizon",
)

# |tau| below 1.645 null standard deviations happens in nine of ten pairs of unrelated orders
NULL_BAND_SDS = 1.645


@dataclass(frozen=True)
class ReliabilityBin:
    """Forecasts in [lower, upper): how many, what they said on average, what happened (all 0..1)."""

    lower: float
    upper: float
    n: int
    mean_forecast: float | None = None
    observed: float | None = None
    ci95: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.lower <= self.upper <= 1.0:
            raise ValueError(f"bin {self.lower}..{self.upper} does not lie in 0..1")
        if self.n < 0 or (self.n > 0) != (self.mean_forecast is not None and self.observed is not None):
            raise ValueError("a bin has a mean forecast and a frequency exactly when it holds forecasts")


@dataclass(frozen=True)
class ReliabilityReport:
    """One platform's or forecaster's record: scores, and the bins of its reliability diagram (if wanted).

    ``brier`` and ``log_score`` (nats) are losses, lower is better; intervals are 95 %, over questions.
    ``n_resolved_early`` counts forecasts not scored because their question resolved before a scheduled
    close that has not passed; ``n_close_unknown`` scored questions without a scheduled close.
    """

    name: str
    n_questions: int
    n_forecasts: int
    brier: float
    brier_ci95: tuple[float, float] | None = None
    log_score: float | None = None
    log_score_ci95: tuple[float, float] | None = None
    base_rate: float | None = None
    bins: tuple[ReliabilityBin, ...] = ()
    n_resolved_early: int = 0
    n_close_unknown: int = 0

    @property
    def filled(self) -> tuple[ReliabilityBin, ...]:
        return tuple(bin_ for bin_ in self.bins if bin_.n > 0)


@dataclass(frozen=True)
class PairRow:
    """Two forecasters on their common questions: Brier score of ``a`` less that of ``b``, negative: a is better.

    ``ever``: an interval that holds however often one looks (None without scheduled closes).
    """

    a: str
    b: str
    n_questions: int
    n_events: int
    difference: float
    ci95: tuple[float, float] | None = None
    ever: tuple[float, float] | None = None


@dataclass(frozen=True)
class Chart:
    """A finished chart: ``svg`` as ``plots.svg_text`` gives it, ``alt`` the same in words and numbers."""

    title: str
    svg: str
    alt: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", clean(self.title))
        object.__setattr__(self, "alt", clean(self.alt, limit=6000))


@dataclass(frozen=True)
class Place:
    """Where one voice puts one area: ``rank`` 1 is soonest of ``of``; equal scores share a rank."""

    area: str
    rank: int
    of: int
    tied: bool
    mean_rank: float

    @property
    def label(self) -> str:
        return f"{self.rank}=" if self.tied else str(self.rank)


@dataclass(frozen=True)
class VoiceSummary:
    """What one voice says as a whole. ``reason`` tells why it says nothing when ``n_covered`` is 0."""

    name: str
    model: str
    n_covered: int
    n_areas: int
    p_capabilities_first: float | None = None
    tau_b_self: float | None = None
    note: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Gap:
    """The other area about which two voices differ most: P(this area before ``other``) by each."""

    other: str
    voice_a: str
    p_a: float
    voice_b: str
    p_b: float


@dataclass(frozen=True)
class AreaRow:
    """One area across voices; a voice that is not in ``places`` has no view on it."""

    area: str
    group: Group
    places: Mapping[str, Place]
    gap: Gap | None = None


@dataclass(frozen=True)
class Ordering:
    """The orderings side by side, rows in catalogue order unless the caller sorts them."""

    voices: tuple[VoiceSummary, ...]
    rows: tuple[AreaRow, ...]


@dataclass(frozen=True)
class ComparisonRow:
    """How two voices' orders compare; numbers None when fewer than four areas are shared (``reason``).

    ``tau_b_ci90``: of single draws; ``tau_latent_ci90``: of what both are about, behind their noise.
    """

    a: str
    b: str
    n_shared: int
    tau_b: float | None
    tau_b_ci90: tuple[float, float] | None
    tau_null_sd: float | None
    weighted_distance: float | None
    verdict: str
    disagreements: tuple[str, ...] = ()
    tau_latent_ci90: tuple[float, float] | None = None


@dataclass(frozen=True)
class CauseRow:
    """One input that moved a voice's order: what it said before and after, and what that did, in words.

    ``title`` is often a platform's own wording: hostile until escaped.
    """

    voice: str
    title: str
    before: str
    after: str
    effect: str
    url: str = ""


@dataclass(frozen=True)
class Changes:
    """What changed between two weeks' ends: sentences on orders and disagreements, and the inputs that did it."""

    since: datetime
    until: datetime
    sentences: tuple[str, ...]
    causes: tuple[CauseRow, ...] = ()


@dataclass(frozen=True)
class EvidenceRow:
    """One value a voice rests on. ``title`` is often a platform's own wording: hostile until escaped."""

    area: str
    voice: str
    title: str
    source: str
    relation: str
    weight: float
    probability: float | None = None
    as_of: datetime | None = None
    url: str = ""


@dataclass(frozen=True)
class AreaDateRow:
    """When the trend reaches the horizon an area is assumed to need (minutes); None = later, or never.

    ``p_by``: probability by the end of a day.
    """

    area: str
    needed_minutes: float
    median: date | None
    ci80: tuple[date | None, date | None]
    p_by: Mapping[date, float]


@dataclass(frozen=True)
class RevisionRow:
    """One new version of a series against the one before: doubling time and what moved."""

    version: date
    n_added: int
    n_removed: int
    n_revised: int
    n_interval_only: int
    doubling_before_days: float | None = None
    doubling_after_days: float | None = None
    largest_key: str = ""
    largest_ratio: float | None = None


@dataclass(frozen=True)
class HealthRow:
    """How one source is doing. ``problem`` says what is wrong and what to do; empty when all is well.

    ``questions`` counts the questions it is asked for by their state (``questions.records.QuestionState``).
    """

    source: str
    state: str
    last_ok_at: datetime | None
    values_stored: int
    requests: int
    problem: str = ""
    questions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceCredit:
    """Whose data this is and on what terms."""

    name: str
    credit: str
    licence: str
    url: str = ""


@dataclass(frozen=True)
class DatabaseNote:
    """Where the stored data is (without a password) and how to ask it: (command, what it answers)."""

    location: str
    rows: Mapping[str, int] = field(default_factory=dict)
    commands: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PageContent:
    """Everything on the page. ``reasons[part]`` says why a part of ``PARTS`` is empty."""

    headline: str
    as_of: datetime
    ordering: Ordering
    comparisons: tuple[ComparisonRow, ...] = ()
    evidence: tuple[EvidenceRow, ...] = ()
    area_dates: tuple[AreaDateRow, ...] = ()
    revisions: tuple[RevisionRow, ...] = ()
    series_ages: tuple[str, ...] = ()
    calibration: tuple[ReliabilityReport, ...] = ()
    health: tuple[HealthRow, ...] = ()
    n_overdue: int = 0
    sources: tuple[SourceCredit, ...] = ()
    database: DatabaseNote | None = None
    caveats: tuple[str, ...] = WHAT_THIS_IS_NOT
    calibration_caveat: str = EARLY_RESOLUTION_CAVEAT
    slope: Chart | None = None
    ranks: tuple[Chart, ...] = ()
    pairs: tuple[Chart, ...] = ()
    agreement: Chart | None = None
    changes: Changes | None = None
    horizon: Chart | None = None
    reliability: tuple[Chart, ...] = ()
    compared: tuple[PairRow, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    program_version: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "as_of", utc(self.as_of))
        unexplained = [part for part in PARTS if not getattr(self, part) and not self.reasons.get(part)]
        if unexplained:
            raise ValueError(f"empty and no reason given: {', '.join(unexplained)}")
        if not self.ordering.rows:
            raise ValueError("the ordering needs a row for every area, with or without a view")


def places_of(voice: Voice) -> dict[str, Place]:
    """A voice's areas in its order, soonest first; equal scores get the same rank (1, 2=, 2=, 4)."""
    places: dict[str, Place] = {}
    order = voice.ranking
    for key in order:
        score = voice.scores.get(key)
        equal = [k for k in order if k == key or (score is not None and voice.scores.get(k) == score)]
        rank = 1 + min(order.index(k) for k in equal)
        mean = voice.mean_rank.get(key, float(rank))
        places[key] = Place(key, rank, len(order), len(equal) > 1, mean)
    return places


def ordering(voices: Sequence[Voice], areas: Sequence[Area]) -> Ordering:
    """The ordering table of these voices, sorted by the first voice that covers most areas."""
    places = {voice.name: places_of(voice) for voice in voices}
    names = {area.key: area.name for area in areas}
    widest = max(voices, key=lambda voice: len(voice.ranking), default=None)
    position = {key: index for index, key in enumerate(widest.ranking if widest else ())}
    sorted_areas = sorted(areas, key=lambda area: position.get(area.key, len(position)))
    rows = tuple(
        AreaRow(
            area.name,
            area.group,
            {name: own[area.key] for name, own in places.items() if area.key in own},
            biggest_gap(area.key, voices, names),
        )
        for area in sorted_areas
    )
    summaries = tuple(
        VoiceSummary(
            voice.name,
            voice.model,
            len(voice.ranking),
            len(areas),
            voice.p_capabilities_first,
            voice.tau_b_self,
            voice.note,
            voice.reason,
        )
        for voice in voices
    )
    return Ordering(summaries, rows)


def biggest_gap(area: str, voices: Sequence[Voice], names: Mapping[str, str]) -> Gap | None:
    """The pair of voices and the other area where P(``area`` first) differs most; None without two views.

    A voice's lean is P(first before second) + P(neither) / 2, as in ``estimates.ordering.compare``: mass
    on "neither" is no opinion either way.
    """
    gaps = []
    for a, b in combinations(voices, 2):
        for other in names:
            p_a, p_b = _lean(a, area, other), _lean(b, area, other)
            if p_a is not None and p_b is not None:
                gaps.append(Gap(names[other], a.name, p_a, b.name, p_b))
    return max(gaps, key=lambda gap: abs(gap.p_a - gap.p_b), default=None)


def _lean(voice: Voice, area: str, other: str) -> float | None:
    before = voice.p_before.get(area, {}).get(other)
    after = voice.p_before.get(other, {}).get(area)
    if area == other or before is None or after is None:
        return None
    return 0.5 + (before - after) / 2


def comparison_row(
    comparison: Comparison, areas: Sequence[Area], *, followed: int | None = None
) -> ComparisonRow:
    """One comparison with its verdict in words and its disagreements spelled out.

    ``followed``: how many weeks back disagreements were followed; they may be older.
    """
    names = {area.key: area.name for area in areas}
    pairs = tuple(
        f"{names.get(d.first, d.first)} before {names.get(d.second, d.second)}: "
        f"{d.p_a:.2f} against {d.p_b:.2f}" + standing(d.weeks, followed)
        for d in comparison.disagreements
    )
    return ComparisonRow(
        comparison.a,
        comparison.b,
        len(comparison.areas),
        comparison.tau_b,
        comparison.tau_b_ci90,
        comparison.tau_null_sd,
        comparison.weighted_distance,
        agreement(comparison),
        pairs,
        comparison.tau_latent_ci90,
    )


def standing(weeks: int | None, followed: int | None) -> str:
    """For how long a pair has been in disagreement, as the end of a sentence; empty when that is not known."""
    if weeks is None:
        return ""
    least = "at least " if followed is not None and weeks > followed else ""
    return f", for {least}{weeks} week{'s' if weeks != 1 else ''}"


def agreement(comparison: Comparison) -> str:
    """What tau-b means here, in words.

    Unrelated orders of k areas give a tau-b with mean 0 and the stated null standard deviation; inside
    1.645 of those (nine of ten unrelated pairs) nothing can be told.
    """
    tau, sd = comparison.tau_b, comparison.tau_null_sd
    if tau is None:
        return comparison.reason or "not compared"
    if sd is None:
        return "no null spread to judge by"
    if abs(tau) <= NULL_BAND_SDS * sd:
        return "indistinguishable from no agreement"
    return (
        "more alike than unrelated orders would be"
        if tau > 0
        else "more opposed than unrelated orders would be"
    )


def revision_row(
    version: date,
    changes: Iterable[Change],
    *,
    doubling_before_days: float | None = None,
    doubling_after_days: float | None = None,
) -> RevisionRow:
    """Summarise what a version changed. The largest change is the one with the largest |ln(after/before)|."""
    kinds = dict.fromkeys(("added", "removed", "revised", "interval"), 0)
    largest_key, largest_ratio = "", None
    for change in changes:
        kinds[change.kind] = kinds.get(change.kind, 0) + 1
        if change.kind != "revised" or change.before is None or change.after is None:
            continue
        if change.before.value <= 0 or change.after.value <= 0:
            continue
        ratio = change.after.value / change.before.value
        if largest_ratio is None or abs(math.log(ratio)) > abs(math.log(largest_ratio)):
            largest_key, largest_ratio = change.after.label or change.key, ratio
    return RevisionRow(
        version,
        kinds["added"],
        kinds["removed"],
        kinds["revised"],
        kinds["interval"],
        doubling_before_days,
        doubling_after_days,
        largest_key,
        largest_ratio,
    )


def evidence_rows(
    voices: Sequence[Voice], areas: Sequence[Area], titles: Mapping[str, tuple[str, str]] | None = None
) -> tuple[EvidenceRow, ...]:
    """What the voices rest on, by voice then area. ``titles``: question -> (title, URL) where known."""
    names = {area.key: area.name for area in areas}
    rows = []
    for voice in voices:
        for item in voice.evidence:
            title, url = (titles or {}).get(item.question, (item.label or item.question, ""))
            area = names.get(item.area, item.area)
            rows.append(
                EvidenceRow(
                    area,
                    voice.name,
                    title,
                    item.source,
                    item.relation,
                    item.weight,
                    item.probability,
                    item.as_of,
                    url,
                )
            )
    return tuple(rows)


def reliability_report(name: str, report: CalibrationReport) -> ReliabilityReport | None:
    """A calibration report as it is shown; None when it scored nothing."""
    if report.brier.value is None:
        return None
    bins = (ReliabilityBin(b.lower, b.upper, b.n, b.mean_forecast, b.observed, b.ci95) for b in report.bins)
    return ReliabilityReport(
        name,
        report.n_questions,
        report.n_forecasts,
        report.brier.value,
        report.brier.ci95,
        report.log_score.value,
        report.log_score.ci95,
        report.base_rate,
        tuple(bins),
        report.n_resolved_early,
        report.n_close_unknown,
    )
