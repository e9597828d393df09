"""A content as messages: one for each recipient, the same bytes whenever it is made from the same things.

Headers are the one place where a hostile title could do harm beyond its own text, so each goes through
``header_text`` (RFC 5322, 2047) and is written here; what the standard library does with long headers differs
between its versions, and so would the bytes.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cached_property

from questions.time import utc
from storage.mailing import Channel, Letter
from tracker.config import Settings
from tracker.mail.content import UNSUBSCRIBE, MailContent
from tracker.mail.links import (
    CONFIRM_PATH,
    TOKEN_LENGTH,
    UNSUBSCRIBE_PATH,
    confirm_token,
    recipient_hash,
    unsubscribe_token,
)

LONGEST_HEADER = 120
NAME = "Speedup Tracker"
_SPACE = dict.fromkeys(map(ord, "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029"), " ")
_UNSEEN = dict.fromkeys(
    [0x061C, 0x00AD, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF]
)
"""Bidirectional controls, and characters of no width that no script needs (joiners stay: emoji and scripts do)."""
_CONTROL, _HALF = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"), re.compile(r"[\ud800-\udfff]")
_ZEROS = "0" * TOKEN_LENGTH


def header_text(text: str, longest: int = LONGEST_HEADER) -> str:
    """A text that can stand in a header and is there what it seems: one line, nothing hidden, no encoded words.

    >>> header_text("Will it?\\r\\nBcc: eve@example.org =?utf-8?q?=0A?=")
    'Will it? Bcc: eve@example.org = ?utf-8?q?=0A?='
    """
    plain = text.translate(_SPACE).translate(_UNSEEN)
    plain = "".join(one for one in plain if unicodedata.category(one) not in ("Cc", "Cs"))
    plain = " ".join(plain.split()).replace("=?", "= ?")
    if len(plain) <= longest:
        return plain
    end = longest - 1
    while end > 0 and (unicodedata.combining(plain[end]) or "\u200d" in plain[end - 1 : end + 1]):
        end -= 1
    return plain[:end].rstrip() + "…"


def body_text(text: str) -> str:
    """A text that can stand in a body: line ends of one kind, no control characters, no half characters."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return _HALF.sub("\ufffd", _CONTROL.sub("", plain))


def encoded(name: str, text: str) -> str:
    """A header as its lines: as it is if it is short ASCII, else in encoded words (RFC 2047); no line over 76."""
    if text.isascii() and len(name) + 2 + len(text) <= 76:
        return f"{name}: {text}\r\n"
    words = Header(text, "utf-8", maxlinelen=75, header_name=name).encode(linesep="\r\n")
    return f"{name}: {words}\r\n"


@dataclass(frozen=True)
class Sender:
    """Who writes, and how a recipient gets rid of it. ``base_url``: empty when nobody reaches us by HTTP."""

    address: str
    base_url: str = ""
    secret: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Sender:
        secret = settings.secret_of("mail_secret") or ""
        return cls(settings.mail_from, settings.mail_base_url, secret)

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @property
    def mailto(self) -> str:
        return f"mailto:{self.address}?subject=unsubscribe"

    def unsubscribe_url(self, address: str) -> str:
        """A recipient's own link; empty without a base."""
        if not self.base_url:
            return ""
        return self.base_url + UNSUBSCRIBE_PATH + unsubscribe_token(self.secret, address)

    def confirm_url(self, address: str, asked_at: datetime) -> str:
        """What says yes for a recipient; empty without a base."""
        if not self.base_url:
            return ""
        return self.base_url + CONFIRM_PATH + confirm_token(self.secret, address, asked_at)


