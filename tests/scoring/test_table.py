"""The forecast table: what may be scored, filters and lead times."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from tracker.errors import UsageError
from tracker.scoring import Status, at_leads, calibrate, forecast_table, select, to_json

DAY = timedelta(days=1)
CLOSE = datetime(2025, 6, 1, tzinfo=UTC)


def table_of_one_question(days_before: list[int], *, close=CLOSE, resolved=CLOSE, now=CLOSE + DAY, who=None):
    n = len(days_before)
    return forecast_table(
        np.linspace(0.1, 0.9, n),
        [1] * n,
        ["q"] * n,
        forecaster=who or ["x"] * n,
        made_at=[CLOSE - d * DAY for d in days_before],
        resolved_at=[resolved] * n,
        closes_at=None if close is None else [close] * n,
        now=now,
    )


@pytest.mark.parametrize(
    "columns",
    [
        {"probability": [0.5, 1.2]},
        {"probability": [0.5, math.nan]},
        {"outcome": [1]},
        {"outcome": [1, math.inf]},
        {"question": ["a"]},
        {"void": [True]},
        {"forecaster": ["x"]},
        {"made_at": [None]},
        {"made_at": [datetime(2025, 1, 1), None]},
    ],
)
def test_columns_that_do_not_fit_are_refused(columns):
    good = {"probability": [0.5, 0.5], "outcome": [1, 0], "question": ["a", "b"]} | columns
    with pytest.raises(ValueError, match=r"rows|0\.\.1|finite|naive"):
        forecast_table(**good)


def test_questions_may_be_numbers_and_missing_labels_become_empty():
    table = forecast_table([0.5, 0.5], [1, 0], [7, 8], forecaster=["x", None])
    assert table.question.tolist() == ["7", "8"]
    assert table.forecaster.tolist() == ["x", ""]


def test_a_forecast_made_at_the_very_moment_of_resolution_still_counts_one_later_does_not():
    table = forecast_table(
        [0.5, 0.5],
        [1, 1],
        ["a", "a"],
        made_at=[CLOSE, CLOSE + timedelta(seconds=1)],
        resolved_at=[CLOSE, CLOSE],
    )
    assert table.status.tolist() == [Status.SCORED, Status.AFTER_RESOLUTION]


def test_no_outcome_is_scored_before_the_scheduled_close_has_passed():
    early = table_of_one_question([30], resolved=CLOSE - 10 * DAY, now=CLOSE - DAY)
    assert early.status.tolist() == [Status.RESOLVED_EARLY]
    later = table_of_one_question([30], resolved=CLOSE - 10 * DAY, now=CLOSE)
    assert later.status.tolist() == [Status.SCORED]


def test_select_keeps_whole_days_of_since_and_until():
    table = table_of_one_question([3, 2, 1, 0])
    kept = select(table, since=date(2025, 5, 30), until=date(2025, 5, 31))
    assert kept.made_at.astype("datetime64[D]").astype(str).tolist() == ["2025-05-30", "2025-05-31"]


def test_select_combines_filters_and_keeps_all_columns_aligned():
    table = forecast_table(
        [0.1, 0.2, 0.3], [0, 1, 0], list("abc"), forecaster=list("xyx"), area=["p", "p", "q"]
    )
    kept = select(table, forecasters=["x"], areas=["p"])
    assert kept.probability.tolist() == [0.1]
    assert kept.question.tolist() == ["a"]


def test_an_unknown_name_gets_a_suggestion():
    table = forecast_table([0.1], [0], ["a"], forecaster=["metaculus"])
    with pytest.raises(UsageError, match="did you mean 'metaculus'"):
        select(table, forecasters=["metacullus"])
    with pytest.raises(UsageError, match="known: metaculus"):
        select(table, forecasters=["zzz"])


def test_filters_need_their_column():
    table = forecast_table([0.1], [0], ["a"])
    with pytest.raises(UsageError, match="no area column"):
        select(table, areas=["x"])
    with pytest.raises(UsageError, match="made_at"):
        select(table, since=date(2025, 1, 1))


def test_a_lead_takes_the_last_forecast_made_by_then():
    picked = at_leads(table_of_one_question([100, 40, 30, 20, 5]), [30, 7])
    chosen = sorted(zip(picked.lead_days.tolist(), picked.probability.round(1).tolist(), strict=True))
    assert chosen == [(7.0, 0.7), (30.0, 0.5)]  # the rows made 20 and exactly 30 days before
    assert picked.leads == (7, 30)
    assert picked.notes == ()


def test_leads_are_per_forecaster_and_group_by_lead_sorts_them_as_numbers():
    table = table_of_one_question([100, 100, 40], who=["x", "y", "x"])
    report = calibrate(at_leads(table, [7, 30, 90]), group_by=["lead", "forecaster"])
    assert [(g.group["lead"], g.group["forecaster"]) for g in report.groups] == [
        (lead, who) for lead in ("7", "30", "90") for who in ("x", "y")
    ]


def test_leads_counted_from_the_resolution_are_flagged_as_leaking():
    picked = at_leads(table_of_one_question([40, 3], close=None), [30])
    assert picked.lead_days.tolist() == [30.0]
    assert any("leaks" in note for note in picked.notes)


def test_a_question_resolved_before_its_lead_moment_is_counted_not_scored():
    picked = at_leads(table_of_one_question([100], resolved=CLOSE - 60 * DAY), [30, 90])
    assert dict(zip(picked.lead_days.tolist(), picked.status.tolist(), strict=True)) == {
        30.0: Status.AFTER_RESOLUTION,
        90.0: Status.SCORED,
    }


def test_pending_questions_stay_countable_when_leads_are_picked():
    table = forecast_table(
        [0.2, 0.3], [math.nan] * 2, ["a", "a"], made_at=[CLOSE - DAY, CLOSE], resolved_at=[None] * 2
    )
    report = calibrate(at_leads(table, [7]))
    assert (report.n_pending, report.n_forecasts) == (1, 0)


@pytest.mark.parametrize("leads", [[], [0], [-3, 7]])
def test_leads_are_whole_days_of_one_or_more(leads):
    with pytest.raises(UsageError, match="whole days"):
        at_leads(table_of_one_question([10]), leads)


def test_leads_need_times():
    with pytest.raises(UsageError, match="made_at"):
        at_leads(forecast_table([0.5], [1], ["a"]), [7])


def test_a_question_of_two_areas_counts_in_both_groups_and_once_in_the_total():
    table = forecast_table([0.2, 0.4, 0.6], [0, 1, 1], list("abc"), area=["x|y", "y", ""])
    report = calibrate(table, group_by=["area"])
    assert report.n_forecasts == 3
    assert {g.group["area"]: g.n_forecasts for g in report.groups} == {"unknown": 1, "x": 1, "y": 2}
    assert len(select(table, areas=["x"])) == 1
    assert len(select(table, areas=["y"])) == 2


def test_one_crowds_word_heard_twice_counts_once_in_a_total_and_in_each_messengers_group():
    columns = {"crowd": ["m1", "m1", "m2"], "hops": [5, 0, 5], "source": ["far", "near", "far"]}
    made = [CLOSE] * 3
    table = forecast_table([0.9, 0.5, 0.1], [0, 0, 0], ["a", "a", "b"], made_at=made, **columns)
    report = calibrate(table, group_by=["source"])
    assert (report.n_forecasts, report.n_repeated) == (2, 1)
    assert report.brier.value == pytest.approx((0.25 + 0.01) / 2)
    assert {g.group["source"]: g.n_forecasts for g in report.groups} == {"far": 2, "near": 1}
    alone = calibrate(select(table, sources=["far"]))
    assert (alone.n_forecasts, alone.n_repeated) == (2, 0)


def test_what_is_pending_is_counted_once_though_its_last_values_differ_in_time():
    later = CLOSE + timedelta(days=1)
    nan = float("nan")
    table = forecast_table(
        [0.9, 0.5], [nan, nan], ["a", "a"], made_at=[CLOSE, later], crowd=["m", "m"], hops=[0, 1]
    )
    assert calibrate(table).n_pending == 1


def test_a_pending_question_past_its_close_is_overdue_and_still_pending():
    closes = [datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), None]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    table = forecast_table([0.5] * 3, [np.nan] * 3, list("abc"), closes_at=closes, now=now)
    report = calibrate(table, resamples=0)
    assert (report.n_pending, report.n_overdue) == (3, 1)
    assert to_json(report)["n_overdue"] == 1
