"""The daemon's alerts: what changed is found and queued, and webhooks are told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from questions.catalogue import Catalogue
from questions.time import iso
from storage.mailing import Channel
from storage.records import RunState
from storage.store import Store
from tracker.config import Settings
from tracker.daemon.mailing import EACH, NEVER
from tracker.mail.delivery import drain
from tracker.schedule import Every
from tracker.source import Source
from tracker.work import Done, Job

if TYPE_CHECKING:
    from tracker.alerts.webhooks import Poster

NAME = "alerts"


def alerts_job(
    settings: Settings, catalogue: Catalogue, sources: Mapping[str, Source], now: Callable[[], datetime]
) -> Job:
    """What changed, as known at each slot; then what is to go out now. Broken off between the two, nothing is lost:
    what was found is kept, and the next run queues it."""

    def run(store: Store, slot: datetime) -> Done:
        from tracker.alerts.dispatch import carry_out, plan
        from tracker.alerts.evaluate import ahead, evaluate, record
        from tracker.report.wording import counted

        later = ahead(store, slot)
        found = evaluate(store, catalogue, settings, sources, slot)
        new = record(store, found)
        made = plan(store, settings, now())
        queued = carry_out(store, settings, made)
        said = f"{counted(new, 'new alert')}, {len(made.told)} told in {counted(queued, 'message')}"
        wrong = list(found.failed)
        if later is not None and later > slot:
            wrong.append(
                f"what changes before {iso(later)} is not told: a clock was ahead when it was last looked"
            )
        parts = [said, *([f"{made.waiting} wait: {made.held}"] if made.waiting else []), *wrong]
        return Done(RunState.PARTIAL if wrong else RunState.DONE, "; ".join(parts))

    return Job(NAME, Every(NAME, timedelta(minutes=settings.alerts.every_minutes)), run, lane=NAME)


def webhook_job(
    settings: Settings, client: Poster, now: Callable[[], datetime], stop: threading.Event
) -> Job:
    """Posting what is due. It is not run, and leaves no line in the ledger, while nothing is."""

    def run(store: Store, _slot: datetime) -> Done:
        from tracker.alerts.webhooks import Webhooks

        done = drain(store, Channel.WEBHOOK, Webhooks(settings, client, now), now, stop)
        return Done(RunState.FAILED if done.trouble else RunState.DONE, str(done))

    def held(store: Store) -> datetime | None:
        return store.next_letter_at(Channel.WEBHOOK) or NEVER

    return Job("webhooks", Every("webhooks", EACH), run, lane="webhooks", held=held)


def alert_jobs(
    settings: Settings,
    catalogue: Catalogue,
    sources: Mapping[str, Source],
    client: Poster,
    now: Callable[[], datetime],
    stop: threading.Event,
) -> Sequence[Job]:
    """Alerts first, so that a single pass sends what it has just found."""
    return (alerts_job(settings, catalogue, sources, now), webhook_job(settings, client, now, stop))
