"""The week's digest did not go out. Silent where nobody is to get one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from questions.receipts import Exhibit
from questions.time import iso, parse_utc
from storage.alerting import Alert
from storage.mailing import Letter, LetterState
from tracker.alerts.scene import ENDED, Found, Scene, step
from tracker.mail.recipients import digest_addresses
from tracker.mail.sending import DIGEST, week_of_slot
from tracker.schedule import LocalTime

SIGNAL, SENT = "digest", "sent"
ENDS = (LetterState.SENT, LetterState.DEAD)  # dead: its server refused it, which status tells


def missing(scene: Scene) -> Iterator[Found]:
    """Some hours after its time, the digest was not made, or somebody's letter is neither sent nor refused."""
    slots = LocalTime.parse(scene.settings.digest_at)
    slot = slots.at(scene.at)
    week = week_of_slot(slots, slot)
    state = scene.armed.get(SIGNAL) or {"told": SENT, "since": iso(scene.at)}
    letters = [one for one in scene.store.letters(kind=DIGEST, period=week) if one.created_at <= scene.at]
    taken = step(state, _word(scene, slot, week, letters, parse_utc(state["since"])), scene.at)
    if taken.before is None:
        yield Found(SIGNAL, taken.state)
        return
    after = str(taken.state["told"])
    runs = scene.store.runs(DIGEST, slot)
    why = runs[-1].message if runs else "its job did not run"
    alert = Alert(
        SIGNAL,
        scene.at,
        "digest",
        ENDED if after == SENT else "missing",
        title=f"The digest of {week}",
        before=f"due at {iso(slot)}",
        after="sent" if after == SENT else _how_far(scene, letters),
        text=why,
        rule=taken.words | {"late_hours": scene.settings.alerts.digest_late_hours},
        evidence=(
            *(
                Exhibit("run", DIGEST, at=iso(run.slot), text=f"{run.state.value}: {run.message}")
                for run in runs
            ),
            Exhibit("letters", DIGEST, key=week, value=float(len(letters))),
        ),
    )
    yield Found(SIGNAL, taken.state, alert)


def _word(scene: Scene, slot: datetime, week: str, letters: list[Letter], since: datetime) -> str | None:
    """``sent``, ``late WEEK``, or None while nothing can be said: it is not late yet, or nobody is to get one."""
    due = slot + timedelta(hours=scene.settings.alerts.digest_late_hours)
    open_ = [one for one in letters if one.created_at <= due and not _has_become(scene, one, ENDS)]
    if not open_ and any(_has_become(scene, one, (LetterState.SENT,)) for one in letters):
        return SENT
    if scene.at < due or slot < since or not scene.settings.mail_from:
        return None
    return f"late {week}" if digest_addresses(scene.store, scene.settings, week) else None


def _has_become(scene: Scene, letter: Letter, states: tuple[LetterState, ...]) -> bool:
    """Whether a letter was in one of these states by then."""
    return letter.state in states and (letter.changed_at or scene.at) <= scene.at


def _how_far(scene: Scene, letters: list[Letter]) -> str:
    sent = sum(_has_become(scene, one, (LetterState.SENT,)) for one in letters)
    return f"sent to {sent} of {len(letters)}" if letters else "not made"
