"""How numbers, times and other people's text are written, the same on the page, in text and in charts."""

from __future__ import annotations

import math
import unicodedata
from datetime import date, datetime
from urllib.parse import urlsplit

from questions.model import Group
from questions.time import utc

NO_VIEW = "no view"
VOICE_TITLES = {"internal": "Internal model", "market": "Markets", "trend": "Trends", "panel": "Panel"}
GROUP_TITLES = {Group.SAFETY: "safety", Group.CAPABILITIES: "capabilities"}

_TEXT_LIMIT = 300
# Cc control (ESC starts terminal commands), Cf format (bidi overrides reorder a line), Cs lone surrogates
# (cannot be encoded), Co private use, Zl and Zp line ends that some readers honour.
_DROPPED_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


_NOT_IN_URLS = ' "<>\\^`{|}'  # RFC 3986 has these percent-encoded


def clean(text: str, limit: int = _TEXT_LIMIT) -> str:
    """Somebody else's text on one line, without invisible commands, cut to ``limit`` characters.

    Escaping for HTML is the template's work; this is what escaping does not do.

    >>> clean("Will\\x1b[31m it\\n\\u202ehappen?")
    'Will[31m it happen?'
    """
    spaced = "".join(" " if character.isspace() else character for character in text)
    kept = "".join(c for c in spaced if unicodedata.category(c) not in _DROPPED_CATEGORIES)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def https_url(url: str) -> str | None:
    """The URL if it may become a link: https, a host, no user name, nothing invisible. Otherwise None."""
    if url != clean(url, limit=2000) or any(character in url for character in _NOT_IN_URLS):
        return None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (reading it is what raises for a bad port)
    except ValueError:
        return None
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        return None
    return url


def voice_title(name: str) -> str:
    """A voice's name as a column title."""
    return VOICE_TITLES.get(name, clean(name)[:1].upper() + clean(name)[1:])


def day(moment: datetime | date) -> str:
    """YYYY-MM-DD, in UTC for a datetime."""
    return (utc(moment).date() if isinstance(moment, datetime) else moment).isoformat()


def minute(moment: datetime) -> str:
    """YYYY-MM-DD HH:MM UTC."""
    return utc(moment).strftime("%Y-%m-%d %H:%M UTC")


def decimal(number: float, places: int = 2) -> str:
    """Fixed places, a true minus sign, never "-0.00".

    >>> decimal(-0.001), decimal(-0.256)
    ('0.00', '−0.26')
    """
    if not math.isfinite(number):
        raise ValueError(f"cannot print {number!r} as a number")
    text = f"{number:.{places}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "−")


def interval(ends: tuple[float, float], places: int = 2) -> str:
    """``low to high``: words, because a dash beside a minus sign misleads."""
    return f"{decimal(ends[0], places)} to {decimal(ends[1], places)}"


def percent_change(ratio: float) -> str:
    """A ratio as a signed change in percent.

    >>> percent_change(1.163), percent_change(0.83)
    ('+16.3 %', '−17.0 %')
    """
    change = 100.0 * (ratio - 1.0)
    text = decimal(change, 1)
    return f"+{text} %" if not text.startswith("−") and float(text) != 0 else f"{text} %"


def duration(minutes: float) -> str:
    """Human working time in the unit a person would use, to two significant figures or so.

    >>> duration(0.054), duration(11.4), duration(352), duration(960), duration(10020)
    ('3.2 s', '11 min', '5.9 h', '16 h', '167 h')
    """
    if minutes < 1:
        return f"{minutes * 60:.2g} s"
    if minutes < 60:
        return f"{minutes:.2g} min"
    hours = minutes / 60
    return f"{hours:.1f}".removesuffix(".0") + " h" if hours < 10 else f"{hours:,.0f} h"


def counted(number: int, noun: str) -> str:
    """``1 question``, ``2 questions``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
