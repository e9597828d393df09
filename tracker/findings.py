"""What there is to tell at a moment: from the store to the contents of a page, charts included."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from questions.catalogue import Catalogue
from questions.records import StreamKey
from questions.series import record_of
from storage.records import VersionInfo
from storage.store import Store
from tracker import __version__
from tracker.collect import SourceReport
from tracker.config import LinkSettings
from tracker.estimates.attribution import Cause
from tracker.estimates.releases import fan, passage, simulate
from tracker.estimates.trend import crossing
from tracker.estimates.voice import Voice
from tracker.freshness import freshness
from tracker.health import views
from tracker.history import VoiceChange, cause_name, change_between, said, weeks_until
from tracker.monthly import kept_history
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
    agreement_alt,
    agreement_chart,
    horizon_alt,
    horizon_chart,
    pair_alt,
    pair_chart,
    rank_alt,
    rank_chart,
    slope_alt,
    slope_chart,
)
from tracker.report.plots.canvas import svg_text
from tracker.report.plots.scores import (
    Month,
    comparison_alt,
    comparison_chart,
    corp_alt,
    corp_chart,
    history_alt,
    history_chart,
)
from tracker.report.wording import voice_title
from tracker.scorecard import PAGE_LEAD_DAYS, stored_forecasts
from tracker.scoring.calibration import CalibrationReport, calibrate
from tracker.scoring.compare import Comparison, Paired, compare
from tracker.scoring.inference import MIN_CLUSTERS
from tracker.source import Source
from tracker.week import Week

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEEKS_SHOWN = 13
WEEKS_COMPARED = 4
CAUSES_SHOWN = 6
THRESHOLDS_MINUTES = (480.0, 2400.0, 10020.0, 120000.0)
NO_CALIBRATION = "no followed question has run its course and resolved Yes or No yet"


@dataclass(frozen=True)
class Charts:
    """The figures of a page, for whoever wants them as files: name -> figure, and the same as SVG."""

    figures: Mapping[str, object]
    svgs: Mapping[str, str]


@dataclass
class _Figures:
    """The figures of a page so far; each is drawn as SVG once."""

    drawn: dict[str, object] = field(default_factory=dict)
    svgs: dict[str, str] = field(default_factory=dict)

    def chart(self, name: str, title: str, figure: Figure, alt: str) -> c.Chart:
        self.drawn[name], self.svgs[name] = figure, svg_text(figure)
        return c.Chart(title, self.svgs[name], alt)


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
    limits: LinkSettings | None = None,
) -> Findings:
    """All that is told of what was known at ``now``. ``totals``: requests and faults per source, if counted;
    ``limits``: when a question counts as overdue, as the user set it."""
    options = options or ModelOptions()
    result = orderings(catalogue, store, options, now=now, known_at=now)
    voices = tuple(result.voices.values())
    versions = store.versions(TREND_SERIES, known_at=now)
    told = stored_forecasts(store, catalogue, lead_days=(PAGE_LEAD_DAYS,), now=now, known_at=now)
    record = calibrate(told, group_by=("forecaster",), curve=True) if len(told) else None
    compared = compare(told, resamples=0) if len(told) else None
    figures = _Figures()
    slope = _slope(result, figures)
    weeks = weeks_until(catalogue, store, options, now=now, count=WEEKS_SHOWN, known_at=now)
    titles = _titles(store, catalogue, now)
    horizon = _horizon(store, versions, result, _outlook(result, options.seed), figures)
    months = kept_history(store, lead_days=(PAGE_LEAD_DAYS,), known_at=now)
    reliability = (
        *_reliability(record, now, figures),
        *_history(months, now, figures),
        *_platforms(compared, now, figures),
    )
    page = c.PageContent(
        headline=headline(result),
        as_of=now,
        ordering=c.ordering(voices, catalogue.areas),
        comparisons=tuple(
            c.comparison_row(row, catalogue.areas, followed=options.weeks) for row in result.comparisons
        ),
        evidence=c.evidence_rows(
            [voice for voice in voices if voice.name == "market"],
            catalogue.areas,
            titles,
        ),
        area_dates=_area_dates(result),
        revisions=_revisions(store, versions),
        series_ages=tuple(
            _age(store, catalogue, series, now) for series in ([TREND_SERIES] if versions else [])
        ),
        calibration=_records(record),
        health=_health(store, catalogue, sources, totals, now),
        n_overdue=_overdue(store, catalogue, limits or LinkSettings(), now),
        sources=_credits(sources),
        database=database,
        slope=slope,
        ranks=_ranks(result, figures),
        pairs=_pairs(result, figures),
        agreement=_agreement(weeks, figures),
        changes=_changes(store, catalogue, options, weeks, titles),
        horizon=horizon,
        reliability=reliability,
        compared=_pair_rows(compared),
        reasons=_reasons(versions),
        program_version=__version__,
    )
    return Findings(page, result, record, Charts(figures.drawn, figures.svgs))


def _credits(sources: Sequence[Source]) -> tuple[c.SourceCredit, ...]:
    return tuple(
        c.SourceCredit(s.traits.name, s.traits.credit, s.traits.licence, s.traits.base_url) for s in sources
    )


def _reasons(versions: Sequence[VersionInfo]) -> dict[str, str]:
    """Why a part of the page is empty, if it is."""
    return {
        "comparisons": "fewer than two voices have a view",
        "evidence": "no voice rests on stored evidence",
        "revisions": "no series has been revised since it was first seen" if versions else NO_TREND,
        "agreement": "no two voices had a view on four areas at any week's end",
        "changes": f"less than {WEEKS_COMPARED} weeks are known",
        "calibration": NO_CALIBRATION,
        "compared": f"no two share {MIN_CLUSTERS} events yet, and fewer tell too little of who was better",
        "health": "no source was asked",
        "horizon": NO_TREND,
    }


def headline(result: Orderings) -> str:
    """One sentence: which area each voice puts first."""
    names = {area.key: area.name for area in result.areas}
    spoken = [
        f"{_first(voice, names)} by the {label}"
        for name, label in (
            ("internal", "factor model"),
            ("market", "market's proxies"),
            ("trend", "METR trend"),
            ("panel", "panel"),
        )
        if (voice := result.voices[name]).ranking
    ]
    return "Sped up first: " + ", ".join(spoken) + "."


def _first(voice: Voice, names: Mapping[str, str]) -> str:
    """The area a voice puts first, or those that are level there."""
    return " and ".join(names[area] for area, place in c.places_of(voice).items() if place.rank == 1)


def _slope(result: Orderings, figures: _Figures) -> c.Chart:
    voices = [voice for voice in result.voices.values() if voice.ranking]
    title = "Which area of AI research is sped up first?"
    figure = slope_chart(voices, result.areas, title=title, as_of=result.now)
    return figures.chart("orderings", title, figure, slope_alt(voices, result.areas))


def _ranks(result: Orderings, figures: _Figures) -> tuple[c.Chart, ...]:
    """How likely each rank is, voice by voice."""
    charts = []
    for voice in result.voices.values():
        if voice.ranking:
            figure = rank_chart(voice, result.areas, as_of=result.now)
            title = f"{voice_title(voice.name)}: how likely each rank is"
            alt = rank_alt(voice, result.areas)
            charts.append(figures.chart(f"ranks-{voice.name}", title, figure, alt))
    return tuple(charts)


def _pairs(result: Orderings, figures: _Figures) -> tuple[c.Chart, ...]:
    """Where two voices differ, pair of areas by pair."""
    charts = []
    for one in result.comparisons:
        if one.tau_x is not None:
            a, b = result.voices[one.a], result.voices[one.b]
            figure = pair_chart(a, b, result.areas, as_of=result.now)
            title = f"{voice_title(one.a)} against {voice_title(one.b)}, pair by pair"
            alt = pair_alt(a, b, result.areas)
            charts.append(figures.chart(f"pairs-{one.a}-{one.b}", title, figure, alt))
    return tuple(charts)


def _agreement(weeks: Sequence[Week], figures: _Figures) -> c.Chart | None:
    """How far the orders agreed week by week, from the first week in which two could be compared."""
    compared = [any(one.tau_b is not None for one in week.comparisons) for week in weeks]
    if True not in compared:
        return None
    shown = [(week.at, week.comparisons) for week in weeks[compared.index(True) :]]
    figure = agreement_chart(shown)
    return figures.chart("agreement", "How far the orders agree, week by week", figure, agreement_alt(shown))


def _changes(
    store: Store,
    catalogue: Catalogue,
    options: ModelOptions,
    weeks: Sequence[Week],
    titles: Mapping[str, tuple[str, str]],
) -> c.Changes | None:
    """What changed in the last weeks, and which inputs did it."""
    if len(weeks) <= WEEKS_COMPARED or not any(
        voice.ranking for name, voice in weeks[-1 - WEEKS_COMPARED].voices.items() if name != "internal"
    ):
        return None
    found = change_between(catalogue, store, options, weeks[-1 - WEEKS_COMPARED], weeks[-1])
    names = {area.key: area.name for area in catalogue.areas}
    sentences = [_moved(name, change, names) for name, change in found.voices.items() if change.spoke]
    for word, pairs in (("is new", found.opened), ("is over", found.closed)):
        sentences += [
            f"{voice_title(a)} puts {names[x]} before {names[y]}, {voice_title(b)} the other way round: this {word}."
            for a, b, x, y in pairs
        ]
    causes = [
        _cause(name, cause, names, titles)
        for name, change in found.voices.items()
        if change.why is not None
        for cause in [one for one in change.why.causes if one.size > 0][:CAUSES_SHOWN]
    ]
    return c.Changes(found.earlier.at, found.later.at, tuple(sentences), tuple(causes))


def _moved(voice: str, change: VoiceChange, names: Mapping[str, str]) -> str:
    parts = [
        f"{names[move.area]} went from {move.rank_a:g} to {move.rank_b:g}"
        for move in change.moves
        if move.moved
    ]
    parts += [f"{names[area]} came in" for area in change.entered]
    parts += [f"{names[area]} dropped out" for area in change.left]
    return f"{voice_title(voice)}: {'; '.join(parts) or 'no area changed its rank'}."


def _cause(
    voice: str, cause: Cause[Any, Any], names: Mapping[str, str], titles: Mapping[str, tuple[str, str]]
) -> c.CauseRow:
    key = cause.key
    title, url = cause_name(cause), ""
    if isinstance(key, StreamKey):
        title, url = titles.get(f"{key.platform}:{key.external_id}", (title, ""))
        title = f"{title} ({key.source})"
    elif key == ("time",):
        title = "the passing of time"
    return c.CauseRow(
        voice, title, _plain(said(cause.before)), _plain(said(cause.after)), _effect(voice, cause, names), url
    )


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    return "nothing" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _effect(voice: str, cause: Cause[Any, Any], names: Mapping[str, str]) -> str:
    """The largest effect on a score in its own unit, and which pairs it put the way they stand."""
    parts = [f"{names[area]} came in" for area in cause.brings] + [
        f"{names[area]} dropped out" for area in cause.takes
    ]
    if cause.effect:
        area, value = max(cause.effect.items(), key=lambda item: abs(item[1]))
        size = {
            "market": f"{math.exp(value):.2f} times as likely per year",
            "trend": f"{abs(value):.2f} years {'sooner' if value > 0 else 'later'}",
        }.get(voice, f"log-odds {value:+.2f}")
        if value:
            parts.append(f"{names[area]} {size}")
    parts += [f"put {names[a]} before {names[b]}" for a, b in cause.undoes]
    return "; ".join(parts)


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
    store: Store,
    versions: Sequence[VersionInfo],
    result: Orderings,
    outlook: Outlook | None,
    figures: _Figures,
) -> c.Chart | None:
    points = {
        v.seen_first.date(): store.measurements(TREND_SERIES, "p50", known_at=v.seen_first) for v in versions
    }
    crossings = (
        [crossing(result.trend_fit, minutes) for minutes in THRESHOLDS_MINUTES] if result.trend_fit else []
    )
    if not any(points.values()):
        return None
    figure = horizon_chart(points, result.trend_fit, crossings, as_of=result.now, outlook=outlook)
    alt = horizon_alt(points, result.trend_fit, crossings, outlook=outlook)
    return figures.chart("horizons", "Time horizons", figure, alt)


def _records(report: CalibrationReport | None) -> tuple[c.ReliabilityReport, ...]:
    if report is None:
        return ()
    rows = [c.reliability_report(f"all, {PAGE_LEAD_DAYS} days before the close", report)]
    rows += [c.reliability_report(", ".join(group.group.values()), group) for group in report.groups]
    return tuple(row for row in rows if row is not None)


def _reliability(report: CalibrationReport | None, now: datetime, figures: _Figures) -> tuple[c.Chart, ...]:
    if report is None or report.brier.value is None:
        return ()
    name = f"all platforms, {PAGE_LEAD_DAYS} days before the close"
    figure = corp_chart(report, name=name, as_of=now)
    return (figures.chart("calibration", "Calibration of the crowd", figure, corp_alt(report, name=name)),)


def _history(months: Sequence[Month], now: datetime, figures: _Figures) -> tuple[c.Chart, ...]:
    """Everybody's record month by month, as it was kept."""
    if len({one.month for one in months}) < 2:
        return ()
    figure = history_chart(months, as_of=now)
    title = f"Brier score month by month, {PAGE_LEAD_DAYS} days before the close"
    return (figures.chart("calibration-history", title, figure, history_alt(months)),)


