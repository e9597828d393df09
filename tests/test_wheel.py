"""The wheel: exactly three top-level names, and a program that works in an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from questions.catalogue import load_catalogue

ROOT = Path(__file__).resolve().parent.parent
BESIDE_CODE = {
    "questions/README.md",
    "questions/data/LICENCES.md",
    "questions/data/areas.toml",
    "storage/migrations/versions/0001_first.py",
    "tracker/demo/facts/LICENCES.md",
    "tracker/demo/facts/metr_versions.csv",
    "tracker/report/templates/page.html.j2",
    "tracker/shapes/manifold.json",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the locked backend, from what is here."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(ROOT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_top_level_names_are_exactly_the_three(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/", 1)[0] for name in names if ".dist-info/" not in name}
    assert tops == {"tracker", "storage", "questions"}
    assert set(names) >= BESIDE_CODE
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and, through a path file, only the locked packages.

    The packages are those of the running environment: the wheel is what is tested, not the index. The
    project itself is not on that path, so what is imported is what the wheel brought.
    """
    home = tmp_path_factory.mktemp("empty") / "env"
    venv.create(home, with_pip=False)
    site = next(home.glob("lib/python*/site-packages"))
    (site / "locked.pth").write_text(f"{Path(pytest.__file__).parent.parent}\n")
    python = str(home / "bin" / "python")
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
    ]
    done = subprocess.run([*command, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return home / "bin" / "speedup"


def run(script: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SPEEDUP_", "PYTHON"))}
    env |= {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return subprocess.run(
        [str(script), *arguments], capture_output=True, text=True, check=False, cwd=folder, env=env
    )


def test_the_installed_program_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    where = (
        "import tracker, questions, storage; print(tracker.__file__, questions.__file__, storage.__file__)"
    )
    done = subprocess.run(
        [str(installed.parent / "python"), "-c", where],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert all("env/lib" in path for path in done.stdout.split())


def test_help_version_and_the_catalogue_work_after_installation(installed: Path, tmp_path: Path) -> None:
    assert "Which areas" in run(installed, tmp_path, "--help").stdout
    assert run(installed, tmp_path, "--version").stdout.startswith("speedup ")
    assert (
        f"{len(load_catalogue().questions)} questions" in run(installed, tmp_path, "questions", "list").stdout
    )


def test_the_whole_demo_works_after_installation_within_its_minute(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "demo", "--dir", "out", "--json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "index.html").exists()
    assert '"days": 204' in done.stdout
