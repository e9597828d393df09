"""From alerts to messages: what goes out now, together, and what has to wait or has passed.

What is planned is a function of the store and the time. Decisions and letters are written in one transaction, so that
a message is queued once or not yet, whatever dies in between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from questions.receipts import Exhibit
from questions.time import iso
from storage.alerting import Alert, Decision, Fate
from storage.mailing import Letter
from storage.store import Store
from tracker.alerts import moves
from tracker.alerts.render import content
from tracker.alerts.scene import ENDED
from tracker.alerts.webhooks import configured, letters_for
from tracker.config import Settings
from tracker.mail.message import Mailing, Sender
from tracker.mail.recipients import Options, listed
from tracker.schedule import QuietHours

KIND = "alerts"  # of letters in the outbox
OLD = timedelta(days=3)  # an alert that could not be told for so long is no news


@dataclass(frozen=True)
class Plan:
    """What to do about the alerts that nobody was told of yet. ``held``: why the rest has to wait."""

    at: datetime
    told: tuple[Alert, ...] = ()
    decisions: tuple[Decision, ...] = ()
    held: str = ""
    waiting: int = 0

    @property
    def batch(self) -> str:
        """The name of the message."""
        return f"{KIND}:{iso(self.at)}"


def plan(store: Store, settings: Settings, at: datetime) -> Plan:
    """What goes out at an instant."""
    made = store.alert_decisions(known_at=at)
    done = {(one.signal, one.alerted_at) for one in made}
    groups: dict[str, list[Alert]] = defaultdict(list)
    for alert in store.alerts(known_at=at):
        if (alert.signal, alert.at) not in done:
            groups[alert.signal].append(alert)
    decisions = [
        Decision(signal, one.at, at, Fate.EXPIRED)
        for signal, group in groups.items()
        for one in group
        if group[-1].at < at - OLD
    ]
    groups = {signal: group for signal, group in groups.items() if group[-1].at >= at - OLD}
    quiet = _quiet(settings, at) or _crowded(settings, made, at) or _nobody(store, settings)
    if quiet:
        return Plan(at, (), tuple(decisions), quiet, len(groups))
    last = {one.signal: one.at for one in made if one.fate is Fate.QUEUED}
    cooling = timedelta(hours=settings.alerts.cooldown_hours)
    told: list[Alert] = []
    waiting = 0
    batch = Plan(at).batch
    for signal, group in sorted(groups.items()):
        one = as_one(group)
        if one is None:
            decisions += [Decision(signal, each.at, at, Fate.WITHDRAWN) for each in group]
        elif signal in last and at - last[signal] < cooling:
            waiting += 1
        else:
            told.append(one)
            decisions += [Decision(signal, each.at, at, Fate.FOLDED, batch) for each in group[:-1]]
            decisions.append(Decision(signal, one.at, at, Fate.QUEUED, batch))
    held = f"{waiting} were told of less than {settings.alerts.cooldown_hours:g} hours ago" if waiting else ""
    return Plan(at, tuple(told), tuple(decisions), held, waiting)


def _quiet(settings: Settings, at: datetime) -> str:
    if not settings.alerts.quiet:
        return ""
    until = QuietHours.parse(settings.alerts.quiet).until(at)
    return "" if until is None else f"quiet until {iso(until)}"


def _crowded(settings: Settings, made: Sequence[Decision], at: datetime) -> str:
    """Messages are some time apart; what comes up in between goes into the next one."""
    last = max((one.at for one in made if one.fate is Fate.QUEUED), default=None)
    until = None if last is None else last + timedelta(minutes=settings.alerts.batch_minutes)
    return (
        "" if until is None or at >= until else f"the last message was just sent: the next from {iso(until)}"
    )


def _nobody(store: Store, settings: Settings) -> str:
    if configured(settings) or _readers(store, settings):
        return ""
    return "nobody is to be told: set a webhook or SPEEDUP_MAIL_TO"


def as_one(group: Sequence[Alert]) -> Alert | None:
    """The untold alerts of one signal, oldest first, as one; None when they come to nothing that is to be told."""
    first, last = group[0], group[-1]
    if last.direction == ENDED or first.rule.get("from", "") == last.rule.get("to", None):
        return None
    if len(group) == 1:
        return last
    if last.kind == "move":
        return moves.as_one(first, last)
    text = "; ".join(one.text for one in group) if last.kind in ("drift", "series") else last.text
    return replace(last, before=first.before, text=text, evidence=_both(first, last))


def _both(first: Alert, last: Alert) -> tuple[Exhibit, ...]:
    return last.evidence if not first.evidence else (first.evidence[0], *last.evidence)


def _readers(store: Store, settings: Settings) -> dict[str, Options]:
    """Who may be written to, and what they chose."""
    if not settings.mail_from:
        return {}
    return {one.recipient.address: one.options for one in listed(store, settings) if one.active}


def wanted(options: Options, alert: Alert) -> bool:
    """Whether a recipient wants to hear of an alert. One that is about no area is about all."""
    about = not options.areas or not alert.areas or bool(set(options.areas) & set(alert.areas))
    kind = not options.alerts or alert.kind in options.alerts
    least = options.thresholds.get(alert.kind)
    return about and kind and (least is None or alert.size is None or alert.size >= least)


def letters(store: Store, settings: Settings, made: Plan) -> list[Letter]:
    """The message of a plan to everybody who wants any of it."""
    if not made.told:
        return []
    expires = made.at + OLD
    found = list(letters_for(settings, made.told, made.batch, KIND, made.at, expires))
    mailings: dict[tuple[str, ...], Mailing] = {}
    for address, options in _readers(store, settings).items():
        theirs = tuple(alert for alert in made.told if wanted(options, alert))
        if not theirs:
            continue
        signals = tuple(alert.signal for alert in theirs)
        if signals not in mailings:
            said = content(theirs, made.at, made.batch)
            mailings[signals] = Mailing(
                said, Sender.of(settings), made.batch, KIND, made.batch, "alert", made.at, expires
            )
        found.append(mailings[signals].letter(address))
    return found


def carry_out(store: Store, settings: Settings, made: Plan) -> int:
    """Write down a plan and queue its message, both or neither; returns how many letters are new.

    A plan that knows less than the store does by now, as under a clock that was set back, is not carried out.
    """
    decided = {(one.signal, one.alerted_at) for one in store.alert_decisions()}
    if not made.decisions or any((one.signal, one.alerted_at) in decided for one in made.decisions):
        return 0
    queued = letters(store, settings, made)
    with store.together():
        store.decide_alerts(made.decisions)
        return store.queue_letters(queued)
