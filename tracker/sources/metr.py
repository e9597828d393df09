"""METR's time horizons: two YAML files, each read whole as one version of one series.

``benchmark_results_1_1.yaml`` is the series ``metr_th11``, ``benchmark_results_1_0.yaml`` ``metr_th10``;
metrics are ``p50`` and ``p80``, in minutes of human expert time, with 95 % intervals. The files are
revised as well as appended, so every version is a record of its own. The suite cannot resolve horizons
above 16 hours (METR's own comment in the file): such points are kept and flagged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from questions.model import Link
from questions.records import Measurement, SeriesVersion
from storage.records import RawPayload
from tracker.errors import ParseError
from tracker.payload import (
    FORBIDDEN,
    Gathering,
    Payload,
    denied,
    join,
    looks_like_html,
    plain,
    read_part,
    require_ok,
)
from tracker.source import Parsed, Plan, Request, SourceTraits

NAME = "metr"
UNIT = "minutes"
CI_LEVEL = 0.95
CEILING_MINUTES = 960.0  # "excludes points with central estimate p50 > 16 hrs" (comment in the 1.1 file)
MAX_BYTES = 512 * 1024  # the real files are about 30 kB
MAX_DEPTH = 12
EARLIEST = date(2015, 1, 1)  # no measured system is older; an earlier date is a slip of the pen
AHEAD = timedelta(days=31)  # a system may be announced before its release, not a year before
MAX_KEY = 120

PATHS = {
    "metr_th11": "assets/benchmark_results_1_1.yaml",
    "metr_th10": "assets/benchmark_results_1_0.yaml",
}
#: The file's own name for its suite, by series; rows of older suites may be stitched in.
SUITES = {
    "metr_th11": ("METR-Horizon-v1.1",),
    "metr_th10": ("METR-Horizon-v1", "METR-Horizon-v1.0"),
}
STITCHED = {"metr_th11": ("METR-Horizon-v1", "METR-Horizon-v1.0"), "metr_th10": ()}
METRICS = {"p50": "p50_horizon_length", "p80": "p80_horizon_length"}
AGGREGATES = ("all_time_stitched", "from_2023_on", "all_time")
FIGURES = ("point_estimate", "ci_low", "ci_high")

_FILE_KEYS = {"benchmark_name", "doubling_time_in_days", "long_tasks_version", "results", "swaa_version"}
_ROW_KEYS = {"benchmark_name", "metrics", "release_date", "scaffolds"}
_METRIC_KEYS = {"average_score", "is_sota", "usage", *METRICS.values()}
_ESTIMATE_KEYS = {"estimate", "ci_low", "ci_high"}


class _Lax(Payload):
    """YAML scalars arrive as text (see ``load_yaml``): numbers, dates and truth values are read from it."""

    model_config = ConfigDict(strict=False)


def _iso_date(value: object) -> date:
    if not isinstance(value, str) or re.fullmatch(r"\d{4}-\d{2}-\d{2}", value.strip()) is None:
        raise ValueError("is no date like 2025-01-31")
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("is not in the calendar") from None


class _Row(_Lax):
    release_date: Annotated[date, BeforeValidator(_iso_date)]
    metrics: dict[str, Any]
    benchmark_name: str | None = None


class _Estimate(_Lax):
    estimate: Annotated[float, Field(gt=0)]
    ci_low: Annotated[float | None, Field(ge=0)] = None
    ci_high: Annotated[float | None, Field(ge=0)] = None


class _Flag(_Lax):
    is_sota: bool | None = None


class _Figure(_Lax):
    value: Annotated[float, Field(gt=0)]


class Metr:
    """The adapter. It follows no questions: the two files are asked for whatever the links are."""

    parser_version = "1"
    traits = SourceTraits(
        name=NAME,
        setting="metr",
        base_url="https://metr.org",
        hosts=("metr.org", "www.metr.org"),
        pace_s=5.0,
        period_hours=24.0,
        platforms=(),
        credit="METR, time horizons (metr.org/time-horizons)",
        licence="all rights reserved; figures are cited, files are not redistributed",
        max_body_bytes=MAX_BYTES,
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """Both files, whatever is linked; each holds its whole history of releases."""
        return Plan(tuple(Request(NAME, series, path, conditional=True) for series, path in PATHS.items()))

    def parse(self, raw: RawPayload) -> Parsed:
        if raw.status in FORBIDDEN:
            return denied(raw)
        require_ok(raw)
        return read_metr(raw, raw.ref if raw.ref in PATHS else None)


def read_metr(raw: RawPayload, series: str | None = None) -> Parsed:
    """Read a METR result file; also for a local copy (wrap its bytes in a RawPayload).

    ``series``: what the file must be; None: told from the file's own ``benchmark_name``. The answer's
    batch holds one SeriesVersion. Points that cannot be trusted (no or a non-positive estimate, an
    interval upside down, an impossible date, a key given twice) are Faults and left out. Raises ParseError
    for HTML, broken YAML, aliases, another benchmark, or a file of which no point can be read.
    """
    top = _top(raw)
    found = Gathering(raw)
    suite = top.get("benchmark_name")
    series = _series(raw, suite, series)
    _drift(found, "", top, _FILE_KEYS)
    results = top.get("results")
    if not isinstance(results, dict) or not results:
        raise ParseError(NAME, raw.ref, "results", "should be a mapping of systems to their results")
    points: list[Measurement] = []
    for key, row in results.items():
        points.extend(_row(found, series, key, row))
    if not points:
        first = found.faults[0]
        raise ParseError(NAME, raw.ref, first.field, f"no point can be read; first: {first.message}")
    published = _published(found, top.get("doubling_time_in_days"))
    ordered = tuple(sorted(points, key=lambda point: (point.key, point.metric)))
    found.versions.append(SeriesVersion(series, found.digest, found.at, ordered, published))
    return found.parsed()


def _top(raw: RawPayload) -> dict[str, Any]:
    if looks_like_html(raw.body):
        raise ParseError(NAME, raw.ref, "", "an HTML page came where YAML was expected")
    top = load_yaml(raw)
    if not isinstance(top, dict):
        raise ParseError(NAME, raw.ref, "", "should be a mapping at the top")
    for path in _twice(top, ""):
        if "." not in path:
            raise ParseError(NAME, raw.ref, path, "is given twice")
    return top


def _series(raw: RawPayload, suite: object, wanted: str | None) -> str:
    if wanted is None:
        for series, names in SUITES.items():
            if suite in names:
                return series
        names = tuple(name for group in SUITES.values() for name in group)
    else:
        names = SUITES[wanted]
        if suite in names:
            return wanted
    shown = plain(suite, 60) if isinstance(suite, str) else "nothing"
    raise ParseError(NAME, raw.ref, "benchmark_name", f"should be {' or '.join(names)}, not {shown!r}")


def _row(found: Gathering, series: str, key: str, value: Any) -> Iterator[Measurement]:
    """The points of one system, or Faults. A row is taken whole or, per metric, left out."""
    at = join("results", key)
    if value is TWICE:
        found.fault(key[:MAX_KEY], at, "is given twice; neither is taken")
        return
    doubled = list(_twice(value, at))
    for path in doubled:
        found.fault(key[:MAX_KEY], path, "is given twice; the row is left out")
    row, faults = read_part(_Row, value, key[:MAX_KEY], at)
    if doubled:
        return
    found.faults.extend(faults)
    if row is None or not _row_is_sound(found, series, key, row):
        return
    _drift(found, "results.*", value, _ROW_KEYS)
    _drift(found, "results.*.metrics", row.metrics, _METRIC_KEYS)
    flag, faults = read_part(_Flag, row.metrics, key, join(at, "metrics"))
    found.faults.extend(faults)
    for metric, name in METRICS.items():
        point = _point(found, series, key, row, metric, name, None if flag is None else flag.is_sota)
        if point is not None:
            yield point


def _row_is_sound(found: Gathering, series: str, key: str, row: _Row) -> bool:
    at = join("results", key)
    if not key.strip() or len(key) > MAX_KEY or key != plain(key, MAX_KEY):
        found.fault(key[:MAX_KEY], at, "the key is empty, too long or has control characters")
        return False
    if row.benchmark_name is not None and row.benchmark_name not in SUITES[series] + STITCHED[series]:
        found.fault(
            key, join(at, "benchmark_name"), f"{plain(row.benchmark_name, 60)!r} is another benchmark"
        )
        return False
    if not EARLIEST <= row.release_date <= found.at.date() + AHEAD:
        found.fault(key, join(at, "release_date"), f"{row.release_date} cannot be a release date")
        return False
    return True


def _point(
    found: Gathering, series: str, key: str, row: _Row, metric: str, name: str, sota: bool | None
) -> Measurement | None:
    at = join("results", key, "metrics", name)
    value = row.metrics.get(name)
    if value is None:
        found.fault(key, at, "is missing")
        return None
    part, faults = read_part(_Estimate, value, key, at)
    found.faults.extend(faults)
    if part is None or faults:
        return None
    _drift(found, f"results.*.metrics.{name}", value, _ESTIMATE_KEYS)
    low, high = part.ci_low, part.ci_high
    if low is not None and high is not None and low > high:
        found.fault(key, at, f"the interval is upside down: {low} > {high}")
        return None
    if low is None or high is None:
        found.note(f"{at}: no interval")
    elif not low <= part.estimate <= high:
        found.note(f"{at}: the estimate lies outside its interval")
    return Measurement(
        series=series,
        key=key,
        metric=metric,
        at=row.release_date,
        value=part.estimate,
        unit=UNIT,
        lower=low,
        upper=high,
        ci_level=None if low is None and high is None else CI_LEVEL,
        is_sota=sota,
        beyond_ceiling=part.estimate > CEILING_MINUTES,
    )


def _published(found: Gathering, block: object) -> dict[str, float]:
    """The file's own doubling times in days; the 1.0 file has none."""
    figures: dict[str, float] = {}
    if block is None:
        return figures
    at = "doubling_time_in_days"
    if not isinstance(block, dict):
        found.fault("", at, "should be a mapping")
        return figures
    for name, group in block.items():
        if name not in AGGREGATES or not isinstance(group, dict):
            found.note(f"{join(at, name)}: not known")
            continue
        for figure, value in group.items():
            if figure not in FIGURES:
                found.note(f"{join(at, name, figure)}: not known")
                continue
            part, faults = read_part(_Figure, {"value": value}, "", join(at, name, figure))
            found.faults.extend(faults)
            if part is not None:
                figures[f"doubling_time_days.{name}.{figure}"] = part.value
    return figures


