"""The plain twin, as a terminal or a mail would show it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from tests.report.contents import empty_content, full_content
from tracker.report.content import EvidenceRow
from tracker.report.sections import sections
from tracker.report.text import render_text

WIDTHS = [40, 60, 80, 100, 132, 250]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_asked(width: int) -> None:
    text = render_text(full_content(), width)
    too_wide = [line for line in text.splitlines() if cell_len(line) > width and "https://" not in line]
    assert too_wide == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_word_of_every_cell_survives_the_layout(width: int) -> None:
    words = set(render_text(full_content(), width).split())
    for section in sections(full_content()):
        for table in section.tables:
            for row in table.rows:
                for cell in row:
                    missing = [w for w in cell.text.split() if w not in words and len(w) < width - 8]
                    # a narrow layout ends a row header with a colon where a link follows
                    assert [w for w in missing if f"{w}:" not in words] == [], (width, cell.text)


def test_dates_by_area_say_what_is_assumed_and_what_lies_beyond() -> None:
    text = render_text(full_content(), 200, only=("horizons",))
    assert "each area is assumed to need (an assumption, not a measurement)" in text
    row = next(line for line in text.splitlines() if line.startswith("Alignment theory"))
    assert row.split()[2:] == ["1,906", "2028-06-08", "2027-05-26", "later", "0.32", "0.74"]


def test_the_health_of_questions_and_what_is_overdue_are_told() -> None:
    text = render_text(full_content(), 200, only=("health",))
    assert "1 gone, 2 no trade, 31 ok" in text
    assert "2 questions closed long ago and still undecided" in text


def test_there_are_no_colour_codes_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in render_text(full_content(), 100)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1m" in render_text(full_content(), 100, colour=True)


def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = render_text(full_content(), 100)
    for name, value in {"COLUMNS": "50", "TERM": "dumb", "FORCE_COLOR": "1", "JUPYTER_COLUMNS": "40"}.items():
        monkeypatch.setenv(name, value)
    assert render_text(full_content(), 100) == before


def test_markup_and_terminal_commands_in_a_title_are_text() -> None:
    title = "[red]Will it?[/red] :smile: \x1b]0;owned\x07\u202e"
    content = replace(full_content(), evidence=(EvidenceRow("a", "market", title, "s", "proxy", 0.5),))
    text = render_text(content, 200)
    assert "[red]Will it?[/red] :smile: ]0;owned" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_wide_characters_do_not_break_the_width() -> None:
    content = replace(
        full_content(), evidence=(EvidenceRow("区域" * 9, "market", "問題" * 40, "s", "proxy", 0.5),)
    )
    assert (
        max(cell_len(line) for line in render_text(content, 80).splitlines() if "https://" not in line) <= 80
    )


def test_some_sections_can_be_asked_for_alone() -> None:
    text = render_text(full_content(), 120, only={"comparisons"})
    assert text.startswith("Do the voices agree\n")
    assert "indistinguishable" in text
    assert "As of" not in text
    assert "Data health" not in text


def test_an_unknown_section_or_a_tiny_width_is_refused() -> None:
    with pytest.raises(ValueError, match="no such section: nonsense"):
        render_text(full_content(), only={"nonsense"})
    with pytest.raises(ValueError, match="too narrow"):
        render_text(full_content(), 39)


def test_an_empty_report_says_why_in_text_too() -> None:
    text = " ".join(render_text(empty_content(), 80).split())
    for reason in empty_content().reasons.values():
        assert f"{reason}." in text


def test_links_stand_below_the_table_they_belong_to() -> None:
    text = render_text(full_content(), 250)
    assert "METR: https://metr.org/time-horizons/" in text
    assert "plain.example" not in text
