"""The factor table from a file, and the assumption that turns it into needed time horizons."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from questions.errors import CatalogueError, Problem
from questions.model import FactorTable, Key, Record
from questions.problems import suggestion
from questions.question import Listed, Text, Url

Finding = tuple[tuple[str, ...], str]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_KEY = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_LOWEST, _HIGHEST = 1.0, 10.0


class PrintedResults(Record):
    """What the essay prints for its own table, rounded to two decimals: the check of a recomputation."""

    version: Text
    areas: dict[Key, float]
    groups: dict[Key, float]


class HorizonRequirements(Record):
    """How long a task an AI must manage before an area speeds up: an assumption, not a measurement.

    On average the ``anchor_areas`` need ``anchor_minutes`` at ``reliability``; an area whose score on
    ``factor`` is a point higher (more amenable) needs ``doublings_per_point`` doublings less.
    ``sd_doublings`` is the standard deviation of what an area really needs. The table decides the order,
    so a voice built on this is not independent of the factor model. ``minutes``: areas whose need is
    stated outright instead.
    """

    version: Text
    anchor_minutes: Annotated[float, Field(gt=0, le=1e9)]
    anchor_areas: Annotated[Listed[Key], Field(min_length=1)]
    reliability: Annotated[float, Field(gt=0, lt=1)]
    factor: Key
    doublings_per_point: Annotated[float, Field(ge=0, le=10)]
    sd_doublings: Annotated[float, Field(ge=0, le=20)]
    minutes: dict[Key, Annotated[float, Field(gt=0, le=1e9)]] = Field(default_factory=dict)
    source: Text
    source_url: Url
    note: Text

    def needed_minutes(self, table: FactorTable) -> dict[str, float]:
        """Needed time horizon in minutes for every area of the table, in its order.

        anchor_minutes * 2 ** (doublings_per_point * (mean score of the anchor areas - score)), except
        where ``minutes`` states it. When the table lacks the factor or an anchor area only the stated ones
        are left; areas without a need have no view.
        """
        scores = table.scores.get(self.factor)
        if scores is None or not set(self.anchor_areas) <= set(scores):
            return dict(self.minutes)
        anchor = math.fsum(scores[area] for area in self.anchor_areas) / len(self.anchor_areas)
        derived = {
            area: self.anchor_minutes * 2.0 ** (self.doublings_per_point * (anchor - score))
            for area, score in scores.items()
        }
        return derived | self.minutes


def in_area_order(table: FactorTable, areas: Sequence[str]) -> FactorTable:
    """The same table with its columns in the catalogue's order, so that equal tables compute equally."""
    scores = {factor: {area: row[area] for area in areas} for factor, row in table.scores.items()}
    weights = {factor: table.weights[factor] for factor in scores}
    return table.model_copy(update={"scores": scores, "weights": weights})


def table_findings(
    weights: Mapping[str, float], scores: Mapping[str, Mapping[str, float]], areas: Sequence[str]
) -> Iterator[Finding]:
    """Everything a factor table gets wrong, by key path; values that are no numbers are passed over."""
    for factor in weights.keys() - scores.keys():
        yield ("weights", factor), "a weight without scores"
    for factor in scores.keys() - weights.keys():
        yield ("scores", factor), "scores without a weight"
    numbers = {factor: weight for factor, weight in weights.items() if _is_number(weight)}
    for factor, weight in numbers.items():
        if not (math.isfinite(weight) and weight >= 0):
            yield ("weights", factor), f"a weight must be 0 or more, not {weight:g}"
    if numbers and not any(weight > 0 for weight in numbers.values()):
        yield ("weights",), "all weights are zero: at least one must be positive"
    for factor, row in scores.items():
        if isinstance(row, Mapping):
            yield from _row_findings(factor, row, areas)


def _row_findings(factor: str, row: Mapping[str, float], areas: Sequence[str]) -> Iterator[Finding]:
    for area in areas:
        if area not in row:
            yield ("scores", factor), f"no score for {area}"
    for area, score in row.items():
        if area not in areas:
            yield ("scores", factor, area), f"unknown area {area!r}{suggestion(area, areas)}"
        elif _is_number(score) and not _LOWEST <= score <= _HIGHEST:
            yield ("scores", factor, area), f"score {score:g} is outside {_LOWEST:g}..{_HIGHEST:g}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass
