"""What there is to tell at a moment: from the store to the contents of a page, charts included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from questions.catalogue import Catalogue
from questions.records import Measurement
from questions.series import record_of
from storage.records import VersionInfo
from storage.store import Store
from tracker import __version__
from tracker.collect import SourceReport
from tracker.config import LinkSettings
from tracker.estimates.releases import fan, passage, simulate
from tracker.estimates.trend import Crossing, crossing
from tracker.freshness import freshness
from tracker.health import views
from tracker.orderings import (
    NO_TREND,
    TREND_SELECTION,
    TREND_SERIES,
    ModelOptions,
    Orderings,
    orderings,
    stored_fit,
)
from tracker.report import content as c
from tracker.report.plots import (
    Outlook,
    horizon_alt,
    horizon_chart,
    reliability_alt,
    reliability_chart,
    slope_alt,
    slope_chart,
)
from tracker.report.plots.canvas import svg_text
from tracker.scorecard import stored_forecasts
from tracker.scoring.calibration import CalibrationReport, calibrate
from tracker.source import Source

THRESHOLDS_MINUTES = (480.0, 2400.0, 10020.0, 120000.0)
CALIBRATION_LEAD_DAYS = 14
NO_CALIBRATION = "no followed question has run its course and resolved Yes or No yet"


@dataclass(frozen=True)
class Charts:
    """The figures of a page, for whoever wants them as files: name -> figure."""

    figures: Mapping[str, object]


@dataclass(frozen=True)
class Findings:
    """Everything found: the page's content, the orderings behind it, and its charts as figures."""

    content: c.PageContent
    orderings: Orderings
    calibration: CalibrationReport | None
    charts: Charts


def find(
    store: Store,
    catalogue: Catalogue,
    sources: Sequence[Source],
    *,
    now: datetime,
    database: c.DatabaseNote,
    totals: Mapping[str, SourceReport],
    options: ModelOptions | None = None,
) -> Findings:
    """All that is told of what was known at ``now``. ``totals``: requests and faults per source, if counted."""
    options = options or ModelOptions()
    result = orderings(catalogue, store, options, now=now, known_at=now)
    voices = tuple(result.voices.values())
    versions = store.versions(TREND_SERIES, known_at=now)
    points = {
        v.seen_first.date(): store.measurements(TREND_SERIES, "p50", known_at=v.seen_first) for v in versions
    }
    crossings = (
        [crossing(result.trend_fit, minutes) for minutes in THRESHOLDS_MINUTES] if result.trend_fit else []
    )
    record = _calibration(store, catalogue, now)
    figures: dict[str, object] = {}
    slope = _slope(result, figures)
    horizon = _horizon(points, result, crossings, _outlook(result, options.seed), figures)
    reliability = _reliability(record, now, figures)
    reasons = {
        "comparisons": "fewer than two voices have a view",
        "evidence": "no voice rests on stored evidence",
        "revisions": "no series has been revised since it was first seen" if versions else NO_TREND,
        "calibration": NO_CALIBRATION,
        "health": "no source was asked",
        "horizon": NO_TREND,
    }
    page = c.PageContent(
        headline=headline(result),
        as_of=now,
        ordering=c.ordering(voices, catalogue.areas),
        comparisons=tuple(c.comparison_row(row, catalogue.areas) for row in result.comparisons),
        evidence=c.evidence_rows(
            [voice for voice in voices if voice.name == "market"],
            catalogue.areas,
            _titles(store, catalogue, now),
        ),
        area_dates=_area_dates(result),
        revisions=_revisions(store, versions),
        series_ages=tuple(
            _age(store, catalogue, series, now) for series in ([TREND_SERIES] if versions else [])
        ),
        calibration=_records(record),
        health=_health(store, catalogue, sources, totals, now),
        n_overdue=_overdue(store, catalogue, now),
        sources=tuple(
            c.SourceCredit(s.traits.name, s.traits.credit, s.traits.licence, s.traits.base_url)
            for s in sources
        ),
        database=database,
        slope=slope,
        horizon=horizon,
        reliability=reliability,
        reasons=reasons,
        program_version=__version__,
    )
    return Findings(page, result, record, Charts(figures))


def headline(result: Orderings) -> str:
    """One sentence: which area each voice puts first."""
    names = {area.key: area.name for area in result.areas}
    spoken = [
        f"{names[voice.ranking[0]]} by the {label}"
        for name, label in (
            ("internal", "factor model"),
            ("market", "market's proxies"),
            ("trend", "METR trend"),
            ("panel", "panel"),
        )
        if (voice := result.voices[name]).ranking
    ]
    return "Sped up first: " + ", ".join(spoken) + "."


def _slope(result: Orderings, figures: dict[str, object]) -> c.Chart:
    voices = [voice for voice in result.voices.values() if voice.ranking]
    title = "Which area of AI research is sped up first?"
    figure = slope_chart(voices, result.areas, title=title, as_of=result.now)
    figures["orderings"] = figure
    return c.Chart(title, svg_text(figure), slope_alt(voices, result.areas))


def _outlook(result: Orderings, seed: int) -> Outlook | None:
    """Where the mixture of shapes goes, and when it passes the thresholds."""
    if result.mixture is None:
        return None
    futures = simulate(result.mixture.members, seed=seed)
    ceiling = TREND_SELECTION.max_minutes
    passages = tuple(passage(futures, minutes, ceiling=ceiling) for minutes in THRESHOLDS_MINUTES)
    return Outlook(fan(futures), passages, "mixture of trend shapes")


