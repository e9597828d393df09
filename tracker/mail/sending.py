"""The week's digest to everybody who wants it, and asking somebody whether they do.

What is built is archived and queued in one transaction, one letter for each recipient under a key that holds the
week and the recipient: building or queueing it again adds nothing, and what was queued is sent until it arrived
or is three days old.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from questions.time import utc
from storage.mailing import Issue, LetterState, Picture, Recipient, RecipientState
from storage.store import Store
from tracker.config import Settings
from tracker.errors import UsageError
from tracker.mail.content import InlineImage, MailContent
from tracker.mail.message import Mailing, Sender
from tracker.mail.recipients import digest_addresses, monday_of, standing
from tracker.schedule import LocalTime

DIGEST = "digest"
LATE = timedelta(days=3)
WEEK = timedelta(days=7)

Build = Callable[[Store, str, datetime, tuple[str, ...]], MailContent]
"""Builds a digest: (store, week, as known at, weeks before it that were skipped) -> what it says."""


def week_of(moment: datetime | date) -> str:
    """The ISO week of a day, which is what its digest is called.

    >>> week_of(date(2027, 1, 3))
    '2026-W53'
    """
    year, week, _ = moment.isocalendar()
    return f"{year}-W{week:02}"


def week_of_slot(slots: LocalTime, slot: datetime) -> str:
    """The week that most of the seven days before a slot lie in, where its people live.

    By the clock on the wall, so that no change to it gives two slots one week.
    """
    return week_of(slot.astimezone(slots.zone).replace(tzinfo=None) - WEEK / 2)


def skipped_weeks(store: Store, week: str) -> tuple[str, ...]:
    """The weeks since the last digest before this one that reached anybody: nothing was sent for them."""
    made = [one for one in store.issue_weeks() if one < week]
    found: list[str] = []
    day = monday_of(week) - WEEK
    while made and week_of(day) >= made[0] and (week_of(day) not in made or _reached_nobody(store, day)):
        found.append(week_of(day))
        day -= WEEK
    return tuple(reversed(found))


def _reached_nobody(store: Store, monday: date) -> bool:
    """Whether a digest was to be sent, and its time was over before anybody had it or their server had refused it."""
    letters = store.letters(kind=DIGEST, period=week_of(monday))
    if not letters or any(one.state is LetterState.SENT for one in letters):
        return False
    over = datetime.combine(monday + 2 * WEEK, time(), UTC)
    return any(one.state is not LetterState.DEAD and one.expires_at <= over for one in letters)


def issue_of(week: str, as_of: datetime, made_at: datetime, content: MailContent) -> Issue:
    """A digest as it is archived."""
    pictures = tuple(Picture(one.cid, one.filename, one.png, one.alt) for one in content.images)
    return Issue(week, as_of, made_at, content.subject, content.text, content.html, pictures)


def content_of(issue: Issue) -> MailContent:
    """What an archived digest says, to be sent to one more."""
    images = tuple(InlineImage(one.cid, one.filename, one.png, one.alt) for one in issue.pictures)
    return MailContent(issue.subject, issue.text, issue.html, images)


@dataclass(frozen=True)
class Queued:
    """What queueing a digest came to: whether it is new in the archive, its recipients, letters that are new."""

    week: str
    made: bool
    recipients: int
    letters: int

    def __str__(self) -> str:
        made = "" if self.made else " (made before)"
        return f"{self.week}{made}: {self.letters} letters queued for {self.recipients} recipients"


def send_digest(
    store: Store,
    settings: Settings,
    build: Callable[[], MailContent],
    week: str,
    as_of: datetime,
    now: datetime,
    expires_at: datetime,
) -> Queued:
    """Archive the week's digest and queue it for everybody who wants it and has not got it queued yet.

    A week that has a digest keeps it: that one is queued for whoever came since, and ``build`` is not called.
    """
    if not re.fullmatch(r"\d{4}-W\d{2}", week):
        raise UsageError(f"{week!r} is no week such as 2026-W47")
    new = None if store.issues(week) else issue_of(week, as_of, now, build())
    with store.together():
        known = store.issues(
            week
        )  # looked at again: building takes its time, and somebody may have been quicker
        made = not known and new is not None and store.add_issue(new)
        issue = store.issues(week)[0]
        mailing = Mailing(
            content_of(issue),
            Sender.of(settings),
            f"{DIGEST}:{week}",
            DIGEST,
            week,
            "weekly",
            issue.made_at,
            expires_at,
        )
        addresses = digest_addresses(store, settings, week) if settings.mail_from else []
        queued = store.queue_letters(mailing.letter(address) for address in addresses)
    return Queued(week, made, len(addresses), queued)


def expiry(slots: LocalTime, slot: datetime) -> datetime:
    """Until when a digest is worth sending: three days after its time, and an hour for one made at the last moment."""
    return min(slots.after(slot), slot + LATE + timedelta(hours=1))


def ask_to_confirm(
    store: Store, settings: Settings, address: str, now: datetime, options: dict[str, object]
) -> Recipient:
    """Keep an address as one that was asked, and queue the question. It gets nothing else until it says yes."""
    known = standing(store, settings, address)
    if known is not None and known.state is RecipientState.CONFIRMED:
        raise UsageError("this address gets mail already; `speedup recipients set` changes what it gets")
    sender = Sender.of(settings)
    asked = Recipient(address, utc(now), RecipientState.PENDING, options, "asked")
    link = sender.confirm_url(address, asked.at)
    if not link:
        raise UsageError(
            "nobody can be asked without SPEEDUP_MAIL_BASE_URL; if the address' owner has agreed,"
            " `speedup recipients add --confirmed` says so"
        )
    from tracker.mail.recipients import options_from, promised

    what = (
        "Somebody, perhaps you, asked for mail from Speedup Tracker to this address:"
        f" {promised(options_from(options))}."
    )
    text = f"{what}\n\nYes, send it:\n{link}\n\nIf it was not you, do nothing: you get no more mail.\n"
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Speedup Tracker</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        '</head><body style="padding: 16px; font-family: Arial, Helvetica, sans-serif">'
        f"<p>{what}</p>"
        f'<p><a href="{link}">Yes, send it</a></p>'
        "<p>If it was not you, do nothing: you get no more mail.</p></body></html>"
    )
    content = MailContent("Speedup Tracker: shall we write to you?", text, html)
    name = f"confirm:{asked.at:%Y%m%dT%H%M%S.%fZ}"
    mailing = Mailing(content, sender, name, "confirm", "", "confirm", asked.at, asked.at + WEEK)
    with store.together():
        store.add_recipient(asked)
        store.queue_letters([mailing.letter(address)])
    return asked


def undelivered(store: Store, states: Iterable[LetterState] = LetterState) -> dict[str, int]:
    """Letters by state, for status."""
    found = {state.value: 0 for state in states}
    for (_, state), number in store.letter_counts().items():
        if state.value in found:
            found[state.value] += number
    return found
