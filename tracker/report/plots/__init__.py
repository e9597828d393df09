"""Charts of orderings, time horizons and calibration, as matplotlib figures and as stable bytes.

matplotlib is imported when the first chart is drawn, never when this package is imported.
"""

from tracker.report.plots.agreement import agreement_alt, agreement_chart
from tracker.report.plots.canvas import overlapping_texts, png_bytes, save, svg_text
from tracker.report.plots.horizon import THRESHOLDS_MINUTES, Outlook, horizon_alt, horizon_chart
from tracker.report.plots.matrix import pair_alt, pair_chart, rank_alt, rank_chart
from tracker.report.plots.reliability import reliability_alt, reliability_chart
from tracker.report.plots.slope import slope_alt, slope_chart

__all__ = [
    "THRESHOLDS_MINUTES",
    "Outlook",
    "agreement_alt",
    "agreement_chart",
    "horizon_alt",
    "horizon_chart",
    "overlapping_texts",
    "pair_alt",
    "pair_chart",
    "png_bytes",
    "rank_alt",
    "rank_chart",
    "reliability_alt",
    "reliability_chart",
    "save",
    "slope_alt",
    "slope_chart",
    "svg_text",
]
