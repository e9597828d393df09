"""Whether the data can be trusted this week, from records that keep both their times.

The table of sources' present state is left alone: it is overwritten, so a digest made again later would differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from questions.catalogue import Catalogue
from questions.records import QuestionState
from questions.series import record_of
from questions.time import iso
from storage.records import RunState, Standing
from storage.store import Store
from tracker.collect import period_of
from tracker.config import Settings
from tracker.digest.content import DataHealth, SourceState
from tracker.digest.period import Period
from tracker.freshness import Standing as Freshly, freshness
from tracker.health import views
from tracker.jobs import COLLECTED, PREFIX

LATE = 2  # periods without a word before a source counts as stale
HEARD = (RunState.DONE, RunState.PARTIAL)
GRAVE = (QuestionState.NOT_PERMITTED, QuestionState.CHANGED_SHAPE, QuestionState.GONE, QuestionState.STALE)
LEDGER = timedelta(days=31)


def data_health(store: Store, catalogue: Catalogue, settings: Settings, period: Period) -> DataHealth:
    """How every source and question was at the end of the week, and what went wrong in it."""
    at = period.at
    standing = store.question_health(known_at=at)
    resolutions = store.resolutions(known_at=at)
    looked = views(
        catalogue.links,
        standing,
        store.infos(known_at=at),
        resolutions,
        now=at,
        overdue_after=timedelta(days=settings.links.overdue_days),
    )
    asked = {(one.health.platform, one.health.external_id) for one in standing}
    states = Counter(one.state.value for one in looked if (one.platform, one.external_id) in asked)
    heard = _heard(store, catalogue, standing, at)
    sources = [
        _state(name, heard[name], standing, LATE * period_of(source, settings), at)
        for name, source in COLLECTED.items()
        if name in heard
    ]
    drifts = store.drifts(known_at=at)
    fresh = [drift for drift in drifts if drift.seen_first > period.since]
    return DataHealth(
        tuple(sources),
        tuple(name for name in COLLECTED if name not in heard),
        dict(sorted(states.items())),
        tuple(
            (gap.source, gap.start, gap.end, gap.reason)
            for gap in store.gaps()
            if period.since < gap.end <= at  # it is written down when it is over
        ),
        _quarantined(store, at),
        tuple(
            (one.source, one.place, f"{one.kind.value.replace('_', ' ')} {one.detail}".strip())
            for one in fresh
        ),
        len(drifts),
        _frozen(store, catalogue, at),
    )


def _heard(
    store: Store, catalogue: Catalogue, standing: list[Standing], at: datetime
) -> dict[str, datetime | None]:
    """By source, when it last answered; None for one that was asked and never did."""
    heard: dict[str, datetime | None] = {}

    def note(name: str, when: datetime | None) -> None:
        known = heard.get(name)
        heard[name] = when if known is None else known if when is None else max(known, when)

    for one in standing:
        silent = one.health.state in (QuestionState.STALE, QuestionState.NOT_PERMITTED)
        note(one.health.source, None if silent else one.seen_last)
    for series in store.series_ids():
        record = record_of(series, catalogue.series)
        versions = store.versions(series, known_at=at)
        if record is not None and versions:
            note(record.source, max(version.seen_last for version in versions))
    for run in store.runs(since=at - LEDGER):
        name = run.job.removeprefix(PREFIX)
        ended = run.finished_at
        if run.job.startswith(PREFIX) and ended is not None and ended <= at:
            note(name, ended if run.state in HEARD else None)
    return heard


def _state(
    name: str, heard: datetime | None, standing: list[Standing], late: timedelta, at: datetime
) -> SourceState:
    own = [one.health for one in standing if one.health.source == name]
    refused = sum(health.state is QuestionState.NOT_PERMITTED for health in own)
    if refused and refused == len(own):
        return SourceState(name, heard, "not permitted", own[0].message)
    if heard is None:
        return SourceState(name, None, "never answered", own[0].message if own else "")
    if at - heard > late:
        return SourceState(name, heard, "stale", f"nothing heard since {iso(heard.replace(microsecond=0))}")
    changed = sum(health.state is QuestionState.CHANGED_SHAPE for health in own)
    if changed:
        return SourceState(name, heard, "changed shape", f"{changed} of its questions cannot be read")
    return SourceState(name, heard, "ok")


def _quarantined(store: Store, at: datetime) -> Mapping[str, int]:
    """Payloads that could not be read by then, by source."""
    waiting = {
        (entry.source, entry.payload_sha256)
        for entry in store.quarantined(unresolved_only=False)
        if entry.at <= at and (entry.resolved_at is None or entry.resolved_at > at)
    }
    return dict(sorted(Counter(source for source, _ in waiting).items()))


def _frozen(store: Store, catalogue: Catalogue, at: datetime) -> tuple[tuple[str, str], ...]:
    found = []
    for series in store.series_ids():
        fresh = freshness(
            record_of(series, catalogue.series),
            store.versions(series, known_at=at),
            store.measurements(series, known_at=at),
            at,
        )
        if fresh.standing is Freshly.FROZEN:
            found.append((series, f"{fresh.reason}; no change there is no news of progress"))
        elif fresh.standing is Freshly.CHANGED:
            found.append((series, f"{fresh.reason}: look at it"))
    return tuple(found)
