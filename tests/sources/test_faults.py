"""Every fault of network and content against every source, through the real client, collector and store.

Of each: the poll ends and does not raise, no number enters the store that an honest poll would not have put
there, and what went wrong is told: by an error, a note, a refusal, a state, or the drift of the answer's shape.
Then the platform is honest again, and everything is there.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from questions.time import EPOCH
from storage import open_store
from tests.drift.examples import SHAPELESS
from tests.servers.local import (
    Answer,
    Seen,
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
    redirect,
    reply,
    reset,
    stall,
    stall_in_body,
    too_many,
    truncated_gzip,
    wrong_length,
)
from tests.sources.answers import AT
from tests.sources.manifold_bets import path_of
from tests.sources.worlds import BODIES, CONDITION, MARKET, POST, QUICK, TICKER, World, later, numbers
from tracker.http import HttpClient
from tracker.sources import SOURCES

pytestmark = pytest.mark.exhaustive

NAMES = sorted(SOURCES)
#: Feeds of measurements: their answers hold no probabilities, and their shapes are their adapters' business.
SERIES_NAMES = ("metr", *SHAPELESS)
JSON_NAMES = [name for name in NAMES if name not in SERIES_NAMES]
OK = head(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")])

#: What the honest platforms say, read off their answers by hand: (id, outcome) -> numbers by time.
HONEST: dict[str, dict[tuple[str, str], list[tuple[str, float]]]] = {
    "manifold": {
        (MARKET, "yes"): [
            ("2026-07-28T09:00:00+00:00", 0.249),  # before the first bet
            ("2026-11-19T04:00:00+00:00", 0.2594),
            ("2026-11-20T12:00:00+00:00", 0.2594),
        ]
    },
    "metaculus": {
        (POST, "yes"): [
            ("2026-09-01T12:00:00.250000+00:00", 0.18),
            ("2026-09-08T12:00:00.250000+00:00", 0.21),
            ("2026-09-15T12:00:00.250000+00:00", 0.19),
            ("2026-09-22T12:00:00.250000+00:00", 0.26),
        ]
    },
    "polymarket": {
        (CONDITION, "yes"): [
            *(
                (f"2026-09-0{1 + half // 2}T{12 * (half % 2):02}:00:00+00:00", round(0.18 + half / 100, 2))
                for half in range(8)
            ),
            ("2026-11-20T12:00:00+00:00", 0.265),
        ]
    },
    "kalshi": {
        (TICKER, "yes"): [
            ("2026-11-10T05:00:00+00:00", 0.24),
            ("2026-11-11T05:00:00+00:00", 0.25),
            ("2026-11-12T05:00:00+00:00", 0.26),
        ]
    },
    "fatebook": {
        ("exQuestion1", "yes"): [
            ("2026-08-01T12:00:00+00:00", 0.3),
            ("2026-08-03T09:30:00+00:00", 0.45),
            ("2026-09-10T08:00:00+00:00", 0.5),
        ]
    },
    "forecastbench": {
        ("exMkt0001", "yes"): [("2026-10-29T00:00:00+00:00", 0.4375), ("2026-11-19T23:59:59+00:00", 0.625)],
        (POST, "yes"): [("2026-11-19T23:59:59+00:00", 0.26)],
        ("0x" + "0" * 62 + "bb", "yes"): [("2026-10-29T00:00:00+00:00", 0.051)],
        ("4321", "yes"): [("end", 0.5)],
        ("exMkt0002", "yes"): [("end", 1.0)],
        ("0x" + "0" * 62 + "aa", "yes"): [("end", 0.0)],
    },
    "metr": {
        ("metr_th10", "old-model-4"): [("2024-05-13", 15.25), ("2024-05-13", 3.5)],
        ("metr_th11", "aardvark_1"): [("2019-02-14", 0.05), ("2019-02-14", 0.004)],
        ("metr_th11", "middle-model_inspect"): [("2025-01-15", 45.0), ("2025-01-15", 9.0)],
        ("metr_th11", "zebra_2026_inspect"): [("2026-03-05", 1000.25), ("2026-03-05", 120.0)],
    },
    "epoch_hub": {
        ("epoch_swe_bench_verified", "alpha-1_high"): [("2025-06-01", 0.55)],
        ("epoch_swe_bench_verified", "beta-2"): [("2024-11-05", 0.25)],
        ("epoch_swe_bench_bash", "alpha-1"): [("2025-06-01", 0.6)],
        ("epoch_gso", "alpha-1@ToolA"): [("2025-06-01", 0.2)],
        ("epoch_gso", "alpha-1@ToolB"): [("2025-06-01", 0.1)],
        ("epoch_gso", "delta-0@ToolA"): [("2024-01-01", 0.0)],
        ("epoch_posttrainbench", "alpha-1@ToolA"): [("2025-06-01", 0.21)],
        ("epoch_gdpval", "alpha-1"): [("2025-06-01", 0.3), ("2025-06-01", 0.45)],
        ("epoch_gdpval", "beta-2"): [("2024-11-05", 0.1)],
        ("epoch_apex_agents", "alpha-1"): [("2025-06-01", 0.25)],
        ("epoch_apex_agents", "beta-2"): [("2024-11-05", 0.03)],
    },
    "epoch_eci": {
        ("epoch_eci", "Alpha 1"): [("2025-06-01", 151.5)],
        ("epoch_eci", "Anchor"): [("2025-03-01", 150.0)],
        ("epoch_eci", "Beta 2"): [("2024-11-05", 99.5)],
    },
    "epoch_dc": {
        ("epoch_data_centers", "Example Campus@2025-03-01"): [
            ("2025-03-01", n) for n in (40000.0, 100.5, 80.0)
        ],
        ("epoch_data_centers", "Example Campus@2027-09-01"): [("2027-09-01", n) for n in (1.5e6, 1000.0)],
        ("epoch_data_centers", "Sample Site@2024-06-15"): [("2024-06-15", 0.0)] * 3,
    },
    "swebench": {
        ("swebench_verified", "20250701_agent_a"): [("2025-07-01", 61.4)],
        ("swebench_verified", "20231010_agent_b"): [("2023-10-10", 0.0)],
        ("swebench_verified", "20240402_agent_c"): [("2024-04-02", 12.5)],
        ("swebench_bash_only", "20250726_mini_alpha-1"): [("2025-07-26", 55.0)],
    },
    "mlebench": {
        ("mle_bench", "Agent One (Example Labs)@alpha-1@24h@2026-01-05"): [
            ("2026-01-05", n) for n in (80.3, 60.0, 40.0, 62.0)
        ],
        ("mle_bench", "Lab Agent-2.0@beta-2 (low effort)@12h@2025-02-01"): [
            ("2025-02-01", n) for n in (40.5, 10.0, 5.0, 20.5)
        ],
        ("mle_bench", "Baseline@beta-2@24h@2024-10-08"): [("2024-10-08", n) for n in (4.5, 0.0, 0.0, 1.5)],
        ("mle_bench_not_comparable", "Leaky@Ensemble (alpha-1, beta-2)@24h@2026-02-03"): [
            ("2026-02-03", n) for n in (90.0, 72.0, 71.0, 77.0)
        ],
    },
    "aei": {
        ("aei_releases", "release_2026_01_15/data/intermediate/soc_structure.csv"): [("2026-01-15", 2500.0)],
        (
            "aei_releases",
            "release_2026_01_15/data/intermediate/aei_raw_1p_api_2025-11-13_to_2025-11-20.csv",
        ): [("2026-01-15", 4100200.0)],
        ("aei_releases", "release_2026_06_26/data/aei_claude_ai_2026-06-26.csv"): [("2026-06-26", 219e6)],
        ("aei_releases", "release_2026_06_26/data/aei_1p_api_2026-06-26.csv"): [("2026-06-26", 77e6)],
        ("aei_1p_api_2026_01_15", "2025-11-20"): [("2025-11-20", 70.75), ("2025-11-20", 22.25)],
        ("aei_1p_api_2026_06_26", "2026-05-01"): [("2026-05-01", 70.5), ("2026-05-01", 25.5)],
        ("aei_1p_api_2026_06_26", "2026-06-01"): [("2026-06-01", n) for n in (72.0, 3.25, 42.5, 3.5)],
    },
}


def told(world: World) -> dict[tuple[str, str], list[tuple[str, float]]]:
    """The numbers in a world's store: (id, outcome) -> (time, number), sorted."""
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for (_, one, outcome, _), at, number in sorted(numbers(world.stored())):
        found.setdefault((one, outcome), []).append((at, round(number, 12)))
    return {name: sorted(points) for name, points in found.items()}


