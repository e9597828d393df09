"""The archive as a folder: pages that stand alone, and a feed that a reader can trust (RFC 4287)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.digest.invented import HOSTILE, digest
from tests.report.html_reading import Page
from tracker.digest.archive import export
from tracker.digest.render import Footer, mail_content
from tracker.mail.content import UNSUBSCRIBE, InlineImage

MADE = datetime(2026, 11, 16, 6, 1, tzinfo=UTC)
ATOM = "{http://www.w3.org/2005/Atom}"


@dataclass(frozen=True)
class Kept:
    week: str
    as_of: datetime
    made_at: datetime
    subject: str
    html: str
    pictures: tuple[InlineImage, ...] = ()


def kept(week: str, days: int, subject: str = "W: a fact") -> Kept:
    content = mail_content(digest(many=1), footer=Footer("You asked.", "weekly", UNSUBSCRIBE))
    made = MADE + timedelta(days=days)
    return Kept(week, made, made, subject, content.html, content.images)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("archive")
    one = kept("2026-W46", 0)
    again = Kept("2026-W46", MADE, MADE + timedelta(days=3), "made again", "<html></html>")
    files = export([again, one, kept("2026-W47", 7, HOSTILE[1])], where, "https://tracker.example/d/")
    assert sorted(files) == sorted(where.iterdir())
    return where


def test_a_page_shows_its_pictures_and_nobodys_link(folder: Path) -> None:
    page = Page((folder / "2026-W46.html").read_text(encoding="utf-8"))
    assert page.unclosed == []
    for image in page.find("img"):
        assert (folder / image["src"]).read_bytes().startswith(b"\x89PNG")
    assert len(page.find("img")) == 2
    assert UNSUBSCRIBE not in page.html
    assert "Unsubscribe" not in page.html
    assert "You asked." in page.html


def test_the_digest_that_was_made_first_is_the_weeks(folder: Path) -> None:
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert "made again" not in index
    assert re.findall(r'href="(2026-W\d\d)\.html"', index) == ["2026-W47", "2026-W46"]
    assert "<script>" not in index


def test_the_feed_has_what_atom_demands(folder: Path) -> None:
    feed = ET.fromstring((folder / "feed.atom").read_bytes())
    assert feed.tag == f"{ATOM}feed"
    for name in ("id", "title", "updated", "author"):
        assert feed.find(f"{ATOM}{name}") is not None, name
    entries = feed.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}updated") for entry in entries] == [
        "2026-11-23T06:01:00Z",
        "2026-11-16T06:01:00Z",
    ]
    assert feed.findtext(f"{ATOM}updated") == "2026-11-23T06:01:00Z"
    assert entries[0].findtext(f"{ATOM}title") == " ".join(HOSTILE[1].split())
    ids = [entry.findtext(f"{ATOM}id") or "" for entry in entries]
    assert len({*ids, feed.findtext(f"{ATOM}id")}) == 3
    assert all(name.startswith("urn:uuid:") for name in ids)
    links = [link.get("href") for link in feed.iter(f"{ATOM}link")]
    assert "https://tracker.example/d/2026-W47.html" in links


def test_ids_stay_when_the_folder_moves(folder: Path, tmp_path: Path) -> None:
    export([kept("2026-W46", 0)], tmp_path)
    ids = [
        {element.text for element in ET.fromstring((one / "feed.atom").read_bytes()).iter(f"{ATOM}id")}
        for one in (folder, tmp_path)
    ]
    assert ids[1] < ids[0]
    assert [
        link.get("href") for link in ET.fromstring((tmp_path / "feed.atom").read_bytes()).iter(f"{ATOM}link")
    ] == [
        "feed.atom",
        "index.html",
        "2026-W46.html",
    ]


def test_an_archive_of_nothing_and_a_week_that_is_none(tmp_path: Path) -> None:
    export([], tmp_path)
    assert "No digest has been made yet" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert ET.fromstring((tmp_path / "feed.atom").read_bytes()).findall(f"{ATOM}entry") == []
    with pytest.raises(ValueError, match="no week"):
        export([Kept("../../etc/passwd", MADE, MADE, "x", "")], tmp_path)
