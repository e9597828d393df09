"""Alerts to webhooks: as plain JSON, and in the shapes that Slack, Discord and Matrix (hookshot) take.

A webhook's address is a secret: letters name the webhook only, and nothing that a server says of it is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlsplit

from questions.time import iso
from storage.alerting import Alert
from storage.mailing import Channel, Letter
from storage.records import RawPayload
from tracker.alerts.render import MOST, Item, items, subject
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
DISCORD_LIMIT, SLACK_TEXT, SLACK_BLOCKS = 2000, 3000, 50
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
    return {"slack": _slack, "discord": _discord, "matrix": _matrix}[name](subject(found), found)


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


def described(alert: Alert) -> dict[str, Any]:
    """An alert as JSON, other people's text without invisible commands."""
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
            for one in alert.evidence[:EXHIBITS]
        ],
    }


def _more(left: int) -> str:
    return f"and {left} more: `speedup alerts list`"


# Slack --------------------------------------------------------------------------------------------


def _slack(headline: str, found: Sequence[Item]) -> dict[str, Any]:
    """Blocks of plain text, in which no markup works; a link of our own below each."""
    blocks = [_plain_block(headline)]
    shown = 0
    for one in found:
        new = [_plain_block(f"{one.what}: {one.title}\n{one.change}\n{one.text}".strip())]
        if one.url is not None and not re.search(r"[|<>]", one.url):
            link = {"type": "mrkdwn", "text": f"<{_slack_escaped(one.url)}|open>"}
            new.append({"type": "context", "elements": [link]})
        if len(blocks) + len(new) > SLACK_BLOCKS - 1:
            break
        blocks += new
        shown += 1
    if shown < len(found):
        blocks.append(_plain_block(_more(len(found) - shown)))
    return {
        "text": _slack_escaped(headline),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": blocks,
    }


def _plain_block(text: str) -> dict[str, Any]:
    said = _slack_escaped(text)
    if len(said) > SLACK_TEXT:
        said = re.sub(r"&[a-z]*$", "", said[: SLACK_TEXT - 1]) + "…"
    return {"type": "section", "text": {"type": "plain_text", "text": said, "emoji": False}}


def _slack_escaped(text: str) -> str:
    """The three characters that Slack reads as control."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# Discord ------------------------------------------------------------------------------------------


def _discord(headline: str, found: Sequence[Item]) -> dict[str, Any]:
    """Escaped Markdown of at most 2000 characters; nobody is called, no link is opened for a preview."""
    parts = [f"**{_markdown_escaped(headline)}**"]
    shown = 0
    for one in found:
        lines = [f"{one.what}: {one.title}", one.change, one.text]
        said = "\n".join(_markdown_escaped(line) for line in lines if line)
        if one.url is not None:
            said += f"\n<{one.url}>"
        rest = _more(len(found) - shown)
        if sum(map(len, parts)) + 2 * len(parts) + len(said) + len(rest) + 2 > DISCORD_LIMIT:
            break
        parts.append(said)
        shown += 1
    if shown < len(found):
        parts.append(_more(len(found) - shown))
    return {
        "content": "\n\n".join(parts),
        "allowed_mentions": {"parse": []},
        "flags": SUPPRESS_EMBEDS,
    }


def _markdown_escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~:@&^=])", r"\\\1", text)


# Matrix -------------------------------------------------------------------------------------------


def _matrix(headline: str, found: Sequence[Item]) -> dict[str, Any]:
    """Text and HTML for a generic webhook of matrix-hookshot. Foreign addresses and calls are broken up."""
    from markupsafe import escape

    lines, markup = [_broken(headline)], [f"<p><strong>{escape(_broken(headline))}</strong></p>"]
    for one in found[:MOST]:
        what, change, text = (_broken(part) for part in (f"{one.what}: {one.title}", one.change, one.text))
        lines.append("\n".join(part for part in (what, change, text, one.url or "") if part))
        link = f' <a href="{escape(one.url)}">open</a>' if one.url is not None else ""
        markup.append(f"<p>{escape(what)}<br>{escape(change)}<br>{escape(text)}{link}</p>")
    if len(found) > MOST:
        lines.append(_more(len(found) - MOST))
        markup.append(f"<p>{escape(_more(len(found) - MOST))}</p>")
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
