"""How long orderings take beside plain vectorised numpy in the same run. Run by hand:

    python -m tests.bench.bench_orders [folder for the store, default a temporary one]

Targets: a million draws of the factor model (10 areas, 7 factors) with ranks and pairs at most 1.5 times plain
numpy, 100,000 values of tau-b at most 1.5 times, and the whole of ``speedup order --json`` on 1,000 questions with
200,000 stored values (and METR's series) under 2 s and 400 MB.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as ``tracker.cli`` does for every command

import numpy as np

from questions.catalogue import load_catalogue
from questions.records import Quantity, SeriesVersion, Snapshot, StreamKey
from storage import open_store
from storage.records import Batch
from tests.bench.bench_trend import best
from tests.estimates.published import GROUPS, essay_table, metr_points
from tracker.estimates.factors import Noise, rank_factors
from tracker.estimates.kendall import tau_b

DRAWS, TAUS, QUESTIONS, VALUES = 1_000_000, 100_000, 1_000, 200
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
say = sys.stdout.write


def plain_smaa(draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and noisy scores all at once, ranks by argsort, pairs by comparison: no care for memory."""
    table = essay_table()
    matrix = np.array([list(row.values()) for row in table.scores.values()])
    weights = np.array(list(table.weights.values()))
    random = np.random.default_rng(1)
    drawn = weights * np.exp(random.normal(0.0, 0.5, (draws, len(weights))))
    cells = np.clip(matrix + random.standard_normal((draws, *matrix.shape)), 1.0, 10.0)
    scores = np.einsum("nf,nfa->na", drawn, cells) / drawn.sum(axis=1, keepdims=True)
    ranks = (-scores).argsort(axis=1).argsort(axis=1)
    count = scores.shape[1]
    acceptability = np.array([np.bincount(ranks[:, i], minlength=count) for i in range(count)]) / draws
    pairs = np.array([[np.mean(scores[:, i] > scores[:, j]) for j in range(count)] for i in range(count)])
    return acceptability, pairs


def plain_tau(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Tau-b by signs of all pairs."""
    left, right = np.triu_indices(x.shape[1], 1)
    one, two = np.sign(x[:, left] - x[:, right]), np.sign(y[:, left] - y[:, right])
    return (one * two).sum(axis=1) / np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))


def fill(path: Path) -> None:
    """A store of 1,000 questions, the linked ones among them, with 200 daily values each, and METR's series."""
    links = [link for link in load_catalogue().links if link.outcome == "yes"]
    keys = [
        StreamKey(link.platform, link.platform, link.external_id, "yes", Quantity.FORECASTER_MEDIAN)
        for link in links
    ]
    keys += [
        StreamKey("manifold", "manifold", f"other-{i}", "yes", Quantity.PLAY_MONEY_PRICE)
        for i in range(QUESTIONS - len(keys))
    ]
    random = np.random.default_rng(2)
    store = open_store(f"sqlite:///{path}")
    for start in range(0, len(keys), 50):
        rows = []
        for key in keys[start : start + 50]:
            walk = np.cumsum(random.normal(0, 0.1, VALUES)) + random.normal()
            for day, p in enumerate((1 / (1 + np.exp(-walk))).tolist()):
                at = NOW - timedelta(days=VALUES - day)
                rows.append(Snapshot(key, at, at, probability=p))
        store.append(Batch(snapshots=tuple(rows)))
    points = tuple(metr_points("2026-05-08"))
    sha = "0" * 64
    store.append(Batch(versions=(SeriesVersion("metr_th11", sha, NOW - timedelta(days=90), points),)))
    say(f"stored: {store.counts()['observation']} values\n")
    store.close()


def command(path: Path) -> tuple[float, float, float]:
    """Seconds, seconds on a processor and megabytes of the whole command in a process of its own, least of five."""
    words = [sys.executable, "-m", "tracker", "order", "--json", "--db", f"sqlite:///{path}"]
    words += ["--as-of", NOW.isoformat()]
    times, used = [], []
    for _ in range(5):
        start, before = perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=os.environ)
        times.append(perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times), min(used), after.ru_maxrss / 1024


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(arguments[0] if arguments else temporary) / "bench.sqlite"
        if not path.exists():
            fill(path)
        seconds, used, megabytes = command(path)
    say(
        f"speedup order --json, {QUESTIONS} questions, {QUESTIONS * VALUES} values: "
        f"{seconds:.2f} s ({used:.2f} s of processor), {megabytes:.0f} MB\n"
    )
    table = essay_table()

    def ours() -> None:
        rank_factors(table, groups=GROUPS, noise=Noise(draws=DRAWS, seed=1))

    mine, plain = best(ours, repeats=3), best(plain_smaa, DRAWS, repeats=3)
    say(
        f"{DRAWS} draws of the factor model: {mine:.2f} s, plain numpy {plain:.2f} s, ratio {mine / plain:.2f}\n"
    )
    random = np.random.default_rng(3)
    x, y = random.standard_normal((2, TAUS, 10))
    mine, plain = best(tau_b, x, y), best(plain_tau, x, y)
    say(f"{TAUS} values of tau-b: {mine:.3f} s, plain numpy {plain:.3f} s, ratio {mine / plain:.2f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
