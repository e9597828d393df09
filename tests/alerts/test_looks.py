"""The mail about alerts as mail programs and people see it: recorded, in a browser, and held against three programs."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from storage.alerting import Alert
from tests.alerts.recorded import GOLDEN, said
from tests.alerts.world import hours
from tests.digest import test_browser as shown
from tests.digest.invented import HOSTILE
from tests.digest.test_clients import PROPERTIES_SHOWN, TAGS_SHOWN, UNSHOWN
from tests.report.html_reading import Page
from tracker.alerts.render import content

browser = shown.browser
needs_browser = shown.pytestmark
HTML = (GOLDEN / "alerts.html").read_text(encoding="utf-8")


def test_it_says_what_it_said_when_a_person_looked_at_it() -> None:
    assert said("html") == HTML
    assert said("plain") == (GOLDEN / "alerts.txt").read_text(encoding="utf-8")


@needs_browser
@pytest.mark.parametrize(("width", "scheme"), shown.VIEWS)
def test_it_reads_well(browser: Browser, width: int, scheme: str) -> None:
    page, asked, told = shown.opened(browser, GOLDEN / "alerts.html", width, scheme)
    assert (asked, told) == ([], [])
    assert page.evaluate(shown.WIDE) == []
    assert page.evaluate(shown.CONTRAST)[0] == (
        "rgb(22, 25, 29)" if scheme == "dark" else "rgb(255, 255, 255)"
    )
    found = Axe().run(page).response["violations"]
    assert found == [], json.dumps(found, indent=1)[:2000]
    page.context.close()


@needs_browser
def test_hostile_titles_stay_words_and_break_nothing(browser: Browser, tmp_path: Path) -> None:
    alerts = [
        Alert(f"move:fair:{number}", hours(0), "move", "up", text, text, text, text, "javascript:alert(1)")
        for number, text in enumerate(HOSTILE)
    ]
    file = tmp_path / "alerts.html"
    file.write_text(content(alerts, hours(0)).html, encoding="utf-8")
    page, asked, told = shown.opened(browser, file, 360, "light")
    assert (
        page.evaluate("() => document.querySelectorAll('script, base, iframe, svg, math, img').length") == 0
    )
    assert page.locator("h2").count() == len(HOSTILE)
    assert page.locator("a").count() == 1  # the way out
    for width, scheme in shown.VIEWS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(shown.WIDE) == []
    assert (asked, told) == ([], [])
    page.context.close()


def test_everything_is_something_that_gmail_outlook_and_apple_mail_show() -> None:
    """By the small table; ``tests/digest/client_lint.mjs`` holds the file against the whole one."""
    page = Page(HTML)
    assert page.unclosed == []
    assert {tag for tag, _ in page.tags} <= TAGS_SHOWN
    styles = [found["style"] for _, found in page.tags if "style" in found]
    properties = {part.partition(":")[0].strip() for one in styles for part in one.split(";") if part.strip()}
    assert properties <= PROPERTIES_SHOWN, properties - PROPERTIES_SHOWN
    for feature, where in UNSHOWN.items():
        assert not [style for style in styles if feature in style + ";"], (feature, where)
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
