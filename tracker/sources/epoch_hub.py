"""Epoch AI's benchmarking hub: one zip of CSV files, of which those named in ``FILES`` are read.

``data/benchmark_data.zip`` holds a file per benchmark, each with columns of its own; files named
``*_external`` repeat third parties' numbers. Scores are fractions 0..1 in every file read here, also where
the column's name has a percent sign; a standard error becomes an interval of plus or minus one. METR's
values in the zip are not read: their dates are not METR's, and METR's own file is a source of its own.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from questions.model import Link
from questions.records import Measurement, SeriesVersion
from storage.records import RawPayload
from tracker.errors import ParseError
from tracker.payload import FORBIDDEN, Gathering, denied, join, looks_like_html, plain, require_ok
from tracker.source import Parsed, Plan, Request, SourceTraits
from tracker.tabular import (
    STANDARD_ERROR_LEVEL,
    Points,
    Row,
    first_reason,
    key_of,
    maybe_number,
    number,
    read_cells,
    release_day,
    rows_of_csv,
    within,
)

NAME = "epoch_hub"
UNIT = "fraction"
PATH = "data/benchmark_data.zip"
MAX_ZIP = 32 * 1024 * 1024
MAX_MEMBERS = 2_000
MAX_MEMBER = 8 * 1024 * 1024  # the real files are below 200 kB

_MODEL, _RELEASED = "Model version", "Release date"


@dataclass(frozen=True)
class File:
    """How one file of the zip is read: its series, metric by score column, and what else it tells.

    ``error`` is the column of a standard error, ``error_scale`` what it must be divided by to be on the
    score's scale; ``scaffold`` the column that tells two runs of one model apart.
    """

    series: str
    scores: tuple[tuple[str, str], ...]
    error: str = ""
    error_scale: float = 1.0
    scaffold: str = ""


#: Member of the zip -> how to read it. Columns as seen in the zip of April 2026.
FILES = {
    "swe_bench_verified.csv": File("epoch_swe_bench_verified", (("score", "mean_score"),), "stderr"),
    "swe_bench_bash.csv": File("epoch_swe_bench_bash", (("score", "% Resolved"),)),
    "gso_external.csv": File("epoch_gso", (("score", "Score OPT@1"),), scaffold="Scaffold"),
    "posttrainbench_external.csv": File(
        "epoch_posttrainbench", (("score", "Average (%)"),), scaffold="Scaffold"
    ),
    "gdpval_external.csv": File(
        "epoch_gdpval", (("win", "Win Rate (%)"), ("win_or_tie", "Win + tie rate (%)"))
    ),
    "apex_agents_external.csv": File(
        "epoch_apex_agents", (("score", "Pass@1 score"),), "Pass@1 Standard Error", 100.0
    ),
}


class EpochHub:
    """The adapter. It follows no questions: the zip is asked for whatever the links are."""

    parser_version = "1"
    traits = SourceTraits(
        name=NAME,
        setting=NAME,
        base_url="https://epoch.ai",
        hosts=("epoch.ai", "www.epoch.ai"),
        pace_s=5.0,
        period_hours=168.0,
        platforms=(),
        credit="Epoch AI, AI Benchmarking Hub (epoch.ai/benchmarks)",
        licence="CC BY 4.0",
        read_timeout_s=60.0,
        max_body_bytes=MAX_ZIP,
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """The zip; it holds every benchmark whole."""
        return Plan((Request(NAME, "benchmarks", PATH, conditional=True),))

    def parse(self, raw: RawPayload) -> Parsed:
        if raw.status in FORBIDDEN:
            return denied(raw)
        require_ok(raw)
        found = Gathering(raw)
        members = _members(raw)
        for name, file in FILES.items():
            if name not in members:
                found.fault(name, name, "is not in the zip any more")
                continue
            try:
                _read(found, name, file, members[name])
            except ParseError as error:
                found.fault(name, error.field, error.message)
        return found.parsed(nothing_is_an_error=True)


def _members(raw: RawPayload) -> dict[str, bytes]:
    """The bytes of the files we read, by name. Nothing is written to a disk; folders in the zip are ignored.

    Raises ParseError for what is no zip, too many members, a name with ``..``, a root or a backslash, two
    members of one name, encryption, another compression than deflate, and a member that is larger than it
    may be, whatever its header says of its size.
    """
    if looks_like_html(raw.body):
        raise ParseError(NAME, raw.ref, "", "an HTML page came where a zip was expected")
    try:
        with zipfile.ZipFile(BytesIO(raw.body)) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS:
                raise ParseError(NAME, raw.ref, "", f"{len(infos)} members are too many")
            wanted: dict[str, zipfile.ZipInfo] = {}
            for info in infos:
                _check_name(raw, info.filename)
                name = info.filename.rpartition("/")[2]
                if name in FILES and name in wanted:
                    raise ParseError(NAME, raw.ref, name, "is in the zip twice")
                if name in FILES:
                    wanted[name] = info
            return {name: _content(raw, archive, name, info) for name, info in wanted.items()}
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
        OverflowError,
    ) as error:
        raise ParseError(
            NAME, raw.ref, "", f"is not readable as a zip: {plain(str(error), 100) or type(error).__name__}"
        ) from None


def _check_name(raw: RawPayload, name: str) -> None:
    steps = name.split("/")
    if name.startswith("/") or "\\" in name or ".." in steps or ":" in steps[0] or plain(name, 300) != name:
        raise ParseError(NAME, raw.ref, plain(name, 60), "no file of a table is called so")


def _content(raw: RawPayload, archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> bytes:
    if info.flag_bits & 0x1:
        raise ParseError(NAME, raw.ref, name, "is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ParseError(NAME, raw.ref, name, "is compressed in a way we do not take")
    with archive.open(info) as member:
        body = member.read(MAX_MEMBER + 1)
    if len(body) > MAX_MEMBER:
        raise ParseError(NAME, raw.ref, name, f"is larger than {MAX_MEMBER} bytes")
    return body


def _read(found: Gathering, name: str, file: File, body: bytes) -> None:
    """The series of one file. Raises ParseError when the file has other columns, or nothing that can be read."""
    points = Points(found, file.series, best=True)
    columns = [column for _, column in file.scores]
    extra = [column for column in (file.error, file.scaffold) if column]
    undated = 0
    for row in rows_of_csv(found, body, [_MODEL, _RELEASED, *columns, *extra], at=name):
        if not row[_RELEASED] or not any(row[column] for column in columns):
            undated += 1
            continue
        for point, column in _points(found, name, file, row):
            points.add(point, join(name, f"line {row.line}", column))
    if undated:
        found.note(f"{name}: {undated} rows without a score or a release date are left out")
    if not len(points):
        raise ParseError(NAME, found.raw.ref, name, first_reason(found))
    found.versions.append(SeriesVersion(file.series, found.digest, found.at, points.ordered()))


def _points(found: Gathering, name: str, file: File, row: Row) -> list[tuple[Measurement, str]]:
    ref = plain(row[_MODEL], 80)
    told = read_cells(
        found,
        ref,
        name,
        row,
        {
            _MODEL: lambda text: key_of(text, row[file.scaffold] if file.scaffold else ""),
            _RELEASED: lambda text: release_day(text, found.at),
            **{column: _share for _, column in file.scores},
            **({file.error: lambda text: _error(text, file.error_scale)} if file.error else {}),
        },
    )
    if told is None:
        return []
    error = told.get(file.error)
    return [
        (
            Measurement(
                series=file.series,
                key=told[_MODEL],
                metric=metric,
                at=told[_RELEASED],
                value=told[column],
                unit=UNIT,
                lower=None if error is None else max(0.0, told[column] - error),
                upper=None if error is None else min(1.0, told[column] + error),
                ci_level=None if error is None else STANDARD_ERROR_LEVEL,
                label=plain(row["Name"], 120),
            ),
            column,
        )
        for metric, column in file.scores
        if told[column] is not None
    ]


def _share(text: str) -> float | None:
    return within(number(text), 0.0, 1.0) if text else None


def _error(text: str, scale: float) -> float | None:
    value = maybe_number(text)
    return None if value is None else within(value / scale, 0.0, 1.0)


__all__ = ["FILES", "MAX_MEMBER", "PATH", "EpochHub", "File"]
