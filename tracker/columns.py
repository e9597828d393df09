"""Typed tables as files: CSV for everybody, Parquet for programs, with the same rows, and a guide to the columns.

CSV: UTF-8, a header line, commas, times ISO 8601 UTC with ``Z``, nothing for "not known". Spreadsheets run cells that
look like formulas, so there text that begins with one of ``= + - @`` gets an apostrophe before it, and breaks of
lines become blanks. Parquet: times as microseconds UTC, numbers as float64, counts as int64, lists as lists, text as
it is, null for "not known"; each column's meaning is in its metadata. The same rows give the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, cast

from questions.time import iso

if TYPE_CHECKING:
    import pyarrow as pa

README = "README.md"
FORMATS = ("csv", "parquet")
_BATCH = 20_000  # rows turned into columns at once

Format = Literal["csv", "parquet"]
Cell = object
Rows = Iterator[Sequence[Cell]]


@dataclass(frozen=True)
class Column:
    """A column's name, what kind of value it holds and what that means.

    ``kind``: text, time, date, number, count, true/false, numbers or texts (lists).
    """

    name: str
    kind: str
    meaning: str


@dataclass(frozen=True)
class Sheet:
    """One file: its name without ending, what its rows are, its columns."""

    name: str
    what: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class File:
    """A file as it is to be written, and how many rows it has (a README has none)."""

    name: str
    content: bytes
    rows: int


def columns(*told: tuple[str, str, str]) -> tuple[Column, ...]:
    """Columns from (name, kind, meaning) each."""
    return tuple(Column(*one) for one in told)


def write(sheet: Sheet, rows: Iterable[Sequence[Cell]], form: Format) -> File:
    """A table as a file of one format. Raises ValueError or TypeError for a value that is not of its column's kind."""
    content, count = (_csv if form == "csv" else _parquet)(sheet, rows)
    return File(f"{sheet.name}.{form}", content, count)


def _csv(sheet: Sheet, rows: Iterable[Sequence[Cell]]) -> tuple[bytes, int]:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in sheet.columns])
    count = 0
    for row in rows:
        typed = (_TYPED[column.kind](value) for column, value in zip(sheet.columns, row, strict=True))
        writer.writerow([cell(value) for value in typed])
        count += 1
    return text.getvalue().encode(), count


def _parquet(sheet: Sheet, rows: Iterable[Sequence[Cell]]) -> tuple[bytes, int]:
    import pyarrow as pa
    from pyarrow import parquet

    types = _arrow_types()
    schema = pa.schema(
        [
            pa.field(column.name, types[column.kind], metadata={"meaning": column.meaning})
            for column in sheet.columns
        ]
    )
    sink, count, left = io.BytesIO(), 0, iter(rows)
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        while batch := list(islice(left, _BATCH)):
            told = zip(sheet.columns, schema.types, zip(*batch, strict=True), strict=True)
            arrays = [pa.array(map(_TYPED[column.kind], cells), type=kind) for column, kind, cells in told]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(batch)
    return sink.getvalue(), count


def _arrow_types() -> Mapping[str, pa.DataType]:
    import pyarrow as pa

    return {
        "text": pa.string(),
        "time": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
        "number": pa.float64(),
        "count": pa.int64(),
        "true/false": pa.bool_(),
        "numbers": pa.list_(pa.float64()),
        "texts": pa.list_(pa.string()),
    }


def _text(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _list(kind: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    return lambda value: [kind(one) for one in value]


def _known(kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None or value == "" else kind(value)


def _same(value: Any) -> Any:
    return value


_TYPED: Mapping[str, Callable[[Any], Any]] = {
    "text": _known(_text),
    "time": _known(_same),
    "date": _known(_same),
    "number": _known(float),
    "count": _known(int),
    "true/false": _known(_same),
    "numbers": _known(_list(float)),
    "texts": _known(_list(str)),
}


def cell(value: Cell) -> str:
    """A value as it stands in a CSV.

    >>> cell(None), cell(0.25), cell(True), cell("=1+1"), cell([1.0, 2.0])
    ('', '0.25', 'true', "'=1+1", '[1.0, 2.0]')
    """
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return json.dumps(list(cast("Sequence[Any]", value)))
    text = " ".join(str(value).split())
    return f"'{text}" if text[:1] in "=+-@" and not isinstance(value, int) else text


_HOW = {
    "csv": (
        "CSV, UTF-8, one header line, commas; times ISO 8601 UTC, probabilities 0..1, lists as JSON, an empty cell",
        "means not known or not there. Text that begins with `=`, `+`, `-` or `@` has an apostrophe before it.",
    ),
    "parquet": (
        "Parquet; times are microseconds UTC, numbers float64, counts int64, probabilities 0..1, null means not known",
        "or not there. Each column's meaning is in its metadata too.",
    ),
}


def guide(title: str, about: Sequence[str], counted: Sequence[tuple[Sheet, int]], form: Format) -> File:
    """The README beside the files: each table with its number of rows, each column, its type and meaning."""
    lines = [f"# {title}", "", *about, *_HOW[form]]
    for sheet, count in counted:
        lines += ["", f"## {sheet.name}.{form} ({count:,} rows)", "", sheet.what, ""]
        lines += ["| column | type | meaning |", "| --- | --- | --- |"]
        lines += [f"| {column.name} | {column.kind} | {column.meaning} |" for column in sheet.columns]
    return File(README, ("\n".join(lines) + "\n").encode(), 0)
