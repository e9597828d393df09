"""How numbers and other people's words are written."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from tracker.report.wording import (
    clean,
    counted,
    day,
    decimal,
    duration,
    https_url,
    interval,
    minute,
    percent_change,
)


@given(st.text(st.characters(codec=None)))
def test_cleaned_text_is_one_encodable_line_without_invisible_commands(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) <= 300
    assert len(cleaned.splitlines()) <= 1
    cleaned.encode("utf-8")
    assert not {unicodedata.category(c) for c in cleaned} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert clean(cleaned) == cleaned


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=200))
def test_cleaning_leaves_ordinary_words_alone(text: str) -> None:
    assert clean(text) == text


def test_a_long_text_is_cut_with_a_sign_of_it() -> None:
    assert clean("x" * 400, limit=10) == "x" * 9 + "…"


@pytest.mark.parametrize("url", ["https://metr.org/", "https://a.example:8443/p?q=1&r=%20#s"])
def test_plain_https_is_a_link(url: str) -> None:
    assert https_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://a.example/",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " https://a.example/",
        "https://a.example/\n",
        "https://",
        "https:///path",
        "https://user@a.example/",
        "https://user:pw@a.example/",
        "https://a.example:port/",
        "https://[::1/",
        "https:\\\\a.example",
        "//a.example/",
        'https://a.example/"><script>',
        "data:text/html,x",
        "https://a.example/\u202ex",
    ],
)
def test_anything_else_is_not(url: str) -> None:
    assert https_url(url) is None


def test_numbers_have_fixed_places_and_a_true_minus_sign() -> None:
    assert decimal(0.125, 2) == "0.12"
    assert decimal(-1.5, 1) == "−1.5"
    assert decimal(-0.0001, 2) == "0.00"
    assert interval((-0.4, 0.8)) == "−0.40 to 0.80"
    assert counted(1, "question") == "1 question"
    assert counted(1204, "question") == "1,204 questions"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_a_number_is_never_printed_as_one(number: float) -> None:
    with pytest.raises(ValueError, match="cannot print"):
        decimal(number)


def test_changes_carry_their_sign() -> None:
    assert percent_change(1.163) == "+16.3 %"
    assert percent_change(0.83) == "−17.0 %"
    assert percent_change(1.0) == "0.0 %"


def test_working_time_is_in_the_unit_a_person_would_use() -> None:
    minutes = {
        0.054: "3.2 s",
        0.5: "30 s",
        1.0: "1 min",
        59.0: "59 min",
        90.0: "1.5 h",
        960.0: "16 h",
        120000.0: "2,000 h",
    }
    assert {m: duration(m) for m in minutes} == minutes


def test_times_are_shown_in_utc() -> None:
    late = datetime(2026, 11, 21, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert day(late) == "2026-11-20"
    assert minute(late) == "2026-11-20 22:30 UTC"
    assert day(date(2026, 1, 2)) == "2026-01-02"
    assert day(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02"
