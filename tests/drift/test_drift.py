"""A change to an answer gives the drift it should, and nothing else does: over every example there is."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from questions.time import EPOCH
from storage.records import DriftKind
from tests.demo.tables import LAST, morning_after, recording
from tests.drift.derive import FOLDER, derive, json_type, printed
from tests.drift.examples import SHAPED, SHAPELESS, Example, below, examples
from tests.sources.answers import AT, GOOD, SOME_ID, answer, link
from tests.sources.test_contract import NONSENSE, mutated, shortened
from tracker.demo.recording import sample_answers
from tracker.drift import MOST, compare
from tracker.errors import ParseError
from tracker.sources import SOURCES
from tracker.sources.metr import load_yaml

pytestmark = pytest.mark.exhaustive

Told = list[tuple[str, str, str]]
JSON_EXAMPLES = [one for one in examples() if one.body.lstrip()[:1] in (b"{", b"[")]
#: The one example that was made to differ: a status no document knows.
STRANGE = {"kalshi/markets.json": [("/markets: markets[].status", "unknown_value", "suspended")]}
#: A value of every type, none of which is a word of any list.
OTHERS: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "number": 0.5,
    "string": "\u2026",
    "list": [],
    "object": {},
}
WORD = "never heard of"


def told(example: Example, value: Any = None, **how: Any) -> Told:
    """What ``compare`` says of an example with another value in it."""
    raw = example.raw(value, **how)
    found = compare(example.source, raw)
    assert all(one.payload_sha256 == raw.sha256 for one in found)
    assert all(one.source == example.source for one in found)
    assert all(one.seen_first == one.seen_last == AT for one in found)
    return [(one.place, one.kind.value, one.detail) for one in found]


# --- what is as it was ----------------------------------------------------------------------------------


def test_no_example_differs_from_the_shape_derived_of_it() -> None:
    differing = {one.name: told(one) for one in examples()}
    assert {name: found for name, found in differing.items() if found} == STRANGE
    assert len(differing) == 138
    assert {one.source for one in examples()} == set(SHAPED)
    assert set(SHAPED) | set(SHAPELESS) == set(SOURCES)


def test_the_bundled_recording_differs_in_nothing() -> None:
    answers = list(sample_answers(recording(), morning_after(LAST)))
    for name, said in answers:
        platform, _, path = name.partition("/")
        path = path.removesuffix(".json") if platform in ("manifold", "metaculus") else path
        raw = answer(platform, said.body, url=f"https://host.example/{path}", status=said.status)
        assert compare(platform, raw) == (), name
    assert len(answers) >= 8


@pytest.mark.parametrize("source", SHAPED)
def test_the_shapes_in_the_package_are_those_of_the_documents_and_examples(source: str) -> None:
    written = (FOLDER / f"{source}.json").read_text("utf-8")
    assert written == printed(derive(source)), "run: python -m tests.drift.derive, and review what changed"


@pytest.mark.parametrize("name", SHAPED)
def test_what_an_adapter_asks_for_has_a_known_kind(name: str) -> None:
    """Everything planned, and everything that follows from reading the examples."""
    source = SOURCES[name]
    links = [link(one, SOME_ID.get(one, "990001")) for one in source.traits.platforms]
    asked = [*source.plan(links, AT, None).requests, *source.plan(links, AT, EPOCH).requests]
    for example in examples():
        if example.source == name:
            try:
                asked += source.parse(replace(example.raw(), ref=GOOD[name][0])).follow
            except ParseError:
                continue
    assert asked
    for request in asked:
        raw = answer(name, b"[", url=below(name, request.path, request.base))
        assert compare(name, raw) == (), request.path


# --- one change, one drift ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A place in an example: who holds it under which key, what the shape's file says of it, its name."""

    holder: Any
    key: Any
    node: dict[str, Any]
    name: str
    required: bool


@cache
def written(source: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / f"{source}.json").read_text("utf-8"))
    return loaded


