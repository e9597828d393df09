"""Cold start of the program against a bare interpreter:  python -m tests.bench.bench_start

Prints the median wall time of `python -c pass`, of `speedup --version` and of `speedup --help`, and the
ratios to the first, all measured in turn in the same run.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROUNDS = 15


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    speedup = str(Path(sys.executable).with_name("speedup"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "speedup --version": [speedup, "--version"],
        "speedup --help": [speedup, "--help"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            taken[name].append(seconds(command))
    base = median(taken["python -c pass"])
    for name, times in taken.items():
        print(f"{name:20} {median(times) * 1000:7.1f} ms   {median(times) / base:5.2f}x")


if __name__ == "__main__":
    main()
