"""The key goes into one header of the requests that need it, and appears nowhere else."""

from __future__ import annotations

import logging
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from tests.http.conftest import QUICK, TRAITS, Asker
from tests.servers.local import (
    Answer,
    LocalServer,
    hang_up,
    invalid_status_line,
    json_reply,
    raw,
    redirect,
    reply,
    stall,
    too_many,
)
from tracker.errors import ConfigError
from tracker.http import HttpClient, HttpSettings

CANARY = "canary-4f1c9e"


def test_private_requests_carry_the_key_in_the_sources_header(server: LocalServer, ask: Asker) -> None:
    server.route("/x", json_reply({}))
    keyed = replace(TRAITS, secret_header="X-API-Key", secret_prefix="")

    ask(private=True, secret=CANARY)
    ask(private=True, secret=CANARY, traits=keyed)

    first, second = server.requests
    assert first.headers["authorization"] == f"Token {CANARY}"
    assert second.headers["x-api-key"] == CANARY
    assert "authorization" not in second.headers


def test_other_requests_do_not(server: LocalServer, ask: Asker) -> None:
    server.route("/x", json_reply({}))

    ask(secret=CANARY)
    ask(private=True, secret=None)

    assert CANARY not in str(server.requests)
    assert all("authorization" not in seen.headers for seen in server.requests)


def test_the_payload_does_not_hold_the_key_even_if_the_server_echoes_it_in_headers(
    server: LocalServer, ask: Asker
) -> None:
    echo = [("ETag", f'"{CANARY}"'), ("Last-Modified", CANARY), ("X-Echo", CANARY)]
    server.route("/x", reply(200, b"{}", f"text/{CANARY}", echo))

    assert CANARY not in repr(ask.payload(private=True, secret=CANARY))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(400, f"no such token: {CANARY}".encode()), id="echoed in a body"),
        pytest.param(reply(400, b"a" * 190 + CANARY.encode()), id="echoed at the end of the quoted part"),
        pytest.param(redirect(f"https://evil.example/?token={CANARY}"), id="echoed in a redirect"),
        pytest.param(raw(f"{CANARY} nonsense\r\n\r\n".encode()), id="echoed in a status line"),
        pytest.param(reply(200, b"", headers=[("Content-Encoding", CANARY)]), id="echoed in a coding"),
        pytest.param(invalid_status_line(), id="protocol"),
        pytest.param(too_many(9999), id="throttled"),
        pytest.param(hang_up(), id="no answer"),
        pytest.param(stall(), id="silence"),
    ],
)
def test_no_error_and_no_log_line_shows_the_key(
    server: LocalServer, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    server.route("/x", answer)
    impatient = replace(TRAITS, read_timeout_s=0.1)
    with caplog.at_level(logging.DEBUG), HttpClient(user_agent="test", settings=QUICK) as client:
        error = Asker(client, server.url, impatient).error(
            private=True, secret=CANARY, params=(("page", "private-page"),)
        )

    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert server.requests[0].headers["authorization"] == f"Token {CANARY}"
    assert CANARY not in shown
    assert error.__cause__ is None
    assert error.__context__ is None
    assert CANARY not in caplog.text
    assert "private-page" not in caplog.text


@pytest.mark.parametrize("secret", [f"{CANARY}\n", f"{CANARY}\r\nX: 1", f"{CANARY} ", f"ü{CANARY}", ""])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(
    server: LocalServer, ask: Asker, secret: str
) -> None:
    error = ask.error(private=True, secret=secret)

    assert (error.kind, error.retry) == ("secret", False)
    assert "metaculus_token" in str(error)
    assert CANARY not in "".join(traceback.format_exception(error))
    assert server.requests == []


def test_the_client_does_not_show_keys(server: LocalServer, ask: Asker) -> None:
    server.route("/x", json_reply({}))
    ask(private=True, secret=CANARY)

    assert CANARY not in repr(ask.client) + repr(vars(ask.client))


def test_the_http_libraries_do_not_log_below_warning(client: HttpClient) -> None:
    assert all(logging.getLogger(name).level >= logging.WARNING for name in ("httpx", "httpcore", "stamina"))


def test_a_missing_authority_file_is_a_settings_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ca_file"):
        HttpClient(user_agent="test", settings=HttpSettings(ca_file=tmp_path / "none.pem"))
