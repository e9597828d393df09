"""Epoch's data centres: dated states, projections among them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tests.sources.answers import PAYLOADS, answer
from tracker.errors import ParseError
from tracker.source import Parsed
from tracker.sources.epoch_dc import EpochDataCenters

FILE = (PAYLOADS / "epoch_dc" / "data_center_timelines.csv").read_text(encoding="utf-8")


def read(text: str, at: datetime | None = None) -> Parsed:
    return EpochDataCenters().parse(answer("epoch_dc", text.encode(), **({} if at is None else {"at": at})))


def told(parsed: Parsed) -> dict[tuple[str, str], tuple[date, float, str]]:
    (version,) = parsed.batch.versions
    return {(p.key, p.metric): (p.at, p.value, p.unit) for p in version.measurements}


def test_each_site_and_date_gives_its_quantities_in_their_own_units() -> None:
    found = told(read(FILE))
    assert found["Example Campus@2025-03-01", "h100_equivalents"] == (
        date(2025, 3, 1),
        40000.0,
        "H100-equivalents",
    )
    assert found["Example Campus@2025-03-01", "power"] == (date(2025, 3, 1), 100.5, "MW")
    assert found["Sample Site@2024-06-15", "power"] == (date(2024, 6, 15), 0.0, "MW")
    assert ("Example Campus@2027-09-01", "it_power") not in found  # an empty cell is no zero
    assert len(found) == 8


def test_projections_are_kept_whenever_the_bytes_are_read() -> None:
    late = read(FILE, datetime(2030, 1, 1, tzinfo=UTC))
    assert told(late) == told(read(FILE))
    assert told(late)["Example Campus@2027-09-01", "h100_equivalents"][1] == 1_500_000


def test_a_missing_quantity_is_a_note_and_all_missing_a_refusal() -> None:
    assert read(FILE.replace("H100 equivalents", "H200s")).notes == (
        "H100 equivalents: no such column any more",
    )
    with pytest.raises(ParseError, match="H100 equivalents: no point in it"):
        read("Data center,Date,Owner\nExample Campus,2025-03-01,Example\n")
    with pytest.raises(ParseError, match="Data center: no such column"):
        read(FILE.replace("Data center", "Site"))


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("40000", "-1", "line 2.H100 equivalents"),
        ("40000", "1e12", "line 2.H100 equivalents"),
        ("100.5", "a lot", r"line 2.Power (MW)"),
        ("2025-03-01", "March", "line 2.Date"),
        ("2025-03-01", "1925-03-01", "line 2.Date"),
    ],
)
def test_a_bad_cell_costs_its_row(before: str, after: str, field: str) -> None:
    parsed = read(FILE.replace(before, after, 1))
    assert [fault.field for fault in parsed.faults] == [field]
    assert len(told(parsed)) == 5


def test_thousands_may_be_set_apart_by_commas() -> None:
    found = told(read(FILE.replace(",40000,", ',"40,000",', 1)))
    assert found["Example Campus@2025-03-01", "h100_equivalents"][1] == 40000