def _told_pairs(found: Comparison | None) -> tuple[Paired, ...]:
    """The pairs about which something can be said, with most questions first."""
    pairs = [] if found is None else [pair for pair in found.pairs if pair.difference.ci95 is not None]
    return tuple(sorted(pairs, key=lambda pair: -pair.difference.n))


def _platforms(found: Comparison | None, now: datetime, figures: _Figures) -> tuple[c.Chart, ...]:
    """Who was better on what both forecast."""
    pairs = _told_pairs(found)
    if found is None or not pairs:
        return ()
    told = replace(found, pairs=pairs)
    figure = comparison_chart(told, as_of=now)
    title = "Who was better, on what both forecast"
    return (figures.chart("calibration-pairs", title, figure, comparison_alt(told)),)


def _pair_rows(found: Comparison | None) -> tuple[c.PairRow, ...]:
    return tuple(
        c.PairRow(
            pair.a,
            pair.b,
            pair.difference.n,
            pair.difference.n_clusters,
            pair.difference.value,
            pair.difference.ci95,
            None if pair.sequence is None else pair.sequence.ci95,
        )
        for pair in _told_pairs(found)
    )


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


def _overdue(store: Store, catalogue: Catalogue, limits: LinkSettings, now: datetime) -> int:
    """How many linked questions closed more than ``overdue_days`` ago and have no outcome."""
    found = views(
        catalogue.links,
        store.question_health(known_at=now),
        store.infos(known_at=now),
        store.resolutions(known_at=now),
        now=now,
        overdue_after=timedelta(days=limits.overdue_days),
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
