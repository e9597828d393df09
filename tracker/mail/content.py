"""What a mail says, before it is addressed to anybody."""

from __future__ import annotations

from dataclasses import dataclass

UNSUBSCRIBE = f"https://unsubscribe.invalid/{'0' * 64}"
"""Where a text tells how to stop these mails it writes this address; each recipient gets one of their own instead."""


@dataclass(frozen=True)
class InlineImage:
    """A picture that travels inside the mail.

    ``cid`` is the name by which the HTML asks for it (``src="cid:NAME"``), ``alt`` its meaning in words and numbers.
    """

    cid: str
    filename: str
    png: bytes
    alt: str


@dataclass(frozen=True)
class Taste:
    """What a recipient chose to be told: of these areas (all when none is named), of questions that moved by at least
    ``least`` in log-odds (None: whatever is beyond its noise), beside the last forecast of ``forecaster``."""

    areas: tuple[str, ...] = ()
    least: float | None = None
    forecaster: str = ""
    frequency: str = "weekly"


@dataclass(frozen=True)
class MailContent:
    """One message, said twice from the same data: for people who see HTML, and as plain text.

    The subject may hold any text, hostile titles too: whoever addresses the message makes it safe for a header.
    """

    subject: str
    text: str
    html: str
    images: tuple[InlineImage, ...] = ()

    def for_taste(self, taste: Taste) -> MailContent:
        """The same for somebody who chose; one that knows no choices says all to everybody."""
        return self
