"""What the store holds of distributions, laid out for scoring, and what came of them: numbers, dates, options.

Four kinds of words: platforms' CDFs, the quantiles that people, panels and programs gave here, the prices of the
rungs of ladders, and probabilities of all options of a question together. An answer counts as in
``tracker.scorecard``: only once the scheduled close has passed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from questions.catalogue import Catalogue
from questions.model import Link, QuestionKind
from questions.question import ANNUL, Question
from questions.records import Forecast, OutcomeState, Quantity, Resolution, StreamKey
from questions.rules import SeriesValue
from questions.time import EPOCH
from storage.records import Observation
from storage.store import Store
from tracker.own import BELOW, OWN, VALUE, counted, distributions, place
from tracker.scorecard import (
    PERSON,
    areas_of,
    as_told,
    events_of,
    our_questions,
    own_id,
    own_verdicts,
    people_streams,
    scheduled_closes,
    version_meant,
    versions_seen,
)
from tracker.scoring.history import (
    forecaster_names,
    heard_nearest,
    outcome_key,
    paths_from_history,
    standing_words,
    verdicts_of,
)
from tracker.scoring.lives import Steps
from tracker.scoring.numeric import ladder, options
from tracker.scoring.shapes import Answer, Form, Shape, Told

BUCKETS = "metaculus"  # whose grids divide the range into cells of equal weight
MAX_AGE = timedelta(days=7)  # silence longer than this is not bridged, as for probabilities
MIN_OPTIONS = 3  # two are yes and no
_FIRST = datetime.min.replace(tzinfo=UTC)
BEYOND = {"below_lower_bound": -math.inf, "above_upper_bound": math.inf}

QuestionKey = tuple[str, str]


@dataclass(frozen=True)
class Numbers:
    """Everybody's distributions, the answers, and how many (forecaster, question) pairs are not scored, and why."""

    told: Mapping[tuple[str, str], Told]
    answers: Mapping[str, Answer]
    not_scored: Mapping[str, int]


@dataclass(frozen=True)
class _Facts:
    """What is known of questions besides what was forecast."""

    resolutions: Mapping[tuple[str, str, str], Resolution]
    ours: Mapping[QuestionKey, Question]
    closes: Mapping[QuestionKey, datetime]
    opens: Mapping[QuestionKey, datetime]
    events: Mapping[QuestionKey, str]
    now: datetime


@dataclass
class _Voices:
    """What was said of each question, by forecaster: (time, distribution or None for nothing) in order of time."""

    said: dict[tuple[str, QuestionKey], list[tuple[datetime, Shape | None]]] = field(default_factory=dict)
    spans: dict[QuestionKey, tuple[float, float]] = field(default_factory=dict)
    dated: set[QuestionKey] = field(default_factory=set)
    reveals: dict[QuestionKey, float] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)


def stored_numbers(
    store: Store,
    catalogue: Catalogue,
    *,
    now: datetime,
    known_at: datetime | None = None,
    forecasters: Collection[str] = (),
    areas: Collection[str] = (),
) -> Numbers:
    """All that can be scored of numbers and dates, as known at ``known_at``; of these forecasters and areas alone."""
    at = now if known_at is None else known_at
    facts = _facts(store, catalogue, now, known_at, at)
    voices = _Voices()
    _platforms(store, voices, known_at)
    _people(store, voices, facts, at)
    told: dict[tuple[str, str], Told] = {}
    answers: dict[str, Answer] = {}
    bearing = areas_of(catalogue, _streams_of(voices))
    for (forecaster, key), moments in sorted(voices.said.items()):
        if (forecasters and forecaster not in forecasters) or not _bears(key, bearing, areas):
            continue
        found = _answer(key, facts, voices, moments[0][0])
        if isinstance(found, str):
            voices.reasons[found] += 1
            continue
        answers[found.question] = found
        at_once = dict(moments)
        times = sorted(at_once)
        told[forecaster, found.question] = Told(
            tuple(_days(t) for t in times), tuple(at_once[t] for t in times)
        )
    for forecaster, said, answer in _ladders(store, catalogue, facts, known_at, voices.reasons, areas):
        if not forecasters or forecaster in forecasters:
            told[forecaster, answer.question], answers[answer.question] = said, answer
    orders = _orders(catalogue, facts)
    for forecaster, said, answer in _choices(store, facts, known_at, at, bearing, areas, orders):
        if not forecasters or forecaster in forecasters:
            told[forecaster, answer.question], answers[answer.question] = said, answer
    return Numbers(told, answers, dict(voices.reasons))


