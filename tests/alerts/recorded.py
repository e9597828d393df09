"""A day on which much happened, as the mail about it, and the files it is compared with. To write them anew:

python -m tests.alerts.recorded
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from storage.mailing import Channel
from storage.records import RunState
from tests.alerts.world import World, followed
from tracker.config import Settings
from tracker.mail.content import UNSUBSCRIBE

GOLDEN = Path(__file__).parent / "golden"


def message() -> EmailMessage:
    """Found by the rules, planned, queued: the letter itself."""
    world = World(*map(followed, ("a", "b", "c", "d")), order_hours=24)
    told = world.settings.model_dump() | {"alert_webhook": None, "mail_from": "tracker@example.org"}
    world.settings = Settings.model_validate(told | {"mail_to": "ada@example.org", "mail_drop": "out"})
    world.info(0, "a", "Will an AI system pass the hardest tier of a mathematics benchmark before 2027?")
    world.info(0, "b", "Will a time horizon above ten hours be published by July 2026?")
    world.info(0, "c", "How long is a rope?", closes_at=datetime(2026, 7, 5, tzinfo=UTC))
    world.info(0, "d", "Will it rain?")
    for name, value in (("a", 0.2), ("b", 0.9), ("c", 0.5), ("d", 0.5)):
        world.value(0, value, name)
    world.health(0, "ok", "a", "b", "c", "d")
    world.series(0, "a", {"one": 60.0, "two": 120.0})
    world.polled(0)
    world.look(1)
    world.value(20, 0.62, "a")
    world.outcome(20, "yes", "b")
    world.health(20, "ok", "a", "b", "c")
    world.health(20, "gone", "d", message="the platform knows it no more")
    world.series(20, "b", {"one": 60.0, "two": 90.0, "three": 480.0})
    world.drift(20, "$.probability")
    world.polled(20, RunState.PARTIAL, "1 of 4 questions is gone")
    world.look(21)
    world.look(46)
    world.tell(46)
    (letter,) = world.store.letters()
    assert letter.channel is Channel.MAIL
    made = message_from_bytes(letter.body, policy=policy.default)
    assert isinstance(made, EmailMessage)
    return made


def said(kind: str) -> str:
    """Its HTML or its plain text, the way out as it is before there is a recipient."""
    part = message().get_body((kind,))
    assert part is not None
    text: str = part.get_content()
    return text.replace("\r\n", "\n").replace("mailto:tracker@example.org?subject=unsubscribe", UNSUBSCRIBE)


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "alerts.html").write_text(said("html"), encoding="utf-8")
    (GOLDEN / "alerts.txt").write_text(said("plain"), encoding="utf-8")
    sys.stdout.write(said("plain"))


if __name__ == "__main__":
    main()
