"""A key that has to be in the query is in the request to the platform, and appears nowhere else."""

from __future__ import annotations

import html
import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from storage import open_store
from storage.records import RawPayload
from tests.servers.local import (
    Answer,
    LocalServer,
    hang_up,
    json_reply,
    raw,
    redirect,
    reply,
    stall,
    too_many,
)
from tests.sources.answers import AT, GOOD, link
from tests.tracker.fakes import Clock
from tracker.collect import Collector, SourceReport
from tracker.config import Settings, load_settings, masked
from tracker.errors import FetchError
from tracker.http import HttpClient, HttpSettings
from tracker.source import Request
from tracker.sources.fatebook import Fatebook

CANARY = "canary-4f1c9e"
ODD = 'canary/9+e=&%"<1>'  # a key that looks different in an address, in JSON and on a page
PATH = "/v0/getQuestion"
SOURCE = Fatebook()
(REQUEST,) = SOURCE.plan([link("fatebook", "exQuestion1")], AT, None).requests
QUICK = HttpSettings(
    attempts=2,
    backoff_initial_s=0.0,
    backoff_max_s=0.0,
    backoff_jitter_s=0.0,
    pace_scale=0.0,
    total_deadline_s=1.0,
)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as local:
        local.route(PATH, reply(200, GOOD["fatebook"][2]))
        yield local


def fetch(
    server: LocalServer, secret: str | None = CANARY, request: Request = REQUEST, base: str = ""
) -> RawPayload:
    with HttpClient(user_agent="tests", settings=QUICK) as client:
        fetched = client.fetch(
            request, SOURCE.traits, base_url=base or server.url, secret=secret, now=lambda: AT
        )
        assert CANARY not in repr(client) + repr(vars(client))
    assert isinstance(fetched, RawPayload)
    return fetched


def spellings(secret: str) -> set[str]:
    return {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], html.escape(secret)}


@pytest.mark.parametrize("secret", [CANARY, ODD])
def test_the_key_is_in_the_query_that_is_sent_and_not_in_the_url_that_is_kept(
    server: LocalServer, secret: str
) -> None:
    payload = fetch(server, secret)
    (seen,) = server.requests
    assert seen.query == (("questionId", "exQuestion1"), ("apiKey", secret))
    assert "authorization" not in seen.headers
    assert payload.url == f"{server.url}{PATH}?questionId=exQuestion1"
    assert payload.body == GOOD["fatebook"][2]


def test_a_request_that_is_not_private_and_one_without_a_key_carry_none(server: LocalServer) -> None:
    fetch(server, None)
    fetch(server, CANARY, Request("fatebook", "q", "v0/getQuestion"))
    assert [dict(seen.query) for seen in server.requests] == [{"questionId": "exQuestion1"}, {}]


def test_every_retry_carries_the_key(server: LocalServer) -> None:
    server.route(PATH, too_many(0, status=503), reply(200, GOOD["fatebook"][2]))
    fetch(server)
    assert [dict(seen.query)["apiKey"] for seen in server.requests] == [CANARY, CANARY]


def test_the_key_is_not_carried_along_a_redirect(server: LocalServer) -> None:
    server.route(PATH, redirect("/moved?questionId=exQuestion1"))
    server.route("/moved", reply(200, GOOD["fatebook"][2]))
    payload = fetch(server)
    assert server.seen("/moved")[0].query == (("questionId", "exQuestion1"),)
    assert payload.url == f"{server.url}{PATH}?questionId=exQuestion1"


@pytest.mark.parametrize("spelling", sorted(spellings(ODD)))
def test_a_redirect_that_gives_us_our_own_key_back_is_not_followed(
    server: LocalServer, spelling: str
) -> None:
    server.route(PATH, redirect(f"/moved?apiKey={quote(spelling, safe='%')}"))
    with pytest.raises(FetchError) as caught:
        fetch(server, ODD)
    assert caught.value.kind == "redirect"
    assert server.seen("/moved") == []
    assert not any(form in str(caught.value) for form in spellings(ODD))


@pytest.mark.parametrize(
    "echoed",
    [
        json_reply({"page": "/404", "query": {"apiKey": ODD}}, 404),
        reply(404, f"<pre>Cannot GET {PATH}?apiKey={quote(ODD, safe='')}</pre>".encode(), "text/html"),
        reply(401, f"no such key: {html.escape(ODD)}".encode(), "text/plain"),
        reply(200, json.dumps({"title": ODD}).encode()),
        reply(200, b"{}", f"text/{CANARY}", [("ETag", f'"{quote(ODD)}"'), ("X-Echo", ODD)]),
    ],
    ids=["json", "address", "page", "title", "headers"],
)
def test_a_body_that_shows_the_key_is_kept_without_it(server: LocalServer, echoed: Answer) -> None:
    server.route(PATH, echoed)
    kept = fetch(server, ODD)
    assert not any(form in repr(kept) for form in spellings(ODD))
    assert not any(form.encode() in kept.body for form in spellings(ODD))


