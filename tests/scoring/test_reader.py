"""Reading other people's CSV files: strict, and every mistake told with its place."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from tracker.errors import UsageError
from tracker.scoring import Status, calibrate, read_forecasts_csv

SMALL = {"probability": "p", "outcome": "y", "question": "q"}
FULL = SMALL | {"forecaster": "who", "made_at": "made", "resolved_at": "resolved"}
HEADER = "q,who,p,y,made,resolved\n"


@pytest.fixture
def write(tmp_path):
    def to_file(text: str | bytes):
        path = tmp_path / "forecasts.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


def refusal(path, columns) -> str:
    with pytest.raises(UsageError) as caught:
        read_forecasts_csv(path, columns)
    return str(caught.value)


def test_a_clean_file_is_read_column_by_column(write):
    path = write(
        HEADER + "a,x,0.25,1,2025-01-02,2025-02-01T12:00:00+02:00\nb,x, 1e-1 ,0,2025-01-02T06:00:00Z,\n"
    )
    table = read_forecasts_csv(path, FULL)
    assert table.probability.tolist() == [0.25, 0.1]
    assert table.outcome.tolist() == [1.0, 0.0]
    assert table.made_at.astype(str).tolist() == ["2025-01-02T00:00:00.000000", "2025-01-02T06:00:00.000000"]
    assert str(table.resolved_at[0]) == "2025-02-01T10:00:00.000000"
    assert np.isnat(table.resolved_at[1])


@pytest.mark.parametrize(
    ("cell", "status"),
    [
        *((cell, Status.SCORED) for cell in ("1", "0", "1.0", "yes", "NO", "True", "false")),
        *((cell, Status.PENDING) for cell in ("", " ", "open", "Pending")),
        *((cell, Status.VOID) for cell in ("void", "Annulled", "N/A", "ambiguous", "cancelled")),
        *((cell, Status.FRACTION) for cell in ("0.5", "12", "-3")),
    ],
)
def test_what_an_outcome_cell_means(write, cell, status):
    table = read_forecasts_csv(write(f"q,p,y\na,0.5,{cell}\n"), SMALL)
    assert table.status.tolist() == [status]
    assert math.isnan(table.outcome[0]) == (status in (Status.PENDING, Status.VOID))


@pytest.mark.parametrize(
    ("row", "column", "what"),
    [
        ("a,x,1.2,1,2025-01-01,", "p", "must lie in 0..1"),
        ("a,x,-0.1,1,2025-01-01,", "p", "must lie in 0..1"),
        ("a,x,nan,1,2025-01-01,", "p", "must lie in 0..1"),
        ("a,x,55%,1,2025-01-01,", "p", "write 55% as 0.55"),
        ('a,x,"0,5",1,2025-01-01,', "p", "decimal point"),
        ("a,x,,1,2025-01-01,", "p", "empty"),
        ("a,x,likely,1,2025-01-01,", "p", "not a number"),
        ("a,x,0_5,1,2025-01-01,", "p", "not a number"),
        ("a,x,0.5,maybe,2025-01-01,", "y", "no outcome"),
        ("a,x,0.5,inf,2025-01-01,", "y", "no outcome"),
        (",x,0.5,1,2025-01-01,", "q", "empty"),
        ("a,x,0.5,1,,", "made", "empty"),
        ("a,x,0.5,1,2025-01-01T10:00:00,", "made", "no offset"),
        ("a,x,0.5,1,01/02/2025,", "made", "ISO 8601"),
        ("a,x,0.5,1,2025-13-01,", "made", "ISO 8601"),
        ("a,x,0.5,1,2025-01-01,2025-01-02 08:00", "resolved", "no offset"),
    ],
)
def test_a_bad_cell_is_named_by_file_line_and_column(write, row, column, what):
    path = write(HEADER + "ok,x,0.5,1,2025-01-01,\n" + row + "\n")
    message = refusal(path, FULL)
    assert f"{path}:3: {column}: " in message
    assert what in message


def test_all_mistakes_come_at_once_twenty_are_shown_and_the_rest_counted(write):
    rows = [f"q{i},1.5,maybe" for i in range(15)]
    message = refusal(write("q,p,y\n" + "\n".join(rows)), SMALL)
    assert "30 mistakes" in message
    assert message.count("\n  ") == 21
    assert "and 10 more" in message


def test_the_line_is_right_after_blank_lines_and_line_breaks_in_cells(write):
    path = write('q,p,y\n"a\nb",0.5,1\n\n,,\nc,7,1\n')
    assert f"{path}:6: p: " in refusal(path, SMALL)


def test_a_forecast_given_twice_is_a_mistake_because_nobody_knows_which_is_meant(write):
    path = write(HEADER + "a,x,0.5,1,2025-01-01,\na,y,0.5,1,2025-01-01,\na,x,0.6,1,2025-01-01T01:00+01:00,\n")
    message = refusal(path, FULL)
    assert f"{path}:4" in message
    assert "as line 2" in message


def test_repeated_rows_without_a_time_are_a_time_series_not_a_mistake(write):
    table = read_forecasts_csv(write("q,p,y\na,0.5,1\na,0.5,1\n"), SMALL)
    assert len(table) == 2


def test_duplicates_and_bad_cells_are_told_together(write):
    path = write(HEADER + "a,x,0.5,1,2025-01-01,\na,x,0.5,1,2025-01-01,\nb,x,2,1,2025-01-01,\n")
    message = refusal(path, FULL)
    assert message.index(":3: same") < message.index(":4: p")


def test_an_unknown_column_gets_a_suggestion_and_all_column_mistakes_come_at_once(write):
    path = write("question,probability,outcome\na,0.5,1\n")
    message = refusal(path, {"probability": "probabilty", "outcom": "outcome", "question": "question"})
    assert "did you mean 'probability'?" in message
    assert "did you mean 'outcome'?" in message
    assert "outcome is missing" in message


def test_semicolons_are_recognised_as_the_mistake_they_are(write):
    assert "semicolons" in refusal(write("q;p;y\na;0.5;1\n"), SMALL)


def test_a_header_name_that_stands_twice_cannot_be_chosen(write):
    assert "stands twice" in refusal(write("q,p,p,y\na,0.5,0.6,1\n"), SMALL)


def test_a_question_may_be_named_by_several_columns_together(write):
    path = write("src,id,p,y\nm,1,0.5,1\nn,1,0.5,0\nm,1,0.7,1\n")
    table = read_forecasts_csv(path, SMALL | {"question": "src+id"})
    assert calibrate(table).n_questions == 2
    missing = write("src,id,p,y\nm,,0.5,1\n")
    assert ":2: src+id: the cell is empty" in refusal(missing, SMALL | {"question": "src+id"})


def test_a_column_whose_name_has_a_plus_is_taken_as_it_is(write):
    table = read_forecasts_csv(write("src+id,p,y\nm1,0.5,1\n"), SMALL | {"question": "src+id"})
    assert table.question.tolist() == ["m1"]


def test_a_forecast_after_the_resolution_is_counted_not_scored(write):
    path = write(HEADER + "a,x,0.9,1,2025-03-01,2025-02-01\nb,x,0.5,1,2025-01-01,2025-02-01\n")
    report = calibrate(read_forecasts_csv(path, FULL))
    assert (report.n_forecasts, report.n_after_resolution) == (1, 1)


def test_a_scheduled_close_in_the_future_keeps_a_question_out(write):
    path = write("q,p,y,close\na,0.5,1,2027-01-01\nb,0.5,0,2025-01-01\nc,0.5,0,\n")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    report = calibrate(read_forecasts_csv(path, SMALL | {"closes_at": "close"}, now=now))
    assert (report.n_forecasts, report.n_resolved_early, report.n_close_unknown) == (2, 1, 1)


def test_a_ragged_line_is_a_mistake(write):
    message = refusal(write("q,p,y\na,0.5\nb,0.5,1,extra\n"), SMALL)
    assert ":2: 2 cells, the header has 3" in message
    assert ":3: 4 cells, the header has 3" in message


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read(write):
    assert len(read_forecasts_csv(write(b"\xef\xbb\xbfq,p,y\r\na,0.5,1\r\n"), SMALL)) == 1


def test_a_header_without_rows_is_an_empty_table(write):
    assert len(read_forecasts_csv(write(HEADER), FULL)) == 0


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b"q,p,y\na,0.5,\xff\xfe\n", "not UTF-8"),
        (b'q,p,y\na,0.5,"1\n', "not readable as CSV"),
        (b"q,p,y\na,0.5," + b"9" * 200_000 + b"\n", "not readable as CSV"),
        (b"q,p,y\na,0.5,1\x00\n", "no outcome|not readable as CSV"),
    ],
)
def test_a_file_that_is_no_csv_is_refused_in_plain_words(write, content, what):
    path = write(content)
    with pytest.raises(UsageError, match=what) as caught:
        read_forecasts_csv(path, SMALL)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_refused_in_plain_words(tmp_path):
    assert "cannot be read" in refusal(tmp_path / "none.csv", SMALL)
    assert "cannot be read" in refusal(tmp_path, SMALL)


@pytest.mark.parametrize(
    ("role", "cell", "p"), [("percent", "55%", 0.55), ("percent", "0.5", 0.005), ("odds", "3:1", 0.75)]
)
def test_percent_and_odds_are_read_where_they_are_asked_for_and_nowhere_else(write, role, cell, p):
    path = write(f"q,p,y\na,{cell},1\n")
    table = read_forecasts_csv(path, {role: "p", "outcome": "y", "question": "q"})
    assert table.probability.tolist() == [pytest.approx(p)]
    if cell != "0.5":
        assert f"{path}:2: p: '{cell}'" in refusal(path, SMALL)


@pytest.mark.parametrize(
    ("role", "cell", "said"),
    [
        ("percent", "120%", "0..100"),
        ("percent", "", "empty"),
        ("odds", "0.3", "3:1"),
        ("odds", "0:0", "zero"),
    ],
)
def test_wrong_percent_and_odds_are_told_with_their_place(write, role, cell, said):
    path = write(f"q,p,y\na,{cell},1\n")
    message = refusal(path, {role: "p", "outcome": "y", "question": "q"})
    assert f"{path}:2: p: " in message
    assert said in message


def test_two_columns_for_the_probability_are_one_too_many(write):
    assert "one column for the probability" in refusal(write("q,p,o,y\na,0.5,1:1,1\n"), SMALL | {"odds": "o"})
