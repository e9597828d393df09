"""Alerts to webhooks: as plain JSON, and in the shapes that Slack, Discord and Matrix (hookshot) take.

A webhook's address is a secret: letters name the webhook only, and nothing that a server says of it is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlsplit

from questions.time import iso
from storage.alerting import Alert
from storage.mailing import Channel, Letter
from storage.records import RawPayload
from tracker.alerts.render import GROUNDS, MOST, TEST, Item, evidence_command, items, subject
from tracker.config import Settings
from tracker.errors import FetchError
from tracker.mail.delivery import Attempt, Fate
from tracker.report.wording import clean, https_url
from tracker.source import Request, SourceTraits

#: Which setting holds the address of which webhook.
ADDRESSES: Mapping[str, str] = MappingProxyType(
    {
        "generic": "alert_webhook",
        "slack": "slack_webhook",
        "discord": "discord_webhook",
        "matrix": "matrix_webhook",
    }
)
DISCORD_LIMIT = 2000  # of UTF-16's units: at least as many as there are characters
SLACK_TEXT, SLACK_BLOCKS = 3000, 50
MATRIX_BYTES = 28_000  # the bridge puts what it gets into the event twice, which may have 65,536 bytes
SUPPRESS_EMBEDS = 4  # Discord: no preview of links
EXHIBITS = 10
FINAL = ("base_url", "request", "secret", "blocked_address", "redirect")
JOINER = "\u2060"  # no width, no meaning: breaks what a client would make a link or a call of


class Poster(Protocol):
    """What sending needs of ``tracker.http.HttpClient``."""

    def send(
        self,
        request: Request,
        traits: SourceTraits,
        document: object,
        *,
        base_url: str,
        secret: str | None,
        now: Callable[[], datetime],
        idempotency_key: str = "",
    ) -> RawPayload: ...


def configured(settings: Settings) -> tuple[str, ...]:
    """The webhooks that are set."""
    return tuple(name for name, setting in ADDRESSES.items() if settings.secret_of(setting))


def letters_for(
    settings: Settings, alerts: Sequence[Alert], batch: str, kind: str, at: datetime, expires_at: datetime
) -> tuple[Letter, ...]:
    """A letter for every webhook that is set."""
    return tuple(
        Letter(
            key=f"{batch}:webhook:{name}",
            channel=Channel.WEBHOOK,
            address=name,
            kind=kind,
            period=batch,
            message_id=f"speedup-{batch}-{name}",
            shared=json.dumps(body(name, alerts, batch, at), ensure_ascii=True, allow_nan=False).encode(),
            created_at=at,
            expires_at=expires_at,
        )
        for name in configured(settings)
    )


def body(name: str, alerts: Sequence[Alert], batch: str, at: datetime) -> dict[str, Any]:
    """What is posted to a webhook of a kind."""
    if name == "generic":
        return _generic(alerts, batch, at)
    found = items(alerts)
    many = f"{len(found)} changes" if len(found) > 1 else ""
    grounds = "" if alerts[0].kind == TEST else f"{GROUNDS}: {evidence_command(batch)}"
    if name == "slack":
        return _slack(subject(found), many, found, grounds)
    return (_discord if name == "discord" else _matrix)(many, found, grounds)


def _generic(alerts: Sequence[Alert], batch: str, at: datetime) -> dict[str, Any]:
    """Everything there is to know of each alert."""
    return {
        "version": 1,
        "batch": batch,
        "at": iso(at),
        "count": len(alerts),
        "alerts": [described(alert) for alert in alerts[:MOST]],
        "left_out": max(0, len(alerts) - MOST),
    }


def described(alert: Alert, exhibits: int | None = EXHIBITS) -> dict[str, Any]:
    """An alert as JSON, other people's text without invisible commands; ``exhibits``: at most so many, None: all."""
    return {
        "signal": clean(alert.signal),
        "kind": alert.kind,
        "at": iso(alert.at),
        "direction": alert.direction,
        "title": clean(alert.title),
        "before": clean(alert.before),
        "after": clean(alert.after),
        "text": clean(alert.text, limit=1000),
        "url": https_url(alert.url),
        "areas": list(alert.areas),
        "size": alert.size,
        "rule": dict(alert.rule),
        "evidence": [
            {name: clean(value) if isinstance(value, str) else value for name, value in asdict(one).items()}
            for one in alert.evidence[:exhibits]
        ],
    }


def _more(left: int) -> str:
    return f"and {left} more: `speedup alerts list`"


# Slack --------------------------------------------------------------------------------------------


def _slack(short: str, headline: str, found: Sequence[Item], grounds: str) -> dict[str, Any]:
    """Blocks of plain text, in which no markup works; a link of our own below each. ``short``: for notifications."""
    blocks = [_plain_block(headline)] if headline else []
    shown = 0
    for one in found:
        new = [_plain_block("\n".join((f"{one.what}: {one.title}", *_below(one))))]
        link = f"<{_slack_escaped(one.url)}|open>" if one.url is not None else ""
        if link and not re.search(r"[|<>]", one.url or "") and len(link) <= SLACK_TEXT:
            new.append({"type": "context", "elements": [{"type": "mrkdwn", "text": link}]})
        if len(blocks) + len(new) > SLACK_BLOCKS - 2:
            break
        blocks += new
        shown += 1
    if shown < len(found):
        blocks.append(_plain_block(_more(len(found) - shown)))
    if grounds:
        blocks.append(_plain_block(grounds))
    return {
        "text": _slack_escaped(short),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": blocks,
    }