def test_a_body_that_shows_the_key_in_a_way_we_cannot_cut_out_is_not_kept(server: LocalServer) -> None:
    hidden = "".join(f"%{ord(char):02x}" for char in CANARY)
    server.route(PATH, reply(404, f"{PATH}?apiKey={hidden}".encode()))
    with pytest.raises(FetchError) as caught:
        fetch(server)
    assert (caught.value.kind, caught.value.retry) == ("secret", False)
    assert hidden not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(400, f"bad call: {PATH}?apiKey={CANARY}".encode()), id="echoed in a body"),
        pytest.param(reply(400, b"a" * 190 + CANARY.encode()), id="at the end of the quoted part"),
        pytest.param(redirect(f"https://evil.example/?apiKey={CANARY}"), id="redirected elsewhere"),
        pytest.param(redirect(f"https://{CANARY}.example/"), id="redirected to a host of its name"),
        pytest.param(redirect(f"//user:{CANARY}@127.0.0.1/"), id="redirected with it as a password"),
        pytest.param(raw(f"{CANARY} nonsense\r\n\r\n".encode()), id="echoed in a status line"),
        pytest.param(reply(200, b"", headers=[("Content-Encoding", CANARY)]), id="echoed in a coding"),
        pytest.param(too_many(9999), id="throttled"),
        pytest.param(hang_up(), id="no answer"),
        pytest.param(stall(), id="silence"),
    ],
)
def test_no_error_and_no_log_line_shows_the_key(
    server: LocalServer, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    server.route(PATH, answer)
    with caplog.at_level(logging.DEBUG), pytest.raises(FetchError) as caught:
        fetch(server)
    error = caught.value
    assert dict(server.requests[0].query)["apiKey"] == CANARY
    assert CANARY not in "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert CANARY not in caplog.text
    assert error.__cause__ is None
    assert error.__context__ is None


def test_a_base_url_that_makes_no_url_is_refused_without_the_key(server: LocalServer) -> None:
    with pytest.raises(FetchError) as caught:
        fetch(server, base="http://127.0.0.1:1")
    assert CANARY not in str(caught.value) + repr(vars(caught.value))


# --- the whole way --------------------------------------------------------------------------------------


def settings(server: LocalServer, **more: Any) -> Settings:
    return Settings(fatebook_url=server.url, fatebook_key=CANARY, **more)


def collect(server: LocalServer, url: str) -> SourceReport:
    store = open_store(url)
    try:
        with HttpClient(user_agent="tests", settings=QUICK) as client:
            return Collector(store, SOURCE, client, settings(server), Clock(AT)).run(
                [link("fatebook", "exQuestion1"), link("fatebook", "exQuestion2")]
            )
    finally:
        store.close()


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, GOOD["fatebook"][2]),
        json_reply({"error": f"Invalid API key {CANARY}"}, 401),
        reply(404, f"<html>{PATH}?questionId=x&amp;apiKey={CANARY}</html>".encode(), "text/html"),
        reply(500, f"{PATH}?apiKey={CANARY}".encode()),
        reply(200, json.dumps({"title": CANARY, "type": CANARY, "forecasts": CANARY}).encode()),
        redirect(f"/moved?apiKey={CANARY}"),
    ],
    ids=["good", "refused", "missing", "broken", "nonsense", "redirected"],
)
def test_the_key_reaches_neither_the_store_nor_a_report_nor_a_log(
    server: LocalServer, answer: Answer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.route(PATH, answer)
    with caplog.at_level(logging.DEBUG):
        report = collect(server, f"sqlite:///{tmp_path / 'store.sqlite'}")
    assert all(dict(seen.query)["apiKey"] == CANARY for seen in server.seen(PATH))
    assert CANARY not in repr(report) + json.dumps(report.as_json(), default=repr)
    assert CANARY not in caplog.text
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    try:
        kept = list(store.raw_payloads())
        assert CANARY not in repr(kept) + repr(store.health()) + repr(store.quarantined())
        assert not any(CANARY.encode() in payload.body for payload in kept)
    finally:
        store.close()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


def test_the_setting_is_a_secret_like_the_others(tmp_path: Path) -> None:
    nowhere = tmp_path / "no.env"
    found = load_settings(dotenv=nowhere, environ={"SPEEDUP_FATEBOOK_KEY": CANARY})
    assert found.secret_of("fatebook_key") == CANARY
    assert CANARY not in repr(found) + str(masked(found))
    assert masked(found)["fatebook_key"] == "set"
    file = tmp_path / "key"
    file.write_text(f"{CANARY}\n")
    from_file = load_settings(dotenv=nowhere, environ={"SPEEDUP_FATEBOOK_KEY_FILE": str(file)})
    assert from_file.secret_of("fatebook_key") == CANARY


def test_without_its_key_fatebook_is_passed_over_with_what_to_set(server: LocalServer) -> None:
    store = open_store("memory://")
    with HttpClient(user_agent="tests") as client:
        unset = Settings(fatebook_url=server.url)
        report = Collector(store, SOURCE, client, unset, Clock(AT)).run([link("fatebook", "a")])
    assert report.status == "skipped"
    assert "SPEEDUP_FATEBOOK_KEY" in report.errors[0].message
    assert server.requests == []
