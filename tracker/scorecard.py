"""The forecasts that the store holds, laid out for scoring: who said what, when, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from questions.catalogue import Catalogue
from questions.model import Relation
from questions.question import ANNUL, Question
from questions.receipts import QuestionVersion, version_at
from questions.records import Forecast, OutcomeState, Quantity, QuestionInfo, Resolution, Snapshot, StreamKey
from storage.records import Observation
from storage.store import Store
from tracker.own import BELOW, OWN, counted, place
from tracker.scoring.history import forecasts_from_history, paths_from_history
from tracker.scoring.lives import Life, Steps
from tracker.scoring.table import ForecastTable

IMPORTED = "imported"
_DIGEST = re.compile(r"[0-9a-f]{12,64}")
PAGE_LEAD_DAYS = 14  # before the scheduled close: the calibration that the page tells
PERSON = "person:"  # before a forecaster's name: the source of what people said here
QuestionKey = tuple[str, str]


def stored_forecasts(
    store: Store,
    catalogue: Catalogue,
    *,
    lead_days: Sequence[int] | None,
    now: datetime,
    known_at: datetime | None = None,
    pending: bool = True,
) -> ForecastTable:
    """Every followed question's community values and what people forecast, with the outcomes known at ``known_at``.

    ``lead_days``: one forecast per lead before the scheduled close; None: the value at the end of each
    day. Questions without an outcome count as pending; with ``pending`` False they are not read, which changes
    no score. Areas come from the catalogue's links.
    """
    told = everything_told(store, catalogue, now, known_at, pending=pending, lead_days=lead_days)
    return forecasts_from_history(
        told.history,
        told.resolutions,
        lead_days=lead_days,
        closes=told.closes,
        now=now,
        areas=areas_of(catalogue, told.history),
        people=told.people,
        events=events_of(catalogue),
    )


def stored_lives(
    store: Store, catalogue: Catalogue, *, now: datetime, known_at: datetime | None = None
) -> tuple[dict[tuple[str, str], Steps], dict[str, Life]]:
    """What everybody said over the whole lives of the questions that ran their course, as known at ``known_at``."""
    told = everything_told(store, catalogue, now, known_at)
    opens = {key: question.dates.open for key, question in our_questions(store, catalogue, known_at).items()}
    for info in sorted(store.infos(known_at=known_at), key=lambda info: info.source == info.platform):
        if info.opens_at is not None:
            opens[info.platform, info.external_id] = info.opens_at
    return paths_from_history(
        told.history,
        told.resolutions,
        closes=told.closes,
        opens=opens,
        now=now,
        people=told.people,
        events=events_of(catalogue),
    )


@dataclass(frozen=True)
class Told:
    """All that was said of questions and their outcomes, as known at one time."""

    history: Mapping[StreamKey, Sequence[Observation]]
    people: Mapping[StreamKey, str]
    resolutions: Sequence[Resolution]
    closes: Mapping[QuestionKey, datetime]


def everything_told(
    store: Store,
    catalogue: Catalogue,
    now: datetime,
    known_at: datetime | None,
    *,
    pending: bool = True,
    lead_days: Sequence[int] | None = None,
) -> Told:
    """Every stream, what people said as streams, the outcomes and the scheduled closes, as known at ``known_at``.

    With ``pending`` False the streams of questions without an outcome are empty. With ``lead_days`` the streams of
    questions that ran their course begin with what stood at the longest of these leads.
    """
    resolutions = [*store.resolutions(known_at=known_at), *own_verdicts(store, catalogue, known_at)]
    decided = {(word.platform, word.external_id) for word in resolutions}
    closes = scheduled_closes(store, catalogue, resolutions, now if known_at is None else known_at)
    starts = _starts(resolutions, closes, max(lead_days), now) if lead_days else {}
    history: dict[StreamKey, Sequence[Observation]] = {
        key: as_told(
            key,
            store.history(
                key,
                known_at=known_at,
                start=None if key.source == IMPORTED else starts.get((key.platform, key.external_id)),
            ),
        )
        if pending or (key.platform, key.external_id) in decided
        else ()
        for key in store.streams()
    }
    people = people_streams(store, known_at=now if known_at is None else known_at)
    return Told(
        {**history, **people},
        {key: key.source.removeprefix(PERSON) for key in people},
        resolutions,
        closes,
    )


def _starts(
    resolutions: Sequence[Resolution], closes: Mapping[QuestionKey, datetime], lead_days: int, now: datetime
) -> dict[QuestionKey, datetime]:
    """From when on the values of questions that came out and ran their course count, a lead before the close."""
    open_ended = {
        (word.platform, word.external_id)
        for word in resolutions
        if word.state not in (OutcomeState.YES, OutcomeState.NO)
    }
    return {
        key: closes[key] - timedelta(days=lead_days)
        for key in {(word.platform, word.external_id) for word in resolutions} - open_ended
        if key in closes and closes[key] <= now
    }


def events_of(catalogue: Catalogue) -> dict[QuestionKey, str]:
    """What links share: the rungs of one ladder, twins on several platforms, and those that ask our question.

    Whatever is joined by any of these, directly or through another, is one event.
    """
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    named: dict[QuestionKey, str] = {}
    for link in catalogue.links:
        key = (link.platform, link.external_id)
        shared = [f"ladder {link.ladder}"] if link.ladder else []
        shared += [f"twin {link.twin}"] if link.twin else []
        shared += [f"question {link.question}"] if link.question and link.relation is Relation.SAME else []
        for name in shared:
            first = find(named.setdefault(key, name))
            leader[find(name)] = first
    return {key: find(name) for key, name in named.items()}


def our_questions(
    store: Store, catalogue: Catalogue, known_at: datetime | None
) -> dict[QuestionKey, Question]:
    """Our own questions, and every version of them that was seen, each by its own record where it can be read."""
    found = {(OWN, key): question for key, question in catalogue.questions.items()}
    for version in store.question_versions(known_at=known_at):
        record: Question | None
        try:
            record = version.load()
        except ValueError:  # a record of another program version
            record = catalogue.questions.get(version.question)
        if record is not None:
            found[OWN, own_id(version.question, version.version)] = record
    return found


def own_verdicts(store: Store, catalogue: Catalogue, known_at: datetime | None) -> list[Resolution]:
    """What our own questions came to, as a platform would say it: the last receipt of each version.

    Each outcome is told by itself, 1 for the one that came about and 0 for the others.
    """
    last = {(one.question, one.version): one for one in store.receipts(known_at=known_at)}
    ours = our_questions(store, catalogue, known_at)
    told: list[Resolution] = []
    for (name, version), receipt in sorted(last.items()):
        question = ours.get((OWN, own_id(name, version)))
        for outcome in question.outcomes if question is not None else ():
            state, value = OutcomeState.UNRESOLVED, None
            if receipt.outcome == ANNUL:
                state = OutcomeState.VOID
            elif receipt.outcome is not None:
                state = OutcomeState.YES if receipt.outcome == outcome else OutcomeState.NO
                value = float(receipt.outcome == outcome)
            told.append(
                Resolution(
                    OWN,
                    OWN,
                    own_id(name, version),
                    outcome,
                    state,
                    receipt.made_at,
                    resolved_at=receipt.resolved_at,
                    value=value,
                    text=receipt.outcome or "",
                )
            )
    return told


def own_id(question: str, version: str | None) -> str:
    """What a version of one of our questions is called here: a question edited in its terms is another one."""
    return f"{question}@{version[:12]}" if version else question


def areas_of(catalogue: Catalogue, streams: Iterable[StreamKey] = ()) -> dict[QuestionKey, tuple[str, ...]]:
    """The areas that each question bears on, ours and linked ones, each once, in the order they are given.

    Of ``streams`` the versions of our questions are taken along.
    """
    areas = {(OWN, key): question.areas for key, question in catalogue.questions.items()}
    for stream in streams:
        name = stream.external_id.partition("@")[0]
        if stream.platform == OWN and name in catalogue.questions:
            areas[OWN, stream.external_id] = catalogue.questions[name].areas
    for link in catalogue.links:
        key = (link.platform, link.external_id)
        areas[key] = tuple(dict.fromkeys((*areas.get(key, ()), *link.areas)))
    return areas


def people_streams(store: Store, *, known_at: datetime) -> dict[StreamKey, Sequence[Observation]]:
    """What people and other programs said, as streams: a forecast stands until the same one says another.

    Of several that count from one moment (a file of old ones) the one made last stands. Quantiles are no
    stream: they are scored as distributions.
    """
    versions = versions_seen(store, known_at)
    said: dict[StreamKey, dict[datetime, Forecast]] = {}
    for forecast, at in sorted(counted(store, known_at=known_at), key=lambda pair: pair[0].made_at):
        if not forecast.outcome.startswith(BELOW):
            platform, external_id = place(forecast.question)
            if platform == OWN:
                external_id = own_id(external_id, version_meant(forecast, versions.get(external_id, ())))
            source = PERSON + forecast.forecaster
            key = StreamKey(source, platform, external_id, forecast.outcome, Quantity.PANEL_MEDIAN)
            said.setdefault(key, {})[at] = forecast
    streams: dict[StreamKey, Sequence[Observation]] = {}
    for key, forecasts in said.items():
        times = sorted(forecasts)
        streams[key] = [
            Observation(
                Snapshot(key, at, at, probability=forecasts[at].probability, timed_by_source=True),
                at,
                until,
                1,
            )
            for at, until in zip(times, [*times[1:], known_at], strict=True)
        ]
    return streams


def versions_seen(store: Store, known_at: datetime | None) -> dict[str, list[QuestionVersion]]:
    """The versions of each of our questions that were seen by then, in order."""
    versions: dict[str, list[QuestionVersion]] = {}
    for version in store.question_versions(known_at=known_at):
        versions.setdefault(version.question, []).append(version)
    return versions


def version_meant(forecast: Forecast, versions: Sequence[QuestionVersion]) -> str | None:
    """Which version of our question a forecast is about: the one it names, else the one that stood when it was made.

    A model tells of its own version there, in words: that names none of the question's, which are digests.
    """
    if _DIGEST.fullmatch(forecast.version):
        return forecast.version
    return version_at(versions, forecast.made_at)


def as_told(key: StreamKey, seen: Sequence[Observation]) -> Sequence[Observation]:
    """A stream's values; one that a person typed in counts from when it was entered, whatever it claims.

    Otherwise a value entered after the outcome would be scored as a forecast of it.
    """
    if key.source != IMPORTED:
        return seen
    entered = [
        replace(
            o, snapshot=replace(o.snapshot, as_of=max(o.snapshot.as_of, o.seen_first), timed_by_source=True)
        )
        for o in seen
    ]
    return sorted(entered, key=lambda o: o.snapshot.as_of)


def scheduled_closes(
    store: Store, catalogue: Catalogue, resolutions: Sequence[Resolution], known_at: datetime
) -> Mapping[QuestionKey, datetime]:
    """When questions were due to close, as known before their outcome was.

    A platform moves the close of a resolved question to its resolution; a close read after that would
    turn every early Yes into a question that ran its course. The platform's own word goes before that of
    an aggregator; what neither says, the catalogue's deadline of the link does.
    """
    told_at = first_told(store, resolutions)
    closes: dict[QuestionKey, datetime] = {
        key: question.dates.close for key, question in our_questions(store, catalogue, known_at).items()
    }
    closes |= {(link.platform, link.external_id): link.by for link in catalogue.links if link.by is not None}
    newest = _infos(store, known_at)
    late = {  # told of again once the outcome was out: what counts is what was told before
        key: told_at[key] for key, info in newest if key in told_at and info.fetched_at >= told_at[key]
    }
    for key, info in newest:
        if info.closes_at is not None and key not in late:
            closes[key] = info.closes_at
    for moment in sorted(set(late.values())):
        for key, info in _infos(store, moment - timedelta(microseconds=1)):
            if info.closes_at is not None and late.get(key) == moment:
                closes[key] = info.closes_at
    return closes


def _infos(store: Store, known_at: datetime) -> list[tuple[QuestionKey, QuestionInfo]]:
    """What is known of each question, the platform's own word after that of an aggregator."""
    told = sorted(store.infos(known_at=known_at), key=lambda info: info.source == info.platform)
    return [((info.platform, info.external_id), info) for info in told]


def first_told(store: Store, resolutions: Sequence[Resolution]) -> dict[QuestionKey, datetime]:
    """When we first heard an outcome of each question; a later correction of it is not the first word."""
    told: dict[QuestionKey, datetime] = {}
    words = list(resolutions)
    while words:
        for word in words:
            key = (word.platform, word.external_id)
            if word.state is not OutcomeState.UNRESOLVED:
                told[key] = min(word.fetched_at, told.get(key, word.fetched_at))
        heard = {word.fetched_at for word in words}
        words = [
            word
            for moment in heard
            for word in store.resolutions(known_at=moment - timedelta(microseconds=1))
            if (word.platform, word.external_id) in told
            and word.state is not OutcomeState.UNRESOLVED
            and word.fetched_at < told[word.platform, word.external_id]
        ]
    return told
