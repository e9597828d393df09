"""From the store to what a digest says. Reads the store and nothing else: no clock, no network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial

from questions.catalogue import Catalogue
from questions.records import QuestionInfo
from storage.store import Store
from tracker import __version__
from tracker.config import Settings
from tracker.digest.content import (
    CALIBRATION_LEAD_DAYS,
    Charts,
    Digest,
    Dispute,
    Mover,
    Opinion,
    OrderChange,
    OrderRow,
    Standing,
    Subject,
)
from tracker.digest.health import data_health
from tracker.digest.movement import LinkKey, Move, chance, followed, moves, nearest, raws_of
from tracker.digest.outcomes import Followed, Name, closing, opinions_on, overdue, resolved
from tracker.digest.period import Period
from tracker.digest.reading import remembering
from tracker.digest.trends import trend_news
from tracker.digest.why import move_causes, order_changes
from tracker.estimates.factors import Noise
from tracker.estimates.releases import fan, passage, simulate
from tracker.estimates.versions import model_versions, rank_version
from tracker.estimates.voice import Comparison, Disagreement, Voice
from tracker.mail.content import Taste
from tracker.orderings import (
    SETTLED,
    TREND_SELECTION,
    TREND_SERIES,
    ModelOptions,
    Orderings,
    Scene,
    orderings,
)
from tracker.report.content import ReliabilityReport, biggest_gap, places_of, reliability_report
from tracker.report.plots import Outlook
from tracker.report.wording import counted
from tracker.scorecard import stored_forecasts
from tracker.scoring.calibration import CalibrationReport, calibrate

MOVERS_TOLD = 7
DISPUTES_TOLD = 5
THRESHOLDS_MINUTES = (480.0, 2400.0, 10020.0)
VERSION_DRAWS = 2_000

Ranges = Callable[[], Mapping[tuple[str, str], tuple[float, float]]]
"""By pair the least and the greatest probability over all versions of the factor model; computed when asked for."""


def build_digest(store: Store, catalogue: Catalogue, settings: Settings, period: Period) -> Digest:
    """Everything there is to tell of a week, as known at its end. Raises StorageError only."""
    return look_through(store, catalogue, settings, period).whole


@dataclass(frozen=True)
class Desk:
    """A week looked through once: its digest, whole, and what it takes to tell it to somebody who chose.

    ``live``: the areas of each followed question with a standing value; ``found``: all that moved notably.
    """

    store: Store
    catalogue: Catalogue
    whole: Digest
    result: Orderings
    subjects: Mapping[Name, Subject]
    infos: tuple[Mapping[Name, QuestionInfo], Mapping[Name, QuestionInfo]]
    live: tuple[tuple[str, ...], ...]
    found: tuple[Move, ...]
    opinions: Mapping[LinkKey, tuple[Opinion, ...]]
    ranges: Ranges

    def digest(self, taste: Taste) -> Digest:
        """The digest for somebody who chose: of the whole what they want to be told, and the movers that are theirs."""
        whole = self.whole
        if not taste.areas and taste.least is None:
            return replace(whole, taste=taste)
        areas = set(taste.areas) or {area.key for area in self.catalogue.areas}
        names = {area.key: area.name for area in self.catalogue.areas}

        def theirs(subject: Subject) -> bool:
            return not taste.areas or bool(areas & set(subject.areas))

        found = [
            move
            for move in self.found
            if theirs(self.subjects[move.key.platform, move.key.external_id])
            and (taste.least is None or abs(move.odds) >= taste.least)
        ]
        told = {name: names[name] for name in names if name in areas}
        left = {
            "disputes": "No two voices stand on opposite sides of a pair with an area you chose in it.",
            "closing": "No followed question on your areas closes within 14 days.",
            "resolved": "No followed question on your areas resolved.",
            "overdue": "No question on your areas is overdue.",
        }
        missing = dict(whole.missing)
        if whole.movers:
            missing["movers"] = "No followed question that you chose to hear of moved beyond its usual noise."
        missing |= {part: words for part, words in left.items() if taste.areas and getattr(whole, part)}
        return replace(
            whole,
            changes=tuple(
                change
                for one in whole.changes
                if (change := _concerning(one, set(told.values()))) is not None
            ),
            movers=tuple(self.mover(move) for move in found[:MOVERS_TOLD]),
            n_movers=len(found),
            n_followed=sum(not taste.areas or bool(areas & set(own)) for own in self.live),
            disputes=_disputes(self.result, self.catalogue, self.subjects, self.ranges, frozenset(areas)),
            closing=tuple(one for one in whole.closing if theirs(one.subject)),
            resolved=tuple(one for one in whole.resolved if theirs(one.subject)),
            overdue=tuple(one for one in whole.overdue if theirs(one.subject)),
            missing=missing,
            chosen=tuple(told.values()) if taste.areas else (),
            taste=taste,
        )

    def mover(self, move: Move) -> Mover:
        return _mover(self.store, move, self.subjects, self.infos, self.opinions, self.whole.period.at)


def look_through(
    store: Store,
    catalogue: Catalogue,
    settings: Settings,
    period: Period,
    *,
    skipped: tuple[str, ...] = (),
    known: Orderings | None = None,
) -> Desk:
    """A week from which digests can be told, as known at its end. Raises StorageError only.

    ``skipped``: weeks before it for which no digest was sent, which is said. ``known``: the orderings at that
    instant by the default options, for a caller that has them.
    """
    options, store = ModelOptions(), remembering(store)
    voices = Scene(catalogue, store, options, period.at)
    result = known or orderings(catalogue, store, options, now=period.at, known_at=period.at, scene=voices)
    before = voices.voices(period.since, period.since, options.draws)
    infos = {at: _infos(store, at) for at in (period.since, period.at)}
    subjects = _subjects(catalogue, infos[period.at])
    titles = {name: subject.title for name, subject in subjects.items()}
    streams = followed(store, catalogue.links)
    values = nearest(store.latest(streams, known_at=period.at), period.at)
    resolutions = store.resolutions(known_at=period.at)
    settled = {(r.platform, r.external_id, r.outcome) for r in resolutions if r.state in SETTLED}
    scene = Followed(
        catalogue,
        store,
        period,
        subjects,
        _closes(catalogue, infos[period.at]),
        values,
        resolutions,
        infos[period.since].keys(),
    )
    live = {name: seen for name, seen in values.items() if name not in settled}
    ranges = cache(partial(_model_ranges, result, catalogue))
    moved, n_before = moves(store, streams, live, period)
    found = tuple(move for move in moved if move.notable)
    both = (infos[period.since], infos[period.at])
    opinions = opinions_on(scene, [move.key for move in found])
    record = _calibration(store, catalogue, period.at)
    trends = trend_news(store, catalogue, period)
    names = tuple((voice.name, len(voice.ranking), voice.reason) for voice in result.voices.values())
    whole = Digest(
        period=period,
        voices=names,
        order=_order(result, before),
        changes=order_changes(catalogue, store, options, (before, result.voices), titles, period),
        movers=tuple(
            _mover(store, move, subjects, both, opinions, period.at) for move in found[:MOVERS_TOLD]
        ),
        n_movers=len(found),
        n_followed=len(live),
        n_before=n_before,
        disputes=_disputes(result, catalogue, subjects, ranges),
        closing=closing(scene),
        resolved=resolved(scene),
        overdue=overdue(scene, settings.links.overdue_days),
        records=_records(record),
        trends=trends,
        health=data_health(store, catalogue, settings, period),
        charts=_charts(result, store, record, options.seed, period),
        missing=_missing(result, bool(streams), n_before, len(live), store),
        skipped=skipped,
        program_version=__version__,
    )
    areas = tuple(subjects[name[:2]].areas for name in live)
    return Desk(store, catalogue, whole, result, subjects, both, areas, found, opinions, ranges)


def _concerning(change: OrderChange, names: Collection[str]) -> OrderChange | None:
    """What of a change concerns some areas, by name; None when nothing does."""
    kept = replace(
        change,
        passed=tuple(pair for pair in change.passed if set(pair) & set(names)),
        entered=tuple(area for area in change.entered if area in names),
        left=tuple(area for area in change.left if area in names),
    )
    return kept if kept.passed or kept.entered or kept.left else None


def _infos(store: Store, at: datetime) -> dict[Name, QuestionInfo]:
    """The facts of each question, from its own platform where that told."""
    told = sorted(store.infos(known_at=at), key=lambda info: info.source == info.platform)
    return {(info.platform, info.external_id): info for info in told}


def _closes(catalogue: Catalogue, infos: Mapping[Name, QuestionInfo]) -> dict[Name, datetime]:
    """When each linked question closes: by its platform, else by the catalogue's deadline."""
    found = {}
    for link in catalogue.links:
        name = (link.platform, link.external_id)
        told = infos[name].closes_at if name in infos else None
        closes = told or link.by
        if closes is not None:
            found[name] = closes
    return found


