"""Digests that were made, as pages and as an Atom feed (RFC 4287): a folder that any web server can show."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Protocol

from questions.time import iso
from tracker.mail.content import UNSUBSCRIBE
from tracker.report.wording import clean, https_url

FEED, INDEX = "feed.atom", "index.html"
FEED_ENTRIES = 52
TITLE = "Speedup Tracker: weekly digests"
_LABEL = re.compile(r"\d{4}-W\d{2}")
_GOODBYE = re.compile(rf'\s*<a\b[^>]*href="{re.escape(UNSUBSCRIBE)}"[^>]*>[^<]*</a>\.?')


class Picture(Protocol):
    """A picture of a digest that was kept."""

    @property
    def cid(self) -> str: ...
    @property
    def filename(self) -> str: ...
    @property
    def png(self) -> bytes: ...


class Edition(Protocol):
    """A digest that was kept: of which week, as known when, made when, and all it says."""

    @property
    def week(self) -> str: ...
    @property
    def as_of(self) -> datetime: ...
    @property
    def made_at(self) -> datetime: ...
    @property
    def subject(self) -> str: ...
    @property
    def html(self) -> str: ...
    @property
    def pictures(self) -> Sequence[Picture]: ...


def export(editions: Iterable[Edition], folder: Path, base_url: str = "") -> list[Path]:
    """Write a page a week, an index and a feed; returns the files. Of a week the digest made first counts: it is the
    one that was sent. ``base_url``: where the folder will be seen, for the feed's links.

    Raises ValueError for a week's name that is none, and OSError.
    """
    weeks: dict[str, Edition] = {}
    for one in sorted(editions, key=lambda one: (one.week, one.made_at)):
        if not _LABEL.fullmatch(one.week):
            raise ValueError(f"{one.week!r} is no week such as 2026-W47")
        weeks.setdefault(one.week, one)
    newest_first = list(weeks.values())[::-1]
    folder.mkdir(parents=True, exist_ok=True)
    files = [file for one in newest_first for file in _page(one, folder)]
    index, feed = folder / INDEX, folder / FEED
    index.write_text(_index(newest_first), encoding="utf-8")
    feed.write_text(_feed(newest_first[:FEED_ENTRIES], base_url), encoding="utf-8")
    return [*files, index, feed]


def _page(one: Edition, folder: Path) -> list[Path]:
    """A digest for a browser: its pictures beside it, and without the link that ends one person's mail."""
    html = _GOODBYE.sub("", one.html)
    files = []
    for picture in one.pictures:
        name = f"{one.week}-{re.sub(r'[^A-Za-z0-9.-]+', '-', picture.filename)}"
        html = html.replace(f'src="cid:{picture.cid}"', f'src="{name}"')
        (folder / name).write_bytes(picture.png)
        files.append(folder / name)
    page = folder / f"{one.week}.html"
    page.write_text(html, encoding="utf-8")
    return [page, *files]


def _index(editions: Sequence[Edition]) -> str:
    rows = "".join(
        f'<li><a href="{one.week}.html">{escape(clean(one.subject))}</a> <time>{iso(one.as_of)}</time></li>\n'
        for one in editions
    )
    listed = f"<ul>\n{rows}</ul>" if rows else "<p>No digest has been made yet.</p>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{TITLE}</title>'
        f'<link rel="alternate" type="application/atom+xml" href="{FEED}"></head>\n'
        f'<body><h1>{TITLE}</h1>\n{listed}\n<p><a href="{FEED}">Atom feed</a></p></body></html>\n'
    )


def _feed(editions: Sequence[Edition], base_url: str) -> str:
    """The feed. Ids are made from the week, so they stay when the folder moves; without any digest its time is 1970."""
    base = (https_url(base_url) or "").rstrip("/")
    start = f"{base}/" if base else ""
    updated = iso(
        max((one.made_at for one in editions), default=datetime.fromisoformat("1970-01-01T00:00:00Z"))
    )
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<title>{TITLE}</title>",
        f"<id>{_urn('feed')}</id>",
        f"<updated>{updated}</updated>",
        "<author><name>Speedup Tracker</name></author>",
        f'<link rel="self" href="{escape(start)}{FEED}"/>',
        f'<link rel="alternate" type="text/html" href="{escape(start)}{INDEX}"/>',
    ]
    for one in editions:
        lines += [
            "<entry>",
            f"<title>{escape(clean(one.subject))}</title>",
            f"<id>{_urn(one.week)}</id>",
            f"<updated>{iso(one.made_at)}</updated>",
            f"<published>{iso(one.made_at)}</published>",
            f'<link rel="alternate" type="text/html" href="{escape(start)}{one.week}.html"/>',
            f"<summary>As known at {iso(one.as_of)}.</summary>",
            "</entry>",
        ]
    return "\n".join([*lines, "</feed>", ""])


def _urn(name: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"speedup-tracker/digest/{name}").urn
