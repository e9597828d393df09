"""The bill of materials says what the lock file pins, no more and no less."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.nightly import bill_of_materials, sbom

ROOT = Path(__file__).parents[1]


def test_the_bill_of_materials_holds_every_pinned_package_with_its_hashes(tmp_path: Path) -> None:
    assert sbom(tmp_path)
    bill = json.loads((tmp_path / "sbom.json").read_text())
    lock = (ROOT / "requirements.lock").read_text()
    pinned = [Requirement(line.removesuffix("\\").strip()) for line in lock.splitlines() if "==" in line[:60]]
    told = {one["name"]: one["version"] for one in bill["components"]}
    assert {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in pinned} == told
    assert sum(len(one["hashes"]) for one in bill["components"]) == lock.count("--hash=sha256:")
    assert all(one["hashes"] for one in bill["components"])
    assert told["apscheduler"] == version("apscheduler"), "what is pinned is what is tested"


def test_extras_and_markers_are_no_part_of_a_name() -> None:
    bill = bill_of_materials(
        'psycopg[binary]==3.3.9 ; python_version > "3" \\\n    --hash=sha256:' + "a" * 64 + "\n"
    )
    (one,) = bill["components"]
    assert (one["purl"], len(one["hashes"])) == ("pkg:pypi/psycopg@3.3.9", 1)
