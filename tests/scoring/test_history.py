"""From stored values and outcomes to forecasts that may honestly be scored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from questions.records import OutcomeState, Quantity, Resolution, Snapshot, StreamKey, ValueState
from storage.records import Observation
from tracker.errors import UsageError
from tracker.scoring import Status, calibrate, forecasts_from_history
from tracker.scoring.history import paths_from_history
from tracker.scoring.lives import records

DAY = timedelta(days=1)
CLOSE = datetime(2025, 6, 1, tzinfo=UTC)
NOW = CLOSE + 10 * DAY
MARKET = StreamKey("manifold", "manifold", "m1", "yes", Quantity.PLAY_MONEY_PRICE)
CLOSES = {("manifold", "m1"): CLOSE}


def observation(key: StreamKey, days_before: float, p: float | None, *, last_seen: float | None = None):
    at = CLOSE - days_before * DAY
    state = ValueState.OK if p is not None else ValueState.HIDDEN
    seen_last = at if last_seen is None else CLOSE - last_seen * DAY
    return Observation(Snapshot(key, at, at, state=state, probability=p), at, seen_last, 1)


def path(key: StreamKey, values: dict[float, float | None]):
    """Values by days before the close, oldest first."""
    return [observation(key, days, p) for days, p in sorted(values.items(), reverse=True)]


def resolution(key: StreamKey, value: float | None = 1.0, *, days_before: float = 0, state=None, source=None):
    states = {1.0: OutcomeState.YES, 0.0: OutcomeState.NO}
    at = CLOSE - days_before * DAY
    return Resolution(
        source or key.source, key.platform, key.external_id, key.outcome,
        state or states[value], at, resolved_at=at, value=value,
    )  # fmt: skip


def build(history, resolutions, *, leads=(30, 7), closes=CLOSES, now=NOW, **options):
    return forecasts_from_history(history, resolutions, lead_days=leads, closes=closes, now=now, **options)


def rows(table):
    return sorted(zip(table.lead_days.tolist(), table.probability.tolist(), strict=True))


def test_each_lead_takes_the_value_that_stood_then():
    history = {MARKET: path(MARKET, {35: 0.2, 30.5: 0.3, 29: 0.4, 8: 0.6, 7: 0.7, 1: 0.9})}
    table = build(history, [resolution(MARKET)])
    assert rows(table) == [(7.0, 0.7), (30.0, 0.3)]
    assert table.forecaster.tolist() == ["manifold", "manifold"]
    assert calibrate(table).n_close_unknown == 0
    assert table.notes == ()


def test_a_later_value_never_leaks_into_an_earlier_lead():
    history = {MARKET: path(MARKET, {29.9: 0.99})}
    table = build(history, [resolution(MARKET)], leads=[30])
    assert len(table) == 0
    assert "1 forecasts missing" in table.notes[0]


def test_silence_is_not_bridged_but_a_confirmed_value_stands():
    silent = {MARKET: [observation(MARKET, 60, 0.2)]}
    assert len(build(silent, [resolution(MARKET)], leads=[30])) == 0
    confirmed = {MARKET: [observation(MARKET, 60, 0.2, last_seen=31)]}
    assert rows(build(confirmed, [resolution(MARKET)], leads=[30])) == [(30.0, 0.2)]
    assert rows(build(silent, [resolution(MARKET)], leads=[30], max_age=40 * DAY)) == [(30.0, 0.2)]


def test_a_hidden_value_hides_the_one_before_it():
    history = {MARKET: path(MARKET, {32: 0.2, 31: None})}
    assert len(build(history, [resolution(MARKET)], leads=[30])) == 0


def test_without_a_scheduled_close_leads_count_from_the_outcome_and_are_flagged():
    history = {MARKET: path(MARKET, {28: 0.1, 18: 0.3})}
    table = build(history, [resolution(MARKET, days_before=10)], leads=[7], closes={})
    assert rows(table) == [(7.0, 0.3)]
    assert any("lead from resolution: leaks (1 forecasts" in note for note in table.notes)
    assert calibrate(table).n_close_unknown == 1


def test_a_question_resolved_before_its_scheduled_close_waits_for_it():
    history = {MARKET: path(MARKET, {40: 0.5, 30: 0.6, 21: 0.7})}
    resolutions = [resolution(MARKET, days_before=20)]
    waiting = calibrate(build(history, resolutions, now=CLOSE - 10 * DAY))
    assert (waiting.n_resolved_early, waiting.n_forecasts) == (1, 0)
    after = calibrate(build(history, resolutions, now=NOW))
    assert (after.n_resolved_early, after.n_forecasts) == (0, 1)


def test_a_lead_after_the_outcome_is_counted_apart():
    history = {MARKET: path(MARKET, {40: 0.5, 30: 0.6, 8: 0.99})}
    report = calibrate(build(history, [resolution(MARKET, days_before=20)]))
    assert (report.n_forecasts, report.n_after_resolution) == (1, 1)
    assert report.brier.value == pytest.approx(0.16)


@pytest.mark.parametrize(
    ("state", "value", "status"),
    [
        (OutcomeState.VOID, None, Status.VOID),
        (OutcomeState.AMBIGUOUS, None, Status.VOID),
        (OutcomeState.UNRESOLVED, None, Status.PENDING),
        (OutcomeState.FRACTION, 0.4, Status.FRACTION),
    ],
)
def test_other_outcomes_are_counted_under_their_own_heading(state, value, status):
    history = {MARKET: path(MARKET, {31: 0.2, 8: 0.4})}
    table = build(history, [resolution(MARKET, value, state=state)], leads=[7])
    assert table.status.tolist() == [status]


def test_open_questions_are_pending_with_their_last_value():
    table = build({MARKET: path(MARKET, {31: 0.2, 8: 0.4, 3: None})}, [])
    assert table.status.tolist() == [Status.PENDING]
    assert table.probability.tolist() == [0.4]


def test_an_outcome_that_is_no_number_and_a_stream_without_values_are_noted():
    other = StreamKey("manifold", "manifold", "m2", "yes", Quantity.PLAY_MONEY_PRICE)
    history = {MARKET: path(MARKET, {8: 0.4}), other: path(other, {8: None})}
    table = build(history, [resolution(MARKET, None, state=OutcomeState.VALUE)])
    assert len(table) == 0
    assert len(table.notes) == 2


def test_daily_values_weigh_days_not_bursts_of_polls():
    burst = {3 + hour / 24: 0.5 for hour in range(1, 24)}
    history = {MARKET: path(MARKET, {5: 0.2, **burst, 1.5: 0.8})}
    table = build(history, [resolution(MARKET)], leads=None)
    assert rows(table) == [(1.0, 0.8), (2.0, 0.5), (3.0, 0.5), (4.0, 0.2)]


def test_daily_values_stop_at_the_outcome():
    history = {MARKET: path(MARKET, {6: 0.2, 3: 0.99, 1: 1.0})}
    table = build(history, [resolution(MARKET, days_before=4)], leads=None)
    assert rows(table) == [(5.0, 0.2)]


def test_two_sources_of_one_question_are_two_forecasters_but_one_piece_of_evidence():
    feed = StreamKey("forecastbench", "manifold", "m1", "yes", Quantity.CROWD_DAILY)
    history = {MARKET: path(MARKET, {8: 0.4}), feed: path(feed, {8: 0.5})}
    table = build(history, [resolution(MARKET)], leads=[7])
    assert sorted(table.forecaster) == ["manifold", "manifold (via forecastbench)"]
    assert calibrate(table).n_questions == 1


def test_options_of_one_question_are_one_piece_of_evidence():
    options = [
        StreamKey("manifold", "manifold", "m1", name, Quantity.PLAY_MONEY_PRICE) for name in ("a", "b")
    ]
    history = {key: path(key, {8: 0.5}) for key in options}
    resolutions = [resolution(options[0], 1.0), resolution(options[1], 0.0)]
    report = calibrate(build(history, resolutions, leads=[7]))
    assert (report.n_forecasts, report.n_questions) == (2, 1)


def test_two_kinds_of_number_from_one_source_are_told_apart():
    keys = [
        StreamKey("kalshi", "kalshi", "k", "yes", q)
        for q in (Quantity.REAL_MONEY_MID, Quantity.REAL_MONEY_LAST)
    ]
    table = build({key: path(key, {8: 0.5}) for key in keys}, [])
    assert sorted(table.forecaster) == ["kalshi (real_money_last)", "kalshi (real_money_mid)"]


def test_the_platforms_own_word_wins_over_a_feeds_and_the_quarrel_is_noted():
    feed = resolution(MARKET, 0.0, source="forecastbench", days_before=-1)
    table = build({MARKET: path(MARKET, {8: 0.5})}, [feed, resolution(MARKET, 1.0)], leads=[7])
    assert table.outcome.tolist() == [1.0]
    assert any("disagree" in note for note in table.notes)


def test_areas_come_along_when_they_are_known():
    history = {MARKET: path(MARKET, {8: 0.5})}
    table = build(history, [resolution(MARKET)], leads=[7], areas={("manifold", "m1"): ("post_training",)})
    assert calibrate(table, group_by=["area"]).groups[0].group == {"area": "post_training"}


def test_nothing_stored_gives_an_empty_table():
    report = calibrate(build({}, []), group_by=["forecaster"])
    assert report.n_forecasts == 0
    assert report.groups == ()


def test_a_lead_below_a_day_is_refused():
    with pytest.raises(UsageError, match="whole days"):
        build({}, [], leads=[0])


def test_a_naive_now_is_refused():
    with pytest.raises(ValueError, match="naive"):
        build({}, [], now=datetime(2025, 1, 1))


def test_an_outcome_without_its_time_is_dated_to_when_we_learnt_it_and_noted():
    word = Resolution("manifold", "manifold", "m1", "yes", OutcomeState.YES, CLOSE - 2 * DAY, value=1.0)
    table = build({MARKET: path(MARKET, {8: 0.5})}, [word], leads=[7])
    assert table.status.tolist() == [Status.SCORED]
    assert any("time of outcome is unknown" in note for note in table.notes)


def test_a_stream_without_any_value_gives_no_daily_forecast():
    assert len(build({MARKET: []}, [resolution(MARKET)], leads=None)) == 0


def lives(history, resolutions, *, closes=CLOSES, opens=None, now=NOW, **options):
    return paths_from_history(history, resolutions, closes=closes, opens=opens or {}, now=now, **options)


def test_a_life_runs_from_its_opening_to_the_close_with_gaps_where_nothing_was_confirmed():
    history = {MARKET: path(MARKET, {60: 0.5, 20: 0.9, 10: None, 5: 0.8})}
    opens = {("manifold", "m1"): CLOSE - 100 * DAY}
    paths, found = lives(history, [resolution(MARKET)], opens=opens)
    (life,) = found.values()
    assert (life.length, life.ends, life.outcome) == (pytest.approx(100.0), life.closes, 1.0)
    (record,) = records(paths, found, leads=(58, 30, 15, 8, 3))
    # 60..53 at 0.5 (then silent for too long), 20..13 at 0.9, hidden from 10, 5..0 at 0.8
    assert record.coverage == pytest.approx(0.07 + 0.07 + 0.05)
    assert {lead: mean.value for lead, mean in record.at_leads.items()} == {
        "58": pytest.approx(0.25),
        "15": pytest.approx(0.01),
        "3": pytest.approx(0.04),
    }


def test_a_crowd_heard_twice_is_no_peer_of_itself():
    via = StreamKey("forecastbench", "manifold", "m1", "yes", Quantity.CROWD_DAILY)
    history = {MARKET: path(MARKET, {6: 0.5}), via: path(via, {6: 0.4})}
    paths, found = lives(history, [resolution(MARKET)])
    assert list(paths) == [("manifold", "manifold/m1/yes")]
    (record,) = records(paths, found)
    assert record.peer is None


def test_what_ended_early_counts_against_its_scheduled_life_and_what_may_still_end_late_not_at_all():
    history = {MARKET: [observation(MARKET, 10, 0.5, last_seen=0)]}
    early = resolution(MARKET, days_before=5)
    paths, found = lives(history, [early])
    (record,) = records(paths, found)
    assert record.coverage == pytest.approx(0.5)
    assert lives(history, [early], now=CLOSE - DAY) == ({}, {})
    assert lives(history, [early], closes={}) == ({}, {})
    assert lives(history, [resolution(MARKET, 0.5, state=OutcomeState.FRACTION)]) == ({}, {})


def test_the_total_scores_a_crowds_word_once():
    via = StreamKey("forecastbench", "manifold", "m1", "yes", Quantity.CROWD_DAILY)
    history = {MARKET: path(MARKET, {8: 0.5}), via: path(via, {8: 0.9})}
    report = calibrate(build(history, [resolution(MARKET)], leads=[7]), group_by=["forecaster"])
    assert (report.n_forecasts, report.n_repeated) == (1, 1)
    assert report.brier.value == pytest.approx(0.25)
    assert [group.n_forecasts for group in report.groups] == [1, 1]
