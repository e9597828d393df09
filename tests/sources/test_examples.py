"""All 262 examples of the composed documents over a real socket: what the client makes of each, and the adapter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from storage.records import RawPayload
from tests.drift.examples import KALSHI, PARAMETERS, SPECS
from tests.servers.spec import Operation, SpecServer, load_spec
from tests.sources.answers import AT
from tests.sources.test_contract import numbers, parse_or_refuse
from tests.sources.worlds import CONDITION, KEY, MARKET, POST, QUICK, TICKER
from tracker.errors import FetchError
from tracker.http import ANSWER_STATUSES, HttpClient
from tracker.source import Request
from tracker.sources import SOURCES

pytestmark = pytest.mark.exhaustive

#: How many examples each document has, all statuses together.
COUNTS = {
    "manifold-read": 45,
    "metaculus-read": 39,
    "kalshi-read-3.30.0": 72,
    "polymarket-gamma-read": 52,
    "polymarket-clob-read": 32,
    "polymarket-data-v2-read": 22,
}
#: What an adapter asks for: an answer there with status 200 must be readable.
ASKED = {
    "getMarket", "listBets", "listPosts", "getPost", "gammaMarketsKeyset", "clobMarket", "clobHistory",
    "dataHistory", "dataResolutions", "getMarkets", "batchCandles", "getEvent", "histMarkets", "histCandles",
}  # fmt: skip


def shown(document: str) -> Iterator[tuple[Operation, int, str]]:
    """Every example of a document: its operation, status and name."""
    for operation in load_spec(document).operations.values():
        for status in operation.responses:
            for name in operation.names(status):
                yield operation, status, name


@pytest.fixture(scope="module")
def client() -> Iterator[HttpClient]:
    with HttpClient(user_agent="speedup-tracker tests", settings=QUICK) as client:
        yield client


def test_there_are_262_of_them() -> None:
    assert {document: len([*shown(document)]) for document in SPECS} == COUNTS
    assert sum(COUNTS.values()) == 262


@pytest.mark.parametrize("document", COUNTS)
def test_every_example_arrives_as_it_is_and_is_read_or_refused(document: str, client: HttpClient) -> None:
    served, read = 0, set[str]()
    with SpecServer(document) as platform:
        for operation, status, example in shown(document):
            platform.choose(operation.name, status=status, example=example)
            client._holds.clear()  # an example may have asked to be left alone
            shown_value = operation.example(example, status)
            said = ask(client, platform, SPECS[document][0], operation, shown_value)
            served += 1
            assert said.status == status
            if isinstance(said, FetchError):
                assert status not in ANSWER_STATUSES
                assert (said.kind, said.retry) == (f"http_{status}", status in (429, 503))
                continue
            assert json.loads(said.body) == shown_value
            readable = parse_or_refuse(said)
            assert readable or status != 200 or operation.name not in ASKED, f"{operation.name} {example}"
            assert status == 200 or numbers(said) == []
            if readable and status == 200:
                read.add(operation.name)
    assert served == COUNTS[document]
    assert read >= ASKED & set(load_spec(document).operations)


def ask(
    client: HttpClient, platform: SpecServer, source: str, operation: Operation, shown_value: Any
) -> RawPayload | FetchError:
    """One operation of a platform, asked as its adapter would."""
    traits = replace(SOURCES[source].traits, secret_param=None)
    params = [(name, "1") for name in operation.required]
    ref = "KXEX10X-26-A" if operation.name.startswith("hist") else REFS[source]
    if operation.name in ("getMarket", "getPost") and source in ("manifold", "metaculus"):
        ref = str(shown_value.get("id", ref))  # what was asked for is what is answered
    if operation.name == "listBets":
        ref = shown_value[0]["contractId"] if isinstance(shown_value, list) and shown_value else ref
        params = [("contractId", ref), ("afterTime", "0"), ("limit", "1000")]
    request = Request(source, ref, operation.path(PARAMETERS).lstrip("/"), tuple(params), private=True)
    try:
        said = client.fetch(request, traits, base_url=platform.url, secret=KEY, now=lambda: AT)
    except FetchError as error:
        return error
    assert isinstance(said, RawPayload)
    return replace(said, url=said.url.replace(KALSHI, ""))


REFS = {"manifold": MARKET, "metaculus": POST, "polymarket": CONDITION, "kalshi": TICKER}
