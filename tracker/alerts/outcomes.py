"""Questions that resolved, that should have, and that cannot be followed any more: on platforms, and our own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from questions.receipts import Exhibit, Receipt
from questions.records import OutcomeState, QuestionState, Resolution
from questions.time import iso
from questions.verdicts import State as Life
from storage.alerting import Alert
from tracker.alerts.scene import ENDED, Found, Name, Scene, Step, health_exhibit, own_word_first, step
from tracker.collect import period_of

OPEN, OK, DUE, OVERDUE = "open", "ok", "due", "overdue"
LOST = (QuestionState.GONE, QuestionState.NOT_PERMITTED, QuestionState.CHANGED_SHAPE)
FINE = (QuestionState.OK, QuestionState.NO_TRADE, QuestionState.NO_FORECAST, QuestionState.HIDDEN)


def resolved(scene: Scene) -> Iterator[Found]:
    """What became of each followed question; an outcome that is changed or taken back is a change too."""
    told: dict[Name, list[Resolution]] = defaultdict(list)
    for word in scene.resolutions:
        told[word.platform, word.external_id].append(word)
    for name, links in scene.links.items():
        followed = {link.outcome for link in links}
        words = _counting([word for word in told.get(name, ()) if word.outcome in followed])
        signal = f"resolved:{name[0]}:{name[1]}"
        taken = step(scene.armed.get(signal), _spoken(words), scene.at)
        yield Found(signal, taken.state, _outcome_alert(scene, name, signal, taken, words))


def _outcome_alert(
    scene: Scene, name: Name, signal: str, taken: Step, words: list[Resolution]
) -> Alert | None:
    if taken.before is None:
        return None
    after = str(taken.state["told"])
    return Alert(
        signal,
        scene.at,
        "resolved",
        "taken back" if after == OPEN else "resolved" if taken.before == OPEN else "changed",
        before=taken.before,
        after=after,
        rule=taken.words,
        evidence=tuple(_exhibit(word) for word in words),
        **scene.about(name),
    )


def _counting(words: list[Resolution]) -> list[Resolution]:
    """One word per outcome: the platform's own, or of several others' the first by name."""
    found: dict[str, Resolution] = {}
    for word in sorted(words, key=own_word_first):
        found.setdefault(word.outcome, word)
    return [found[outcome] for outcome in sorted(found)]


def _spoken(words: list[Resolution]) -> str:
    settled = [word for word in words if word.state is not OutcomeState.UNRESOLVED]
    return "; ".join(_outcome(word, named=len(words) > 1) for word in settled) or OPEN


def _outcome(word: Resolution, *, named: bool) -> str:
    said = word.state.value
    if word.state in (OutcomeState.FRACTION, OutcomeState.VALUE):
        said = f"{said} {word.value if word.value is not None else word.text}"
    return f"{word.outcome}: {said}" if named else said


def _exhibit(word: Resolution) -> Exhibit:
    return Exhibit(
        "resolution",
        f"{word.source}:{word.platform}",
        key=f"{word.external_id}:{word.outcome}",
        at=iso(word.resolved_at) if word.resolved_at else "",
        published=iso(word.fetched_at),
        value=word.value,
        payload_sha256=word.payload_sha256,
        text=word.text,
    )


def overdue(scene: Scene) -> Iterator[Found]:
    """Followed questions that closed long ago and have no outcome. That they have one now is told as such."""
    for name, view in scene.views.items():
        signal = f"overdue:{name[0]}:{name[1]}"
        taken = step(scene.armed.get(signal), DUE if view.overdue_days is None else OVERDUE, scene.at)
        yield Found(signal, taken.state, _overdue_alert(scene, name, signal, taken))


def _overdue_alert(scene: Scene, name: Name, signal: str, taken: Step) -> Alert | None:
    if taken.before is None:
        return None
    view = scene.views[name]
    late = view.overdue_days is not None
    closed = f"{view.closes_at:%Y-%m-%d}" if view.closes_at else "?"
    return Alert(
        signal,
        scene.at,
        "overdue",
        "overdue" if late else ENDED,
        before=taken.before,
        after=str(taken.state["told"]),
        text=f"closed on {closed}, and no outcome is known: ask its creator"
        if late
        else "it has an outcome, or closes later than was said",
        size=float(view.overdue_days or 0),
        rule=taken.words | {"overdue_days": scene.settings.links.overdue_days},
        evidence=_closes(scene, name),
        **scene.about(name),
    )


def _closes(scene: Scene, name: Name) -> tuple[Exhibit, ...]:
    return tuple(
        Exhibit(
            "closing time",
            f"{info.source}:{info.platform}",
            key=info.external_id,
            at=iso(info.closes_at),
            published=iso(info.fetched_at),
            payload_sha256=info.payload_sha256,
        )
        for info in scene.infos.get(name, ())
        if info.closes_at is not None
    )


def lost(scene: Scene) -> Iterator[Found]:
    """Single questions that are gone, hidden from our account or cannot be read any more, and that are back.

    Silent while their source as a whole is in trouble, which is one alert and not a hundred; and once decided.
    """
    decided = {
        (w.platform, w.external_id) for w in scene.resolutions if w.state is not OutcomeState.UNRESOLVED
    }
    for name, view in scene.views.items():
        signal = f"question:{name[0]}:{name[1]}"
        word = None
        if name not in decided and view.source not in scene.troubled:
            word = view.state.value if view.state in LOST else OK if view.state in FINE else None
        hold = timedelta(0) if word == OK else _patience(scene, view.source)
        taken = step(scene.armed.get(signal), word, scene.at, hold)
        yield Found(signal, taken.state, _lost_alert(scene, name, signal, taken))


def _patience(scene: Scene, source: str) -> timedelta:
    """Trouble must be there at the next poll too."""
    known = scene.sources.get(source)
    return timedelta(days=1) if known is None else period_of(known, scene.settings)


def _lost_alert(scene: Scene, name: Name, signal: str, taken: Step) -> Alert | None:
    if taken.before is None:
        return None
    view, after = scene.views[name], str(taken.state["told"])
    told = [s.health for s in scene.standings if (s.health.platform, s.health.external_id) == name]
    evidence = tuple(health_exhibit(one) for one in told)
    return Alert(
        signal,
        scene.at,
        "question",
        "back" if after == OK else "lost",
        before=taken.before.replace("_", " "),
        after=after.replace("_", " "),
        text=view.message,
        rule=taken.words,
        evidence=evidence,
        **scene.about(name),
    )


def own_questions(scene: Scene) -> Iterator[Found]:
    """Our own questions, each version by its last receipt: resolved, changed, overdue, disputed."""
    last: dict[tuple[str, str], Receipt] = {}
    for receipt in scene.store.receipts(known_at=scene.at):
        last[receipt.question, receipt.version] = receipt
    for (question, version), receipt in sorted(last.items()):
        signal = f"ours:{question}:{version[:12]}"
        taken = step(scene.armed.get(signal), _verdict(receipt), scene.at)
        yield Found(signal, taken.state, _own_alert(scene, signal, taken, receipt))


def _own_alert(scene: Scene, signal: str, taken: Step, receipt: Receipt) -> Alert | None:
    if taken.before is None:
        return None
    record = scene.catalogue.questions.get(receipt.question)
    after = str(taken.state["told"])
    ended = after == OPEN and taken.before in (Life.OVERDUE.value, Life.DISPUTED.value)
    about_time = Life.OVERDUE.value in (after, taken.before if ended else "")
    return Alert(
        signal,
        scene.at,
        "overdue" if about_time else "resolved",
        ENDED if ended else receipt.state.value.replace("_", " "),
        title=record.title if record is not None else receipt.question,
        before=taken.before,
        after=after,
        text=receipt.reason,
        areas=record.areas if record is not None else (),
        rule=taken.words,
        evidence=(
            Exhibit(
                "receipt",
                "ours",
                key=receipt.question,
                version=receipt.version,
                published=iso(receipt.made_at),
            ),
            *receipt.evidence,
        ),
    )


def _verdict(receipt: Receipt) -> str:
    if receipt.state.final:
        value = "" if receipt.value is None else f" ({receipt.value:g})"
        return f"{receipt.outcome}{value}"
    return receipt.state.value if receipt.state in (Life.OVERDUE, Life.DISPUTED) else OPEN
