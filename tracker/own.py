"""Forecasts that people, panels and other programs give: read strictly, kept with their author, scored like all.

A forecast is on one of our questions (its id) or on a question that the catalogue links to
(``platform:external_id``). It is said in exactly one of four ways, each in a column of its own, so that
nothing has to be guessed: ``probability`` (0..1), ``percent`` (0..100), ``odds`` (for:against, ``3:1`` is
0.75) or ``quantiles`` (``0.1=2027-06-01; 0.5=2030-01-01; 0.9=2040-01-01``).

A quantile is itself a probability: "the 0.1 quantile is x" says P(X <= x) = 0.1. So it is stored as a forecast
of the outcome ``<=x``, one per level; those made together make up a distribution (``distributions``).

The bytes entered are kept as a raw payload with who entered them and when. ``made_at`` may lie before that, but
a forecast counts from when it was entered: otherwise anybody could have known it all along (``entered_at``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from questions.catalogue import Catalogue
from questions.model import QuestionKind
from questions.problems import suggestion
from questions.records import Forecast, ForecasterKind
from questions.time import EPOCH, iso, parse_utc
from storage.records import RawPayload
from storage.store import Store
from tracker.errors import Problem
from tracker.sheets import Sheet, moment, named, needed, number, odds, percent, probability, require_good

NAME = "forecasts"  # the source of the payloads that hold what was entered
OWN = "speedup"  # stands for the platform where a question is one of ours
BELOW = "<="
VALUE = "value"  # the outcome of a stream that gives a number or a date

_WAYS = ("probability", "percent", "odds", "quantiles")

Quantiles = tuple[tuple[float, str], ...]
Key = tuple[str, str, str, datetime]


@dataclass(frozen=True)
class Distribution:
    """The quantiles somebody gave at one time: ``values[k]`` is the ``levels[k]`` quantile, both rising.

    Dates are Unix seconds when ``dated``.
    """

    question: str
    forecaster: str
    made_at: datetime
    levels: tuple[float, ...]
    values: tuple[float, ...]
    dated: bool


@dataclass(frozen=True)
class Reading:
    """What a file says: its forecasts with the line each stands in, and everything that is wrong in it."""

    forecasts: tuple[Forecast, ...]
    lines: tuple[int, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Entered:
    """What entering did: ``new`` forecasts of those read; ``known``: these very bytes were entered before."""

    payload: RawPayload
    known: bool
    forecasts: tuple[Forecast, ...]
    new: int


def one_row(cells: Mapping[str, str]) -> bytes:
    """A file of one row, as a person would have written it: what is typed and what is imported are one thing."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([cells.keys(), cells.values()])
    return text.getvalue().encode()


def read(raw: RawPayload) -> Reading:
    """All forecasts and all problems of a file. Depends on nothing but ``raw``."""
    sheet = _Forecasts(raw)
    if sheet.read() == 0 and not sheet.problems:
        sheet.wrong(0, "", "there are no forecasts in it")
    return Reading(tuple(sheet.forecasts), tuple(sheet.lines), tuple(sheet.problems))


def check(raw: RawPayload, reading: Reading, catalogue: Catalogue, known: Iterable[Forecast]) -> None:
    """Raise UsageError with every problem: in the file, against the catalogue, against what was said before."""
    said = {_key(forecast): forecast.probability for forecast in known}
    quantiles: dict[Key, set[str]] = {}
    for question, outcome, forecaster, at in said:
        quantiles.setdefault((question, outcome[:2], forecaster, at), set()).add(outcome)
    told = {_key(forecast) for forecast in reading.forecasts}
    problems = list(reading.problems)
    for forecast, line in zip(reading.forecasts, reading.lines, strict=True):
        for column, message in _doubts(forecast, catalogue):
            problems.append(Problem(raw.ref, line, column, message))
        before = said.get(_key(forecast), forecast.probability)
        if before != forecast.probability:
            message = (
                f"{forecast.forecaster} gave {before:g} for the same at that time; another needs another time"
            )
            problems.append(Problem(raw.ref, line, "made_at", message))
        question, outcome, forecaster, at = _key(forecast)
        others = (
            quantiles.get((question, outcome[:2], forecaster, at), set())
            if outcome.startswith(BELOW)
            else set()
        )
        if any((question, other, forecaster, at) not in told for other in others):
            message = f"{forecaster} gave other quantiles at that time; others need another time"
            problems.append(Problem(raw.ref, line, "made_at", message))
    require_good(list(dict.fromkeys(problems)))


