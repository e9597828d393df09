"""Our own questions against what the store knew at an instant: evidence, verdicts, receipts.

Everything is read as known at one instant, so that a receipt can be computed again from its ``known_at``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from questions.evidence import PARENT, Datum, Look, Mark, MarkKind, Word, World, noon
from questions.question import Question
from questions.receipts import Life, QuestionVersion, Receipt, lives, receipt_of, seen
from questions.records import Measurement, OutcomeState, QuestionState, Resolution
from questions.resolver import Resolver
from questions.time import day_end
from questions.verdicts import State
from storage.store import Store
from tracker.curated import NAME as CURATED, table_of
from tracker.errors import ParseError

UNREAD_FOR = timedelta(days=30)
"""A series that was not read since the close, and not for so long, counts as silent."""

_PAYLOAD = re.compile(r"[0-9a-f]{8,64}")
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class History:
    """Everything a store has seen of a series: every account of every point, and every look.

    ``compared`` is the day to which a table kept by hand is said to agree with its publisher; None where the
    source itself is read.
    """

    data: tuple[Datum, ...]
    looks: tuple[Look, ...]
    compared: date | None = None


class Library:
    """What a store knew at an instant, read once however many questions ask for it."""

    def __init__(self, store: Store, known_at: datetime) -> None:
        self._store, self.known_at = store, known_at
        self._series: dict[str, History] = {}
        self._resolutions: dict[datetime, dict[tuple[str, str], list[Resolution]]] = {}
        self._gone = {
            (one.health.platform, one.health.external_id): one.health.fetched_at
            for one in store.question_health(known_at=known_at)
            if one.health.state is QuestionState.GONE
        }
        self._receipts = store.receipts(known_at=known_at)

    def world(self, resolver: Resolver, life: Life) -> World:
        """The evidence that the rule of one question reads."""
        data: list[Datum] = []
        marks: list[Mark] = []
        looks: dict[str, Sequence[Look]] = {}
        own = set(resolver.primary_series)
        for name in resolver.series:
            history = self.history(name)
            version = "" if name in own else name
            data += [_tagged(datum, version, resolver.question.measurement.version) for datum in history.data]
            looks[name] = history.looks
            marks += self._silences(resolver.question, name, history)
        words: list[Word] = []
        for platform, external_id in resolver.words:
            words += self._words(platform, external_id)
            marks += self._gone_marks(platform, external_id)
        question = resolver.question.id
        judged = [
            one
            for one in self._store.judgements(question, known_at=self.known_at)
            if one.version == life.version
        ]
        return World(data, marks, words, judged, looks)

    # series

    def history(self, series: str) -> History:
        """Every account of every point of a series, and every look, as known at the instant."""
        if series not in self._series:
            self._series[series] = self._read(series)
        return self._series[series]

    def _read(self, series: str) -> History:
        data: list[Datum] = []
        looks: list[Look] = []
        before: dict[tuple[str, str], Measurement] = {}
        for version in self._store.versions(series, known_at=self.known_at):
            points = {
                (p.metric, p.key): p for p in self._store.measurements(series, known_at=version.seen_first)
            }
            at, payload = version.seen_first, version.payload_sha256
            data += [_datum(p, at, payload) for key, p in points.items() if before.get(key) != p]
            data += [_datum(p, at, payload, withdrawn=True) for key, p in before.items() if key not in points]
            looks.append(Look(at, payload))
            if version.seen_last > at:
                looks.append(Look(version.seen_last, payload))
            before = points
        return History(tuple(data), tuple(looks), self._compared(looks))

    def _compared(self, looks: Sequence[Look]) -> date | None:
        raw = self._store.get_raw(looks[-1].payload) if looks and looks[-1].payload else None
        if raw is None or raw.source != CURATED:
            return None
        try:
            table = table_of(raw)
        except ParseError:
            return None
        return max([table.as_of, *(point.as_of for point in table.points if point.as_of is not None)])

    def _silences(self, question: Question, series: str, history: History) -> Iterator[Mark]:
        """When a series had nothing new: for a battery by the days of its readings, else by our looks.

        A look at a table kept by hand shows nothing of its publisher: there the day to which it was compared counts.
        """
        if question.battery is None:
            close = question.dates.close
            last = history.looks[-1].at if history.looks else None
            if last is not None and history.compared is not None:
                last = min(last, day_end(history.compared))
            if last is not None and last < close and last + UNREAD_FOR < self.known_at:
                at = last + UNREAD_FOR if history.compared is None else max(close, last + UNREAD_FOR)
                yield Mark(series, last.date(), at, MarkKind.SILENT)
            return
        fresh = timedelta(days=question.battery.fresh_days)
        days = sorted({datum.at for datum in history.data})
        starts = [date(1970, 1, 1), *(day + fresh + timedelta(days=1) for day in days)]
        for start, following in zip(starts, [*days, None], strict=True):
            if (following is None or start < following) and noon(start) <= self.known_at:
                yield Mark(series, start, noon(start), MarkKind.SILENT)

    # words

    def _words(self, platform: str, external_id: str) -> list[Word]:
        if platform == PARENT:
            return [_parent(receipt) for receipt in self._receipts if self._settles(receipt, external_id)]
        found: list[Word] = []
        at = self.known_at
        while said := self._said(at).get((platform, external_id)):
            found += [_word(one) for one in said]
            at = max(one.fetched_at for one in said) - _INSTANT
        return list(dict.fromkeys(found))

    @staticmethod
    def _settles(receipt: Receipt, question: str) -> bool:
        return receipt.question == question and receipt.state.final

    def _said(self, at: datetime) -> Mapping[tuple[str, str], list[Resolution]]:
        if at not in self._resolutions:
            said: dict[tuple[str, str], list[Resolution]] = {}
            for one in self._store.resolutions(known_at=at):
                said.setdefault((one.platform, one.external_id), []).append(one)
            self._resolutions[at] = said
        return self._resolutions[at]

    def _gone_marks(self, platform: str, external_id: str) -> Iterator[Mark]:
        at = self._gone.get((platform, external_id))
        if at is not None:
            yield Mark(f"{platform}:{external_id}", at.date(), at, MarkKind.GONE)


def _datum(point: Measurement, at: datetime, payload: str, *, withdrawn: bool = False) -> Datum:
    return Datum(
        series=point.series,
        key=point.key,
        at=point.at,
        published=at,
        value=point.value,
        lower=point.lower,
        upper=point.upper,
        metric=point.metric,
        level=point.ci_level,
        bound="lower" if point.beyond_ceiling else "",
        payload=payload,
        withdrawn=withdrawn,
    )


def _tagged(datum: Datum, version: str, pin: str) -> Datum:
    """A datum with its version: the series that took another's place, or the payload where one is pinned."""
    if not version and _PAYLOAD.fullmatch(pin):
        held = datum.payload is not None and datum.payload.startswith(pin)
        version = pin if held else datum.payload or ""
    return replace(datum, version=version) if version else datum


