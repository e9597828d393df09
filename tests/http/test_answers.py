"""What comes back when all goes well."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from storage.records import Validator
from tests.http.conftest import NOW, TRAITS, Asker
from tests.servers.local import (
    Answer,
    LocalServer,
    cached_reply,
    chunked_reply,
    deflate_reply,
    encoded_reply,
    gzip_reply,
    html_page,
    json_reply,
    reply,
)
from tracker.errors import ConfigError, FetchError
from tracker.http import HttpClient, NotModified, Usage, _Body, _BodyError, request_url
from tracker.source import Request

BODY = b'{"probability": 0.26}' * 40


def test_an_answer_comes_back_as_it_was_sent_with_the_question_it_answers(
    server: LocalServer, ask: Asker
) -> None:
    server.route("/posts/17/", reply(200, BODY, "application/json; charset=utf-8", [("X-Secretish", "1")]))

    raw = ask.payload("posts/17/", params=(("ids", "1,2"), ("ids", "ü")))

    assert (raw.source, raw.ref, raw.status, raw.body) == ("metaculus", "q17", 200, BODY)
    assert raw.url == f"{server.url}/posts/17/?ids=1%2C2&ids=%C3%BC"
    assert raw.fetched_at == NOW
    assert raw.content_type == "application/json; charset=utf-8"
    assert server.seen("/posts/17/")[0].query == (("ids", "1,2"), ("ids", "ü"))


def test_a_long_url_is_kept_whole(server: LocalServer, ask: Asker) -> None:
    params = tuple(("ids", f"{number:064x}") for number in range(50))
    server.route("/markets", json_reply({}))
    raw = ask.payload("markets", params=params)
    assert server.seen("/markets")[0].query == params
    assert raw.url == f"{server.url}/markets?{'&'.join(f'{name}={value}' for name, value in params)}"


def test_only_harmless_headers_are_kept(server: LocalServer, ask: Asker) -> None:
    sent = [
        ("ETag", '"a"'),
        ("Date", "Fri, 20 Nov 2026 12:00:00 GMT"),
        ("Set-Cookie", "id=1"),
        ("X-Trace", "t"),
    ]
    server.route("/x", json_reply({}, headers=sent))

    assert ask.payload().headers == {
        "content-type": "application/json; charset=utf-8",
        "etag": '"a"',
        "date": "Fri, 20 Nov 2026 12:00:00 GMT",
    }


def test_a_request_says_who_we_are_and_asks_for_gzip_only(server: LocalServer, ask: Asker) -> None:
    server.route("/x", json_reply({}))
    ask()

    headers = server.seen("/x")[0].headers
    assert headers["user-agent"] == "speedup-tracker/0 (+https://example.org)"
    assert headers["accept-encoding"] == "gzip"
    assert not {"cookie", "authorization", "referer", "if-none-match"} & set(headers)


def test_cookies_are_neither_kept_nor_sent(server: LocalServer, ask: Asker) -> None:
    server.route("/x", json_reply({}, headers=[("Set-Cookie", "session=1; Path=/")]))
    ask()
    ask()

    assert "cookie" not in server.seen("/x")[1].headers


def test_proxies_of_the_environment_are_not_used(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server.route("/x", json_reply({}))

    with HttpClient(user_agent="test") as client:
        assert Asker(client, server.url).payload().status == 200


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(gzip_reply(BODY), id="gzip"),
        pytest.param(encoded_reply(gzip.compress(BODY), "x-GZIP "), id="x-gzip"),
        pytest.param(
            encoded_reply(gzip.compress(BODY[:30]) + gzip.compress(BODY[30:]), "gzip"), id="two members"
        ),
        pytest.param(deflate_reply(BODY), id="deflate"),
        pytest.param(deflate_reply(BODY, bare=True), id="deflate without wrapper"),
        pytest.param(encoded_reply(BODY, "identity"), id="identity"),
        pytest.param(chunked_reply(BODY[:1], BODY[1:50], BODY[50:]), id="chunked"),
    ],
)
def test_content_codings_are_undone(server: LocalServer, ask: Asker, answer: Answer) -> None:
    server.route("/x", answer)

    assert ask.payload().body == BODY


@pytest.mark.parametrize("status", [200, 204, 401, 403, 404, 410])
def test_statuses_an_adapter_can_read_come_back_as_payloads(
    server: LocalServer, ask: Asker, status: int
) -> None:
    server.route("/x", reply(status, b"{}"))

    raw = ask.payload()

    assert raw.status == status
    assert raw.body == (b"" if status == 204 else b"{}")
    assert len(server.requests) == 1


def test_a_page_instead_of_json_is_an_answer_whose_type_says_so(server: LocalServer, ask: Asker) -> None:
    server.route("/x", html_page())

    assert ask.payload().content_type == "text/html; charset=utf-8"


def test_an_empty_gzip_answer_is_empty(server: LocalServer, ask: Asker) -> None:
    server.route("/x", encoded_reply(b"", "gzip"))

    assert ask.payload().body == b""


def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(
    server: LocalServer, ask: Asker
) -> None:
    small = replace(TRAITS, max_body_bytes=1000)
    server.route("/fits", gzip_reply(bytes(1000)))
    server.route("/over", gzip_reply(bytes(1001)))
    server.route("/plain", reply(200, bytes(1001)))

    assert len(ask.payload("fits", traits=small).body) == 1000
    assert ask.error("over", traits=small).kind == "too_large"
    assert ask.error("plain", traits=small).kind == "too_large"


@pytest.mark.parametrize(
    ("etag", "last_modified"),
    [('"abc"', None), ('W/"abc"', None), (None, "Fri, 20 Nov 2026 12:00:00 GMT")],
)
def test_an_unchanged_source_says_so_instead_of_sending_again(
    server: LocalServer, ask: Asker, etag: str | None, last_modified: str | None
) -> None:
    server.route("/x", cached_reply(BODY, etag=etag, last_modified=last_modified))
    first = ask.payload(conditional=True)
    validator = Validator(
        first.url, first.headers.get("etag"), first.headers.get("last-modified"), first.sha256
    )

    again = ask(conditional=True, validator=validator)

    assert again == NotModified("metaculus", "q17", first.url, NOW, first.sha256)


def test_tags_are_sent_only_for_conditional_requests(server: LocalServer, ask: Asker) -> None:
    server.route("/x", cached_reply(BODY, etag='"abc"'))
    validator = Validator(f"{server.url}/x", '"abc"', None, "0" * 64)

    assert ask.payload(validator=validator).body == BODY


@pytest.mark.parametrize("tag", ['"a\r\nX-Evil: 1"', '"ü"', "abc", '"' + "a" * 9000 + '"'])
def test_a_tag_that_could_not_stand_in_a_header_is_not_sent(
    server: LocalServer, ask: Asker, tag: str
) -> None:
    server.route("/x", reply(200, BODY))

    ask.payload(conditional=True, validator=Validator(f"{server.url}/x", tag, "\r\n", "0" * 64))

    assert not {"if-none-match", "if-modified-since", "x-evil"} & set(server.seen("/x")[0].headers)


def test_not_modified_without_having_been_asked_is_an_error(server: LocalServer, ask: Asker) -> None:
    server.route("/x", reply(304))

    assert ask.error().kind == "http_304"


def test_usage_counts_what_went_over_the_wire(server: LocalServer, ask: Asker) -> None:
    server.route("/x", reply(500), reply(200, b"12345"))
    server.route("/gz", gzip_reply(BODY))
    ask()
    ask("gz")

    assert ask.client.usage("metaculus") == Usage(
        requests=3, retries=1, bytes_received=5 + len(gzip.compress(BODY))
    )
    assert ask.client.usage("manifold") == Usage()


def test_connections_are_used_again(server: LocalServer, ask: Asker) -> None:
    server.route("/x", json_reply({}))
    for _ in range(5):
        ask()

    assert server.connections == 1


@pytest.mark.parametrize("agent", ["", "a\nb", "Ünicode", "a\x00"])
def test_a_user_agent_that_cannot_stand_in_a_header_is_a_settings_mistake(agent: str) -> None:
    with pytest.raises(ConfigError, match="user agent"):
        HttpClient(user_agent=agent)


# URLs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://api.example/v0", "market/a b", "https://api.example/v0/market/a%20b"),
        ("https://api.example/v0/", "/market/a", "https://api.example/v0/market/a"),
        ("https://api.example/v0", "posts/1/", "https://api.example/v0/posts/1/"),
        ("https://api.example/data.yaml", "", "https://api.example/data.yaml"),
        ("https://api.example/v0", "a?b#c", "https://api.example/v0/a%3Fb%23c"),
        ("https://api.example/v0", "//evil.example/x", "https://api.example/v0/evil.example/x"),
        ("https://api.example/v0", "a%2Fb", "https://api.example/v0/a%2Fb"),
        ("http://[::1]:8000", "x", "http://[::1]:8000/x"),
    ],
)
def test_paths_are_put_below_the_base_url(base: str, path: str, url: str) -> None:
    assert request_url(base, Request("s", "r", path)) == url


@pytest.mark.parametrize("path", ["../admin", "a/../../b", "a/%2e%2e/b", ".", "a/\ud800"])
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(FetchError) as caught:
        request_url("https://api.example/v0", Request("s", "r", path))
    assert (caught.value.kind, caught.value.retry) == ("request", False)


@given(path=st.text(max_size=40), name=st.text(max_size=10), value=st.text(max_size=20))
def test_no_path_or_parameter_changes_the_host_or_leaves_the_base(path: str, name: str, value: str) -> None:
    try:
        url = request_url("https://api.example/v0", Request("s", "r", path, ((name, value),)))
    except FetchError as refused:
        url = ""
        kind = refused.kind

    if url:
        assert url.startswith(("https://api.example/v0/", "https://api.example/v0?"))
        assert url.isascii()
        assert url.isprintable()
    else:
        assert kind == "request"


@pytest.mark.parametrize(
    "base",
    [
        "http://api.example",
        "http://10.0.0.1",
        "http://127.1",
        "http://0.0.0.0:8000",
        "ftp://api.example",
        "file:///etc/passwd",
        "https://",
        "https://user:pw@api.example",
        "https://api.example?key=1",
        "https://api.example#x",
        "https://api.example:99999",
        "https://api.example:0",
        "https://api exa.example",
        "https://äpi.example",
        "not a url",
        "",
    ],
)
def test_base_urls_that_are_not_https_to_a_plain_host_are_refused(base: str, ask: Asker) -> None:
    error = ask.error(base_url=base)

    assert (error.kind, error.retry) == ("base_url", False)


# Decoding, against the standard library ------------------------------------------------------------


@given(
    pieces=st.lists(st.binary(max_size=300), max_size=5),
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=20),
    coding=st.sampled_from(["gzip", "deflate", "bare deflate", "identity"]),
)
def test_a_body_is_the_same_however_the_wire_cuts_it(
    pieces: list[bytes], sizes: list[int], coding: str
) -> None:
    whole = b"".join(pieces) * 30
    packed = {
        "gzip": lambda: b"".join(gzip.compress(piece * 30) for piece in pieces),
        "deflate": lambda: zlib.compress(whole),
        "bare deflate": lambda: zlib.compress(whole, wbits=-15),
        "identity": lambda: whole,
    }[coding]()
    expected = b"".join(piece * 30 for piece in pieces) if coding == "gzip" else whole
    body = _Body(coding.split()[-1], 10**6)
    position = 0
    while position < len(packed):
        size = sizes[position % len(sizes)]
        body.feed(packed[position : position + size])
        position += size

    assert body.finish() == expected


@given(
    body=st.binary(min_size=1, max_size=2000),
    missing=st.integers(1, 18),
    packer=st.sampled_from(["gzip", "deflate"]),
)
def test_a_packed_body_without_its_end_is_never_taken_for_whole(
    body: bytes, missing: int, packer: str
) -> None:
    compress: Callable[[bytes], bytes] = gzip.compress if packer == "gzip" else zlib.compress
    packed = compress(body)[: -min(missing, 4 if packer == "deflate" else 18)]
    reader = _Body(packer, 10**6)
    reader.feed(packed)

    with pytest.raises(_BodyError) as caught:
        reader.finish()
    assert (caught.value.kind, caught.value.retry) == ("truncated", True)
