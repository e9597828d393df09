"""Questions at their end: what closes soon, what came of those that resolved, what should have by now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from questions.catalogue import Catalogue
from questions.model import Relation
from questions.receipts import Receipt
from questions.records import (
    Forecast,
    ForecasterKind,
    OutcomeState,
    Quantity,
    Resolution,
    StreamKey,
    ValueState,
)
from storage.records import Observation
from storage.store import Store
from tracker.digest.content import (
    CLOSING_DAYS,
    SAID_DAYS,
    Closing,
    Opinion,
    Overdue,
    Resolved,
    Said,
    Subject,
)
from tracker.digest.movement import STANDS, LinkKey, chance, raws_of
from tracker.digest.period import Period
from tracker.health import views
from tracker.orderings import SETTLED
from tracker.own import OWN, counted, place
from tracker.scorecard import first_told
from tracker.scoring.scores import brier_score, log_score

OURS = "ours"
Name = tuple[str, str]
_WORDS = {
    OutcomeState.YES: "Yes",
    OutcomeState.NO: "No",
    OutcomeState.VOID: "annulled",
    OutcomeState.AMBIGUOUS: "ambiguous",
}


@dataclass(frozen=True)
class Followed:
    """What several parts look at: the questions by name, what stands now, and which were known a week ago."""

    catalogue: Catalogue
    store: Store
    period: Period
    subjects: Mapping[Name, Subject]
    closes: Mapping[Name, datetime]
    values: Mapping[LinkKey, Observation]
    resolutions: Sequence[Resolution]
    known_before: Collection[Name] = ()

    def value(self, name: Name) -> Observation | None:
        """The standing value of a question's Yes, or of its only followed outcome."""
        own = [one for key, one in self.values.items() if key[:2] == name]
        yes = self.values.get((*name, "yes"))
        return yes or (own[0] if len(own) == 1 else None)


def opinions_on(scene: Followed, keys: Iterable[StreamKey]) -> dict[LinkKey, tuple[Opinion, ...]]:
    """By outcome what people last forecast on it, or on our question where it asks the same, as known then."""
    wanted = {(key.platform, key.external_id, key.outcome) for key in keys}
    asks = {
        link.key: link.question
        for link in scene.catalogue.links
        if link.key in wanted and link.relation is Relation.SAME and link.question
    }
    asked: dict[LinkKey, LinkKey] = {name: name for name in wanted}
    for name, question in asks.items():
        asked[OWN, question, name[2]] = name
    last: dict[LinkKey, dict[str, Opinion]] = {}
    for forecast, at in _opinions(scene.store, scene.period.at) if wanted else ():
        told_of = asked.get((*place(forecast.question), forecast.outcome))
        if told_of is not None and forecast.kind is ForecasterKind.PERSON:
            last.setdefault(told_of, {})[forecast.forecaster] = Opinion(
                forecast.forecaster, forecast.probability, at
            )
    return {name: tuple(said[who] for who in sorted(said)) for name, said in last.items()}


def closing(scene: Followed) -> tuple[Closing, ...]:
    """Followed questions that close within ``CLOSING_DAYS`` and have no outcome, the first to close first."""
    settled = {(r.platform, r.external_id) for r in scene.resolutions if r.state in SETTLED}
    until = scene.period.at + timedelta(days=CLOSING_DAYS)
    found = []
    for name, at in scene.closes.items():
        if name in settled or not scene.period.at < at <= until:
            continue
        seen = scene.value(name)
        found.append(
            Closing(
                scene.subjects[name],
                at,
                None if seen is None else chance(seen),
                None if seen is None else seen.snapshot.forecasters,
                raws_of(seen),
            )
        )
    done = {
        receipt.question for receipt in scene.store.receipts(known_at=scene.period.at) if receipt.state.final
    }
    for key, question in scene.catalogue.questions.items():
        if key not in done and scene.period.at < question.dates.close <= until:
            subject = Subject(question.title, OURS, key, areas=question.areas)
            found.append(Closing(subject, question.dates.close, None, None))
    return tuple(
        sorted(found, key=lambda one: (one.closes_at, one.subject.platform, one.subject.external_id))
    )


def overdue(scene: Followed, overdue_days: float) -> tuple[Overdue, ...]:
    """Followed questions closed for longer than this without an outcome, the longest first."""
    at = scene.period.at
    found = views(
        scene.catalogue.links,
        scene.store.question_health(known_at=at),
        scene.store.infos(known_at=at),
        scene.resolutions,
        now=at,
        overdue_after=timedelta(days=overdue_days),
    )
    late = [
        Overdue(scene.subjects[one.platform, one.external_id], one.closes_at, one.overdue_days)
        for one in found
        if one.overdue_days is not None and one.closes_at is not None
    ]
    return tuple(sorted(late, key=lambda one: (-one.days, one.subject.platform, one.subject.external_id)))


