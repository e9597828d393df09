"""Thousands of mutated answers per source, read by its adapter and a second time plainly. Run by hand:

    python -m tests.fuzz.payloads [HOW MANY PER SOURCE] [SEED]

Each answer is one of the documents' examples or the fixtures with one to three changes (a field dropped, doubled,
moved, of another type or out of range; one in ten is cut short or has a byte changed as well). Counted are:

* crashes: anything but records or a ParseError;
* refused answers, and rows accepted of the others (numbers that would be stored for a question that is asked);
* wrong rows: out of range, from the future, or stated by no unit of the mutated answer (``tests.fuzz.readers``);
* lost rows: stated by the answer before and after the change, read before and nothing in their place after it,
  without an error, a fault, a note or drift that would tell.
"""

from __future__ import annotations

import copy
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from storage.records import RawPayload
from tests.drift.examples import SHAPED
from tests.fuzz import readers
from tests.fuzz.readers import Reader, Statement
from tests.servers.spec import load_spec
from tests.sources.answers import AT, GOOD, PAYLOADS, answer
from tests.sources.manifold_bets import path_of
from tests.sources.test_contract import mutated, mutated_lines, shortened
from tests.sources.worlds import CONDITION, TICKER
from tracker.drift import compare
from tracker.errors import ParseError
from tracker.source import Parsed
from tracker.sources import SOURCES

API = "https://api.example"
SINCE = f"{CONDITION},since=0"


@dataclass(frozen=True)
class Base:
    """An honest answer, and how it is read plainly."""

    raw: RawPayload
    reader: Reader

    @property
    def value(self) -> Any:
        return self.raw.body.decode() if self.raw.source == "metr" else json.loads(self.raw.body)


def bases() -> dict[str, list[Base]]:
    """The answers that are mutated, by source."""
    found: dict[str, list[Base]] = {name: [] for name in SOURCES}

    def add(source: str, reader: Reader, body: Any, ref: str, path: str) -> None:
        found[source].append(Base(answer(source, body, ref=ref, url=f"{API}/{path}"), reader))

    manifold, metaculus = load_spec("manifold-read"), load_spec("metaculus-read")
    prices = json.loads(GOOD["manifold"][2])
    add("manifold", readers.manifold_prices, prices, ",".join(prices), "v0/market-probs?ids=a")
    for name in (
        "binary", "resolved_yes", "resolved_mkt", "multiple_choice_dependent", "multiple_choice_independent",
        "multiple_choice_dependent_resolved", "multi_numeric", "date",
    ):  # fmt: skip
        shown = manifold.example("getMarket", name)
        add("manifold", readers.manifold_market, shown, shown["id"], f"v0/market/{shown['id']}")
    exclusive = json.loads((PAYLOADS / "manifold" / "bets-exclusive.json").read_bytes())
    for rows in (exclusive, path_of([0.3, 0.35, 0.2, 0.6]), manifold.example("listBets", "page")):
        where = f"v0/bets?contractId={rows[0]['contractId']}&afterTime=0&limit=1000"
        add("manifold", readers.manifold_bets, rows, rows[0]["contractId"], where)
    for name in ("binary_open", "binary_resolved_yes", "binary_annulled", "multiple_choice"):
        shown = shortened(metaculus.example("getPost", name))
        add("metaculus", readers.metaculus_post, shown, str(shown["id"]), f"api/posts/{shown['id']}/")
    listing = json.loads(GOOD["polymarket"][2])
    asked = ",".join(row["conditionId"] for row in listing["markets"])
    add("polymarket", readers.polymarket_listing, listing, asked, "markets/keyset?condition_ids=a")
    for name in ("whole_life", "settled", "page1"):
        shown = load_spec("polymarket-data-v2-read").example("dataHistory", name)
        where = "v2/prices-history?token_id=1&interval=max"
        add("polymarket", readers.polymarket_history, shown, SINCE, where)
    markets = json.loads(GOOD["kalshi"][2])
    asked = ",".join(row["ticker"] for row in markets["markets"])
    add("kalshi", readers.kalshi_markets, markets, asked, "markets?tickers=a")
    shown = {"markets": load_spec("kalshi-read-3.30.0").example("batchCandles", "two")["markets"][:1]}
    add("kalshi", readers.kalshi_candles, shown, TICKER, f"markets/candlesticks?market_tickers={TICKER}")
    for name in ("question.json", "options.json"):
        shown = json.loads((PAYLOADS / "fatebook" / name).read_bytes())
        add(
            "fatebook",
            readers.fatebook_question,
            shown,
            "exQuestion1",
            "v0/getQuestion?questionId=exQuestion1",
        )
    for name, reader in (
        ("2026-11-08_resolution_set.json", readers.forecastbench_outcomes),
        ("2026-11-08-llm.json", readers.forecastbench_questions),
    ):
        shown = json.loads((PAYLOADS / "forecastbench" / name).read_bytes())
        add("forecastbench", reader, shown, "2026-11-08", f"datasets/x/{name}")
    for suite, series in (("1_1", "metr_th11"), ("1_0", "metr_th10")):
        body = (PAYLOADS / "metr" / f"horizon_{suite}.yaml").read_bytes()
        add("metr", readers.metr_results, body, series, f"assets/benchmark_results_{suite}.yaml")
    return found


@dataclass
class Tally:
    """What came of the mutated answers of one source."""

    answers: int = 0
    crashes: int = 0
    refused: int = 0
    rows: int = 0
    wrong: int = 0
    lost: int = 0
    shown: list[str] = field(default_factory=list)

    def show(self, what: str) -> None:
        if len(self.shown) < 10:
            self.shown.append(what[:600])


