"""The shipped catalogue once, a copy of it to break, and a folder of one's own to fill."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from questions.catalogue import Catalogue, load_catalogue

Write = Callable[..., Path]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A copy of the packaged data, free to be edited."""
    copy = tmp_path / "base"
    copy.mkdir()
    for entry in (resources.files("questions") / "data").iterdir():
        if entry.name.endswith(".toml"):
            (copy / entry.name).write_bytes(entry.read_bytes())
    return copy


@pytest.fixture
def own(tmp_path: Path) -> Write:
    """Writes a file into a folder of one's own and gives the folder."""
    folder = tmp_path / "own"
    folder.mkdir()

    def write(content: str | bytes, name: str = "mine.toml") -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return write
