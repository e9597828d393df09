"""How four platforms write down what the facts say: pure functions from facts and a day to their formats.

Filled with nothing but facts: what is not one (forecaster counts, volumes, texts, hashes) is left out or
null, as the platforms themselves do for keys they do not have. ``day`` is always the newest day that is
over; a value or an outcome dated ``day`` stands from its last second, so nothing is seen before it was so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from questions.time import iso, utc
from tracker.demo.facts import Facts, Horizon, Published, QuestionFact

FIRST_SET = date(2025, 10, 26)  # ForecastBench's forecast due dates, every second Sunday
LAST_SET = date(2026, 8, 2)
SET_EVERY = timedelta(days=14)
FREEZE_BEFORE = timedelta(days=10)  # a set's questions are chosen this long before it is due
FIRST_NIGHT_AFTER = timedelta(days=9)  # due date to the first day its resolution file speaks of: 9 at least
NIGHT_OUT = timedelta(hours=5, minutes=30)  # the file of a night is committed next morning, 02:30 to 05:30
TIMED_SUITE = "1.1"  # suite 1.0 was out long before the recording starts: its one version is always there
CREDIT = "# Numbers measured by METR (metr.org/time-horizons), rendered from a table; not METR's own file.\n"


# Moments --------------------------------------------------------------------------------------------


def end_of(day: date) -> datetime:
    """The last second of a day, UTC: the moment ForecastBench's daily values and outcomes speak of."""
    return datetime.combine(day, time(23, 59, 59), UTC)


def day_over(at: datetime) -> date:
    """The newest day that is over at ``at``."""
    return (utc(at) + timedelta(seconds=1)).date() - timedelta(days=1)


def newest_night(at: datetime) -> date:
    """The newest day of which ForecastBench's nightly files speak at ``at``."""
    return (utc(at) - NIGHT_OUT).date() - timedelta(days=1)


# METR -----------------------------------------------------------------------------------------------


def metr_yaml(facts: Facts, suite: str, day: date) -> str | None:
    """METR's results file of a suite in its newest version seen on or before ``day``; None before the first.

    Layout: metr.org/assets/benchmark_results_1_1.yaml. Values in minutes. ``scaffolds``, ``usage`` and the
    hashes of the task versions are not among the facts and are left out.
    """
    import yaml

    versions = [row for row in facts.published if row.suite == suite]
    if suite == TIMED_SUITE:
        versions = [row for row in versions if row.seen <= day]
    if not versions:
        return None
    version = versions[-1]
    content: dict[str, Any] = {"benchmark_name": version.benchmark_name}
    content |= _doubling_times(version)
    content["results"] = {
        row.key: _metr_result(row) for row in facts.horizons if (row.suite, row.seen) == (suite, version.seen)
    }
    return CREDIT + yaml.safe_dump(content, sort_keys=True)


def _doubling_times(version: Published) -> dict[str, Any]:
    if version.all_time_stitched is None or version.from_2023_on is None:
        return {}
    estimate, low, high = version.from_2023_on
    return {
        "doubling_time_in_days": {
            "all_time_stitched": {"point_estimate": version.all_time_stitched},
            "from_2023_on": {"ci_high": high, "ci_low": low, "point_estimate": estimate},
        }
    }


def _metr_result(row: Horizon) -> dict[str, Any]:
    result: dict[str, Any] = {
        "metrics": {
            "average_score": {"estimate": row.average_score},
            "is_sota": row.is_sota,
            "p50_horizon_length": dict(zip(("estimate", "ci_low", "ci_high"), row.p50, strict=True)),
            "p80_horizon_length": dict(zip(("estimate", "ci_low", "ci_high"), row.p80, strict=True)),
        },
        "release_date": row.release_date,
    }
    if row.benchmark_name:
        result["benchmark_name"] = row.benchmark_name
    return result


# Manifold -------------------------------------------------------------------------------------------


def manifold_probs(questions: Iterable[QuestionFact], day: date) -> dict[str, dict[str, float]]:
    """``/v0/market-probs``: what the platform knows no price of is left out, like an unknown id.

    Source: manifoldmarkets/manifold, backend/api/src/get-market-probs.ts.
    """
    prices = ((question.id, question.value(day)) for question in questions)
    return {number: {"prob": price} for number, price in prices if price is not None}


def manifold_market(question: QuestionFact, day: date) -> dict[str, Any]:
    """``/v0/market/{id}``. After a resolution ``probability`` stays at the last price, as on the platform.

    Left out although the platform always has them, because they are not among the facts: ``textDescription``,
    ``createdTime``, ``creatorUsername``, ``pool``, ``volume``, ``uniqueBettorCount`` and what follows from them.
    """
    market: dict[str, Any] = {
        "id": question.id,
        "question": question.label,
        "outcomeType": "BINARY",
        "mechanism": "cpmm-1",  # the only mechanism of a binary market with a price
        "isResolved": question.resolved(day),
    }
    if question.url:
        market |= {"url": question.url, "slug": question.url.rsplit("/", 1)[-1]}
    price = question.value(day)
    if price is not None:
        market["probability"] = price
    closes = _closes(question, day)
    if closes is not None:
        market["closeTime"] = _millis(closes)
    if question.resolved(day) and question.resolution_date is not None:
        market["resolution"] = "YES" if question.resolved_to else "NO"
        market["resolutionTime"] = _millis(end_of(question.resolution_date))
    return market


def _closes(question: QuestionFact, day: date) -> datetime | None:
    """The end of the close date, or of the outcome's date when that came first and is known."""
    ends = [question.close_date, question.resolution_date if question.resolved(day) else None]
    known = [end for end in ends if end is not None]
    return end_of(min(known)) if known else None