@dataclass(frozen=True)
class Mailing:
    """One content for many recipients. ``name``: its key (``digest:2026-W47``); ``reason``: such as ``weekly``.

    Letters share all bytes but the recipient's headers and link, so that a thousand cost little more than one.
    """

    content: MailContent
    sender: Sender
    name: str
    kind: str
    period: str
    reason: str
    made_at: datetime
    expires_at: datetime

    def key(self, address: str) -> str:
        """Under which a recipient's letter is queued: once, however often it is tried."""
        return f"{self.name}:{recipient_hash(address)}"

    def message_id(self, address: str) -> str:
        """The same for the same mailing and recipient, so that whoever gets it twice can tell."""
        name = re.sub(r"[^A-Za-z0-9-]+", ".", self.name).strip(".")
        return f"<{name}.{recipient_hash(address)}@{self.sender.domain}>"

    def letter(self, address: str) -> Letter:
        """The message to one recipient, ready for the outbox."""
        token = unsubscribe_token(self.sender.secret, address).encode() if self._places else b""
        links = tuple((place, token[start:end]) for place, start, end in self._places)
        return Letter(
            key=self.key(address),
            channel=Channel.MAIL,
            address=address,
            kind=self.kind,
            period=self.period,
            message_id=self.message_id(address),
            shared=self._shared,
            own=((0, self._headers(address)), *links),
            created_at=self.made_at,
            expires_at=self.expires_at,
        )

    def _headers(self, address: str) -> bytes:
        url = self.sender.unsubscribe_url(address)
        lines = [
            f"From: {NAME} <{self.sender.address}>\r\n",
            f"To: <{address}>\r\n",
            encoded("Subject", header_text(self.content.subject) or NAME),
            f"Date: {format_datetime(utc(self.made_at).replace(microsecond=0))}\r\n",
            f"Message-ID: {self.message_id(address)}\r\n",
            f"List-Id: {NAME} <{_label(self.kind)}.speedup-tracker.{self.sender.domain}>\r\n",
            "List-Unsubscribe: "
            + (f"<{url}>,\r\n <{self.sender.mailto}>\r\n" if url else f"<{self.sender.mailto}>\r\n"),
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" if url.startswith("https:") else "",
            "Auto-Submitted: auto-generated\r\n",
            f"X-Tracker-Reason: {_label(self.reason)}\r\n",
        ]
        return "".join(lines).encode("ascii")

    @cached_property
    def _whole(self) -> bytes:
        """The message without the headers of a recipient, and with zeros for a token."""
        link = (
            self.sender.base_url + UNSUBSCRIBE_PATH + _ZEROS if self.sender.base_url else self.sender.mailto
        )

        def said(text: str) -> str:
            return body_text(text).replace(UNSUBSCRIBE, link)

        return _mime(self.content, said)

    @cached_property
    def _found(self) -> tuple[bytes, tuple[tuple[int, int, int], ...]]:
        """The shared bytes, and where in them which part of a token goes.

        A token and its zeros are as long as each other and neither is encoded, so lines break at the same places.
        """
        if not self.sender.base_url:
            return self._whole, ()
        link = _broken(UNSUBSCRIBE_PATH + _ZEROS)
        shared, places, done, length = [], [], 0, 0
        for match in re.finditer(link, self._whole):
            start, seen = match.end() - len(_tail(match[0])), 0
            for run in re.finditer(rb"0+", self._whole[start : match.end()]):
                before = self._whole[done : start + run.start()]
                shared.append(before)
                length += len(before)
                places.append((length, seen, seen + len(run[0])))
                seen += len(run[0])
                done = start + run.end()
        return b"".join([*shared, self._whole[done:]]), tuple(places)

    @property
    def _shared(self) -> bytes:
        return self._found[0]

    @property
    def _places(self) -> tuple[tuple[int, int, int], ...]:
        return self._found[1]


def _label(text: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-") or "mail"


def _broken(text: str) -> bytes:
    """A pattern for a text that quoted-printable may have broken into lines anywhere."""
    return b"(?:=\r\n)?".join(re.escape(one.encode()) for one in text)


def _tail(found: bytes) -> bytes:
    """What of a found link its token is, with the breaks inside."""
    zeros, end = 0, len(found)
    while zeros < TOKEN_LENGTH:
        end -= 1
        zeros += found[end : end + 1] == b"0"
    return found[end:]


def _mime(content: MailContent, said: Callable[[str], str]) -> bytes:
    """alternative[plain, related[html, png, …]], its boundaries a function of what it says."""
    mark = hashlib.sha256(repr(content).encode("utf-8", "backslashreplace")).hexdigest()[:32]
    message = EmailMessage(policy=policy.SMTP)
    message.set_content(said(content.text), cte="quoted-printable")
    message.add_alternative(said(content.html), subtype="html", cte="quoted-printable")
    message.set_boundary(f"=_{mark}_alternative")
    html = message.get_payload()[1]  # type: ignore[index]
    assert isinstance(html, EmailMessage)
    for image in content.images:
        html.add_related(
            image.png,
            "image",
            "png",
            cid=f"<{re.sub(r'[^A-Za-z0-9.-]+', '-', image.cid)}>",
            filename=re.sub(r"[^A-Za-z0-9.-]+", "-", image.filename),
            disposition="inline",
        )
    if content.images:
        html.set_boundary(f"=_{mark}_related")
    return message.as_bytes()
