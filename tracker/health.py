"""Health of questions: what a poll heard of each question it asked for, as one word that is kept.

"No forecast yet", "hidden", "not permitted", "no trade", "gone", "changed shape" and "stale" are different
things, and none of them is a value: a price stays what it was when access to it ends. ``Hearing`` collects
during a poll; ``Hearing.words`` says at its end how every question is. Pure: nothing here asks or stores.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from questions.model import Link
from questions.records import (
    OutcomeState,
    QuestionHealth,
    QuestionInfo,
    QuestionState,
    Resolution,
    Snapshot,
    StreamKey,
    ValueState,
)
from questions.time import iso
from storage.records import Batch, Observation, RawPayload, Standing

Name = tuple[str, str]  # platform, external id

_WORST_FIRST = (
    ValueState.NOT_PERMITTED,
    ValueState.HIDDEN,
    ValueState.GONE,
    ValueState.NO_TRADE,
    ValueState.NO_FORECAST,
)
SETTLED = frozenset(OutcomeState) - {OutcomeState.UNRESOLVED}


@dataclass
class _Heard:
    """What one poll heard of one question."""

    newest: dict[StreamKey, Snapshot] = field(default_factory=dict)
    mentioned: RawPayload | None = None
    denied: RawPayload | None = None
    unreadable: tuple[RawPayload, str] | None = None


@dataclass
class Hearing:
    """Collects what one poll of one source hears of the questions in ``followed``.

    ``skipped``: the ids that cannot be asked for, and why; ``not_modified``: some answer was "as before";
    ``resting``: decided questions that this poll left out: the word on them stands.
    """

    source: str
    followed: Collection[Name]
    _heard: dict[Name, _Heard] = field(default_factory=dict)
    not_modified: bool = False
    skipped: dict[str, str] = field(default_factory=dict)
    resting: set[Name] = field(default_factory=set)

    def take(self, raw: RawPayload, batch: Batch) -> None:
        """What a readable answer says."""
        for snapshot in batch.newest():
            heard = self._of((snapshot.key.platform, snapshot.key.external_id))
            known = heard.newest.get(snapshot.key)
            if known is None or (known.as_of, known.fetched_at) <= (snapshot.as_of, snapshot.fetched_at):
                heard.newest[snapshot.key] = snapshot
        told: list[QuestionInfo | Resolution] = [*batch.infos, *batch.resolutions]
        for word in told:
            self._of((word.platform, word.external_id)).mentioned = raw

    def deny(self, raw: RawPayload, ref: str) -> None:
        """The source would not let us see a question."""
        for name in self._named(ref):
            self._of(name).denied = raw

    def fail(self, raw: RawPayload, ref: str, message: str) -> None:
        """An answer about a question, or a part of one, could not be read."""
        for name in self._named(ref):
            self._of(name).unreadable = (raw, message)

    def _of(self, name: Name) -> _Heard:
        return self._heard.setdefault(name, _Heard())

    def _named(self, ref: str) -> list[Name]:
        """The followed questions that a ref is about: an id, several with commas, or all ("*")."""
        ids = set(re.split("[,?]", ref))
        return [name for name in self.followed if ref == "*" or name[1] in ids]

    def words(
        self,
        links: Iterable[Link],
        standing: Sequence[Standing],
        latest: Mapping[StreamKey, Observation],
        *,
        now: datetime,
        stale_after: timedelta,
        failed: Collection[str] = (),
    ) -> tuple[QuestionHealth, ...]:
        """One word on the health of each linked question.

        ``standing`` and ``latest``: what was known before this poll. ``failed``: the refs something went wrong
        with ("*": all); of the others, what no answer speaks of is missing and not merely unheard.
        """
        before = {
            (s.health.platform, s.health.external_id): s for s in standing if s.health.source == self.source
        }
        states: dict[Name, list[ValueState]] = {}
        for key, seen in latest.items():
            if key.source == self.source:
                states.setdefault((key.platform, key.external_id), []).append(seen.snapshot.state)
        found = {}
        for link in links:
            name = (link.platform, link.external_id)
            heard = self._heard.get(name)
            word = self._heard_word(name, heard, states.get(name, ())) if heard else None
            answered = not failed or not ({"*", link.external_id} & set(failed))
            found[name] = word or self._silence(name, before.get(name), now, stale_after, answered)
        return tuple(found[name] for name in sorted(found))

    def _heard_word(self, name: Name, heard: _Heard, stored: Sequence[ValueState]) -> QuestionHealth | None:
        if heard.newest:
            snapshots = list(heard.newest.values())
            state = _worst([snapshot.state for snapshot in snapshots])
            said = next(s for s in snapshots if s.state is state)
            if state is ValueState.OK or heard.unreadable is None:
                message = "" if heard.unreadable is None else f"read in part: {heard.unreadable[1]}"
                return self._word(
                    name, said.fetched_at, state, message, said.hidden_until, said.payload_sha256
                )
        if heard.unreadable is not None:
            raw, message = heard.unreadable
            return self._word(name, raw.fetched_at, QuestionState.CHANGED_SHAPE, message, None, raw.sha256)
        if heard.denied is not None:
            message = "the platform does not let this account see it"
            return self._word(
                name, heard.denied.fetched_at, QuestionState.NOT_PERMITTED, message, None, heard.denied.sha256
            )
        if heard.mentioned is not None and stored:
            raw = heard.mentioned
            return self._word(name, raw.fetched_at, _worst(stored), "", None, raw.sha256)
        if heard.mentioned is not None:
            raw = heard.mentioned
            message = "the platform speaks of it, and no answer held a value so far"
            return self._word(name, raw.fetched_at, QuestionState.STALE, message, None, raw.sha256)
        return None

    def _silence(
        self,
        name: Name,
        before: Standing | None,
        now: datetime,
        stale_after: timedelta,
        answered: bool,
    ) -> QuestionHealth:
        """The word on a question of which this poll heard nothing."""
        if name[1] in self.skipped:
            return self._word(name, now, QuestionState.STALE, f"not asked for: {self.skipped[name[1]]}")
        if before is None:
            reason = "asked for, and no answer speaks of it" if answered else "no answer so far"
            return self._word(name, now, QuestionState.STALE, reason)
        known = before.health
        if name in self.resting:
            return known
        if known.state is QuestionState.STALE:
            return self._word(name, now, known.state, known.message)
        if self.not_modified and answered:
            return self._word(name, now, known.state, known.message, known.hidden_until, known.payload_sha256)
        if now - before.seen_last > stale_after:
            message = f"nothing heard of it since {iso(before.seen_last)}"
            return self._word(name, now, QuestionState.STALE, message)
        return known

    def _word(
        self,
        name: Name,
        at: datetime,
        state: ValueState | QuestionState,
        message: str,
        hidden_until: datetime | None = None,
        payload_sha256: str | None = None,
    ) -> QuestionHealth:
        platform, external_id = name
        return QuestionHealth(
            self.source,
            platform,
            external_id,
            at,
            QuestionState(state.value),
            message[:300],
            hidden_until,
            payload_sha256,
        )


def _worst(states: Sequence[ValueState]) -> ValueState:
    """One word for a question with several outcomes: a value if there is any, else the gravest reason."""
    if ValueState.OK in states:
        return ValueState.OK
    return next(state for state in _WORST_FIRST if state in states)


def refused(
    source: str, links: Iterable[Link], state: QuestionState, message: str, now: datetime
) -> tuple[QuestionHealth, ...]:
    """The same word for every linked question: a source that cannot be asked at all."""
    names = sorted({(link.platform, link.external_id) for link in links})
    return tuple(
        QuestionHealth(source, platform, external_id, now, state, message) for platform, external_id in names
    )


# what follows from what an answer says ------------------------------------------------------------


def gone_everywhere(batch: Batch, streams: Iterable[StreamKey]) -> tuple[Snapshot, ...]:
    """A question that is gone is gone in each of its outcomes: snapshots for its other known streams.

    An adapter that finds a page missing cannot know which outcomes the question had. An option that the
    platform says was withdrawn at some time is gone by itself.
    """
    gone = {
        (s.key.source, s.key.platform, s.key.external_id): s
        for s in batch.snapshots
        if s.state is ValueState.GONE and not s.timed_by_source
    }
    told = {snapshot.key for snapshot in batch.newest()}
    found = []
    for key in streams if gone else ():
        word = gone.get((key.source, key.platform, key.external_id))
        if word is not None and key not in told:
            at = word.fetched_at
            sha256 = word.payload_sha256
            found.append(Snapshot(key, at, at, ValueState.GONE, payload_sha256=sha256))
    return tuple(found)


def taken_back(
    batch: Batch, known: Iterable[Resolution], unsettled: Collection[str]
) -> tuple[Resolution, ...]:
    """Outcomes that no longer hold: the platform told one before and now calls the question unsettled.

    ``unsettled``: the statuses in which, on this source, a question has no outcome. While other outcomes of
    the question are told, as of a market that settles answer by answer, one that is not is taken back if the
    same answer gives it a value.
    """
    outcomes = {(r.source, r.platform, r.external_id) for r in batch.resolutions}
    told = {(r.source, r.platform, r.external_id, r.outcome) for r in batch.resolutions}
    priced = {
        (s.key.source, s.key.platform, s.key.external_id, s.key.outcome, s.payload_sha256)
        for s in batch.newest()
        if s.state is ValueState.OK
    }
    again: dict[tuple[str, str, str], QuestionInfo] = {
        (info.source, info.platform, info.external_id): info
        for info in sorted(batch.infos, key=lambda info: info.fetched_at)
        if info.status in unsettled
    }
    found = []
    for word in known if again else ():
        name = (word.source, word.platform, word.external_id)
        info = again.get(name)
        if info is None or word.state not in SETTLED or (*name, word.outcome) in told:
            continue
        if name in outcomes and (*name, word.outcome, info.payload_sha256) not in priced:
            continue
        if word.fetched_at < info.fetched_at:
            found.append(
                Resolution(
                    word.source,
                    word.platform,
                    word.external_id,
                    word.outcome,
                    OutcomeState.UNRESOLVED,
                    info.fetched_at,
                    text=info.status,
                    payload_sha256=info.payload_sha256,
                )
            )
    return tuple(found)


# what a reader is told ----------------------------------------------------------------------------


@dataclass(frozen=True)
class QuestionView:
    """How one linked question is, over all sources that deliver it.

    ``state`` is the best word of any source; ``overdue_days`` counts the days since the close of a question
    that has no outcome, None while it need not have one. A frozen price is never an outcome.
    """

    platform: str
    external_id: str
    label: str
    state: QuestionState
    source: str
    since: datetime | None
    last_heard: datetime | None
    message: str
    hidden_until: datetime | None = None
    closes_at: datetime | None = None
    overdue_days: int | None = None

    @property
    def troubled(self) -> bool:
        """Whether a person should look at it."""
        return self.state is not QuestionState.OK or self.overdue_days is not None


_BEST_FIRST = (
    QuestionState.OK,
    QuestionState.NO_TRADE,
    QuestionState.NO_FORECAST,
    QuestionState.HIDDEN,
    QuestionState.NOT_PERMITTED,
    QuestionState.CHANGED_SHAPE,
    QuestionState.STALE,
    QuestionState.GONE,
)


def views(
    links: Iterable[Link],
    standing: Iterable[Standing],
    infos: Iterable[QuestionInfo],
    resolutions: Iterable[Resolution],
    *,
    now: datetime,
    overdue_after: timedelta,
) -> tuple[QuestionView, ...]:
    """How every linked question is, by platform and id. What was never asked is ``stale`` and says so.

    A question counts as overdue when a platform has said when it closes, that is more than ``overdue_after``
    ago, and no outcome is known from any source.
    """
    words: dict[Name, list[Standing]] = {}
    for one in standing:
        words.setdefault((one.health.platform, one.health.external_id), []).append(one)
    closes: dict[Name, datetime] = {}
    for info in infos:
        if info.closes_at is not None:
            name = (info.platform, info.external_id)
            closes[name] = max(info.closes_at, closes.get(name, info.closes_at))
    settled = {(r.platform, r.external_id) for r in resolutions if r.state in SETTLED}
    found: dict[Name, QuestionView] = {}
    for link in links:
        name = (link.platform, link.external_id)
        close = closes.get(name)
        late = close is not None and name not in settled and now - close > overdue_after
        best = min(
            words.get(name, ()),
            key=lambda s: (_BEST_FIRST.index(s.health.state), s.health.source),
            default=None,
        )
        health = best.health if best else None
        found[name] = QuestionView(
            *name,
            label=link.label,
            state=health.state if health else QuestionState.STALE,
            source=health.source if health else "",
            since=health.fetched_at if health else None,
            last_heard=best.seen_last if best and best.health.state is not QuestionState.STALE else None,
            message=health.message if health else "never asked for",
            hidden_until=health.hidden_until if health else None,
            closes_at=close,
            overdue_days=(now - close).days if late and close else None,
        )
    return tuple(found[name] for name in sorted(found))
