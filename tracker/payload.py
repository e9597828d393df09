"""Reading hostile bytes: JSON into models, numbers into times, and records into one tidy batch.

Shared by the adapters in ``tracker.sources``, which do not know each other. Nothing here touches the
network or the clock. Every byte is wrong until a model has accepted it; messages name the place and never
echo the input.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from questions.records import History, QuestionInfo, Resolution, SeriesVersion, Snapshot, StreamKey
from questions.time import EPOCH, parse_utc
from storage.records import Batch, RawPayload
from tracker.errors import ParseError
from tracker.source import Fault, Parsed, Request

OK = 200
FORBIDDEN = (401, 403)
MISSING = (404, 410)

#: The words of ``QuestionInfo.status``; "" when a platform's own word means none of these.
STATUSES = ("upcoming", "open", "closed", "resolved", "void")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_HTML = re.compile(rb"\s*<(?:!doctype|html|head|body|!--|\?xml)", re.IGNORECASE)
_DECIMAL = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_OBJECT = TypeAdapter(dict[str, Any])
_LIST = TypeAdapter(list[Any])


class Payload(BaseModel):
    """Base of what we expect of a foreign object: strict types, no NaN, unknown keys ignored."""

    model_config = ConfigDict(
        strict=True, extra="ignore", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


Model = TypeVar("Model", bound=Payload)

# --- numbers and times ----------------------------------------------------------------------------------


def from_seconds(seconds: float) -> datetime:
    """The aware UTC instant of a count of seconds since 1970. Raises ValueError outside the calendar."""
    try:
        return EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError) as error:
        raise ValueError("outside the calendar") from error


def _text_time(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_utc(value)
    except ValueError:
        raise ValueError("is no ISO 8601 time with an offset") from None


def _milliseconds(value: object) -> object:
    """Milliseconds as an instant; beyond the calendar (a closing time in the year 10000) is no time."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value if value is None else str(value)
    try:
        return from_seconds(value / 1000)
    except (ValueError, OverflowError):
        return None


