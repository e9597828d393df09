"""Drift: how an answer differs from the shape its platform documents, told before a value is lost to it.

Every platform renames, drops and adds fields without notice, and an adapter that ignores what it does not know
is silent about it. So each answer is held against the expected shape of its kind: the fields, their JSON types,
which of them are always there, and the words of closed lists. The shapes stand in ``tracker/shapes``, one
file a source; they are derived from the documents and example answers in ``tests/payloads`` by
``python -m tests.drift.derive`` and reviewed like code.

What counts as drift, and what does not:

* a field no document and no example knows is ``new_field``, wherever a field is no id (objects keyed by
  ids, names or dates are maps; objects the documents leave open are not looked into);
* ``missing_field`` only where the document says that the field is required and every example has it, or, without
  a document, where two or more examples agree: most fields of most platforms may be left out;
* a null is a ``new_type`` unless the document or an example has it; whole and broken numbers are one type;
* ``unknown_value`` only for lists of words the platforms document as closed;
* what is below a difference is not compared any more: one change is one drift.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic_core import from_json

from storage.records import Drift, DriftKind, RawPayload
from tracker.errors import ParseError
from tracker.payload import OK, looks_like_html, plain

__all__ = ["compare"]

MOST = 200  # drifts told of one answer: more is another answer altogether
LARGEST = 32 * 1024 * 1024  # bytes; no source's answers may be as large as that
LARGEST_YAML = 128 * 1024  # YAML is read a hundred times as slowly; METR's files have 30 kB
WORD_CHARS = 60
WHOLE = "$"  # the place of the answer itself

_NAMES: Mapping[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "list",
    dict: "object",
}
#: A field's name: no id, no date, no text. Ids have more digits, dates and texts other characters.
_FIELD = re.compile(r"(?=.{1,40}$)(?!.*[0-9].*[0-9].*[0-9].*[0-9])[A-Za-z_][A-Za-z0-9_?-]*")
_STEP = re.compile(r"(?=.{1,24}$)(?:v[0-9]|[a-z]+(?:[_-][a-z]+){0,2})")


def compare(source: str, raw: RawPayload) -> tuple[Drift, ...]:
    """Every difference between an answer and the shape expected of it, each once, in a fixed order.

    Empty for answers with another status than 200, for sources without shapes, and for what is not JSON (for
    METR: not its YAML): why that cannot be read is for the parser to say. Places hold no ids and no
    positions. Never raises, whatever the bytes are; time and memory are proportional to their number. Of an
    answer that differs in more than two hundred ways the first two hundred, by place, are told.
    """
    shapes = _shapes(source)
    if shapes is None or raw.status != OK:
        return ()
    steps = [unquote(step) for step in urlsplit(raw.url).path.split("/") if step]
    kind = shapes.kind(steps)
    found = _Found()
    if kind is None:
        found.add(_unknown(steps, shapes), DriftKind.UNKNOWN_PATH)
    else:
        try:
            body = _read(raw, kind)
        except (ParseError, ValueError, RecursionError):
            return ()
        _differences(found, kind, body)
    return found.drifts(source, raw)


# --- shapes ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Node:
    """What is expected at one place. ``types`` None: anything; ``fields`` None: not looked into."""

    place: str
    types: frozenset[type] | None = None
    words: frozenset[str] | None = None
    fields: dict[str, _Node] | None = None
    required: frozenset[str] = frozenset()
    values: _Node | None = None
    each: _Node | None = None
    plain: bool = False  # neither words nor anything inside: its type says all


@dataclass(frozen=True)
class _Kind:
    """One kind of answer: where it comes from, and its expected shape."""

    template: str
    steps: tuple[str, ...]
    yaml: bool
    node: _Node


@dataclass(frozen=True)
class _Shapes:
    """The kinds of answer of one source."""

    kinds: tuple[_Kind, ...]
    literals: frozenset[str] = field(default_factory=frozenset)

    def kind(self, steps: list[str]) -> _Kind | None:
        """The kind whose template matches the end of a path: the longest, then the most literal one.

        The end, because a mirror may have put anything before it.
        """
        fitting = [(fit, kind) for kind in self.kinds if (fit := _fit(kind.steps, steps))]
        return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _fit(template: tuple[str, ...], steps: list[str]) -> tuple[int, ...]:
    """How closely the end of a path matches a template: empty when it does not.

    ``{id}`` stands for any step, ``0x{id}`` for one that begins so.
    """
    end = steps[-len(template) :]
    if len(end) < len(template):
        return ()
    closeness = [len(template)]
    for wanted, step in zip(template, end, strict=True):
        start, parameter, _ = wanted.partition("{")
        if not (step.startswith(start) if parameter else step == wanted):
            return ()
        closeness.append(0 if parameter and not start else 1 if parameter else 2)
    return tuple(closeness)


def _unknown(steps: list[str], shapes: _Shapes) -> str:
    """A path without what may be an id."""
    known = [step if step in shapes.literals or _STEP.fullmatch(step) else "*" for step in steps[:12]]
    return "/" + "/".join(known)


@cache
def _shapes(source: str) -> _Shapes | None:
    """The shapes of a source; None when it has none (values entered by hand, say)."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", source):
        return None
    file = files("tracker") / "shapes" / f"{source}.json"
    if not file.is_file():
        return None
    written = json.loads(file.read_text(encoding="utf-8"))
    kinds = tuple(
        _Kind(
            template=template,
            steps=tuple(template.split("/")),
            yaml=template.endswith(".yaml"),
            node=_node(node, f"/{template}: ", "", written["shapes"]),
        )
        for template, node in written["kinds"].items()
    )
    return _Shapes(kinds, frozenset(step for kind in kinds for step in kind.steps if "{" not in step))


