"""What every source keeps, whatever it is: parametrised over the registry, over real sockets and hostile bytes.

A source added to the registry is tested here once it has a good answer in ``tests.sources.answers.GOOD``.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from questions.catalogue import load_catalogue
from questions.series import record_of
from questions.time import EPOCH
from storage.records import Batch, RawPayload
from tests.servers.local import LocalServer, cut, html_page, json_reply, reply, too_many
from tests.servers.spec import SpecServer, load_spec
from tests.sources.answers import AT, GOOD, SOME_ID, answer, link, value
from tracker import sources
from tracker.errors import FetchError, ParseError
from tracker.http import HttpClient, HttpSettings
from tracker.source import Parsed, Request, Source
from tracker.sources import SOURCES

pytestmark = pytest.mark.exhaustive

NAMES = sorted(SOURCES)
RECORDS = load_catalogue().series
MUTATIONS = 200

#: Bodies that are no answer of any source.
NONSENSE = {
    "html": b"<!doctype html><html><body>Just a moment...</body></html>",
    "empty": b"",
    "blank": b" \n ",
    "text": b"OK",
    "null": b"null",
    "number": b"42",
    "list": b"[]",
    "deep": b"[" * 100_000,
    "deep object": b'{"results":' * 50_000,
    "huge number": b'{"id": ' + b"9" * 10_000 + b"}",
    "surrogate": b'{"id": "\\ud800", "results": [], "resolutions": [], "question": ""}',
    "not utf-8": b'{"id": "\xff\xfe"}',
    "nul": b"\x00" * 100,
    "wrong shape": b'{"message": "no such thing", "results": 3, "resolutions": 3, "outcomeType": 3}',
}


QUICK = HttpSettings(attempts=1, backoff_initial_s=0.0, backoff_max_s=0.0, backoff_jitter_s=0.0)


@pytest.fixture(scope="module")
def client() -> Iterator[HttpClient]:
    with HttpClient(user_agent="speedup-tracker tests", settings=QUICK) as client:
        yield client


def good(name: str, **how: Any) -> RawPayload:
    return answer(name, GOOD[name][2], **how)


def request_of(name: str) -> Request:
    """The first request a source makes for a link on its first platform (or for none, if it has no platform)."""
    source = SOURCES[name]
    links = [link(one, SOME_ID.get(one, "990001")) for one in source.traits.platforms[:1]]
    return source.plan(links, AT, None).requests[0]


def fetch(client: HttpClient, server: LocalServer, request: Request, source: Source) -> RawPayload:
    fetched = client.fetch(
        request, source.traits, base_url=server.url, secret="0123456789", now=lambda: AT, validator=None
    )
    assert isinstance(fetched, RawPayload)
    return fetched


def check(parsed: Parsed, raw: RawPayload) -> None:
    """What holds for whatever a source reads: values in range, times aware, every record traced to its bytes."""
    batch = parsed.batch
    for snapshot in batch.values():
        assert snapshot.probability is None or 0.0 <= snapshot.probability <= 1.0
        assert snapshot.as_of.tzinfo is UTC
        assert snapshot.as_of <= raw.fetched_at
        assert snapshot.key.platform in SOURCES[raw.source].traits.platforms
    records: list[Any] = [*batch.values(), *batch.resolutions, *batch.infos, *batch.versions]
    for record in records:
        assert record.payload_sha256 == raw.sha256
        assert record.fetched_at == raw.fetched_at
    assert all(snapshot.key.source == raw.source for snapshot in batch.values())
    for version in batch.versions:
        record = record_of(version.series, RECORDS)
        assert record is not None, version.series
        assert record.source == raw.source
        for point in version.measurements:
            metric = record.metric(point.metric)
            assert metric is not None, (version.series, point.metric)
            assert metric.unit == point.unit
            assert metric.allows(point.value)
            assert raw.source != "metr" or point.value > 0
    for request in parsed.follow:
        assert request.source == raw.source
        assert ".." not in request.path


# --- the registry ---------------------------------------------------------------------------------------


def test_the_registry_names_every_source_by_its_own_name() -> None:
    files = {path.stem for path in Path(sources.__file__).parent.glob("*.py")}
    assert set(SOURCES) == files - {"__init__"}
    assert all(source.traits.name == name for name, source in SOURCES.items())
    assert set(GOOD) == set(SOURCES)


@pytest.mark.parametrize("name", NAMES)
def test_traits_are_whole(name: str) -> None:
    traits = SOURCES[name].traits
    assert traits.base_url.startswith("https://")
    assert traits.base_url.removeprefix("https://").split("/")[0] in traits.hosts
    assert not traits.base_url.endswith("/")
    assert traits.setting.isidentifier()
    assert traits.pace_s > 0
    assert traits.period_hours > 0
    assert traits.credit
    assert traits.licence
    assert SOURCES[name].parser_version


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("since", [None, EPOCH, AT - timedelta(days=7)])
def test_a_plan_is_repeatable_and_stays_below_the_base_url(name: str, since: datetime | None) -> None:
    source = SOURCES[name]
    links = [link(one, SOME_ID.get(one, "990001")) for one in (*source.traits.platforms, "elsewhere")]
    plan = source.plan(links, AT, since)
    assert plan == source.plan(links, AT, since)
    assert plan.requests
    assert len({(request.path, request.params) for request in plan.requests}) == len(plan.requests)
    for request in plan.requests:
        assert request.source == name
        assert not request.path.startswith("/")
        assert ".." not in request.path
        assert request.private == (source.traits.secret is not None)


@pytest.mark.parametrize("name", NAMES)
def test_links_of_other_platforms_are_never_asked_about(name: str) -> None:
    source = SOURCES[name]
    plan = source.plan([link("elsewhere", "SECRET")], AT, EPOCH)
    assert all("SECRET" not in request.path + request.ref for request in plan.requests)
    assert bool(plan.requests) == (source.traits.platforms == ())


# --- over real sockets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_good_answer_comes_through_the_client(name: str, client: HttpClient) -> None:
    source, request = SOURCES[name], request_of(name)
    with LocalServer() as server:
        server.route_others(lambda _: reply(200, GOOD[name][2]))
        raw = fetch(client, server, request, source)
    parsed = source.parse(raw)
    assert parsed.batch != Batch()
    check(parsed, raw)
    asked = server.requests[0]
    assert asked.path == f"/{request.path}"
    traits = source.traits
    key = ((traits.secret_param, "0123456789"),) if traits.secret_param else ()
    assert asked.query == request.params + key
    in_header = request.private and not key
    assert asked.headers.get("authorization") == ("Token 0123456789" if in_header else None)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 400])
def test_a_refusal_of_the_network_kind_never_reaches_the_parser(
    name: str, status: int, client: HttpClient
) -> None:
    with LocalServer() as server:
        server.route_others(lambda _: too_many(status=status))
        with pytest.raises(FetchError):
            fetch(client, server, request_of(name), SOURCES[name])
    with pytest.raises(ParseError, match=str(status)):
        SOURCES[name].parse(good(name, status=status))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_denies_what_was_asked_for(name: str, status: int, client: HttpClient) -> None:
    source, request = SOURCES[name], request_of(name)
    with LocalServer() as server:
        server.route_others(lambda _: json_reply({"detail": "not for you"}, status))
        raw = fetch(client, server, request, source)
    parsed = source.parse(raw)
    assert parsed.denied == (request.ref,)
    assert parsed.faults == ()
    assert all(snapshot.state == "not_permitted" for snapshot in parsed.batch.snapshots)
    check(parsed, raw)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_answer_gives_no_value(name: str, status: int, client: HttpClient) -> None:
    source, request = SOURCES[name], request_of(name)
    with LocalServer() as server:
        server.route_others(lambda _: json_reply({"detail": "nothing here"}, status))
        raw = fetch(client, server, request, source)
    if request.accept_missing:
        parsed = source.parse(raw)
        assert all(snapshot.state == "gone" for snapshot in parsed.batch.snapshots)
        check(parsed, raw)
    else:
        with pytest.raises(ParseError, match=str(status)):
            source.parse(raw)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_for_people_is_refused_in_plain_words(name: str, client: HttpClient) -> None:
    with LocalServer() as server:
        server.route_others(lambda _: html_page())
        raw = fetch(client, server, request_of(name), SOURCES[name])
    with pytest.raises(ParseError, match="HTML"):
        SOURCES[name].parse(raw)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_cut_short_never_becomes_a_value(name: str, client: HttpClient) -> None:
    body = GOOD[name][2]
    with LocalServer() as server:
        server.route_others(lambda _: cut(body, len(body) // 2))
        with pytest.raises(FetchError):
            fetch(client, server, request_of(name), SOURCES[name])


@pytest.mark.parametrize(
    "name",
    ["manifold", "metaculus", "forecastbench", "fatebook", "polymarket", "kalshi", "swebench", "aei"],
)
def test_json_cut_short_is_refused(name: str) -> None:
    body = GOOD[name][2].rstrip()
    for length in range(1, len(body), max(1, len(body) // 97)):
        with pytest.raises(ParseError):
            SOURCES[name].parse(answer(name, body[:length]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_refused(name: str, body: bytes) -> None:
    with pytest.raises(ParseError) as refused:
        SOURCES[name].parse(answer(name, body, ref="990001"))
    assert refused.value.source == name


def test_the_composed_platforms_are_polled_end_to_end(client: HttpClient) -> None:
    """plan, ask, parse, follow: until nothing more is to be asked."""
    with SpecServer("metaculus-read") as server:
        server.choose("listPosts", example="page1")
        server.choose("/api/posts/990404/", status=404)
        links = [link("metaculus", post) for post in ("990001", "990020", "990404")]
        records = poll(client, server, SOURCES["metaculus"], links)
    assert {(v[0], v[1]) for v in records} == {
        ("990001", "yes"),
        ("990020", "q990121"),
        ("990020", "q990122"),
        ("990404", "yes"),
    }
    assert ("990404", "yes", "2026-11-20T12:00:00Z", "gone") in records

    with SpecServer("manifold-read") as server:
        server.route("/v0/market-probs", reply(200, GOOD["manifold"][2]))
        server.choose("/v0/market/exMkt0404", status=404)
        links = [link("manifold", market) for market in ("exMkt0001AbC", "exMkt0003AbC", "exMkt0404")]
        records = poll(client, server, SOURCES["manifold"], links)
    assert {(v[0], v[1]) for v in records} == {
        ("exMkt0001AbC", "yes"),
        ("exMkt0003AbC", "exAns00"),
        ("exMkt0003AbC", "exAns01"),
        ("exMkt0003AbC", "exAns02"),
        ("exMkt0007AbC", "exAns00"),
        ("exMkt0404", "yes"),
    }


def poll(
    client: HttpClient, server: LocalServer, source: Source, links: list[Any]
) -> set[tuple[str, str, str, object]]:
    waiting = list(source.plan(links, AT, None).requests)
    said: set[tuple[str, str, str, object]] = set()
    for _ in range(20):
        if not waiting:
            return said
        raw = fetch(client, server, waiting.pop(), source)
        parsed = source.parse(raw)
        check(parsed, raw)
        waiting.extend(parsed.follow)
        said |= {value(snapshot) for snapshot in parsed.batch.values()}
    raise AssertionError("the poll does not end")


# --- the same bytes, the same records -------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_parsing_is_repeatable(name: str) -> None:
    first, second = SOURCES[name].parse(good(name)), SOURCES[name].parse(good(name))
    assert first == second
    assert first.batch != Batch()
    check(first, good(name))


@pytest.mark.parametrize("name", NAMES)
def test_values_do_not_depend_on_when_the_bytes_are_read_again(name: str) -> None:
    """A later fetch of the same bytes gives the same values; only the times of seeing differ."""
    later = AT + timedelta(days=30)
    now, then = SOURCES[name].parse(good(name)), SOURCES[name].parse(good(name, at=later))
    assert [s.probability for s in now.batch.values()] == [s.probability for s in then.batch.snapshots]
    assert [s.key for s in now.batch.values()] == [s.key for s in then.batch.snapshots]
    check(then, good(name, at=later))


# --- hostile bytes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=400), status=st.sampled_from([200, 200, 200, 403, 404, 500, 999]))
def test_arbitrary_bytes_give_no_value(name: str, body: bytes, status: int) -> None:
    raw = answer(name, body, status=status)
    parse_or_refuse(raw)
    assert numbers(raw) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["results", "resolutions", "questions", "question", "outcomeType", "id", "group_of_questions", "a"]
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=200, deadline=None)
@given(body=st.dictionaries(KEYS, JSON, max_size=5))
def test_arbitrary_json_gives_no_value(name: str, body: dict[str, Any]) -> None:
    raw = answer(name, json.dumps(body).encode("utf-8", "surrogatepass"))
    parse_or_refuse(raw)
    assert numbers(raw) == []


def numbers(raw: RawPayload) -> list[Any]:
    """Every number a payload would put into the store: probabilities, values, measurements, outcomes."""
    try:
        batch = SOURCES[raw.source].parse(raw).batch
    except ParseError:
        return []
    said = [number for one in batch.snapshots for number in (one.probability, one.value)]
    said += [one.value for one in batch.resolutions]
    said += [point.value for version in batch.versions for point in version.measurements]
    return [number for number in said if number is not None]


BETS = "https://api.manifold.markets/v0/bets?contractId=exMkt0001AbC&afterTime=0&limit=1000"


def examples() -> list[Any]:
    """Every good answer of the composed documents, and the fixtures: (source, ref, url, value)."""
    found = []
    for spec, name in (("manifold-read", "manifold"), ("metaculus-read", "metaculus")):
        operations = load_spec(spec).operations.values()
        for operation in (
            one for one in operations if one.name != "getMarketBySlug"
        ):  # the same as getMarket
            for example in operation.names(200):
                shown = operation.example(example)
                ref = str(shown.get("id", "990001")) if isinstance(shown, dict) else "990001"
                url = GOOD[name][1]
                if operation.name == "listBets":
                    ref, url = (shown[0]["contractId"] if shown else "exMkt0001AbC"), BETS
                found.append(pytest.param(name, ref, url, shown, id=f"{name}-{operation.name}-{example}"))
    for name in ("manifold", "forecastbench", "fatebook", "polymarket", "kalshi", "swebench", "aei"):
        ref, url, body = GOOD[name]
        found.append(pytest.param(name, ref, url, json.loads(body), id=f"{name}-fixture"))
    return found


@pytest.mark.parametrize(("name", "ref", "url", "shown"), examples())
def test_mutated_examples_are_read_or_refused(name: str, ref: str, url: str, shown: Any) -> None:
    read_mutated(random.Random(f"{name}{ref}"), answer(name, json.dumps(shown).encode(), ref=ref, url=url))


def read_mutated(chance: random.Random, raw: RawPayload) -> None:
    """Read many mutations of an answer. Of one the adapter reads, more than half must stay readable (of a
    nearly empty one, some): otherwise only the refusal would be tested."""
    small = shortened(json.loads(raw.body))
    readable = 0
    for _ in range(MUTATIONS):
        body = copy.deepcopy(small)
        for _ in range(chance.randint(1, 3)):
            body = mutated(chance, body)
        readable += parse_or_refuse(replace(raw, body=json.dumps(body).encode()))
    if parse_or_refuse(replace(raw, body=json.dumps(small).encode())):
        rich = len(list(slots(small))) >= 10
        assert readable > (MUTATIONS // 2 if rich else 5), f"only {readable} of {MUTATIONS} were read"


def test_mutated_result_files_are_read_or_refused() -> None:
    chance = random.Random("metr")
    text = GOOD["metr"][2].decode()
    readable = 0
    for _ in range(2 * MUTATIONS):
        lines = text.split("\n")
        for _ in range(chance.randint(1, 3)):
            lines = mutated_lines(chance, lines)
        readable += parse_or_refuse(answer("metr", "\n".join(lines).encode()))
    assert readable > MUTATIONS // 4, "the mutations are so wild that they test only the refusal"


@pytest.mark.parametrize("name", ["epoch_eci", "epoch_dc", "mlebench"])
def test_mutated_tables_are_read_or_refused(name: str) -> None:
    chance = random.Random(name)
    lines = GOOD[name][2].decode().split("\n")
    readable = 0
    for _ in range(MUTATIONS):
        body = list(lines)
        for _ in range(chance.randint(1, 3)):
            body = mutated_cells(chance, body)
        readable += parse_or_refuse(answer(name, "\n".join(body).encode("utf-8", "surrogatepass")))
    assert readable > MUTATIONS // 4, "the mutations are so wild that they test only the refusal"


@pytest.mark.parametrize("name", NAMES)
def test_flipped_bytes_are_read_or_refused(name: str) -> None:
    chance = random.Random(name)
    readable = 0
    for number in range(2 * MUTATIONS):
        letters = range(256) if number % 2 else range(0x20, 0x7F)  # the former is seldom even UTF-8
        body = bytearray(GOOD[name][2])
        for _ in range(chance.randint(1, 5)):
            body[chance.randrange(len(body))] = chance.choice(letters)
        readable += parse_or_refuse(answer(name, bytes(body)))
    assert readable > MUTATIONS // 10, f"only {readable} of {2 * MUTATIONS} were read"


def parse_or_refuse(raw: RawPayload) -> bool:
    """Parse; a ParseError that names the source and says why is fine, any other exception or a value out of
    range is not."""
    try:
        parsed = SOURCES[raw.source].parse(raw)
    except ParseError as error:
        refused = error
    else:
        check(parsed, raw)
        return True
    assert refused.source == raw.source
    assert refused.message.strip()
    return False


JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, 1.5, -0.5, 1e308, -1e308, 1e-320, 10**30, float("nan"), float("inf"),
    "", "x", "0.5", "nan", "2026-11-20", "2026-11-20T00:00:00", "9999-12-31T23:59:59+00:00", "\x00", "\u202e",
    "x" * 1000, [], {}, [None], [[]], {"id": None}, "../..", "yes", "annulled", "MKT", "PSEUDO_NUMERIC",
    "numeric", "date",
)  # fmt: skip


def mutated(chance: random.Random, body: Any) -> Any:
    """The same with one place in it, any with the same chance, replaced, removed, doubled or moved."""
    places = list(slots(body))
    if not places or chance.random() < 0.01:
        return copy.deepcopy(chance.choice(JUNK))
    holder, key = chance.choice(places)
    turn = chance.random()
    if turn < 0.15:
        del holder[key]
    elif turn < 0.25 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif turn < 0.3 and isinstance(holder, list):
        chance.shuffle(holder)
    elif turn < 0.4:
        other, name = chance.choice(places)
        holder[key] = copy.deepcopy(other[name])
    else:
        holder[key] = copy.deepcopy(chance.choice(JUNK))
    return body


def slots(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value: (what holds it, its key or index)."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, part in list(inside):
        yield node, key
        yield from slots(part)


CELLS = (
    "", "x", "-1", "0", "1e308", "-1e308", "1e-320", "nan", "inf", "1,5", "101", "1e400", "2026-02-30",
    "9999-12-31", "0001-01-01", "\x00", "\u202e", "\ud800", "x" * 1000, '"', "±", "1 ± x", "|", "[](", "\r",
)  # fmt: skip


def mutated_cells(chance: random.Random, lines: list[str]) -> list[str]:
    """A table with a line removed, doubled or moved, or with another cell in a line."""
    place = chance.randrange(len(lines))
    line, turn = lines[place], chance.random()
    if turn < 0.15:
        return lines[:place] + lines[place + 1 :]
    if turn < 0.3:
        return [*lines[:place], line, *lines[place:]]
    if turn < 0.4:
        other = chance.randrange(len(lines))
        return [*lines[:place], lines[other], *lines[place + 1 :]]
    sign = "|" if "|" in line else ","
    cells = line.split(sign)
    cells[chance.randrange(len(cells))] = chance.choice(CELLS)
    return [*lines[:place], sign.join(cells), *lines[place + 1 :]]


def mutated_lines(chance: random.Random, lines: list[str]) -> list[str]:
    place = chance.randrange(len(lines))
    line, turn = lines[place], chance.random()
    if turn < 0.2:
        return lines[:place] + lines[place + 1 :]
    if turn < 0.4:
        return [*lines[:place], line, *lines[place:]]
    if turn < 0.7:
        name = line.partition(":")[0]
        new = chance.choice(
            ["-1", "0", ".nan", ".inf", "1e400", "null", "[]", "{}", "x", "2026-02-30", "true", "1e-400"]
        )
        return [*lines[:place], f"{name}: {new}", *lines[place + 1 :]]
    return [*lines[:place], "  " + line, *lines[place + 1 :]]


def shortened(node: Any) -> Any:
    """The same with long lists of numbers cut to a few, so that hundreds of mutations stay quick."""
    if isinstance(node, dict):
        return {key: shortened(part) for key, part in node.items()}
    if isinstance(node, list):
        return [shortened(part) for part in (node[:3] if len(node) > 20 else node)]
    return node
