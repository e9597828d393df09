"""The ForecastBench crowd of 2025: where the file is and which of its columns is what."""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).parent / "data" / "forecastbench_crowd_2025.csv"
ROLES = {
    "probability": "crowd_probability",
    "outcome": "resolved_to",
    "question": "source+id",
    "source": "source",
    "made_at": "freeze_datetime",
    "resolved_at": "resolution_date",
}
