"""How alerts read: one line for what changed, from what to what, and why; as a mail, and as the parts webhooks use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from questions.receipts import Exhibit
from storage.alerting import Alert
from tracker.mail.content import UNSUBSCRIBE, MailContent
from tracker.mail.styles import inlined
from tracker.report.page import html_templates
from tracker.report.wording import clean, https_url, minute

MOST = 25  # alerts spelt out in one message
EXHIBITS = 3  # lines of evidence of each
TEST = "test"
WHY = "You get this because something you follow has changed."
TESTED = "You get this because somebody wanted to see whether alerts arrive."
GROUNDS = "What each rests on, to the raw bytes"
STOP = "No more mail from us, neither alerts nor the weekly digest"
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "move": "Moved",
        "flip": "Order changed",
        "disagreement": "Lasting disagreement",
        "resolved": "Resolved",
        "series": "Series",
        "overdue": "Overdue",
        "source": "Source",
        "drift": "Answers changed",
        "question": "Question",
        "digest": "Digest",
        TEST: "Test",
    }
)
ENDLESS = re.compile(r"(\S{60})(?=\S)")
SIGNS = {"up": "▲ ", "down": "▼ "}


@dataclass(frozen=True)
class Item:
    """One alert, or several that are one to a reader, in words; other people's text is on one line and harmless
    but for markup, which whoever shows it escapes. ``evidence``: lines of what it rests on, ``found``: when."""

    what: str
    title: str
    change: str
    text: str
    url: str | None
    evidence: tuple[str, ...] = ()
    found: str = ""


def items(alerts: Sequence[Alert]) -> list[Item]:
    """What there is to read, the weightiest kinds first; the pairs that two voices disagree on,
    and those of one area in one voice's order, are one item."""
    order = list(KINDS)
    groups: dict[tuple[str, ...], list[Alert]] = {}
    for alert in sorted(alerts, key=lambda one: (order.index(one.kind), -(one.size or 0.0), one.signal)):
        together = {"flip": (alert.title, *alert.areas[:1]), "disagreement": (alert.title,)}
        groups.setdefault((alert.kind, *together.get(alert.kind, (alert.signal,))), []).append(alert)
    return [_item(group) for group in groups.values()]


def _item(group: Sequence[Alert]) -> Item:
    first = group[0]
    rests = tuple(_rests_on(group))
    found = f"found {minute(first.at)}"
    if len(group) > 1:
        alike = len({one.text for one in group}) == 1
        afters = [one.after if alike else f"{one.after} ({clean(one.text)})" for one in group]
        change, text = clean("; ".join(afters), limit=1500), clean(first.text) if alike else ""
        return Item(KINDS[first.kind], clean(first.title), change, text, None, rests, found)
    sign = SIGNS.get(first.direction, "") if first.kind == "move" else ""
    step, why = f"{sign}{clean(first.before)} → {clean(first.after)}", clean(first.text, limit=800)
    news = (why, step) if first.kind == "series" else (step, why)  # from which bytes to which is not the news
    url = https_url(first.url) if first.url else None
    return Item(KINDS[first.kind], clean(first.title), *news, url, rests, found)


def _rests_on(group: Sequence[Alert]) -> list[str]:
    """The first few pieces of evidence, each once, and how many more there are."""
    lines = list(dict.fromkeys(exhibit_words(one) for alert in group for one in alert.evidence))
    left = len(lines) - EXHIBITS
    return lines[:EXHIBITS] + ([f"and {left} more"] if left > 0 else [])


def exhibit_words(one: Exhibit) -> str:
    """A piece of evidence on one line.

    >>> exhibit_words(Exhibit("value", "fair", key="a", at="2026-08-03T12:00:00Z", value=0.2, payload_sha256="ab" * 32))
    'rests on fair a: 0.2, 2026-08-03T12:00Z, payload abababababab'
    """
    number = "" if one.value is None else f"{one.value:.4g}"
    if one.lower is not None and one.upper is not None:
        number += f" [{one.lower:.4g}, {one.upper:.4g}]"
    when = one.at or one.published
    told = [
        number,
        clean(one.text, limit=120),
        f"{when[:16]}Z" if when.endswith("Z") and len(when) > 16 else when,
        f"payload {one.payload_sha256[:12]}" if one.payload_sha256 else "",
    ]
    teller, _, platform = one.source.partition(":")
    source = teller if teller == platform else one.source
    whose = clean(" ".join(part for part in (source, one.key, one.metric) if part), limit=120)
    return f"rests on {whose}: {', '.join(part for part in told if part) or one.kind}"


def evidence_command(batch: str) -> str:
    """What shows all that the alerts of a message rest on, to the raw bytes."""
    return f"speedup alerts show {batch}"


def subject(found: Sequence[Item]) -> str:
    """The one fact, or the first of several."""
    one = found[0]
    said = f"{one.what}: {one.title}: {one.change}"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return clean(said, limit=110 - len(more)) + more


def content(alerts: Sequence[Alert], at: datetime, batch: str = "") -> MailContent:
    """The mail; the same alerts and time give the same bytes. ``batch``: under which name they are kept."""
    found = items(alerts)
    said = {
        "subject": subject(found),
        "heading": _heading(alerts, found),
        "at": minute(at),
        "items": [_breakable(one) for one in found[:MOST]],
        "left": max(0, len(found) - MOST),
        "why": TESTED if alerts[0].kind == TEST else WHY,
        "grounds": GROUNDS,
        "command": evidence_command(batch) if batch else "",
        "stop": STOP,
        "unsubscribe": UNSUBSCRIBE,
    }
    html = html_templates("tracker.alerts").get_template("alerts.html.j2").render(said)
    return MailContent(subject(found), _text(said), inlined(html))


def _breakable(one: Item) -> Item:
    """The item without words that would make a narrow page wider: not every mail program breaks them itself."""
    title, change, text = (ENDLESS.sub(r"\1 ", said) for said in (one.title, one.change, one.text))
    return replace(one, title=title, change=change, text=text)


def _heading(alerts: Sequence[Alert], found: Sequence[Item]) -> str:
    if alerts[0].kind == TEST:
        return "A test"
    return f"{len(found)} changes" if len(found) > 1 else "One change"


def _text(said: Mapping[str, Any]) -> str:
    parts = [f"{said['heading']}\nAs known at {said['at']}."]
    parts += ["\n".join([f"{one.what}: {one.title}", *_lines(one)]) for one in said["items"]]
    if said["left"]:
        parts.append(f"and {said['left']} more: speedup alerts list")
    grounds = f" {GROUNDS}: {said['command']}" if said["command"] else ""
    return "\n\n".join([*parts, f"{said['why']}{grounds}", f"{said['stop']}: {said['unsubscribe']}"]) + "\n"


def _lines(one: Item) -> list[str]:
    told = (one.change, one.text, one.url, *one.evidence, one.found)
    return [f"  {line}" for line in told if line]
