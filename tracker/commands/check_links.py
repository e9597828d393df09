"""``speedup questions check-links``: are the linked questions still those a person linked?"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from questions import seen as recorded
from questions.catalogue import Catalogue
from questions.findings import Finding, Severity
from questions.model import Link, Seen
from storage.store import Store
from tracker import jobs
from tracker.collect import SourceReport
from tracker.commands import pull
from tracker.commands.files import add_text, own_file, with_path
from tracker.commands.session import Session, table, with_session
from tracker.commands.shown import show_findings
from tracker.errors import UsageError
from tracker.linkcheck import (
    Question,
    Sight,
    check_links,
    name_of,
    news,
    record_of,
    sights_of,
    with_relatives,
)
from tracker.report.wording import counted
from tracker.sources import SOURCES

FILE_NAME = "seen.toml"


@click.command("check-links", epilog="Example:  speedup questions check-links manifold:QOCNqgPOth --record")
@click.argument("names", metavar="[LINK]...", nargs=-1)
@click.option("--offline", is_flag=True, help="Judge by what is stored; ask nobody.")
@click.option("--record", is_flag=True, help="Keep what stands there now as read and found right by you.")
@click.option("--yes", is_flag=True, help="With --record: do not ask before writing.")
@click.option("--dry-run", is_flag=True, help="With --record: show what would be written, write nothing.")
@click.option(
    "--seen",
    "seen_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"The file of what was recorded (default: {FILE_NAME} in the first folder of SPEEDUP_QUESTIONS_PATH).",
)
@with_session()
def command(
    session: Session,
    names: tuple[str, ...],
    offline: bool,
    record: bool,
    yes: bool,
    dry_run: bool,
    seen_file: Path | None,
) -> int:
    """Fetch the linked questions and tell what is not as it was when a person linked them.

    LINK is a platform, an id or platform:id; all links by default. Rules X01 to X06: text, dates, type and
    outcomes (X01), what a price means (X02), who will settle it (X03), thin markets (X04), ladders (X05),
    twins (X06). Exit code 1 when there is an error or a part could not be fetched.
    """
    if (yes or dry_run) and not record:
        raise UsageError("--yes and --dry-run belong to --record")
    if record and not (yes or dry_run) and (session.as_json or not sys.stdin.isatty()):
        raise UsageError("--record writes a file: add --yes, or --dry-run to look at it first")
    target = _target(session, seen_file) if record or seen_file is not None else None
    catalogue = _catalogue(session, target)
    links = _choose(catalogue, names)
    wanted = with_relatives(catalogue, links)
    store = session.store(create=not offline)
    try:
        reports = [] if offline else _ask(session, catalogue, wanted, store)
        sights = sights_of(store, catalogue, jobs.failures(SOURCES, wanted, reports))
    finally:
        store.close()
    check = _Check(session, wanted, sights, reports, asked=bool(names))
    before = check.findings(catalogue)
    fresh: list[Seen] = []
    written = False
    if record and target is not None:
        fresh = news(_records(links, sights, session), catalogue.seen)
        if not session.as_json:
            _show(before, check.questions)
        written = _keep(fresh, target, session, yes=yes, dry_run=dry_run)
    after = check.findings(_with(catalogue, fresh)) if written else before
    document = {
        "questions": check.questions,
        "checked_at": session.now(),
        "offline": offline,
        "findings": [finding.as_json() for finding in after],
        "recorded": [f"{one.platform}:{one.external_id}" for one in fresh] if written else [],
        "to_record": [one.model_dump(mode="json") for one in fresh] if dry_run else [],
        "seen_file": target,
        "sources": [report.as_json() for report in reports],
    }
    session.print(document, lambda: _close(after, check, shown=record))
    return check.exit_code(after)


class _Check:
    """One run of the check: what was chosen, what is known of it, and how the asking went."""

    def __init__(
        self,
        session: Session,
        links: Sequence[Link],
        sights: Mapping[Question, Sight],
        reports: Sequence[SourceReport],
        *,
        asked: bool,
    ) -> None:
        self.session, self.links, self.sights, self.reports = session, links, sights, reports
        self.fetched = pull.exit_code(reports, asked=asked) if reports else 0

    @property
    def questions(self) -> int:
        return len({(link.platform, link.external_id) for link in self.links})

    def findings(self, catalogue: Catalogue) -> list[Finding]:
        limits, now = self.session.settings.links, self.session.now()
        return check_links(catalogue, self.links, self.sights, settings=limits, now=now)

    def exit_code(self, findings: Sequence[Finding]) -> int:
        """3 when nothing is known of any of them, 1 when there is an error or a part was not fetched."""
        known = (self.sights[link.platform, link.external_id] for link in self.links)
        if not any(sight.info or sight.newest for sight in known):
            return 3
        wrong = any(finding.severity is Severity.ERROR for finding in findings)
        return 1 if wrong or self.fetched else 0


def _target(session: Session, named: Path | None) -> Path:
    """The file of what was recorded. UsageError when there is no place for it."""
    folders = session.settings.questions_path
    return own_file(folders, named, option="--seen", name=FILE_NAME, purpose="--record")


def _catalogue(session: Session, target: Path | None) -> Catalogue:
    """The catalogue, with the file of what was recorded if it lies outside the usual folders."""
    from questions.catalogue import load_catalogue

    paths = session.settings.questions_path
    if target is None or not target.is_file():
        return load_catalogue(paths)
    return load_catalogue(with_path(paths, target))


def _choose(catalogue: Catalogue, names: Sequence[str]) -> list[Link]:
    """The links named by platform, id or platform:id; all when nothing is named. UsageError for an unknown."""
    called = [{link.platform, link.external_id, name_of(link)} for link in catalogue.links]
    known = set().union(*called)
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=3)
            hint = f"; close: {', '.join(close)}" if close else "; see: speedup questions list --links"
            raise UsageError(f"no linked question {name!r}{hint}")
    pairs = zip(catalogue.links, called, strict=True)
    return [link for link, words in pairs if not names or words.intersection(names)]


def _ask(session: Session, catalogue: Catalogue, links: Sequence[Link], store: Store) -> list[SourceReport]:
    with session.client() as client:
        return jobs.look(
            SOURCES,
            catalogue,
            links,
            store=store,
            client=client,
            settings=session.settings,
            now=session.now,
        )


# Recording ----------------------------------------------------------------------------------------------


def _records(links: Sequence[Link], sights: Mapping[Question, Sight], session: Session) -> list[Seen]:
    """What stands now of the chosen questions that could be fetched."""
    now = session.now().replace(microsecond=0)
    questions = dict.fromkeys((link.platform, link.external_id) for link in links)
    found = (record_of(sights[question], now) for question in questions if not sights[question].failure)
    return [record for record in found if record is not None]


def _keep(fresh: Sequence[Seen], target: Path, session: Session, *, yes: bool, dry_run: bool) -> bool:
    """Add the records to the file once the user agrees; whether that was done."""
    if not fresh:
        click.echo("nothing new to record", err=True)
        return False
    text = recorded.text_of(fresh)
    if dry_run:
        if not session.as_json:
            click.echo(f"would be added to {target}:\n{text}")
        return False
    question = f"Have you read {len(fresh)} question(s), and are they to be recorded in {target}?"
    if not yes and not click.confirm(question):
        return False
    add_text(target, text, header=recorded.HEADER)
    click.echo(f"recorded {len(fresh)} question(s) in {target}", err=True)
    return True


def _with(catalogue: Catalogue, fresh: Sequence[Seen]) -> Catalogue:
    added = {(one.platform, one.external_id): one for one in fresh}
    return replace(catalogue, seen={**catalogue.seen, **added})


# Showing ------------------------------------------------------------------------------------------------


def _close(findings: Sequence[Finding], check: _Check, *, shown: bool) -> None:
    if not shown:
        _show(findings, check.questions)
    problems: list[tuple[Any, ...]] = [
        (report.source, report.status, error.ref, error.message)
        for report in check.reports
        for error in report.errors
    ]
    if problems:
        table("what could not be fetched", ["source", "status", "ref", "message"], problems[:20])
        if len(problems) > 20:
            click.echo(f"… and {len(problems) - 20} more (see --json)")


def _show(findings: Sequence[Finding], questions: int) -> None:
    show_findings(counted(questions, "linked question"), findings)
