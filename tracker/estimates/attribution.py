"""Why an order changed between two times: which inputs moved it, by putting each back alone."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from tracker.estimates.ordering import rank_moves
from tracker.estimates.voice import RankMove

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class Cause(Generic[K, V]):
    """One input that differs. ``before`` None: it is new; ``after`` None: it is gone.

    ``effect``: per area what this input did to the score (the score now minus the score with only this input put
    back). An area that only one of the two covers is missing; it stands in ``brings`` or ``takes``. ``undoes``:
    pairs (first, second) of today's order that would stand the other way round with this input put back.
    """

    key: K
    before: V | None
    after: V | None
    effect: Mapping[str, float]
    brings: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    undoes: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> float:
        return max((abs(value) for value in self.effect.values()), default=0.0) + len(
            self.brings + self.takes
        )


@dataclass(frozen=True)
class Attribution(Generic[K, V]):
    """What changed in one voice and why: ``causes`` with the largest effect first.

    ``total``: change of each area's score that both times cover; ``together``: what is left of it after the
    single effects, the inputs' effect together beyond each alone. ``moves``: ranks then and now, among those areas.
    """

    total: Mapping[str, float]
    together: Mapping[str, float]
    moves: tuple[RankMove, ...]
    causes: tuple[Cause[K, V], ...]
    entered: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.entered or self.left or any(move.moved for move in self.moves))


def attribute(
    before: Mapping[K, V], after: Mapping[K, V], score: Callable[[Mapping[K, V]], Mapping[str, float]]
) -> Attribution[K, V]:
    """Which of the inputs that differ moved the scores, each put back alone (leave-one-input-back).

    ``score`` turns inputs into a score per covered area, larger = sooner, and depends on nothing else; so with
    the same inputs it says the same, and time has to be an input too where it matters.
    """
    now = score(after)
    then = now if before == after else score(before)
    both = [area for area in now if area in then]
    causes = []
    for key in dict.fromkeys([*after, *before]):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        back = {other: value for other, value in after.items() if other != key}
        if key in before:
            back[key] = before[key]
        without = score(back)
        causes.append(
            Cause(
                key,
                old,
                new,
                {area: now[area] - without[area] for area in now if area in without},
                tuple(area for area in now if area not in without),
                tuple(area for area in without if area not in now),
                _undone(now, without),
            )
        )
    total = {area: now[area] - then[area] for area in both}
    return Attribution(
        total,
        {
            area: change - sum(cause.effect.get(area, 0.0) for cause in causes)
            for area, change in total.items()
        },
        rank_moves(both, [then[area] for area in both], [now[area] for area in both]) if both else (),
        tuple(sorted(causes, key=lambda cause: -cause.size)),
        tuple(area for area in now if area not in then),
        tuple(area for area in then if area not in now),
    )


def _undone(now: Mapping[str, float], without: Mapping[str, float]) -> tuple[tuple[str, str], ...]:
    shared = [area for area in now if area in without]
    return tuple((a, b) for a in shared for b in shared if now[a] > now[b] and without[a] < without[b])
