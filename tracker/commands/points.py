"""Where the points of a trend come from: a stored series, a METR results file, or a table of draws' dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from questions.records import Measurement, SeriesVersion
from questions.time import iso
from storage.records import VersionInfo
from storage.store import Store
from tracker.commands.session import Session
from tracker.errors import ParseError, UsageError

DEFAULT_SERIES = "metr_th11"
METR_CEILING_MINUTES = 960.0


@dataclass(frozen=True)
class Points:
    """What is to be fitted, and where it came from."""

    series: str
    sha256: str | None
    measurements: Sequence[Measurement]
    published: dict[str, float]
    notes: tuple[str, ...] = ()
    versions: tuple[SeriesVersion, ...] = ()

    @property
    def ceiling(self) -> float | None:
        """Above this METR calls its suite unreliable; None for series of others."""
        return METR_CEILING_MINUTES if self.series.startswith("metr_") else None


def read_points(session: Session, options: dict[str, Any], *, history: bool = False) -> Points:
    """The points a command was asked to work on, with every stored version of them if ``history``.

    Raises UsageError for options that do not go together, and for what cannot be read.
    """
    known = options["as_known_at"] or session.as_of
    if options.get("draws") is not None and options.get("draw_dates") is None:
        raise UsageError("--draws needs --draw-dates: a CSV with columns model, release_date, p50")
    if options["file"] is not None and options["series"] is not None:
        raise UsageError("give --file or --series, not both")
    if options["file"] is not None:
        return _from_file(options["file"], session)
    if options.get("draw_dates") is not None:
        return _from_draw_dates(options["draw_dates"], options["metric"])
    return _from_store(session, options["series"] or DEFAULT_SERIES, known, history)


def _from_file(path: Path, session: Session) -> Points:
    from storage.records import RawPayload
    from tracker.sources.metr import read_metr

    raw = RawPayload("file", path.name, str(path), session.now(), 200, "application/yaml", path.read_bytes())
    try:
        parsed = read_metr(raw)
    except ParseError as error:
        raise UsageError(f"{path}: {error.field}: {error.message}") from error
    version = parsed.batch.versions[0]
    notes = (*(f"{fault.field}: {fault.message}" for fault in parsed.faults), *parsed.notes)
    return Points(version.series, raw.sha256, version.measurements, dict(version.published), notes)


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


def _from_draw_dates(path: Path, metric: str) -> Points:
    from csv import DictReader

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None
    reader = DictReader(lines)
    missing = {"model", "release_date", "p50"} - set(reader.fieldnames or ())
    if missing:
        raise UsageError(f"{path}:1: missing column {', '.join(sorted(missing))}")
    measurements = [_draw_row(path, reader.line_num, row, metric) for row in reader]
    return Points(path.stem, None, measurements, {})


def _draw_row(path: Path, line: int, row: dict[str, str], metric: str) -> Measurement:
    try:
        return Measurement(
            series=path.stem,
            key=row["model"],
            metric=metric,
            at=date.fromisoformat(row["release_date"]),
            value=float(row["p50"]),
            unit="minutes",
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}:{line}: {error}") from error
