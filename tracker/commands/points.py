"""Where the points of a trend come from: a stored series, a METR results file, or a table of draws' dates."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from questions.records import Measurement, SeriesVersion
from questions.time import iso
from storage.records import VersionInfo
from storage.store import Store
from tracker.commands.session import Session
from tracker.errors import ParseError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_SERIES = "metr_th11"
METR_CEILING_MINUTES = 960.0
EARLIEST, AHEAD = (
    date(2015, 1, 1),
    timedelta(days=31),
)  # no system older, none announced longer before its release


@dataclass(frozen=True)
class Points:
    """What is to be fitted, and where it came from.

    ``faults``: parts that could not be read and are left out; ``notes``: what was read but is odd.
    ``credit``: whose data it is, for the foot of a chart.
    """

    series: str
    sha256: str | None
    measurements: Sequence[Measurement]
    published: dict[str, float]
    notes: tuple[str, ...] = ()
    versions: tuple[SeriesVersion, ...] = ()
    faults: tuple[str, ...] = ()
    credit: str = ""

    @property
    def ceiling(self) -> float | None:
        """Above this METR calls its suite unreliable; None for series of others."""
        return METR_CEILING_MINUTES if self.series.startswith("metr_") else None


def tell_faults(points: Points) -> int:
    """The exit code of a command that read these points; on stderr what was left out (exit 1)."""
    for fault in points.faults:
        click.echo(f"speedup: left out: {fault}", err=True)
    return 1 if points.faults else 0


def read_points(session: Session, options: dict[str, Any], *, history: bool = False) -> Points:
    """The points a command was asked to work on, with every stored version of them if ``history``.

    Raises UsageError for options that do not go together, and for what cannot be read.
    """
    known = options["as_known_at"] or session.as_of
    named = options["file"] is not None or options["series"] is not None
    dates = options.get("draw_dates")
    if options.get("draws") is not None and dates is None and not named:
        raise UsageError(
            f"--draws needs --draw-dates (a CSV with columns model, release_date, {options['metric']}), "
            "or --file or --series with the same models"
        )
    if options["file"] is not None and options["series"] is not None:
        raise UsageError("give --file or --series, not both")
    today = session.now().date()
    if dates is not None and not named:
        return _from_draw_dates(dates, options["metric"], today)
    if options["file"] is not None:
        points = _from_file(options["file"], session)
    else:
        points = _from_store(session, options["series"] or DEFAULT_SERIES, known, history)
    if dates is not None:
        _same_dates(points, _from_draw_dates(dates, options["metric"], today), dates)
    return points


def _same_dates(points: Points, other: Points, path: Path) -> None:
    """Both sources must date the models they share alike: else UsageError."""
    dates = {point.key: point.at for point in points.measurements}
    for point in other.measurements:
        if dates.get(point.key, point.at) != point.at:
            raise UsageError(
                f"{path}: {point.key} is dated {point.at}, but {dates[point.key]} in {points.series}"
            )


def _from_file(path: Path, session: Session) -> Points:
    from storage.records import RawPayload
    from tracker.sources.metr import read_metr

    raw = RawPayload("file", path.name, str(path), session.now(), 200, "application/yaml", path.read_bytes())
    try:
        parsed = read_metr(raw)
    except ParseError as error:
        raise UsageError(f"{path}: {error.field}: {error.message}") from error
    version = parsed.batch.versions[0]
    return Points(
        version.series,
        raw.sha256,
        version.measurements,
        dict(version.published),
        notes=tuple(parsed.notes),
        faults=tuple(f"{path}: {fault.field}: {fault.message}" for fault in parsed.faults),
        credit=f"Data: METR (metr.org), {path.name}, sha256 {raw.sha256[:8]}…",
    )


def _from_store(session: Session, series: str, known: datetime | None, history: bool) -> Points:
    store = session.store(create=False)
    try:
        if series not in store.series_ids():
            raise UsageError(
                f"no series {series!r} is stored; there are: {', '.join(store.series_ids()) or 'none yet'}"
            )
        versions = store.versions(series, known_at=known)
        if not versions:
            raise UsageError(f"nothing of {series} was known at {iso(known) if known else 'that time'}")
        points = store.measurements(series, known_at=known)
        past = tuple(_version(store, version) for version in versions) if history else ()
    finally:
        store.close()
    newest = versions[-1]
    return Points(series, newest.payload_sha256, points, dict(newest.published), versions=past)


def _version(store: Store, info: VersionInfo) -> SeriesVersion:
    points = tuple(store.measurements(info.series, known_at=info.seen_first))
    return SeriesVersion(info.series, info.payload_sha256, info.seen_first, points)


def _from_draw_dates(path: Path, metric: str, today: date) -> Points:
    """Models with their release dates and values from a table: columns model, release_date, p50 (or p80).

    Columns ``p50_ci_low`` and ``p50_ci_high`` are taken as a 95% interval. Raises UsageError at the first
    line that cannot be right.
    """
    rows = list(_rows(path, {"model", "release_date", metric}))
    seen: dict[str, int] = {}
    measurements = []
    for line, row in rows:
        point = _draw_row(f"{path}:{line}", row, metric, path.stem, today)
        if point.key in seen:
            raise UsageError(f"{path}:{line}: model {point.key!r} stands in line {seen[point.key]} already")
        seen[point.key] = line
        measurements.append(point)
    return Points(path.stem, None, measurements, {}, credit=f"Data: {path.name}")


def _draw_row(at: str, row: Mapping[str, str | None], metric: str, series: str, today: date) -> Measurement:
    key = (row["model"] or "").strip()
    if not key:
        raise UsageError(f"{at}: column model is empty")
    try:
        released = date.fromisoformat((row["release_date"] or "").strip())
    except ValueError:
        raise UsageError(
            f"{at}: release_date {row['release_date']!r} is not a date like 2025-01-31"
        ) from None
    if not EARLIEST <= released <= today + AHEAD:
        raise UsageError(f"{at}: {released} cannot be a release date")
    value = _minutes(at, metric, row[metric])
    low, high = (
        _minutes(at, name, row[name], least=0.0) if row.get(name) else None
        for name in (f"{metric}_ci_low", f"{metric}_ci_high")
    )
    if low is not None and high is not None and low > high:
        raise UsageError(f"{at}: the interval is upside down: {low:g} > {high:g}")
    level = None if low is None and high is None else 0.95
    return Measurement(
        series=series,
        key=key,
        metric=metric,
        at=released,
        value=value,
        unit="minutes",
        lower=low,
        upper=high,
        ci_level=level,
    )


def _minutes(at: str, column: str, text: str | None, least: float | None = None) -> float:
    """A finite number of minutes above zero, or not below ``least``."""
    try:
        value = float(text or "")
    except ValueError:
        raise UsageError(f"{at}: {column} {text!r} is not a number") from None
    if not math.isfinite(value) or (value <= 0 if least is None else value < least):
        raise UsageError(f"{at}: {column} must be a positive number of minutes, not {text}")
    return value


def _rows(path: Path, needed: set[str]) -> Iterator[tuple[int, dict[str, str | None]]]:
    """(line, row) of a CSV file with a header. Raises UsageError for what is no such file."""
    lines = _lines(path)
    reader = csv.DictReader(lines)
    names = list(reader.fieldnames or ())
    if len(set(names)) < len(names):
        raise UsageError(f"{path}:1: a column stands twice: {_twice(names)}")
    missing = needed - set(names)
    if missing:
        raise UsageError(f"{path}:1: missing column {', '.join(sorted(missing))}")
    for row in reader:
        if None in row:
            raise UsageError(f"{path}:{reader.line_num}: more cells than columns")
        yield reader.line_num, row


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None


def _twice(names: Sequence[str]) -> str:
    return next(name for name in names if names.count(name) > 1)


def read_draws(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """A publisher's joint bootstrap draws: model names, and minutes (draws, models), NaN where empty.

    Infinite and tiny values are kept: the rule of the fit drops them. Raises UsageError with line and
    column for a cell that is no number or is negative, ragged rows, and a model that stands twice.
    """
    import numpy as np

    reader = csv.reader(_lines(path))
    names = [name.strip() for name in next(reader, [])]
    if len(names) < 2 or not all(names):
        raise UsageError(f"{path}:1: should name a model in every column")
    if len(set(names)) < len(names):
        raise UsageError(f"{path}:1: a model stands twice: {_twice(names)}")
    rows = []
    for cells in reader:
        if len(cells) != len(names):
            raise UsageError(f"{path}:{reader.line_num}: {len(cells)} cells under {len(names)} columns")
        rows.append([_drawn(f"{path}:{reader.line_num}", *cell) for cell in zip(names, cells, strict=True)])
    if not rows:
        raise UsageError(f"{path}: no draws below the header")
    return names, np.array(rows)


def _drawn(at: str, model: str, text: str) -> float:
    try:
        value = float(text) if text.strip() else math.nan
    except ValueError:
        raise UsageError(f"{at}: {model}: {text!r} is not a number") from None
    if value < 0:
        raise UsageError(f"{at}: {model}: a horizon cannot be negative: {text}")
    return value
