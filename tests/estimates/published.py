"""Published numbers the estimates are held against, and the records made of them."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from questions.model import FactorTable
from questions.records import Measurement

# Jan Wehner, "Will we get automated alignment research before an AI Takeoff?", 2026-01-22: factor, weight,
# then one score per area; the last row is the result as printed there.
_AREAS = (
    "interpretability",
    "alignment_theory",
    "scalable_oversight",
    "ai_control",
    "dangerous_capability_evals",
    "pretraining_algorithms",
    "post_training",
    "data_generation",
    "agent_scaffolding",
    "training_efficiency",
)
_FACTORS = """
task_length 1.0 7.62 2.12 4.00 6.25 7.62 3.12 5.00 6.12 7.50 6.12
insight_vs_engineering 1.5 4.56 1.50 5.00 6.06 7.56 6.12 6.75 8.86 7.50 6.23
data_availability 0.2 4.88 3.00 2.25 2.00 4.12 7.75 7.00 6.38 5.88 7.00
feedback_quality 2.5 3.88 1.38 3.88 4.38 3.62 7.50 7.38 6.00 7.50 9.12
compute_vs_labour 2.5 7.88 10.00 6.75 8.12 7.62 2.12 4.38 3.88 6.62 5.25
scheming_risk 0.4 2.00 1.00 1.00 1.00 1.00 9.00 7.00 9.00 9.00 9.00
economic_incentive 0.5 3.88 1.88 4.00 4.62 5.38 9.38 9.38 9.00 8.75 9.12
"""
PRINTED_RESULT = dict(zip(_AREAS, (5.53, 4.04, 4.76, 5.78, 5.93, 5.37, 6.21, 6.22, 7.35, 7.09), strict=True))
GROUPS = dict(zip(_AREAS, ["safety"] * 5 + ["capabilities"] * 5, strict=True))


def essay_table() -> FactorTable:
    rows = [line.split() for line in _FACTORS.split("\n") if line]
    return FactorTable(
        version="test",
        source_url="https://www.lesswrong.com/posts/z4FvJigv3c8sZgaKZ",
        weights={row[0]: float(row[1]) for row in rows},
        scores={row[0]: dict(zip(_AREAS, map(float, row[2:]), strict=True)) for row in rows},
    )


def metr_points(version: str) -> list[Measurement]:
    """The horizons METR's 1.1 series held on a day, p50 and p80 of every model."""
    with (Path(__file__).parent / "metr_facts.csv").open(newline="") as handle:
        rows = list(csv.DictReader(line for line in handle if not line.startswith("#")))
    return [
        Measurement(
            series="metr_th11",
            key=row["key"],
            metric=metric,
            at=date.fromisoformat(row["released"]),
            value=float(row[f"{metric}_minutes"]),
            unit="minutes",
            is_sota=row["is_sota"] == "1",
        )
        for row in rows
        if version in row["versions"].split()
        for metric in ("p50", "p80")
    ]


def epoch_points(series: str) -> list[Measurement]:
    """Record systems of a series of Epoch AI (CC BY 4.0, see the file's head)."""
    return _records("epoch_frontier.csv", series)


def leaderboard_points(series: str) -> list[Measurement]:
    """Record scores of a public leaderboard (see the file's head)."""
    return _records("leaderboard_records.csv", series)


def _records(file: str, series: str) -> list[Measurement]:
    with (Path(__file__).parent / "data" / file).open(newline="") as handle:
        rows = list(csv.DictReader(line for line in handle if not line.startswith("#")))

    def number(text: str) -> float | None:
        return float(text) if text else None

    return [
        Measurement(
            series=series,
            key=row["key"],
            metric="score",
            at=date.fromisoformat(row["released"]),
            value=float(row["value"]),
            unit=row["unit"],
            lower=number(row["lower"]),
            upper=number(row["upper"]),
            ci_level=number(row["ci_level"]),
        )
        for row in rows
        if row["series"] == series
    ]
