"""Indicator questions, made from one table: what settles soon, so that calibration can be learned from it.

``indicators.toml`` holds the wording once, and one row for each measured quantity (which levels, at which
horizons) or for each question of another platform. An indicator decides nothing about an area's speedup.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from questions.blanks import Findings, UnfilledError, fill, fill_text, merge
from questions.errors import Problem
from questions.fields import amount
from questions.locate import KeyPath
from questions.model import Area, Key, QuestionKind, Record, SpeedupKind, View
from questions.problems import CatalogueFile, explain, suggestion
from questions.question import (
    Baseline,
    Change,
    ContradictionError,
    CurrentValue,
    Dates,
    EventBasis,
    Listed,
    Moment,
    Question,
    Text,
    Url,
)
from questions.series import Metric, SeriesRecord
from questions.series_worlds import SeriesWorlds, judged_worlds, platform_worlds

PLACE: KeyPath = ("indicators",)

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Months = Annotated[int, Field(ge=1)]


class Horizon(Record):
    """Questions of ``months`` close then; what is published after ``resolve`` never counts."""

    months: Months
    close: Moment
    resolve: Moment


class Level(Record):
    """A level to be reached by a horizon."""

    months: Months
    at: float


class Measure(Record):
    """A metric of a series, and what is asked about it: levels, the day of a level, the best figure.

    ``areas`` are those the series informs, or by default all where it informs AI research as a whole.
    ``current`` is the best figure known when the row was written; without one ``unknown`` says why.
    """

    key: Slug
    series: Key
    metric: Key
    name: Text
    dated: Text
    best: Literal["highest", "lowest"] = "highest"
    column: Text
    url: Url = ""
    note: str = ""
    speedup_kind: Annotated[SpeedupKind, Field(strict=False)] = SpeedupKind.CAPABILITY_INDICATOR
    baseline: Baseline | None = None
    evidence: Text = "the stored entries of the series"
    current: CurrentValue | None = None
    unknown: str = ""
    levels: Listed[Level] = ()
    dates: Listed[Level] = ()
    values: Listed[Months] = ()
    range: Listed[float] = ()

    @model_validator(mode="after")
    def _known_or_not(self) -> Self:
        if (self.current is None) == (not self.unknown):
            raise ContradictionError(
                [(("current",), "is needed, or else unknown = the reason why it is not")]
            )
        if len(self.range) not in (0, 2):
            raise ContradictionError([(("range",), "has a lower and an upper end")])
        return self


class Elsewhere(Record):
    """A linked question of another platform whose outcome ours takes over."""

    key: Slug
    platform: Key
    external_id: Text
    site: Text
    url: Url
    about: Text
    view: Annotated[View, Field(strict=False)]
    areas: Listed[Key] = ()
    months: Months


class Event(Record):
    """Something that happens or does not, which judges decide: ``counts`` says what is Yes, ``misses`` what is not.

    ``about`` ends the title "By the day, does ...?"; without ``areas`` it is about all of them.
    """

    key: Slug
    about: Text
    counts: Text
    misses: Text
    view: Annotated[View, Field(strict=False)]
    areas: Listed[Key] = ()
    months: Months
    url: Url
    selector: Text
    otherwise: Annotated[Listed[Url], Field(min_length=1)]


class IndicatorSet(Record):
    """All rows and their wording. ``shared`` is in every question on a series or elsewhere; each form adds its own.

    ``by_hand`` is laid over the form where a table that people keep is read.
    """

    version: Annotated[int, Field(ge=1)]
    open: Moment
    report_grace_days: Annotated[int, Field(ge=0)]
    changes: Annotated[Listed[Change], Field(min_length=1)]
    horizon: Annotated[Listed[Horizon], Field(min_length=1)]
    kept_by_hand: Text
    shared: dict[str, Any]
    series: dict[str, Any]
    by_hand: dict[str, Any] = Field(default_factory=dict)
    level: dict[str, Any]
    date: dict[str, Any]
    value: dict[str, Any]
    platform: dict[str, Any]
    event: dict[str, Any] = Field(default_factory=dict)
    measure: Listed[Measure] = ()
    elsewhere: Listed[Elsewhere] = ()
    events: Listed[Event] = ()
    judge_minutes: Annotated[int, Field(ge=1)] = 15

    @model_validator(mode="after")
    def _changes_told(self) -> Self:
        told = [change.version for change in self.changes]
        if told != list(range(1, self.version + 1)):
            message = f"one [[indicators.changes]] per version, 1 to {self.version}; there are {told}"
            raise ContradictionError([(("changes",), message)])
        return self


def generate_indicators(
    table: IndicatorSet,
    areas: Sequence[Area],
    series: Mapping[str, SeriesRecord],
    file: CatalogueFile,
    problems: list[Problem],
) -> list[tuple[Question, KeyPath]]:
    """Every indicator question with the place of its row; a mistake that many share is reported once."""
    maker = _Maker(table, tuple(area.key for area in areas), series)
    found: list[Problem] = []
    made: list[tuple[Question, KeyPath]] = []
    for place, make in maker.plans():
        try:
            made.append((Question.model_validate(make()), place))
        except UnfilledError as error:
            found.extend(file.problem((*PLACE, *path), message) for path, message in error.findings)
        except ValidationError as error:
            found.extend(explain(error, Question, file, place))
    problems.extend(dict.fromkeys(found))
    return made


class _Plan:
    """One question to be made: its form and what only it has."""

    def __init__(
        self, maker: _Maker, place: KeyPath, row: Measure | Elsewhere | Event, form: str, asked: Level
    ) -> None:
        self._maker, self._place, self._row, self._form, self._asked = maker, place, row, form, asked

    def __call__(self) -> dict[str, Any]:
        if isinstance(self._row, Elsewhere):
            return self._maker.elsewhere(self._row, self._place)
        if isinstance(self._row, Event):
            return self._maker.event(self._row, self._place)
        return self._maker.measured(self._row, self._form, self._asked, self._place)


class _Maker:
    def __init__(
        self, table: IndicatorSet, areas: tuple[str, ...], series: Mapping[str, SeriesRecord]
    ) -> None:
        self._table, self._areas, self._series = table, areas, series
        self._horizons = {horizon.months: horizon for horizon in table.horizon}

    def plans(self) -> Iterator[tuple[KeyPath, _Plan]]:
        for index, row in enumerate(self._table.measure):
            place: KeyPath = (*PLACE, "measure", index)
            asked = [("level", level) for level in row.levels]
            asked += [("date", level) for level in row.dates]
            asked += [("value", Level(months=months, at=0.0)) for months in row.values]
            for form, level in asked:
                yield place, _Plan(self, place, row, form, level)
        for index, other in enumerate(self._table.elsewhere):
            place = (*PLACE, "elsewhere", index)
            yield place, _Plan(self, place, other, "platform", Level(months=other.months, at=0.0))
        for index, event in enumerate(self._table.events):
            place = (*PLACE, "events", index)
            yield place, _Plan(self, place, event, "event", Level(months=event.months, at=0.0))

    def measured(self, row: Measure, form: str, asked: Level, place: KeyPath) -> dict[str, Any]:
        """A question on a series. Raises UnfilledError when the row or the wording is wrong."""
        record, metric = self._record(row, place)
        horizon = self._horizon(asked.months, place)
        up = row.best == "highest"
        words = self._words(horizon) | self._series_words(row, record, metric, asked)
        forms = ["shared", "series", form]
        if record.source == "curated":
            words["kept"] = " " + self._kept(words)
            forms.append("by_hand")
        text = self._text(forms, words)
        filled = self._same(horizon, record.areas or self._areas, record.view) | {
            "speedup_kind": row.speedup_kind,
            "baseline": row.baseline,
            "current_value": row.current,
            "resolution": {"primary_url": row.url or record.source_url},
            "waivers": {"Q30": row.unknown} if row.unknown else {},
        }
        worlds = SeriesWorlds(
            row.series, row.metric, up, self._table.open.date(), horizon.close.date(), self._settled(horizon)
        )
        rule: dict[str, Any] = {"series": row.series, "metric": row.metric, "since": self._table.open}
        if form == "value":
            return merge(text, filled | self._value(row, metric, rule, worlds, place))
        threshold = {"value": asked.at, "unit": metric.unit, "comparator": ">=" if up else "<="}
        if form == "level":
            decided = {
                "kind": QuestionKind.BINARY,
                "rule": rule | {"kind": "series_threshold", "statistic": "max" if up else "min"},
                "fixtures": tuple(worlds.of_level(asked.at)),
            }
        else:
            decided = {
                "kind": QuestionKind.DATE,
                "rule": rule | {"kind": "first_crossing"},
                "date_range": {"lower": self._table.open, "upper": horizon.close},
                "fixtures": tuple(worlds.of_date(asked.at)),
            }
        return merge(text, filled | decided | {"threshold": threshold})

    def _kept(self, words: Mapping[str, str]) -> str:
        findings: Findings = []
        text = fill_text(self._table.kept_by_hand, words, ("kept_by_hand",), findings)
        if findings:
            raise UnfilledError(findings)
        return text

    def _series_words(
        self, row: Measure, record: SeriesRecord, metric: Metric, asked: Level
    ) -> dict[str, str]:
        """What the wording of a question on a series may fill in."""
        up = row.best == "highest"
        return {
            "key": row.key,
            "at": f"{asked.at:g}",
            "amount": amount(asked.at, metric.unit),
            "name": row.name,
            "unit": metric.unit,
            "dated": row.dated,
            "best": row.best,
            "series": row.series,
            "series_name": record.name,
            "metric": row.metric,
            "column": row.column,
            "publisher": record.credit,
            "at_least": "at least" if up else "no more than",
            "evidence": row.evidence,
            "note": f" {row.note}" if row.note else "",
            "kept": "",
        }

    def _value(
        self, row: Measure, metric: Metric, rule: dict[str, Any], worlds: SeriesWorlds, place: KeyPath
    ) -> dict[str, Any]:
        """What only a question about the best figure has."""
        lower, upper = self._range(row, metric, place)
        statistic = "max" if row.best == "highest" else "min"
        return {
            "kind": QuestionKind.NUMERIC,
            "rule": rule | {"kind": "series_value", "statistic": statistic},
            "numeric_range": {
                "lower": lower,
                "upper": upper,
                "open_lower": lower != metric.lowest,
                "open_upper": upper != metric.highest,
                "unit": metric.unit,
            },
            "fixtures": tuple(worlds.of_value(row.current.value if row.current else (lower + upper) / 2)),
        }

    def elsewhere(self, row: Elsewhere, place: KeyPath) -> dict[str, Any]:
        """A question that follows another platform's. Raises UnfilledError when the wording is wrong."""
        horizon = self._horizon(row.months, place)
        words = self._words(horizon) | {
            "key": row.key,
            "site": row.site,
            "external_id": row.external_id,
            "about": row.about,
        }
        outcomes = {"yes": "yes", "no": "no"}
        filled = self._same(horizon, row.areas or self._areas, row.view) | {
            "kind": QuestionKind.BINARY,
            "speedup_kind": SpeedupKind.NONE,
            "resolution": {"primary_url": row.url},
            "rule": {
                "kind": "platform_outcome",
                "platform": row.platform,
                "external_id": row.external_id,
                "outcomes": outcomes,
            },
            "links": (
                {
                    "platform": row.platform,
                    "id": row.external_id,
                    "relation": "mirror",
                    "difference": "annulled where the other question has not come out by our day of settlement",
                },
            ),
            "fixtures": tuple(
                platform_worlds(
                    row.platform, row.external_id, self._table.open.date(), self._settled(horizon)
                )
            ),
        }
        return merge(self._text(("shared", "platform"), words), filled)

    def event(self, row: Event, place: KeyPath) -> dict[str, Any]:
        """A question that judges decide. Raises UnfilledError when the wording is wrong."""
        horizon = self._horizon(row.months, place)
        minutes = self._table.judge_minutes
        told = {name: getattr(row, name) for name in ("key", "about", "counts", "misses", "selector")}
        words = self._words(horizon) | told | {"minutes": f"{minutes}"}
        dates = self._dates(horizon).model_copy(update={"event_basis": EventBasis.PUBLICATION_DATE})
        filled = self._same(horizon, row.areas or self._areas, row.view) | {
            "kind": QuestionKind.BINARY,
            "speedup_kind": SpeedupKind.NONE,
            "dates": dates,
            "cost_minutes": minutes,
            "resolution": {"primary_url": row.url, "fallback_urls": row.otherwise},
            "rule": {"kind": "judged", "citations": 1, "minutes": minutes},
            "fixtures": tuple(judged_worlds(self._table.open.date(), self._settled(horizon))),
        }
        return merge(self._text(("event",), words), filled)

    def _same(self, horizon: Horizon, areas: Sequence[str], view: View) -> dict[str, Any]:
        return {
            "version": self._table.version,
            "areas": tuple(areas),
            "view": view,
            "dates": self._dates(horizon),
            "changelog": self._table.changes,
            "cost_minutes": 0,
        }

    def _dates(self, horizon: Horizon) -> Dates:
        return Dates(
            open=self._table.open,
            close=horizon.close,
            resolve=horizon.resolve,
            event_basis=EventBasis.EVENT_DATE,
            report_grace_days=self._table.report_grace_days,
        )

    def _settled(self, horizon: Horizon) -> dt.date:
        return self._dates(horizon).settled_by.date()

    def _words(self, horizon: Horizon) -> dict[str, str]:
        return {
            "months": f"{horizon.months}",
            "open_day": f"{self._table.open:%Y-%m-%d}",
            "close_day": f"{horizon.close:%Y-%m-%d}",
            "resolve_day": f"{self._settled(horizon):%Y-%m-%d}",
        }

    def _text(self, forms: Sequence[str], words: Mapping[str, str]) -> dict[str, Any]:
        findings: Findings = []
        text: dict[str, Any] = {}
        for form in forms:
            text = merge(text, fill(getattr(self._table, form), words, (form,), findings))
        if findings:
            raise UnfilledError(findings)
        return text

    def _horizon(self, months: int, place: KeyPath) -> Horizon:
        if months not in self._horizons:
            known = ", ".join(map(str, self._horizons))
            raise UnfilledError([(place[1:], f"no horizon of {months} months; there are {known}")])
        return self._horizons[months]

    def _record(self, row: Measure, place: KeyPath) -> tuple[SeriesRecord, Metric]:
        record = self._series.get(row.series)
        if record is None:
            message = f"no series {row.series!r}{suggestion(row.series, self._series)}"
            raise UnfilledError([((*place[1:], "series"), message)])
        metric = record.metric(row.metric)
        if metric is None:
            names = suggestion(row.metric, [metric.name for metric in record.metrics])
            raise UnfilledError(
                [((*place[1:], "metric"), f"{row.series} has no metric {row.metric!r}{names}")]
            )
        return record, metric

    @staticmethod
    def _range(row: Measure, metric: Metric, place: KeyPath) -> tuple[float, float]:
        if row.range:
            return row.range[0], row.range[1]
        if metric.lowest is None or metric.highest is None:
            message = "is needed: the series does not say between which values its figures lie"
            raise UnfilledError([((*place[1:], "range"), message)])
        return metric.lowest, metric.highest
