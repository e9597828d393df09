"""What people forecast: read strictly, kept with its author, counted from when it was entered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from questions.catalogue import load_catalogue
from questions.receipts import Receipt, seen
from questions.records import Forecast, OutcomeState, Resolution
from questions.verdicts import State
from storage.memory import MemoryStore
from tracker.errors import UsageError
from tracker.own import NAME, counted, distributions, enter, one_row, read
from tracker.scorecard import stored_forecasts
from tracker.scoring import calibrate
from tracker.sheets import kept_file

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CATALOGUE = load_catalogue()
PAIR = next(q for q in CATALOGUE.questions.values() if q.kind == "ordering")
DATED = next(q for q in CATALOGUE.questions.values() if q.kind == "date")
LINK = next(link for link in CATALOGUE.links if link.outcome == "yes" and link.platform == "manifold")
LINKED = f"{LINK.platform}:{LINK.external_id}"


def payload(text: str | bytes, *, at: datetime = NOW, form="csv"):
    body = text if isinstance(text, bytes) else text.encode()
    return kept_file(NAME, body, name="mine.csv", who="ann", at=at, form=form)


def row(**cells: str):
    return payload(one_row({"question": LINKED, "forecaster": "ann", **cells}))


def refusal(raw) -> str:
    store = MemoryStore()
    with pytest.raises(UsageError) as caught:
        enter(store, raw, CATALOGUE)
    assert store.forecasts() == []
    assert list(store.raw_payloads(NAME)) == []
    return str(caught.value)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"probability": "0.25"}, 0.25),
        ({"percent": "25%"}, 0.25),
        ({"percent": "0.5"}, 0.005),
        ({"odds": "1:3"}, 0.25),
        ({"odds": "0:1"}, 0.0),
        ({"odds": "19 : 1"}, 0.95),
    ],
)
def test_each_way_of_saying_a_probability(cells, expected):
    (forecast,) = read(row(**cells)).forecasts
    assert forecast.probability == pytest.approx(expected, abs=1e-15)
    assert (forecast.made_at, forecast.outcome, forecast.forecaster) == (NOW, "yes", "ann")


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_odds_and_their_reverse_are_complements(a, b):
    if a + b == 0:
        return
    one, other = (read(row(odds=odds)).forecasts[0].probability for odds in (f"{a}:{b}", f"{b}:{a}"))
    assert one + other == pytest.approx(1.0)
    assert one * b == pytest.approx((1.0 - one) * a, abs=1e-6)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"probability": "1.2"}, "does not lie in 0..1"),
        ({"probability": "55%"}, "write a number from 0 to 1"),
        ({"probability": "3:1"}, "is no number"),
        ({"percent": "120"}, "0..100"),
        ({"odds": "0.3"}, "for:against"),
        ({"odds": "0:0"}, "both sides are zero"),
        ({"odds": "1:1e400"}, "for:against"),
        ({}, "exactly one of"),
        ({"probability": "0.5", "odds": "1:1"}, "here is probability and odds"),
        ({"probability": "0.5", "made_at": "2026-03-02"}, "lies after it was entered"),
        ({"probability": "0.5", "made_at": "2026-02-01T10:00"}, "with an offset"),
        ({"probability": "0.5", "outcome": "maybe"}, "is none of the linked ones"),
        ({"probability": "0.5", "question": "manifold:no-such"}, "is no linked question"),
        ({"probability": "0.5", "question": PAIR.id[:-1]}, "did you mean"),
        ({"probability": "0.5", "question": PAIR.id}, "is none of: "),
        ({"quantiles": "0.1=3;0.5=2"}, "must both rise"),
        ({"quantiles": "0.5=2;0.1=3"}, "must both rise"),
        ({"quantiles": "0.1=2027-01-01;0.5=3"}, "mixes dates and numbers"),
        ({"quantiles": "1=3"}, "between 0 and 1"),
        ({"quantiles": "0.1"}, "LEVEL=VALUE"),
        ({"quantiles": "0.1=soon"}, "is no number"),
        ({"quantiles": "0.1=2027-01-01"}, "is no numeric question"),
        ({"quantiles": "0.1=5", "question": DATED.id}, "asks for a date"),
        ({"probability": "0.5", "outcome": "<=5"}, "column quantiles"),
        ({"probability": "0.5", "forecaster": ""}, "is missing"),
        ({"probability": "0.5", "kind": "oracle"}, "is none of: market"),
    ],
)
def test_what_is_wrong_is_refused_with_line_and_column_and_nothing_is_stored(cells, said):
    message = refusal(row(**cells))
    assert said in message
    assert "mine.csv:2: " in message


def test_all_problems_of_a_file_come_at_once():
    header = "question,forecaster,probability,made_at\n"
    twice = f"{LINKED},ann,0.5,2026-01-01\n"
    message = refusal(payload(header + twice + twice.replace("0.5", "0.6") + f"{LINKED},ann,2,2026-01-02\n"))
    assert "2 problems in mine.csv" in message
    assert "mine.csv:3: made_at: line 2" in message
    assert "mine.csv:4: probability" in message


def test_two_words_of_one_forecaster_at_one_time_are_refused_across_files():
    store = MemoryStore()
    enter(store, row(probability="0.5", made_at="2026-01-01"), CATALOGUE)
    with pytest.raises(UsageError, match="for the same at that time"):
        enter(store, row(probability="0.6", made_at="2026-01-01"), CATALOGUE)
    quantiles = {"question": DATED.id, "made_at": "2026-01-01"}
    enter(store, row(quantiles="0.5=2028-01-01", **quantiles), CATALOGUE)
    with pytest.raises(UsageError, match="other quantiles at that time"):
        enter(store, row(quantiles="0.5=2029-01-01", **quantiles), CATALOGUE)


def test_entering_the_same_bytes_again_adds_nothing():
    store = MemoryStore()
    raw = row(probability="0.5")
    assert (enter(store, raw, CATALOGUE).new, enter(store, raw, CATALOGUE).new) == (1, 0)
    later = payload(raw.body, at=NOW + DAY)
    again = enter(store, later, CATALOGUE)
    assert (again.known, again.new, again.payload.fetched_at) == (True, 0, NOW)
    assert len(store.forecasts()) == 1


def test_quantiles_come_back_as_the_distribution_they_are():
    store = MemoryStore()
    enter(store, row(question=DATED.id, quantiles="0.1=2027-06-01; 0.5=2030-01-01"), CATALOGUE)
    (found,) = distributions(store.forecasts())
    assert found.levels == (0.1, 0.5)
    assert found.values == tuple(datetime(y, m, 1, tzinfo=UTC).timestamp() for y, m in ((2027, 6), (2030, 1)))
    assert (found.question, found.forecaster, found.dated) == (DATED.id, "ann", True)


def test_a_forecast_counts_from_when_it_was_entered_whatever_it_claims():
    store = MemoryStore()
    enter(store, row(probability="0.9", made_at="2026-01-01"), CATALOGUE)
    ((forecast, at),) = counted(store)
    assert (forecast.made_at, at) == (datetime(2026, 1, 1, tzinfo=UTC), NOW)
    assert counted(store, known_at=NOW - DAY) == []


def resolved(platform: str, external_id: str, at: datetime, outcome: str = "yes"):
    return Resolution(
        platform, platform, external_id, outcome, OutcomeState.YES, at, resolved_at=at, value=1.0
    )


def receipt(
    version: str, outcome: str | None, *, state: str = "resolved", at: datetime | None = None
) -> Receipt:
    made = at or PAIR.dates.close + timedelta(hours=1)
    over = None if outcome is None else PAIR.dates.close
    return Receipt(PAIR.id, version, made, made, State(state), "battery", outcome, resolved_at=over)


def test_a_person_is_scored_like_everybody_on_our_question_and_on_a_linked_one():
    from storage.records import Batch

    store = MemoryStore()
    arm = PAIR.outcomes[0]
    version = seen(PAIR, [], NOW - DAY)
    store.add_question_versions([version])
    enter(store, row(question=PAIR.id, outcome=arm, probability="0.7"), CATALOGUE)
    enter(store, payload(one_row({"question": LINKED, "forecaster": "bob", "odds": "1:3"})), CATALOGUE)
    close = PAIR.dates.close
    store.append(Batch(resolutions=(resolved(LINK.platform, LINK.external_id, close),)))
    store.add_receipts([receipt(version.version, arm)])
    table = stored_forecasts(store, CATALOGUE, lead_days=(30,), now=max(close, LINK.by or close) + DAY)
    assert table.area is not None
    report = calibrate(table, group_by=["forecaster"])
    brier = {group.group["forecaster"]: group.brier.value for group in report.groups}
    assert brier == {"ann": pytest.approx(0.09), "bob": pytest.approx(0.5625)}
    areas = calibrate(table, group_by=["area"]).groups
    assert sum(group.n_forecasts for group in areas) == len(PAIR.areas) + max(1, len(LINK.areas))


def test_a_question_of_ours_that_was_annulled_or_is_disputed_is_counted_not_scored():
    store = MemoryStore()
    version = seen(PAIR, [], NOW - DAY)
    store.add_question_versions([version])
    enter(store, row(question=PAIR.id, outcome=PAIR.outcomes[0], probability="0.7"), CATALOGUE)
    later = {"lead_days": (30,), "now": PAIR.dates.close + 9 * DAY}
    store.add_receipts([receipt(version.version, "annul", state="void")])
    assert calibrate(stored_forecasts(store, CATALOGUE, **later)).n_void == 1
    again = receipt(version.version, None, state="disputed", at=PAIR.dates.close + 2 * DAY)
    store.add_receipts([again])
    assert calibrate(stored_forecasts(store, CATALOGUE, **later)).n_pending == 1
    then = stored_forecasts(store, CATALOGUE, **later, known_at=PAIR.dates.close + DAY)
    assert calibrate(then).n_void == 1


def test_what_was_said_of_one_version_is_not_scored_by_what_another_came_to():
    store = MemoryStore()
    first = seen(PAIR, [], NOW - DAY)
    edited = PAIR.model_copy(update={"threshold": PAIR.threshold.model_copy(update={"value": 99.0})})
    second = seen(edited, [first], max(NOW, PAIR.dates.open) + DAY)
    store.add_question_versions([first, second])
    enter(store, row(question=PAIR.id, outcome=PAIR.outcomes[0], probability="0.7"), CATALOGUE)
    store.add_receipts([receipt(second.version, PAIR.outcomes[0])])
    late = {"lead_days": (30,), "now": PAIR.dates.close + 9 * DAY}
    assert calibrate(stored_forecasts(store, CATALOGUE, **late)).n_pending == 1
    store.add_receipts([receipt(first.version, PAIR.outcomes[1])])
    report = calibrate(stored_forecasts(store, CATALOGUE, **late))
    assert report.brier.value == pytest.approx(0.49)


def test_a_model_that_tells_of_its_own_version_is_scored_by_the_question_that_stood():
    store = MemoryStore()
    version = seen(PAIR, [], NOW - DAY)
    store.add_question_versions([version])
    words = "1f2e3d4c lognormal weights sd 0.5, seed 0"
    said = Forecast(PAIR.id, PAIR.outcomes[0], "factor-model:base", "model", NOW, 0.7, version=words)
    store.add_forecasts([said])
    store.add_receipts([receipt(version.version, PAIR.outcomes[0])])
    report = calibrate(stored_forecasts(store, CATALOGUE, lead_days=(30,), now=PAIR.dates.close + 9 * DAY))
    assert report.brier.value == pytest.approx(0.09)


def test_what_was_entered_after_the_outcome_is_no_forecast_of_it():

    store = MemoryStore()
    close = PAIR.dates.close
    version = seen(PAIR, [], NOW - DAY)
    store.add_question_versions([version])
    store.add_receipts([receipt(version.version, PAIR.outcomes[0])])
    cells = {"question": PAIR.id, "forecaster": "ann", "outcome": PAIR.outcomes[0], "probability": "1"}
    late = payload(one_row({**cells, "made_at": "2026-01-01"}), at=close + DAY)
    enter(store, late, CATALOGUE)
    report = calibrate(stored_forecasts(store, CATALOGUE, lead_days=(30,), now=close + 2 * DAY))
    assert report.n_forecasts == 0