def enter(store: Store, raw: RawPayload, catalogue: Catalogue, *, dry_run: bool = False) -> Entered:
    """Keep what was entered and store its forecasts; the same bytes entered again add nothing.

    Raises UsageError with all problems; then nothing was stored. ``dry_run`` stores nothing either way.
    """
    before = store.get_raw(raw.sha256)
    known = before is not None and before.source == NAME
    kept = before if before is not None and known else raw
    reading, said = read(kept), store.forecasts()
    check(kept, reading, catalogue, said)
    fresh = {_key(forecast) for forecast in reading.forecasts} - {_key(forecast) for forecast in said}
    if not dry_run:
        with store.together():
            if not known:
                store.put_raw(raw)
            store.add_forecasts(reading.forecasts)
    return Entered(kept, known, reading.forecasts, len(fresh))


def entered_at(store: Store) -> dict[Key, datetime]:
    """When each forecast was entered, for those entered through here, by question, outcome, forecaster, time."""
    entered: dict[Key, datetime] = {}
    for raw in store.raw_payloads(NAME):
        for forecast in read(raw).forecasts:
            key = _key(forecast)
            entered[key] = min(raw.fetched_at, entered.get(key, raw.fetched_at))
    return entered


def counted(store: Store, *, known_at: datetime | None = None) -> list[tuple[Forecast, datetime]]:
    """Every forecast entered by ``known_at`` with the time it counts from: its own, or its entry if later."""
    entered = entered_at(store)
    timed = ((one, max(one.made_at, entered.get(_key(one), one.made_at))) for one in store.forecasts())
    return [(one, at) for one, at in timed if known_at is None or at <= known_at]


def distributions(forecasts: Iterable[Forecast]) -> list[Distribution]:
    """The quantiles among forecasts, put together as they were given."""
    together: dict[tuple[str, str, datetime], list[tuple[float, float, bool]]] = {}
    for one in forecasts:
        if one.outcome.startswith(BELOW):
            value, dated = _position(one.outcome.removeprefix(BELOW))
            key = (one.question, one.forecaster, one.made_at)
            together.setdefault(key, []).append((one.probability, value, dated))
    made = []
    for (question, forecaster, at), points in sorted(together.items()):
        levels, values, dates = zip(*sorted(points), strict=True)
        made.append(Distribution(question, forecaster, at, levels, values, any(dates)))
    return made


def place(question: str) -> tuple[str, str]:
    """(platform, external id) of what a forecast is on: ``speedup`` and our id, or a linked question's."""
    platform, colon, external_id = question.partition(":")
    return (platform, external_id) if colon else (OWN, question)


def _key(forecast: Forecast) -> Key:
    return (forecast.question, forecast.outcome, forecast.forecaster, forecast.made_at)


def _doubts(forecast: Forecast, catalogue: Catalogue) -> Iterable[tuple[str, str]]:
    """What speaks against a forecast's question and outcome, with the column it is about."""
    if ":" in forecast.question:
        outcomes = {link.outcome for link in catalogue.links if place(forecast.question) == link.key[:2]}
        if not outcomes:
            yield (
                "question",
                f"{forecast.question!r} is no linked question; see `speedup questions list --links`",
            )
        elif forecast.outcome.startswith(BELOW):
            if VALUE not in outcomes:
                yield "quantiles", f"{forecast.question} is no numeric question; it has no quantiles"
        elif forecast.outcome == VALUE:
            yield "quantiles", f"{forecast.question} asks for a number or a date: give quantiles"
        elif forecast.outcome not in outcomes:
            yield "outcome", f"{forecast.outcome!r} is none of the linked ones: {', '.join(sorted(outcomes))}"
        return
    question = catalogue.questions.get(forecast.question)
    if question is None:
        yield (
            "question",
            f"no question {forecast.question!r}{suggestion(forecast.question, catalogue.questions)}",
        )
        return
    numeric = question.kind in (QuestionKind.NUMERIC, QuestionKind.DATE)
    if forecast.outcome.startswith(BELOW):
        dated = _position(forecast.outcome.removeprefix(BELOW))[1]
        if not numeric:
            yield "quantiles", f"{forecast.question} is a {question.kind.value} question; it has no quantiles"
        elif dated != (question.kind is QuestionKind.DATE):
            yield "quantiles", f"{forecast.question} asks for a {'date' if not dated else 'number'}"
    elif forecast.outcome not in question.outcomes:
        yield "outcome", f"{forecast.outcome!r} is none of: {', '.join(question.outcomes)}"


