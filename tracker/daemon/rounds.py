"""What the daemon looks at again now and then: histories, the trend, whether links are still what was linked."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from questions.catalogue import Catalogue
from questions.findings import Finding, Severity
from questions.model import Link
from questions.time import iso
from storage.records import RunState
from storage.store import Store
from tracker.collect import Fetcher, SourceReport
from tracker.config import JobSettings, Settings
from tracker.daemon.asking import Stoppable, held_until
from tracker.errors import ConfigError
from tracker.jobs import failures, history_job, links_of, look
from tracker.linkcheck import check_links, sights_of
from tracker.schedule import Every, LocalTime, Shifted, Slots, jitter
from tracker.source import Source
from tracker.work import Done, Job

if TYPE_CHECKING:
    from tracker.estimates.trend import TrendFit

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
NAMED = 5  # findings that a run's message names
ALWAYS = JobSettings()
WORDS = {Severity.ERROR: "errors", Severity.WARNING: "warnings", Severity.ADVICE: "advice"}


def history_jobs(
    sources: Iterable[Source],
    catalogue: Catalogue,
    settings: Settings,
    *,
    client: Fetcher,
    now: Callable[[], datetime],
    stop: threading.Event,
) -> tuple[Job, ...]:
    """For each platform that tells of its past: what it says of the time since the last such look, weekly.

    Polls know the moments of polls only; prices between them, and those of a time in which the program was off
    or the source down, come so. A recorded gap stays one: nothing was observed in it, whatever is told later.
    """
    jobs = []
    for source in sources:
        if not _tells_its_past(source, links_of(source, catalogue), now()):
            continue
        asking = Stoppable(client, stop)
        job = history_job(source, catalogue, client=asking, settings=settings, now=now)
        jobs.append(replace(job, held=_held(source.traits.name)))
    return tuple(jobs)


def _held(source: str) -> Callable[[Store], datetime | None]:
    return lambda store: held_until(store.health().get(source))


def _tells_its_past(source: Source, links: Sequence[Link], now: datetime) -> bool:
    """Whether more is asked of a source when the past week is wanted too."""
    return bool(links) and source.plan(links, now, now - WEEK) != source.plan(links, now, None)


# the trend ----------------------------------------------------------------------------------------


def trend_job() -> Job:
    """The fit to METR's series, daily: what it says now, and what it said before the last revision."""
    return Job("trend", Every("trend", DAY), lambda store, _slot: _trend(store), lane="trend")


def _trend(store: Store) -> Done:
    from tracker.orderings import TREND_SERIES, stored_fit

    versions = store.versions(TREND_SERIES)
    fit = stored_fit(store, None) if versions else None
    if fit is None:
        return Done(RunState.DONE, f"nothing to fit yet in {TREND_SERIES}")
    told = f"{TREND_SERIES} of {iso(versions[-1].seen_first)}: {_said(fit)}"
    if len(versions) > 1 and (before := stored_fit(store, versions[-2].seen_first)) is not None:
        told += f"; before the revision {before.doubling_time_days:.0f} days"
    return Done(RunState.DONE, told)


def _said(fit: TrendFit) -> str:
    low, high = fit.doubling_ci95_days
    between = f"{_days(low)} to {_days(high)}"
    return f"doubles in {fit.doubling_time_days:.0f} days (95 %: {between}; {fit.n} models)"


def _days(value: float | None) -> str:
    return "unbounded" if value is None else f"{value:.0f}"


