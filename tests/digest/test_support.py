"""Everything a mail uses, held against what Gmail, Outlook on Windows and Apple Mail support.

``client_support.csv`` has the facts: the worst of the newest tests over a program's editions, y (yes), a (in part),
n (no), u (not tested), with the day of the test. They are those of caniemail.com (version of 2026-05-13, MIT licence,
Can I email by R. Parmentier and contributors) for what our mails use. ``client_lint.mjs`` asks the whole of it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.digest.recorded import GOLDEN
from tests.report.html_reading import Page

ALERTS = GOLDEN.parents[1] / "alerts" / "golden" / "alerts.html"
MAILS = [file for file in (GOLDEN / "digest.html", ALERTS) if file.exists()]
PROGRAMS = ("gmail", "outlook_windows", "apple_mail")
# What HTML and CSS have had since before mail programs: no table of support lists it.
ELEMENTS = ("html", "head", "title", "meta", "a", "caption", "thead", "tbody", "tr", "th", "td")
ATTRIBUTES = (
    "href",
    "src",
    "alt",
    "class",
    "id",
    "style",
    "scope",
    "align",
    "border",
    "cellspacing",
    "content",
    "name",
)
BASIC = {
    *(f"element {name}" for name in ELEMENTS),
    *(f"attribute {name}" for name in (*ATTRIBUTES, "charset")),
    "css color",
    "css font-family",
    "css border-color",
}
# Not supported somewhere and used all the same: why the mail is whole without it.
ALLOWED = {
    "rule @media": "dark and narrow only; colours and widths stand without it",
    "rule prefers-color-scheme": "the colours for light are in the tags",
    "element style": "holds nothing but @media",
    "element meta color-scheme": "a hint",
    "css overflow-wrap": "words of more than 60 characters are broken in the text itself",
    "css white-space": "keeps numbers on one line; without it they wrap",
    "link #": "leads to a line that stands at the end of the same section",
}
SAME = {"padding": ("padding-",), "border": ("border-top", "border-bottom"), "margin": ("margin-",)}


def support() -> dict[str, dict[str, str]]:
    with (Path(__file__).parent / "client_support.csv").open(encoding="utf-8", newline="") as file:
        return {row.pop("feature"): row for row in csv.DictReader(file)}


def used(html: str) -> Iterator[str]:
    """The features that a page uses, as the table names them."""
    page = Page(html)
    (rules,) = [text for path, text in page.texts if path[-1] == "style"] or [""]
    declared = "".join(re.findall(r"\{([^{}]*)\}", rules))
    styles = ";".join([declared, *(found["style"] for _, found in page.tags if "style" in found)])
    for name in {part.partition(":")[0].strip() for part in styles.split(";") if ":" in part}:
        family = [one for one, starts in SAME.items() if name.startswith(starts)]
        yield f"css {family[0] if family else name}"
    yield from ("rule !important",) if "!important" in styles else ()
    for rule in re.findall(r"@[a-z-]+", rules):
        yield f"rule {rule}"
    yield from ("rule prefers-color-scheme",) if "prefers-color-scheme" in rules else ()
    for tag, found in page.tags:
        yield "element h1-h6" if re.fullmatch(r"h\d", tag) else f"element {tag}"
        if tag == "meta" and found.get("name") in ("color-scheme", "supported-color-schemes"):
            yield "element meta color-scheme"
        for name in found:
            yield f"attribute {name}"
        if found.get("href", "").startswith("#"):
            yield "link #"


@pytest.mark.parametrize("mail", MAILS, ids=lambda file: file.stem)
def test_what_a_mail_uses_is_supported_or_not_needed(mail: Path) -> None:
    known = support()
    features = set(used(mail.read_text(encoding="utf-8")))
    assert len(features) > 30
    assert features - known.keys() - BASIC == set(), "nobody has looked these up"
    missing = {name for name in features & known.keys() if "n" in [known[name][who] for who in PROGRAMS]}
    assert missing <= ALLOWED.keys(), {name: known[name] for name in missing - ALLOWED.keys()}


def test_every_allowance_is_still_used() -> None:
    features = {name for mail in MAILS for name in used(mail.read_text(encoding="utf-8"))}
    assert ALLOWED.keys() <= features
    assert all(set(row.values()) - {row["tested"]} <= set("yanu") for row in support().values())