def _word(said: Resolution) -> Word:
    return Word(
        said.platform,
        said.external_id,
        said.state,
        said.fetched_at,
        said.outcome,
        said.source,
        said.value,
        said.text,
        said.resolved_at,
        said.payload_sha256,
    )


def _parent(receipt: Receipt) -> Word:
    return Word(
        PARENT,
        receipt.question,
        OutcomeState.VALUE,
        receipt.made_at,
        value=receipt.value,
        text=receipt.outcome or "",
        resolved_at=receipt.resolved_at,
    )


# verdicts and receipts ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Resolved:
    """What came of resolving one version: its receipt, and whether it says anything new."""

    life: Life
    receipt: Receipt
    new: bool


def every_question(store: Store, known: Mapping[str, Question]) -> list[Question]:
    """The questions of the catalogue, and those that once were in it."""
    found = dict(known)
    for version in store.question_versions():
        if version.question not in known:
            found[version.question] = version.load()
    return list(found.values())


def seen_versions(
    store: Store, questions: Iterable[Question], at: datetime, *, keep: bool
) -> dict[str, list[QuestionVersion]]:
    """Every version of every question known at an instant, these records seen now included; ``keep`` stores them."""
    known: dict[str, list[QuestionVersion]] = {}
    for version in store.question_versions(known_at=at):
        known.setdefault(version.question, []).append(version)
    fresh = [new for one in questions if (new := seen(one, known.get(one.id, ()), at)) is not None]
    for version in fresh:
        known.setdefault(version.question, []).append(version)
    if keep:
        store.add_question_versions(fresh)
    return known


def resolve_all(
    store: Store, questions: Sequence[Question], known_at: datetime, made_at: datetime, *, keep: bool
) -> list[Resolved]:
    """Resolve every version of some questions as known at an instant; ``keep`` stores what is new.

    Parents come before the questions that depend on them.
    """
    versions = seen_versions(store, questions, known_at, keep=keep)
    found: list[Resolved] = []
    for dependent in (False, True):
        library = Library(store, known_at)
        for question in questions:
            if (question.conditional is not None) == dependent:
                found += [_resolve(store, library, life, made_at) for life in lives(versions[question.id])]
        if keep:
            store.add_receipts([one.receipt for one in found if one.new])
    return found


def _resolve(store: Store, library: Library, life: Life, made_at: datetime) -> Resolved:
    known = store.receipts(life.question.id, known_at=library.known_at)
    earlier = [one for one in known if one.version == life.version]
    resolver = Resolver(life.question)
    verdict = resolver.verdict(library.world(resolver, life), library.known_at)
    receipt = receipt_of(verdict, life, library.known_at, made_at, earlier)
    return Resolved(life, receipt, not earlier or earlier[-1].gist != receipt.gist)


def open_lives(
    store: Store,
    questions: Sequence[Question],
    now: datetime,
    *,
    keep: bool,
    closed_only: bool = False,
    settled: bool = False,
) -> list[Life]:
    """The versions of questions that judges may be asked about; ``keep`` notes their records on the way.

    ``closed_only`` leaves out those still open, ``settled`` lets in those that have an outcome.
    """
    known = seen_versions(store, questions, now, keep=keep)
    last = {(receipt.question, receipt.version): receipt.state for receipt in store.receipts()}
    found = [life for question in questions for life in lives(known[question.id])]
    return [
        life
        for life in found
        if (not closed_only or now >= life.question.dates.close)
        and (settled or not last.get((life.question.id, life.version), State.OPEN).final)
    ]


def recompute(store: Store, receipt: Receipt) -> Receipt | None:
    """The receipt again, from what the store knew then; None when it no longer has that version."""
    known = store.question_versions(receipt.question)
    life = next((one for one in lives(known) if one.version == receipt.version), None)
    if life is None:
        return None
    earlier = [one for one in store.receipts(receipt.question) if one.made_at < receipt.made_at]
    resolver = Resolver(life.question)
    world = Library(store, receipt.known_at).world(resolver, life)
    verdict = resolver.verdict(world, receipt.known_at)
    return receipt_of(verdict, life, receipt.known_at, receipt.made_at, earlier)
