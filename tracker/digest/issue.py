"""A week's digest from start to end, for whoever shows it, sends it or keeps it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from questions.catalogue import Catalogue
from storage.store import Store
from tracker.config import Settings
from tracker.digest.build import build_digest
from tracker.digest.layout import where
from tracker.digest.period import Period
from tracker.digest.render import Footer, mail_content
from tracker.mail.content import UNSUBSCRIBE, MailContent
from tracker.orderings import Orderings

SENT = Footer(
    "You get this because this address is on the list of recipients of these digests.", "weekly", UNSUBSCRIBE
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
) -> MailContent:
    """The digest of a period as a mail; the arguments are those of ``build_digest`` and ``mail_content``."""
    digest = build_digest(store, catalogue, settings, period, skipped=skipped, known=known)
    return mail_content(digest, places=where(settings.digest_url, period.label), footer=footer)


def builder(
    catalogue: Catalogue, settings: Settings
) -> Callable[[Store, str, datetime, tuple[str, ...]], MailContent]:
    """What the sending side calls: (store, name of the week, as known at, weeks skipped before it) to a mail with the
    mark where each recipient's own link to unsubscribe goes."""

    def build(store: Store, week: str, at: datetime, skipped: tuple[str, ...]) -> MailContent:
        return digest_mail(store, catalogue, settings, Period(week, at), skipped=skipped, footer=SENT)

    return build