def _node(written: Mapping[str, Any], head: str, at: str, shapes: Mapping[str, Any]) -> _Node:
    """A node as the file has it, with everything inside it; ``at`` is its path in the answer."""
    node = _Node(head + (at or WHOLE))
    if "types" not in written:
        return node
    node.types = frozenset(kind for kind, name in _NAMES.items() if name in written["types"])
    if "words" in written:
        node.words = frozenset(written["words"])
    if "each" in written:
        node.each = _node(written["each"], head, f"{at}[]", shapes)
    if "values" in written:
        node.values = _node(written["values"], head, _under(at, "*"), shapes)
    if "shape" in written:
        fields = shapes[written["shape"]]
        node.fields = {name: _node(part, head, _under(at, name), shapes) for name, part in fields.items()}
        node.required = frozenset(name for name, part in fields.items() if part.get("required"))
    node.plain = node.words is None and node.each is None and node.values is None and node.fields is None
    return node


def _under(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


# --- comparing ------------------------------------------------------------------------------------------


@dataclass
class _Found:
    """The differences found so far: the first ``MOST`` in order of place, whatever order they came in."""

    seen: set[tuple[str, DriftKind, str]] = field(default_factory=set)

    def add(self, place: str, kind: DriftKind, detail: str = "") -> None:
        self.seen.add((place, kind, detail))
        if len(self.seen) > 5 * MOST:
            self.seen = set(sorted(self.seen)[:MOST])

    def drifts(self, source: str, raw: RawPayload) -> tuple[Drift, ...]:
        if not self.seen:
            return ()
        digest, at = raw.sha256, raw.fetched_at
        return tuple(
            Drift(source, place, kind, detail, digest, at, at)
            for place, kind, detail in sorted(self.seen)[:MOST]
        )


def _read(raw: RawPayload, kind: _Kind) -> Any:
    """The body. Raises ParseError, ValueError or RecursionError when it cannot be read."""
    largest = LARGEST_YAML if kind.yaml else LARGEST
    if len(raw.body) > largest or looks_like_html(raw.body) or not raw.body.strip():
        raise ValueError("too large, a web page, or nothing")
    if kind.yaml:
        from tracker.sources.metr import load_yaml  # PyYAML loads slowly

        return load_yaml(raw)
    return from_json(raw.body.removeprefix(b"\xef\xbb\xbf"))


def _differences(found: _Found, kind: _Kind, body: Any) -> None:
    waiting: list[tuple[_Node, Any]] = [(kind.node, body)]
    while waiting:
        node, value = waiting.pop()
        if node.types is None:
            continue
        if type(value) not in node.types:
            found.add(node.place, DriftKind.NEW_TYPE, _NAMES.get(type(value), "another"))
        elif isinstance(value, dict):
            waiting.extend(_inside(found, node, value))
        elif isinstance(value, list):
            if node.each is not None:
                waiting.extend(_items(node.each, value))
        elif node.words is not None and isinstance(value, str) and value not in node.words:
            found.add(node.place, DriftKind.UNKNOWN_VALUE, plain(value[: 2 * WORD_CHARS], WORD_CHARS))


def _items(each: _Node, values: list[Any]) -> Iterator[tuple[_Node, Any]]:
    """Of a list of plain things one of each type; of any other, all."""
    if each.plain:
        return ((each, value) for value in {type(value): value for value in values}.values())
    return ((each, value) for value in values)


def _inside(found: _Found, node: _Node, value: dict[str, Any]) -> Iterator[tuple[_Node, Any]]:
    """What an object holds that is to be looked at; a name that is not known is a difference."""
    if node.values is not None:
        yield from _items(node.values, list(value.values()))
        return
    if node.fields is None:
        return
    for name in node.required - value.keys():
        found.add(node.fields[name].place, DriftKind.MISSING_FIELD)
    for name, part in value.items():
        known = node.fields.get(name)
        if known is None:
            found.add(_new_place(node, name), DriftKind.NEW_FIELD)
        elif not (known.plain and known.types is not None and type(part) in known.types):
            yield known, part


def _new_place(node: _Node, name: str) -> str:
    """The place of a field nobody expected. A name that may be an id is not shown."""
    head, _, at = node.place.rpartition(": ")
    shown = name if _FIELD.fullmatch(name) else "*"
    return f"{head}: {_under('' if at == WHOLE else at, shown)}"