def honest(name: str) -> dict[tuple[str, str], list[tuple[str, float]]]:
    return {key: sorted(points) for key, points in HONEST[name].items()}


#: The value of the moment. It has a point of its own only where the newest point before it says otherwise.
PRESENT = {"manifold": 0.2594, "polymarket": 0.265, "kalshi": 0.26, "fatebook": 0.5}


def wrong(world: World) -> list[Any]:
    """Numbers in the store that an honest platform would not have given."""
    right = honest(world.source)
    now = (world.now.isoformat(), PRESENT.get(world.source))
    return [
        (key, point)
        for key, points in told(world).items()
        for point in points
        if key not in right or point not in [*right[key], now]
    ]


def missing(world: World) -> list[Any]:
    """Numbers an honest platform has given that are not in the store."""
    kept = told(world)
    return [
        (key, point)
        for key, points in honest(world.source).items()
        for point in points
        if point not in kept.get(key, ())
    ]


def recovers(world: World) -> None:
    """The platform is honest again, an hour later: everything is there, and nothing else."""
    world.fault = None
    world.now = AT  # so that present values stand where the table has them
    world.client._holds.clear()
    world.store.set_health(replace(world.store.health()[world.source], not_before=None))
    report = world.poll(since=EPOCH)
    assert (report.status, report.errors) == ("ok", [])
    assert (wrong(world), missing(world)) == ([], [])


