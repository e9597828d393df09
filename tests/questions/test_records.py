"""The records that travel refuse nonsense when they are made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, strategies as st

from questions.records import (
    Distribution,
    Forecast,
    ForecasterKind,
    Measurement,
    OutcomeState,
    Quantity,
    QuestionInfo,
    Resolution,
    Score,
    SeriesVersion,
    Snapshot,
    StreamKey,
    ValueState,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAIVE = datetime(2026, 11, 20, 12)
SUMMER = timezone(timedelta(hours=2))


def key(**changes: Any) -> StreamKey:
    values: dict[str, Any] = {
        "source": "manifold",
        "platform": "manifold",
        "external_id": "abc",
        "outcome": "yes",
        "quantity": Quantity.PLAY_MONEY_PRICE,
    }
    return StreamKey(**{**values, **changes})


def snapshot(**changes: Any) -> Snapshot:
    return Snapshot(**{"key": key(), "as_of": NOW, "fetched_at": NOW, "probability": 0.5, **changes})


def measurement(**changes: Any) -> Measurement:
    values: dict[str, Any] = {"series": "s", "key": "m", "metric": "p50", "at": date(2026, 1, 1)}
    return Measurement(**{**values, "value": 60.0, "unit": "minutes", **changes})


def version(**changes: Any) -> SeriesVersion:
    points = (measurement(), measurement(key="n"))
    return SeriesVersion(
        **{"series": "s", "payload_sha256": "0", "fetched_at": NOW, "measurements": points, **changes}
    )


def resolution(**changes: Any) -> Resolution:
    values: dict[str, Any] = {"source": "m", "platform": "m", "external_id": "a", "outcome": "yes"}
    return Resolution(**{**values, "state": OutcomeState.YES, "fetched_at": NOW, "value": 1.0, **changes})


def forecast(**changes: Any) -> Forecast:
    values: dict[str, Any] = {
        "question": "q",
        "outcome": "yes",
        "forecaster": "me",
        "kind": ForecasterKind.PERSON,
    }
    return Forecast(**{**values, "made_at": NOW, "probability": 0.5, **changes})


def score(**changes: Any) -> Score:
    values: dict[str, Any] = {"question": "q", "outcome": "yes", "forecaster": "me", "made_at": NOW}
    values |= {"rule": "brier", "score_version": "1", "value": 0.25, "computed_at": NOW}
    return Score(**{**values, **changes})


def info(**changes: Any) -> QuestionInfo:
    values: dict[str, Any] = {"source": "m", "platform": "m", "external_id": "a", "fetched_at": NOW}
    return QuestionInfo(**{**values, "title": "t", **changes})


MAKERS = [snapshot, measurement, version, resolution, forecast, score, info, key]


@pytest.mark.parametrize("make", MAKERS)
def test_a_sensible_record_can_be_made_and_not_changed(make: Callable[[], Any]) -> None:
    record = make()
    name = next(iter(vars(record)))
    with pytest.raises(FrozenInstanceError):
        setattr(record, name, "else")


NONSENSE: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (snapshot, {"probability": 1.01}, "probability must lie in 0..1"),
    (snapshot, {"probability": -0.01}, "probability must lie in 0..1"),
    (snapshot, {"probability": math.nan}, "probability must be finite"),
    (snapshot, {"probability": None, "value": math.inf}, "value must be finite"),
    (snapshot, {"spread": -0.1}, "spread must not be negative"),
    (snapshot, {"volume": math.nan}, "volume must be finite"),
    (snapshot, {"forecasters": -1}, "forecasters must not be negative"),
    (snapshot, {"as_of": NAIVE, "fetched_at": NAIVE}, "offset is needed"),
    (snapshot, {"hidden_until": NAIVE}, "offset is needed"),
    (snapshot, {"as_of": NOW - timedelta(hours=1)}, "unless the source gives the time"),
    (snapshot, {"state": ValueState.HIDDEN}, "state hidden and a value both given"),
    (snapshot, {"probability": None}, "state ok and a value neither given"),
    (snapshot, {"state": "perhaps"}, "perhaps"),
    (key, {"external_id": ""}, "external_id must not be empty"),
    (key, {"quantity": "gut_feeling"}, "gut_feeling"),
    (measurement, {"at": NOW}, "a date, not a datetime"),
    (measurement, {"value": math.nan}, "value must be finite"),
    (measurement, {"lower": 2.0, "upper": 1.0}, "upside down"),
    (measurement, {"ci_level": 95.0}, "ci_level must lie in 0..1"),
    (measurement, {"unit": ""}, "must not be empty"),
    (version, {"measurements": (measurement(series="t"),)}, "belongs to t, not s"),
    (version, {"measurements": (measurement(), measurement(value=1.0))}, "two points with key m"),
    (version, {"fetched_at": NAIVE}, "offset is needed"),
    (resolution, {"value": 0.0}, "yes has value 1"),
    (resolution, {"state": OutcomeState.NO}, "no has value 0"),
    (resolution, {"state": OutcomeState.FRACTION, "value": None}, "a fraction needs its value"),
    (resolution, {"state": OutcomeState.FRACTION, "value": 1.5}, "fraction must lie in 0..1"),
    (resolution, {"state": OutcomeState.VALUE, "value": math.inf}, "value must be finite"),
    (resolution, {"resolved_at": NAIVE}, "offset is needed"),
    (forecast, {"probability": 1.01}, "probability must lie in 0..1"),
    (forecast, {"made_at": NAIVE}, "offset is needed"),
    (forecast, {"kind": "oracle"}, "oracle"),
    (score, {"value": math.nan}, "value must be finite"),
    (score, {"computed_at": NAIVE}, "offset is needed"),
    (info, {"closes_at": NAIVE}, "offset is needed"),
]


@pytest.mark.parametrize(("make", "changes", "message"), NONSENSE)
def test_nonsense_cannot_be_made(make: Callable[..., Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)


@pytest.mark.parametrize("state", [state for state in ValueState if state is not ValueState.OK])
def test_absence_has_a_state_and_no_value(state: ValueState) -> None:
    assert snapshot(state=state, probability=None).probability is None


def test_times_are_moved_to_utc() -> None:
    there = datetime(2026, 11, 20, 14, tzinfo=SUMMER)
    made = snapshot(as_of=there, fetched_at=there)
    assert made.as_of == NOW
    assert made.as_of.utcoffset() == timedelta(0)


def test_a_platforms_own_time_may_be_earlier_than_ours() -> None:
    assert snapshot(as_of=NOW - timedelta(days=1), timed_by_source=True).as_of < NOW


@pytest.mark.parametrize(
    ("x", "cdf", "message"),
    [
        ((1.0, 2.0), (0.6, 0.5), "must not fall"),
        ((2.0, 2.0), (0.1, 0.5), "strictly rise"),
        ((1.0, 2.0), (0.1,), "as many x as cdf"),
        ((1.0,), (0.1,), "two or more points"),
        ((1.0, 2.0), (0.1, 1.01), "must lie in 0..1"),
        ((1.0, math.inf), (0.1, 0.9), "x must be finite"),
        ((1.0, 2.0), (math.nan, 0.9), "must be finite"),
    ],
)
def test_a_distribution_that_is_none_cannot_be_made(
    x: tuple[float, ...], cdf: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Distribution(x, cdf)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_a_distribution_can_be_made_exactly_when_its_cdf_never_falls(
    values: list[float], random: Any
) -> None:
    random.shuffle(values)
    x = tuple(float(index) for index in range(len(values)))
    if values == sorted(values):
        assert Distribution(x, tuple(values)).cdf == tuple(values)
    else:
        with pytest.raises(ValueError, match="cdf must not fall"):
            Distribution(x, tuple(values))
