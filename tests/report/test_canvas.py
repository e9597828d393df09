"""Bytes that depend on contents only, and on nobody's settings."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.report.contents import RELIABILITY
from tests.report.horizons import CROSSINGS, FIT, OUTLOOK, VERSIONS
from tests.report.voices import AREAS, INTERNAL, MARKET, TREND
from tracker.report import plots

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTS = {
    "slope": lambda: plots.slope_chart(
        (INTERNAL, MARKET, TREND), AREAS, title="Which areas first?", as_of=NOW
    ),
    "horizon": lambda: plots.horizon_chart(VERSIONS, FIT, CROSSINGS, as_of=NOW),
    "outlook": lambda: plots.horizon_chart(VERSIONS, FIT, CROSSINGS, as_of=NOW, outlook=OUTLOOK),
    "reliability": lambda: plots.reliability_chart(RELIABILITY, as_of=NOW),
}


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_two_renderings_give_the_same_bytes(draw) -> None:  # type: ignore[no-untyped-def]
    first, second = draw(), draw()
    assert plots.svg_text(first) == plots.svg_text(second)
    assert plots.png_bytes(first) == plots.png_bytes(second)


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_the_users_matplotlib_settings_neither_matter_nor_change(draw) -> None:  # type: ignore[no-untyped-def]
    import matplotlib as mpl

    expected = plots.svg_text(draw())
    odd: dict[Any, Any] = {
        "font.size": 31.0,
        "axes.facecolor": "red",
        "lines.linewidth": 9.0,
        "text.usetex": False,
        "svg.fonttype": "path",
    }
    with mpl.rc_context(odd):
        assert plots.svg_text(draw()) == expected
        assert {name: mpl.rcParams[name] for name in odd} == odd


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_files_tell_neither_when_nor_with_what_they_were_made(draw) -> None:  # type: ignore[no-untyped-def]
    figure = draw()
    svg, png = plots.svg_text(figure), plots.png_bytes(figure)
    for word in ("<dc:date", "Matplotlib", "matplotlib.org"):
        assert word not in svg
    assert b"tEXt" not in png
    assert b"tIME" not in png


def test_png_is_1200_pixels_wide() -> None:
    header = plots.png_bytes(CHARTS["reliability"]())[:24]
    assert int.from_bytes(header[16:20], "big") == 1200


def test_save_writes_the_same_bytes_to_the_two_paths(tmp_path: Path) -> None:
    figure = CHARTS["reliability"]()
    png, svg = tmp_path / "a.png", tmp_path / "a.svg"
    plots.save(figure, png, svg)
    assert png.read_bytes() == plots.png_bytes(figure)
    assert svg.read_text(encoding="utf-8") == plots.svg_text(figure)
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.svg"}


def test_importing_the_package_loads_nothing_heavy_and_drawing_needs_no_pyplot() -> None:
    program = """
import sys
import tracker.report.page, tracker.report.text, tracker.report.plots as plots
heavy = {"matplotlib", "scipy", "pandas", "jinja2", "rich"} & set(sys.modules)
assert not heavy, heavy
from datetime import UTC, datetime
from tests.report.voices import AREAS, INTERNAL
plots.svg_text(plots.slope_chart([INTERNAL], AREAS, title="t", as_of=datetime(2026, 1, 1, tzinfo=UTC)))
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