def _area_dates(result: Orderings) -> tuple[c.AreaDateRow, ...]:
    found = result.area_dates
    if found is None:
        return ()
    names = {area.key: area.name for area in result.areas}
    days = tuple(date(result.now.year + ahead, 12, 31) for ahead in (1, 3, 5))
    rows = []
    for area in found.areas:
        dates = found.dates(area, days)
        rows.append(
            c.AreaDateRow(
                names[area], found.needed[area], dates.quantile(0.5), dates.interval(0.80), dict(dates.p_by)
            )
        )
    return tuple(sorted(rows, key=lambda row: row.needed_minutes))


def _horizon(
    points: Mapping[date, Sequence[Measurement]],
    result: Orderings,
    crossings: Sequence[Crossing],
    outlook: Outlook | None,
    figures: dict[str, object],
) -> c.Chart | None:
    if not any(points.values()):
        return None
    figure = horizon_chart(points, result.trend_fit, crossings, as_of=result.now, outlook=outlook)
    figures["horizons"] = figure
    alt = horizon_alt(points, result.trend_fit, crossings, outlook=outlook)
    return c.Chart("Time horizons", svg_text(figure), alt)


def _calibration(store: Store, catalogue: Catalogue, now: datetime) -> CalibrationReport | None:
    forecasts = stored_forecasts(store, catalogue, lead_days=(CALIBRATION_LEAD_DAYS,), now=now, known_at=now)
    if not len(forecasts):
        return None
    return calibrate(forecasts, group_by=("forecaster",), bins=5)


def _records(report: CalibrationReport | None) -> tuple[c.ReliabilityReport, ...]:
    if report is None:
        return ()
    rows = [c.reliability_report(f"all, {CALIBRATION_LEAD_DAYS} days before the close", report)]
    rows += [c.reliability_report(", ".join(group.group.values()), group) for group in report.groups]
    return tuple(row for row in rows if row is not None)


def _reliability(
    report: CalibrationReport | None, now: datetime, figures: dict[str, object]
) -> tuple[c.Chart, ...]:
    title = f"all platforms, {CALIBRATION_LEAD_DAYS} days before the close"
    entry = c.reliability_report(title, report) if report is not None else None
    if entry is None:
        return ()
    figure = reliability_chart(entry, as_of=now)
    figures["calibration"] = figure
    return (c.Chart("Calibration of the crowd", svg_text(figure), reliability_alt(entry)),)


def _revisions(store: Store, versions: Sequence[VersionInfo]) -> tuple[c.RevisionRow, ...]:
    rows = []
    for before, after in pairwise(versions):
        changes = store.series_diff(TREND_SERIES, before.seen_first, after.seen_first)
        old, new = (stored_fit(store, version.seen_first) for version in (before, after))
        rows.append(
            c.revision_row(
                after.seen_first.date(),
                [change for change in changes if change.metric == TREND_SELECTION.metric],
                doubling_before_days=old.doubling_time_days if old else None,
                doubling_after_days=new.doubling_time_days if new else None,
            )
        )
    return tuple(rows)


def _overdue(store: Store, catalogue: Catalogue, now: datetime) -> int:
    """How many linked questions closed more than thirty days ago (the default) and have no outcome."""
    found = views(
        catalogue.links,
        store.question_health(known_at=now),
        store.infos(known_at=now),
        store.resolutions(known_at=now),
        now=now,
        overdue_after=timedelta(days=LinkSettings().overdue_days),
    )
    return sum(question.overdue_days is not None for question in found)


def _age(store: Store, catalogue: Catalogue, series: str, now: datetime) -> str:
    """How old a series is, so that one without change is not read as a trend that stopped."""
    fresh = freshness(
        record_of(series, catalogue.series),
        store.versions(series, known_at=now),
        store.measurements(series, known_at=now),
        now,
    )
    reason = f" ({fresh.reason})" if fresh.reason else ""
    return (
        f"The series {series} is {fresh.standing.value}{reason}: unchanged for {fresh.unchanged_days} days, its newest "
        f"system is {fresh.newest_point_days} days old. A series that does not change is not a trend that stopped."
    )


def _health(
    store: Store,
    catalogue: Catalogue,
    sources: Sequence[Source],
    totals: Mapping[str, SourceReport],
    now: datetime,
) -> tuple[c.HealthRow, ...]:
    """A row for every source, from one look at the store."""
    known, rows = store.health(), []
    states: dict[str, Counter[str]] = {source.traits.name: Counter() for source in sources}
    for standing in store.question_health(known_at=now):
        states.setdefault(standing.health.source, Counter())[standing.health.state.value] += 1
    stored = Counter(key.source for key in store.streams()) + _points_stored(store, catalogue)
    for name, counts in ((source.traits.name, states[source.traits.name]) for source in sources):
        health, total = known.get(name), totals.get(name)
        rows.append(
            c.HealthRow(
                source=name,
                state=health.state if health else "unknown",
                last_ok_at=health.last_ok_at if health else None,
                values_stored=stored[name],
                requests=total.requests if total else 0,
                problem=health.message if health else "never asked",
                questions=dict(sorted(counts.items())),
            )
        )
    return tuple(rows)


def _points_stored(store: Store, catalogue: Catalogue) -> Counter[str]:
    """By source: the points of all series that it delivers."""
    points: Counter[str] = Counter()
    for series in store.series_ids():
        record = record_of(series, catalogue.series)
        if record is not None:
            points[record.source] += len(store.measurements(series))
    return points


def _titles(store: Store, catalogue: Catalogue, now: datetime) -> dict[str, tuple[str, str]]:
    """Question -> (the platform's own title as fetched, else our label; the link's URL)."""
    fetched = {(info.platform, info.external_id): info.title for info in store.infos(known_at=now)}
    return {
        f"{link.platform}:{link.external_id}": (
            fetched.get((link.platform, link.external_id)) or link.label,
            link.url,
        )
        for link in catalogue.links
    }