def _subjects(catalogue: Catalogue, infos: Mapping[Name, QuestionInfo]) -> dict[Name, Subject]:
    """Every linked question under its platform's own title, else our label. The address is the catalogue's, which a
    person wrote down: what a platform says of itself is no link."""
    found: dict[Name, Subject] = {}
    for link in catalogue.links:
        name = (link.platform, link.external_id)
        info, known = infos.get(name), found.get(name)
        areas = tuple(dict.fromkeys((*(known.areas if known else ()), *link.areas)))
        found[name] = Subject((info.title if info else "") or link.label, *name, link.url, areas)
    return found


# the order ----------------------------------------------------------------------------------------


def _order(result: Orderings, before: Mapping[str, Voice]) -> tuple[OrderRow, ...]:
    """One row an area, in the order of the market where it has a view, else of the widest voice."""
    voices = [voice for voice in result.voices.values() if voice.ranking]
    names = {area.key: area.name for area in result.areas}
    now = {voice.name: places_of(voice) for voice in voices}
    then = {name: places_of(voice) for name, voice in before.items()}
    rows = []
    for area in result.areas:
        standings = {}
        for name, places in now.items():
            if area.key in places:
                place, old = places[area.key], then[name].get(area.key)
                standings[name] = Standing(place.rank, place.of, place.tied, old.rank if old else None)
        gap = biggest_gap(area.key, voices, names)
        rows.append(OrderRow(area.key, area.name, area.group, standings, gap))
    return tuple(sorted(rows, key=_by_market))


