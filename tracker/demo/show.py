"""The demo from start to end: play the recording, find what there is to tell, write it to a folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from shutil import which
from typing import Any

from matplotlib.figure import Figure

from questions.catalogue import Catalogue
from questions.time import iso
from storage import open_store
from tracker import __version__
from tracker.config import LinkSettings, Settings
from tracker.demo.play import FIRST_DAY, LAST_DAY, PLATFORMS, POLL_HOURS, Played, Progress, moments, play
from tracker.demo.recording import make_recording
from tracker.digest.issue import digest_mail, preview_message
from tracker.digest.period import period_at
from tracker.digest.render import write_preview
from tracker.findings import WEEKS_SHOWN, Findings, find
from tracker.history import keep_weeks
from tracker.mail.content import MailContent
from tracker.monthly import stored_history
from tracker.orderings import ModelOptions
from tracker.recorded import record_scores
from tracker.report.content import DatabaseNote
from tracker.report.page import render_page
from tracker.report.plots import png_bytes
from tracker.report.text import render_text
from tracker.scorecard import PAGE_LEAD_DAYS
from tracker.scoring.calibration import to_json
from tracker.sources import SOURCES

DATABASE, PAGE, TEXT = "demo.sqlite", "index.html", "summary.txt"
TERMINAL_SECTIONS = ("ordering", "comparisons", "changes", "horizons", "calibration", "health", "database")


def _program() -> str:
    """How this program is called from here: its name, or its path when the environment is not active."""
    return "speedup" if which("speedup") else sys.argv[0]


@dataclass(frozen=True)
class DemoResult:
    """What the demo came to and where it is."""

    folder: Path
    now: datetime
    played: Played
    findings: Findings
    rows: Mapping[str, int]
    files: tuple[Path, ...]
    digest: MailContent

    def text(self) -> str:
        """The summary for a terminal."""
        return (
            render_text(self.findings.content, 110, only=TERMINAL_SECTIONS) + "\n" + "\n".join(self._where())
        )

    def _where(self) -> list[str]:
        page, mail = ((self.folder / name).resolve().as_uri() for name in (PAGE, "digest.html"))
        return [
            f"The week's digest would be mailed as “{self.digest.subject}”: {mail}",
            f"The database is {self.folder / DATABASE}; the page is {page}",
            *(f"  {file}" for file in self.files),
            f"Ask it:  {_program()} order --db sqlite:///{self.folder / DATABASE} --as-of {iso(self.now)}",
        ]

    def as_json(self) -> dict[str, Any]:
        report = self.findings.calibration
        return {
            "from": FIRST_DAY,
            "to": self.now.date(),
            "days": self.played.days,
            "requests": sum(total.requests for total in self.played.totals.values()),
            "sources": [total.as_json() for total in self.played.totals.values()],
            "database": str(self.folder / DATABASE),
            "rows": dict(self.rows),
            "rankings": {name: list(voice.ranking) for name, voice in self.findings.orderings.voices.items()},
            "calibration": to_json(report) if report is not None else None,
            "digest": {"subject": self.digest.subject, "html_bytes": len(self.digest.html.encode())},
            "files": [str(file) for file in self.files],
        }


def run_demo(
    folder: Path,
    catalogue: Catalogue,
    *,
    progress: Progress,
    last: date = LAST_DAY,
    limits: LinkSettings | None = None,
) -> DemoResult:
    """Fill ``folder`` (it must exist and hold no database yet) up to a day and tell what was found.

    ``limits``: when a question counts as overdue.
    """
    days = moments(last)
    store = open_store(f"sqlite:///{folder / DATABASE}")
    try:
        played = play(
            make_recording(),
            catalogue,
            dict(SOURCES),
            store,
            days=days,
            user_agent=f"speedup-tracker/{__version__} (demo)",
            progress=progress,
        )
        keep_weeks(catalogue, store, ModelOptions(), until=days[-1], made_at=days[-1], weeks=WEEKS_SHOWN)
        stored_history(store, catalogue, lead_days=(PAGE_LEAD_DAYS,), now=days[-1])
        record_scores(store, catalogue, now=days[-1])
        found = find(
            store,
            catalogue,
            [SOURCES[name] for name in PLATFORMS],
            now=days[-1],
            database=_note(store.counts(), days[-1]),
            totals=played.totals,
            limits=limits,
        )
        settings = Settings(poll_hours=POLL_HOURS)
        period = period_at(days[-1])
        digest = digest_mail(store, catalogue, settings, period, known=found.orderings)
        message = preview_message(digest, period, settings)
        rows = store.counts()
    finally:
        store.close()
    return DemoResult(folder, days[-1], played, found, rows, write(folder, found, digest, message), digest)


def _note(rows: Mapping[str, int], now: datetime) -> DatabaseNote:
    at = f"--db sqlite:///{DATABASE} --as-of {iso(now)}"
    return DatabaseNote(
        location=DATABASE,
        rows=rows,
        commands=(
            (f"speedup order {at}", "the orderings, with every number as JSON if you add --json"),
            (
                f"speedup order --history 13 --rederive {at}",
                "the stored weeks, and whether they still come out so",
            ),
            (
                f"speedup series diff metr_th11 2026-02-25 2026-03-10 --db sqlite:///{DATABASE}",
                "what METR revised",
            ),
            (
                f"speedup trend fit --from 2023-01-01 --max-minutes 960 {at}",
                "the METR trend and its crossings",
            ),
            (f"speedup calibration --group-by forecaster {at}", "how good the crowds were"),
            (f"speedup db check --db sqlite:///{DATABASE}", "every stored payload against its hash"),
        ),
    )


def write(folder: Path, found: Findings, digest: MailContent, message: bytes) -> tuple[Path, ...]:
    """Charts as PNG and SVG, the page and its plain-text twin, the week's digest (``message``: as it would be
    mailed); returns the files written."""
    files = []
    for name, figure in found.charts.figures.items():
        assert isinstance(figure, Figure)
        png, svg = folder / f"{name}.png", folder / f"{name}.svg"
        png.write_bytes(png_bytes(figure))
        svg.write_text(found.charts.svgs[name], encoding="utf-8")
        files += [png, svg]
    (folder / PAGE).write_text(render_page(found.content), encoding="utf-8")
    (folder / TEXT).write_text(render_text(found.content, 110) + "\n", encoding="utf-8")
    return (*files, folder / PAGE, folder / TEXT, *write_preview(digest, folder, message=message))
