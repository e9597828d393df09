"""The picture of the orderings: complete, honest about what is not known, and readable."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from questions.model import Group
from tests.report.drawings import all_text, heights_by_gid, styles_by_gid, texts_by_gid
from tests.report.voices import (
    AREAS,
    ESSAY_SCORES,
    INTERNAL,
    MARKET,
    PANEL,
    TREND,
    tie_heavy,
    voice_from_scores,
)
from tracker.estimates.voice import Voice
from tracker.report import plots
from tracker.report.plots.canvas import GROUP_STYLES, NOTE_PT

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TITLE = "Which research areas does AI speed up first?"
FULL_PANEL = voice_from_scores("panel", ESSAY_SCORES, spread=2.0, seed=9)
SETS = {
    "internal alone": (INTERNAL,),
    "internal and market": (INTERNAL, MARKET),
    "market first": (MARKET, INTERNAL),
    "three and a silent one": (INTERNAL, MARKET, TREND, PANEL),
    "four": (INTERNAL, MARKET, TREND, FULL_PANEL),
    "five": (INTERNAL, MARKET, TREND, FULL_PANEL, tie_heavy("other")),
    "all tied": (tie_heavy("internal"), tie_heavy("market"), tie_heavy("trend"), tie_heavy("panel")),
}


def draw(*voices: Voice, title: str = TITLE) -> str:
    return plots.svg_text(plots.slope_chart(voices, AREAS, title=title, as_of=NOW))


@pytest.mark.parametrize("voices", SETS.values(), ids=SETS)
def test_every_covered_area_has_a_label_in_every_column(voices: tuple[Voice, ...]) -> None:
    labels = texts_by_gid(draw(*voices))
    shown = {gid for gid in labels if gid.startswith("rank-")}
    assert shown == {f"rank-{voice.name}-{key}" for voice in voices for key in voice.coverage}
    for area in AREAS:
        if area.key in voices[0].coverage:
            assert labels[f"rank-{voices[0].name}-{area.key}"] == area.name


@pytest.mark.parametrize("voices", SETS.values(), ids=SETS)
def test_no_text_overlaps_another_or_leaves_the_picture(voices: tuple[Voice, ...]) -> None:
    figure = plots.slope_chart(voices, AREAS, title=TITLE, as_of=NOW)
    assert plots.overlapping_texts(figure) == []


@given(st.data())
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a chart takes half a second: no shrinking
)
def test_no_text_overlaps_whatever_the_orders_and_coverages(data: st.DataObject) -> None:
    keys = [area.key for area in AREAS]
    names = data.draw(st.sampled_from([["internal", "market"], ["internal", "market", "trend"]]))
    voices = []
    for name in names:
        covered = data.draw(st.lists(st.sampled_from(keys), min_size=1, unique=True))
        scores = {key: float(data.draw(st.integers(0, 2))) for key in covered}
        voices.append(voice_from_scores(name, scores, spread=1.0))
    assert plots.overlapping_texts(plots.slope_chart(voices, AREAS, title=TITLE, as_of=NOW)) == []


def test_the_overlap_check_itself_sees_overlaps_and_clipped_text() -> None:
    figure = plots.slope_chart((INTERNAL,), AREAS, title=TITLE, as_of=NOW)
    figure.text(0.031, 0.95, "in the way of the title")
    figure.text(0.97, 0.05, "runs over the edge")
    found = plots.overlapping_texts(figure)
    assert ("runs over the edge", "(edge)") in found
    assert any(TITLE in pair and "in the way of the title" in pair for pair in found)


def test_an_area_without_evidence_is_listed_but_never_ranked_or_linked() -> None:
    svg = draw(INTERNAL, MARKET, TREND)
    labels = texts_by_gid(svg)
    links = styles_by_gid(svg, "link-")
    for voice in (MARKET, TREND):
        listed = " ".join(text for gid, text in labels.items() if gid.startswith(f"noview-{voice.name}-"))
        without = [area for area in AREAS if area.key not in voice.coverage]
        assert listed == ", ".join(area.short for area in without)
        for area in without:
            assert f"rank-{voice.name}-{area.key}" not in labels
            assert not any(voice.name in gid and gid.endswith(area.key) for gid in links)
    assert not any(gid.startswith("noview-internal") for gid in labels)


def test_a_line_joins_an_area_only_between_neighbours_that_both_have_a_view() -> None:
    links = set(styles_by_gid(draw(INTERNAL, MARKET, TREND), "link-"))
    expected = {f"link-internal-market-{key}" for key in MARKET.coverage}
    expected |= {f"link-market-trend-{key}" for key in MARKET.coverage if key in TREND.coverage}
    assert links == expected


def test_groups_differ_in_colour_and_in_dash_and_in_lightness() -> None:
    links = styles_by_gid(draw(INTERNAL, MARKET), "link-")
    safety, capabilities = (
        links["link-internal-market-interpretability"],
        links["link-internal-market-agent_scaffolding"],
    )
    assert GROUP_STYLES[Group.SAFETY].colour in safety
    assert "stroke-dasharray" not in safety
    assert GROUP_STYLES[Group.CAPABILITIES].colour in capabilities
    assert "stroke-dasharray" in capabilities
    greys = [luminance(GROUP_STYLES[group].colour) for group in Group]
    assert max(greys) / min(greys) > 2


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_soonest_stands_at_the_top_in_every_column() -> None:
    heights = heights_by_gid(draw(INTERNAL, MARKET, TREND))
    for voice in (INTERNAL, MARKET, TREND):
        down = [heights[f"rank-{voice.name}-{key}"] for key in voice.ranking]
        assert all(above + 10 < below for above, below in pairwise(down))


def test_equal_scores_share_a_rank_and_still_stand_apart() -> None:
    voice = voice_from_scores(
        "internal",
        {"ai_control": 3.0, "post_training": 2.0, "data_generation": 2.0, "alignment_theory": 1.0},
        spread=1.0,
    )
    svg = draw(voice)
    text = all_text(svg).splitlines()
    assert [line for line in text if line.rstrip("=").isdigit()] == ["1", "2=", "2=", "4"]
    heights = heights_by_gid(svg)
    assert abs(heights["rank-internal-post_training"] - heights["rank-internal-data_generation"]) > 10


def test_the_darkest_cell_of_a_certain_order_is_its_rank() -> None:
    certain = {"ai_control": 2.0, "post_training": 1.0, "data_generation": 0.0}
    figure = plots.slope_chart(
        [voice_from_scores("internal", certain, spread=1e-6)], AREAS, title=TITLE, as_of=NOW
    )
    cells = [patch for patch in figure.axes[0].patches if patch.get_alpha() is not None]
    lefts = [patch.get_window_extent().x0 for patch in cells]
    assert len(cells) == 3  # one cell each, nothing on the other ranks
    assert lefts == sorted(lefts)


def test_coverage_stands_under_each_column_title() -> None:
    text = all_text(draw(INTERNAL, MARKET, TREND))
    for counted in ("10 of 10 areas", "5 of 10 areas", "4 of 10 areas"):
        assert counted in text


def test_a_silent_voice_is_named_with_its_reason() -> None:
    assert "Panel: no view on any area (no panel forecast is stored yet)." in all_text(draw(INTERNAL, PANEL))


def test_when_no_voice_has_a_view_there_is_no_picture() -> None:
    with pytest.raises(ValueError, match="no voice has a view"):
        plots.slope_chart((PANEL,), AREAS, title=TITLE, as_of=NOW)


def test_a_hostile_title_is_plain_text() -> None:
    title = r"$\frac{1}{0}$ <script>alert(1)</script> & ]]> \x1b[31m"
    svg = draw(INTERNAL, title=title + "\x1b\u202e")
    assert title in all_text(svg).splitlines()
    assert "<script" not in svg


def test_a_very_long_title_stays_inside_the_picture() -> None:
    figure = plots.slope_chart((INTERNAL, MARKET), AREAS, title="Which areas first? " * 4, as_of=NOW)
    assert plots.overlapping_texts(figure) == []


def test_print_is_large_enough_for_half_size() -> None:
    from matplotlib.text import Text

    figure = plots.slope_chart((INTERNAL, MARKET, TREND, FULL_PANEL), AREAS, title=TITLE, as_of=NOW)
    sizes = [t.get_fontsize() for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]
    # at 600 px for 8 inches a point is 75/72 px
    assert min(float(size) for size in sizes) * 600 / 8 / 72 >= 9
    assert min(float(size) for size in sizes) == NOTE_PT


def test_the_words_for_the_chart_hold_every_rank_and_mean_rank() -> None:
    alt = plots.slope_alt((INTERNAL, MARKET, PANEL), AREAS)
    assert "1 Agent scaffolding (mean rank 2.0)" in alt
    assert f"5 Alignment theory (mean rank {MARKET.mean_rank['alignment_theory']:.1f})" in alt
    assert "Panel: no view (no panel forecast is stored yet)." in alt
