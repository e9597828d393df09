"""The servers of the tests do what their names say."""

from __future__ import annotations

import json

import pytest

from tests.http.conftest import Asker
from tests.servers.local import LocalServer, json_reply
from tests.servers.spec import SpecServer, load_spec
from tracker.http import HttpClient

SPECS = ("manifold-read", "metaculus-read")


@pytest.mark.parametrize("name", SPECS)
def test_every_example_of_a_platform_is_served_as_the_document_has_it(name: str, client: HttpClient) -> None:
    served = 0
    with SpecServer(name) as platform:
        ask = Asker(client, platform.url)
        for operation in platform.spec.operations.values():
            path = operation.pattern.pattern.replace("\\", "")
            for parameter in operation.pattern.groupindex:
                path = path.replace(f"(?P<{parameter}>[^/]+)", "17")
            for example in operation.names():
                platform.choose(operation.name, example=example)
                raw = ask.payload(path, private=True, secret="t")
                assert json.loads(raw.body) == operation.example(example)
                served += 1
    assert served >= 20


def test_a_choice_may_be_for_an_operation_or_for_one_path(client: HttpClient) -> None:
    with SpecServer("manifold-read") as platform:
        ask = Asker(client, platform.url)
        platform.choose("getMarket", example="resolved_mkt")
        platform.choose("/v0/market/gone", status=404)

        assert json.loads(ask.payload("v0/market/abc").body)["resolution"] == "MKT"
        assert ask.payload("v0/market/gone").status == 404


def test_the_example_with_the_id_of_the_path_answers(client: HttpClient) -> None:
    spec = load_spec("manifold-read")
    with SpecServer("manifold-read") as platform:
        ask = Asker(client, platform.url)
        for example in spec.operations["getMarket"].names():
            wanted = spec.example("getMarket", example)
            assert json.loads(ask.payload(f"v0/market/{wanted['id']}").body)["id"] == wanted["id"]


def test_a_platform_behind_a_token_refuses_those_without(client: HttpClient) -> None:
    with SpecServer("metaculus-read") as platform:
        assert Asker(client, platform.url).payload("api/posts/1/").status == 403
        assert Asker(client, platform.url).payload("api/posts/1/", private=True, secret="t").status == 200


def test_a_throttled_answer_carries_the_documents_retry_after(client: HttpClient) -> None:
    with SpecServer("manifold-read") as platform:
        ask = Asker(client, platform.url)
        platform.choose("listMarkets", status=429)

        error = ask.error("v0/markets")  # 10 s asked, 2 s of deadline: given up at once

        assert (error.kind, error.not_before_s) == ("http_429", 10.0)
        assert len(platform.requests) == 1


def test_scripted_routes_come_before_the_document_and_unknown_paths_are_missing(client: HttpClient) -> None:
    with SpecServer("manifold-read") as platform:
        ask = Asker(client, platform.url)
        platform.route("/v0/markets", json_reply(["scripted"]))

        assert ask.payload("v0/markets").body == b'["scripted"]'
        assert ask.payload("v0/unheard-of").status == 404


def test_a_wrong_choice_is_refused_when_it_is_made() -> None:
    with SpecServer("manifold-read") as platform:
        with pytest.raises(KeyError):
            platform.choose("getMarket", example="no such example")
        with pytest.raises(KeyError):
            platform.choose("/v0/unheard-of")


def test_answers_follow_the_script_and_the_last_one_repeats(server: LocalServer, ask: Asker) -> None:
    server.route("/x", json_reply(1), json_reply(2))

    assert [ask.payload().body for _ in range(3)] == [b"1", b"2", b"2"]


def test_a_callable_route_sees_the_question(server: LocalServer, ask: Asker) -> None:
    server.route("/echo", lambda seen: json_reply(dict(seen.query)))

    assert json.loads(ask.payload("echo", params=(("a", "1"),)).body) == {"a": "1"}
