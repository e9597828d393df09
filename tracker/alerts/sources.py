"""Sources that fell silent, shut us out or answer differently, and that are well again. Never the same outage twice.

What is said of a source rests on records with both times, so that it can be derived again: the words on its questions,
and the ledger of its polls. A machine that was off has not asked, and that is no fault of a source's.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from questions.receipts import Exhibit
from questions.records import QuestionState
from questions.time import iso
from storage.alerting import Alert
from storage.records import Drift, DriftKind, Run, RunState, Standing
from tracker.alerts.scene import Found, Scene, Step, health_exhibit, joined, step
from tracker.collect import STALE_PERIODS, period_of
from tracker.jobs import PREFIX
from tracker.schedule import FINISHED
from tracker.source import Source

OK = "ok"
IN_TROUBLE, WELL = (
    0.5,
    0.25,
)  # shares of a source's questions: from the first on it is in trouble, up to the other well
LOOKED_BACK = timedelta(days=60)
TROUBLES = {
    QuestionState.NOT_PERMITTED: "not permitted",
    QuestionState.CHANGED_SHAPE: "answers that cannot be read",
    QuestionState.STALE: "stale",
}
BREAKING = (DriftKind.MISSING_FIELD, DriftKind.NEW_TYPE, DriftKind.UNKNOWN_VALUE)
ADVICE = {
    "not permitted": "the account may not see these values: look at its key, or ask the platform",
    "answers that cannot be read": "update the program, then `speedup reparse`",
    "stale": "`speedup status` tells what it last said",
    OK: "values arrive again",
}


def states(scene: Scene) -> Iterator[Found]:
    """How each source is; what is in trouble now is noted in ``scene.troubled`` for the rules after this one."""
    for name, source in scene.sources.items():
        words = _words(scene, name)
        runs = _runs(scene, name)
        word = _state(scene, source, words, runs)
        if word is None and not words and not runs:
            continue
        signal = f"source:{name}"
        known = scene.armed.get(signal)
        if word not in (OK, None) or (word is None and (known or {}).get("told", OK) != OK):
            scene.troubled.add(name)
        hold = timedelta(0) if word in (OK, "stale") else period_of(source, scene.settings)
        taken = step(known, word, scene.at, hold)
        yield Found(signal, taken.state, _alert(scene, name, signal, taken, words, runs))


def _alert(
    scene: Scene, name: str, signal: str, taken: Step, words: Sequence[Standing], runs: Sequence[Run]
) -> Alert | None:
    if taken.before is None:
        return None
    after = str(taken.state["told"])
    return Alert(
        signal,
        scene.at,
        "source",
        "back" if after == OK else "down",
        title=name,
        before=taken.before,
        after=after,
        text=f"{_said(words, runs, after)}: {ADVICE[after]}",
        rule=taken.words,
        evidence=(*_exhibits(words, after), *_ledger(runs)),
    )


def _words(scene: Scene, name: str) -> list[Standing]:
    """The words on the followed questions that this source tells of."""
    return [
        one
        for one in scene.standings
        if one.health.source == name and (one.health.platform, one.health.external_id) in scene.links
    ]


def _runs(scene: Scene, name: str) -> list[Run]:
    """Polls that had ended by then, the oldest first."""
    runs = scene.store.runs(PREFIX + name, scene.at - LOOKED_BACK)
    ended = [run for run in runs if run.finished_at is not None and run.finished_at <= scene.at]
    return [run for run in ended if run.state is not RunState.SKIPPED]


def _state(scene: Scene, source: Source, words: Sequence[Standing], runs: Sequence[Run]) -> str | None:
    """One word for a source; None while it is neither well nor in trouble as a whole."""
    counts = Counter(one.health.state for one in words)
    shares = {state: counts[state] / len(words) for state in TROUBLES} if words else {}
    worst = max(shares, key=lambda state: shares[state], default=None)
    if worst is not None and shares[worst] >= IN_TROUBLE:
        return TROUBLES[worst]
    silence = _failing_for(scene, runs)
    if silence is not None:
        return "stale" if silence >= STALE_PERIODS * period_of(source, scene.settings) else None
    if not words and not runs:
        return None
    return OK if max(shares.values(), default=0.0) <= WELL else None


def _failing_for(scene: Scene, runs: Sequence[Run]) -> timedelta | None:
    """Since when nothing came, if the last two polls or more have failed."""
    good = [run for run in runs if run.state in FINISHED]
    since = [run for run in runs if not good or run.slot > good[-1].slot]
    if len(since) < 2:
        return None
    start = good[-1].finished_at if good else since[0].started_at
    assert start is not None
    return scene.at - start


def _said(words: Sequence[Standing], runs: Sequence[Run], after: str) -> str:
    """The commonest message behind a state."""
    told = Counter(one.health.message for one in words if TROUBLES.get(one.health.state) == after)
    told.pop("", None)
    if told:
        message, count = told.most_common(1)[0]
        return f"{message} ({count} of {len(words)} questions)"
    if after != OK and runs and runs[-1].message:
        return runs[-1].message
    return f"{len(words)} questions" if words else "its polls"


def _exhibits(words: Sequence[Standing], after: str) -> tuple[Exhibit, ...]:
    """The first few words behind a state."""
    wanted = [one.health for one in words if TROUBLES.get(one.health.state, OK) == after]
    return tuple(health_exhibit(one) for one in wanted[:5])


def _ledger(runs: Sequence[Run]) -> tuple[Exhibit, ...]:
    return tuple(
        Exhibit("run", run.job, at=iso(run.slot), text=f"{run.state.value}: {run.message}")
        for run in runs[-2:]
    )


def drifts(scene: Scene) -> Iterator[Found]:
    """Differences from a source's shape that can cost values, each told once; one alert a source for all new ones."""
    for name in scene.sources:
        signal = f"drift:{name}"
        seen = {
            _mark(one): one for one in scene.store.drifts(name, known_at=scene.at) if one.kind in BREAKING
        }
        armed = scene.armed.get(signal)
        told = set((armed or {}).get("told", ()))
        fresh = [one for mark, one in seen.items() if mark not in told]
        state = {"told": sorted(told | set(seen))}
        if armed is None or not fresh:
            yield Found(signal, state)
            continue
        alert = Alert(
            signal,
            scene.at,
            "drift",
            "changed",
            title=name,
            before=f"{len(told)} known differences",
            after=f"{len(told) + len(fresh)}",
            text=joined([f"{one.place}: {one.kind.value.replace('_', ' ')} {one.detail}" for one in fresh]),
            size=float(len(fresh)),
            evidence=tuple(
                Exhibit(
                    "drift",
                    name,
                    key=one.place,
                    metric=one.kind.value,
                    published=iso(one.seen_first),
                    text=one.detail,
                    payload_sha256=one.payload_sha256,
                )
                for one in fresh
            ),
        )
        yield Found(signal, state, alert)


def _mark(drift: Drift) -> str:
    named = "\n".join((drift.place, drift.kind.value, drift.detail))
    return hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()[:16]
