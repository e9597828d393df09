"""Distributions in the store joined with what came of them: platforms, people, ladders, our own questions."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from questions.catalogue import load_catalogue
from questions.receipts import Receipt
from questions.records import (
    Distribution,
    Forecast,
    OutcomeState,
    Quantity,
    QuestionInfo,
    Resolution,
    Snapshot,
    StreamKey,
)
from questions.verdicts import State
from storage.memory import MemoryStore
from storage.records import Batch
from tracker.numbers import stored_numbers
from tracker.own import NAME, enter, one_row
from tracker.scoring.numeric import numeric_records
from tracker.sheets import kept_file

CATALOGUE = load_catalogue()
LINK = next(link for link in CATALOGUE.links if link.outcome == "value" and link.platform == "metaculus")
NAMED = (LINK.platform, LINK.external_id)
QUESTION = "/".join(NAMED)
OPEN, CLOSE = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 4, 11, tzinfo=UTC)  # a hundred days
DAY = timedelta(days=1)
NOW = CLOSE + 10 * DAY


def seconds(day: datetime) -> float:
    return (day - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


GRID = tuple(seconds(datetime(2026, 1, 1, tzinfo=UTC) + k * 100 * DAY) for k in range(5))


def store(word: str = "", value: float | None = GRID[2], at: datetime = CLOSE) -> MemoryStore:
    kept = MemoryStore()
    key = StreamKey(LINK.platform, *NAMED, "value", Quantity.FORECASTER_MEDIAN)
    shape = Distribution(GRID, (0.0, 0.25, 0.5, 0.75, 1.0), "date")
    seen = tuple(Snapshot(key, OPEN + k * DAY, OPEN + k * DAY, distribution=shape) for k in range(0, 100, 2))
    info = QuestionInfo(LINK.platform, *NAMED, OPEN, "t", opens_at=OPEN, closes_at=CLOSE)
    said = Resolution(
        LINK.platform, *NAMED, "value", OutcomeState.VALUE, at, resolved_at=at, value=value, text=word
    )
    kept.append(Batch(snapshots=seen, infos=(info,), resolutions=(said,)))
    return kept


def say(kept: MemoryStore, at: datetime, quantiles: str, question: str = ":".join(NAMED)) -> None:
    cells = {"question": question, "forecaster": "ann", "quantiles": quantiles, "made_at": f"{at:%Y-%m-%d}"}
    enter(kept, kept_file(NAME, one_row(cells), name="f.csv", who="ann", at=at, form="csv"), CATALOGUE)


def scores(kept: MemoryStore, now: datetime = NOW, **options):
    found = stored_numbers(kept, CATALOGUE, now=now, known_at=now, **options)
    records = numeric_records(found.told, found.answers, leads=(30,))
    return {(one.forecaster, one.measure.name, one.measure.unit): one for one in records}, found


def test_a_platforms_dates_and_a_persons_quantiles_are_scored_apart():
    kept = store()
    say(kept, OPEN + 50 * DAY, "0.1=2026-05-20; 0.5=2026-07-20; 0.9=2026-10-20")
    found, numbers = scores(kept)
    crps = found["metaculus", "crps", "days"]
    # uniform over 400 days, the answer in the middle: 400 (1/8 + 1/8) / 3
    assert crps.mean.value == pytest.approx(400 * 0.25 / 3)
    assert crps.coverage == pytest.approx(1.0)
    assert found["metaculus", "crps", "range"].at_leads["30"].value == pytest.approx(0.25 / 3)
    assert found["metaculus", "baseline", "points"].mean.value == pytest.approx(0.0)
    ann = found["ann", "weighted_interval_score", "days"]
    assert GRID[2] == seconds(datetime(2026, 7, 20, tzinfo=UTC))  # her median is right: her width alone costs
    assert ann.mean.value == pytest.approx(0.1 * 153 / 1.5)
    assert ann.coverage == pytest.approx(0.5)
    assert numbers.not_scored == {}
    assert set(scores(kept, forecasters=["ann"])[1].told) == {("ann", QUESTION)}
    assert scores(kept, areas=["no_such_area"])[1].told == {}


@pytest.mark.parametrize(
    ("kept", "now", "reason"),
    [
        (store(at=CLOSE - 20 * DAY), CLOSE - 10 * DAY, "resolved early: the scheduled close has not passed"),
        (store(), CLOSE - DAY, "pending: no outcome yet"),
        (store(word="nonsense", value=None), NOW, "resolved to something that is no number"),
    ],
)
def test_what_is_not_scored_is_counted_with_its_reason(kept, now, reason):
    found, numbers = scores(kept, now)
    assert found == {}
    assert numbers.not_scored == {reason: 1}


def test_an_answer_beyond_the_range_is_scored_as_such():
    kept = store(word="above_upper_bound", value=None)
    found, _ = scores(kept)
    # F below 1 everywhere costs F^2: 400 / 3 days
    assert found["metaculus", "crps", "days"].mean.value == pytest.approx(400 / 3)


def test_a_trend_that_gives_quantiles_is_scored_like_a_person():
    kept = store()
    cells = {
        "question": ":".join(NAMED),
        "forecaster": "metr-trend",
        "kind": "trend",
        "version": "mixture of shapes",
    }
    cells |= {"quantiles": "0.25=2026-05-01; 0.5=2026-07-20; 0.75=2026-12-01", "made_at": "2025-01-02"}
    enter(kept, kept_file(NAME, one_row(cells), name="f.csv", who="x", at=OPEN + DAY, form="csv"), CATALOGUE)
    found, _ = scores(kept)
    width = (datetime(2026, 12, 1) - datetime(2026, 5, 1)).days
    assert found["metr-trend", "weighted_interval_score", "days"].mean.value == pytest.approx(
        0.25 * width / 1.5
    )


def test_quantiles_entered_when_the_question_was_over_are_no_forecast():
    kept = store()
    say(kept, CLOSE + DAY, "0.1=2026-05-20; 0.5=2026-07-20; 0.9=2026-10-20")
    assert not any(forecaster == "ann" for forecaster, *_ in scores(kept)[0])


def test_our_own_date_and_number_are_answered_by_their_receipts():
    dated = next(q for q in CATALOGUE.questions.values() if q.kind == "date")
    number = next(q for q in CATALOGUE.questions.values() if q.numeric_range is not None)
    kept = MemoryStore()
    made = dated.dates.open + DAY
    assert dated.date_range is not None
    assert number.numeric_range is not None
    day = dated.date_range.lower.date() + 200 * DAY
    low, high = number.numeric_range.lower, number.numeric_range.upper
    say(kept, made, "0.25=2027-03-01; 0.5=2027-06-01; 0.75=2027-12-01", dated.id)
    say(kept, made, f"0.25={low + 0.1 * (high - low)}; 0.5={low + 0.5 * (high - low)}", number.id)
    later = max(dated.dates.resolve, number.dates.resolve)
    for question, told in (
        (dated, {"outcome": "date", "on": day}),
        (number, {"outcome": "value", "value": low}),
    ):
        receipt = Receipt(question.id, "", later, later, State.RESOLVED, "rule", resolved_at=later, **told)
        kept.add_receipts([receipt])
    found, _ = scores(kept, later + DAY)
    assert (("ann", "quantile_score", "range") in found) == (("ann", "quantile_score", "days") not in found)
    loss = found["ann", "quantile_score", "range"].mean.value
    assert loss == pytest.approx(2 * (0.1 * 0.75 + 0.5 * 0.5) / 2)
    span = dated.date_range.upper - dated.date_range.lower
    days, share = (found["ann", "weighted_interval_score", unit].mean.value for unit in ("days", "range"))
    assert share == pytest.approx(days / (span / DAY))
    late = abs((datetime.combine(day, datetime.min.time()) - datetime(2027, 6, 1)).days)
    outside = (datetime(2027, 3, 1) - datetime.combine(day, datetime.min.time())).days
    interval = 0.25 * 275 + max(0, outside)
    assert days == pytest.approx((0.5 * late + interval) / 1.5)


def test_a_ladder_counts_when_all_its_rungs_ran_their_course():
    rungs = [link for link in CATALOGUE.links if link.ladder == "agi_remni"]
    kept = MemoryStore()
    for k, link in enumerate(sorted(rungs, key=lambda link: str(link.by))):
        key = StreamKey(link.platform, *link.key, Quantity.PLAY_MONEY_PRICE)
        info = QuestionInfo(*key_of(link), OPEN, "t", opens_at=OPEN, closes_at=CLOSE)
        seen = tuple(
            Snapshot(key, OPEN + n * DAY, OPEN + n * DAY, probability=0.1 * k) for n in range(0, 100, 2)
        )
        word = Resolution(*key_of(link), "yes", OutcomeState.NO, CLOSE, resolved_at=CLOSE, value=0.0)
        kept.append(Batch(snapshots=seen, infos=(info,), resolutions=(word,)))
    found, _ = scores(kept)
    score = found["manifold", "ranked_probability_score", "rungs"]
    assert score.mean.value == pytest.approx(sum((0.1 * k) ** 2 for k in range(len(rungs))) / len(rungs))
    corrected = replace(word, fetched_at=NOW, state=OutcomeState.UNRESOLVED, value=None)
    kept.append(Batch(resolutions=(corrected,)))
    found, numbers = scores(kept, NOW + DAY)
    assert found == {}
    assert list(numbers.not_scored) == [
        "ladder: not all rungs ran their course together, or their outcomes clash"
    ]


def test_options_that_exclude_each_other_are_scored_together_where_they_sum_to_one():
    kept = MemoryStore()
    said = {"a": (0.5, 0.7), "b": (0.3, 0.2), "c": (0.2, 0.9)}  # the second day they no longer sum to 1
    close = OPEN + 2 * DAY
    for outcome, values in said.items():
        key = StreamKey("metaculus", "metaculus", "m", outcome, Quantity.FORECASTER_MEDIAN)
        seen = tuple(
            Snapshot(key, OPEN + n * DAY, OPEN + n * DAY, probability=p) for n, p in enumerate(values)
        )
        won = float(outcome == "b")
        word = Resolution(
            "metaculus", "metaculus", "m", outcome, OutcomeState.YES if won else OutcomeState.NO, close,
            resolved_at=close, value=won,
        )  # fmt: skip
        info = QuestionInfo("metaculus", "metaculus", "m", OPEN, "t", opens_at=OPEN, closes_at=close)
        kept.append(Batch(snapshots=seen, infos=(info,), resolutions=(word,)))
    found, _ = scores(kept)
    brier = found["metaculus", "brier_choice", "options"]
    assert brier.mean.value == pytest.approx((0.5**2 + 0.7**2 + 0.2**2) / 2)
    assert brier.coverage == pytest.approx(0.5)
    assert found["metaculus", "log_choice", "nats"].mean.value == pytest.approx(-math.log(0.3))


def test_options_that_are_dates_or_bands_have_a_ranked_score_in_their_own_order():
    """By hand: of the names z, m, a in that order m came about, and the sums of (P(at most k) - [at most k])^2 / 2."""
    kept, close, said = MemoryStore(), OPEN + 2 * DAY, {"z": 0.5, "m": 0.3, "a": 0.2}
    dates = [("z", "dated", NOW), ("m", "dated", NOW + DAY), ("a", "never", None)]
    links = tuple(
        LINK.model_copy(
            update={"external_id": "m", "ladder": "d", "outcome": name, "bucket": bucket, "by": by}
        )
        for name, bucket, by in dates[::-1]
    )
    for outcome, p in said.items():
        key = StreamKey("metaculus", "metaculus", "m", outcome, Quantity.FORECASTER_MEDIAN)
        won = float(outcome == "m")
        state = OutcomeState.YES if won else OutcomeState.NO
        word = Resolution("metaculus", "metaculus", "m", outcome, state, close, resolved_at=close, value=won)
        info = QuestionInfo("metaculus", "metaculus", "m", OPEN, "t", opens_at=OPEN, closes_at=close)
        kept.append(
            Batch(snapshots=(Snapshot(key, OPEN, OPEN, probability=p),), infos=(info,), resolutions=(word,))
        )
    catalogue = replace(CATALOGUE, links=links)
    found = stored_numbers(kept, catalogue, now=NOW, known_at=NOW)
    records = {
        (one.measure.name, one.measure.unit): one for one in numeric_records(found.told, found.answers)
    }
    assert records["ranked_probability_score", "options"].mean.value == pytest.approx((0.5**2 + 0.2**2) / 2)
    plain = stored_numbers(kept, CATALOGUE, now=NOW, known_at=NOW)
    names = {one.measure.name for one in numeric_records(plain.told, plain.answers)}
    assert "brier_choice" in names
    assert "ranked_probability_score" not in names


def test_our_ordering_questions_are_scored_over_all_their_outcomes():
    pair = next(q for q in CATALOGUE.questions.values() if q.kind == "ordering" and len(q.outcomes) == 4)
    kept = MemoryStore()
    made = pair.dates.open + DAY
    chances = dict(zip(pair.outcomes, (0.4, 0.3, 0.2, 0.1), strict=True))
    kept.add_forecasts([Forecast(pair.id, name, "ann", "person", made, p) for name, p in chances.items()])
    later = pair.dates.resolve
    won = pair.outcomes[1]
    kept.add_receipts([Receipt(pair.id, "", later, later, State.RESOLVED, "rule", won, resolved_at=later)])
    found, _ = scores(kept, later + DAY)
    score = found["ann", "brier_choice", "options"].mean.value
    assert score == pytest.approx((0.4**2 + 0.7**2 + 0.2**2 + 0.1**2) / 2)


def key_of(link) -> tuple[str, str, str]:
    return (link.platform, link.platform, link.external_id)
