"""The functions over DataFrames give the numbers of the command line, and refuse what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.scoring.crowd import FILE, ROLES
from tests.scoring.test_recalibration import world
from tracker.errors import UsageError
from tracker.scoring import calibrate, read_forecasts_csv
from tracker.scoring.frames import (
    calibration,
    comparison,
    numbers,
    over_life,
    recalibrated,
    reliability,
    scores,
)
from tracker.scoring.recalibration import out_of_sample


@pytest.fixture(scope="module")
def crowd() -> pd.DataFrame:
    raw = pd.read_csv(FILE, dtype={"id": str})
    frame = raw.rename(columns={column: role for role, column in ROLES.items() if "+" not in column})
    return frame.assign(question=raw["source"] + "/" + raw["id"])


def test_a_frame_and_a_file_give_the_same_numbers(crowd):
    report = calibrate(read_forecasts_csv(FILE, ROLES), group_by=["source"])
    frame = calibration(crowd, by=["source"]).set_index("source")
    for group in report.groups:
        row = frame.loc[group.group["source"]]
        assert (row["brier"], row["brier_low"], row["brier_high"]) == (group.brier.value, *group.brier.ci95)
        assert (row["mcb"], row["ece"], row["slope"]) == (
            group.corp.miscalibration, group.ece, group.slope.value,
        )  # fmt: skip
    assert scores(crowd)["brier"].mean() == pytest.approx(report.brier.value)


def test_the_curve_is_that_of_the_report(crowd):
    report = calibrate(read_forecasts_csv(FILE, ROLES), curve=True, resamples=50)
    assert reliability(crowd, resamples=50)["recalibrated"].tolist() == list(report.curve.recalibrated)
    with pytest.raises(UsageError, match="too few"):
        reliability(crowd.head(5))


def test_life_and_comparison_agree_with_each_other():
    frame = pd.DataFrame(
        [(f"q{k}", who, p, k % 2) for k in range(12) for who, p in (("ann", 0.1 + 0.07 * k), ("bob", 0.5))],
        columns=["question", "forecaster", "probability", "outcome"],
    ).assign(made_at="2025-01-01", closes_at=pd.Timestamp("2025-03-01", tz="UTC"))
    life = over_life(frame).set_index("forecaster")
    (difference,) = comparison(frame)["difference"]
    assert difference == pytest.approx(life.loc["ann", "brier"] - life.loc["bob", "brier"])
    assert np.isnan(life.loc["ann", "brier_365"])


def test_recalibrated_forecasts_are_those_of_the_table():
    table = world(120, slope=1.8)
    frame = pd.DataFrame(
        {
            "question": table.question,
            "probability": table.probability,
            "outcome": table.outcome,
            "source": table.source,
            "made_at": pd.to_datetime(table.made_at, utc=True),
            "resolved_at": pd.to_datetime(table.resolved_at, utc=True),
        }
    )
    assert recalibrated(frame)["probability"].to_numpy() == pytest.approx(out_of_sample(table).probability)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"probability": 1.2}, "probability: row 0 has"),
        ({"probability": "55%"}, "0.55"),
        ({"probability": np.nan}, "probability: row 0"),
        ({"outcome": np.inf}, "outcome: row 0"),
        ({"question": None}, "question: row 0 has none"),
        ({"made_at": "2025-01-01T10:00"}, "made_at: a time without an offset"),
        ({"made_at": pd.Timestamp("2025-01-01")}, "made_at: a time without an offset"),
        ({"made_at": "soon"}, "made_at"),
    ],
)
def test_what_is_wrong_is_refused_with_its_column(change, said):
    good = {"question": "a", "probability": 0.5, "outcome": 1, "made_at": "2025-01-01"}
    with pytest.raises(UsageError, match=said):
        calibration(pd.DataFrame([good | change]))


def test_a_missing_column_is_named():
    with pytest.raises(UsageError, match="no column 'outcome'"):
        calibration(pd.DataFrame({"probability": [0.5], "question": ["a"]}))


def test_numbers_in_a_frame_score_as_the_records_do_and_say_which_row_is_wrong():
    said = pd.DataFrame(
        {
            "question": ["a", "a", "b"], "forecaster": "ann", "form": ["cdf", "cdf", "quantiles"],
            "made_at": ["2025-01-01", "2025-01-21", "2025-01-01"], "opens_at": "2025-01-01",
            "closes_at": "2025-01-31", "resolved_at": "2025-03-01", "value": [2.0, 2.0, 86400.0 * 3],
            "x": [[0.0, 4.0], [1.0, 3.0], [86400.0, 2 * 86400.0, 4 * 86400.0]],
            "p": [[0.0, 1.0], [0.0, 1.0], [0.1, 0.5, 0.9]], "dated": [False, False, True],
        }
    )  # fmt: skip
    found = numbers(said, leads=(15, 5)).set_index("score")
    # uniform with the answer in the middle costs a twelfth of the width, which is the unit
    assert found.loc["crps", ["over_life", "lead_15", "lead_5"]].tolist() == pytest.approx([1 / 12] * 3)
    assert found.loc["weighted_interval_score", "over_life"] == pytest.approx((0.5 * 1 + 0.1 * 3) / 1.5)
    assert found.loc["weighted_interval_score", "unit"] == "days"
    told = said.iloc[[0]].assign(form="draws", x=[[1.0, 3.0]], p=[[]], lower=0.0, upper=4.0)
    (drawn,) = numbers(told, leads=(15,)).to_dict("records")
    assert (drawn["score"], drawn["over_life"]) == ("crps_draws", pytest.approx((1.0 - 2.0 / 2.0) / 4.0))
    with pytest.raises(UsageError, match=r"row 1: .*no_such"):
        numbers(said.assign(form=["cdf", "no_such", "cdf"]))
    with pytest.raises(UsageError, match="no column 'p'"):
        numbers(said.drop(columns="p"))
    with pytest.raises(UsageError, match="never fall"):
        numbers(said.assign(p=[[1.0, 0.0], [0.0, 1.0], [0.1, 0.5, 0.9]]))