def _drift(found: Gathering, at: str, value: Mapping[str, Any], known: set[str]) -> None:
    for name in sorted(set(value) - known):
        found.note(f"{join(at, name)}: a field we do not know")


# --- YAML -------------------------------------------------------------------------------------------------


class _Twice:
    """Stands where a mapping gave the same key more than once."""


TWICE = _Twice()


def load_yaml(raw: RawPayload) -> Any:
    """YAML as mappings, lists, text and None; every scalar stays text, a plain ``null`` is None.

    Leaving scalars as text keeps YAML 1.1's surprises out (``1e-05`` is text there, ``1:30`` is ninety,
    ``no`` is false). Anchors, aliases, tags, deep nesting and bodies above 512 kB are refused; a key given
    twice in a mapping has the value ``TWICE``. Raises ParseError.
    """
    import yaml  # only when a file is read: start-up stays fast

    if len(raw.body) > MAX_BYTES:
        raise ParseError(NAME, raw.ref, "", f"{len(raw.body)} bytes are too many for a result file")

    class PlainLoader(yaml.BaseLoader):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()  # type: ignore[no-untyped-call]
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise yaml.YAMLError("anchors and aliases are refused")
            if getattr(event, "tag", None) is not None:
                raise yaml.YAMLError("tags are refused")
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise yaml.YAMLError("nested too deeply")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    try:
        node = PlainLoader(raw.body).get_single_node()
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        raise ParseError(NAME, raw.ref, "", f"not readable as YAML: {_yaml_reason(error)}") from None
    return _value(node)


def _yaml_reason(error: Exception) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    mark = getattr(error, "problem_mark", None)
    where = f" at line {mark.line + 1}" if mark is not None else ""
    return plain(str(problem or (error.args[0] if error.args else type(error).__name__)), 120) + where


def _value(node: Any) -> Any:
    """A YAML node as plain Python (depth is bounded by the loader)."""
    if node is None:
        return None
    if node.id == "sequence":
        return [_value(item) for item in node.value]
    if node.id == "scalar":
        return None if node.style is None and node.value in ("", "~", "null", "Null", "NULL") else node.value
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value if key_node.id == "scalar" else "a key that is no text"
        values[key] = TWICE if key in values else _value(value_node)
    return values


def _twice(value: object, at: str) -> Iterator[str]:
    """The paths of keys given twice, without looking into the rows of ``results`` from the top."""
    if not isinstance(value, dict):
        return
    for key, part in value.items():
        if part is TWICE:
            yield join(at, key)
        elif at or key != "results":
            yield from _twice(part, join(at, key))


__all__ = ["CEILING_MINUTES", "PATHS", "Metr", "load_yaml", "read_metr"]
