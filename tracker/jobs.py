"""What the program does, each thing as a function of its inputs: the only place where parts meet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from questions.catalogue import Catalogue
from questions.model import Link
from storage.records import RawPayload, RunState
from storage.store import Store
from tracker.collect import HISTORY, Collector, Fetcher, ReportError, SourceReport, period_of
from tracker.config import Settings
from tracker.curated import NAME as CURATED, Curated
from tracker.errors import SourceError, UsageError
from tracker.schedule import Every
from tracker.source import Parsed, Plan, Source, SourceTraits
from tracker.sources import SOURCES
from tracker.work import Done, Job, due, execute, last_finished

PREFIX = "poll:"
PAST = "past:"
#: With a history to fetch, however short, sources ask for each question by itself, with all it tells.
LOOK_BACK = timedelta(days=1)
#: Everything that is collected: what is asked for, and the curated tables, which are at hand.
COLLECTED: Mapping[str, Source] = MappingProxyType({**SOURCES, CURATED: Curated()})


def links_of(source: Source, catalogue: Catalogue) -> tuple[Link, ...]:
    """The catalogue's links whose platform this source delivers."""
    return tuple(link for link in catalogue.links if link.platform in source.traits.platforms)


def choose(names: Sequence[str], sources: Mapping[str, Source]) -> tuple[Source, ...]:
    """The named sources in registry order (all when none is named). UsageError for an unknown name."""
    unknown = [name for name in names if name not in sources]
    if unknown:
        raise UsageError(f"no source named {', '.join(unknown)}; there are: {', '.join(sources)}")
    return tuple(source for name, source in sources.items() if not names or name in names)


def pull(
    sources: Sequence[Source],
    catalogue: Catalogue,
    *,
    store: Store,
    client: Fetcher,
    settings: Settings,
    now: Callable[[], datetime],
    since: datetime | None = None,
) -> list[SourceReport]:
    """Poll the sources once, one after the other; what one of them does never stops the next."""
    return [
        _poll(Collector(store, source, client, settings, now), links_of(source, catalogue), since)
        for source in sources
    ]


def look(
    sources: Mapping[str, Source],
    catalogue: Catalogue,
    links: Sequence[Link],
    *,
    store: Store,
    client: Fetcher,
    settings: Settings,
    now: Callable[[], datetime],
) -> list[SourceReport]:
    """Ask for each of these questions by itself, with its text, and store what is said, as a poll does.

    Asked is the source of the question's own platform; where there is none, whoever tells of it. A source that
    has links whose history was never asked for or is still owed is polled for all of its links first, as ever:
    that poll asks for the history, and writes down what does not come.
    """
    reports = []
    for source in _tellers(sources, links):
        mine = [link for link in links if link.platform in source.traits.platforms]
        again = [
            link for link in mine if source.traits.backfill_per_link and _whole_past(link, source, store)
        ]
        if len(again) < len(mine):
            collector = Collector(store, source, client, settings, now)
            reports.append(_poll(collector, links_of(source, catalogue)))
        if again:
            each = _ByItself(source, source.traits, source.parser_version)
            reports.append(_poll(Collector(store, each, client, settings, now), again))
    return reports


def _whole_past(link: Link, source: Source, store: Store) -> bool:
    """Whether a source has told of a question, with its history."""
    owed = {line for run in store.runs(HISTORY + source.traits.name) for line in run.message.splitlines()}
    told = store.streams(link.platform, link.external_id)
    return any(key.source == source.traits.name for key in told) and (
        f"{link.platform}:{link.external_id}" not in owed
    )


@dataclass
class _ByItself:
    """A source whose polls ask for every question by itself."""

    source: Source
    traits: SourceTraits
    parser_version: str

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        return self.source.plan(links, now, now - LOOK_BACK if since is None else since)

    def parse(self, raw: RawPayload) -> Parsed:
        return self.source.parse(raw)