def _facts(
    store: Store, catalogue: Catalogue, now: datetime, known_at: datetime | None, at: datetime
) -> _Facts:
    resolutions = store.resolutions(known_at=known_at)
    ours = our_questions(store, catalogue, known_at)
    opens = {key: question.dates.open for key, question in ours.items()}
    for info in sorted(store.infos(known_at=known_at), key=lambda info: info.source == info.platform):
        if info.opens_at is not None:
            opens[info.platform, info.external_id] = info.opens_at
    told = [
        *resolutions,
        *_own_words(store, ours, known_at),
        *(word for word in own_verdicts(store, catalogue, known_at) if word.outcome != VALUE),
    ]
    closes = scheduled_closes(store, catalogue, told, at)
    return _Facts(verdicts_of(told)[0], ours, closes, opens, events_of(catalogue), now)


def _own_words(
    store: Store, ours: Mapping[QuestionKey, Question], known_at: datetime | None
) -> Iterator[Resolution]:
    """What our own questions of a number or a date came to, as a platform would say it."""
    for receipt in {(one.question, one.version): one for one in store.receipts(known_at=known_at)}.values():
        key = (OWN, own_id(receipt.question, receipt.version))
        question = ours.get(key)
        if question is None or question.kind not in (QuestionKind.NUMERIC, QuestionKind.DATE):
            continue
        state, value, text = OutcomeState.UNRESOLVED, None, receipt.outcome or ""
        if receipt.outcome is not None:
            state = OutcomeState.VOID if receipt.outcome == ANNUL else OutcomeState.VALUE
        if state is OutcomeState.VALUE and question.kind is QuestionKind.NUMERIC:
            value = receipt.value if receipt.outcome != question.default_outcome else None
        elif state is OutcomeState.VALUE and receipt.outcome == question.default_outcome:
            text = "above_upper_bound"  # not by the deadline
        elif state is OutcomeState.VALUE and receipt.on is not None:
            value = _seconds(receipt.on)
        yield Resolution(
            OWN, *key, VALUE, state, receipt.made_at, resolved_at=receipt.resolved_at, value=value, text=text
        )


def _platforms(store: Store, voices: _Voices, known_at: datetime | None) -> None:
    """Platforms' distributions; of one crowd's word heard twice the nearest, silence not bridged."""
    keys = [key for key in store.streams() if key.outcome == VALUE]
    names = forecaster_names(keys)
    for key in heard_nearest(keys, {}):
        seen = as_told(key, store.history(key, known_at=known_at))
        shapes = [_shape(one, key.platform) for one in seen]
        where = (key.platform, key.external_id)
        if not any(shapes):
            if seen:
                voices.reasons["a median or mean alone, no distribution"] += 1
            continue
        newest = next(one for one in reversed(shapes) if one is not None)
        voices.spans[where] = (newest.x[0], newest.x[-1])
        hidden = [one.snapshot.hidden_until for one in seen if one.snapshot.hidden_until is not None]
        if hidden:
            voices.reveals[where] = _days(hidden[-1])
        if any(
            one.snapshot.distribution is not None and one.snapshot.distribution.unit == "date" for one in seen
        ):
            voices.dated.add(where)
        voices.said[names[key], where] = _moments(seen, shapes)


def _shape(seen: Observation, platform: str) -> Shape | None:
    found = seen.snapshot.distribution
    if found is None:
        return None
    return Shape(found.x, found.cdf, Form.GRID if platform == BUCKETS else Form.CDF)


def _moments(
    seen: Sequence[Observation], shapes: Sequence[Shape | None]
) -> list[tuple[datetime, Shape | None]]:
    """What stood from when, with nothing wherever it was not confirmed for too long."""
    moments: list[tuple[datetime, Shape | None]] = []
    for position, (one, shape) in enumerate(zip(seen, shapes, strict=True)):
        moments.append((one.snapshot.as_of, shape))
        lapses = max(one.snapshot.as_of, one.seen_last) + MAX_AGE
        if position + 1 == len(seen) or seen[position + 1].snapshot.as_of > lapses:
            moments.append((lapses, None))
    return moments


