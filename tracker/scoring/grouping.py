"""Which rows of a table belong together: by who, where, when and how long before the outcome."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tracker.errors import UsageError
from tracker.scoring.table import AREAS_JOINED, ForecastTable, Labels, codes

GROUPS = ("forecaster", "source", "area", "threshold", "month", "lead")
_LEAD_BANDS = (0, 7, 30, 90, 180, 365)  # days; labels when no lead times were asked for


def groups_of(
    table: ForecastTable, group_by: Sequence[str]
) -> Iterator[tuple[dict[str, str], NDArray[np.int64]]]:
    """Each combination of labels that occurs, in natural order, with the positions of its rows.

    Raises UsageError for a name not in ``GROUPS`` and for one whose column the table lacks.
    """
    columns = [_group_labels(table, name) for name in group_by]
    rows = np.arange(len(table))
    if "area" in group_by:
        rows, columns = _in_each_area(columns, list(group_by).index("area"))
    which, labels = codes(*columns)
    order = np.argsort(which, kind="stable")
    starts = np.searchsorted(which[order], np.arange(len(labels) + 1))
    for code in sorted(range(len(labels)), key=lambda code: [_natural(part) for part in labels[code]]):
        yield dict(zip(group_by, labels[code], strict=True)), rows[order[starts[code] : starts[code + 1]]]


def _in_each_area(columns: Sequence[Labels], at: int) -> tuple[NDArray[np.int64], list[Labels]]:
    """Rows repeated once for each of their areas: their positions, and all columns so repeated."""
    split = [label.split(AREAS_JOINED) for label in columns[at].tolist()]
    rows = np.repeat(np.arange(len(split)), [len(parts) for parts in split])
    repeated = [column[rows] for column in columns]
    repeated[at] = np.array([part for parts in split for part in parts], dtype=object)
    return rows, repeated


def _natural(label: str) -> list[str | int]:
    """Sort key that puts lead 7 before lead 30."""
    return [int(part) if odd % 2 else part for odd, part in enumerate(re.split("([0-9]+)", label))]


def _group_labels(table: ForecastTable, name: str) -> Labels:
    if name not in GROUPS:
        raise UsageError(f"cannot group by {name!r}; there are: {', '.join(GROUPS)}")
    if name == "month":
        return _months(table)
    if name == "lead":
        return _leads(table)
    labels: Labels | None = getattr(table, name)
    if labels is None:
        raise UsageError(f"cannot group by {name}: these forecasts have no {name} column")
    return np.where(labels == "", "unknown", labels)


def _months(table: ForecastTable) -> Labels:
    if table.made_at is None:
        raise UsageError("cannot group by month: when the forecasts were made is not known (made_at)")
    months = table.made_at.astype("datetime64[M]").astype(str)
    return np.where(np.isnat(table.made_at), "unknown", months).astype(object)


def _leads(table: ForecastTable) -> Labels:
    """Lead times as asked for, else bands of days (lower end included)."""
    if table.lead_days is None:
        raise UsageError("cannot group by lead: made_at and closes_at (or resolved_at) are not known")
    days = table.lead_days
    if table.leads:
        names = np.array([f"{lead}" for lead in table.leads] + ["unknown"], dtype=object)
        return names[np.where(np.isnan(days), len(table.leads), np.searchsorted(table.leads, days))]
    upper = [f"{low}-{high}" for low, high in itertools.pairwise(_LEAD_BANDS)]
    names = np.array(["below 0", *upper, f"over {_LEAD_BANDS[-1]}", "unknown"], dtype=object)
    return names[np.where(np.isnan(days), len(names) - 1, np.digitize(days, _LEAD_BANDS))]