def _below(one: Item, *, evidence: bool = True) -> list[str]:
    """The lines below an item's title."""
    told = (one.change, one.text, *(one.evidence if evidence else ()), one.found)
    return [line for line in told if line]


def _plain_block(text: str) -> dict[str, Any]:
    said = _slack_escaped(text)
    if len(said) > SLACK_TEXT:
        said = re.sub(r"&[a-z]*$", "", said[: SLACK_TEXT - 1]) + "…"
    return {"type": "section", "text": {"type": "plain_text", "text": said, "emoji": False}}


def _slack_escaped(text: str) -> str:
    """The three characters that Slack reads as control."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# Discord ------------------------------------------------------------------------------------------


def _discord(headline: str, found: Sequence[Item], grounds: str) -> dict[str, Any]:
    """Escaped Markdown of at most 2000 characters; nobody is called, no link is opened for a preview."""
    parts, end = [f"**{headline}**"] if headline else [], _markdown_escaped(grounds)
    shown = 0
    for one in found:
        rest = [_more(len(found) - shown), end]
        fitting = (
            said for said in _versions(one) if _units("\n\n".join([*parts, said, *rest])) <= DISCORD_LIMIT
        )
        said = next(fitting, None)
        if said is None:
            break
        parts.append(said)
        shown += 1
    if shown < len(found):
        parts.append(_more(len(found) - shown))
    return {
        "content": "\n\n".join([*parts, *([end] if end else [])]),
        "allowed_mentions": {"parse": []},
        "flags": SUPPRESS_EMBEDS,
    }


def _versions(one: Item) -> Iterator[str]:
    """An item as Markdown: whole, without its evidence, and with what other people wrote cut short."""
    cut = replace(one, title=clean(one.title, 100), change=clean(one.change, 200), text=clean(one.text, 100))
    bare = replace(cut, url=None)
    for said, evidence in ((one, True), (one, False), (cut, False), (bare, False)):
        first = f"**{_markdown_escaped(f'{said.what}: {said.title}')}**"
        text = "\n".join([first, *map(_markdown_escaped, _below(said, evidence=evidence))])
        yield text + (f"\n<{said.url}>" if said.url is not None else "")


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _markdown_escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~:@&^=])", r"\\\1", text)


# Matrix -------------------------------------------------------------------------------------------


def _matrix(headline: str, found: Sequence[Item], grounds: str) -> dict[str, Any]:
    """Text and HTML for a generic webhook of matrix-hookshot. Foreign addresses and calls are broken up."""
    from markupsafe import escape

    lines, markup = ([headline], [f"<p>{headline}</p>"]) if headline else ([], [])
    shown = size = 0
    for one in found[:MOST]:
        told = [_broken(part) for part in (f"{one.what}: {one.title}", *_below(one))]
        link = f' <a href="{escape(one.url)}">open</a>' if one.url is not None else ""
        text = "\n".join([*told, *([one.url] if one.url else [])])
        rest = "".join(f"<br>{escape(part)}" for part in told[1:])
        html = f"<p><strong>{escape(told[0])}</strong>{rest}{link}</p>"
        size += len((text + html).encode("utf-8", "replace"))
        if size > MATRIX_BYTES:
            break
        lines.append(text)
        markup.append(html)
        shown += 1
    for said in ([_more(len(found) - shown)] if shown < len(found) else []) + ([grounds] if grounds else []):
        lines.append(said)
        markup.append(f"<p>{escape(said)}</p>")
    return {"text": "\n\n".join(lines), "html": "".join(markup), "username": "Speedup Tracker"}


def _broken(text: str) -> str:
    """Text in which no client finds an address to preview or somebody to call."""
    return re.sub(r"(@|://|www\.)", lambda found: f"{found[0][0]}{JOINER}{found[0][1:]}", text)


# sending ------------------------------------------------------------------------------------------


class Webhooks:
    """Carries letters to webhooks, each to the address that the settings have for its name now."""

    def __init__(self, settings: Settings, client: Poster, now: Callable[[], datetime]) -> None:
        self._settings, self._client, self._now = settings, client, now

    def send(self, letter: Letter) -> Attempt:
        setting = ADDRESSES.get(letter.address)
        url = None if setting is None else self._settings.secret_of(setting)
        if url is None:
            return Attempt(Fate.REJECTED, "no webhook of this name is set")
        host = urlsplit(url).hostname or ""
        traits = SourceTraits(
            name="webhook", setting="webhook", base_url=url, hosts=(host,), pace_s=1.0, period_hours=24.0,
            platforms=(), credit="", licence="", read_timeout_s=10.0, max_body_bytes=64 * 1024,
        )  # fmt: skip
        try:
            self._client.send(
                Request("webhook", letter.address, ""),
                traits,
                json.loads(letter.body),
                base_url=url,
                secret=None,
                now=self._now,
                idempotency_key=letter.message_id,
            )
        except FetchError as error:
            return _attempt(error)
        return Attempt(Fate.SENT, "taken")

    def close(self) -> None:
        """The client is somebody else's."""


def _attempt(error: FetchError) -> Attempt:
    """What an error means for a letter. Its words may hold the address, so its kind is all that is kept."""
    refused = error.status is not None and not error.retry
    if refused or error.kind in FINAL:
        return Attempt(Fate.REJECTED, error.kind)
    return Attempt(Fate.LATER, error.kind, timedelta(seconds=error.not_before_s or 0.0))
