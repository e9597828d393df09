"""A week of the bundled recording as a digest, and the files it is compared with. To write them anew:

python -m tests.digest.recorded
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from questions.catalogue import load_catalogue
from storage.memory import MemoryStore
from storage.store import Store
from tracker.config import Settings
from tracker.demo.play import play
from tracker.demo.recording import make_recording
from tracker.digest.issue import digest_mail
from tracker.digest.period import period_at
from tracker.digest.render import write_preview
from tracker.mail.content import MailContent
from tracker.sources import SOURCES

GOLDEN = Path(__file__).parent / "golden"
LAST = date(2026, 5, 11)  # a new version of METR's series, an order that changed, an outcome, movers
WEEKS = 8
SETTINGS = Settings(poll_hours=dict.fromkeys(("manifold", "metaculus", "forecastbench", "metr"), 168.0))


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def weeks_up_to(last: date) -> list[datetime]:
    """Noon once a week, ``WEEKS`` times, the last on ``last``."""
    return [noon(last - timedelta(days=7 * back)) for back in range(WEEKS - 1, -1, -1)]


def played(moments: Sequence[datetime]) -> Store:
    """The recording, polled at these moments."""
    store = MemoryStore()
    play(
        make_recording(),
        load_catalogue(),
        dict(SOURCES),
        store,
        days=moments,
        user_agent="speedup-tracker tests",
        progress=lambda *_: None,
    )
    return store


def content(store: Store) -> MailContent:
    """The digest of the week up to ``LAST``."""
    return digest_mail(store, load_catalogue(), SETTINGS, period_at(noon(LAST)))


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for file in write_preview(content(played(weeks_up_to(LAST))), GOLDEN):
        sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main()
