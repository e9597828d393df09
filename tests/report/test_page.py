"""The page: one file, nothing from elsewhere, everything escaped, nothing empty, readable by all."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest

from tests.report.contents import NOW, empty_content, full_content
from tests.report.html_reading import Page
from tests.report.test_slope import luminance
from tracker.report.content import (
    CauseRow,
    Changes,
    Chart,
    EvidenceRow,
    HealthRow,
    PageContent,
    ReliabilityReport,
    SourceCredit,
)
from tracker.report.page import render_page
from tracker.report.sections import sections
from tracker.report.text import render_text

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \"'>{{ 7*7 }}{% raw %} &lt;b&gt; \x1b[31m\u202e]]>-->"
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


@cache
def full_page() -> Page:
    return Page(render_page(full_content()))


@cache
def empty_page() -> Page:
    return Page(render_page(empty_content()))


def hostile_content() -> PageContent:
    content = full_content()
    return replace(
        content,
        headline=HOSTILE,
        evidence=(
            EvidenceRow(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 0.5, 0.5, None, "javascript:alert(1)"),
            EvidenceRow(
                "a", "market", HOSTILE, "s", "proxy", 0.5, url='https://x.example/"><script>alert(3)</script>'
            ),
        ),
        changes=Changes(
            NOW, NOW, (HOSTILE,), (CauseRow("market", HOSTILE, HOSTILE, HOSTILE, HOSTILE, "data:x"),)
        ),
        health=(HealthRow(HOSTILE, HOSTILE, None, 0, 0, HOSTILE),),
        sources=(SourceCredit(HOSTILE, HOSTILE, HOSTILE, "https://user:secret@x.example/"),),
        calibration=(ReliabilityReport(HOSTILE, 1, 1, 0.2),),
        caveats=(HOSTILE,),
        slope=replace(content.slope, title=HOSTILE, alt=HOSTILE) if content.slope else None,
        program_version=HOSTILE,
    )


def test_the_page_is_one_well_formed_document() -> None:
    for page in (full_page(), empty_page()):
        assert page.html.startswith("<!doctype html>")
        assert page.unclosed == []


def test_nothing_is_loaded_from_anywhere() -> None:
    page = full_page()
    names = {tag for tag, _ in page.tags}
    assert not names & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "audio",
        "video",
        "image",
    }
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        assert "src" not in attributes
        if "href" in attributes:
            assert attributes["href"].startswith("#" if tag != "a" else ("#", "https://"))
    assert "@import" not in page.html
    assert not re.search(r"url\((?!#)", page.html)


def test_a_content_policy_forbids_scripts_and_foreign_resources() -> None:
    policies = [
        m["content"] for m in full_page().find("meta") if m.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert "default-src 'none'" in policies[0]
    assert "script-src" not in policies[0]
    assert "base-uri 'none'" in policies[0]


def test_hostile_text_stays_text_wherever_it_stands() -> None:
    plain = Page(render_page(full_content()))
    page = Page(render_page(hostile_content()))
    assert page.unclosed == []
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in page.visible()
    assert "{{ 7*7 }}" in page.visible()
    assert "\x1b" not in page.html
    assert "\u202e" not in page.html


def test_only_plain_https_addresses_become_links() -> None:
    links = [
        a["href"] for a in Page(render_page(hostile_content())).find("a") if not a["href"].startswith("#")
    ]
    assert links == []
    good = [a["href"] for a in full_page().find("a") if not a["href"].startswith("#")]
    market = "https://manifold.markets/example/inner-workings"
    assert good == [market, market, "https://metr.org/time-horizons/"]


def test_the_same_contents_give_the_same_bytes() -> None:
    assert render_page(full_content()) == render_page(full_content())


def test_headings_descend_and_every_section_is_named_and_linked() -> None:
    page = full_page()
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert set(levels[1:]) == {2}
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    targets = {a["href"][1:] for a in page.find("a") if a["href"].startswith("#")}
    assert targets == {section["id"] for section in page.find("section")}
    assert all(section["aria-labelledby"] in ids for section in page.find("section"))


def test_ids_are_unique_and_every_reference_has_its_target() -> None:
    page = full_page()
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {a["href"][1:] for a in page.find("use")} | set(re.findall(r"url\(#([^)]+)\)", page.html))
    assert used
    assert used <= set(ids)


def test_tables_have_captions_and_scoped_headers() -> None:
    page = full_page()
    assert len(page.find("table")) == len(page.find("caption")) > 5
    assert {th.get("scope") for th in page.find("th")} == {"row", "col"}


def test_the_page_names_its_language_and_fits_small_screens() -> None:
    assert full_page().find("html") == [{"lang": "en"}]
    metas = {m.get("name"): m.get("content") for m in full_page().find("meta")}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert metas["color-scheme"] == "light dark"


def test_every_chart_is_an_image_with_its_numbers_in_words() -> None:
    charts = [attributes for tag, attributes in full_page().tags if tag == "svg"]
    assert len(charts) == 6
    content = full_content()
    labels = [chart["aria-label"] for chart in charts]
    assert all(chart["role"] == "img" for chart in charts)
    assert content.slope is not None
    assert content.horizon is not None
    assert content.agreement is not None
    told = [
        content.slope,
        *content.ranks,
        content.agreement,
        *content.pairs,
        content.horizon,
        *content.reliability,
    ]
    assert labels == [chart.alt for chart in told]
    assert all(NUMBER.search(label) for label in labels)


def test_agreement_is_told_of_draws_and_behind_their_noise() -> None:
    html = full_page().html
    for said in ("0.20 (90 % of draws: −0.40 to 0.80)", "−0.52 to 0.97", "behind the noise, 90 %"):
        assert said in html


def test_who_was_better_is_told_with_both_intervals_or_why_it_is_not() -> None:
    html = full_page().html
    for said in ("−0.012 (95 %: −0.031 to 0.006)", "−0.052 to 0.027", "however often one looks"):
        assert said in html
    reasons = {"compared": "no two share 10 events yet"}
    assert "No comparison of forecasters: no two share 10 events yet." in render_page(
        replace(full_content(), compared=(), reasons=reasons)
    )


def test_charts_take_their_colours_from_the_page() -> None:
    charts = re.findall(r"<svg.*?</svg>", full_page().html, re.DOTALL)
    assert len(charts) == 6
    for chart in charts:
        assert "var(--ink)" in chart
        assert not re.search(r"#[0-9a-fA-F]{6}\b", chart)


def colours(html: str, dark: bool) -> dict[str, str]:
    light, _, rest = html.partition("prefers-color-scheme: dark")
    return dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", rest if dark else light))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_has_enough_contrast_in_light_and_dark(dark: bool) -> None:
    """WCAG 2 AA: 4.5 to 1 for text; 3 to 1 for the marks of a chart."""
    html = full_page().html
    scheme = colours(html, dark)
    assert set(re.findall(r"var\(--([a-z]+)\)", html)) <= set(scheme)

    def contrast(a: str, b: str) -> float:
        bright, dim = sorted((luminance(scheme[a]), luminance(scheme[b])), reverse=True)
        return (bright + 0.05) / (dim + 0.05)

    for ground in ("paper", "page", "wash"):
        for text in ("ink", "muted", "link"):
            assert contrast(text, ground) >= 4.5, (text, ground)
    for mark in ("safety", "accent"):
        assert contrast(mark, "paper") >= 3, mark
    assert contrast("capabilities", "paper") >= 2.9


def test_an_empty_page_gives_a_reason_for_everything_missing() -> None:
    page = empty_page()
    assert not page.find("svg")
    text = page.visible()
    for reason in empty_content().reasons.values():
        assert f"{reason}." in text
    tables = re.findall(r"<table>.*?</table>", page.html, re.DOTALL)
    assert all("<td" in table for table in tables)


def test_no_market_no_panel_and_no_trend_still_show_ten_areas() -> None:
    headers = [text for path, text in empty_page().texts if path[-1] == "th" and "tbody" in path]
    assert {row.area for row in empty_content().ordering.rows} <= set(headers)


def test_no_view_is_written_where_a_voice_is_silent() -> None:
    cells = full_page().text_in("td")
    # five areas without a market view, six without a trend, ten without a panel
    assert cells.count("no view") == 5 + 6 + 10


@pytest.mark.parametrize("width", [44, 72, 100, 200])
def test_every_number_in_the_tables_is_in_the_text_twin(width: int) -> None:
    twin = set(NUMBER.findall(render_text(full_content(), width)))
    page = Page(render_page(full_content()))
    numbers = {n for text in (*page.text_in("td"), *page.text_in("th")) for n in NUMBER.findall(text)}
    assert len(numbers) > 60
    assert numbers <= twin


def test_a_null_result_is_called_so() -> None:
    assert "indistinguishable from no agreement" in full_page().text_in("td")


def test_sources_are_credited_and_the_page_says_what_it_is_not() -> None:
    text = full_page().visible()
    assert "METR, time horizons" in text
    assert "It makes no forecast of its own" in text
    assert "sqlite:////var/lib/speedup/speedup.db" in text


def test_sections_come_in_reading_order() -> None:
    keys = [section.key for section in sections(full_content())]
    assert keys[0] == "ordering"
    assert keys[-1] == "caveats"
    assert len(keys) == len(set(keys)) == 10


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 1 1">{}</svg>'


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<foreignObject><p/></foreignObject>",
        "<image xlink:href='https://x.example/a.png'/>",
        "<a xlink:href='javascript:alert(1)'><text>x</text></a>",
        "<path style='fill: url(https://x.example/#a)' d='M 0 0'/>",
        "<g clip-path='url(https://x.example/#a)'/>",
        "<animate attributeName='x'/>",
    ],
)
def test_a_chart_with_anything_but_drawing_in_it_is_refused(inside: str) -> None:
    content = replace(full_content(), slope=Chart("bad", SVG.format(inside), "bad"))
    with pytest.raises(ValueError, match="must not"):
        render_page(content)


def test_handlers_and_foreign_references_do_not_survive() -> None:
    inside = "<g onclick='alert(1)' id='q'><use xlink:href='https://x.example/#a' x='1' y='1'/></g>"
    html = render_page(replace(full_content(), slope=Chart("odd", SVG.format(inside), "odd")))
    assert "onclick" not in html
    assert "x.example" not in html


@pytest.mark.parametrize("svg", ["not xml", "<html/>", '<!DOCTYPE s [<!ENTITY a "b">]><s>&a;</s>'])
def test_what_is_no_svg_is_refused(svg: str) -> None:
    with pytest.raises(ValueError, match="a chart"):
        render_page(replace(full_content(), slope=Chart("bad", svg, "bad")))
