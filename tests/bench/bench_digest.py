"""How long a digest takes, and how much memory. Run by hand:

    python -m tests.bench.bench_digest [folder for the store, default a temporary one]

Target: over 500 questions with 200,000 stored values, 60 of them resolved, two versions of METR's series and the weeks
that the daemon stores, the digest is built and rendered, pictures included, in under 3 s and 400 MB. The first run is
without those weeks: what comes of a database that no daemon has looked after.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from questions.catalogue import Catalogue, load_catalogue
from questions.model import Link
from questions.records import (
    OutcomeState,
    Quantity,
    QuestionHealth,
    QuestionInfo,
    QuestionState,
    Resolution,
    SeriesVersion,
    Snapshot,
    StreamKey,
)
from storage import open_store
from storage.records import Batch
from tests.estimates.published import metr_points
from tracker.config import Settings

QUESTIONS, VALUES, RESOLVED = 500, 400, 60
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
DAY = timedelta(days=1)
say = sys.stdout.write


def catalogue() -> Catalogue:
    whole = load_catalogue()
    areas = [area.key for area in whole.areas]
    links = tuple(
        Link.model_validate(
            {
                "platform": "metaculus",
                "external_id": str(i),
                "url": f"https://www.metaculus.com/questions/{i}/",
                "label": f"question {i}",
                "relation": "proxy",
                "view": "model",
                "areas": [areas[i % 10]],
                "by": datetime(2031, 1, 1, tzinfo=UTC),
            }
        )
        for i in range(QUESTIONS)
    )
    return replace(whole, links=links)


def fill(path: Path) -> None:
    """One value a day of each question, as polls found it; some close and resolve on the way."""
    store, random = open_store(f"sqlite:///{path}"), np.random.default_rng(5)
    odds = np.cumsum(random.normal(0, 0.08, (VALUES, QUESTIONS)), axis=0) + random.normal(0, 1.2, QUESTIONS)
    chances = 1 / (1 + np.exp(-odds))
    keys = [
        StreamKey("metaculus", "metaculus", str(i), "yes", Quantity.FORECASTER_MEDIAN)
        for i in range(QUESTIONS)
    ]
    for step in range(VALUES):
        at = NOW - (VALUES - step) * DAY + 20 * timedelta(hours=1)
        row = [round(float(p), 4) for p in chances[step]]
        snapshots = (
            Snapshot(key, at, at, probability=p, forecasters=40 + step)
            for key, p in zip(keys, row, strict=True)
        )
        store.append(Batch(tuple(snapshots)))
    infos, resolutions = [], []
    for i in range(QUESTIONS):
        start = NOW - VALUES * DAY
        closes = NOW + (i - RESOLVED) * DAY
        infos.append(
            QuestionInfo("metaculus", "metaculus", str(i), start, f"Question {i}?", closes_at=closes)
        )
        if i < RESOLVED:
            yes = random.random() < chances[-40, i]
            state = OutcomeState.YES if yes else OutcomeState.NO
            told = closes + timedelta(hours=2)
            resolutions.append(
                Resolution(
                    "metaculus", "metaculus", str(i), "yes", state, told, resolved_at=closes, value=float(yes)
                )
            )
    healths = [
        QuestionHealth("metaculus", "metaculus", str(i), NOW - timedelta(hours=3), QuestionState.OK)
        for i in range(QUESTIONS)
    ]
    points = metr_points("2026-05-08")
    older = tuple(replace(point, value=point.value * 1.05) for point in points[:-2])
    versions = (
        SeriesVersion("metr_th11", "a" * 64, NOW - 100 * DAY, tuple(older)),
        SeriesVersion("metr_th11", "b" * 64, NOW - 3 * DAY, tuple(points)),
    )
    store.append(
        Batch(infos=tuple(infos), resolutions=tuple(resolutions), healths=tuple(healths), versions=versions)
    )
    rows = store.counts()["observation"]
    store.close()
    say(f"{path}: {rows:,} values of {QUESTIONS} questions\n")


def once(path: Path) -> None:
    """In a process of its own, with everything it has to load."""
    from tracker.digest.issue import digest_mail
    from tracker.digest.period import period_at

    started = perf_counter()
    store, links = open_store(f"sqlite:///{path}", create=False), catalogue()
    opened = perf_counter()
    content = digest_mail(store, links, Settings(), period_at(NOW))
    done = perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert content.desk is not None
    digest = content.desk.whole
    say(
        f"catalogue {opened - started:.2f} s, digest {done - opened:.2f} s, in all "
        f"{done - started:.2f} s ({process_time():.2f} s of one processor, imports included) and {peak:.0f} MB; "
        f"{digest.n_movers} movers, {len(digest.changes)} orders changed, "
        f"{len(digest.resolved)} resolved; {len(content.html):,} bytes of HTML, "
        f"{len(content.images)} pictures\n{content.subject}\n"
    )


def keep_weeks_of(path: Path) -> None:
    """The weeks before, as the daemon stores them when they end."""
    from tracker.history import keep_weeks
    from tracker.orderings import ModelOptions

    store = open_store(f"sqlite:///{path}", create=False)
    kept = keep_weeks(catalogue(), store, ModelOptions(), until=NOW, made_at=NOW)
    store.close()
    say(f"{len(kept)} weeks stored, as the daemon does\n")


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--once":
        once(Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1] if len(sys.argv) > 1 else folder) / "digest.sqlite"
        if not path.exists():
            fill(path)
        call = [sys.executable, "-m", "tests.bench.bench_digest", "--once", str(path)]
        compiled = {
            **os.environ,
            "PYTHONPYCACHEPREFIX": str(Path(folder) / "pyc"),
        }  # as an installed program is
        compiled.pop("PYTHONDONTWRITEBYTECODE", None)
        subprocess.run(call, check=True, env=compiled, stdout=subprocess.DEVNULL)
        subprocess.run(call, check=True, env=compiled)
        keep_weeks_of(path)
        for _ in range(3):
            subprocess.run(call, check=True, env=compiled)


if __name__ == "__main__":
    main()
