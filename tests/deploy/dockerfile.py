"""Reads a Dockerfile as far as ours goes: instructions in order, stages, the environment of the last one."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
IGNORE = ROOT / ".dockerignore"


@dataclass
class Stage:
    """A FROM and what follows it."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        return [told for one, told in self.steps if one == instruction][-1]

    def environment(self) -> dict[str, str]:
        pairs = [part for one, told in self.steps if one == "ENV" for part in shlex.split(told)]
        return dict(pair.split("=", 1) for pair in pairs)

    def command(self, instruction: str) -> list[str]:
        """An exec form."""
        found: list[str] = json.loads(self.last(instruction))
        return found

    def health(self) -> list[str]:
        found: list[str] = json.loads(self.last("HEALTHCHECK").partition(" CMD ")[2])
        return found


def instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    whole = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [
        (word.upper(), told.strip()) for word, _, told in (line.partition(" ") for line in whole.splitlines())
    ]


def stages(path: Path = DOCKERFILE) -> list[Stage]:
    """The stages in order; ARGs before the first FROM are put in."""
    given: dict[str, str] = {}
    found: list[Stage] = []
    for word, told in instructions(path.read_text(encoding="utf-8")):
        if word == "ARG" and not found:
            name, _, value = told.partition("=")
            given[name] = value
        elif word == "FROM":
            base, _, name = told.partition(" AS ")
            for argument, value in given.items():
                base = base.replace(f"${{{argument}}}", value)
            found.append(Stage(base.strip(), name.strip()))
        else:
            found[-1].steps.append((word, told))
    return found


def let_through() -> set[str]:
    """What the ignore file lets into the build: it is an allow-list of names at the top."""
    lines = [line.strip() for line in IGNORE.read_text(encoding="utf-8").splitlines()]
    assert "*" in lines
    return {line[1:] for line in lines if line.startswith("!")}