# --- cells ----------------------------------------------------------------------------------------------


def _question(text: str) -> str:
    if not text or len(text) > 200:
        raise ValueError("should be a question's id, or platform:external_id")
    return text


def _quantiles(text: str) -> Quantiles | None:
    if not text:
        return None
    points = []
    for part in text.split(";"):
        level, equals, value = part.partition("=")
        share = number(level.strip())
        if not equals or share is None or not 0.0 < share < 1.0:
            raise ValueError(f"{part.strip()!r}: write LEVEL=VALUE with a level between 0 and 1, `;` between")
        points.append((share, _canonical(value.strip())))
    for (low, x), (high, y) in pairwise(points):
        (before, dated), (after, also) = _position(x), _position(y)
        if dated != also:
            raise ValueError("mixes dates and numbers")
        if not (low < high and before < after):
            raise ValueError(f"levels and values must both rise; {low:g}={x} comes before {high:g}={y}")
    return tuple(points)


def _canonical(text: str) -> str:
    try:
        return iso(parse_utc(text))
    except ValueError:
        pass
    found = number(text)
    if found is None:
        raise ValueError("a quantile needs its value")
    return repr(found)


def _position(text: str) -> tuple[float, bool]:
    """A canonical value as a number, and whether it is a date (then Unix seconds)."""
    if text.endswith("Z"):
        return (parse_utc(text) - EPOCH).total_seconds(), True
    return float(text), False


def _kind(text: str) -> ForecasterKind:
    try:
        return ForecasterKind(text or "person")
    except ValueError:
        raise ValueError(f"{text!r} is none of: {', '.join(ForecasterKind)}") from None


def _made_at(text: str) -> datetime | None:
    return moment(text) if text else None


@dataclass
class _Forecasts(Sheet):
    """The forecasts read so far."""

    columns = {  # noqa: RUF012 - a constant of the class
        "question": _question,
        "outcome": named(200, "yes"),
        "probability": probability,
        "percent": percent,
        "odds": odds,
        "quantiles": _quantiles,
        "forecaster": needed(named(120)),
        "kind": _kind,
        "made_at": _made_at,
        "comment": str,
        "version": str,
    }
    required = ("question", "forecaster")

    forecasts: list[Forecast] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    said: dict[Key, int] = field(default_factory=dict)

    def add(self, line: int, told: Mapping[str, Any]) -> None:
        ways = [way for way in _WAYS if told[way] is not None]
        at = told["made_at"] or self.raw.fetched_at
        if len(ways) != 1:
            what = " and ".join(ways) if ways else "nothing"
            self.wrong(line, "probability", f"give exactly one of {', '.join(_WAYS)}; here is {what}")
        elif at > self.raw.fetched_at:
            self.wrong(line, "made_at", f"{iso(at)} lies after it was entered ({iso(self.raw.fetched_at)})")
        elif told["outcome"].startswith(BELOW):
            self.wrong(
                line, "outcome", f"{BELOW} is how quantiles are kept; write them in the column quantiles"
            )
        elif ways == ["quantiles"]:
            first = self.said.setdefault((told["question"], BELOW, told["forecaster"], at), line)
            if first != line:
                self.wrong(line, "made_at", f"line {first} has quantiles of the same forecaster and time")
                return
            for level, value in told["quantiles"]:
                self._say(line, told, BELOW + value, level, at)
        else:
            self._say(line, told, told["outcome"], told[ways[0]], at)

    def _say(self, line: int, told: Mapping[str, Any], outcome: str, share: float, at: datetime) -> None:
        forecast = Forecast(
            question=told["question"],
            outcome=outcome,
            forecaster=told["forecaster"],
            kind=told["kind"],
            made_at=at,
            probability=share,
            version=told["version"],
            comment=told["comment"],
        )
        first = self.said.setdefault(_key(forecast), line)
        if first != line:
            self.wrong(line, "made_at", f"line {first} is of the same question, outcome, forecaster and time")
        else:
            self.forecasts.append(forecast)
            self.lines.append(line)
