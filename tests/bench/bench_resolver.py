"""How fast evidence worlds are resolved:  python -m tests.bench.bench_resolver [WORLDS]

Makes random worlds (readings of most proxies at most quarter ends, now and then a source that fails; points of
a series with corrections; what platforms and judges said) for one question of each kind, then times
nothing but the verdicts. Prints the time, the rate, and how often each outcome came up.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import date, timedelta
from random import Random
from typing import Any

from questions.catalogue import load_catalogue
from questions.evidence import Datum, Mark, MarkKind, Word, World, noon
from questions.question import Question
from questions.records import OutcomeState
from questions.resolver import Resolver
from questions.time import parse_utc
from questions.worlds import quarter_ends
from tests.questions.examples import binary

WORLDS = 100_000
AT = parse_utc("2040-01-01")


def indicator(rule: dict[str, Any], **more: Any) -> Question:
    told = {
        "threshold": {"value": 10.0},
        "rule": rule,
        "resolution": {"authority": "a", "if_silent": "annul"},
    }
    return Question.model_validate(binary(**told, **more))


def questions() -> list[Question]:
    known = load_catalogue().questions
    names = ("date-scalable-oversight-3x", "ord-ai-control-vs-scalable-oversight-3x", "date-ai-control-10x")
    dated = {"lower": parse_utc("2026-01-01"), "upper": parse_utc("2027-12-31")}
    platform = {"platform": "manifold", "external_id": "m1", "outcomes": {"yes": "yes", "no": "no"}}
    return [
        *(known[name] for name in names),
        indicator({"kind": "series_threshold", "series": "s1"}),
        indicator(
            {"kind": "first_crossing", "series": "s1", "outcome": "yes"}, kind="date", date_range=dated
        ),
        indicator({"kind": "platform_outcome", **platform}),
    ]


def world(question: Question, resolver: Resolver, chance: Random) -> World:
    names = resolver.series
    if question.battery is not None:
        ends = quarter_ends(question.dates.open, question.dates.close)[:8]
        top = 1.2 * (question.threshold.value if question.threshold else 1.0)
        data = [
            Datum(name, f"{end}", end, noon(end), top, top * chance.uniform(0.6, 1.0))
            for name in names
            for end in ends
            if chance.random() < 0.8
        ]
        failed = [chance.choice(ends)] if chance.random() < 0.2 else []
        return World(data, [Mark(chance.choice(names), end, noon(end), MarkKind.GONE) for end in failed])
    if not names:
        state = chance.choice([OutcomeState.YES, OutcomeState.NO, OutcomeState.VOID])
        return World(words=[Word("manifold", "m1", state, parse_utc("2027-05-01"))])
    data = []
    for number in range(12):
        at = date(2026, 10, 1) + timedelta(days=chance.randrange(420))
        published = noon(at) + timedelta(days=chance.randrange(120))
        data.append(Datum("s1", f"m{number % 9}", at, published, chance.random() * 10.8))
    return World(data)


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else WORLDS
    chance = Random(2027)
    resolvers = [Resolver(question) for question in questions()]
    taken, busy, seen = 0.0, 0.0, Counter[str]()
    by_rule: dict[str, float] = {}
    for resolver in resolvers:
        share = -(-wanted // len(resolvers))
        spent = 0.0
        for done in range(0, share, 1000):
            batch = [world(resolver.question, resolver, chance) for _ in range(min(1000, share - done))]
            started, began = time.perf_counter(), time.process_time()
            verdicts = [resolver.verdict(one, AT) for one in batch]
            spent += time.perf_counter() - started
            busy += time.process_time() - began
            seen.update(verdict.outcome or verdict.state.value for verdict in verdicts)
        taken += spent
        by_rule[f"{resolver.rule} {resolver.question.id}"] = spent
    for name, spent in by_rule.items():
        print(f"  {name:60} {spent:6.2f} s")
    total = sum(seen.values())
    print(f"{total} worlds in {taken:.2f} s, {total / taken:,.0f} a second; {busy:.2f} s of processor time")
    print(", ".join(f"{name} {count}" for name, count in seen.most_common()))


if __name__ == "__main__":
    main()
