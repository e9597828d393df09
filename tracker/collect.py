"""Ask one source, keep the bytes, read them, store what they say: the path every value takes.

The order is the promise: the raw payload is durable before it is parsed; a payload that cannot be read
is quarantined with the reason; one broken answer is one line in the report and the rest is stored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Protocol

from questions.model import Link
from questions.records import (
    OutcomeState,
    QuestionHealth,
    QuestionInfo,
    QuestionState,
    Resolution,
    StreamKey,
    ValueState,
)
from questions.time import EPOCH, iso
from storage.records import (
    AppendReport,
    Batch,
    Quarantined,
    RawPayload,
    Run,
    RunState,
    SourceHealth,
    Validator,
    VersionInfo,
    digest,
)
from storage.store import Store
from tracker.config import Settings
from tracker.drift import compare
from tracker.errors import FetchError, ParseError
from tracker.health import Hearing, gone_everywhere, refused, taken_back
from tracker.schedule import turns
from tracker.source import Parsed, Plan, Request, Rereading, Source, SourceTraits

MAX_FOLLOW = 5_000  # a page chain longer than this is a loop, not a history
MISSING = (404, 410)
FOLLOWS = "follows:"  # in the ledger: which questions the last whole poll was about, one line a source
HISTORY = "history:"  # in the ledger: whose history has not come whole yet, one line a source
SETTLED = timedelta(days=30)  # an outcome that stood this long is asked about again by turns only
RESTING = timedelta(days=5)  # in which each of these has its turn
WAVE = 40  # answers held in memory before they are stored
STALE_PERIODS = 2  # a question of which nothing was heard for so many polls is stale
WORKERS = 2  # requests in flight per source; the client keeps the pace per host


class Fetcher(Protocol):
    """What collecting needs of ``tracker.http.HttpClient``; tests may bring their own."""

    def fetch(
        self,
        request: Request,
        traits: SourceTraits,
        *,
        base_url: str,
        secret: str | None,
        now: Callable[[], datetime],
        validator: Validator | None = None,
    ) -> RawPayload | NotModifiedLike: ...

    def url_for(self, request: Request, base_url: str) -> str: ...


class NotModifiedLike(Protocol):
    """A 304: the bytes of the URL are those we have."""

    @property
    def url(self) -> str: ...

    @property
    def fetched_at(self) -> datetime: ...

    @property
    def payload_sha256(self) -> str: ...


Answer = RawPayload | NotModifiedLike | FetchError
Address = tuple[str, str, tuple[tuple[str, str], ...]]  # a request's base, path and parameters


class Breaker:
    """Opens after a few requests running that got no answer at all: a source that is down is not asked on.

    Shared by the threads of one poll. An answer of any status closes it again.
    """

    LIMIT = 3

    def __init__(self) -> None:
        self._lock = Lock()
        self._failures = 0
        self.not_tried = 0

    def may_ask(self) -> bool:
        with self._lock:
            if self._failures < self.LIMIT:
                return True
            self.not_tried += 1
            return False

    def note(self, answered: bool) -> None:
        with self._lock:
            self._failures = 0 if answered else self._failures + 1


@dataclass(frozen=True)
class ReportError:
    """One thing that went wrong with one ref of a source."""

    ref: str
    kind: str
    message: str
    retry: bool = False


@dataclass
class SourceReport:
    """What one poll of one source did; the shape of ``speedup pull --json``."""

    source: str
    status: str = "ok"
    requests: int = 0
    bytes: int = 0
    quarantined: int = 0
    appended: AppendReport = field(default_factory=AppendReport)
    errors: list[ReportError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    answered: int = 0
    missing: int = 0
    empty: int = 0  # answers that a page is not there and that say nothing else
    denied: int = 0
    values: int = 0
    not_before_s: float | None = None
    questions: dict[str, int] = field(default_factory=dict)
    drift: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "status": self.status,
            "requests": self.requests,
            "bytes": self.bytes,
            "snapshots_new": self.appended.snapshots_new,
            "snapshots_unchanged": self.appended.snapshots_unchanged,
            "measurements_new": self.appended.measurements_new,
            "measurements_revised": self.appended.measurements_revised,
            "resolutions_new": self.appended.resolutions_new,
            "quarantined": self.quarantined,
            "errors": [vars(error) for error in self.errors],
            "notes": list(self.notes),
            "questions": dict(self.questions),
            "drift": list(self.drift),
            "series_changed": list(self.changes),
        }


@dataclass(frozen=True)
class Collector:
    """One poll of one source. ``now`` is the clock; ``known`` tells which questions we follow."""

    store: Store
    source: Source
    client: Fetcher
    settings: Settings
    now: Callable[[], datetime]

    def run(self, links: Sequence[Link], since: datetime | None = None) -> SourceReport:
        """Poll the source for these links and store what it says; never raises a SourceError.

        ``since``: how far back history is wanted for what is planned (None: only the present).
        """
        traits = self.source.traits
        report = SourceReport(traits.name)
        held_until = self.store.health().get(traits.name, SourceHealth(traits.name)).not_before
        if held_until is not None and self.now() < held_until:
            report.status = "skipped"
            report.errors.append(
                ReportError("*", "held", f"it asked us to stay away until {iso(held_until)}", True)
            )
            return report
        secret = self.settings.secret_of(traits.secret)
        if traits.secret_required and not secret:
            report.status = "skipped"
            name = f"SPEEDUP_{(traits.secret or '').upper()}"
            message = f"not asked: it needs a key; set {name} or {name}_FILE"
            report.errors.append(ReportError("*", "no_key", message))
            self._note_health(report)
            words = refused(traits.name, links, QuestionState.NOT_PERMITTED, message, self.now())
            self._tell(words, report)
            return report
        followed = {(link.platform, link.external_id) for link in links}
        hearing = Hearing(traits.name, followed)
        requests, new, at_hand = self._requests(links, since, hearing, report)
        self._take_at_hand(at_hand, report)
        started = self.now()
        if new:
            self._owe(new, started, None)
        self._drain(requests, hearing, secret, report, conditional=self._follows_as_before(followed))
        if new:
            self._owe(_incomplete(new, report), started, self.now())
        if report.answered and report.empty == report.answered and not report.errors:
            message = "every page asked for is missing: the source has moved or closed"
            report.errors.append(ReportError("*", "http_404", message, retry=True))
        if not report.errors:
            self._remember_follows(followed)
        report.status = _status(report)
        self._note_health(report)
        self._tell(self._words(hearing, links, report), report)
        return report

    def _words(
        self, hearing: Hearing, links: Sequence[Link], report: SourceReport
    ) -> tuple[QuestionHealth, ...]:
        """One word on each question, from what this poll heard of it."""
        streams = [key for key in self.store.streams() if key.source == report.source]
        return hearing.words(
            links,
            self.store.question_health(),
            self.store.latest(streams),
            now=self.now(),
            stale_after=STALE_PERIODS * period_of(self.source, self.settings),
            failed=_failed(report.errors),
        )

    def _tell(self, words: Sequence[QuestionHealth], report: SourceReport) -> None:
        """Keep the words on the questions and count them in the report."""
        self.store.append(Batch(healths=tuple(words)))
        report.questions = dict(sorted(Counter(word.state.value for word in words).items()))

    def _requests(
        self, links: Sequence[Link], since: datetime | None, hearing: Hearing, report: SourceReport
    ) -> tuple[list[Request], tuple[Link, ...], tuple[RawPayload, ...]]:
        """What to ask: the present of what we know, and as far back as can be of what is new to us.

        Returns the links whose history is asked for too, and the payloads that need no asking. A link whose
        history did not come whole the last time is still new.
        """
        unique = tuple({(link.platform, link.external_id): link for link in reversed(links)}.values())[::-1]
        told: tuple[StreamKey | Resolution | QuestionInfo, ...] = (
            *self.store.streams(),
            *self.store.resolutions(),
            *self.store.infos(),
        )
        seen = {(one.platform, one.external_id) for one in told if one.source == report.source}
        backfill = self.source.traits.backfill_per_link or not seen
        owed = {line for run in self.store.runs(HISTORY + report.source) for line in run.message.splitlines()}
        new = tuple(
            link
            for link in unique
            if _name(link) in owed or (backfill and (link.platform, link.external_id) not in seen)
        )
        begun = {_place(link) for link in new}
        known = tuple(link for link in unique if _place(link) not in begun)
        asked = self._in_turn(known, links)
        plans = (
            [self.source.plan(unique, self.now(), since)]
            if since is not None
            else [
                self._present(asked),
                *([self.source.plan(new, self.now(), EPOCH)] if new else ()),
            ]
        )
        for plan in plans:
            report.notes.extend(f"{ref}: {reason}" for ref, reason in plan.skipped.items())
            hearing.skipped.update(plan.skipped)
        if since is None:
            hearing.resting.update({_place(link) for link in known} - {_place(link) for link in asked})
        requests = [request for plan in plans for request in plan.requests]
        at_hand = tuple(raw for plan in plans for raw in plan.at_hand)
        return requests, new if since is None else unique, at_hand

    def _present(self, known: Sequence[Link]) -> Plan:
        """The plan for links we know; a source that is read whole in turns is told of the last good poll."""
        if not isinstance(self.source, Rereading):
            return self.source.plan(known, self.now(), None)
        return self.source.plan_after(known, self._last_ok(), self.now())

    def _last_ok(self) -> datetime | None:
        """When the source was last polled well."""
        name = self.source.traits.name
        return self.store.health().get(name, SourceHealth(name)).last_ok_at

    def _in_turn(self, known: Sequence[Link], links: Sequence[Link]) -> list[Link]:
        """The living first, then the decided together (in as few calls as can be), long decided ones by turns.

        A question is decided when every outcome of it that we follow is. Its value is past, and asking costs more
        than for the living; that a decision is changed or taken back after a month is rare, and is then seen a
        few days later.
        """
        now = self.now()
        since = {
            (word.platform, word.external_id, word.outcome): word.fetched_at
            for word in self.store.resolutions()
            if word.source == self.source.traits.name and word.state is not OutcomeState.UNRESOLVED
        }
        decided: dict[tuple[str, str], datetime] = {}  # since when; now: it is not
        for link in links:
            told = since.get((*_place(link), link.outcome), now)
            decided[_place(link)] = max(told, decided.get(_place(link), told))
        living = [link for link in known if decided[_place(link)] >= now]
        fresh = [link for link in known if now - SETTLED < decided[_place(link)] < now]
        resting = {_name(link): link for link in known if decided[_place(link)] <= now - SETTLED}
        due = turns(resting, RESTING, self._last_ok(), now)
        return [*living, *fresh, *(resting[name] for name in due)]

    def _take_at_hand(self, payloads: Sequence[RawPayload], report: SourceReport) -> None:
        """Keep and read payloads that were not asked for; bytes that are in force already are only sighted."""
        with self.store.together():
            for raw in payloads:
                self.store.put_raw(raw)
        for raw in payloads:
            report.answered += 1
            report.bytes += len(raw.body)
            parsed = note_parsed(self.store, self.source, raw, parse(self.source, raw), report)
            if parsed is not None and not self._in_force(parsed.batch, raw.sha256):
                report.appended += self.store.append(parsed.batch)

    def _in_force(self, batch: Batch, sha256: str) -> bool:
        """Whether the series of a batch are already read from these bytes."""
        known = [self.store.versions(version.series) for version in batch.versions]
        return bool(known) and all(seen and seen[-1].payload_sha256 == sha256 for seen in known)

    def _owe(self, links: Sequence[Link], started: datetime, finished: datetime | None) -> None:
        """Write down whose history is still to come (``finished`` None: it is being asked for).

        A history comes in pages, and the first one makes a question known: without this line in the ledger
        a kill or a fault between two pages would leave it without its past for good.
        """
        state = RunState.RUNNING if finished is None else RunState.PARTIAL if links else RunState.DONE
        message = "\n".join(_name(link) for link in links)
        self.store.end_run(Run(HISTORY + self.source.traits.name, EPOCH, state, started, finished, message))

    def _drain(
        self,
        requests: Iterable[Request],
        hearing: Hearing,
        secret: str | None,
        report: SourceReport,
        *,
        conditional: bool,
    ) -> None:
        asked: set[Address] = set()
        waiting = _unseen(requests, asked)
        breaker = Breaker()
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            while waiting:
                wave, waiting = waiting[:WAVE], waiting[WAVE:]
                waiting += _unseen(
                    self._take_wave(pool, wave, hearing, secret, breaker, report, conditional), asked
                )
                if len(asked) > MAX_FOLLOW:
                    report.errors.append(
                        ReportError("*", "loop", f"more than {MAX_FOLLOW} requests in one poll")
                    )
                    break
        if breaker.not_tried:
            message = (
                f"{breaker.not_tried} further requests not made: no answer {Breaker.LIMIT} times running"
            )
            report.errors.append(ReportError("*", "not_tried", message, retry=True))

    def _take_wave(
        self,
        pool: ThreadPoolExecutor,
        wave: Sequence[Request],
        hearing: Hearing,
        secret: str | None,
        breaker: Breaker,
        report: SourceReport,
        conditional: bool,
    ) -> list[Request]:
        """Ask, keep the bytes, read them, store what they say: each step for the whole wave in one transaction.

        Tags for conditional requests are kept last, with the values: a kill in between must not leave us
        with "not modified" for bytes that were never read.
        """
        with self.store.together():
            tried = [(request, self._validator(request, conditional)) for request in wave]
        answers = list(pool.map(lambda pair: self._ask(pair[0], pair[1], secret, breaker), tried))
        report.requests += sum(answer is not None for answer in answers)
        with self.store.together():
            for answer in answers:
                if isinstance(answer, RawPayload):
                    self.store.put_raw(answer)
        read = [self._read(request, answer) for request, answer in zip(wave, answers, strict=True)]
        kept: list[Batch] = []
        follow: list[Request] = []
        with self.store.together():
            for request, answer, result in zip(wave, answers, read, strict=True):
                parsed = self._take(request, answer, result, hearing, report)
                if parsed is not None:
                    kept.append(only(parsed.batch, hearing.followed))
                    follow += parsed.follow
            self._store(kept, report)
            for request, answer, result in zip(wave, answers, read, strict=True):
                if answer is not None and isinstance(result, Parsed) and _wholly_read(result):
                    self._remember_tags(request, answer)
        return follow

    def _store(self, kept: Sequence[Batch], report: SourceReport) -> None:
        if any(batch != Batch() for batch in kept):
            whole = completed(self.store, self.source, merged(kept))
            report.values += sum(snapshot.state is ValueState.OK for snapshot in whole.snapshots)
            report.values += sum(map(len, whole.histories))
            before = {version.series: self._last_version(version.series) for version in whole.versions}
            report.appended += self.store.append(whole)
            for series, known in sorted(before.items()):
                now = self._last_version(series)
                if known and now and known.payload_sha256 != now.payload_sha256:
                    seen = f"{iso(known.seen_first)} {iso(now.seen_first)}"
                    report.changes.append(f"{series} has changed: `speedup series diff {series} {seen}`")

    def _last_version(self, series: str) -> VersionInfo | None:
        versions = self.store.versions(series)
        return versions[-1] if versions else None

    def _read(self, request: Request, answer: Answer | None) -> Parsed | ParseError | None:
        """What an answer says; None for what is not to be read (a fault, a 304, a page that is not there)."""
        if not isinstance(answer, RawPayload) or (answer.status in MISSING and not request.accept_missing):
            return None
        return parse(self.source, answer)

    def _follows_as_before(self, followed: set[tuple[str, str]]) -> bool:
        """Whether a "not modified" tells nothing new: a file we hold may speak of a link just added."""
        runs = self.store.runs(FOLLOWS + self.source.traits.name)
        return bool(runs) and runs[-1].message == _fingerprint(followed)

    def _remember_follows(self, followed: set[tuple[str, str]]) -> None:
        now, job = self.now(), FOLLOWS + self.source.traits.name
        if not self._follows_as_before(followed):
            self.store.end_run(Run(job, EPOCH, RunState.DONE, now, now, _fingerprint(followed)))

    def _validator(self, request: Request, conditional: bool) -> Validator | None:
        if not (request.conditional and conditional):
            return None
        try:
            return self.store.validator(self.client.url_for(request, self._base_url(request)))
        except FetchError:
            return None  # the request itself will say what is wrong with its address

    def _base_url(self, request: Request) -> str:
        return self.settings.url_of(*self.source.traits.base_of(request))

    def _ask(
        self, request: Request, validator: Validator | None, secret: str | None, breaker: Breaker
    ) -> Answer | None:
        if not breaker.may_ask():
            return None
        try:
            answer = self._fetch(request, validator, secret)
        except FetchError as error:
            breaker.note(answered=error.status is not None)
            return error
        breaker.note(answered=True)
        return answer

    def _fetch(
        self, request: Request, validator: Validator | None, secret: str | None
    ) -> RawPayload | NotModifiedLike:
        return self.client.fetch(
            request,
            self.source.traits,
            base_url=self._base_url(request),
            secret=secret if request.private else None,
            now=self.now,
            validator=validator,
        )

    def _take(
        self,
        request: Request,
        answer: Answer | None,
        result: Parsed | ParseError | None,
        hearing: Hearing,
        report: SourceReport,
    ) -> Parsed | None:
        if answer is None:
            return None
        if isinstance(answer, FetchError):
            report.errors.append(ReportError(request.ref, answer.kind, answer.message, answer.retry))
            if answer.not_before_s is not None:
                report.not_before_s = max(report.not_before_s or 0.0, answer.not_before_s)
            return None
        report.answered += 1
        if not isinstance(answer, RawPayload):
            self.store.sight(self.source.traits.name, answer.url, answer.payload_sha256, answer.fetched_at)
            hearing.not_modified = True
            return None
        report.bytes += len(answer.body)
        if result is None:
            report.missing += 1
            message = f"HTTP {answer.status}: {answer.url} is not there (moved, or not published yet)"
            report.errors.append(ReportError(request.ref, f"http_{answer.status}", message, retry=True))
            return None
        _hear(hearing, answer, result)
        if answer.status in MISSING and isinstance(result, Parsed) and result.batch == Batch():
            report.empty += 1
        return note_parsed(self.store, self.source, answer, result, report)

    def _remember_tags(self, request: Request, raw: Answer | None) -> None:
        if not isinstance(raw, RawPayload):
            return
        tags = {name.lower(): value for name, value in raw.headers.items()}
        etag, modified = tags.get("etag"), tags.get("last-modified")
        if request.conditional and raw.status == 200 and (etag or modified):
            self.store.set_validator(Validator(raw.url, etag, modified, raw.sha256))

    def _note_health(self, report: SourceReport) -> None:
        before = self.store.health().get(report.source, SourceHealth(report.source))
        now = self.now()
        healthy = report.status in ("ok", "partial")
        changed = (
            report.appended.snapshots_new
            + report.appended.measurements_new
            + report.appended.measurements_revised
        )
        self.store.set_health(
            replace(
                before,
                state=report.status,
                last_attempt_at=now if report.status != "skipped" else before.last_attempt_at,
                last_ok_at=now if healthy else before.last_ok_at,
                last_change_at=now if changed else before.last_change_at,
                failures=0 if healthy else before.failures + (report.status != "skipped"),
                not_before=now + timedelta(seconds=report.not_before_s) if report.not_before_s else None,
                message="; ".join(f"{error.ref}: {error.message}" for error in report.errors[:3])[:500],
            )
        )


def period_of(source: Source, settings: Settings) -> timedelta:
    """How often a source is polled: ``[poll_hours]`` in the settings file, else its own period."""
    hours = settings.poll_hours.get(source.traits.name, source.traits.period_hours)
    return timedelta(hours=hours)


def completed(
    store: Store, source: Source, batch: Batch, outcomes: Iterable[Resolution] | None = None
) -> Batch:
    """A batch with what follows from it and what is stored: a question that is gone is gone in each of its
    outcomes, and an outcome that the platform no longer tells is taken back.

    ``outcomes``: those in force, for a caller that knows them; else the store is asked, if it matters.
    """
    unsettled = source.traits.unsettled
    if any(snapshot.state is ValueState.GONE for snapshot in batch.snapshots):
        batch = replace(batch, snapshots=batch.snapshots + gone_everywhere(batch, store.streams()))
    if any(info.status in unsettled for info in batch.infos):
        known = store.resolutions() if outcomes is None else outcomes
        batch = replace(batch, resolutions=batch.resolutions + taken_back(batch, known, unsettled))
    return batch


def _in_force(known: dict[tuple[str, ...], Resolution], told: Iterable[Resolution]) -> None:
    """Take outcomes into those in force: of one question and outcome the latest word counts."""
    for word in told:
        name = (word.source, word.platform, word.external_id, word.outcome)
        if name not in known or known[name].fetched_at <= word.fetched_at:
            known[name] = word


def _hear(hearing: Hearing, raw: RawPayload, result: Parsed | ParseError) -> None:
    if isinstance(result, ParseError):
        hearing.fail(raw, result.ref, result.message)
        return
    hearing.take(raw, result.batch)
    for fault in result.faults:
        hearing.fail(raw, fault.ref, f"{fault.field}: {fault.message}")
    for ref in result.denied:
        hearing.deny(raw, ref)


def _failed(errors: Iterable[ReportError]) -> frozenset[str]:
    return frozenset(part for error in errors for part in re.split("[,?]", error.ref))


def _name(link: Link) -> str:
    return f"{link.platform}:{link.external_id}"


def _place(link: Link) -> tuple[str, str]:
    return (link.platform, link.external_id)


def _incomplete(new: Sequence[Link], report: SourceReport) -> tuple[Link, ...]:
    """The new links of whose requests one failed in a way that trying again may mend."""
    failed = _failed(error for error in report.errors if error.retry)
    return tuple(link for link in new if "*" in failed or link.external_id in failed)


def _fingerprint(followed: set[tuple[str, str]]) -> str:
    return digest(repr(sorted(followed)).encode())


def _wholly_read(parsed: Parsed) -> bool:
    """Whether "not modified" would lose nothing: all was read, and nothing is to be asked because of it."""
    return not parsed.faults and not parsed.follow


def parse(source: Source, raw: RawPayload) -> Parsed | ParseError:
    """What stored bytes say, or why they cannot be read."""
    try:
        return source.parse(raw)
    except ParseError as error:
        return error


def note_parsed(
    store: Store, source: Source, raw: RawPayload, parsed: Parsed | ParseError, report: SourceReport
) -> Parsed | None:
    """Quarantine what could not be read and name it in the report; None when nothing could."""
    note_drift(store, source, raw, report)
    if isinstance(parsed, ParseError):
        report.quarantined += 1
        where = f"{parsed.field}: {parsed.message}" if parsed.field else parsed.message
        report.errors.append(ReportError(parsed.ref, parsed.kind, where, parsed.retry))
        _quarantine(store, source, raw, where)
        return None
    for fault in parsed.faults:
        report.errors.append(ReportError(fault.ref, fault.kind, f"{fault.field}: {fault.message}"))
    if parsed.faults:
        report.quarantined += 1
        _quarantine(
            store, source, raw, "; ".join(f"{f.ref} {f.field}: {f.message}" for f in parsed.faults)[:2000]
        )
    for ref in parsed.denied:
        report.denied += 1
        report.errors.append(
            ReportError(ref, "not_permitted", "the platform does not let this account see it")
        )
    report.notes.extend(parsed.notes)
    return parsed


def note_drift(store: Store, source: Source, raw: RawPayload, report: SourceReport) -> None:
    """Record how an answer differs from the shape expected of it; what was not known before is reported."""
    name = source.traits.name
    drifts = compare(name, raw)
    for drift in store.add_drifts(drifts) if drifts else ():
        report.drift.append(f"{drift.place} {drift.kind.value.replace('_', ' ')} {drift.detail}".strip())


def _quarantine(store: Store, source: Source, raw: RawPayload, reason: str) -> None:
    store.quarantine(
        Quarantined(
            payload_sha256=raw.sha256,
            source=source.traits.name,
            ref=raw.ref,
            reason=reason,
            parser_version=source.parser_version,
            at=raw.fetched_at,
        )
    )


def only(batch: Batch, followed: Collection[tuple[str, str]]) -> Batch:
    """The part of a batch about questions we follow; whole series always."""
    return Batch(
        snapshots=tuple(s for s in batch.snapshots if (s.key.platform, s.key.external_id) in followed),
        versions=batch.versions,
        resolutions=tuple(r for r in batch.resolutions if (r.platform, r.external_id) in followed),
        infos=tuple(i for i in batch.infos if (i.platform, i.external_id) in followed),
        histories=tuple(h for h in batch.histories if (h.key.platform, h.key.external_id) in followed),
    )


def merged(batches: Sequence[Batch]) -> Batch:
    """Several batches as one, in order."""
    return Batch(
        snapshots=tuple(record for batch in batches for record in batch.snapshots),
        versions=tuple(record for batch in batches for record in batch.versions),
        resolutions=tuple(record for batch in batches for record in batch.resolutions),
        infos=tuple(record for batch in batches for record in batch.infos),
        histories=tuple(record for batch in batches for record in batch.histories),
    )


def reparse(
    store: Store, source: Source, followed: set[tuple[str, str]] | None, since: datetime | None, at: datetime
) -> SourceReport:
    """Read a source's stored payloads again with today's parser and store what was missing.

    ``followed`` None: whatever they speak of, as with values that a person entered.
    The same bytes give the same records under the same keys, so nothing known is stored twice. A payload
    that parses now is released from quarantine.
    """
    report = SourceReport(source.traits.name)
    held = {entry.payload_sha256 for entry in store.quarantined() if entry.source == source.traits.name}
    outcomes: dict[tuple[str, ...], Resolution] = {}
    _in_force(outcomes, store.resolutions())
    for raw in store.raw_payloads(source.traits.name, since):
        report.answered += 1
        report.bytes += len(raw.body)
        read = parse(source, raw)
        if isinstance(read, ParseError) and raw.status in MISSING:
            continue  # a page that was not there: reported when it was asked for, nothing to read
        parsed = note_parsed(store, source, raw, read, report)
        if parsed is None:
            continue
        kept = parsed.batch if followed is None else only(parsed.batch, followed)
        whole = completed(store, source, kept, outcomes.values())
        _in_force(outcomes, whole.resolutions)
        report.appended += store.append(whole)
        if raw.sha256 in held and not parsed.faults:
            store.release(raw.sha256, at)
            report.notes.append(f"{raw.ref} of {iso(raw.fetched_at)} parses now: released from quarantine")
    report.status = _status(report)
    return report


def _unseen(requests: Iterable[Request], asked: set[Address]) -> list[Request]:
    fresh = []
    for request in requests:
        name = (request.base, request.path, request.params)
        if name not in asked:
            asked.add(name)
            fresh.append(request)
    return fresh


def _status(report: SourceReport) -> str:
    """ok, partial, failed or not_permitted, from what was answered and what went wrong."""
    if not report.errors:
        return "ok"
    if report.denied and not report.values:
        return "not_permitted"
    useful = report.answered - report.missing - report.empty - report.quarantined
    return "partial" if useful > 0 or report.values else "failed"