@pytest.mark.parametrize("name", NAMES)
def test_an_honest_platform_gives_these_numbers_and_no_drift(name: str) -> None:
    with World(name) as world:
        report = world.poll()
        assert (report.status, report.errors, world.drifts()) == ("ok", [], [])
        assert told(world) == honest(name)


# --- the network ----------------------------------------------------------------------------------------

BOMB_BYTES = (
    max(source.traits.max_body_bytes for source in SOURCES.values()) + 2**20
)  # too much for any source

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NETWORK: dict[str, tuple[Callable[[bytes], Answer], str]] = {
    "cut in the body": (lambda body: cut(body, len(body) // 2), "cut_off"),
    "chunked body cut": (cut_chunked, "cut_off"),
    "length too long": (lambda body: wrong_length(body, len(body) + 10), "cut_off"),
    "reset in the body": (lambda body: reset(head(200, [("Content-Length", "99")]) + b"abc"), "cut_off"),
    "gzip without its end": (truncated_gzip, "truncated"),
    "reset": (lambda _: reset(), "reset"),
    "no answer": (lambda _: hang_up(), "disconnected"),
    "status line": (lambda _: invalid_status_line(), "protocol"),
    "endless headers": (lambda _: endless_headers(), "protocol"),
    "chunk size": (lambda _: raw(CHUNKED + b"zz\r\nabc"), "protocol"),
    "header bytes": (lambda _: raw(b"HTTP/1.1 200 OK\r\nA B\x00: \x01\r\n\r\n"), "protocol"),
    "negative length": (lambda _: raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), "protocol"),
    "upgrade": (lambda _: raw(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\nabcd"), "protocol"),
    "TLS alert": (lambda _: raw(b"\x15\x03\x01\x00\x02\x02\x50"), "protocol"),
    "unasked coding": (lambda body: encoded_reply(body, "br"), "encoding"),
    "false coding": (lambda body: encoded_reply(body, "gzip"), "encoding"),
    "zip bomb": (lambda _: gzip_bomb(BOMB_BYTES), "too_large"),
    "redirect inside": (lambda _: redirect("http://10.0.0.1/v0/market"), "redirect"),
    "redirect to metadata": (lambda _: redirect("http://169.254.169.254/latest"), "redirect"),
    "redirect to a file": (lambda _: redirect("file:///etc/passwd"), "redirect"),
    "redirect to a stranger": (lambda _: redirect("https://example.org/"), "redirect"),
    "redirect in a circle": (lambda _: redirect("/v0/round"), "redirect"),
    "redirect to nowhere": (lambda _: reply(302, b""), "http_302"),
    **{
        f"status {status}": (lambda _, status=status: reply(status, b"{}"), f"http_{status}")
        for status in (300, 304, 400, 408, 418, 422, 425, 451, 500, 501, 502, 503, 504, 520, 999)
    },
    "slow down": (lambda _: too_many(), "http_429"),
    "slow down for an hour": (lambda _: too_many("3600"), "http_429"),
}
SLOW: dict[str, Callable[[bytes], Answer]] = {
    "silence": lambda _: stall(),
    "half a body": lambda body: stall_in_body(body, len(body) // 2),
    "byte by byte": lambda body: drip(body, 0.05),
    "header by header": lambda _: drip_headers(0.05),
    "a hundred continues": lambda _: endless_informational(),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_of_the_network_is_named_and_stores_nothing(name: str) -> None:
    for fault, (answer, kind) in NETWORK.items():
        with World(name) as world:
            world.server.route("/v0/round", redirect("/v0/round"))
            world.fault = lambda _, body, answer=answer: answer(body)
            report = world.poll()
            assert numbers(world.stored()) == set(), fault
            assert kind in {error.kind for error in report.errors}, (fault, report.errors)
            assert report.status in ("failed", "partial"), fault


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_takes_for_ever_ends_at_the_deadline(name: str) -> None:
    with HttpClient(user_agent="test", settings=replace(QUICK, total_deadline_s=0.08)) as hasty:
        for fault, answer in SLOW.items():
            with World(name, client=hasty) as world:
                world.fault = lambda _, body, answer=answer: answer(body)
                report = world.poll()
                assert numbers(world.stored()) == set(), fault
                assert "timeout" in {error.kind for error in report.errors}, (fault, report.errors)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refusals_and_absences_are_told_apart_from_faults_and_store_no_number(name: str, status: int) -> None:
    with World(name) as world:
        world.fault = lambda *_: json_reply({"detail": "no"}, status)
        report = world.poll()
        assert numbers(world.stored()) == set()
        states = {said for points in world.stored().values() for said in points.values()}
        if status in (401, 403):
            assert (report.status, {error.kind for error in report.errors}) == (
                "not_permitted",
                {"not_permitted"},
            )
            assert states <= {"not_permitted"}
        elif name in (*SERIES_NAMES, "kalshi", "polymarket"):  # a file or a listing, which is always there
            assert {error.kind for error in report.errors} == {f"http_{status}"}
            assert report.status == "failed"
        elif name == "forecastbench":  # one fortnight without a file is an answer, all without one are not
            assert (report.status, states) == ("failed", set())
        else:
            assert states == {"gone"}


@pytest.mark.parametrize("name", NAMES)
def test_all_faults_one_after_the_other_leave_a_real_database_as_an_honest_platform_would(
    name: str, tmp_path: Path
) -> None:
    """A month of bad days, one fault a day, into SQLite: not a number; and the first good day brings all."""
    store = open_store(f"sqlite:///{tmp_path / 'x.sqlite'}")
    with World(name, store) as world:
        world.server.route("/v0/round", redirect("/v0/round"))
        world.now = AT - timedelta(days=2 * len(NETWORK))
        for answer, _ in NETWORK.values():
            world.fault = lambda _, body, answer=answer: answer(body)
            world.client._holds.clear()
            world.poll()
            later(world, days=1)
        assert numbers(world.stored()) == set()
        if name != "forecastbench":  # whose many fortnights without a file are answers on the worst of days
            assert store.health()[name].failures == len(NETWORK)
        recovers(world)
        assert store.check() == []
    store.close()


# --- the content ----------------------------------------------------------------------------------------

#: The fields a price stands in, on any of the platforms.
PRICES = {
    "prob", "probability", "probBefore", "probAfter", "centers", "price", "p", "forecast", "bestBid", "bestAsk",
    "lastTradePrice", "yes_bid_dollars", "yes_ask_dollars", "last_price_dollars", "close_dollars", "resolved_to",
    "freeze_datetime_value",
}  # fmt: skip
TIMES = {"createdTime", "start_time", "timestamp", "t", "end_period_ts", "createdAt"}


def everywhere(value: Any, names: set[str], change: Callable[[dict[str, Any], str], None]) -> Any:
    """The same with a change at every field of these names (below ``price`` of a candle there are fields)."""
    if isinstance(value, dict):
        for name in [*value]:
            if name in names and not isinstance(value[name], dict):
                change(value, name)
            else:
                everywhere(value[name], names, change)
    elif isinstance(value, list):
        for part in value:
            everywhere(part, names, change)
    return value


def changed(
    names: set[str], change: Callable[[dict[str, Any], str], None]
) -> Callable[[Seen, bytes], Answer]:
    def fault(_: Seen, body: bytes) -> Answer:
        if not body.startswith((b"{", b"[")):
            return reply(200, body)
        return json_reply(everywhere(json.loads(body), names, change))

    return fault


def put(said: Any) -> Callable[[dict[str, Any], str], None]:
    def change(holder: dict[str, Any], name: str) -> None:
        holder[name] = [said] if name == "centers" else said

    return change


def renamed(holder: dict[str, Any], name: str) -> None:
    holder[f"{name}Renamed"] = holder.pop(name)


def named(world: World, report: Any) -> bool:
    """Whether a person learns of it: an error, a note, a refusal, a state, or drift."""
    states = [said for points in world.stored().values() for said in points.values() if isinstance(said, str)]
    return bool(report.errors or report.notes or report.denied or states or world.drifts())


NO_PRICES: dict[str, Any] = {
    "1.07": 1.07, "'1.07'": "1.07", "-0.01": -0.01, "NaN": float("nan"), "'NaN'": "NaN",
    "Infinity": float("inf"), "'-Infinity'": "-Infinity", "26 %": "26%", "26": 26, "true": True, "[]": [],
    "{}": {}, "''": "", "1e999": "1e999", "10**30": 10**30, "comma": "0,26", "arabic digits": "٠.٢٦",
}  # fmt: skip


@pytest.mark.parametrize("name", JSON_NAMES)
@pytest.mark.parametrize("said", NO_PRICES.values(), ids=NO_PRICES.keys())
def test_what_is_no_probability_is_not_stored_and_is_named(name: str, said: Any) -> None:
    with World(name) as world:
        world.fault = changed(PRICES, put(said))
        report = world.poll()
        assert numbers(world.stored()) == set()
        assert report.errors, "a wrong number is a fault, not a matter of drift alone"
        recovers(world)


@pytest.mark.parametrize("name", JSON_NAMES)
def test_a_renamed_field_stores_nothing_and_is_named(name: str) -> None:
    with World(name) as world:
        world.fault = changed(PRICES, renamed)
        report = world.poll()
        assert numbers(world.stored()) == set()
        assert named(world, report)
        assert any("Renamed: new_field" in one for one in world.drifts())
        recovers(world)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("estimate:", "estimated:"),
        ("p50_horizon_length:", "p50:"),
        ("results:", "rows:"),
        ("release_date:", "released:"),
        ("METR-Horizon-v1", "METR-Horizon-v2"),
        ("estimate: ", "estimate: -"),
        ("estimate: ", "estimate: .nan #"),
        ("estimate: ", "estimate: .inf #"),
        ("estimate: ", "estimate: 1e999 #"),
        ("release_date: 2", "release_date: 3"),
        ("release_date: ", "release_date: 2026-02-30 #"),
        ("estimate: ", "estimate: &a [*a, *a] #"),
    ],
)
def test_a_wrong_result_file_stores_nothing_wrong_and_is_named(before: str, after: str) -> None:
    with World("metr") as world:
        world.fault = lambda _, body: reply(200, body.replace(before.encode(), after.encode()), "text/yaml")
        report = world.poll()
        assert wrong(world) == []
        assert len(told(world)) < len(HONEST["metr"]) or before == "p50_horizon_length:"
        assert report.errors
        recovers(world)


@pytest.mark.parametrize("name", NAMES)
def test_ten_megabytes_of_nesting_and_pages_for_people_are_refused(name: str) -> None:
    bodies = {
        "lists": b"[" * 5_000_000 + b"]" * 5_000_000,
        "objects": b'{"results":' * 100_000 + b"1" + b"}" * 100_000,
        "wide": b"[" + b"[]," * (1_000 if name == "metr" else 100_000) + b"[]]",  # YAML is read slowly
        "page": b"<!doctype html><title>One moment</title>",
        "nothing": b"",
        "null": b"null",
    }
    for what, body in bodies.items():
        with World(name) as world:
            world.fault = lambda _, __, body=body: reply(200, body)
            report = world.poll()
            assert world.stored() == {}, what
            assert {error.kind for error in report.errors} <= {"shape", "too_large"}, what
            assert report.errors, what
            assert report.status in ("failed", "partial"), (
                what
            )  # a fortnight without a file is an answer, too
            world.drifts()  # comparing ends, too


@pytest.mark.parametrize("name", NAMES)
def test_a_page_for_people_in_place_of_an_answer_is_named_so(name: str) -> None:
    with World(name) as world:
        world.fault = lambda *_: html_page()
        report = world.poll()
        assert numbers(world.stored()) == set()
        assert report.errors
        assert all("HTML" in error.message for error in report.errors)


# --- time -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("date", ["Tue, 01 Jan 2030 00:00:00 GMT", "Fri, 01 Jan 1999 00:00:00 GMT", "soon"])
def test_the_clock_of_the_other_side_does_not_matter(name: str, date: str) -> None:
    with World(name) as world:
        world.fault = lambda _, body: reply(200, body, headers=[("Date", date), ("Age", "86400")])
        assert world.poll().status == "ok"
        assert told(world) == honest(name)


@pytest.mark.parametrize("name", JSON_NAMES)
def test_points_of_the_future_are_not_believed(name: str) -> None:
    """Every time of a point moved ten years ahead: what is stored stands in the present at the latest."""

    def ahead(holder: dict[str, Any], field: str) -> None:
        said = holder[field]
        if isinstance(said, str):
            holder[field] = re.sub(r"^20", "21", said)
        else:
            holder[field] = said + 10 * 366 * 86_400 * (1000 if said > 1e12 else 1)

    def days(_: Seen, body: bytes) -> Answer:
        text = body.replace(b'"resolution_date": "2026', b'"resolution_date": "2036')
        return reply(200, text.replace(b'"freeze_datetime": "2026', b'"freeze_datetime": "2036'))

    with World(name) as world:
        world.fault = days if name == "forecastbench" else changed(TIMES, ahead)
        report = world.poll()
        past = {at for _, at, _ in numbers(world.stored()) if at != "end"}
        assert past <= {AT.isoformat()}, "a point of the future, or one that has lost its time"
        if name in ("manifold", "fatebook", "forecastbench", "polymarket"):
            assert report.errors or report.notes


# --- order, repetition, pages ---------------------------------------------------------------------------


def twice_and_shuffled(chance: random.Random, value: Any) -> Any:
    """Every list of objects doubled and shuffled; lists of numbers are one value and stay."""
    if isinstance(value, dict):
        return {name: twice_and_shuffled(chance, part) for name, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        parts = [twice_and_shuffled(chance, part) for part in value * 2]
        chance.shuffle(parts)
        return parts
    return value


@pytest.mark.parametrize("name", JSON_NAMES)
@pytest.mark.parametrize("seed", range(5))
def test_doubled_points_in_any_order_give_the_same_store(name: str, seed: int) -> None:
    chance = random.Random(seed)

    def fault(_: Seen, body: bytes) -> Answer:
        if not body.startswith((b"{", b"[")):
            return reply(200, body)
        return json_reply(twice_and_shuffled(chance, json.loads(body)))

    with World(name) as world:
        world.fault = fault
        report = world.poll()
        assert (report.status, report.errors) == ("ok", [])
        assert told(world) == honest(name)


def test_a_result_file_that_names_a_system_twice_takes_neither() -> None:
    with World("metr") as world:
        world.fault = lambda _, body: reply(200, doubled(body))
        report = world.poll()
        assert wrong(world) == []
        assert any("twice" in error.message for error in report.errors)


def doubled(body: bytes) -> bytes:
    """A result file whose systems stand in it twice."""
    start, end = body.index(b"results:\n") + len(b"results:\n"), body.index(b"swaa_version")
    return body[:end] + body[start:end] + body[end:]


class Pages:
    """Answers that lead on for ever: each with a cursor nobody has seen, or with the same few."""

    def __init__(self, cursors: int | None) -> None:
        self.cursors, self.number = cursors, 0

    def cursor(self) -> str:
        self.number += 1
        return f"c{self.number if self.cursors is None else self.number % self.cursors}"


@pytest.mark.parametrize("cursors", [1, 2, 7, None], ids=["the same", "two in turn", "a circle", "ever new"])
def test_pages_that_never_end_are_stopped(cursors: int | None) -> None:
    """The same cursor and ever new ones are named. A circle of several is walked once: no answer is asked for
    twice in a poll, and which of its pages should have led on nobody can tell."""
    pages = Pages(cursors)

    def endless(seen: Seen, body: bytes) -> Answer:
        value = json.loads(body)
        if "pagination" in value:
            value["pagination"] |= {"has_more": True, "next_cursor": pages.cursor()}
        return json_reply(value)

    with World("polymarket") as world:
        world.fault = endless
        report = world.poll()
        assert wrong(world) == []
        assert missing(world) == []
        assert len(world.server.requests) <= (25 if cursors is None else cursors + 2)
        named = any("next_cursor" in error.message for error in report.errors)
        assert named == (cursors in (1, None))


def test_a_page_of_bets_that_comes_again_and_again_is_stopped_and_named() -> None:
    """Whatever is asked for, the same full page: it is not from the time that was asked for."""
    rows = path_of([0.3 + number / 10_000 for number in range(1000)], every=60_000)

    with World("manifold") as world:
        world.fault = lambda seen, body: json_reply(rows) if seen.path == "/v0/bets" else reply(200, body)
        report = world.poll()
        made = {row["createdTime"]: row["probAfter"] for row in rows}
        for key, points in told(world).items():
            assert key == (MARKET, "yes")
            for at, said in points:
                assert said in {round(price, 12) for price in (*made.values(), 0.5, 0.2594)}, at
        assert len(world.server.requests) < 10
        assert report.errors


@pytest.mark.parametrize("name", ["kalshi", "polymarket"])
def test_listings_that_always_have_a_further_page_are_not_followed_for_ever(name: str) -> None:
    """A cursor on every page, and never a row that was asked for."""
    listed = {"kalshi": "cursor", "polymarket": "next_cursor"}[name]

    def fault(_: Seen, body: bytes) -> Answer:
        value = json.loads(body)
        if "markets" in value and not any("candlesticks" in row for row in value["markets"]):
            return json_reply({"markets": [], listed: "again"})
        return reply(404, b"{}")

    with World(name) as world:
        world.fault = fault
        report = world.poll()
        assert told(world) == {}
        assert len(world.server.requests) < 10
        assert any("further page" in error.message for error in report.errors)
        recovers(world)


def test_the_files_of_the_worlds_are_readable() -> None:
    """So that no fault above is a fault of the test."""
    for source, paths in BODIES.items():
        for body in paths.values():
            if source == "metr":
                assert b"results:" in body
            elif body.startswith((b"{", b"[")):
                assert json.loads(body)
