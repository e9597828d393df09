"""How good forecasts were: proper scores, calibration and honest intervals. Pure but for one CSV reader."""

from tracker.scoring.calibration import (
    Bin,
    CalibrationReport,
    ScoreEstimate,
    calibrate,
    to_json,
)
from tracker.scoring.grouping import GROUPS
from tracker.scoring.history import Seen, forecasts_from_history
from tracker.scoring.reader import ROLES, read_forecasts_csv
from tracker.scoring.reliability import (
    Corp,
    CorpCurve,
    corp_curve,
    corp_decomposition,
    expected_calibration_error,
    smooth_calibration_error,
)
from tracker.scoring.scores import (
    DEFAULT_LOG_CLIP,
    SCORE_VERSION,
    brier_score,
    clipped,
    log_score,
    spherical_reward,
    spherical_score,
)
from tracker.scoring.table import ForecastTable, Status, at_leads, forecast_table, select

__all__ = [
    "DEFAULT_LOG_CLIP",
    "GROUPS",
    "ROLES",
    "SCORE_VERSION",
    "Bin",
    "CalibrationReport",
    "Corp",
    "CorpCurve",
    "ForecastTable",
    "ScoreEstimate",
    "Seen",
    "Status",
    "at_leads",
    "brier_score",
    "calibrate",
    "clipped",
    "corp_curve",
    "corp_decomposition",
    "expected_calibration_error",
    "forecast_table",
    "forecasts_from_history",
    "log_score",
    "read_forecasts_csv",
    "select",
    "smooth_calibration_error",
    "spherical_reward",
    "spherical_score",
    "to_json",
]
