"""The locator against the standard reader: every value's line, in whatever way the file is written."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from questions.locate import KeyPath, Locator


def leaves(node: object, path: KeyPath = ()) -> dict[KeyPath, object]:
    if isinstance(node, dict):
        items: Any = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    else:
        return {path: node}
    return {at: leaf for key, below in items for at, leaf in leaves(below, (*path, key)).items()}


@dataclass
class Writer:
    """Writes random TOML in which every value carries a mark of its own on the line where it begins."""

    draw: Any
    count: int = 0
    lines: list[str] = field(default_factory=list)

    def pick(self, *choices: str) -> str:
        return str(self.draw(st.sampled_from(choices)))

    def number(self, most: int) -> int:
        return int(self.draw(st.integers(0, most)))

    def mark(self) -> str:
        self.count += 1
        return f"m{self.count:05d}m"

    def key(self) -> str:
        self.count += 1
        name = f"k{self.count}"
        return self.pick(name, f'"{name} x"', f"'{name}.[y]'", f'"{name}\\u00e9 # \\""', f"{name}-")

    def space(self) -> str:
        return self.pick("", " ", "\t", "  ")

    def scalar(self) -> str:
        mark = self.mark()
        number = mark.strip("m")
        return self.pick(
            f'"{mark} \\" # ] }}"',
            f"'{mark} \\ [x] = '",
            f"1{number}",
            f"-1{number}.5",
            f"0x1{number}",
            f"2027-01-04 00:00:00.{number}0Z",
            f'"""{mark}\n[not.a.table]\nk = 1 # "" \\"""\n  # no comment"""""',
            f"'''{mark}\n[[nor.this]]\n\"quoted\" = '' ''''",
        )

    def break_line(self) -> str:
        return self.pick("", " ", "\n", "\n  # a comment, with [brackets] and = \n\n", " # tail\n")

    def value(self, depth: int) -> str:
        kind = self.pick("scalar", "scalar", "array", "inline") if depth else "scalar"
        if kind == "array":
            items = [self.break_line() + self.value(depth - 1) for _ in range(1 + self.number(3))]
            return "[" + f"{self.break_line()},".join(items) + self.pick("", ",") + self.break_line() + "]"
        if kind == "inline":
            return "{ " + ", ".join(self.pair(depth - 1) for _ in range(1 + self.number(2))) + " }"
        return self.scalar()

    def pair(self, depth: int) -> str:
        dotted = f"{self.key()}{self.space()}.{self.space()}" if self.number(3) == 0 else ""
        return f"{dotted}{self.key()}{self.space()}={self.space()}{self.value(depth)}"

    def pairs(self) -> None:
        for _ in range(self.number(3)):
            self.lines.append(self.space() + self.pair(2) + self.pick("", " # done"))
            self.lines.append(self.pick("", "# between", "\n"))

    def section(self, above: str, depth: int) -> None:
        name = f"{above}{self.space()}.{self.space()}{self.key()}" if above else self.key()
        array = self.number(1) == 1
        for _ in range(1 + (self.number(2) if array else 0)):
            space = self.space()
            self.lines.append(f"[[{space}{name}{space}]]" if array else f"[{space}{name}{space}] # head")
            self.pairs()
            for _ in range(self.number(1) if depth else 0):
                self.section(name, depth - 1)

    def document(self) -> str:
        self.pairs()
        for _ in range(self.number(3)):
            self.section("", 1)
        return "\n".join(self.lines) + self.pick("", "\n")


@st.composite
def documents(draw: Any) -> str:
    return Writer(draw).document()


def marked(leaf: object) -> str:
    """The digits of a value's mark, however the value is written."""
    text = f"{leaf:%f}"[:-1] if hasattr(leaf, "tzinfo") else str(leaf)
    if isinstance(leaf, str):
        return text[1:6]
    return text if hasattr(leaf, "tzinfo") else text.lstrip("-").split(".")[0][1:]


def shows(line: str, leaf: object) -> bool:
    if isinstance(leaf, int) and f"0x{leaf:x}" in line:
        return True
    return marked(leaf) in line


@settings(max_examples=60, deadline=None)
@given(documents())
def test_every_value_stands_on_the_line_the_locator_gives(text: str) -> None:
    values = leaves(tomllib.loads(text))
    locator, lines = Locator(text), text.split("\n")
    for path, leaf in values.items():
        assert path in locator.lines, (path, text)
        assert shows(lines[locator.line(path) - 1], leaf), (path, leaf, text)


@settings(max_examples=30, deadline=None)
@given(documents())
def test_nothing_is_located_that_is_not_there(text: str) -> None:
    def reached(node: object, path: KeyPath = ()) -> set[KeyPath]:
        if isinstance(node, dict):
            items: Any = node.items()
        else:
            items = enumerate(node) if isinstance(node, list) else ()
        return {path}.union(*(reached(below, (*path, key)) for key, below in items))

    assert set(Locator(text).lines) == reached(tomllib.loads(text)) - {()}


@pytest.mark.parametrize(
    "name", ["areas", "batteries", "factors", "links", "requirements", "templates", "watch"]
)
def test_shipped_files_are_located_whole(name: str) -> None:
    text = (resources.files("questions") / "data" / f"{name}.toml").read_text("utf-8")
    located = Locator(text).lines
    lines = text.split("\n")
    for path in leaves(tomllib.loads(text)):
        assert path in located
        keys = [part for part in path if isinstance(part, str)]
        if isinstance(path[-1], str):
            assert lines[located[path] - 1].startswith(keys[-1])


def test_a_missing_key_is_shown_at_the_table_that_lacks_it() -> None:
    locator = Locator("a = 1\n\n[[b]]\nx = 1\n\n[[b]]\n[b.c]\ny = 1\n")
    assert locator.line(("b", 1, "c", "z")) == 7
    assert locator.line(("b", 1, "z")) == 6
    assert locator.line(("b", 0, "z")) == 3
    assert locator.line(("nowhere",)) == 1
