"""METR's result files: what is taken, what is left out, what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import yaml

from questions.records import Measurement
from tests.sources.answers import PAYLOADS, answer
from tracker.errors import ParseError
from tracker.source import Parsed
from tracker.sources.metr import Metr, read_metr

FILE = (PAYLOADS / "metr" / "horizon_1_1.yaml").read_text(encoding="utf-8")
ROW = "zebra_2026_inspect:\n    benchmark_name: "
DAY = "    release_date: 2026-03-05\n"
OLD_FILE = (PAYLOADS / "metr" / "horizon_1_0.yaml").read_bytes()


def read(text: str | bytes, series: str | None = "metr_th11") -> Parsed:
    body = text.encode() if isinstance(text, str) else text
    return read_metr(answer("metr", body), series)


def changed(before: str, after: str) -> str:
    """The file with one thing changed; the thing must be there."""
    assert FILE.count(before) >= 1, before
    return FILE.replace(before, after, 1)


def points(parsed: Parsed) -> dict[tuple[str, str], Measurement]:
    return {(point.key, point.metric): point for point in parsed.batch.versions[0].measurements}


def test_every_system_gives_its_two_horizons_in_minutes() -> None:
    version = read(FILE).batch.versions[0]
    assert [(p.key, p.metric, p.at, p.value, p.lower, p.upper) for p in version.measurements] == [
        ("aardvark_1", "p50", date(2019, 2, 14), 0.05, 0.01, 0.2),
        ("aardvark_1", "p80", date(2019, 2, 14), 0.004, 0.0, 0.05),
        ("middle-model_inspect", "p50", date(2025, 1, 15), 45.0, 20.0, 90.0),
        ("middle-model_inspect", "p80", date(2025, 1, 15), 9.0, None, None),
        ("zebra_2026_inspect", "p50", date(2026, 3, 5), 1000.25, 430.0, 4000.5),
        ("zebra_2026_inspect", "p80", date(2026, 3, 5), 120.0, 40.0, 300.0),
    ]
    assert {point.unit for point in version.measurements} == {"minutes"}
    assert {point.series for point in version.measurements} == {"metr_th11"}
    assert [point.ci_level for point in version.measurements] == [0.95, 0.95, 0.95, None, 0.95, 0.95]


def test_the_record_flag_and_the_ceiling_are_kept() -> None:
    found = points(read(FILE))
    assert {key: point.is_sota for (key, metric), point in found.items() if metric == "p50"} == {
        "aardvark_1": True,
        "middle-model_inspect": False,
        "zebra_2026_inspect": True,
    }
    assert [key for key, point in found.items() if point.beyond_ceiling] == [("zebra_2026_inspect", "p50")]


def test_sixteen_hours_exactly_is_not_beyond_the_ceiling() -> None:
    found = points(read(changed("estimate: 1000.25", "estimate: 960.0")))
    assert not found["zebra_2026_inspect", "p50"].beyond_ceiling


def test_the_published_doubling_times_are_kept_by_name() -> None:
    assert read(FILE).batch.versions[0].published == {
        "doubling_time_days.all_time_stitched.point_estimate": 190.0,
        "doubling_time_days.from_2023_on.ci_high": 160.0,
        "doubling_time_days.from_2023_on.ci_low": 100.0,
        "doubling_time_days.from_2023_on.point_estimate": 130.0,
    }


def test_an_older_files_all_time_interval_is_kept() -> None:
    text = changed("  all_time_stitched:\n", "  all_time:\n    ci_low: 170.0\n    ci_high: 250.0\n")
    published = read(text).batch.versions[0].published
    assert published["doubling_time_days.all_time.point_estimate"] == 190.0
    assert published["doubling_time_days.all_time.ci_low"] == 170.0
    assert published["doubling_time_days.all_time.ci_high"] == 250.0


def test_the_older_suite_has_no_doubling_times() -> None:
    parsed = Metr().parse(answer("metr", OLD_FILE, ref="metr_th10"))
    version = parsed.batch.versions[0]
    assert version.series == "metr_th10"
    assert [(p.key, p.metric, p.value) for p in version.measurements] == [
        ("old-model-4", "p50", 15.25),
        ("old-model-4", "p80", 3.5),
    ]
    assert version.published == {}
    assert parsed.faults == ()
    assert parsed.notes == ()


def test_a_local_file_tells_its_series_itself() -> None:
    assert read(FILE, None).batch.versions[0].series == "metr_th11"
    assert read(OLD_FILE, None).batch.versions[0].series == "metr_th10"


def test_a_missing_interval_is_a_note_not_a_fault() -> None:
    parsed = read(FILE)
    assert parsed.faults == ()
    assert parsed.notes == ("results.middle-model_inspect.metrics.p80_horizon_length: no interval",)


def test_unknown_fields_are_notes() -> None:
    text = changed("    release_date: 2026-03-05\n", "    release_date: 2026-03-05\n    colour: blue\n")
    text = "brand_new: 1\n" + text
    notes = read(text).notes
    assert "brand_new: a field we do not know" in notes
    assert "results.*.colour: a field we do not know" in notes


@pytest.mark.parametrize(
    ("before", "after", "field", "says"),
    [
        ("estimate: 1000.25", "estimate: 0", "estimate", "greater than 0"),
        ("estimate: 1000.25", "estimate: -3", "estimate", "greater than 0"),
        ("        estimate: 1000.25\n", "", "estimate", "required"),
        ("estimate: 1000.25", "estimate: many", "estimate", "valid number"),
        ("estimate: 1000.25", "estimate: .nan", "estimate", "number"),
        ("estimate: 1000.25", "estimate: .inf", "estimate", "number"),
        ("estimate: 1000.25", "estimate: 1e999", "estimate", "finite"),
        ("estimate: 1000.25", "estimate: true", "estimate", "number"),
        ("estimate: 1000.25", "estimate: [1, 2]", "estimate", "number"),
        ("ci_low: 430.0", "ci_low: 5000", "p50_horizon_length", "upside down"),
        ("ci_low: 430.0", "ci_low: wide", "ci_low", "number"),
    ],
)
def test_a_bad_point_is_named_and_the_rest_is_taken(before: str, after: str, field: str, says: str) -> None:
    parsed = read(changed(before, after))
    assert ("zebra_2026_inspect", "p50") not in points(parsed)
    assert len(points(parsed)) == 5
    (fault,) = parsed.faults
    assert fault.ref == "zebra_2026_inspect"
    assert fault.field.startswith("results.zebra_2026_inspect.metrics.p50_horizon_length")
    assert field in fault.field
    assert says in fault.message


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("release_date: 2026-03-05", "release_date: 2028-03-05", "release_date"),
        ("release_date: 2026-03-05", "release_date: 0202-03-05", "release_date"),
        ("release_date: 2026-03-05", "release_date: 2026-02-30", "release_date"),
        ("release_date: 2026-03-05", "release_date: soon", "release_date"),
        (DAY, "", "release_date"),
        (f"{ROW}METR-Horizon-v1.1", f"{ROW}Other", "benchmark_name"),
        (DAY, DAY + "    release_date: 2026-03-06\n", "release_date"),
        ("      is_sota: true\n      p50", "      is_sota: true\n      is_sota: false\n      p50", "is_sota"),
    ],
)  # fmt: skip
def test_a_bad_row_is_left_out_whole(before: str, after: str, field: str) -> None:
    parsed = read(changed(before, after))
    assert {key for key, _ in points(parsed)} == {"aardvark_1", "middle-model_inspect"}
    assert [fault.ref for fault in parsed.faults] == ["zebra_2026_inspect"]
    assert field in parsed.faults[0].field


def test_of_a_key_given_twice_neither_is_taken() -> None:
    parsed = read(changed("  aardvark_1:\n", "  zebra_2026_inspect:\n"))
    assert {key for key, _ in points(parsed)} == {"middle-model_inspect"}
    assert [(fault.ref, fault.message) for fault in parsed.faults] == [
        ("zebra_2026_inspect", "is given twice; neither is taken")
    ]


def test_a_release_a_few_days_ahead_is_possible() -> None:
    early = answer("metr", FILE.encode(), at=datetime(2026, 3, 1, tzinfo=UTC))
    assert len(points(read_metr(early, "metr_th11"))) == 6


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "mapping"),
        ("just text", "mapping"),
        ("- a\n- b\n", "mapping"),
        ("<!DOCTYPE html><html><body>moved</body></html>", "HTML"),
        ("  <html>", "HTML"),
        ("a: [1, 2", "YAML"),
        ("a: &x 1\nb: *x\n", "aliases"),
        ("a: *x\n", "aliases"),
        ("a: !!python/object:os.system x\n", "tags"),
        ("a: !!int ''\n", "tags"),
        ("a: " + "[" * 50 + "]" * 50, "deep"),
        ("a: 1\n---\nb: 2\n", "YAML"),
        ("benchmark_name: METR-Horizon-v1.1\n", "mapping of systems"),
        ("benchmark_name: METR-Horizon-v1.1\nresults: {}\n", "mapping of systems"),
        ("benchmark_name: METR-Horizon-v1.1\nresults:\n  a: 1\n", "no point can be read"),
        (b"\xff\xfe\xff", "YAML"),
        (b"a: \x00\n", "YAML"),
        ("a: " + "x" * 600_000, "too many"),
    ],
)
def test_what_is_no_result_file_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(ParseError, match=says) as refused:
        read(text)
    assert refused.value.source == "metr"


def test_a_billion_laughs_cost_nothing() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(ParseError, match="aliases are refused"):
        read(bomb)


def test_another_benchmark_is_not_taken_for_this_one() -> None:
    with pytest.raises(
        ParseError, match=r"benchmark_name: should be METR-Horizon-v1\.1, not 'METR-Horizon-v2'"
    ):
        read(changed("benchmark_name: METR-Horizon-v1.1", "benchmark_name: METR-Horizon-v2"))
    with pytest.raises(ParseError, match="benchmark_name"):
        read(FILE, "metr_th10")
    with pytest.raises(ParseError, match="benchmark_name"):
        read(OLD_FILE, "metr_th11")


def test_a_top_level_key_given_twice_is_refused() -> None:
    with pytest.raises(ParseError, match="benchmark_name: is given twice"):
        read("benchmark_name: METR-Horizon-v1.1\n" + FILE)


def test_the_fixture_reads_the_same_with_a_plain_yaml_reader() -> None:
    """Our reader takes scalars as text; a standard reader must find the same numbers in the same places."""
    plainly = yaml.safe_load(FILE)["results"]
    for (key, metric), point in points(read(FILE)).items():
        if key != "aardvark_1":  # YAML 1.1 readers take 5e-02 for text
            assert plainly[key]["metrics"][f"{metric}_horizon_length"]["estimate"] == point.value
            assert plainly[key]["release_date"] == point.at
