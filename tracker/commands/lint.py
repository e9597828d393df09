"""``speedup questions lint``: could two people who never met resolve our questions the same way?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from questions.catalogue import Draft, read_draft
from questions.findings import Finding, Severity
from questions.lint import Report, Waived, lint_draft
from questions.lint.fixes import diff, mended
from questions.resolver import fixture_findings
from tracker.commands.files import with_path, write_text
from tracker.commands.session import Session, table, with_session
from tracker.commands.shown import show_findings, who
from tracker.errors import UsageError
from tracker.report.wording import counted

_PACKAGED = "areas.toml"  # a folder that holds it is a whole catalogue, not an addition to one


@click.command("lint", epilog="Example:  speedup questions lint my-questions/ --fix --dry-run")
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--fix", is_flag=True, help="Set right what can be without guessing; comments are kept.")
@click.option("--dry-run", is_flag=True, help="With --fix: show the changes, write nothing.")
@click.option("--strict", is_flag=True, help="Warnings that are not waived count as errors.")
@with_session()
def command(session: Session, path: Path | None, fix: bool, dry_run: bool, strict: bool) -> int:
    """Hold our own questions against the rules Q01 to Q30.

    PATH is a folder or a TOML file of yours; without it, everything in the catalogue. Each finding says what to
    write instead. An error blocks publication; a warning needs mending or a written reason under
    [question.waivers]. --fix changes your own files only: quotes around a date-time, a comparator or key word
    written another way, a waiver that nothing needs.

    Exit code 0: no errors (with --strict: no warnings either). 2: there are some, or a file cannot be read.
    """
    if dry_run and not fix:
        raise UsageError("--dry-run belongs to --fix")
    look = _Look.at(path, session.settings.questions_path)
    draft, report = look.report()
    fixes = _fixes(look.own(draft), report) if fix else []
    if fixes and not dry_run:
        for change in fixes:
            write_text(change.path, change.after)
        draft, report = look.report()
    document = {
        **report.as_json(),
        "fixed": [{"file": change.name, "diff": change.diff} for change in fixes],
        "dry_run": dry_run,
    }
    session.print(document, lambda: _show(report, fixes, dry_run=dry_run))
    wrong = report.count(Severity.ERROR) + (report.count(Severity.WARNING) if strict else 0)
    return 2 if wrong else 0


@dataclass(frozen=True)
class _Look:
    """What is read, and which part of it is looked at (``path``; None: all)."""

    path: Path | None
    paths: tuple[Path, ...]
    base: Path | None

    @classmethod
    def at(cls, path: Path | None, usual: Sequence[Path]) -> _Look:
        if path is None:
            return cls(None, tuple(usual), None)
        folder = path if path.is_dir() else path.parent
        if (folder / _PACKAGED).is_file():
            return cls(path, tuple(usual), folder)
        return cls(path, with_path(usual, path), None)

    def report(self) -> tuple[Draft, Report]:
        draft = read_draft(self.paths, base=self.base)
        return draft, lint_draft(
            draft, None if self.path is None else self._names(draft), fixtures=fixture_findings
        )

    def own(self, draft: Draft) -> list[tuple[Path, Any]]:
        """The files looked at that add to the packaged ones, with their content."""
        if self.base is not None:
            return []
        names = self._names(draft)
        return [(Path(file.name), file) for file in draft.files if file.name in names]

    def _names(self, draft: Draft) -> set[str]:
        roots = {root.resolve() for root in (self.paths if self.path is None else (self.path,))}
        names = {
            file.name for file in draft.files if self.base is not None or not self._is_packaged(file.name)
        }
        return {name for name in names if roots & {Path(name).resolve(), Path(name).resolve().parent}}

    @staticmethod
    def _is_packaged(name: str) -> bool:
        from questions.catalogue import PACKAGED_NAME

        return name.startswith(f"{PACKAGED_NAME}/")


@dataclass(frozen=True)
class _Change:
    path: Path
    name: str
    before: str
    after: str

    @property
    def diff(self) -> str:
        return diff(self.name, self.before, self.after)


def _fixes(files: Sequence[tuple[Path, Any]], report: Report) -> list[_Change]:
    changes = [_Change(path, file.name, file.text, mended(file, report.findings)) for path, file in files]
    return [change for change in changes if change.before != change.after]


def _show(report: Report, fixes: Sequence[_Change], *, dry_run: bool) -> None:
    for change in fixes:
        click.echo(f"{'would change' if dry_run else 'changed'} {change.name}:\n{change.diff}")
    show_findings(counted(report.questions, "question"), report.findings, places=True)
    if not report.waived:
        return
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for waived in report.waived:
        groups.setdefault(_same(waived), []).append(waived.finding)
    table(
        f"{len(report.waived)} waived",
        ["rule", "question", "finding", "reason"],
        [(rule, who(group), message, reason) for (rule, message, reason), group in groups.items()],
    )


def _same(waived: Waived) -> tuple[str, str, str]:
    return waived.finding.rule, waived.finding.message, waived.reason