def _by_market(row: OrderRow) -> tuple[float, ...]:
    never = float("inf")
    ranks = {name: float(standing.rank) for name, standing in row.standings.items()}
    return tuple(ranks.get(name, never) for name in ("market", "trend", "internal"))


def _disputes(
    result: Orderings,
    catalogue: Catalogue,
    subjects: Mapping[Name, Subject],
    model_ranges: Ranges,
    areas: frozenset[str] | None = None,
) -> tuple[Dispute, ...]:
    """The pairs on which two voices stand apart most, each with an interval where the voice has one.

    ``areas``: only pairs with one of them.
    """
    names = {area.key: area.name for area in result.areas}
    pairs = [
        (comparison, pair)
        for comparison in result.comparisons
        if "market" in (comparison.a, comparison.b) or "panel" in (comparison.a, comparison.b)
        for pair in comparison.disagreements
        if areas is None or areas & {pair.first, pair.second}
    ]
    pairs.sort(key=lambda one: (-abs(one[1].p_a - one[1].p_b), one[0].a, one[1].first, one[1].second))
    told = _spread(pairs)
    ranges = model_ranges() if told else {}
    found: list[Dispute] = []
    for comparison, pair in told:
        used = {known.action for known in found}
        range_a, range_b = (
            _range(result.voices[name], pair, ranges) for name in (comparison.a, comparison.b)
        )
        found.append(
            Dispute(
                names[pair.first],
                names[pair.second],
                comparison.a,
                pair.p_a,
                range_a,
                comparison.b,
                pair.p_b,
                range_b,
                pair.weeks,
                _action(result, pair, subjects, used),
                _ours(catalogue, pair),
            )
        )
    return tuple(found)


def _spread(pairs: Sequence[tuple[Comparison, Disagreement]]) -> list[tuple[Comparison, Disagreement]]:
    """The widest first, each pair once and no area more than twice: else one odd area fills the list."""
    told: dict[frozenset[str], tuple[Comparison, Disagreement]] = {}
    for comparison, pair in pairs:
        both = frozenset((pair.first, pair.second))
        areas = [area for known in told for area in known]
        if both not in told and max(areas.count(area) for area in both) < 2:
            told[both] = (comparison, pair)
    return list(told.values())[:DISPUTES_TOLD]


def _range(
    voice: Voice, pair: Disagreement, ranges: Mapping[tuple[str, str], tuple[float, float]]
) -> tuple[float, float] | None:
    if voice.name == "internal":
        return ranges.get((pair.first, pair.second))
    return voice.p_before_ci90.get(pair.first, {}).get(pair.second)


def _model_ranges(result: Orderings, catalogue: Catalogue) -> dict[tuple[str, str], tuple[float, float]]:
    """By pair the least and the greatest probability over all declared versions of the factor model."""
    voices = [
        rank_version(version, noise=Noise(draws=VERSION_DRAWS), groups=catalogue.groups)
        for version in model_versions(result.table, catalogue.groups).values()
    ]
    areas = list(catalogue.groups)
    found = {}
    for a in areas:
        for b in areas:
            chances = [voice.p_before[a][b] for voice in voices if a != b and b in voice.p_before.get(a, {})]
            if chances:
                found[a, b] = (min(chances), max(chances))
    return found


def _action(
    result: Orderings, pair: Disagreement, subjects: Mapping[Name, Subject], used: Collection[Subject | None]
) -> Subject | None:
    """The question that weighs most in the market's view of either area, if possible one not named before."""
    bearing = [item for item in result.voices["market"].evidence if item.area in (pair.first, pair.second)]
    candidates = []
    for item in sorted(bearing, key=lambda item: (-item.weight, item.question)):
        platform, _, rest = item.question.partition(":")
        subject = subjects.get((platform, rest)) or subjects.get((platform, rest.rpartition(":")[0]))
        if subject is not None and subject.url:
            candidates.append(subject)
    unused = [subject for subject in candidates if subject not in used]
    return next(iter([*unused, *candidates]), None)


