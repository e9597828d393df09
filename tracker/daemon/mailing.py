"""The daemon's mail: the week's digest is built and queued at its time, and the outbox is emptied."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from questions.catalogue import Catalogue
from storage.mailing import Channel
from storage.records import RunState
from storage.store import Store
from tracker.config import Settings
from tracker.errors import Stopped
from tracker.mail.content import MailContent
from tracker.mail.delivery import Carrier, carrier_of, drain
from tracker.mail.recipients import note_refusal, why_not
from tracker.mail.sending import LATE, Build, expiry, send_digest, skipped_weeks, time_of, week_of_slot
from tracker.schedule import Every, LocalTime
from tracker.work import Done, Job

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
EACH = timedelta(minutes=1)


def digest_builder(catalogue: Catalogue, settings: Settings) -> Build:
    """The digest of what is stored, as a mail in which each recipient's own way out stands."""

    def build(store: Store, week: str, as_of: datetime, skipped: tuple[str, ...]) -> MailContent:
        from tracker.digest.issue import builder

        return builder(catalogue, settings)(store, week, as_of, skipped)

    return build


def digest_job(settings: Settings, build: Build, now: Callable[[], datetime]) -> Job:
    """The digest of each week, as known at its slot. One that is more than three days late is not made: the next
    one says so."""
    slots = LocalTime.parse(settings.digest_at)

    def run(store: Store, slot: datetime) -> Done:
        week = week_of_slot(slots, slot)
        at = time_of(store, week, slot)
        built = partial(build, store, week, at, skipped_weeks(store, week))
        queued = send_digest(store, settings, built, week, at, now(), expiry(slots, slot))
        return Done(RunState.DONE, str(queued))

    return Job("digest", slots, run, lane="digest", late=LATE)


class AnyTime:
    """Every instant."""

    def at(self, now: datetime) -> datetime:
        return now

    def after(self, now: datetime) -> datetime:
        return now + timedelta(microseconds=1)


def mail_job(
    settings: Settings,
    now: Callable[[], datetime],
    stop: threading.Event,
    carrier: Callable[[Settings], Carrier | None] = carrier_of,
    *,
    always: bool = False,
) -> Job:
    """Sending what is due. It is not run, and leaves no line in the ledger, while nothing is.

    ``always``: every instant is a slot of its own, for whoever asks for it now.
    """

    def run(store: Store, _slot: datetime) -> Done:
        out = carrier(settings)
        if out is None:
            return Done(RunState.FAILED, "no way out for mail: set SPEEDUP_SMTP_HOST or SPEEDUP_MAIL_DROP")
        try:
            done = drain(
                store,
                Channel.MAIL,
                out,
                now,
                stop,
                welcome=partial(why_not, store, settings),
                refused=lambda letter: note_refusal(store, settings, letter, now()),
            )
        finally:
            out.close()
        if stop.is_set():
            raise Stopped(f"told to end; {done}")
        return Done(RunState.FAILED if done.trouble else RunState.DONE, str(done))

    def held(store: Store) -> datetime | None:
        return store.next_letter_at(Channel.MAIL) or NEVER

    slots = AnyTime() if always else Every("mail", EACH)
    return Job("mail", slots, run, lane="mail", held=held)


def mail_jobs(
    settings: Settings, build: Build, now: Callable[[], datetime], stop: threading.Event
) -> Sequence[Job]:
    """The digest first, so that a single pass sends what it has just made."""
    return (digest_job(settings, build, now), mail_job(settings, now, stop))