def kind(example: Example) -> tuple[str, dict[str, Any]]:
    """The kind of an example: of the templates that fit its whole path, the one with fewest parameters."""
    traits = SOURCES[example.source].traits
    bases = (*traits.other_bases.values(), traits.base_url)
    path = next(example.url.removeprefix(base) for base in bases if example.url.startswith(base)).strip("/")
    kinds = written(example.source)["kinds"]
    fitting = [template for template in kinds if _fits(template.split("/"), path.split("/"))]
    template = min(fitting, key=lambda one: (one.count("{"), -one.count("0x")))
    return template, kinds[template]


def _fits(template: list[str], path: list[str]) -> bool:
    pairs = list(zip(template, path, strict=False))
    return len(template) == len(path) and all(
        one == other or ("{" in one and other.startswith(one.partition("{")[0])) for one, other in pairs
    )


def places(example: Example, whole: list[Any]) -> Iterator[Place]:
    """Every place that is compared, each name once, in the value that is the one item of ``whole``."""
    template, node = kind(example)
    seen = set()
    for place in _places(whole, 0, node, f"/{template}: ", "", False, written(example.source)["shapes"]):
        if place.name not in seen:
            seen.add(place.name)
            yield place


def _places(
    holder: Any, key: Any, node: dict[str, Any], head: str, at: str, required: bool, shapes: dict[str, Any]
) -> Iterator[Place]:
    yield Place(holder, key, node, head + (at or "$"), required)
    value, dot = holder[key], "." if at else ""
    if isinstance(value, list) and "each" in node:
        for number in range(len(value)):
            yield from _places(value, number, node["each"], head, f"{at}[]", False, shapes)
    elif isinstance(value, dict) and "values" in node:
        for name in value:
            yield from _places(value, name, node["values"], head, f"{at}{dot}*", False, shapes)
    elif isinstance(value, dict) and "shape" in node:
        fields = shapes[node["shape"]]
        for name in value:
            needed = fields[name].get("required", False)
            yield from _places(value, name, fields[name], head, f"{at}{dot}{name}", needed, shapes)


def changes(example: Example) -> Iterator[tuple[str, Any, Told]]:
    """(what was done, the value after it, the drift it should give), for every place of an example."""
    whole = [shortened(example.value)]
    for place in list(places(example, whole)):
        node, before = place.node, place.holder[place.key]
        inside = place.name.removesuffix("$") + ("" if place.name.endswith("$") else ".")
        if isinstance(before, dict) and "shape" in node:
            place.holder[place.key] = {**before, "brandNew": 1}
            yield "new field", whole[0], [(f"{inside}brandNew", "new_field", "")]
        if "types" in node:
            for name, other in OTHERS.items():
                if name not in node["types"] and not (other is None and place.holder is whole):
                    place.holder[place.key] = other
                    yield f"now {name}", whole[0], [(place.name, "new_type", name)]
        if "words" in node:
            place.holder[place.key] = WORD
            yield "a new word", whole[0], [(place.name, "unknown_value", WORD)]
        if isinstance(place.key, str) and "*" not in place.name[-2:]:
            del place.holder[place.key]
            yield "gone", whole[0], [(place.name, "missing_field", "")] if place.required else []
        place.holder[place.key] = before


@pytest.mark.parametrize("source", sorted({one.source for one in JSON_EXAMPLES}))
def test_each_change_gives_exactly_its_own_drift(source: str) -> None:
    done = dict.fromkeys(DriftKind, 0)
    for example in JSON_EXAMPLES:
        if example.source != source or example.name in STRANGE:
            continue
        for what, value, expected in changes(example):
            assert told(example, value) == expected, f"{example.name}: {what}"
            for _, drift, _ in expected:
                done[DriftKind(drift)] += 1
    assert done[DriftKind.NEW_FIELD] >= 4
    assert done[DriftKind.NEW_TYPE] >= 40
    assert done[DriftKind.MISSING_FIELD] >= 4
    assert done[DriftKind.UNKNOWN_VALUE] >= 1


def test_an_answer_that_is_something_else_altogether_differs_as_a_whole() -> None:
    page = next(one for one in examples() if one.name.endswith("listBets/page"))
    assert told(page, {"message": "moved"}) == [("/v0/bets: $", "new_type", "object")]
    assert told(page, 7) == [("/v0/bets: $", "new_type", "number")]


