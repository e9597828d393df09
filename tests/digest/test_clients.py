"""What three mail programs do not show must not be needed: a small table of facts, held against what is sent.

Facts from the programs' own documents and from published tests (caniemail.com), as of November 2026. "Needed" is
what the digest would be unreadable without; a feature marked as an extra may be missing anywhere.
``test_support.py`` holds everything that is used against caniemail's table of facts.
"""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tests.digest.recorded import GOLDEN
from tests.report.html_reading import Page

HTML = (GOLDEN / "digest.html").read_text(encoding="utf-8")
# What Gmail, Outlook on Windows (Word's engine) or Apple Mail drop or draw wrongly, in a style.
UNSHOWN = {
    "position": "Gmail, Outlook drop it",
    "display: flex": "Outlook",
    "display: grid": "Gmail, Outlook",
    "float": "Outlook draws it wrongly in tables",
    "background-image": "Outlook",
    "transform": "Gmail, Outlook",
    "animation": "Gmail, Outlook",
    "opacity": "Outlook",
    "object-fit": "Gmail, Outlook",
    "var(": "Gmail, Outlook",
    "calc(": "Outlook",
    "@import": "all: removed",
    "@font-face": "Gmail, Outlook",
    ":hover": "Outlook",
    "rem;": "Outlook",
    "gap:": "Gmail, Outlook",
    "clip-path": "Gmail, Outlook",
    "rgba(": "Outlook",
    "#ffffffff": "eight digits: Outlook",
}
# Extras: where a program does not know them, text is still there, only plainer.
EXTRAS = {"max-width", "overflow-wrap", "word-break", "prefers-color-scheme", "border-collapse"}
TAGS_SHOWN = {
    "html", "head", "meta", "title", "style", "body", "table", "caption", "thead", "tbody", "tr", "th", "td", "div",
    "h1", "h2", "h3", "p", "a", "strong", "span", "code", "img",
}  # fmt: skip
PROPERTIES_SHOWN = {
    "margin", "padding", "padding-top", "background-color", "color", "width", "height", "max-width",
    "font-family", "font-size", "font-weight", "line-height", "text-align", "text-decoration",
    "vertical-align", "border", "border-top", "border-bottom", "border-collapse", "white-space",
    "display", "overflow-wrap", "word-break",
}  # fmt: skip


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(HTML)


def test_every_style_is_one_that_gmail_outlook_and_apple_mail_show(page: Page) -> None:
    styles = [found["style"] for _, found in page.tags if "style" in found]
    properties = {
        part.partition(":")[0].strip() for style in styles for part in style.split(";") if part.strip()
    }
    assert properties <= PROPERTIES_SHOWN, properties - PROPERTIES_SHOWN
    assert len(styles) > 100
    for feature, where in UNSHOWN.items():
        assert not [style for style in styles if feature in style + ";"], (feature, where)
    assert EXTRAS & PROPERTIES_SHOWN


def test_every_element_is_one_they_show_and_none_asks_for_input(page: Page) -> None:
    assert {tag for tag, _ in page.tags} <= TAGS_SHOWN


def test_what_stays_a_rule_is_an_extra(page: Page) -> None:
    """Gmail drops a whole style block it does not understand, and all above 8 kB: nothing there may be needed."""
    (rules,) = [text for path, text in page.texts if path[-1] == "style"]
    assert len(rules) < 8_192
    assert re.findall(r"@[a-z-]+ ?\([^)]*\)", rules) == [
        "@media (prefers-color-scheme: dark)",
        "@media (max-width: 420px)",
    ]
    outside = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", rules)
    assert outside.strip() == ""


def test_outlook_gets_widths_as_attributes_and_layout_as_tables(page: Page) -> None:
    for image in page.find("img"):
        assert int(image["width"]) <= 600
        assert image["alt"]
    layout = [table for table in page.find("table") if table.get("role") == "presentation"]
    assert [table["width"] for table in layout] == ["100%", "600"]
    assert all(table.get("cellpadding") == "0" for table in page.find("table"))


def test_a_screen_reader_is_told_what_is_what(page: Page) -> None:
    assert page.find("html") == [{"lang": "en", "dir": "ltr"}]
    data = [table for table in page.find("table") if table.get("role") != "presentation"]
    assert len(page.find("caption")) == len(data) == 2
    assert {header["scope"] for header in page.find("th")} == {"col", "row"}
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_gmail_shows_it_whole() -> None:
    assert len(HTML.encode()) < 80_000
