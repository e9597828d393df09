"""The paper every chart is drawn on: palette, type, measuring, and stable bytes.

Only matplotlib's object-oriented API is used (``Figure``, no pyplot), inside ``drawing()``, which sets
matplotlib's own defaults plus ours and puts the caller's settings back afterwards. So a user's
``matplotlibrc`` changes nothing, and the same contents give the same bytes. Those settings belong to the
process: draw from one thread at a time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from questions.model import Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

WIDTH_IN = 8.0
DPI = 150  # 1200 px wide; at half that the smallest print (8.5 pt) is still 9 px high

# Every colour of every chart. Each is a word to the page, which swaps it for one that suits the dark.
PAPER = "#ffffff"
INK = "#1b1f24"
MUTED = "#59626d"
RULE = "#d3d8de"
WASH = "#f1f1f2"
SAFETY = "#0a5c9e"
CAPABILITIES = "#dd7a12"
ACCENT = "#8a3d7c"
PALETTE = {
    "paper": PAPER,
    "ink": INK,
    "muted": MUTED,
    "rule": RULE,
    "wash": WASH,
    "safety": SAFETY,
    "capabilities": CAPABILITIES,
    "accent": ACCENT,
}

TITLE_PT = 15.0
HEAD_PT = 11.0
LABEL_PT = 10.5
NOTE_PT = 9.0


@dataclass(frozen=True)
class GroupStyle:
    """How a group looks; colour, dash and marker each tell the groups apart alone."""

    colour: str
    dashes: str | tuple[float, tuple[float, ...]]
    marker: str


GROUP_STYLES = {
    Group.SAFETY: GroupStyle(SAFETY, "solid", "o"),
    Group.CAPABILITIES: GroupStyle(CAPABILITIES, (0, (4.0, 2.0)), "s"),
}

_SETTINGS: dict[Any, Any] = {
    "font.family": ["sans-serif"],
    # DejaVu Sans comes with matplotlib; the others stand in for it where an SVG is shown and are no wider.
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "text.parse_math": False,  # a "$" in somebody's title is a dollar, not TeX
    "text.usetex": False,
    "svg.fonttype": "none",  # text stays text: searchable, readable aloud, small
    "svg.hashsalt": "speedup-tracker",
    "path.simplify": False,
}


@contextmanager
def drawing() -> Iterator[None]:
    """matplotlib with its own defaults and our settings, whatever the process had; restored on leaving."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure on opaque paper that can be measured (Agg canvas)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def frame(axes: Axes) -> None:
    """Axes with a quiet frame: left and bottom alone, grid behind."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=NOTE_PT + 0.5)
    axes.set_axisbelow(True)


def square_over_strip(
    *, left: float, bottom: float, top: float, side: float, strip: float, between: float
) -> tuple[Figure, Axes, Axes]:
    """A figure with a square and, below it, a strip as wide; all in inches, the margins included."""
    height = bottom + strip + between + side + top
    figure = new_figure(height)
    square = figure.add_axes(
        (left / WIDTH_IN, (bottom + strip + between) / height, side / WIDTH_IN, side / height)
    )
    below = figure.add_axes((left / WIDTH_IN, bottom / height, side / WIDTH_IN, strip / height))
    for axes in (square, below):
        frame(axes)
        axes.set_xlim(-0.03, 1.03)
    return figure, square, below


def unit_square(axes: Axes, words: str) -> None:
    """Both ways 0 to 1, with grid and diagonal; ``words`` along the left, nothing below."""
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(labelbottom=False)
    axes.grid(visible=True, color=RULE, linewidth=0.6)
    axes.set_ylabel(words, fontsize=LABEL_PT, color=INK)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)), zorder=2)


def inch_axes(figure: Figure) -> Axes:
    """Axes over the whole figure whose data unit is an inch from the lower left corner; nothing drawn."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, float(width))
    axes.set_ylim(0, float(height))
    axes.set_axis_off()
    return axes


def text_size_in(figure: Figure, text: str, size: float, weight: str = "normal") -> tuple[float, float]:
    """Width and height in inches that a text will take."""
    probe = figure.text(0, 0, text, fontsize=size, fontweight=weight)
    box = probe.get_window_extent()
    probe.remove()
    return float(box.width) / figure.dpi, float(box.height) / figure.dpi


def wrap(figure: Figure, words: Sequence[str], width_in: float, size: float) -> list[str]:
    """Lines of joined words, each at most ``width_in`` wide (a single longer word stays whole)."""
    lines: list[str] = []
    for word in words:
        if lines and text_size_in(figure, f"{lines[-1]} {word}", size)[0] <= width_in:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def overlapping_texts(figure: Figure, slack_px: float = 1.0) -> list[tuple[str, str]]:
    """Pairs of visible texts of a figure whose boxes overlap by more than ``slack_px``; also any text
    that leaves the figure, paired with "(edge)". Empty for a chart that can be read."""
    from matplotlib.text import Text

    with drawing():
        figure.canvas.draw()
        found = [
            t
            for t in figure.findobj(Text)
            if isinstance(t, Text) and t.get_visible() and t.get_text().strip()
        ]
        boxes = [(t.get_text(), t.get_window_extent()) for t in found]
    width, height = figure.bbox.width, figure.bbox.height
    pairs = [
        (text, "(edge)")
        for text, box in boxes
        if box.x0 < -slack_px or box.y0 < -slack_px or box.x1 > width + slack_px or box.y1 > height + slack_px
    ]
    for index, (text, a) in enumerate(boxes):
        for other, b in boxes[index + 1 :]:
            across = min(a.x1, b.x1) - max(a.x0, b.x0)
            along = min(a.y1, b.y1) - max(a.y0, b.y0)
            if across > slack_px and along > slack_px:
                pairs.append((text, other))
    return pairs


def shrink_to(figure: Figure, text: Text, width_in: float, smallest: float = 8.5) -> None:
    """Make a text's print smaller until it is at most ``width_in`` wide or ``smallest`` points."""
    size = float(text.get_fontsize())
    while size > smallest and text.get_window_extent().width / figure.dpi > width_in:
        size -= 0.5
        text.set_fontsize(size)


def title(figure: Figure, axes: Axes, words: str, *, margin: float = 0.25, down: float = 0.36) -> None:
    """A bold line along the top of a figure drawn in inches, made smaller until it fits."""
    width, height = (float(x) for x in figure.get_size_inches())
    text = axes.text(
        margin, height - down, words, fontsize=TITLE_PT, fontweight="bold", color=INK, va="center"
    )
    shrink_to(figure, text, width - 2 * margin)


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG, 1200 px wide; the same figure always gives the same bytes."""
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def svg_text(figure: Figure) -> str:
    """The figure as SVG with real text and no date or program name in it; stable likewise."""
    buffer = io.StringIO()
    with drawing():
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", metadata=nothing)
    return buffer.getvalue()


def save(figure: Figure, path_png: Path, path_svg: Path) -> None:
    """Write a figure to two files; folders must exist."""
    path_png.write_bytes(png_bytes(figure))
    path_svg.write_text(svg_text(figure), encoding="utf-8")