def test_the_keys_of_a_result_file_are_compared_too() -> None:
    whole = next(one for one in examples() if one.name == "metr/horizon_1_1.yaml")
    text = whole.body.decode()
    place = "/assets/benchmark_results_1_1.yaml: results.*"
    for before, after, expected in (
        ("p80_horizon_length:", "p95_horizon_length:", [
            (f"{place}.metrics.p80_horizon_length", "missing_field", ""),
            (f"{place}.metrics.p95_horizon_length", "new_field", ""),
        ]),
        ("release_date: 2026-03-05", "release_date: [2026-03-05]", [
            (f"{place}.release_date", "new_type", "list"),
        ]),
        ("METR-Horizon-v1.0", "METR-Horizon-v2.0", [
            (f"{place}.benchmark_name", "unknown_value", "METR-Horizon-v2.0"),
        ]),
        ("zebra_2026_inspect", "yak_2027", []),
    ):  # fmt: skip
        assert before in text
        assert told(replace(whole, body=text.replace(before, after).encode())) == expected


def test_whole_and_broken_numbers_are_one_type() -> None:
    page = next(one for one in examples() if one.name.endswith("clobHistory/points"))
    assert told(page, {"history": [{"t": 1, "p": 1}, {"t": 1.5, "p": 0.5}, {"t": 10**30, "p": 0}]}) == []


# --- addresses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "url", "place"),
    [
        ("manifold", "https://api.manifold.markets/v1/bets?contractId=a", "/v1/bets"),
        ("manifold", "https://api.manifold.markets/v0/market/exMkt0001AbC/odds", "/v0/market/*/odds"),
        ("metaculus", "https://www.metaculus.com/api/posts/990001/history/", "/api/posts/*/history"),
        ("kalshi", "https://h/trade-api/v3/contracts/KXEX10X-27-A", "/trade-api/v3/contracts/*"),
        ("polymarket", f"https://h/v3/outcomes/{SOME_ID['polymarket']}", "/v3/outcomes/*"),
        ("forecastbench", "https://h/x/rounds/2026-11-08-llm.json", "/x/rounds/*"),
        ("fatebook", "https://fatebook.io/", "/"),
        ("metr", "https://metr.org/assets/benchmark_results_2_0.yaml", "/assets/*"),
    ],
)
def test_an_unknown_address_is_told_once_and_without_ids(source: str, url: str, place: str) -> None:
    found = compare(source, answer(source, {"a": 1, "b": [2]}, url=url))
    assert [(one.place, one.kind, one.detail) for one in found] == [(place, DriftKind.UNKNOWN_PATH, "")]


def test_a_mirror_may_put_anything_before_the_path() -> None:
    for example in JSON_EXAMPLES:
        path = example.url.split("/", 3)[3].removeprefix("trade-api/v2/")
        moved = replace(example, url=f"http://127.0.0.1:8000/mirror/of/{path}?a=b")
        assert told(moved) == STRANGE.get(example.name, [])


def test_refusals_absences_and_other_peoples_values_are_no_drift() -> None:
    for status in (201, 204, 304, 401, 403, 404, 410, 500):
        assert compare("manifold", answer("manifold", {"x": 1}, status=status, url="https://h/v9")) == ()
    for source in ("panel", "import", "", "../manifold", "MANIFOLD", "a" * 1000, "manifold\n"):
        assert compare(source, answer("manifold", {"x": 1})) == ()


# --- order, position, ids -------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(JSON_EXAMPLES), st.randoms(use_true_random=False))
def test_drift_does_not_depend_on_order_or_position(example: Example, chance: random.Random) -> None:
    value = example.value
    for _ in range(chance.randint(1, 4)):
        value = mutated(chance, value)
    found = told(example, value)
    assert found == sorted(found)
    assert len(set(found)) == len(found)
    assert told(example, shuffled(chance, value)) == found
    later = compare(example.source, replace(example.raw(value), fetched_at=AT + timedelta(days=1)))
    assert [(one.place, one.kind.value, one.detail) for one in later] == found


def shuffled(chance: random.Random, value: Any) -> Any:
    if isinstance(value, list):
        parts = [shuffled(chance, part) for part in value]
        chance.shuffle(parts)
        return parts
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: shuffled(chance, value[name]) for name in names}
    return value


