"""A POST goes out once, to one place; and when it fails we know whether it may have arrived."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from storage.records import RawPayload
from tests.http.conftest import NOW, QUICK, TRAITS, FakeTime
from tests.servers.local import (
    Answer,
    LocalServer,
    cut,
    gzip_bomb,
    hang_up,
    html_page,
    invalid_status_line,
    json_reply,
    redirect,
    reply,
    reset,
    stall,
    too_many,
)
from tracker.errors import FetchError
from tracker.http import HttpClient
from tracker.source import Request, SourceTraits

CANARY = "canary-4f1c9e"
DOCUMENT = {"question": "Übermorgen?", "answers": ["a", "b"], "closeTime": 1798761599000}


@dataclass
class Poster:
    client: HttpClient
    base_url: str
    traits: SourceTraits = TRAITS

    def __call__(self, document: object = DOCUMENT, *, secret: str | None = CANARY) -> RawPayload:
        request = Request("metaculus", "q17", "x", private=True)
        return self.client.send(
            request, self.traits, document, base_url=self.base_url, secret=secret, now=lambda: NOW
        )

    def error(self, **how: str) -> FetchError:
        with pytest.raises(FetchError) as caught:
            self(**how)  # type: ignore[arg-type]
        return caught.value


@pytest.fixture
def post(client: HttpClient, server: LocalServer) -> Poster:
    return Poster(client, server.url)


@contextmanager
def impatient(server: LocalServer) -> Iterator[Poster]:
    with HttpClient(user_agent="test", settings=QUICK) as client:
        yield Poster(client, server.url, replace(TRAITS, read_timeout_s=0.1))


def test_the_document_arrives_as_json_with_the_key(server: LocalServer, post: Poster) -> None:
    server.route("/x", json_reply({"id": "new"}, 200))

    answer = post()

    (seen,) = server.requests
    assert (seen.method, seen.path, seen.query) == ("POST", "/x", ())
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["authorization"] == f"Token {CANARY}"
    assert json.loads(seen.body) == DOCUMENT
    assert (answer.status, json.loads(answer.body)) == (200, {"id": "new"})
    assert CANARY not in repr(answer)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/elsewhere", "https://evil.example/"])
def test_no_redirect_is_followed(server: LocalServer, post: Poster, status: int, location: str) -> None:
    server.route("/x", redirect(location, status))
    server.route("/elsewhere", json_reply({}))

    error = post.error()

    assert error.kind == f"http_{status}"
    assert error.sent
    assert [seen.path for seen in server.requests] == ["/x"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 410, 422, 429, 500, 502, 503, 504])
def test_a_refusal_is_an_error_with_the_sources_words_and_is_not_tried_again(
    server: LocalServer, post: Poster, status: int
) -> None:
    server.route("/x", json_reply({"message": "Balance must be at least 200."}, status), json_reply({}))

    error = post.error()

    assert (error.kind, error.status, error.sent) == (f"http_{status}", status, True)
    assert "Balance must be at least 200." in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(stall(), "timeout", id="silence"),
        pytest.param(hang_up(), "disconnected", id="hang up"),
        pytest.param(reset(), "reset", id="reset"),
        pytest.param(cut(b'{"id": "new"}', 5), "cut_off", id="half an answer"),
        pytest.param(invalid_status_line(), "protocol", id="no HTTP"),
        pytest.param(gzip_bomb(32 * 2**20), "too_large", id="a bomb"),
    ],
)
def test_a_lost_answer_says_that_the_document_may_have_arrived(
    server: LocalServer, answer: Answer, kind: str
) -> None:
    server.route("/x", answer, json_reply({}))

    with impatient(server) as post:
        error = post.error()

    assert (error.kind, error.sent) == (kind, True)
    assert [json.loads(seen.body) for seen in server.requests] == [DOCUMENT]


def test_what_never_left_is_known_not_to_have_arrived(server: LocalServer, client: HttpClient) -> None:
    with LocalServer() as gone:
        closed = gone.url
    elsewhere = {
        closed: "refused",
        "https://no-such-host.invalid": "dns",
        "https://10.0.0.1": "blocked_address",
        "http://example.org": "base_url",
        server.url.replace("http:", "https:"): "tls",
    }

    for url, kind in elsewhere.items():
        error = Poster(client, url).error()
        assert (error.kind, error.sent) == (kind, False)
    assert Poster(client, server.url).error(secret=f"{CANARY}\r\nX: 1").sent is False
    assert server.requests == []


def test_a_host_that_wants_to_be_left_alone_gets_nothing(server: LocalServer, fake_time: FakeTime) -> None:
    server.route("/x", too_many(3600), json_reply({}))
    settings = replace(QUICK, total_deadline_s=60.0)
    with HttpClient(
        user_agent="test", settings=settings, sleep=fake_time.sleep, clock=fake_time.clock
    ) as client:
        post = Poster(client, server.url)
        first, second = post.error(), post.error()

    assert (first.kind, first.sent) == (second.kind, True) == ("http_429", True)
    assert second.sent is False
    assert first.not_before_s == 3600
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(400, f"no such key: {CANARY}".encode()), id="echoed in a body"),
        pytest.param(redirect(f"https://evil.example/?key={CANARY}"), id="echoed in a redirect"),
        pytest.param(html_page(503), id="a page"),
        pytest.param(hang_up(), id="no answer"),
        pytest.param(stall(), id="silence"),
    ],
)
def test_no_error_and_no_log_line_shows_the_key_or_the_document(
    server: LocalServer, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    server.route("/x", answer)
    with caplog.at_level(logging.DEBUG), impatient(server) as post:
        error = post.error()

    shown = "".join(traceback.format_exception(error)) + repr(vars(error)) + caplog.text
    assert server.requests[0].headers["authorization"] == f"Token {CANARY}"
    assert CANARY not in shown
    assert "bermorgen" not in shown
    assert (error.__cause__, error.__context__) == (None, None)


def test_numbers_that_json_does_not_know_are_a_mistake_of_ours(server: LocalServer, post: Poster) -> None:
    with pytest.raises(ValueError, match="JSON"):
        post({"initialProb": float("nan")})
    assert server.requests == []
