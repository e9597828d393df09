"""What comes from outside and means harm, measured:  python -m tests.soak.hostile [--answers N]

H1: answers that are too big, too slow or broken, each asked for by a client of its own with the program's own limits.
H4: mutated answers of every source. H2, H3, X1 and X3 are the tests of these, run here for the table; X2 is the score
of the unit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tests.soak.table import Row, Told, tests_of
from tracker.errors import FetchError, ParseError

ROOT = Path(__file__).parents[2]
ENDS_WITHIN_S, GROWS_AT_MOST_MB = 60.0, 32.0
BODY = b'{"probability": 0.26}' * 40
FAULTS = (
    "gzip bomb of 512 MB",
    "a byte a second",
    "a header a second",
    "endless headers",
    "endless informational answers",
    "JSON 100,000 deep",
    "wrong length",
    "reset",
    "silence",
)

SECRETS = (
    "tests/http/test_secrets.py",
    "tests/daemon/test_process.py",
    "tests/daemon/test_words.py",
    "tests/cli/test_loop.py",
    "tests/cli/test_mail.py",
)
NEUTRAL = ("tests/cli/test_export.py", "tests/daemon/test_words.py")


def one_fault(name: str) -> dict[str, object]:
    """Ask a server that does this, as the program does: how long until it ends, how, and what memory it took."""
    from tests.fuzz.payloads import bases
    from tests.http.conftest import TRAITS
    from tests.servers import local
    from tests.sources.answers import answer
    from tracker.http import HttpClient
    from tracker.source import Request
    from tracker.sources import SOURCES

    does = {
        "gzip bomb of 512 MB": local.gzip_bomb(512 * 2**20),
        "a byte a second": local.drip(BODY, 1.0),
        "a header a second": local.drip_headers(1.0),
        "endless headers": local.endless_headers(),
        "endless informational answers": local.endless_informational(),
        "JSON 100,000 deep": local.reply(200, b"[" * 100_000),
        "wrong length": local.wrong_length(BODY, len(BODY) + 10),
        "reset": local.reset(),
        "silence": local.stall(),
    }
    known, traits = bases(), replace(TRAITS, read_timeout_s=20.0)  # built before memory is measured
    with local.LocalServer() as server, HttpClient(user_agent="soak") as client:
        server.route("/ready", local.json_reply({}))
        server.route("/x", does[name])

        def ask(path: str) -> object:
            return client.fetch(
                Request("metaculus", "q17", path),
                traits,
                base_url=server.url,
                secret=None,
                now=lambda: datetime.now(UTC),
            )

        ask("ready")
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        try:
            raw = ask("x")
            how = "kept, and refused by every adapter"
            for source, samples in ((name, some) for name, some in known.items() if some):
                body = raw.body  # type: ignore[attr-defined]
                try:
                    SOURCES[source].parse(
                        answer(source, body, ref=samples[0].raw.ref, url=samples[0].raw.url)
                    )
                    how = f"read by {source} as if it were well"
                except ParseError:
                    continue
        except FetchError as error:
            how = error.kind
        took = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"how": how, "seconds": took, "grown_mb": (after - before) / 1024}


def faults() -> Row:
    """All at once, each in a process of its own: most of them wait."""
    command = [sys.executable, "-m", "tests.soak.hostile", "--fault"]
    started = {
        name: subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for name in FAULTS
    }
    told, good = [], True
    for name, process in started.items():
        said, _ = process.communicate(timeout=300)
        if process.returncode:
            told, good = [*told, f"{name}: it failed"], False
            continue
        found = json.loads(said)
        good &= found["seconds"] <= ENDS_WITHIN_S and found["grown_mb"] <= GROWS_AT_MOST_MB
        good &= "as if" not in found["how"]
        told.append(f"{name}: {found['how']}, {found['seconds']:.1f} s, {found['grown_mb']:+.0f} MB")
    return Row("H1 answers that mean harm", "; ".join(told), good)


def mutated(answers: int) -> Row:
    """So many mutated answers of every source."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.payloads", str(answers)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    lines = [line.split() for line in done.stdout.splitlines()]
    heads = [one for one in lines if one and one[0] == "source"]
    if done.returncode or not heads:
        return Row("H4 mutated answers", f"it failed: {done.stderr[-200:]}", good=False)
    names = heads[0][1:]
    at = lines.index(heads[0])
    sums = dict.fromkeys(names, 0)
    sources = 0
    for words in lines[at + 1 :]:
        if len(words) == len(names) + 1 and all(map(str.isdigit, words[1:])):
            sources += 1
            for name, number in zip(names, words[1:], strict=True):
                sums[name] += int(number)
    wrong = [sums[name] for name in ("crashes", "wrong", "lost")]
    told = f"{sources} sources: " + ", ".join(f"{number} {name}" for name, number in sums.items())
    return Row(f"H4 {answers} mutated answers a source", told, wrong == [0, 0, 0] and sources > 0)


def unit_score() -> Row:
    """The unit's exposure, by systemd's own tool."""
    what = "X2 `systemd-analyze security --offline=yes`"
    if shutil.which("systemd-analyze") is None:
        return Row(what, "systemd-analyze is not installed here: not asked", good=True)
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", "deploy/speedup.service"],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "LC_ALL": "C.UTF-8"},
    ).stdout  # fmt: skip
    level = re.search(r"Overall exposure level for speedup\.service: ([\d.]+)", told)
    return Row(what, f"{level[1] if level else 'no score'}", level is not None and float(level[1]) <= 1.5)


def rows(answers: int) -> Iterator[Row]:
    """Every row about what comes from outside, and about secrets."""
    yield faults()
    yield tests_of("H2 429 and Retry-After", "tests/http/test_retries.py", "tests/http/test_limits.py")
    yield tests_of("H3 addresses inside, direct and by redirect", "tests/http/test_guard.py")
    yield mutated(answers)
    yield tests_of("X1 canary secrets", *SECRETS)
    yield unit_score()
    yield tests_of("X3 formulas in exports, forged log lines", *NEUTRAL)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.hostile")
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--fault", choices=FAULTS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.fault:
        print(json.dumps(one_fault(chosen.fault)))
        return 0
    found = Told()
    for one in rows(chosen.answers):
        found.append(one)
    return 0 if all(one.good for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
