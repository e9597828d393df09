"""The order of areas: a pair that changed sides by more than a voice's noise, and voices that disagree for weeks.

The voices are asked every few hours only. A pair that lies within the noise of one half keeps the side it had.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any

from questions.receipts import Exhibit
from questions.time import iso, parse_utc
from storage.alerting import Alert
from tracker.alerts.scene import ENDED, Found, Name, Scene, Step, step
from tracker.estimates.voice import Comparison, Disagreement, Evidence, Voice

if TYPE_CHECKING:
    from tracker.orderings import Orderings

LOOK = "orders"
DRAWS = 4_000  # of each voice at an evaluation
LUCK = 3.0 * math.sqrt(0.25 / DRAWS)  # three standard deviations of a share of so many draws
STILL = 0.075  # a disagreement is over when a lean is closer to one half: half of what makes one
VOICES = {"internal": "the factor model", "market": "the market", "trend": "the trend", "panel": "the panel"}


def orders(scene: Scene) -> Iterator[Found]:
    """The flips and the disagreements, when the voices' turn has come."""
    rules = scene.settings.alerts
    last = scene.armed.get(LOOK)
    if last is not None and scene.at - parse_utc(last["at"]) < timedelta(hours=rules.order_hours):
        return
    from tracker.orderings import ModelOptions, orderings

    options = ModelOptions(draws=DRAWS, weeks=max(1, rules.disagreement_weeks - 1))
    result = orderings(scene.catalogue, scene.store, options, now=scene.at, known_at=scene.at)
    for voice in result.voices.values():
        yield from _flips(scene, voice)
    for comparison in result.comparisons:
        yield from _disagreements(scene, result, comparison)
    yield Found(LOOK, {"at": iso(scene.at)})


def lean(voice: Voice, one: str, two: str) -> float:
    """P(one before two), with "neither" in halves."""
    before = voice.p_before
    return 0.5 + (before[one].get(two, 0.0) - before[two].get(one, 0.0)) / 2.0


def noise(voice: Voice, one: str, two: str, least: float) -> float:
    """How far from one half a lean must be to be on a side."""
    ends = voice.p_before_ci90.get(one, {}).get(two)
    return max(least, LUCK, 0.0 if ends is None else (ends[1] - ends[0]) / 2.0)


def _flips(scene: Scene, voice: Voice) -> Iterator[Found]:
    rules = scene.settings.alerts
    hold = timedelta(hours=rules.flip_hold_hours)
    for one, two in combinations(sorted(voice.coverage), 2):
        leaning, margin = lean(voice, one, two), noise(voice, one, two, rules.flip_margin)
        side = one if leaning >= 0.5 + margin else two if leaning <= 0.5 - margin else None
        signal = f"flip:{voice.name}:{one}|{two}"
        taken = step(scene.armed.get(signal), side, scene.at, hold)
        yield Found(signal, taken.state, _flip(scene, voice, signal, (one, two), taken))


def _flip(scene: Scene, voice: Voice, signal: str, pair: tuple[str, str], taken: Step) -> Alert | None:
    if taken.before is None:
        return None
    rules, names = scene.settings.alerts, scene.area_names
    leaning, margin = lean(voice, *pair), noise(voice, *pair, rules.flip_margin)
    first, second = pair if taken.state["told"] == pair[0] else pair[::-1]
    chance = leaning if first == pair[0] else 1.0 - leaning
    return Alert(
        signal,
        scene.at,
        "flip",
        "flipped",
        title=VOICES.get(voice.name, voice.name),
        before=f"{names[second]} before {names[first]}",
        after=f"{names[first]} before {names[second]}",
        text=f"{chance:.0%}, noise {margin:.0%}; the other way since {taken.since:%Y-%m-%d}",
        areas=(first, second),
        size=abs(leaning - 0.5),
        rule=taken.words | {"margin": margin, "hold_hours": rules.flip_hold_hours, "draws": DRAWS},
        evidence=(_pair(voice, *pair, leaning, margin), *_evidence(scene, voice, pair)),
    )


def _pair(voice: Voice, one: str, two: str, leaning: float, margin: float) -> Exhibit:
    return Exhibit(
        "pair",
        voice.name,
        key=f"{one}|{two}",
        value=leaning,
        lower=max(0.0, leaning - margin),
        upper=min(1.0, leaning + margin),
        version=voice.model[:200],
    )


