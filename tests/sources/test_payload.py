"""Reading hostile bytes: what is refused, how it is said, and what is forgiven."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated

import pytest
from hypothesis import given, strategies as st
from pydantic import Field

from tests.sources.answers import answer
from tracker.errors import ParseError
from tracker.payload import (
    Payload,
    Probability,
    UtcMillis,
    UtcText,
    criteria_digest,
    from_seconds,
    https_url,
    join,
    plain,
    read_json,
    read_object,
    read_part,
)


class Inner(Payload):
    p: Probability


class Outer(Payload):
    items: list[Inner]
    opens: UtcText = None
    closes: UtcMillis = None
    count: Annotated[int | None, Field(alias="howMany", ge=0)] = None


def test_a_good_body_becomes_its_model() -> None:
    read = read_json(
        Outer, answer("manifold", b'\xef\xbb\xbf {"items": [{"p": 0.5}], "howMany": 3, "new": 1}')
    )
    assert (read.items[0].p, read.count) == (0.5, 3)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"<!DOCTYPE html><title>x</title>", "HTML"),
        (b"\n <html>", "HTML"),
        (b"<?xml version='1.0'?>", "HTML"),
        (b'{"items": [', "Invalid JSON"),
        (b'{"items": [{"p": NaN}]}', r"items\[0\].p"),
        (b'{"items": [{"p": 1e999}]}', r"items\[0\].p"),
        (b'{"items": [{"p": 1.5}]}', r"items\[0\].p"),
        (b'{"items": [{"p": "0.5"}]}', r"items\[0\].p"),
        (b'{"items": [{"p": true}]}', r"items\[0\].p"),
        (b'{"items": 5}', "items"),
        (b"[]", "object"),
        (b"null", "object"),
        (b"[" * 100_000, "recursion"),
        (b'{"a":' * 100_000, "recursion"),
        (b'{"items": [], "howMany": ' + b"9" * 5000 + b"}", "JSON"),
        (b'{"items": [], "x": "\\ud800"}', "JSON"),
        (b"\xff\xfe\x00", "JSON"),
    ],
)
def test_a_bad_body_is_refused_by_the_place(body: bytes, says: str) -> None:
    with pytest.raises(ParseError, match=says) as refused:
        read_json(Outer, answer("manifold", body, ref="abc"))
    assert (refused.value.source, refused.value.ref) == ("manifold", "abc")


def test_a_message_never_repeats_what_came() -> None:
    for body in (b'{"items": "HOSTILE"}', b'{"items": [], "opens": "HOSTILE"}', b"HOSTILE"):
        with pytest.raises(ParseError) as refused:
            read_json(Outer, answer("manifold", body))
        assert "HOSTILE" not in str(refused.value)


def test_an_object_is_read_without_knowing_its_keys() -> None:
    assert read_object(answer("manifold", {"a": [1, {"b": None}]})) == {"a": [1, {"b": None}]}
    with pytest.raises(ParseError, match="object"):
        read_object(answer("manifold", [1]))


def test_a_wrong_key_one_can_do_without_is_left_out_and_named() -> None:
    part, faults = read_part(Outer, {"items": [], "howMany": -1, "opens": "now"}, "r", "x[2]")
    assert part is not None
    assert (part.count, part.opens) == (None, None)
    assert {fault.field for fault in faults} == {"x[2].howMany", "x[2].opens"}


def test_a_wrong_key_one_needs_spoils_the_part() -> None:
    part, faults = read_part(Outer, {"items": [{"p": 2}], "howMany": -1}, "r", "")
    assert part is None
    assert [fault.field for fault in faults] == ["items[0].p", "howMany"]
    assert read_part(Outer, ["no", "object"], "r", "")[0] is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T12:00:00Z", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20T13:00:00.5+01:00", datetime(2026, 11, 20, 12, 0, 0, 500000, tzinfo=UTC)),
        ("2026-11-20 12:00:00+00:00", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        (None, None),
    ],
)
def test_times_in_text_need_an_offset(text: str | None, moment: datetime | None) -> None:
    part, faults = read_part(Outer, {"items": [], "opens": text}, "r", "")
    assert part is not None
    assert (part.opens, faults) == (moment, ())


@pytest.mark.parametrize("text", ["2026-11-20T12:00:00", "0001-01-01T00:00:00+23:00", "", "now", 1795175999])
def test_a_time_in_text_without_one_is_a_fault(text: object) -> None:
    part, faults = read_part(Outer, {"items": [], "opens": text}, "r", "")
    assert part is not None
    assert part.opens is None
    assert [fault.field for fault in faults] == ["opens"]


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (1795176000000, datetime(2026, 11, 20, 12, tzinfo=UTC)),
        (1795176000000.5, datetime(2026, 11, 20, 12, 0, 0, 500, tzinfo=UTC)),
        (8.64e15, None),
        (10**400, None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_milliseconds_beyond_the_calendar_are_no_time(number: float | None, moment: datetime | None) -> None:
    part, faults = read_part(Outer, {"items": [], "closes": number}, "r", "")
    assert part is not None
    assert (part.closes, faults) == (moment, ())


@pytest.mark.parametrize("number", ["1795176000000", True, [1]])
def test_milliseconds_of_another_kind_are_a_fault(number: object) -> None:
    _, faults = read_part(Outer, {"items": [], "closes": number}, "r", "")
    assert [fault.field for fault in faults] == ["closes"]


def test_seconds_outside_the_calendar_are_refused() -> None:
    assert from_seconds(0.25) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=250_000)
    for seconds in (1e15, -1e15, 1e300, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="calendar"):
            from_seconds(seconds)


def test_paths_are_readable_and_harmless() -> None:
    assert join("results", 3, "question", "type") == "results[3].question.type"
    assert join("", "a\x1b[31m") == "a [31m"


def test_text_is_one_line_without_tricks() -> None:
    assert plain("  a\r\nb\x00c\u202e\u2028d ") == "a  b c  d"
    assert len(plain("x" * 10_000)) == 500


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://example.org/a?b=1#c", True),
        ("http://example.org", False),
        ("javascript:alert(1)", False),
        ("https://a\nb", False),
        ("https://" + "x" * 600, False),
        (None, False),
    ],
)
def test_addresses_are_https_or_nothing(address: str | None, kept: bool) -> None:
    assert https_url(address) == (address if kept else "")


def test_criteria_are_digested_by_their_words() -> None:
    rules = "Resolves YES if X.\n\n  Otherwise\u00a0NO.\r\n"
    words = b"Resolves YES if X. Otherwise NO."
    assert criteria_digest(rules) == hashlib.sha256(words).hexdigest()
    assert criteria_digest("a", None, " ", "b") == hashlib.sha256(b"a\nb").hexdigest()
    assert criteria_digest("caf\u00e9") == criteria_digest("cafe\u0301")


@pytest.mark.parametrize("texts", [(), (None,), ("",), (" \n", None, "\u2028\ufeff")])
def test_criteria_that_did_not_come_have_no_digest(texts: tuple[str | None, ...]) -> None:
    assert criteria_digest(*texts) == ""


@given(
    words=st.lists(
        st.text("abcXYZ.,019\u00e9\u4e2d", min_size=1, max_size=5), min_size=2, max_size=8, unique=True
    ),
    gaps=st.lists(st.text(" \t\r\n\u00a0\u2003\u2028", min_size=1, max_size=3), min_size=8, max_size=8),
)
def test_reformatted_criteria_are_the_same_and_reordered_ones_are_not(
    words: list[str], gaps: list[str]
) -> None:
    plainly = " ".join(words)
    reflowed = "".join(gap + word for gap, word in zip(gaps, words, strict=False)) + gaps[-1]
    assert criteria_digest(reflowed) == criteria_digest(plainly)
    assert criteria_digest(" ".join(words[::-1])) != criteria_digest(plainly)
    assert criteria_digest(" ".join(words[:-1])) != criteria_digest(plainly)