def _people(store: Store, voices: _Voices, facts: _Facts, known_at: datetime) -> None:
    """Quantiles that were given here: they count from their entry and stand until the same one gives others."""
    entries = [(one, at) for one, at in counted(store, known_at=known_at) if one.outcome.startswith(BELOW)]
    from_when: dict[tuple[str, str, datetime], datetime] = {}
    about: dict[tuple[str, str, datetime], Forecast] = {}
    for entry, at in entries:
        key = (entry.question, entry.forecaster, entry.made_at)
        from_when[key] = max(at, from_when.get(key, at))
        about[key] = entry
    versions = versions_seen(store, known_at)
    given = distributions(entry for entry, _ in entries)
    for one in sorted(given, key=lambda one: one.made_at):
        key = (one.question, one.forecaster, one.made_at)
        platform, external_id = place(one.question)
        if platform == OWN:
            external_id = own_id(external_id, version_meant(about[key], versions.get(external_id, ())))
        where = (platform, external_id)
        _range_of_ours(where, facts, voices)
        if where in voices.spans and one.dated != (where in voices.dated):
            voices.reasons["quantiles are dates where a number is asked, or the other way"] += 1
            continue
        if one.dated:
            voices.dated.add(where)
        shape = Shape(one.values, one.levels, Form.QUANTILES)
        voices.said.setdefault((one.forecaster, where), []).append((from_when[key], shape))
    for moments in voices.said.values():
        moments.sort(key=lambda pair: pair[0])


def _range_of_ours(where: QuestionKey, facts: _Facts, voices: _Voices) -> None:
    question = facts.ours.get(where)
    if question is None:
        return
    if question.date_range is not None:
        lower, upper = (
            (end - EPOCH).total_seconds() for end in (question.date_range.lower, question.date_range.upper)
        )
        voices.spans[where] = (lower, upper)
        voices.dated.add(where)
    elif question.numeric_range is not None:
        voices.spans[where] = (question.numeric_range.lower, question.numeric_range.upper)


def _answer(key: QuestionKey, facts: _Facts, voices: _Voices, first: datetime) -> Answer | str:
    """What a question came to, or why it cannot be scored."""
    word, closes = facts.resolutions.get((*key, VALUE)), facts.closes.get(key)
    if word is None or word.state is OutcomeState.UNRESOLVED:
        return "pending: no outcome yet"
    if word.state in (OutcomeState.VOID, OutcomeState.AMBIGUOUS):
        return "void: annulled or ambiguous"
    value = word.value if word.value is not None else BEYOND.get(word.text)
    if value is None:
        return "resolved to something that is no number"
    if closes is None:
        return "the scheduled close is unknown"
    if closes > facts.now:
        return "resolved early: the scheduled close has not passed"
    opens = facts.opens.get(key, first)
    ends = min(word.resolved_at or word.fetched_at, closes)
    if not opens < ends:
        return "said when it was over"
    return Answer(
        "/".join(key), value, _days(opens), _days(closes), _days(ends), voices.spans.get(key), key in voices.dated,
        facts.events.get(key, ""), voices.reveals.get(key, math.nan),
    )  # fmt: skip


def _ladders(
    store: Store,
    catalogue: Catalogue,
    facts: _Facts,
    known_at: datetime | None,
    reasons: Counter[str],
    areas: Collection[str],
) -> Iterator[tuple[str, Told, Answer]]:
    """Ladders of yes/no questions all of whose rungs ran their course, by forecaster."""
    rungs: dict[tuple[str, str], list[Link]] = {}
    for link in catalogue.links:
        if link.ladder is not None and link.bucket is None:  # answers that exclude each other are options
            rungs.setdefault((link.platform, link.ladder), []).append(link)
    keys = {link.key for links in rungs.values() for link in links}
    history = {
        key: as_told(key, store.history(key, known_at=known_at))
        for key in store.streams()
        if outcome_key(key) in keys
    }
    paths, lives = paths_from_history(
        history, list(facts.resolutions.values()), closes=facts.closes, opens=facts.opens, now=facts.now
    )
    for (platform, name), links in sorted(rungs.items()):
        if len(links) < 2 or (areas and not any(set(areas) & set(link.areas) for link in links)):
            continue
        harder = all(link.rung is not None for link in links)
        for forecaster in sorted({who for who, life in paths if life.split("/")[0] == platform}):
            mine = [(link, "/".join(link.key)) for link in links if (forecaster, "/".join(link.key)) in paths]
            if not mine:
                continue
            found = None
            if len(mine) == len(links):
                parts = [(_rung(link), paths[forecaster, life], lives[life]) for link, life in mine]
                event = f"ladder {name}"
                found = ladder(parts, name=f"{platform}/{event}", event=event, harder=harder)
            if found is None:
                reasons["ladder: not all rungs ran their course together, or their outcomes clash"] += 1
            else:
                yield (forecaster, *found)


