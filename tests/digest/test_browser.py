"""The digest in a real browser: two widths, light and dark, and titles that try to be more than words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.digest.invented import HOSTILE, digest, without_pictures
from tests.digest.recorded import GOLDEN
from tracker.digest.render import write_preview

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
VIEWS: list[tuple[int, Literal["light", "dark"]]] = [
    (360, "light"),
    (360, "dark"),
    (600, "light"),
    (600, "dark"),
]
CONTRAST = """() => {
  const style = getComputedStyle(document.body);
  return [style.backgroundColor, style.color];
}"""
WIDE = """() => [...document.querySelectorAll('body *')].filter(
  e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map(e => e.outerHTML.slice(0, 80))"""
TALL = """() => Math.max(...[...document.querySelectorAll('h3, .note, .data td, .data th')].map(
  e => e.getBoundingClientRect().height))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser: Browser, file: Path, width: int, scheme: str) -> tuple[Page, list[str], list[str]]:
    """The page, what it asked for beyond files beside it, and what it tried to say by itself."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []

    def look(route: Route) -> None:
        url = route.request.url
        if url.startswith(f"file://{file.parent}/"):
            route.continue_()
        else:
            asked.append(url)
            route.abort()

    page.route("**/*", look)
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    return page, asked, said


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_the_recorded_week_reads_well(browser: Browser, width: int, scheme: str) -> None:
    page, asked, said = opened(browser, GOLDEN / "digest.html", width, scheme)
    assert (asked, said) == ([], [])
    assert page.evaluate(WIDE) == []
    sizes = page.evaluate("() => [...document.images].map(i => [i.naturalWidth, i.complete])")
    assert sizes == [[600, True]] * 3
    background, ink = page.evaluate(CONTRAST)
    assert (background, ink) == (
        ("rgb(22, 25, 29)", "rgb(232, 234, 237)")
        if scheme == "dark"
        else ("rgb(255, 255, 255)", "rgb(27, 31, 36)")
    )
    found = Axe().run(page).response["violations"]
    grave = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
    assert grave == [], json.dumps(found, indent=1)[:2000]
    page.context.close()


def test_hostile_titles_stay_words_and_break_nothing(browser: Browser, tmp_path: Path) -> None:
    for number, title in enumerate(HOSTILE):
        content = without_pictures(digest(title, many=1))
        page, asked, said = opened(browser, write_preview(content, tmp_path / str(number))[0], 360, "light")
        inside = "() => document.querySelectorAll('script, base, iframe, svg, math, object').length"
        assert page.evaluate(inside) == 0
        assert page.title() == "W47: interpretability passed ai control in market order; 1 moved > 5 pts"
        assert page.locator("h2").count() == 8
        for width, scheme in VIEWS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(WIDE) == [], title[:40]
            assert page.evaluate(TALL) < 400, title[:40]
        assert (asked, said) == ([], []), title[:40]
        page.context.close()
