"""Writing the recording out: everything anyone can look at, byte for byte the same every time."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.demo.tables import recording
from tracker.demo.recording import make_recording, write_sample


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_two_makings_are_the_same_bytes_in_another_process_and_another_hash_order(tmp_path: Path) -> None:
    count = write_sample(make_recording(), tmp_path / "here")
    done = subprocess.run(
        [sys.executable, "-m", "tracker.demo.recording", str(tmp_path / "there")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "America/Los_Angeles"},
    )
    here = digests(tmp_path / "here")
    assert here == digests(tmp_path / "there")
    assert len(here) == count
    assert done.stdout == f"{count} files in {tmp_path / 'there'}\n"


def test_the_sample_shows_every_platform_and_no_file_before_its_time(tmp_path: Path) -> None:
    write_sample(recording(), tmp_path)
    first, last = tmp_path / "2026-01-20", tmp_path / "2026-08-20"
    for day in (first, last):
        assert {path.name for path in day.iterdir()} == {"forecastbench", "manifold", "metaculus", "metr"}
    assert not (first / "metr/assets/benchmark_results_1_1.yaml").exists()
    assert (last / "metr/assets/benchmark_results_1_1.yaml").exists()
    assert len(list((last / "manifold/v0/market").iterdir())) == 83
