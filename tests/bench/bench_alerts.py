"""A look at 500 questions with 200,000 values, and the message of what it found. Run by hand:

    python -m tests.bench.bench_alerts [--questions N] [--values N]

Every question walks at random on SQLite; the first look is where things start, the second finds what has moved, the
third, a quarter of an hour later, finds nothing. The voices are left out: ``bench_orders`` times them.
Targets: a look under 5 s and under 400 MB at the peak; the message under 1 s.
"""

from __future__ import annotations

import argparse
import math
import random
import resource
import tempfile
from pathlib import Path
from time import perf_counter

from questions.records import Snapshot
from storage import open_store
from storage.records import Batch
from tests.alerts.world import CHEAP, World, followed, hours, key
from tracker.alerts.evaluate import record


def fill(world: World, questions: int, each: int) -> None:
    chance = random.Random(1)
    for number in range(questions):
        at, snapshots = 0.0, []
        for step in range(each):
            at += chance.gauss(0.0, 0.05)
            when = hours(step)
            backing = {"forecasters": 50, "liquidity": 500.0, "volume": 5000.0}
            price = 1.0 / (1.0 + math.exp(-at))
            snapshots.append(Snapshot(key(str(number)), when, when, probability=price, **backing))  # type: ignore[arg-type]
        world.store.append(Batch(snapshots=tuple(snapshots)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--values", type=int, default=200_000)
    chosen = parser.parse_args()
    each = chosen.values // chosen.questions
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'bench.db'}")
        links = [followed(str(number)) for number in range(chosen.questions)]
        world = World(*links, store=store, move_hold_hours=12)
        fill(world, chosen.questions, each)
        for what, hour in (("first", each / 2), ("second", each), ("third", each + 0.25)):
            begun = perf_counter()
            found = world.evaluate(hour, CHEAP)
            record(store, found)
            print(f"{what} look: {perf_counter() - begun:.2f} s, {len(found.alerts)} alerts")
        begun = perf_counter()
        told = world.tell(each + 0.5).told
        print(f"message of {len(told)} alerts: {perf_counter() - begun:.2f} s")
        store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{chosen.questions} questions, {each * chosen.questions} values; peak {peak:.0f} MiB")


if __name__ == "__main__":
    main()
