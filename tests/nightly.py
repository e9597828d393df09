#!/usr/bin/env python3
"""What is worth doing once a night and is no part of CI:  python3 tests/nightly.py [--out DIR] [--all]

Writes a bill of materials of what the program runs on (CycloneDX JSON, from requirements.lock with its hashes) and asks
whether anything in it has a known vulnerability (pip-audit, by the advisory service of the package index). With
``--all`` also: the steps of the image (as root), the soak with its simulated year and the benches of storage, and those
of the daemon.

Needs Python 3.11, a package index for the two tools (installed into a folder that is removed again; they are not in the
lock, so the newest versions are taken) and, for the audit, access to the advisory service. Where one of these cannot
be reached it says so. Exit 0: all done and nothing found; 1: something was found or failed; 3: something could not
be asked. Nothing found by a service that was not reached is never called well.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
TOOLS = ("pip-audit", "cyclonedx-bom")
OURS = {
    "image": ["-m", "tests.deploy.image"],
    "soak": ["-m", "tests.soak"],
    "start": ["-m", "tests.bench.bench_start"],
    "daemon": ["-m", "tests.bench.bench_daemon"],
}
LIMIT_S = 4 * 3600


def say(text: str) -> None:
    sys.stderr.write(f"==> {text}\n")
    sys.stderr.flush()


def tools(folder: Path) -> Path | None:
    """An environment with the two tools; None when there is no index to get them from."""
    venv.create(folder, with_pip=True)
    pip = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *TOOLS,
    ]
    return folder / "bin" if subprocess.run(pip, check=False).returncode == 0 else None


def bill(binaries: Path, out: Path) -> str:
    """The bill of materials; checked to name every package of the lock."""
    target = out / "sbom.cdx.json"
    command = [binaries / "cyclonedx-py", "requirements", "--output-file", target, LOCK]
    if subprocess.run(command, check=False).returncode:
        return "failed"
    named = {one["name"].lower() for one in json.loads(target.read_text())["components"]}
    wanted = {
        line.split("==")[0].lower() for line in LOCK.read_text().splitlines() if "==" in line.split(" ")[0]
    }
    if wanted - named:
        say(f"not in the bill: {', '.join(sorted(wanted - named))}")
        return "failed"
    say(f"{target}: {len(named)} components")
    return "done"


def audit(binaries: Path, out: Path) -> str:
    """Known vulnerabilities. pip-audit exits with 1 for these and for a service it cannot reach: the report tells."""
    target = out / "audit.json"
    target.unlink(missing_ok=True)
    command = [binaries / "pip-audit", "--requirement", LOCK, "--require-hashes", "--disable-pip"]
    done = subprocess.run(
        [*command, "--format", "json", "--output", target], capture_output=True, text=True, check=False
    )
    if not target.exists() or not target.read_text().strip():
        say(
            f"the advisory service was not reached: {(done.stderr.strip().splitlines() or ['no reason'])[-1][:200]}"
        )
        return "not asked"
    told = json.loads(target.read_text())["dependencies"]
    found = [f"{one['name']} {one['version']}: {flaw['id']}" for one in told for flaw in one.get("vulns", ())]
    skipped = [one["name"] for one in told if "skip_reason" in one]
    for line in found:
        say(line)
    if skipped:
        say(f"not asked about: {', '.join(skipped)}")
    return "failed" if found else "not asked" if skipped else "done"


def main() -> int:
    parser = argparse.ArgumentParser(description="Bill of materials, audit, and what takes long.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "nightly")
    parser.add_argument(
        "--all", action="store_true", help="also the image's steps, the soak and the daemon's benches"
    )
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="speedup-nightly-") as folder:
        binaries = tools(Path(folder))
        if binaries is None:
            say("the package index was not reached: neither bill of materials nor audit")
        results["bill of materials"] = "not asked" if binaries is None else bill(binaries, chosen.out)
        results["audit"] = "not asked" if binaries is None else audit(binaries, chosen.out)
    for name, arguments in OURS.items() if chosen.all else ():
        done = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False, timeout=LIMIT_S)
        results[name] = "failed" if done.returncode else "done"
    for name, result in results.items():
        say(f"{name}: {result}")
    return 1 if "failed" in results.values() else 3 if "not asked" in results.values() else 0


if __name__ == "__main__":
    sys.exit(main())