def _ours(catalogue: Catalogue, pair: Disagreement) -> str:
    """Our ordering question on a pair, the one with the highest level."""
    found = [
        question
        for question in catalogue.questions.values()
        if question.ordering is not None
        and {question.ordering.a, question.ordering.b} == {pair.first, pair.second}
    ]
    level = {question.id: question.threshold.value if question.threshold else 0.0 for question in found}
    return max(level, key=lambda name: (level[name], name), default="")


# movers -------------------------------------------------------------------------------------------


def _mover(
    store: Store,
    move: Move,
    subjects: Mapping[Name, Subject],
    infos: tuple[Mapping[Name, QuestionInfo], Mapping[Name, QuestionInfo]],
    opinions: Mapping[LinkKey, tuple[Opinion, ...]],
    at: datetime,
) -> Mover:
    key = move.key
    subject = subjects[key.platform, key.external_id]
    if key.outcome != "yes":
        subject = replace(subject, title=f"{subject.title}: {key.outcome}")
    return Mover(
        subject,
        key.source,
        chance(move.previous),
        chance(move.now),
        move.z,
        move.weeks,
        move.now.snapshot.forecasters,
        move.previous.snapshot.forecasters,
        move_causes(store, move, infos, at),
        opinions.get((key.platform, key.external_id, key.outcome), ()),
        raws_of(move.previous, move.now),
    )


# calibration, charts, reasons ---------------------------------------------------------------------


def _calibration(store: Store, catalogue: Catalogue, at: datetime) -> CalibrationReport | None:
    forecasts = stored_forecasts(
        store, catalogue, lead_days=(CALIBRATION_LEAD_DAYS,), now=at, known_at=at, pending=False
    )
    if not len(forecasts):
        return None
    return calibrate(forecasts, group_by=("forecaster",), bins=5, shape=False)


def _records(report: CalibrationReport | None) -> tuple[ReliabilityReport, ...]:
    """Everybody together, then each forecaster by number of questions."""
    if report is None:
        return ()
    whole = reliability_report("all", report)
    groups = [reliability_report(", ".join(group.group.values()), group) for group in report.groups]
    told = sorted((g for g in groups if g is not None), key=lambda g: (-g.n_questions, g.name))
    return () if whole is None else (whole, *told)


def _charts(
    result: Orderings, store: Store, record: CalibrationReport | None, seed: int, period: Period
) -> Charts:
    now, then = (
        tuple(store.measurements(TREND_SERIES, TREND_SELECTION.metric, known_at=at))
        for at in (period.at, period.since)
    )
    outlook = None
    if result.mixture is not None:
        futures = simulate(result.mixture.members, seed=seed, records=False)
        passages = tuple(
            passage(futures, minutes, ceiling=TREND_SELECTION.max_minutes) for minutes in THRESHOLDS_MINUTES
        )
        outlook = Outlook(fan(futures, (0.80,)), passages, "mixture of trend shapes")
    return Charts(
        tuple(voice for voice in result.voices.values() if voice.ranking),
        result.areas,
        now,
        then,
        outlook,
        reliability_report("all", record) if record is not None else None,
    )


def _missing(
    result: Orderings, any_stored: bool, n_before: int, n_followed: int, store: Store
) -> dict[str, str]:
    """Why a part is empty: what there is not yet, or that nothing was found."""
    reasons = {
        "movers": "No followed question moved beyond its usual noise.",
        "disputes": "No two voices stand on opposite sides of a pair.",
        "closing": "No followed question closes within 14 days.",
        "resolved": "No followed question resolved.",
        "overdue": "No question is overdue.",
        "calibration": "No followed question has run its course and resolved Yes or No yet.",
        "trends": "No series was published anew.",
    }
    if not any_stored:
        reasons |= {
            "movers": "No community value is stored yet: `speedup pull` collects them.",
            "resolved": "No outcome is stored yet.",
            "overdue": "What is overdue is told once questions have been asked about.",
        }
    elif not n_before:
        reasons["movers"] = (
            f"Nothing followed had a value a week ago: what moves is told of the {counted(n_followed, 'question')} "
            "followed now once they have a past."
        )
    if not store.series_ids():
        reasons["trends"] = "No series is stored yet: `speedup pull metr` collects METR's."
    if sum(bool(voice.ranking) for voice in result.voices.values()) < 2:
        reasons["disputes"] = "Fewer than two voices have a view: there is nothing to compare."
    return reasons
