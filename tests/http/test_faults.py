"""What comes back when something is wrong: a FetchError that says what, in time, without using memory."""

from __future__ import annotations

import gzip
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from storage.records import RawPayload
from tests.http.conftest import QUICK, TRAITS, Asker
from tests.servers.local import (
    Answer,
    LocalServer,
    cut,
    cut_chunked,
    drip,
    drip_headers,
    encoded_reply,
    endless_headers,
    endless_informational,
    gzip_bomb,
    hang_up,
    head,
    html_page,
    invalid_status_line,
    json_reply,
    raw,
    reply,
    reset,
    stall,
    stall_in_body,
    truncated_gzip,
    wrong_length,
)
from tracker.errors import FetchError
from tracker.http import Fetched, HttpClient

BODY = b'{"probability": 0.26}' * 40
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(cut(BODY, 100), "cut_off", id="connection cut in the body"),
        pytest.param(cut_chunked(BODY), "cut_off", id="chunked body cut"),
        pytest.param(wrong_length(BODY, len(BODY) + 10), "cut_off", id="length too long"),
        pytest.param(
            reset(head(200, [("Content-Length", "99")]) + b"abc"), "cut_off", id="reset in the body"
        ),
        pytest.param(truncated_gzip(BODY), "truncated", id="gzip without its end"),
        pytest.param(reset(), "reset", id="reset instead of an answer"),
        pytest.param(hang_up(), "disconnected", id="no answer"),
        pytest.param(invalid_status_line(), "protocol", id="status line"),
        pytest.param(endless_headers(), "protocol", id="endless headers"),
        pytest.param(raw(CHUNKED + b"zz\r\nabc"), "protocol", id="chunk size"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nA B\x00: \x01\r\n\r\n"), "protocol", id="header bytes"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), "protocol", id="negative length"),
        pytest.param(raw(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\nabcd"), "protocol", id="upgrade"),
        pytest.param(raw(b"\x15\x03\x01\x00\x02\x02\x50"), "protocol", id="TLS alert"),
    ],
)
def test_passing_troubles_are_tried_again_and_named_when_they_stay(
    server: LocalServer, ask: Asker, answer: Answer, kind: str
) -> None:
    server.route("/x", answer)

    error = ask.error()

    assert (error.kind, error.retry, error.status) == (kind, True, None)
    assert (error.source, error.ref) == ("metaculus", "q17")
    assert str(error).startswith("metaculus q17: ")
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(encoded_reply(BODY, "br"), "encoding", id="a coding nobody asked for"),
        pytest.param(encoded_reply(BODY, "gzip, gzip"), "encoding", id="two codings"),
        pytest.param(encoded_reply(BODY, "gzip"), "encoding", id="gzip that is none"),
        pytest.param(
            encoded_reply(gzip.compress(BODY) + b"rest", "gzip"), "encoding", id="rubbish after gzip"
        ),
        pytest.param(encoded_reply(b"\xff" * 99, "deflate"), "encoding", id="deflate that is none"),
        pytest.param(gzip_bomb(50 * 2**20), "too_large", id="bomb"),
    ],
)
def test_lasting_troubles_are_not_tried_again(
    server: LocalServer, ask: Asker, answer: Answer, kind: str
) -> None:
    server.route("/x", answer)

    error = ask.error()

    assert (error.kind, error.retry) == (kind, False)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(drip(BODY, 0.05), id="body byte by byte"),
        pytest.param(drip_headers(0.05), id="header by header"),
        pytest.param(endless_informational(), id="a hundred continues"),
    ],
)
def test_a_slow_answer_ends_at_the_total_deadline(server: LocalServer, answer: Answer) -> None:
    server.route("/x", answer)
    started = time.monotonic()

    with HttpClient(user_agent="test", settings=replace(QUICK, total_deadline_s=0.4)) as client:
        error = Asker(client, server.url).error()

    assert (error.kind, error.retry) == ("timeout", True)
    assert 0.35 < time.monotonic() - started < 10


@pytest.mark.parametrize("answer", [stall(), stall_in_body(BODY, 50)], ids=["no byte", "half a body"])
def test_silence_ends_at_the_read_timeout(server: LocalServer, ask: Asker, answer: Answer) -> None:
    server.route("/x", answer, json_reply({}))

    assert ask.payload(traits=replace(TRAITS, read_timeout_s=0.2)).status == 200
    assert len(server.requests) == 2


def test_the_deadline_bounds_all_attempts_together(server: LocalServer) -> None:
    server.route("/x", stall())
    started = time.monotonic()

    with HttpClient(user_agent="test", settings=replace(QUICK, total_deadline_s=0.5, attempts=50)) as client:
        error = Asker(client, server.url, replace(TRAITS, read_timeout_s=0.2)).error()

    assert error.kind == "timeout"
    assert time.monotonic() - started < 8, "fifty attempts of 0.2 s each would take longer than this"


