#!/usr/bin/env python3
"""What takes too long for every push:  python3 tests/nightly.py [--out DIR] [sbom] [audit] [soak] [year] [bench]

All of it by default, each part to the end whatever the others do; exit code 1 when one failed. What it makes lies
in DIR: ``sbom.json`` (CycloneDX 1.5, from requirements.lock), ``audit.txt`` (pip-audit, installed into an
environment of its own, against the advisories known today: needs the internet), the tables of the soak and of the
year, the figures of the benches. Runs in the environment that tests/check.py sets up.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
BENCHES = ("bench_start", "bench_daemon", "bench_latest", "bench_backfill")


def bill_of_materials(lock: str) -> dict[str, Any]:
    """Every pinned package of a lock file with the hashes that are accepted for it, as CycloneDX 1.5."""
    components: list[dict[str, Any]] = []
    for line in lock.splitlines():
        if pinned := _PINNED.match(line):
            name, version = pinned[1].lower().replace("_", "-"), pinned[2]
            purl = f"pkg:pypi/{name}@{version}"
            components.append(
                {
                    "type": "library",
                    "bom-ref": purl,
                    "name": name,
                    "version": version,
                    "purl": purl,
                    "hashes": [],
                }
            )
        if components:
            components[-1]["hashes"] += [{"alg": "SHA-256", "content": one} for one in _HASH.findall(line)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "speedup-tracker"}},
        "components": components,
    }


def sbom(out: Path) -> bool:
    """Write the bill of materials of what an installation holds."""
    bill = bill_of_materials((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    (out / "sbom.json").write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    return bool(bill["components"])


def audit(out: Path) -> bool:
    """Known vulnerabilities of the pinned packages."""
    with tempfile.TemporaryDirectory(prefix="speedup-audit-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        installed = [python, "-m", "pip", "install", "--quiet", "pip-audit"]
        if subprocess.run(installed, check=False).returncode:
            return False
        asked = [
            python,
            "-m",
            "pip_audit",
            "--disable-pip",
            "--require-hashes",
            "--requirement",
            "requirements.lock",
        ]
        return _kept(asked, out / "audit.txt")


def soak(out: Path) -> bool:
    """At least a thousand kills, and every scene."""
    return _kept([sys.executable, "-m", "tests.soak"], out / "soak.txt")


def year(out: Path) -> bool:
    """A year of polling."""
    return _kept([sys.executable, "-m", "tests.soak.year"], out / "year.txt")


def bench(out: Path) -> bool:
    """The figures of the benches that concern the daemon and the store."""
    ended = [_kept([sys.executable, "-m", f"tests.bench.{one}"], out / f"{one}.txt") for one in BENCHES]
    return all(ended)


def _kept(command: list[str | Path], target: Path) -> bool:
    """Run a command and keep what it prints."""
    with target.open("wb") as file:
        return subprocess.run(command, cwd=ROOT, stdout=file, check=False).returncode == 0


PARTS: dict[str, Callable[[Path], bool]] = {
    "sbom": sbom,
    "audit": audit,
    "soak": soak,
    "year": year,
    "bench": bench,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 tests/nightly.py")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "nightly")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - PARTS.keys():
        parser.error(f"no part named {', '.join(sorted(unknown))}")
    chosen.out.mkdir(parents=True, exist_ok=True)
    failed = [name for name in chosen.parts or PARTS if not PARTS[name](chosen.out)]
    for name in failed:
        sys.stderr.write(f"failed: {name}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
