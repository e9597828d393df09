"""What a rule looks at: the store as known at one instant, read once for all rules; and what a rule answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from questions.catalogue import Catalogue
from questions.model import Link
from questions.receipts import Exhibit
from questions.records import QuestionHealth, QuestionInfo, Resolution, StreamKey
from questions.time import iso, parse_utc
from storage.alerting import Alert
from storage.records import Observation, Standing
from storage.store import Store
from tracker.config import Settings
from tracker.health import QuestionView, views
from tracker.source import Source

Name = tuple[str, str]  # platform, external id
State = Mapping[str, Any]
ENDED = "ended"  # the direction of a change back to how it should be: kept, and told to nobody


@dataclass(frozen=True)
class Found:
    """What a rule found out about one signal: how it is armed from now on, and the alert, if any."""

    signal: str
    state: State
    alert: Alert | None = None


@dataclass
class Scene:
    """Everything known at ``at``. ``armed``: what was last told, by signal."""

    store: Store
    catalogue: Catalogue
    settings: Settings
    sources: Mapping[str, Source]
    at: datetime
    armed: Mapping[str, State]
    troubled: set[str] = field(default_factory=set)  # sources that are in trouble as a whole
    _histories: dict[StreamKey, list[Observation]] = field(default_factory=dict)

    @cached_property
    def links(self) -> dict[Name, list[Link]]:
        """The followed questions with their links, by name."""
        found: dict[Name, list[Link]] = defaultdict(list)
        for link in self.catalogue.links:
            found[link.platform, link.external_id].append(link)
        return dict(sorted(found.items()))

    @cached_property
    def infos(self) -> dict[Name, list[QuestionInfo]]:
        """What is told of each question, the platform's own word first."""
        found: dict[Name, list[QuestionInfo]] = defaultdict(list)
        for info in self.store.infos(known_at=self.at):
            found[info.platform, info.external_id].append(info)
        return {name: sorted(told, key=own_word_first) for name, told in found.items()}

    @cached_property
    def resolutions(self) -> list[Resolution]:
        return self.store.resolutions(known_at=self.at)

    @cached_property
    def standings(self) -> list[Standing]:
        return self.store.question_health(known_at=self.at)

    @cached_property
    def values(self) -> dict[Name, dict[StreamKey, Observation]]:
        """The newest value of every followed stream, by question."""
        wanted = {link.key for link in self.catalogue.links}
        keys = [key for key in self.store.streams() if (key.platform, key.external_id, key.outcome) in wanted]
        found: dict[Name, dict[StreamKey, Observation]] = defaultdict(dict)
        for key, seen in self.store.latest(keys, known_at=self.at).items():
            found[key.platform, key.external_id][key] = seen
        return found

    def history(self, key: StreamKey) -> list[Observation]:
        """All of a stream, read once."""
        if key not in self._histories:
            self._histories[key] = self.store.history(key, known_at=self.at)
        return self._histories[key]

    @cached_property
    def views(self) -> dict[Name, QuestionView]:
        """How every followed question is."""
        found = views(
            self.catalogue.links,
            self.standings,
            self.store.infos(known_at=self.at),
            self.resolutions,
            now=self.at,
            overdue_after=timedelta(days=self.settings.links.overdue_days),
        )
        return {(view.platform, view.external_id): view for view in found}

    @cached_property
    def area_names(self) -> dict[str, str]:
        return {area.key: area.name for area in self.catalogue.areas}

    def title(self, name: Name) -> str:
        """The platform's own title as fetched, else our label."""
        told = (info.title for info in self.infos.get(name, ()) if info.title)
        return next(told, self.links[name][0].label)

    def about(self, name: Name) -> dict[str, Any]:
        """What every alert on a linked question says of it."""
        links = self.links[name]
        areas = dict.fromkeys(area for link in links for area in link.areas)
        return {"title": self.title(name), "url": links[0].url, "areas": tuple(areas)}


def own_word_first(word: QuestionInfo | Resolution) -> tuple[bool, str]:
    """Sorts what the platform itself says before what others tell of it."""
    return (word.source != word.platform, word.source)


@dataclass(frozen=True)
class Step:
    """One step of a signal that is one word at a time: its state afterwards, and what it changed from, if it did."""

    state: State
    before: str | None = None
    since: datetime | None = None

    @property
    def words(self) -> dict[str, str]:
        """From which word to which, for whoever adds up several steps."""
        return {"from": self.before or "", "to": str(self.state["told"])}


def step(state: State | None, word: str | None, at: datetime, hold: timedelta = timedelta(0)) -> Step:
    """Take in what is said now. A change counts once the new word has stood for ``hold``, unbroken.

    The first word ever is where things start, not a change. None: between words, or nothing can be said; what was
    told stays told, and a word that was waiting to count has not stood.
    """
    if state is None:
        return Step({} if word is None else {"told": word, "since": iso(at)})
    if not state:
        return Step(state if word is None else {"told": word, "since": iso(at)})
    told = str(state["told"])
    settled = {"told": told, "since": state["since"]}
    if word is None or word == told:
        return Step(settled)
    begun = parse_utc(state["waiting_since"]) if state.get("waiting") == word else at
    if at - begun < hold:
        return Step(settled | {"waiting": word, "waiting_since": iso(begun)})
    return Step({"told": word, "since": iso(at)}, told, parse_utc(state["since"]))


def exhibit_of(seen: Observation) -> Exhibit:
    """A stored value as evidence."""
    one = seen.snapshot
    return Exhibit(
        "value",
        f"{one.key.source}:{one.key.platform}",
        key=f"{one.key.external_id}:{one.key.outcome}",
        metric=one.key.quantity.value,
        at=iso(one.as_of),
        published=iso(seen.seen_first),
        value=one.probability,
        payload_sha256=one.payload_sha256,
    )


def health_exhibit(word: QuestionHealth) -> Exhibit:
    """What a poll found of a question, as evidence."""
    return Exhibit(
        "health",
        f"{word.source}:{word.platform}",
        key=word.external_id,
        published=iso(word.fetched_at),
        text=f"{word.state.value}: {word.message}",
        payload_sha256=word.payload_sha256,
    )


def joined(parts: Sequence[str], most: int = 6) -> str:
    """The first few of many, and how many more there are."""
    return "; ".join(parts[:most]) + (f"; and {len(parts) - most} more" if len(parts) > most else "")