# links --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _LinkCheck:
    """One look at every linked question; sources that are being left alone are not asked."""

    sources: Mapping[str, Source]
    catalogue: Catalogue
    settings: Settings
    client: Fetcher
    now: Callable[[], datetime]

    def __call__(self, store: Store, _slot: datetime) -> Done:
        left = self._left_alone(store)
        links = [link for link in self.catalogue.links if link.platform not in left]
        sources = {name: source for name, source in self.sources.items() if name not in left}
        reports = look(
            sources, self.catalogue, links,
            store=store, client=self.client, settings=self.settings, now=self.now,
        )  # fmt: skip
        missing = failures(sources, links, reports)
        missing |= {
            (link.platform, link.external_id): f"not asked: {link.platform} is being left alone"
            for link in self.catalogue.links
            if link.platform in left
        }
        sights = sights_of(store, self.catalogue, missing)
        found = check_links(
            self.catalogue, self.catalogue.links, sights, settings=self.settings.links, now=self.now()
        )
        return Done(
            _state(found, reports, left, asked=bool(self.catalogue.links)),
            _summary(found, len(missing), len(sights)),
        )

    def _left_alone(self, store: Store) -> set[str]:
        now, health = self.now(), store.health()
        held = {name: held_until(health.get(name)) for name in self.sources}
        return {name for name, until in held.items() if until is not None and now < until}


def _state(
    found: Sequence[Finding], reports: Sequence[SourceReport], left: Iterable[str], *, asked: bool
) -> RunState:
    """Failed, to be tried again, when nobody answered."""
    if asked and not any(report.status in ("ok", "partial", "not_permitted") for report in reports):
        return RunState.FAILED
    whole = not list(left) and all(report.status in ("ok", "skipped") for report in reports)
    wrong = any(finding.severity is Severity.ERROR for finding in found)
    return RunState.DONE if whole and not wrong else RunState.PARTIAL


def _summary(found: Sequence[Finding], missing: int, questions: int) -> str:
    counts = Counter(finding.severity.value for finding in found)
    parts = [f"{questions} questions"]
    parts += [f"{word} {counts[name]}" for name, word in WORDS.items() if counts[name]]
    parts += [f"{missing} not fetched"] if missing else []
    worst = [f"{one.rule} {one.question}" for one in found if one.severity is Severity.ERROR][:NAMED]
    told = ", ".join(parts)
    return f"{told}: {', '.join(worst)} (`speedup questions check-links --offline`)" if worst else told


def links_job(
    sources: Mapping[str, Source],
    catalogue: Catalogue,
    settings: Settings,
    *,
    client: Fetcher,
    now: Callable[[], datetime],
    stop: threading.Event,
) -> Job:
    """Are the linked questions still those a person linked? Weekly; no poll runs meanwhile."""
    check = _LinkCheck(sources, catalogue, settings, Stoppable(client, stop), now)
    return Job("links", Every("links", WEEK), check, lane="links", also=tuple(sources))


# times --------------------------------------------------------------------------------------------


def timed(jobs: Iterable[Job], settings: Mapping[str, JobSettings]) -> tuple[Job, ...]:
    """The jobs with the times and limits that ``[jobs]`` gives them, without those that are off.

    Raises ConfigError for a name that no job has, and for a poll with times of its own.
    """
    known = tuple(jobs)
    names = {job.name for job in known}
    mistakes = [
        f"jobs.{name}: no such job; there are: {', '.join(sorted(names))}" for name in settings.keys() - names
    ]
    for job in known:
        mine = settings.get(job.name, ALWAYS)
        if job.name.startswith("poll:") and (mine.at or mine.every_hours is not None or mine.jitter_minutes):
            mistakes.append(f"jobs.{job.name}: polls keep the periods of [poll_hours]")
    if mistakes:
        raise ConfigError(sorted(mistakes))
    given = ((job, settings.get(job.name, ALWAYS)) for job in known)
    return tuple(_with_times(job, mine) for job, mine in given if not mine.off)


def _with_times(job: Job, mine: JobSettings) -> Job:
    slots: Slots = job.slots
    if mine.at:
        slots = LocalTime.parse(mine.at)
    elif mine.every_hours is not None:
        slots = Every(job.name, timedelta(hours=mine.every_hours))
    if mine.jitter_minutes:
        slots = Shifted(slots, jitter(job.name, timedelta(minutes=mine.jitter_minutes)))
    limit = job.limit if mine.limit_minutes is None else timedelta(minutes=mine.limit_minutes)
    return replace(job, slots=slots, limit=limit)
