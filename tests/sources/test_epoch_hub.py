"""Epoch's zip: what is taken of which file, and what a hostile zip comes to."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from datetime import date
from io import BytesIO

import pytest

from questions.records import Measurement
from tests.sources.answers import EPOCH_FILES, answer, zip_of
from tracker.errors import ParseError
from tracker.source import Parsed
from tracker.sources.epoch_hub import FILES, MAX_MEMBER, EpochHub

VERIFIED = "swe_bench_verified.csv"


def read(members: dict[str, bytes]) -> Parsed:
    return EpochHub().parse(answer("epoch_hub", zip_of(members)))


def points(parsed: Parsed, series: str) -> dict[tuple[str, str], Measurement]:
    (version,) = (version for version in parsed.batch.versions if version.series == series)
    return {(point.key, point.metric): point for point in version.measurements}


def with_text(name: str, before: str, after: str) -> dict[str, bytes]:
    """All the files with one thing changed in one of them; the thing must be there."""
    text = EPOCH_FILES[name].decode()
    assert before in text
    return EPOCH_FILES | {name: text.replace(before, after, 1).encode()}


def test_each_file_is_a_series_of_its_own_on_the_publishers_scale() -> None:
    parsed = read(EPOCH_FILES)
    assert parsed.faults == ()
    assert [version.series for version in parsed.batch.versions] == [file.series for file in FILES.values()]
    found = points(parsed, "epoch_swe_bench_verified")["beta-2", "score"]
    assert (found.value, found.at, found.unit) == (0.25, date(2024, 11, 5), "fraction")
    assert (found.lower, found.upper, found.ci_level) == (0.24, 0.26, 0.6827)
    gdpval = points(parsed, "epoch_gdpval")
    assert {key: point.value for key, point in gdpval.items()} == {
        ("alpha-1", "win"): 0.3,
        ("alpha-1", "win_or_tie"): 0.45,
        ("beta-2", "win"): 0.1,
    }
    assert gdpval["alpha-1", "win"].label == "Alpha One"


def test_a_standard_error_in_percent_points_is_put_on_the_scores_scale() -> None:
    found = points(read(EPOCH_FILES), "epoch_apex_agents")
    high = found["alpha-1", "score"]
    assert (high.value, high.lower, high.upper) == (0.25, pytest.approx(0.21), pytest.approx(0.29))
    assert found["beta-2", "score"].lower is None


def test_of_several_settings_of_one_model_the_best_counts_and_a_note_says_so() -> None:
    parsed = read(EPOCH_FILES)
    assert points(parsed, "epoch_swe_bench_verified")["alpha-1_high", "score"].value == 0.55
    assert (
        "epoch_swe_bench_verified: of several rows of one system the best was taken (1 times)" in parsed.notes
    )


def test_two_scaffolds_of_one_model_are_two_systems() -> None:
    assert {key for key, _ in points(read(EPOCH_FILES), "epoch_gso")} == {
        "alpha-1@ToolA",
        "alpha-1@ToolB",
        "delta-0@ToolA",
    }


def test_rows_without_a_date_are_left_out_with_a_note() -> None:
    parsed = read(EPOCH_FILES)
    assert ("gamma-undated", "score") not in points(parsed, "epoch_swe_bench_verified")
    assert f"{VERIFIED}: 1 rows without a score or a release date are left out" in parsed.notes


def test_folders_in_the_zip_do_not_matter() -> None:
    inside = {f"benchmark_data/{name}": body for name, body in EPOCH_FILES.items()}
    whole, nested = read(EPOCH_FILES), read(inside)
    assert [v.measurements for v in nested.batch.versions] == [v.measurements for v in whole.batch.versions]


@pytest.mark.parametrize(
    ("name", "before", "after", "field", "says"),
    [
        (VERIFIED, "0.25,0.25", "25,0.25", f"{VERIFIED}.line 6.mean_score", "0..1"),
        (VERIFIED, "0.25,0.25", "-0.1,0.25", f"{VERIFIED}.line 6.mean_score", "0..1"),
        (VERIFIED, "0.25,0.25", "many,0.25", f"{VERIFIED}.line 6.mean_score", "no number"),
        (VERIFIED, "0.25,0.25", "nan,0.25", f"{VERIFIED}.line 6.mean_score", "no number"),
        (VERIFIED, "2024-11-05", "2054-11-05", f"{VERIFIED}.line 6.Release date", "cannot be a release date"),
        (VERIFIED, "2024-11-05", "5 Nov 2024", f"{VERIFIED}.line 6.Release date", "no date"),
        ("gso_external.csv", "0.0,2024-01-01", "0.0,2024-01-01,surplus", "gso_external.csv.line 4", "cells"),
        ("apex_agents_external.csv", "4.0", "400", "line 2.Pass@1 Standard Error", "0..1"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_by_file_line_and_column_and_the_rest_is_taken(
    name: str, before: str, after: str, field: str, says: str
) -> None:
    whole = sum(len(version.measurements) for version in read(EPOCH_FILES).batch.versions)
    parsed = read(with_text(name, before, after))
    (fault,) = parsed.faults
    assert field in fault.field
    assert says in fault.message
    assert sum(len(version.measurements) for version in parsed.batch.versions) == whole - 1


def test_a_file_with_other_columns_costs_that_file_only_and_names_the_column() -> None:
    parsed = read(with_text(VERIFIED, "mean_score", "score_mean"))
    (fault,) = parsed.faults
    assert (fault.ref, fault.field) == (VERIFIED, f"{VERIFIED}.mean_score")
    assert "no such column; there are: Model version, score_mean" in fault.message
    assert len(parsed.batch.versions) == len(FILES) - 1


def test_a_file_that_is_gone_is_a_fault_and_html_in_its_place_too() -> None:
    rest = {name: body for name, body in EPOCH_FILES.items() if name != VERIFIED}
    (fault,) = read(rest).faults
    assert (fault.ref, fault.message) == (VERIFIED, "is not in the zip any more")
    (fault,) = read(EPOCH_FILES | {VERIFIED: b"<!doctype html><html>"}).faults
    assert "HTML" in fault.message


def test_without_any_file_of_ours_the_zip_is_refused() -> None:
    with pytest.raises(ParseError, match="is not in the zip any more"):
        read({"README.md": b"nothing else"})


# --- hostile zips -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../swe_bench_verified.csv", "a/../../x.csv", "/etc/x.csv", "a\\..\\x.csv", "C:/x.csv", "x\u202e.csv"],
)
def test_a_path_that_climbs_is_refused(name: str) -> None:
    with pytest.raises(ParseError, match="no file of a table is called so"):
        read(EPOCH_FILES | {name: b"x"})


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    bomb = zip_of(EPOCH_FILES | {VERIFIED: b"0" * (64 * 1024 * 1024)})
    assert len(bomb) < 200_000
    tracemalloc.start()
    try:
        with pytest.raises(ParseError, match=f"{VERIFIED}: is larger than {MAX_MEMBER} bytes"):
            EpochHub().parse(answer("epoch_hub", bomb))
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_MEMBER
    finally:
        tracemalloc.stop()


def test_a_header_that_lies_about_the_size_does_not_help_a_bomb() -> None:
    body = zip_of(EPOCH_FILES | {VERIFIED: b"0" * (MAX_MEMBER + 100)})
    true_size = struct.pack("<I", MAX_MEMBER + 100)
    assert body.count(true_size) == 2
    lied = body.replace(true_size, struct.pack("<I", 100))
    with pytest.raises(ParseError):
        EpochHub().parse(answer("epoch_hub", lied))


def test_two_members_of_one_name_are_refused() -> None:
    with pytest.raises(ParseError, match=f"{VERIFIED}: is in the zip twice"):
        read(EPOCH_FILES | {f"other/{VERIFIED}": b"x"})


def test_too_many_members_are_refused() -> None:
    with pytest.raises(ParseError, match="members are too many"):
        read({f"{n}.csv": b"" for n in range(2_001)})


def test_another_compression_and_encryption_are_refused() -> None:
    with pytest.raises(ParseError, match="compressed in a way we do not take"):
        EpochHub().parse(answer("epoch_hub", zip_of(EPOCH_FILES, zipfile.ZIP_LZMA)))
    body = zip_of(EPOCH_FILES, zipfile.ZIP_STORED)
    with zipfile.ZipFile(BytesIO(body)) as archive:
        at = archive.start_dir
    locked = body[:at] + body[at:].replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"
    )
    assert locked != body
    with pytest.raises(ParseError, match="is encrypted"):
        EpochHub().parse(answer("epoch_hub", locked))


def test_a_wrong_checksum_and_a_cut_zip_are_refused() -> None:
    body = zip_of(EPOCH_FILES, zipfile.ZIP_STORED)
    with pytest.raises(ParseError, match="not readable as a zip"):
        EpochHub().parse(answer("epoch_hub", body.replace(b"beta-2,0.25", b"beta-2,0.35", 1)))
    for length in range(0, len(body) - 1, 997):
        with pytest.raises(ParseError):
            EpochHub().parse(answer("epoch_hub", body[:length]))