def _tellers(sources: Mapping[str, Source], links: Sequence[Link]) -> tuple[Source, ...]:
    """The sources to ask about these links, in registry order."""
    platforms = {link.platform for link in links}
    orphans = platforms - set(sources)
    return tuple(
        source
        for name, source in sources.items()
        if name in platforms or orphans.intersection(source.traits.platforms)
    )


def failures(
    sources: Mapping[str, Source], links: Sequence[Link], reports: Sequence[SourceReport]
) -> dict[tuple[str, str], str]:
    """Why a question could not be fetched, by (platform, external_id); what failed as a whole, for each."""
    found: dict[tuple[str, str], str] = {}
    for report in reports:
        for error in report.errors:
            refs = set(re.split("[,?]", error.ref))
            for link in links:
                told = link.platform in sources[report.source].traits.platforms
                if told and ("*" in refs or link.external_id in refs):
                    found.setdefault((link.platform, link.external_id), error.message)
    return found


def _poll(collector: Collector, links: Sequence[Link], since: datetime | None = None) -> SourceReport:
    """One source's poll; what goes wrong with the source is its own line, whatever it is."""
    try:
        return collector.run(links, since)
    except SourceError as error:
        report = SourceReport(collector.source.traits.name, status="failed")
        report.errors.append(ReportError(error.ref, error.kind, error.message, error.retry))
        return report


def poll_job(
    source: Source,
    catalogue: Catalogue,
    *,
    client: Fetcher,
    settings: Settings,
    now: Callable[[], datetime],
) -> Job:
    """The polling of one source: the present slot only, because a current value cannot be fetched later."""
    name = source.traits.name
    period = period_of(source, settings)

    def run(store: Store, _slot: datetime) -> Done:
        collector = Collector(store, source, client, settings, now)
        return _done(_poll(collector, links_of(source, catalogue)))

    job = PREFIX + name
    return Job(job, Every(job, period), run, lane=name, source=name, period=period)


def history_job(
    source: Source,
    catalogue: Catalogue,
    *,
    client: Fetcher,
    settings: Settings,
    now: Callable[[], datetime],
) -> Job:
    """What a source tells of the time since the last such look was finished, a little more than that; weekly.

    After a pause of whatever length all of it is asked for at once: one slot, however many went by.
    """
    name = source.traits.name
    job, period = PAST + name, timedelta(days=7)

    def run(store: Store, slot: datetime) -> Done:
        last = last_finished([run for run in store.runs(job) if run.slot < slot])
        if last is None and not any(run.slot < slot for run in store.runs(PREFIX + name)):
            return Done(RunState.DONE, "nothing yet: the first poll asks for the whole past")
        since = (slot - period if last is None else last.slot) - LOOK_BACK
        collector = Collector(store, source, client, settings, now)
        return _done(_poll(collector, links_of(source, catalogue), since))

    return Job(job, Every(job, period), run, lane=name)


def run_due(
    sources: Sequence[Source],
    catalogue: Catalogue,
    *,
    store: Store,
    client: Fetcher,
    settings: Settings,
    now: Callable[[], datetime],
) -> list[SourceReport]:
    """Run every poll that is due now, each under its own line in the ledger; missed slots become gaps."""
    reports = []
    for source in sources:
        job = poll_job(source, catalogue, client=client, settings=settings, now=now)
        for slot in due(job, store, now()):
            done = execute(job, slot, store, now)
            if done is not None and done.report is not None:
                reports.append(done.report)
    return reports


def _done(report: SourceReport) -> Done:
    return Done(_ledger_state(report), _first_error(report), report)


def _ledger_state(report: SourceReport) -> RunState:
    return {
        "ok": RunState.DONE,
        "partial": RunState.PARTIAL,
        "not_permitted": RunState.PARTIAL,
    }.get(report.status, RunState.FAILED)


def _first_error(report: SourceReport) -> str:
    return f"{report.errors[0].ref}: {report.errors[0].message}" if report.errors else ""