def _evidence(scene: Scene, voice: Voice, areas: tuple[str, ...]) -> tuple[Exhibit, ...]:
    """The stored values a voice rests on where these areas are concerned, the weightiest first."""
    if voice.name == "trend":
        from tracker.orderings import TREND_SERIES

        versions = scene.store.versions(TREND_SERIES, known_at=scene.at)
        return tuple(
            Exhibit("version", TREND_SERIES, published=iso(one.seen_first), payload_sha256=one.payload_sha256)
            for one in versions[-1:]
        )
    used = sorted(
        (one for one in voice.evidence if one.area in areas), key=lambda one: (-one.weight, one.question)
    )
    return tuple(_value(scene, one) for one in used[:6])


def _value(scene: Scene, one: Evidence) -> Exhibit:
    """What a voice used of a question, and the stored value it is with the payload it was read from."""
    seen = next(
        (
            seen
            for key, seen in scene.values.get(_name(one.question), {}).items()
            if key.source == one.source and seen.snapshot.probability == one.probability
        ),
        None,
    )
    return Exhibit(
        "value",
        one.source,
        key=one.question,
        metric=one.area,
        at=iso(one.as_of) if one.as_of else "",
        published=iso(seen.seen_first) if seen is not None else "",
        value=one.probability,
        payload_sha256=seen.snapshot.payload_sha256 if seen is not None else None,
    )


def _name(question: str) -> Name:
    """``platform:id`` or ``platform:id:outcome`` as the name of a followed question."""
    platform, _, rest = question.partition(":")
    return platform, rest.partition(":")[0]


def _disagreements(scene: Scene, result: Orderings, comparison: Comparison) -> Iterator[Found]:
    a, b = result.voices[comparison.a], result.voices[comparison.b]
    found = {(pair.first, pair.second): pair for pair in comparison.disagreements}
    prefix = f"disagreement:{a.name}:{b.name}:"
    known = {tuple(name.removeprefix(prefix).split("|")) for name in scene.armed if name.startswith(prefix)}
    for first, second in sorted(known | found.keys()):
        if first not in a.coverage or second not in a.coverage:
            continue
        if first not in b.coverage or second not in b.coverage:
            continue
        signal, pair = f"{prefix}{first}|{second}", found.get((first, second))
        word = _word(scene, a, b, first, second, pair)
        state: Mapping[str, Any] | None = scene.armed.get(signal)
        if state is None and scene.armed.get(LOOK) is not None:
            state = {"told": "agree", "since": iso(scene.at)}  # looked at before, and not worth a word then
        taken = step(state, word, scene.at)
        yield Found(signal, taken.state, _disagreement(scene, signal, (a, b), (first, second), taken))


def _word(scene: Scene, a: Voice, b: Voice, first: str, second: str, pair: Disagreement | None) -> str | None:
    if pair is not None:
        lasting = pair.weeks is not None and pair.weeks >= scene.settings.alerts.disagreement_weeks
        return "disagree" if lasting else None
    apart = lean(a, first, second) - 0.5 >= STILL and 0.5 - lean(b, first, second) >= STILL
    return None if apart else "agree"


def _disagreement(
    scene: Scene, signal: str, voices: tuple[Voice, Voice], pair: tuple[str, str], taken: Step
) -> Alert | None:
    if taken.before is None:
        return None
    (a, b), (first, second), after = voices, pair, str(taken.state["told"])
    names, weeks = scene.area_names, scene.settings.alerts.disagreement_weeks
    by_a, by_b = lean(a, first, second), lean(b, first, second)
    return Alert(
        signal,
        scene.at,
        "disagreement",
        ENDED if after == "agree" else "disagree",
        title=f"{VOICES.get(a.name, a.name)} and {VOICES.get(b.name, b.name)}",
        before="no lasting disagreement" if after == "disagree" else "disagree",
        after=f"{names[first]} before {names[second]}: {by_a:.0%} against {by_b:.0%}",
        text=f"on opposite sides for {weeks} weeks or more",
        areas=(first, second),
        size=by_a - by_b,
        rule=taken.words | {"weeks": weeks},
        evidence=(
            _pair(a, first, second, by_a, 0.0),
            _pair(b, first, second, by_b, 0.0),
            *_evidence(scene, a, (first, second)),
            *_evidence(scene, b, (first, second)),
        ),
    )