@pytest.mark.parametrize("key", [
    "exMkt0001AbC", "990001", "2026-11-20", "0x" + "ab" * 32, "a.b", "a b", "", "\x1b[31m", "x" * 41, "\u202e",
    "123e4567-e89b-12d3-a456-426614174000", "[]", "$", "a: b", "\ud800",
])  # fmt: skip
def test_a_key_that_may_be_an_id_or_an_attack_is_not_shown(key: str) -> None:
    page = next(one for one in examples() if one.name.endswith("listBets/page"))
    rows = page.value
    rows[0][key] = 1
    assert told(page, rows) in ([("/v0/bets: [].*", "new_field", "")], [])
    assert told(page, rows) or "\ud800" in key  # a lone surrogate is no JSON text the parser would read


def test_an_unknown_word_is_shown_short_and_plain() -> None:
    example = next(one for one in examples() if one.name.endswith("getMarket/binary"))
    ((_, _, detail),) = told(example, {**example.value, "outcomeType": "\x1b[2J" + "W" * 10_000})
    assert detail == "[2J" + "W" * 57


def test_objects_keyed_by_ids_are_maps() -> None:
    prices = next(one for one in examples() if one.name == "manifold/market-probs.json")
    many = {f"exMkt{number}": {"answerProbs": {f"exAns{number}": 0.5}} for number in range(50)}
    assert told(prices, many) == []
    many["exMkt7"] = {"answerProbs": {"exAns7": "0.5"}}
    assert told(prices, many) == [("/v0/market-probs: *.answerProbs.*", "new_type", "string")]


# --- hostile bytes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SHAPED)
@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_never_raises(source: str, body: bytes) -> None:
    """What is no JSON is for the parser; other JSON differs as a whole, or in what it lacks and adds."""
    found = compare(source, answer(source, body))
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no text
    except (ValueError, RecursionError):
        assert found == () or source == "metr"  # much that is no JSON is YAML
    else:
        assert found
        assert len(found) <= MOST
        if not isinstance(value, dict):
            assert {(one.kind, one.place.partition(": ")[2]) for one in found} <= {(DriftKind.NEW_TYPE, "$")}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SHAPED), st.binary(max_size=300), st.text(max_size=80))
def test_arbitrary_bytes_and_addresses_never_raise(source: str, body: bytes, tail: str) -> None:
    urls = (GOOD[source][1], GOOD[source][1].partition("?")[0] + tail, f"https://h/{tail}")
    for raw in (answer(source, body, url=url) for url in urls):
        found = compare(source, raw)
        assert found == compare(source, raw)
        assert len(found) <= MOST
        assert {(one.source, one.payload_sha256) for one in found} <= {(source, raw.sha256)}


def test_an_answer_that_differs_everywhere_is_told_of_in_part_whatever_its_order() -> None:
    example = next(one for one in examples() if one.name.endswith("getMarket/binary"))
    names = [
        "q" + "".join(chr(97 + (number // 26**power) % 26) for power in range(4)) for number in range(5000)
    ]
    for arrangement in (names, names[::-1], random.Random(1).sample(names, len(names))):
        found = told(example, example.value | dict.fromkeys(arrangement, 1))
        assert found == [(f"/v0/market/{{id}}: {name}", "new_field", "") for name in sorted(names)[:MOST]]


def test_deep_and_broad_answers_are_bounded() -> None:
    """What is below a difference, and what documents leave open, is not walked through at all."""
    deep: Any = "x"
    for _ in range(60):
        deep = [{"a": deep}]
    bets = next(one for one in examples() if one.name.endswith("listBets/page"))
    assert ("/v0/bets: [].a", "new_field", "") in told(bets, deep)
    market = next(one for one in examples() if one.name.endswith("getMarket/binary"))
    assert told(market, {**market.value, "description": deep}) == []
    too_deep = b'[{"a":' * 5_000 + b"1" + b"}]" * 5_000
    assert compare("manifold", replace(bets.raw(), body=too_deep)) == ()
    assert compare("manifold", replace(bets.raw(), body=b" " * (33 * 1024 * 1024) + b"{}")) == ()


def test_the_yaml_of_the_examples_is_read_as_the_adapter_reads_it() -> None:
    for example in examples():
        if example.url.endswith(".yaml"):
            assert json_type(load_yaml(example.raw())) == "object"