def _decimal(value: object) -> object:
    """Decimal text, or a JSON number by the shortest text that is it: nothing is rounded before sums are."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    text = str(value)
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError("is no decimal number")
    return Decimal(text)


UtcText = Annotated[datetime | None, BeforeValidator(_text_time)]
UtcMillis = Annotated[datetime | None, BeforeValidator(_milliseconds)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Amount = Annotated[float | None, Field(ge=0.0)]
DecimalProbability = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, le=1)]
DecimalAmount = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, le=10**15)]
Count = Annotated[int | None, Field(ge=0, le=2**53)]


def plain(text: str, limit: int = 500) -> str:
    """Foreign text fit to store and show: control and direction characters become spaces, length cut."""
    return _CONTROL.sub(" ", text).strip()[:limit]


def criteria_digest(*texts: str | None) -> str:
    """The SHA-256 (hex) of resolution criteria as a platform words them; "" when no text came.

    For ``QuestionInfo.criteria_sha256``. Only words count: characters in Unicode's composed form, every run
    of white space, control or direction characters as one blank, texts that are missing or blank left out.
    So a reflowed paragraph is no change of the rules, and one changed, added or moved word is.
    """
    worded = (
        " ".join(_CONTROL.sub(" ", unicodedata.normalize("NFC", text)).split()) for text in texts if text
    )
    whole = "\n".join(words for words in worded if words)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest() if whole else ""


def https_url(text: str | None) -> str:
    """The text if it is an https address without control characters or blanks, else nothing."""
    if text is None or len(text) > 500 or not re.fullmatch(r"https://[^\s\x00-\x1f\x7f\"'<>\\]+", text):
        return ""
    return text


# --- JSON into models -----------------------------------------------------------------------------------


def read_json(model: type[Model], raw: RawPayload) -> Model:
    """The whole body as one model. Raises ParseError naming the first JSON path that is wrong."""
    try:
        return model.model_validate_json(_body(raw))
    except ValidationError as error:
        path, message = _first(error)
        raise ParseError(raw.source, raw.ref, path, message) from None


def read_object(raw: RawPayload) -> dict[str, Any]:
    """The whole body as a JSON object whose parts are read one by one. Raises ParseError."""
    try:
        return _OBJECT.validate_json(_body(raw))
    except ValidationError as error:
        path, message = _first(error)
        raise ParseError(raw.source, raw.ref, path, message) from None


def read_list(raw: RawPayload) -> list[Any]:
    """The whole body as a JSON list whose parts are read one by one. Raises ParseError."""
    try:
        return _LIST.validate_json(_body(raw))
    except ValidationError as error:
        path, message = _first(error)
        raise ParseError(raw.source, raw.ref, path, message) from None


def read_rows(model: type[Model], raw: RawPayload) -> list[Model] | None:
    """The whole body as a list of models, in one go. None when any is wrong: ``read_list`` then finds which."""
    try:
        return _rows(model).validate_json(_body(raw))
    except ValidationError:
        return None


@cache
def _rows(model: type[Model]) -> TypeAdapter[list[Model]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


def rows_of(raw: RawPayload, body: Mapping[str, Any], key: str) -> list[Any]:
    """A list inside the body; null is an empty one. Raises ParseError when it is missing or anything else."""
    rows = body.get(key, "")
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise ParseError(raw.source, raw.ref, key, "should be a list" if key in body else "is missing")
    return rows


def read_part(model: type[Model], value: object, ref: str, at: str) -> tuple[Model | None, tuple[Fault, ...]]:
    """One part of a payload, and a Fault for each wrong key in it.

    A wrong key the model can do without is left out and the rest is read; otherwise the part is None.
    """
    try:
        return model.model_validate(value), ()
    except ValidationError as error:
        faults = tuple(Fault(ref, join(at, *loc), message) for loc, message in _all(error))
        wrong = {loc[0] if loc else "" for loc, _ in _all(error)}
    spare = {known.alias or name for name, known in model.model_fields.items() if not known.is_required()}
    if not (isinstance(value, dict) and wrong <= spare):
        return None, faults
    try:
        return model.model_validate({key: part for key, part in value.items() if key not in wrong}), faults
    except ValidationError:
        return None, faults


def columns(rows: Sequence[Any], kinds: Mapping[str, Collection[type]]) -> list[list[Any]] | None:
    """Members of all rows as columns, if every row is an object that has each, of just one of these types.

    None when one has not: the rows are then to be read one by one, which finds what is wrong where.
    """
    try:
        found = [[row[name] for row in rows] for name in kinds]
    except (TypeError, KeyError):
        return None
    plain = all(set(map(type, column)) <= set(kinds[name]) for name, column in zip(kinds, found, strict=True))
    return found if plain else None


def join(at: str, *steps: str | int) -> str:
    """A readable path: ``results[3].question.type``."""
    path = at
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{plain(step, 60)}" if path else plain(step, 60)
    return path


def _body(raw: RawPayload) -> bytes:
    body = raw.body.removeprefix(b"\xef\xbb\xbf")
    if not body.strip():
        raise ParseError(raw.source, raw.ref, "", "the body is empty")
    if looks_like_html(body):
        raise ParseError(raw.source, raw.ref, "", "an HTML page came where JSON was expected")
    return body


def looks_like_html(body: bytes) -> bool:
    return _HTML.match(body) is not None


def _all(error: ValidationError) -> list[tuple[tuple[str | int, ...], str]]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [(problem["loc"], problem["msg"]) for problem in found]


def _first(error: ValidationError) -> tuple[str, str]:
    loc, message = _all(error)[0]
    return join("", *loc), message


# --- what came instead of an answer ---------------------------------------------------------------------


def refs(raw: RawPayload) -> tuple[str, ...]:
    """The ids a request was about: its ref, split at commas."""
    return tuple(part for part in raw.ref.split(",") if part)


def require_ok(raw: RawPayload) -> None:
    """Raise ParseError unless the status is 200; for adapters that have dealt with the rest."""
    if raw.status != OK:
        raise ParseError(raw.source, raw.ref, "status", f"HTTP {raw.status} is no answer to read")


# --- records into one batch -----------------------------------------------------------------------------


@dataclass
class Gathering:
    """What has been read of one payload so far; ``parsed`` makes the answer of ``Source.parse`` of it.

    ``digest`` and ``at`` are the payload's, taken once (hashing megabytes per record would be slow).
    """

    raw: RawPayload
    digest: str = field(init=False)
    at: datetime = field(init=False)
    snapshots: dict[tuple[Any, datetime], Snapshot] = field(default_factory=dict)
    points: dict[StreamKey, dict[int, float]] = field(default_factory=dict)
    versions: list[SeriesVersion] = field(default_factory=list)
    resolutions: dict[tuple[str, str, str], Resolution] = field(default_factory=dict)
    infos: dict[tuple[str, str], QuestionInfo] = field(default_factory=dict)
    follow: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.digest, self.at = self.raw.sha256, self.raw.fetched_at

    def fault(self, ref: str, at: str, message: str) -> None:
        self.faults.append(Fault(ref, at, message))

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def add(self, *records: Snapshot | Resolution | QuestionInfo) -> None:
        """Take records in. The same record twice is one; two that contradict each other are a Fault."""
        for record in records:
            if isinstance(record, Snapshot):
                known: object = self.snapshots.setdefault((record.key, record.as_of), record)
                ref = record.key.external_id
            elif isinstance(record, Resolution):
                name = (record.platform, record.external_id, record.outcome)
                known, ref = self.resolutions.setdefault(name, record), record.external_id
            else:
                known = self.infos.setdefault((record.platform, record.external_id), record)
                ref = record.external_id
            if known != record:
                self._contradicted(ref, type(record))

    def add_points(self, key: StreamKey, points: Iterable[tuple[int, float]]) -> None:
        """Take in probabilities at the source's own times (microseconds since 1970), in any order.

        The same point twice is one; two that contradict each other are a Fault.
        """
        told = self.points.setdefault(key, {})
        for at, probability in points:
            if told.setdefault(at, probability) != probability:
                self._contradicted(key.external_id, Snapshot)

    def _contradicted(self, ref: str, kind: type) -> None:
        self.fault(ref, "", f"two different {kind.__name__} records for one thing; first kept")

    def _histories(self) -> Iterable[History]:
        for key, told in sorted(self.points.items()):
            if told:
                as_of = tuple(sorted(told))
                yield History(key, self.at, as_of, tuple(map(told.__getitem__, as_of)), self.digest)

    def parsed(self, *, nothing_is_an_error: bool = False) -> Parsed:
        """Everything gathered, in an order that does not depend on the order in the payload.

        ``nothing_is_an_error``: when all that was tried failed, raise the first Fault as a ParseError.
        """
        batch = Batch(
            snapshots=_by(self.snapshots.values(), lambda s: (s.key, s.as_of)),
            versions=tuple(self.versions),
            resolutions=_by(self.resolutions.values(), lambda r: (r.platform, r.external_id, r.outcome)),
            infos=_by(self.infos.values(), lambda i: (i.platform, i.external_id)),
            histories=tuple(self._histories()),
        )
        if nothing_is_an_error and self.faults and batch == Batch() and not self.follow:
            first = self.faults[0]
            raise ParseError(self.raw.source, first.ref, first.field, first.message)
        return Parsed(
            batch=batch,
            follow=_by(self.follow, lambda r: (r.path, r.params)),
            faults=_by(_first_of_each_place(self.faults), lambda f: (f.ref, f.field, f.message)),
            notes=tuple(sorted(self.notes)),
            denied=tuple(sorted(set(self.denied))),
        )


def _first_of_each_place(faults: Iterable[Fault]) -> Iterable[Fault]:
    """What is wrong with one place is said once: the first reason is the cause of the others."""
    kept: dict[tuple[str, str], Fault] = {}
    for fault in faults:
        kept.setdefault((fault.ref, fault.field), fault)
    return kept.values()


Item = TypeVar("Item")


def _by(items: Iterable[Item], key: Any) -> tuple[Item, ...]:
    return tuple(sorted(items, key=key))


def denied(raw: RawPayload, known: Sequence[str] | None = None) -> Parsed:
    """The answer to a refusal: the ids asked about (or the given ones) were not for us to see."""
    return Parsed(denied=tuple(sorted(set(refs(raw) if known is None else known))))


__all__ = [
    "FORBIDDEN",
    "MISSING",
    "STATUSES",
    "Amount",
    "Count",
    "DecimalAmount",
    "DecimalProbability",
    "Gathering",
    "Payload",
    "Probability",
    "UtcMillis",
    "UtcText",
    "columns",
    "criteria_digest",
    "denied",
    "from_seconds",
    "https_url",
    "join",
    "looks_like_html",
    "plain",
    "read_json",
    "read_list",
    "read_object",
    "read_part",
    "read_rows",
    "refs",
    "require_ok",
    "rows_of",
]
