#!/usr/bin/env python3
"""Set everything up and run every check and test:  python3 tests/check.py [arguments of pytest]

The environment is .venv-dev-<Python version>. SPEEDUP_TESTS_ONLY=1 leaves out linting and types.

Needs Python 3.11 or newer and its package index, nothing else. Some tests want a PostgreSQL server on the
machine; without it those tests are skipped, loudly, with what to install. With SPEEDUP_REQUIRE_ALL=1 (as
in CI) a missing one is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "deploy"))
prepare_module = __import__("try")


def main() -> int:
    folder = f".venv-dev-{sys.version_info.major}.{sys.version_info.minor}"
    binaries = prepare_module.prepare(folder, "requirements-dev.lock")
    python = str(binaries / "python")
    only_tests = bool(os.environ.get("SPEEDUP_TESTS_ONLY"))
    checks = {
        "ruff": [python, "-m", "ruff", "check", "."],
        "format": [python, "-m", "ruff", "format", "--check", "."],
        "imports": [str(binaries / "lint-imports"), "--no-cache"],
        "types": [python, "-m", "mypy"],
        "tests": [python, "-m", "pytest", "-n", "auto", *sys.argv[1:]],
    }
    failed = []
    for name, command in checks.items():
        if only_tests and name != "tests":
            continue
        prepare_module.say(name)
        started = time.monotonic()
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
        prepare_module.say(
            f"{name}: {'FAILED' if name in failed else 'ok'} in {time.monotonic() - started:.0f} s"
        )
    if failed:
        prepare_module.say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
