"""Where people say yes or no to mail: ``/confirm/TOKEN`` and ``/unsubscribe/TOKEN``.

A GET shows a button, because programs follow links too; a POST acts at once, as RFC 8058 wants of the one that
mail programs send. Nobody is named on any page, and every token that is not good gets the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from storage.mailing import Recipient, RecipientState
from storage.store import Store
from tracker.config import Settings
from tracker.mail.links import (
    CONFIRM_PATH,
    TOKEN_LENGTH,
    UNSUBSCRIBE_PATH,
    confirm_token,
    meant,
    same_token,
    unsubscribe_token,
)
from tracker.mail.recipients import change, listed, options_from, promised, standing

Page = tuple[HTTPStatus, str, str]
_TOKEN = re.compile(rf"({CONFIRM_PATH}|{UNSUBSCRIBE_PATH})([0-9a-f]{{{TOKEN_LENGTH}}})")
HTML = "text/html; charset=utf-8"


class Desk:
    """Answers for links. ``host``: under which name people reach it, besides this machine's own."""

    def __init__(
        self, settings: Settings, open_store: Callable[[], Store], now: Callable[[], datetime]
    ) -> None:
        self._settings, self._open, self._now = settings, open_store, now
        self._secret = settings.secret_of("mail_secret") or ""
        base = urlsplit(settings.mail_base_url)
        self.host, self._path = base.netloc.lower(), base.path.rstrip("/")

    def serves(self, path: str) -> bool:
        """Whether a path is for here."""
        own = path.removeprefix(self._path)
        return bool(self.host) and own.startswith((CONFIRM_PATH, UNSUBSCRIBE_PATH))

    def __call__(self, path: str, *, act: bool) -> Page:
        match = _TOKEN.fullmatch(path.removeprefix(self._path))
        if match is None:
            return _unknown()
        store = self._open()
        try:
            if match[1] == UNSUBSCRIBE_PATH:
                return self._unsubscribe(store, match[2], act=act)
            return self._confirm(store, match[2], act=act)
        finally:
            store.close()

    def _known(self, store: Store, token: str) -> list[Recipient]:
        addresses = [one.recipient.address for one in listed(store, self._settings)]
        found = (standing(store, self._settings, address) for address in meant(token, addresses))
        return [one for one in found if one is not None]

    def _unsubscribe(self, store: Store, token: str, *, act: bool) -> Page:
        for known in self._known(store, token):
            if same_token(token, unsubscribe_token(self._secret, known.address)):
                if not act and known.state is not RecipientState.UNSUBSCRIBED:
                    return _page("Stop all mail from us, the digest and alerts?", button="Stop it")
                change(
                    store,
                    self._settings,
                    known.address,
                    RecipientState.UNSUBSCRIBED,
                    self._now(),
                    "link",
                )
                return _page("You get no more mail from us.")
        return _unknown()

    def _confirm(self, store: Store, token: str, *, act: bool) -> Page:
        for known in self._known(store, token):
            if known.state is not RecipientState.PENDING:
                continue
            if same_token(token, confirm_token(self._secret, known.address, known.at)):
                if not act:
                    what = promised(options_from(known.options))
                    return _page(f"Get mail from us: {what}?", button="Yes, send it")
                change(store, self._settings, known.address, RecipientState.CONFIRMED, self._now(), "link")
                return _page("Thank you: you get our mail from now on.")
        return _unknown()


def _unknown() -> Page:
    return _page(
        "This link is not good, or not any more. To get no more mail, answer one and say so.",
        status=HTTPStatus.NOT_FOUND,
    )


def _page(text: str, *, button: str = "", status: HTTPStatus = HTTPStatus.OK) -> Page:
    form = f'<form method="post"><button type="submit">{button}</button></form>' if button else ""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Speedup Tracker</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"</head><body><main><h1>Speedup Tracker</h1><p>{text}</p>{form}</main></body></html>\n"
    )
    return status, HTML, html