def fuzz(source: str, count: int, seed: int = 0) -> Tally:
    """Read ``count`` mutated answers of a source."""
    tally, known = Tally(), bases()[source]
    for turn in range(count):
        chance = random.Random(f"{source} {seed} {turn}")
        base = known[turn % len(known)]
        read_into(tally, base, changed(chance, base), f"{source} {turn}")
    return tally


def changed(chance: random.Random, base: Base) -> bytes:
    """The body of an answer with one to three changes."""
    if base.raw.source == "metr":
        lines = base.value.split("\n")
        for _ in range(chance.randint(1, 3)):
            lines = mutated_lines(chance, lines)
        body = "\n".join(lines).encode()
    else:
        value = copy.deepcopy(base.value)
        for _ in range(chance.randint(1, 3)):
            value = mutated(chance, value)
        body = json.dumps(value).encode()
    turn = chance.random()
    if turn < 0.05:
        return body[: chance.randrange(len(body) + 1)]
    if turn < 0.1 and body:
        at = chance.randrange(len(body))
        return body[:at] + bytes([chance.randrange(0x20, 0x7F)]) + body[at + 1 :]
    return body


def read_into(tally: Tally, base: Base, body: bytes, name: str) -> None:
    tally.answers += 1
    raw = answer(base.raw.source, body, ref=base.raw.ref, url=base.raw.url)
    try:
        drift = compare(raw.source, raw)
        parsed = SOURCES[raw.source].parse(raw)
    except ParseError:
        tally.refused += 1
        return
    except Exception as error:  # what a fuzzer is for: named, counted, and the rest is read
        tally.crashes += 1
        tally.show(f"{name}: {type(error).__name__}: {error}")
        return
    said = list(statements(parsed, followed(base)))
    stated = list(plainly(base.reader, raw))
    tally.rows += len(said)
    for one in said:
        if not possible(raw.source, one) or not any(same(one, other) for other in stated):
            tally.wrong += 1
            tally.show(f"{name}: {one} is stated nowhere in {body[:2000]!r}")
    if parsed.faults or parsed.notes or parsed.denied or parsed.follow or drift:
        return
    for one in statements(SOURCES[raw.source].parse(base.raw), followed(base)):
        if one[2] == "now" or any(one[:3] == other[:3] for other in said):
            continue  # of two statements about one time either may be taken
        if any(same(one, other) for other in stated):
            tally.lost += 1
            tally.show(f"{name}: {one} was lost without a word in {body[:2000]!r}")


def plainly(reader: Reader, raw: RawPayload) -> Iterator[Statement]:
    """What the plain reader makes of a body the adapter could read."""
    yield from reader(raw.body if raw.source == "metr" else json.loads(raw.body), raw.ref)


def followed(base: Base) -> set[str]:
    """The questions an answer was asked for; of a file, all that it names."""
    if base.raw.source in ("metr", "forecastbench"):
        return {one[0] for one in plainly(base.reader, base.raw)}
    return set(base.raw.ref.split(","))


def statements(parsed: Parsed, questions: set[str]) -> Iterator[Statement]:
    """The probabilities, outcomes and measurements of a batch that would be stored, as statements.

    Values in real units (means of ladders, say) are left out: the plain readers know no distributions.
    """
    for one in parsed.batch.values():
        said = one.probability
        if said is not None and one.key.external_id in questions:
            at = round(one.as_of.timestamp() * 1000) if one.timed_by_source else "now"
            yield one.key.external_id, one.key.outcome, at, said
    for end in parsed.batch.resolutions:
        if end.value is not None and end.outcome != "value" and end.external_id in questions:
            yield end.external_id, end.outcome, "end", end.value
    for version in parsed.batch.versions:
        for point in version.measurements:
            midnight = AT.replace(year=point.at.year, month=point.at.month, day=point.at.day, hour=0)
            yield point.key, point.metric, round(midnight.timestamp() * 1000), point.value


def possible(source: str, one: Statement) -> bool:
    """Whether a number is in its range and its time not ahead."""
    _, _, at, said = one
    in_range = said > 0 if source == "metr" else 0.0 <= said <= 1.0
    return in_range and (isinstance(at, str) or source == "metr" or at <= AT.timestamp() * 1000)


def same(one: Statement, other: Statement) -> bool:
    """Equal but for rounding; the price before a market's first bet has the time the market was made."""
    return one[:3] == other[:3] and abs(one[3] - other[3]) <= 1e-9 * max(1.0, abs(one[3]))


def table(tallies: Sequence[tuple[str, Tally]]) -> str:
    """One line a source."""
    names = [one.name for one in fields(Tally) if one.name != "shown"]
    lines = [f"{'source':14}" + "".join(f"{name:>10}" for name in names)]
    for source, tally in tallies:
        lines.append(f"{source:14}" + "".join(f"{getattr(tally, name):10}" for name in names))
    return "\n".join(lines) + "\n"


def main() -> None:
    given = [int(word) for word in sys.argv[1:]]
    count, seed = (*given, *(10_000, 0)[len(given) :])[:2]
    started, tallies = time.perf_counter(), []
    for source in SHAPED:
        tallies.append((source, fuzz(source, count, seed)))
        for line in tallies[-1][1].shown:
            sys.stdout.write(f"{line}\n")
    sys.stdout.write(
        f"{table(tallies)}{count} a source, seed {seed}: {time.perf_counter() - started:.0f} s\n"
    )


if __name__ == "__main__":
    main()