def _choices(
    store: Store,
    facts: _Facts,
    known_at: datetime | None,
    at: datetime,
    bearing: Mapping[QuestionKey, Sequence[str]],
    areas: Collection[str],
    orders: Mapping[QuestionKey, Sequence[str]],
) -> Iterator[tuple[str, Told, Answer]]:
    """Questions of three options or more of which exactly one came about, by forecaster; options in their order where
    they have one (``orders``), else in that of their names."""
    spoken: dict[QuestionKey, set[str]] = {}
    for key in store.streams():
        spoken.setdefault((key.platform, key.external_id), set()).add(key.outcome)
    people = people_streams(store, known_at=at)
    history = {
        key: as_told(key, store.history(key, known_at=known_at))
        for key in store.streams()
        if len(spoken[key.platform, key.external_id] - {VALUE}) > MIN_OPTIONS - 1
    }
    named = {key: key.source.removeprefix(PERSON) for key in people}
    together: dict[tuple[str, QuestionKey], dict[str, Steps]] = {}
    for key, (forecaster, steps) in standing_words({**history, **people}, people=named).items():
        if key.outcome != VALUE:
            together.setdefault((forecaster, (key.platform, key.external_id)), {})[key.outcome] = steps
    for (forecaster, question), said in sorted(together.items(), key=lambda item: item[0]):
        if len(said) < MIN_OPTIONS or not _bears(question, bearing, areas):
            continue
        inherent = orders.get(question, ())
        ordered = set(inherent) == set(said)
        names = list(inherent) if ordered else sorted(said)
        words = [facts.resolutions.get((*question, name)) for name in names]
        whole = options([said[name] for name in names], ordered=ordered)
        chosen = [k for k, word in enumerate(words) if word is not None and word.state is OutcomeState.YES]
        over = all(word is not None and word.state in (OutcomeState.YES, OutcomeState.NO) for word in words)
        closes = facts.closes.get(question)
        if whole is None or not over or len(chosen) != 1 or closes is None or closes > facts.now:
            continue  # each option is counted, and scored, by itself as well
        word = words[chosen[0]]
        assert word is not None
        first = min(float(steps.at[0]) for steps in said.values())
        opens = _days(facts.opens[question]) if question in facts.opens else first
        ends = min(_days(word.resolved_at or word.fetched_at), _days(closes))
        if opens < ends:
            yield (
                forecaster,
                whole,
                Answer(
                    f"{'/'.join(question)} (options)", chosen[0], opens, _days(closes), ends,
                    event=facts.events.get(question, "/".join(question)),
                ),
            )  # fmt: skip


def _orders(catalogue: Catalogue, facts: _Facts) -> dict[QuestionKey, tuple[str, ...]]:
    """The options that have an order of their own: bands of our questions, and answers elsewhere that are dates."""
    found = {
        key: tuple(band.outcome for band in question.rule.buckets)
        for key, question in facts.ours.items()
        if isinstance(question.rule, SeriesValue) and question.rule.buckets
    }
    answers: dict[QuestionKey, list[Link]] = {}
    for link in catalogue.links:
        if link.bucket is not None:
            answers.setdefault((link.platform, link.external_id), []).append(link)
    last = ("dated", "later", "never")
    return found | {
        key: tuple(
            link.outcome
            for link in sorted(links, key=lambda one: (last.index(one.bucket or ""), one.by or _FIRST))
        )
        for key, links in answers.items()
    }


def _rung(link: Link) -> float:
    if link.rung is not None:
        return link.rung
    assert link.by is not None  # a link on a ladder has one of them
    return (link.by - EPOCH).total_seconds()


def _streams_of(voices: _Voices) -> list[StreamKey]:
    return [StreamKey(OWN, *key, VALUE, Quantity.PANEL_MEDIAN) for _, key in voices.said]


def _bears(key: QuestionKey, bearing: Mapping[QuestionKey, Sequence[str]], areas: Collection[str]) -> bool:
    return not areas or not set(areas).isdisjoint(bearing.get(key, ()))


def _seconds(day: date) -> float:
    return (datetime.combine(day, time(), tzinfo=UTC) - EPOCH).total_seconds()


def _days(moment: datetime) -> float:
    return (moment - EPOCH) / timedelta(days=1)