def _millis(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


# Metaculus ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Post:
    """A Metaculus post with one binary question; the steps of its history are made once.

    The post's id is the one in its address. On the platform the question in it has a number of its own, which
    is not among the facts: here it has the post's. ``nr_forecasters`` and all texts are left out,
    ``forecaster_count`` and the quartiles are null.
    """

    question: QuestionFact
    steps: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, question: QuestionFact) -> Post:
        starts = [end_of(day).timestamp() for day in question.days]
        ends = [*starts[1:], None]
        steps = (_step(*step) for step in zip(starts, ends, question.values, strict=True))
        return cls(question, tuple(steps))

    def as_of(self, day: date, *, with_cp: bool, with_history: bool) -> dict[str, Any]:
        """The post at the end of ``day``; without the community prediction's history only its last step."""
        fact = self.question
        status = "resolved" if fact.resolved(day) else "closed" if fact.closed(day) else "open"
        closes = iso(end_of(fact.close_date)) if fact.close_date else None
        actual = _closes(fact, day)
        times = {
            "scheduled_close_time": closes,
            "actual_close_time": iso(actual) if actual else None,
            "actual_resolve_time": (
                iso(end_of(fact.resolution_date)) if fact.resolution_date and fact.resolved(day) else None
            ),
        }
        return {
            "id": int(fact.id),
            "title": fact.label,
            "status": status,
            "resolved": fact.resolved(day),
            **times,
            "projects": {},
            "question": {
                "id": int(fact.id),
                "post_id": int(fact.id),
                "title": fact.label,
                "type": "binary",
                "status": status,
                "resolution": ("yes" if fact.resolved_to else "no") if fact.resolved(day) else None,
                **times,
                "default_aggregation_method": "recency_weighted",
                "aggregations": {"recency_weighted": self._prediction(day, with_cp, with_history)},
            },
        }

    def _prediction(self, day: date, with_cp: bool, with_history: bool) -> dict[str, Any]:
        count = self.question.known(day) if with_cp else 0
        if not count:
            return {"history": [], "latest": None, "score_data": {}, "movement": None}
        last = {**self.steps[count - 1], "end_time": None}
        probability = self.question.values[count - 1]
        return {
            "history": [*self.steps[: count - 1], last] if with_history else [last],
            "latest": {**last, "forecast_values": [round(1.0 - probability, 12), probability]},
            "score_data": {},
            "movement": None,
        }


def _step(start: float, end: float | None, probability: float) -> dict[str, Any]:
    return {
        "start_time": start,
        "end_time": end,
        "forecaster_count": None,
        "interval_lower_bounds": None,
        "centers": [probability],
        "interval_upper_bounds": None,
    }


# ForecastBench --------------------------------------------------------------------------------------


def due_dates() -> tuple[date, ...]:
    """The due dates of ForecastBench's question sets that the recording has, oldest first."""
    count = (LAST_SET - FIRST_SET) // SET_EVERY + 1
    return tuple(FIRST_SET + number * SET_EVERY for number in range(count))


def set_dates(question: QuestionFact, due_dates: Sequence[date]) -> tuple[date, ...]:
    """The sets a question stands in: those its facts name, else the one that fits its first value.

    That one is the newest set whose nightly files had begun by then: an arrangement of the recording. (It is
    right for a question that was new then, and a stand-in for one whose first value the tables do not reach.)
    """
    named = tuple(due for due, _ in question.frozen if due in due_dates)
    if named:
        return named
    begun = [due for due in due_dates if due + FIRST_NIGHT_AFTER <= question.days[0]]
    return (begun[-1],) if begun else (due_dates[0],)


def question_set(due: date, members: Iterable[QuestionFact]) -> dict[str, Any]:
    """``datasets/question_sets/<due>-llm.json``: the members whose value at the freeze is among the facts.

    The real files always have that value, so the others are left out of this file (not of the resolution set).
    """
    rows = []
    for question in members:
        frozen = dict(question.frozen).get(due)
        if frozen is None:
            continue
        row: dict[str, Any] = {"id": question.id, "source": question.source, "question": question.label}
        if question.url:
            row["url"] = question.url
        close = question.close_date
        row["market_info_close_datetime"] = iso(end_of(close)) if close else "N/A"
        row["freeze_datetime"] = f"{due - FREEZE_BEFORE}T00:00:00+00:00"
        row["freeze_datetime_value"] = str(frozen)
        row["resolution_dates"] = "N/A"
        rows.append(row)
    return {"forecast_due_date": str(due), "question_set": f"{due}-llm.json", "questions": rows}


def resolution_set(due: date, members: Iterable[QuestionFact], night: date) -> dict[str, Any]:
    """``datasets/resolution_sets/<due>_resolution_set.json`` as of a night.

    A resolved row carries the outcome and its date; any other row the newest crowd value and the day
    at whose end it stood, which is the night itself unless the publisher skipped the question then.
    """
    rows = []
    for question in members:
        value = question.value(night)
        if question.resolved(night) and question.resolution_date is not None:
            rows.append(
                _resolution(question, question.resolution_date, float(bool(question.resolved_to)), True)
            )
        elif value is not None:
            rows.append(_resolution(question, question.days[question.known(night) - 1], value, False))
    return {"forecast_due_date": str(due), "question_set": f"{due}-llm.json", "resolutions": rows}


def _resolution(question: QuestionFact, day: date, value: float, resolved: bool) -> dict[str, Any]:
    return {
        "id": question.id,
        "source": question.source,
        "direction": None,
        "resolution_date": str(day),
        "resolved_to": value,
        "resolved": resolved,
    }
