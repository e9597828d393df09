"""The daemon's log: one line a record, for people or as JSON, without secrets, mail addresses and forged lines."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TextIO

from pydantic import SecretStr

from tracker.config import Settings
from tracker.daemon.ping import JOB
from tracker.mail.links import without_addresses

MASK = "[secret]"
SHORTEST_SECRET = 4
LONGEST_LINE = 8_000


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Every secret in force, a database password among them; the longest first, so that none hides in another."""
    found = {
        value.get_secret_value()
        for name in Settings.model_fields
        if isinstance(value := getattr(settings, name), SecretStr)
    }
    login = settings.database().partition("://")[2].rpartition("@")[0]
    found.add(login.partition(":")[2])
    found |= {text.partition(JOB)[0] for text in found if JOB in text}  # an address with a job's name put in
    return tuple(sorted((text for text in found if len(text) >= SHORTEST_SECRET), key=len, reverse=True))


class LineFormatter(logging.Formatter):
    """``2026-11-20T07:00:00Z WARNING tracker.work: text`` or the same as a JSON object on one line.

    Text from elsewhere cannot begin a line of its own nor speak to a terminal: every character that does not
    print is written as its escape.
    """

    def __init__(self, kind: str, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._json = kind == "json"
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text += " | " + self.formatException(record.exc_info).replace("\n", " | ")
        text = self._clean(text)
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        at = at.replace("+00:00", "Z")
        if not self._json:
            return f"{at} {record.levelname} {record.name}: {text}"
        line = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": text}
        return json.dumps(line, ensure_ascii=True)

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        text = without_addresses(text)
        text = text if len(text) <= LONGEST_LINE else text[:LONGEST_LINE] + " …"
        return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def set_up(settings: Settings, stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send everything to stderr (systemd and containers collect it there); libraries speak from warnings up, we
    from ``level`` up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(settings.log_format, secrets_of(settings)))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("tracker").setLevel(level)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
