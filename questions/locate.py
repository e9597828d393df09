"""Where in a TOML file a key stands; the standard reader gives values without positions.

A scanner walks text that ``tomllib`` has already accepted and notes the line of every key, table and
array element. It decides nothing about validity.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]+")
# A multi-line string may end in up to five quotes: two of them still belong to it.
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


class Locator:
    """Lines of a well-formed TOML text, by key path.

    A path mixes keys and positions: the ``open`` of the third ``[[question]]``'s dates is
    ``("question", 2, "dates", "open")``, whether written as a table, dotted keys or an inline table.
    """

    def __init__(self, text: str) -> None:
        self.lines = _Scanner(text).scan()

    def line(self, path: KeyPath) -> int:
        """The line (from 1) of the key, or of the nearest key around it that is there; else 1."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[KeyPath, int] = {}
        self._sizes: dict[KeyPath, int] = {}  # how many tables each array of tables has so far

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._next_is("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _skip(self, pattern: re.Pattern[str]) -> str:
        """Move past what matches here, or past one character, so that a scan always ends."""
        match = pattern.match(self._text, self._at)
        if match is None:
            self._at += 1
            return ""
        self._at = match.end()
        return match.group()

    def _next_is(self, mark: str) -> bool:
        return self._text.startswith(mark, self._at)

    def _line(self) -> int:
        return bisect_right(self._newlines, self._at - 1) + 1

    def _mark(self, path: KeyPath, line: int) -> None:
        self._lines.setdefault(path, line)

    def _header(self) -> KeyPath:
        line, array = self._line(), self._next_is("[[")
        self._at += 2 if array else 1
        keys = self._keys()
        self._at += 2 if array else 1
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._enter((*path, key), line)
        path = (*path, keys[-1])
        self._mark(path, line)
        if array:
            index = self._sizes.get(path, 0)
            self._sizes[path] = index + 1
            path = (*path, index)
            self._mark(path, line)
        return path

    def _enter(self, path: KeyPath, line: int) -> KeyPath:
        """A header's key that names an array of tables means the table begun last."""
        self._mark(path, line)
        return (*path, self._sizes[path] - 1) if path in self._sizes else path

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            if self._next_is('"') or self._next_is("'"):
                keys.append(str(tomllib.loads(f"key = {self._skip(_STRING)}")["key"]))
            else:
                keys.append(self._skip(_BARE_KEY))
            self._skip(_SPACE)
            if not self._next_is("."):
                return keys
            self._at += 1

    def _pair(self, table: KeyPath) -> None:
        line, path = self._line(), table
        for key in self._keys():
            path = (*path, key)
            self._mark(path, line)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if self._next_is("["):
            self._items(path, "]")
        elif self._next_is("{"):
            self._items(path, "}")
        elif self._next_is('"') or self._next_is("'"):
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)

    def _items(self, path: KeyPath, end: str) -> None:
        self._at += 1
        index = 0
        self._skip(_BLANK)
        while self._at < len(self._text) and not self._next_is(end):
            if end == "]":
                self._mark((*path, index), self._line())
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
            self._skip(_BLANK)
            if self._next_is(","):
                self._at += 1
            self._skip(_BLANK)
        self._at += 1
