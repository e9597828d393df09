"""What the voices said at an instant, as a record that says the same bytes whenever it is made again.

A week ends on Monday at 00:00 UTC. What is kept of it is what every voice said as known at that moment, and how
the voices compared: canonical JSON (sorted keys, numbers to six places, no times of making) and its SHA-256. For how
many weeks a pair has been in disagreement is not in it: that is counted over weeks (``running``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from questions.time import iso, parse_utc
from storage.errors import IntegrityFailure
from storage.records import Grain, OrderingRecord, digest
from tracker import __version__
from tracker.estimates.voice import Comparison, Disagreement, Evidence, RankMove, Voice

WEEK = timedelta(days=7)
_MONDAY = datetime.fromisoformat("1970-01-05T00:00:00+00:00")
PLACES = 6
_VOICE = (
    "name",
    "model",
    "scores",
    "ranking",
    "mean_rank",
    "p_before",
    "group_means",
    "p_capabilities_first",
    "tau_b_self",
    "coverage",
    "evidence",
    "unused",
    "note",
    "reason",
)
_ROWS = ("evidence", "unused")
_PAIR_OF_NUMBERS = ("tau_b_ci90", "tau_null_ci90", "tau_latent_ci90")

Pair = tuple[str, str]


@dataclass(frozen=True)
class Week:
    """What every voice said ``at`` the end of a week (or day), as known at ``known_at``, and how they compared.

    ``made_at`` None: derived just now, not stored. ``settings`` is what it was asked with, ``sha256`` the digest of
    its payload. Voices have no draws, rank probabilities or dates here; their evidence is as it was read then.
    """

    at: datetime
    known_at: datetime
    made_at: datetime | None
    settings: str
    program: str
    model: str
    sha256: str
    voices: Mapping[str, Voice]
    comparisons: tuple[Comparison, ...]

    @property
    def stored(self) -> bool:
        return self.made_at is not None

    def between(self, a: str, b: str) -> Comparison | None:
        """How two voices compared, None when one of them had no view."""
        return next((one for one in self.comparisons if (one.a, one.b) == (a, b)), None)

    def disagreeing(self, a: str, b: str) -> frozenset[Pair]:
        """The pairs (first by ``a``, second) on which two voices disagreed."""
        found = self.between(a, b)
        return frozenset((pair.first, pair.second) for pair in found.disagreements) if found else frozenset()


def week_end(now: datetime) -> datetime:
    """The end of the last week that is over: the Monday, 00:00 UTC, at or before ``now``."""
    return _MONDAY + (now - _MONDAY) // WEEK * WEEK


def week_ends(until: datetime, count: int) -> tuple[datetime, ...]:
    """The last ``count`` ends of weeks at or before an instant, the oldest first."""
    last = week_end(until)
    return tuple(last - back * WEEK for back in range(count - 1, -1, -1))


def settings_name(settings: Mapping[str, Any]) -> str:
    """A short name for what was asked: equal for equal settings, whatever their order."""
    return digest(canonical(settings).encode())[:16]


def payload_of(
    voices: Mapping[str, Voice], comparisons: Sequence[Comparison], settings: Mapping[str, Any]
) -> str:
    """Voices and comparisons as canonical JSON; the same sayings give the same text."""
    return canonical(
        {
            "settings": settings,
            "voices": [_spoken(voice) for voice in voices.values()],
            "comparisons": [_compared(one) for one in comparisons],
        }
    )


def _spoken(voice: Voice) -> dict[str, Any]:
    told = {name: getattr(voice, name) for name in _VOICE}
    return told | {name: [asdict(one) for one in told[name]] for name in _ROWS}


def _compared(one: Comparison) -> dict[str, Any]:
    pairs = [{**asdict(pair), "weeks": None} for pair in one.disagreements]
    return asdict(one) | {"disagreements": pairs}


def canonical(value: Any) -> str:
    """JSON with sorted keys and numbers to six places; ValueError for NaN and infinity."""
    return json.dumps(
        _rounded(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, PLACES) + 0.0  # no -0.0
    if isinstance(value, Mapping):
        return {str(key): _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return iso(value) if isinstance(value, datetime) else value


def record_of(
    grain: Grain,
    at: datetime,
    voices: Mapping[str, Voice],
    comparisons: Sequence[Comparison],
    settings: Mapping[str, Any],
    *,
    made_at: datetime,
) -> OrderingRecord:
    """What is stored of an instant, as known at it."""
    payload = payload_of(voices, comparisons, settings)
    return OrderingRecord(
        grain=grain,
        settings=settings_name(settings),
        at=at,
        known_at=at,
        made_at=made_at,
        program=__version__,
        model=str(settings["model"]),
        payload=payload,
        sha256=digest(payload.encode()),
    )


def read_week(record: OrderingRecord, *, stored: bool = True) -> Week:
    """A record as typed values. IntegrityFailure, naming its instant, for a payload that is not of this shape."""
    try:
        said = json.loads(record.payload)
        voices = [_voice(one) for one in said["voices"]]
        comparisons = tuple(_comparison(one) for one in said["comparisons"])
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityFailure(f"the ordering of {iso(record.at)} cannot be read: {error!r}") from error
    return Week(
        record.at,
        record.known_at,
        record.made_at if stored else None,
        record.settings,
        record.program,
        record.model,
        record.sha256,
        {voice.name: voice for voice in voices},
        comparisons,
    )


def _voice(said: Mapping[str, Any]) -> Voice:
    lists = {name: tuple(said[name]) for name in ("ranking", "coverage")}
    rows = {name: tuple(_evidence(one) for one in said[name]) for name in _ROWS}
    return Voice(**{**said, **lists, **rows})


def _evidence(said: Mapping[str, Any]) -> Evidence:
    as_of = said["as_of"]
    return Evidence(**{**said, "as_of": None if as_of is None else parse_utc(as_of)})


def _comparison(said: Mapping[str, Any]) -> Comparison:
    spans = {name: None if said[name] is None else tuple(said[name]) for name in _PAIR_OF_NUMBERS}
    return Comparison(
        **{
            **said,
            **spans,
            "areas": tuple(said["areas"]),
            "disagreements": tuple(Disagreement(**pair) for pair in said["disagreements"]),
            "moves": tuple(RankMove(**move) for move in said["moves"]),
        }
    )


# Over weeks -------------------------------------------------------------------------------------------


def running(weeks: Sequence[Week]) -> tuple[Week, ...]:
    """The same weeks, each disagreement with for how many weeks running it stood the same way by then.

    ``weeks`` by time, the oldest first; one that is missing breaks every run, and runs begin with the first given.
    """
    counted: dict[tuple[str, str, Pair], int] = {}
    result: list[Week] = []
    for place, week in enumerate(weeks):
        if place and week.at - weeks[place - 1].at != WEEK:
            counted = {}
        now = {
            (one.a, one.b, (pair.first, pair.second)): 1
            for one in week.comparisons
            for pair in one.disagreements
        }
        counted = {key: 1 + counted.get(key, 0) for key in now}
        comparisons = tuple(
            replace(
                one,
                disagreements=tuple(
                    replace(pair, weeks=counted[one.a, one.b, (pair.first, pair.second)])
                    for pair in one.disagreements
                ),
            )
            for one in week.comparisons
        )
        result.append(replace(week, comparisons=comparisons))
    return tuple(result)


@dataclass(frozen=True)
class Difference:
    """Where two derivations of one week differ: ``places`` (a path and both values, the widest first)."""

    at: datetime
    program_then: str
    program_now: str
    places: tuple[tuple[str, Any, Any], ...]

    @property
    def largest(self) -> float | None:
        """The widest distance of two numbers; None when something else than a number differs."""
        widest = max((_apart(a, b) for _, a, b in self.places), default=0.0)
        return None if math.isinf(widest) else widest


def difference(stored: OrderingRecord, again: OrderingRecord) -> Difference | None:
    """How a week derived again differs from the one stored, None when both say the same bytes."""
    if stored.sha256 == again.sha256:
        return None
    then, now = (_flat("", json.loads(one.payload)) for one in (stored, again))
    keys = dict.fromkeys([*then, *now])
    places = [(key, then.get(key), now.get(key)) for key in keys if then.get(key) != now.get(key)]
    return Difference(
        stored.at,
        stored.program,
        again.program,
        tuple(sorted(places, key=lambda place: (-_apart(place[1], place[2]), place[0]))),
    )


def _flat(path: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        each = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, list):
        each = [(_name(one, place), one) for place, one in enumerate(value)]
    else:
        return {path: value}
    found: dict[str, Any] = {}
    for name, one in each:
        found |= _flat(f"{path}.{name}" if path else name, one)
    return found


def _name(value: Any, place: int) -> str:
    """How an entry of a list is called: by what it is about rather than by where it stands."""
    if isinstance(value, Mapping):
        words = [
            value[key] for key in ("name", "a", "b", "first", "second", "area", "question") if key in value
        ]
        return "/".join(map(str, words)) or str(place)
    return str(place)


def _apart(one: Any, two: Any) -> float:
    numbers = [value for value in (one, two) if isinstance(value, int | float)]
    return abs(numbers[0] - numbers[1]) if len(numbers) == 2 else math.inf
