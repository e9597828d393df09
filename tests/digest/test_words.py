"""What a digest says: the same numbers in both formats, nobody's markup, no more than a mail program shows."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings, strategies as st

from tests.digest.invented import AT, HOSTILE, digest, quiet, subject, without_pictures
from tests.digest.recorded import GOLDEN
from tests.report.html_reading import Page
from tracker.digest import render
from tracker.digest.content import Mover, Opinion
from tracker.digest.layout import HOSTS, Where, letter, plain, where
from tracker.digest.render import MAX_HTML_BYTES, Footer, TooLarge, mail_content
from tracker.mail.content import UNSUBSCRIBE, Taste

NUMBER = re.compile(r"\d[\d.,:%]*")


def numbers(text: str) -> set[str]:
    return {found.rstrip(".,:") for found in NUMBER.findall(text)}


def seen(html: str) -> str:
    """What a reader of the HTML meets: text outside the head, and the words that stand for pictures."""
    page = Page(html)
    assert page.unclosed == []
    return " ".join([page.visible(), *(image["alt"] for image in page.find("img"))])


@pytest.mark.parametrize("name", ["recorded", "invented", "quiet", "large"])
def test_every_number_in_the_html_stands_in_the_text(name: str) -> None:
    if name == "recorded":
        html = (GOLDEN / "digest.html").read_text(encoding="utf-8")
        text = (GOLDEN / "digest.txt").read_text(encoding="utf-8")
    else:
        one = {"invented": digest(), "quiet": quiet(), "large": digest("12,345 of 7.5%", many=9)}[name]
        content = mail_content(one)
        html, text = content.html, content.text
    in_html = numbers(seen(html))
    assert len(in_html) > (4 if name == "quiet" else 60)
    assert in_html - numbers(text) == set()


@pytest.mark.parametrize("title", HOSTILE, ids=range(len(HOSTILE)))
def test_a_title_is_never_more_than_words(title: str) -> None:
    """Neither markup nor an address nor a command to whatever shows it."""
    one = digest(title)
    content = without_pictures(one)
    page = Page(content.html)
    assert page.unclosed == []
    assert {tag for tag, _ in page.tags} <= {
        "html", "head", "meta", "title", "style", "body", "table", "caption", "thead", "tbody", "tr", "th", "td",
        "div", "h1", "h2", "h3", "p", "a", "strong", "span", "code", "img",
    }  # fmt: skip
    assert len(page.find("style")) == 1
    attributes = {name for _, found in page.tags for name in found}
    assert not {name for name in attributes if name.startswith("on")}
    for link in page.find("a"):
        if link["href"].startswith("#from-"):
            continue
        parts = urlsplit(link["href"])
        assert parts.scheme == "https"
        assert any(parts.hostname == host or parts.hostname.endswith(f".{host}") for host in HOSTS)
    assert content.subject == letter(digest("plain"), Where()).subject
    for text in (content.html, content.text):
        assert not [
            c for c in text if unicodedata.category(c) in ("Cf", "Cs", "Co") or (c < " " and c != "\n")
        ]
        assert not re.search(r"(javascript|data|http|ldap):\S", text.replace("http-equiv", ""))
    assert max(map(len, content.text.splitlines())) <= 180
    assert title == "" or len(title) < 200 or title not in content.text


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
@example("a\u0300\u0300\u034f")  # the last one joins, and counts as a mark all the same
def test_plain_is_one_short_line_whatever_comes_in(text: str) -> None:
    found = plain(text)
    assert len(found) <= 110
    assert found == plain(found)
    assert not [c for c in found if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")]
    assert not re.search("[\u0300-\u036f]{3}", found)


@pytest.mark.parametrize("title", ["Will AI write most code by 2028? " * 9, "&<>\"' " * 200, "🏳" * 500])
def test_the_largest_digest_is_not_cut_off_by_mail_programs(title: str) -> None:
    """Every list far longer than what is told, every title longer than what is kept of it."""
    content = without_pictures(digest(title, many=60))
    assert 40_000 < len(content.html.encode()) < MAX_HTML_BYTES
    assert numbers(seen(content.html)) - numbers(content.text) == set()
    assert "more" in content.text


def test_a_digest_that_would_be_cut_off_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "MAX_HTML_BYTES", 10_000)
    with pytest.raises(TooLarge, match="10000"):
        without_pictures(digest())


def test_a_week_without_change_is_three_lines() -> None:
    content = mail_content(quiet())
    assert content.subject == "W47: no change above threshold"
    assert content.images == ()
    page = Page(content.html)
    lines = [text for path, text in page.texts if path[-1] == "p" and "div" in path][1:4]
    assert lines[0].startswith("No change above threshold in the week to 2026-11-23 06:00 UTC")
    assert lines[1].startswith("Nothing closes")
    assert lines[2].startswith("Data: all 2 sources in use are fresh")
    assert len(page.find("h2")) == 1
    assert page.find("table") == [t for t in page.find("table") if t["role"] == "presentation"]


def test_the_subject_is_the_one_fact_and_only_our_words() -> None:
    one = digest("a platform's words")
    assert letter(one, Where()).subject == (
        "W47: interpretability passed ai control in market order; 2 moved > 5 pts"
    )
    resolved = replace(one, changes=(), movers=())
    assert letter(resolved, Where()).subject == "W47: 2 questions resolved"
    moved = replace(resolved, resolved=(), trends=(), movers=(_mover(0.30, 0.34),))
    assert letter(moved, Where()).subject == "W47: 1 question moved beyond the usual noise"
    first = replace(quiet(), n_before=0)
    assert letter(first, Where()).subject == "W47: nothing to compare with last week yet"


def _mover(previous: float, now: float) -> Mover:
    return Mover(subject("x", 1), "metaculus", previous, now, 2.5, 13, None, None)


def test_numbers_link_to_their_source_and_to_our_page_where_there_is_one() -> None:
    places = where("https://tracker.example/digests/", "2026-W47")
    assert places.permalink == "https://tracker.example/digests/2026-W47.html"
    page = Page(mail_content(digest(), places=places).html)
    hrefs = [link["href"] for link in page.find("a")]
    assert f"{places.permalink}#from-order" in hrefs
    assert f"{places.permalink}#from-calibration" in hrefs
    assert f"{places.permalink}#movers" in hrefs  # what was left out
    ids = {found["id"] for _, found in page.tags if "id" in found}
    assert {href.partition("#")[2] for href in hrefs if "#" in href} <= ids


def test_without_a_page_of_its_own_every_number_leads_to_a_source_or_to_what_prints_it() -> None:
    """A link to where it can be read, or to the end of its section: commands, and the payloads it was read from."""
    one = digest(many=3)
    raws = ("ab" * 32, "12" * 32)
    one = replace(one, movers=tuple(replace(mover, raws=raws) for mover in one.movers))
    page = Page(mail_content(one).html)
    linked = [(path, text) for path, text in page.texts if re.search(r"\d", text) and "a" in path]
    assert len(linked) > 60
    for path, text in page.texts:
        if (path.count("td") > 2 or "strong" in path) and re.search(r"\d", text):
            assert "a" in path, text
    targets = {found["id"]: tag for tag, found in page.tags if found.get("id", "").startswith("from-")}
    assert {href[1:] for link in page.find("a") if (href := link["href"]).startswith("#")} <= set(targets)
    assert set(targets) == {
        f"from-{part}"
        for part in ("order", "movers", "disagreements", "ends", "calibration", "trends", "health")
    }
    origins = " ".join(text for path, text in page.texts if path[-1] == "p" and "abababababab" in text)
    assert "metaculus:1 (payloads abababababab, 121212121212)" in origins


def test_what_people_forecast_stands_beside_what_moved() -> None:
    one = digest(many=1)
    said = tuple(
        Opinion(who, p, AT - timedelta(days=9)) for who, p in (("ada", 0.61), ("bob", 0.2), ("eve", 0.3))
    )
    one = replace(one, movers=(replace(one.movers[0], opinions=said),))
    text = " ".join(without_pictures(one).text.split())
    assert "ada said 61% on 2026-11-14 · bob said 20% on 2026-11-14 · 1 more forecast it" in text
    hers = " ".join(without_pictures(replace(one, taste=Taste(forecaster="eve"))).text.split())
    assert "you said 30% on 2026-11-14" in hers
    assert "ada" not in hers


@pytest.mark.parametrize(
    "base", ["http://tracker.example", "javascript:alert(1)", "https://u:p@x.example", ""]
)
def test_an_address_that_is_not_https_becomes_no_link(base: str) -> None:
    assert where(base, "2026-W47").permalink is None


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://www.metaculus.com/questions/1/", True),
        ("https://metaculus.com.evil.example/", False),
        ("https://evilmetaculus.com/", False),
        ("http://www.metaculus.com/", False),
        ("https://user@metaculus.com/", False),
        ("https://metaculus.com\\@evil.example/", False),
        ("//metaculus.com", False),
        ("", False),
    ],
)
def test_only_pages_on_the_list_are_linked(url: str, *, linked: bool) -> None:
    assert Where().link(url) == (url if linked else None)


def test_whoever_addresses_it_says_why_and_how_to_stop() -> None:
    footer = Footer("You asked for it.", "weekly", UNSUBSCRIBE)
    content = mail_content(quiet(), footer=footer)
    assert content.html.count(f'href="{UNSUBSCRIBE}"') == 1
    assert content.text.count(UNSUBSCRIBE) == 1
    for text in (content.text, content.html):
        assert "You asked for it. Frequency: weekly." in text
        assert "2026-11-23T06:00:00Z" in text


def test_nothing_is_fetched_when_it_is_made_or_shown() -> None:
    content = mail_content(digest())
    page = Page(content.html)
    assert {image["src"] for image in page.find("img")} == {"cid:speedup-slope", "cid:speedup-calibration"}
    assert {image.cid for image in content.images} == {"speedup-slope", "speedup-calibration"}
    assert not page.find("link")
    assert "url(" not in content.html
    assert "@import" not in content.html
    assert all(image.alt and any(c.isdigit() for c in image.alt) for image in content.images)
