"""From what a record refused to what its author should change: one ``Problem`` per mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from difflib import get_close_matches
from functools import cached_property
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from questions.errors import Problem
from questions.locate import KeyPath, Locator
from questions.model import Record
from questions.question import ContradictionError

RecordT = TypeVar("RecordT", bound=Record)

_LISTABLE = 40
_SHAPES = {
    "tuple_type": "should be an array",
    "model_type": "should be a table",
    "dict_type": "should be a table",
}
_TOML_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a float"),
    (str, "a string"),
    (datetime, "a date-time"),
    (date, "a date"),
    (time, "a time of day"),
    (list, "an array"),
    (dict, "a table"),
)


@dataclass(frozen=True)
class CatalogueFile:
    """A file of the catalogue as read: the name to show, its text, and what it says."""

    name: str
    text: str
    data: Mapping[str, Any]

    @cached_property
    def _locator(self) -> Locator:
        return Locator(self.text)

    def line(self, path: KeyPath) -> int:
        return self._locator.line(path)

    def problem(self, path: KeyPath, message: str) -> Problem:
        key = ".".join(part for part in path if isinstance(part, str))
        return Problem(self.name, self.line(path), key, message)


def suggestion(word: object, known: Iterable[str]) -> str:
    """``: did you mean 'x'?`` when something known looks alike, else what is known if that is not much."""
    names = sorted(set(known))
    near = get_close_matches(str(word), names, n=1)
    if near:
        return f": did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if len(names) <= _LISTABLE else ""


def read_record(
    model: type[RecordT], value: object, file: CatalogueFile, at: KeyPath, problems: list[Problem]
) -> RecordT | None:
    """The record that stands at a place of a file; None, and every reason added, when it is refused."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems.extend(explain(error, model, file, at))
        return None


def explain(
    error: ValidationError, model: type[Record], file: CatalogueFile, at: KeyPath
) -> Iterator[Problem]:
    """Every mistake pydantic found, with its line and what would be right."""
    for detail in error.errors(include_url=False):
        path = (*at, *detail["loc"])
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, ContradictionError):
            for below, message in cause.findings:
                yield file.problem((*path, *below), message)
        else:
            yield file.problem(path, _message(detail, model))


def _message(detail: ErrorDetails, model: type[Record]) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "missing":
        return "this key is required and missing"
    if kind == "extra_forbidden":
        return f"unknown key{suggestion(detail['loc'][-1], _keys_at(model, detail['loc'][:-1]))}"
    if kind in ("enum", "literal_error"):
        expected = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        return f"{value!r} is not known here{suggestion(value, expected or [detail['ctx']['expected']])}"
    if isinstance(value, datetime) and value.tzinfo is None:
        return f"{value.isoformat()} has no offset: write {value.isoformat()}Z if it is UTC"
    if kind.startswith("datetime"):
        return _datetime_message(value)
    if kind in ("value_error", "assertion_error"):
        return str(detail["ctx"]["error"])
    message = _SHAPES.get(kind, detail["msg"].replace("Input should", "should"))
    return f"{message}, not {_toml_name(value)}" if kind.endswith("_type") else f"{message} (it is {value!r})"


def _datetime_message(value: object) -> str:
    if isinstance(value, date):
        return f"a bare date: write the time and offset too, {value.isoformat()}T00:00:00Z"
    if isinstance(value, str):
        return "a date-time is written without quotes, like 2027-01-04T00:00:00Z"
    return f"should be a date-time like 2027-01-04T00:00:00Z, not {_toml_name(value)}"


def _toml_name(value: object) -> str:
    return next((name for kind, name in _TOML_NAMES if isinstance(value, kind)), type(value).__name__)


def _keys_at(model: type[Record], path: tuple[str | int, ...]) -> Iterable[str]:
    for part in path:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        if field is not None:
            model = next(_records_in(field.annotation), model)
    return model.model_fields


def _records_in(annotation: object) -> Iterator[type[Record]]:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        yield annotation
    for part in get_args(annotation):
        yield from _records_in(part)