class _Sheet:
    """A CSV being read: its cells by key path, where each stands, and what is wrong so far."""

    name: str
    areas: Sequence[str]
    weights: dict[str, float] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, line: int, column: int, message: str) -> None:
        names = {2: "weight", **{position: area for area, position in self.columns.items()}}
        named = f" ({names[column]})" if column in names and line > 1 else ""
        self.problems.append(Problem(self.name, line, f"column {column}{named}" if column else "", message))

    def read_header(self, cells: Sequence[str], line: int) -> None:
        if cells[:2] != ["row", "weight"]:
            self.add(line, 1, f"the header must begin with row,weight, not {','.join(cells[:2])}")
        for column, area in enumerate(cells[2:], start=3):
            if area not in self.areas:
                self.add(line, column, f"unknown area {area!r}{suggestion(area, self.areas)}")
            elif area in self.columns:
                self.add(line, column, f"area {area!r} stands in column {self.columns[area]} already")
            else:
                self.columns[area] = column
        for area in self.areas:
            if area not in cells[2:]:
                self.add(line, 0, f"no column for area {area!r}")

    def read_factor(self, cells: Sequence[str], line: int, width: int) -> None:
        factor = cells[0]
        if _KEY.fullmatch(factor) is None:
            self.add(line, 1, f"{factor!r} is no factor name (lower-case letters, digits and _)")
            return
        if factor in self.lines:
            self.add(line, 1, f"factor {factor!r} stands in line {self.lines[factor]} already")
            return
        self.lines[factor] = line
        if len(cells) > width:
            self.add(line, width + 1, f"{len(cells)} cells in a row, the header has {width}")
        self.weights[factor] = self._number(cells, line, 2)
        self.scores[factor] = {
            area: self._number(cells, line, column) for area, column in self.columns.items()
        }

    def _number(self, cells: Sequence[str], line: int, column: int) -> float:
        """The cell's number; a NaN, which every later check passes over, when there is none."""
        cell = cells[column - 1] if column <= len(cells) else ""
        if not cell:
            self.add(line, column, "the cell is missing or empty")
        elif _NUMBER.fullmatch(cell) is None:
            self.add(line, column, f"{cell!r} is not a number such as 7.62")
        else:
            return float(cell)
        return math.nan

    def check(self) -> None:
        if not self.weights:
            self.add(1, 0, "there is no row with a factor")
        weights = {name: weight for name, weight in self.weights.items() if not math.isnan(weight)}
        scores = {
            name: {area: score for area, score in row.items() if not math.isnan(score)}
            for name, row in self.scores.items()
        }
        for path, message in table_findings(weights, scores, self.areas):
            if path == ("weights",):
                self.add(1, 2, message)
            elif len(path) == 3 or path[0] == "weights":
                column = self.columns[path[2]] if len(path) == 3 else 2
                self.add(self.lines[path[1]], column, message)


def read_factor_csv(name: str, text: str, areas: Sequence[str]) -> FactorTable:
    """A factor table in the ``--factors`` layout; see ``questions.catalogue.load_factor_csv``."""
    sheet = _Sheet(name, areas)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    width = 0
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not width:
                width = len(cells)
                sheet.read_header(cells, reader.line_num)
            elif not (cells[0].startswith("printed") or cells[0] == "category"):
                sheet.read_factor(cells, reader.line_num, width)
    except csv.Error as error:
        sheet.add(reader.line_num, 0, f"not readable as CSV: {error}")
    else:
        sheet.check() if width else sheet.add(1, 0, "the file is empty: a header row,weight,… is needed")
    if sheet.problems:
        raise CatalogueError(sheet.problems)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    table = FactorTable(
        version=f"{name.rpartition('/')[2]}@{digest}",
        source_url="",
        weights=sheet.weights,
        scores=sheet.scores,
    )
    return in_area_order(table, areas)
