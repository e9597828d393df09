"""How alerts read: one line for what changed, from what to what, and why; as a mail, and as the parts webhooks use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from storage.alerting import Alert
from tracker.mail.content import UNSUBSCRIBE, MailContent
from tracker.report.page import html_templates
from tracker.report.wording import clean, https_url, minute

MOST = 25  # alerts spelt out in one message
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
    }
)
SIGNS = {"up": "▲ ", "down": "▼ "}


@dataclass(frozen=True)
class Item:
    """One alert, or several that are one to a reader, in words; other people's text is on one line and harmless
    but for markup, which whoever shows it escapes."""

    what: str
    title: str
    change: str
    text: str
    url: str | None


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
    if len(group) > 1:
        alike = len({one.text for one in group}) == 1
        afters = [one.after if alike else f"{one.after} ({clean(one.text)})" for one in group]
        change = clean("; ".join(afters), limit=1500)
        return Item(KINDS[first.kind], clean(first.title), change, clean(first.text) if alike else "", None)
    sign = SIGNS.get(first.direction, "") if first.kind == "move" else ""
    return Item(
        KINDS[first.kind],
        clean(first.title),
        f"{sign}{clean(first.before)} → {clean(first.after)}",
        clean(first.text, limit=800),
        https_url(first.url) if first.url else None,
    )


def subject(found: Sequence[Item]) -> str:
    """The one fact, or the first of several."""
    one = found[0]
    said = f"{one.what}: {one.title}: {one.change}"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return clean(said, limit=110 - len(more)) + more


def content(alerts: Sequence[Alert], at: datetime) -> MailContent:
    """The mail; the same alerts and time give the same bytes."""
    found = items(alerts)
    shown, left = found[:MOST], max(0, len(found) - MOST)
    html = (
        html_templates("tracker.alerts")
        .get_template("alerts.html.j2")
        .render(subject=subject(found), items=shown, left=left, at=minute(at), unsubscribe=UNSUBSCRIBE)
    )
    return MailContent(subject(found), _text(shown, left, at), html)


def _text(shown: Sequence[Item], left: int, at: datetime) -> str:
    parts = [
        "\n".join(
            line
            for line in (
                f"{one.what}: {one.title}",
                f"  {one.change}",
                _indented(one.text),
                _indented(one.url),
            )
            if line
        )
        for one in shown
    ]
    if left:
        parts.append(f"and {left} more: speedup alerts list")
    end = (
        f"As known at {minute(at)}. You get this because something you follow has changed.\n"
        f"speedup alerts list shows what each rests on. No more of these mails: {UNSUBSCRIBE}"
    )
    return "\n\n".join([*parts, end]) + "\n"


def _indented(text: str | None) -> str:
    return f"  {text}" if text else ""