def test_half_a_gigabyte_of_zeros_costs_no_memory(server: LocalServer, ask: Asker) -> None:
    server.route("/x", gzip_bomb(512 * 2**20))
    tracemalloc.start()
    try:
        error = ask.error()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert error.kind == "too_large"
    assert peak < 32 * 2**20


def test_a_stream_of_empty_blocks_ends_too(server: LocalServer, ask: Asker) -> None:
    # A stored deflate block of length 0: five bytes on the wire, none decoded.
    gzip_start = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
    server.route("/x", encoded_reply(gzip_start + b"\x00\x00\x00\xff\xff" * 10_000, "gzip"))

    assert ask.error(traits=replace(TRAITS, max_body_bytes=20_000)).kind == "too_large"


def test_a_body_longer_than_its_length_does_not_spoil_the_next_answer(
    server: LocalServer, ask: Asker
) -> None:
    server.route("/long", wrong_length(BODY, 21))
    server.route("/next", json_reply({"next": True}))

    assert ask.payload("long").body == BODY[:21]
    assert ask.payload("next").body == b'{"next": true}'


def test_a_closed_port_is_refused_and_an_unknown_name_not_found(ask: Asker, client: HttpClient) -> None:
    with LocalServer() as gone:
        url = gone.url

    assert (error := ask.error(base_url=url)).kind == "refused"
    assert error.retry
    missing = ask.error(base_url="https://no-such-host.invalid")
    assert (missing.kind, missing.retry) == ("dns", True)


@pytest.mark.parametrize(
    ("status", "retry", "requests"),
    [
        *[
            (300, False, 1),
            (302, False, 1),
            (400, False, 1),
            (418, False, 1),
            (422, False, 1),
            (451, False, 1),
        ],
        *[(408, True, 1), (425, True, 1), (501, True, 1), (520, True, 1), (999, True, 1)],
        *[(500, True, 3), (502, True, 3), (503, True, 3), (504, True, 3)],
    ],
)
def test_every_other_status_is_an_error_that_says_whether_later_is_better(
    server: LocalServer, ask: Asker, status: int, retry: bool, requests: int
) -> None:
    server.route("/x", reply(status, b"{}"))

    error = ask.error()

    assert (error.kind, error.status, error.retry) == (f"http_{status}", status, retry)
    assert len(server.requests) == requests


def test_an_error_quotes_how_its_body_begins_without_control_characters(
    server: LocalServer, ask: Asker
) -> None:
    body = "bad\x1b[31m ids\r\nline two \u202e" + "a" * 900
    server.route("/x", reply(400, body.encode()))
    server.route("/html", html_page(400))

    message = str(ask.error())

    assert "127.0.0.1 answered 400 Bad Request: bad [31m ids line two aaa" in message
    assert message.isprintable()
    assert len(message) < 300
    assert "One moment" in str(ask.error("html"))


@pytest.mark.parametrize(
    "answer",
    [
        raw(head(400, [("Content-Length", "999")]) + b"{"),
        raw(head(400, [("Content-Encoding", "br"), ("Content-Length", "2")]) + b"{}"),
    ],
    ids=["cut", "coding"],
)
def test_an_unreadable_error_body_does_not_hide_the_status(
    server: LocalServer, ask: Asker, answer: Answer
) -> None:
    server.route("/x", answer)

    assert ask.error().kind == "http_400"


GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
PACKED = gzip.compress(BODY)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A good answer with some bytes changed, cut out or put in."""
    data = bytearray(GOOD % (len(PACKED), PACKED))
    for _ in range(draw(st.integers(1, 6))):
        position = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 8))
        data[position : position + length] = draw(st.binary(max_size=8))
    return bytes(data)


@pytest.fixture
def once() -> Iterator[HttpClient]:
    with HttpClient(user_agent="test", settings=replace(QUICK, attempts=1)) as client:
        yield client


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        spoiled(), st.binary(max_size=200), st.binary(max_size=100).map(lambda tail: CHUNKED + tail)
    )
)
@example(b"")
@example(b"HTTP/1.1 302 x\r\nLocation: \xff://\x00\r\n\r\n")
@example(b"HTTP/1.1 302 x\r\nLocation: https://[::\r\n\r\n")
@example(b"HTTP/1.1 302 x\r\nLocation: https://xn--\xe4.example:99999\r\n\r\n")
@example(b"HTTP/1.1 429 x\r\nRetry-After: 9999999999999999999999999\r\n\r\n")
@example(b"HTTP/1.1 429 x\r\nRetry-After: Mon, 99 Foo 99999 99:99:99 GMT\r\n\r\n")
def test_nothing_a_server_can_send_escapes_as_anything_but_an_error_of_ours(
    server: LocalServer, once: HttpClient, data: bytes
) -> None:
    server.route("/x", raw(data))
    outcome: Fetched | FetchError
    try:
        outcome = Asker(once, server.url)()
    except FetchError as error:
        outcome = error

    if isinstance(outcome, FetchError):
        assert str(outcome).isprintable()
        assert outcome.kind
    else:
        assert isinstance(outcome, RawPayload)
    once._holds.clear()  # an example may have asked to be left alone
