"""Rank, pair and agreement charts: complete, readable without colour, and honest about gaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from questions.model import Group
from tests.report.drawings import SVG, all_text, texts_by_gid
from tests.report.voices import AREAS, INTERNAL, MARKET, TREND, tie_heavy
from tracker.estimates.ordering import compare, disagreeing_pairs
from tracker.estimates.voice import Comparison, Voice
from tracker.report import plots

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WEEKS = [NOW - timedelta(days=7 * back) for back in range(9, -1, -1)]


def gids(svg: str) -> set[str]:
    return {group.get("id", "") for group in ET.fromstring(svg).iter(f"{SVG}g")}


@pytest.mark.parametrize("voice", [INTERNAL, MARKET, tie_heavy("trend")], ids=lambda voice: voice.name)
def test_every_covered_area_has_its_row_and_every_chance_its_number(voice: Voice) -> None:
    figure = plots.rank_chart(voice, AREAS, as_of=NOW)
    assert plots.overlapping_texts(figure) == []
    svg = plots.svg_text(figure)
    assert set(texts_by_gid(svg)) == {f"rank-area-{key}" for key in voice.coverage}
    words = all_text(svg).split("\n")
    best = max(voice.rank_probabilities[voice.ranking[0]])
    assert f"{100 * best:.0f}" in words
    for area in AREAS:
        assert (area.name in words) == (area.key in voice.coverage)
        assert area.name in all_text(svg)  # the others are named as without a view


def test_groups_can_be_told_apart_without_colour() -> None:
    """A marker per row: as many squares as capabilities areas, as many circles as safety areas."""
    text = all_text(plots.svg_text(plots.rank_chart(INTERNAL, AREAS, as_of=NOW)))
    assert "circle" in text
    assert "square" in text
    figure = plots.rank_chart(INTERNAL, AREAS, as_of=NOW)
    markers = [line.get_marker() for axes in figure.axes for line in axes.lines]
    assert markers.count("s") == sum(area.group is Group.CAPABILITIES for area in AREAS)
    assert markers.count("o") == sum(area.group is Group.SAFETY for area in AREAS)


@pytest.mark.parametrize(("a", "b"), [(INTERNAL, MARKET), (INTERNAL, TREND), (MARKET, INTERNAL)])
def test_disagreements_are_framed_and_no_other_pair(a: Voice, b: Voice) -> None:
    figure = plots.pair_chart(a, b, AREAS, as_of=NOW)
    assert plots.overlapping_texts(figure) == []
    drawn = gids(plots.svg_text(figure))
    framed = {
        frozenset(name.removeprefix("opposed-").split("-")) for name in drawn if name.startswith("opposed-")
    }
    assert framed == {frozenset(pair) for pair in disagreeing_pairs(a, b)}
    shared = len(set(a.coverage) & set(b.coverage))
    assert sum(name.startswith(("opposed-", "pair-")) for name in drawn) == shared * (shared - 1) // 2


def test_charts_need_something_to_draw() -> None:
    silent = Voice("market", "", reason="nothing")
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.rank_chart(silent, AREAS, as_of=NOW)
    with pytest.raises(ValueError, match="are needed"):
        plots.pair_chart(TREND, MARKET, AREAS, as_of=NOW)
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.agreement_chart([(NOW, ())])


def test_the_words_beside_the_charts_hold_the_numbers() -> None:
    words = plots.rank_alt(INTERNAL, AREAS)
    first = INTERNAL.ranking[0]
    assert f"most likely 1 ({INTERNAL.rank_probabilities[first][0]:.0%})" in words
    assert "pairs:" in plots.pair_alt(INTERNAL, MARKET, AREAS)


def history(
    *pairs: tuple[Voice, Voice], without: tuple[int, ...] = ()
) -> list[tuple[datetime, list[Comparison]]]:
    found = [compare(a, b, seed=1, resamples=200) for a, b in pairs]
    return [(at, [] if index in without else found) for index, at in enumerate(WEEKS)]


def test_agreement_shows_every_pair_and_its_chance_band() -> None:
    weeks = history((INTERNAL, MARKET), (INTERNAL, TREND))
    figure = plots.agreement_chart(weeks)
    assert plots.overlapping_texts(figure) == []
    drawn = gids(plots.svg_text(figure))
    for name in (MARKET.name, TREND.name):
        assert {f"null-internal-{name}-{index}" for index in range(len(WEEKS))} <= drawn
    words = plots.agreement_alt(weeks)
    assert words.count("tau-b") == 2
    assert "chance alone" in words


def test_a_week_without_a_comparison_is_a_gap() -> None:
    figure = plots.agreement_chart(history((INTERNAL, MARKET), without=(4,)))
    runs = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in runs] == [4, 5]
    assert f"null-internal-{MARKET.name}-4" not in gids(plots.svg_text(figure))


def test_one_week_alone_can_be_drawn() -> None:
    figure = plots.agreement_chart([(NOW, [compare(INTERNAL, MARKET, seed=1, resamples=200)])])
    assert plots.overlapping_texts(figure) == []
