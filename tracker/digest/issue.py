"""A week's digest from start to end, for whoever shows it, sends it or keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from questions.catalogue import Catalogue
from storage.store import Store
from tracker.config import Settings
from tracker.digest.build import Desk, look_through
from tracker.digest.layout import Where, where
from tracker.digest.period import Period
from tracker.digest.reading import unswept
from tracker.digest.render import Footer, mail_content
from tracker.mail.content import UNSUBSCRIBE, MailContent, Taste
from tracker.mail.message import Mailing, Sender
from tracker.mail.sending import DIGEST
from tracker.orderings import Orderings

REASON = "You get this because this address is on the list of recipients of these digests."
FREQUENCIES = {
    "weekly": "weekly",
    "monthly": "monthly, the first week of each month; this one tells of its seven days",
}
SENT = Footer(REASON, "weekly", UNSUBSCRIBE)


@dataclass(frozen=True)
class DigestMail(MailContent):
    """The whole digest as a mail, and how to tell it to somebody who chose."""

    desk: Desk | None = field(default=None, compare=False, repr=False)
    places: Where = field(default_factory=Where, compare=False, repr=False)
    footer: Footer = field(default_factory=Footer, compare=False, repr=False)

    def for_taste(self, taste: Taste) -> MailContent:
        """The same week told to somebody who chose."""
        if self.desk is None:
            return self
        footer = replace(self.footer, frequency=FREQUENCIES.get(taste.frequency, taste.frequency))
        return mail_content(
            self.desk.digest(taste), places=self.places, footer=footer, images=self.images or None
        )


def digest_mail(
    store: Store,
    catalogue: Catalogue,
    settings: Settings,
    period: Period,
    *,
    skipped: tuple[str, ...] = (),
    footer: Footer | None = None,
    known: Orderings | None = None,
) -> DigestMail:
    """The digest of a period as a mail; the arguments are those of ``look_through`` and ``mail_content``."""
    places, chosen = where(settings.digest_url, period.label), footer or Footer()
    with unswept():
        desk = look_through(store, catalogue, settings, period, skipped=skipped, known=known)
        said = mail_content(desk.whole, places=places, footer=chosen)
    return DigestMail(said.subject, said.text, said.html, said.images, desk, places, chosen)


def preview_message(content: MailContent, period: Period, settings: Settings) -> bytes:
    """The digest as it would travel, to nobody and dated by its own time: the same bytes whenever it is made."""
    sender = Sender(settings.mail_from or "speedup-tracker@preview.invalid")
    name = f"{DIGEST}:{period.label}"
    mailing = Mailing(content, sender, name, DIGEST, period.label, "preview", period.at, period.at)
    return mailing.letter("you@preview.invalid").body


def builder(
    catalogue: Catalogue, settings: Settings
) -> Callable[[Store, str, datetime, tuple[str, ...]], MailContent]:
    """What the sending side calls: (store, name of the week, as known at, weeks skipped before it) to a mail with the
    mark where each recipient's own link to unsubscribe goes."""

    def build(store: Store, week: str, at: datetime, skipped: tuple[str, ...]) -> MailContent:
        return digest_mail(store, catalogue, settings, Period(week, at), skipped=skipped, footer=SENT)

    return build
