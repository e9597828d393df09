"""The worked example on the page about sources is a source: taken from the page and held to every rule."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest

from questions.records import ValueState
from storage.memory import MemoryStore
from tests.servers.local import LocalServer, json_reply
from tests.sources import answers, test_contract as contract
from tests.sources.answers import AT, answer, link, outcome, value
from tracker import sources
from tracker.collect import Collector
from tracker.config import Settings
from tracker.http import HttpClient
from tracker.source import Source

NAME = "example"
PAGE = (Path(sources.__file__).parent / "README.md").read_text(encoding="utf-8")
QUESTION = "exQuestion1"


def block(language: str, number: int = 0) -> str:
    """A block of code on the page, as somebody who follows it would have it in a file."""
    found = re.findall(rf"^   ```{language}\n(.*?)^   ```$", PAGE, re.DOTALL | re.MULTILINE)
    return "".join(line.removeprefix("   ") for line in str(found[number]).splitlines(keepends=True))


@pytest.fixture(scope="module")
def example() -> Iterator[Source]:
    module = ModuleType("tracker.sources.example")
    sys.modules[module.__name__] = module  # where pydantic looks for the names in annotations
    exec(compile(block("python"), "example.py", "exec"), module.__dict__)
    yield module.Example()
    del sys.modules[module.__name__]


@pytest.fixture
def registered(example: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line in the registry, and the folder of payloads."""
    assert "`Example(),` in `_ALL`" in PAGE
    good = json.loads(block("json", 1))
    assert good["body"] == "question.json"
    body = block("json", 0).encode()
    everything = MappingProxyType({**sources.SOURCES, NAME: example})
    monkeypatch.setattr(contract, "SOURCES", everything)
    monkeypatch.setitem(answers.GOOD, NAME, (good["ref"], good["url"], body))
    monkeypatch.setitem(answers.SOME_ID, NAME, QUESTION)


@pytest.mark.usefixtures("registered")
def test_it_keeps_the_contract() -> None:
    contract.test_traits_are_whole(NAME)
    for since in (None, contract.EPOCH):
        contract.test_a_plan_is_repeatable_and_stays_below_the_base_url(NAME, since)
    contract.test_links_of_other_platforms_are_never_asked_about(NAME)
    contract.test_parsing_is_repeatable(NAME)
    contract.test_values_do_not_depend_on_when_the_bytes_are_read_again(NAME)
    contract.test_json_cut_short_is_refused(NAME)
    contract.test_flipped_bytes_are_read_or_refused(NAME)
    for body in contract.NONSENSE.values():
        contract.test_nonsense_is_refused(NAME, body)
    url = answers.GOOD[NAME][1]
    contract.test_mutated_examples_are_read_or_refused(NAME, QUESTION, url, json.loads(block("json", 0)))


@pytest.mark.usefixtures("registered")
def test_it_keeps_the_contract_over_real_sockets() -> None:
    with HttpClient(user_agent="tests", settings=contract.QUICK) as client:
        contract.test_a_good_answer_comes_through_the_client(NAME, client)
        contract.test_a_refusal_of_the_network_kind_never_reaches_the_parser(NAME, 503, client)
        contract.test_a_refusal_denies_what_was_asked_for(NAME, 403, client)
        contract.test_a_missing_answer_gives_no_value(NAME, 404, client)
        contract.test_a_page_for_people_is_refused_in_plain_words(NAME, client)
        contract.test_an_answer_cut_short_never_becomes_a_value(NAME, client)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("changes", "values", "outcomes", "status"),
    [
        ({}, [0.26], [], "open"),
        ({"probability": None}, ["no_forecast"], [], "open"),
        ({"state": "done", "result": "yes"}, [], [("yes", 1.0)], "resolved"),
        ({"state": "done", "result": "void"}, [], [("void", None)], "resolved"),
        ({"state": "paused"}, [], [], ""),
    ],
)
def test_it_says_what_it_claims(
    example: Source,
    changes: dict[str, object],
    values: list[object],
    outcomes: list[object],
    status: str,
) -> None:
    parsed = example.parse(answer(NAME, {**json.loads(block("json", 0)), **changes}))
    assert [value(snapshot)[3] for snapshot in parsed.batch.snapshots] == values
    assert [outcome(one)[2:4] for one in parsed.batch.resolutions] == outcomes
    assert [(info.status, len(info.criteria_sha256)) for info in parsed.batch.infos] == [(status, 64)]
    assert parsed.faults == ()


def test_it_is_polled_and_stored_like_any_other(example: Source) -> None:
    class WithExample(Settings):
        example_url: str = ""

    store, links = MemoryStore(), [link(NAME, QUESTION), link(NAME, "exQuestion2"), link(NAME, "no id")]
    with LocalServer() as server, HttpClient(user_agent="tests", settings=contract.QUICK) as client:
        server.route(f"/v1/questions/{QUESTION}", json_reply(json.loads(block("json", 0))))
        server.route("/v1/questions/exQuestion2", json_reply({}, 404))
        collector = Collector(store, example, client, WithExample(example_url=server.url), lambda: AT)
        report = collector.run(links)
    assert (report.status, report.requests) == ("ok", 2)
    assert any("no id" in note for note in report.notes)
    states = {key.external_id: seen.snapshot.state for key, seen in store.latest().items()}
    assert states == {QUESTION: ValueState.OK, "exQuestion2": ValueState.GONE}
