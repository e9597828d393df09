#!/usr/bin/env python3
"""Set everything up in .venv and run the demo:  python3 deploy/try.py [arguments of `speedup demo`]

Needs Python 3.11 or newer and its package index, nothing else. Packages are installed from
requirements.lock, every file checked against its hash. Run again: what is there already is used.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def prepare(folder: str, lock: str) -> Path:
    """Make the virtual environment ``folder`` hold what ``lock`` names and this project; returns its bin folder.

    A stamp with the hash of the lock and of pyproject.toml lets a second call return at once.
    """
    if sys.version_info < (3, 11):
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    home = ROOT / folder
    binaries = home / ("Scripts" if os.name == "nt" else "bin")
    stamp = home / ".speedup-stamp"
    wanted = hashlib.sha256(
        b"".join((ROOT / name).read_bytes() for name in (lock, "pyproject.toml")) + sys.version.encode()
    ).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return binaries
    say(f"setting up {folder} from {lock} (a minute or two, once)")
    venv.create(home, with_pip=True, clear=home.exists())
    pip = [str(binaries / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "--requirement", lock])
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", "."])
    stamp.write_text(wanted)
    return binaries


def run(command: list[str]) -> None:
    """Run a command in the project's folder; leave with its exit code when it fails."""
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def say(text: str) -> None:
    sys.stderr.write(f"==> {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    speedup = prepare(".venv", "requirements.lock") / "speedup"
    sys.exit(subprocess.run([str(speedup), "demo", *sys.argv[1:]], check=False).returncode)