def resolved(scene: Followed) -> tuple[Resolved, ...]:
    """Followed and own questions whose outcome was first told in the week, with everybody's scores.

    What had resolved before the week and was not known to us then is history that came in, and no news.
    """
    period = scene.period
    told = first_told(scene.store, scene.resolutions)
    fresh = {name for name, at in told.items() if period.since < at <= period.at}
    followed = {(link.platform, link.external_id) for link in scene.catalogue.links}
    opinions = _opinions(scene.store, period.at)
    words: dict[tuple[str, str, str], Resolution] = {}
    for word in scene.resolutions:  # of several sources the platform's own word counts
        name = (word.platform, word.external_id)
        if name in fresh & followed and word.state in (*SETTLED, OutcomeState.VALUE):
            key = (*name, word.outcome)
            if key not in words or word.source == word.platform:
                words[key] = word
    found = [
        _followed(scene, word, opinions)
        for (platform, external_id, _), word in words.items()
        if (word.resolved_at or word.fetched_at) > period.since
        or (platform, external_id) in scene.known_before
    ]
    found += [
        _own(scene, receipt, opinions)
        for receipt in scene.store.receipts(known_at=period.at)
        if receipt.state.final
        and receipt.made_at > period.since
        and receipt.question in scene.catalogue.questions
    ]
    return tuple(sorted(found, key=lambda one: (one.at, one.subject.platform, one.subject.external_id)))


def _followed(scene: Followed, word: Resolution, opinions: Sequence[tuple[Forecast, datetime]]) -> Resolved:
    at = word.resolved_at or word.fetched_at
    value = word.value if word.state in (OutcomeState.YES, OutcomeState.NO) else None
    text = _WORDS.get(word.state) or word.text or ("" if word.value is None else f"{word.value:g}")
    if word.outcome != "yes":
        text = f"{word.outcome}: {text}"
    said: list[Said] = []
    if value is not None:
        moment = at - timedelta(days=SAID_DAYS)
        said += _sources(scene.store, word, moment, scene.period.at, value)
        name = f"{word.platform}:{word.external_id}"
        said += _people(opinions, name, word.outcome, moment, value)
    raws = (word.payload_sha256,) if word.payload_sha256 else ()
    return Resolved(scene.subjects[word.platform, word.external_id], text, at, value, tuple(said), raws)


def _own(scene: Followed, receipt: Receipt, opinions: Sequence[tuple[Forecast, datetime]]) -> Resolved:
    """One of our questions: everybody's probability of the outcome that came about."""
    at = receipt.resolved_at or receipt.made_at
    question = scene.catalogue.questions[receipt.question]
    subject = Subject(question.title, OURS, receipt.question, areas=question.areas)
    outcome = receipt.outcome or ""
    moment = at - timedelta(days=SAID_DAYS)
    said = _people(opinions, receipt.question, outcome, moment, 1.0)
    return Resolved(subject, outcome, at, 1.0 if said else None, tuple(said))


def _sources(
    store: Store, word: Resolution, moment: datetime, known_at: datetime, value: float
) -> Iterable[Said]:
    """What each kind of crowd said; of one crowd's word through two sources the nearest."""
    streams = [key for key in store.streams(word.platform, word.external_id) if key.outcome == word.outcome]
    direct = any(key.source == key.platform for key in streams)
    for key in streams:
        if direct and key.quantity is Quantity.CROWD_DAILY:
            continue
        seen = _then(store.history(key, known_at=known_at, start=moment), moment)
        if seen is not None:
            yield _scored(_voice_of(key), chance(seen), value)


def _voice_of(key: StreamKey) -> str:
    return key.platform if key.source == key.platform else f"{key.platform} (via {key.source})"


def _then(history: Sequence[Observation], moment: datetime) -> Observation | None:
    """What stood at a moment; a silence of more than ``STANDS`` is not bridged."""
    by_then = [one for one in history if one.snapshot.as_of <= moment]
    last = by_then[-1] if by_then else None
    if last is None or last.snapshot.state is not ValueState.OK or last.snapshot.probability is None:
        return None
    confirmed = max(last.snapshot.as_of, min(last.seen_last, moment))
    return last if moment - confirmed <= STANDS else None


def _people(
    opinions: Sequence[tuple[Forecast, datetime]], question: str, outcome: str, moment: datetime, value: float
) -> list[Said]:
    last: dict[str, Forecast] = {}
    for forecast, at in opinions:
        if place(forecast.question) == place(question) and forecast.outcome == outcome and at <= moment:
            last[forecast.forecaster] = forecast
    return [_scored(who, forecast.probability, value) for who, forecast in sorted(last.items())]


def _opinions(store: Store, known_at: datetime) -> list[tuple[Forecast, datetime]]:
    return sorted(counted(store, known_at=known_at), key=lambda pair: (pair[1], pair[0].forecaster))


def _scored(who: str, probability: float, value: float) -> Said:
    brier = float(brier_score([probability], [value])[0])
    return Said(who, probability, brier, float(log_score([probability], [value])[0]))
