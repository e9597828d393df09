"""``speedup questions publish`` and ``export``: our questions where other people forecast them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from questions import seen as recorded
from questions.model import Link, Relation
from questions.page import page
from questions.question import Question
from tracker.commands.files import add_text, own_file, write_text
from tracker.commands.resolving import find_question
from tracker.commands.session import Session, printable, with_session
from tracker.errors import UsageError
from tracker.publish.drafts import DRAFTS
from tracker.publish.manifold import (
    PATH,
    PLATFORM,
    TIERS,
    Account,
    Market,
    Standing,
    links_to,
    market_id,
    market_of,
    published_note,
)
from tracker.report.wording import counted
from tracker.sources import SOURCES

if TYPE_CHECKING:
    from questions.catalogue import Catalogue
    from tracker.publish.flow import Desk

FILE_NAME = "links.toml"


@click.command(
    "publish", epilog="Example:  speedup questions publish date-interpretability-10x --to manifold"
)
@click.argument("question_id", metavar="ID")
@click.option("--to", "platform", type=click.Choice([PLATFORM, *DRAFTS]), required=True, help="Where to.")
@click.option(
    "--yes", "--send", "really", is_flag=True, help="manifold: really make the market, and pay for it."
)
@click.option(
    "--dry-run", is_flag=True, help="Only show what would be sent or written; the default for manifold."
)
@click.option(
    "--tier",
    type=click.Choice([str(tier) for tier in TIERS]),
    default="100",
    show_default=True,
    help="manifold: the mana the market starts with.",
)
@click.option(
    "--links",
    "links_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"manifold: the file of links (default: {FILE_NAME} in the first folder of SPEEDUP_QUESTIONS_PATH).",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="metaculus, file: write the draft to this new file (default: print it).",
)
@with_session()
def command(
    session: Session,
    question_id: str,
    platform: str,
    really: bool,
    dry_run: bool,
    tier: str,
    links_file: Path | None,
    out: Path | None,
) -> int:
    """Publish one of our questions: a market on Manifold, or a draft to paste elsewhere.

    A market costs mana and cannot be taken back: without --yes it is only shown. It is made once for every
    version of a question, whatever happens on the way, and its links go to a file of yours, from which it is
    followed like every linked question. Without SPEEDUP_MANIFOLD_KEY nobody is asked anything.
    """
    question = find_question(session, question_id)
    if platform != PLATFORM:
        if really or links_file is not None:
            raise UsageError(f"--yes and --links belong to --to {PLATFORM}: a draft is sent by nobody")
        return _draft(session, question, platform, out, dry_run=dry_run)
    if out is not None:
        raise UsageError(f"--out belongs to drafts; --to {PLATFORM} writes links (--links)")
    if really and dry_run:
        raise UsageError("--yes and --dry-run exclude each other")
    return _Publication(session, question, int(tier), links_file).run(really=really)


@click.command("export", epilog="Example:  speedup questions export pages date-interpretability-10x")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only tell which files would be written.")
@with_session()
def export(session: Session, folder: Path, ids: tuple[str, ...], dry_run: bool) -> int:
    """Write a page of Markdown per question into DIR, with an index; all questions by default.

    Pages already there are replaced; nothing else in DIR is touched.
    """
    catalogue = session.catalogue
    chosen = [find_question(session, name) for name in ids] or list(catalogue.questions.values())
    names = _names(catalogue)
    files = {f"{question.id}.md": page(question, names) for question in chosen}
    files["README.md"] = _index(chosen)
    if not dry_run:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                write_text(folder / name, text)
        except OSError as error:
            raise UsageError(f"{folder}: cannot be written: {type(error).__name__}: {error}") from None
    document = {"folder": folder, "files": sorted(files), "written": not dry_run}
    verb = "would be written to" if dry_run else "written to"
    session.print(document, lambda: click.echo(f"{len(files)} files {verb} {folder}"))
    return 0


def _index(questions: Sequence[Question]) -> str:
    lines = [
        f"- [{question.id}]({question.id}.md): {printable(question.title)} ({question.kind.value}, closes "
        f"{question.dates.close.date()})"
        for question in sorted(questions, key=lambda one: one.id)
    ]
    return "\n".join(["# Questions", "", *lines, ""])


def _unfit(catalogue: Catalogue, question: Question) -> list[str]:
    """The linter's errors about a question: with one of them it is not to be published."""
    from questions.findings import Severity
    from questions.lint import Context, lint
    from questions.resolver import fixture_findings

    context = Context(areas={area.key: area for area in catalogue.areas}, fixtures=fixture_findings)
    report = lint([question], lambda name, path: catalogue.place(name, *path), context)
    return [
        f"{finding.rule}: {finding.message}"
        for finding in report.findings
        if finding.severity is Severity.ERROR
    ]


def _names(catalogue: Catalogue) -> dict[str, str]:
    return {area.key: area.name for area in catalogue.areas}


def _draft(session: Session, question: Question, platform: str, out: Path | None, *, dry_run: bool) -> int:
    text = DRAFTS[platform](question, _names(session.catalogue))
    written = out is not None and not dry_run
    if out is not None and not dry_run:
        try:
            with out.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
        except FileExistsError:
            raise UsageError(f"--out {out}: is there already; nothing was written") from None
        except OSError as error:
            raise UsageError(f"--out {out}: cannot be written: {type(error).__name__}: {error}") from None
    document = {
        "question": question.id,
        "version": question.version,
        "platform": platform,
        "draft": text,
        "file": out,
        "written": written,
    }
    for mistake in _unfit(session.catalogue, question):
        click.echo(f"not fit to be published: {mistake}", err=True)
    said = f"written to {out}" if written else text.rstrip("\n")
    session.print(document, lambda: click.echo(said))
    return 0


class _Publication:
    """One call of ``publish --to manifold``."""

    def __init__(self, session: Session, question: Question, tier: int, links_file: Path | None) -> None:
        self.session, self.question, self.tier = session, question, tier
        self.links_file = links_file
        self.names = _names(session.catalogue)
        self.linked = [link for link in session.catalogue.links if link.platform == PLATFORM]
        self.document: dict[str, Any] = {
            "question": question.id,
            "version": question.version,
            "platform": PLATFORM,
            "status": "dry_run",
            "would_send": None,
            "cost_mana": None,
            "balance_mana": None,
            "account": None,
            "market": None,
            "links": [],
            "links_file": None,
            "notes": [],
        }

    def run(self, *, really: bool) -> int:
        known = [link for link in self.linked if link.question == self.question.id]
        same = next((link for link in known if link.relation is Relation.SAME), None)
        if same is not None:
            self.document["market"] = {"id": same.external_id, "url": same.url}
            if not same.note.startswith(published_note(self.question.version)):
                self._note(
                    f"Its link does not say that this is version {self.question.version}: to publish this version "
                    f"as well, take the link out of your file and rename the market if it has the same title"
                )
            return self._end("already_linked", f"{self.question.id} is published already: {same.url}")
        market = self._market(self.session.now())
        self.document["cost_mana"] = market.cost
        unfit = _unfit(self.session.catalogue, self.question)
        if unfit and really:
            raise UsageError(
                "\n".join(
                    [f"{self.question.id} is not fit to be published (speedup questions lint):", *unfit]
                )
            )
        for error in unfit:
            self._note(f"Not fit to be published, --yes would refuse it: {error}")
        return self._send(market) if really else self._show(market)

    def _market(self, now: datetime) -> Market:
        return market_of(self.question, self.names, now=now, tier=self.tier)

    def _as_sent(self, standing: Standing) -> Market:
        """What we would have sent when a market was made: the steps of a ladder begin at that day."""
        return self._market(standing.created or self.session.now())

    # dry run

    def _show(self, market: Market) -> int:
        from tracker.publish.flow import find

        if self.session.settings.manifold_key is None:
            self._note(
                "SPEEDUP_MANIFOLD_KEY is not set: neither the account's mana nor its markets were looked at"
            )
            return self._shown(market, None)
        with self.session.client() as client:
            desk = self._desk(client)
            account = self._account(desk)
            found = find(desk, account, market, self._as_sent)
        if found is not None:
            self._found(found)
            self._note("The market is there already: --yes only stores its links")
            return self._end(
                "found", f"{self.question.id} stands already: {printable(found.url or found.id)}"
            )
        if account.balance is not None and account.balance < market.cost:
            self._note(
                f"It costs {market.cost} mana, the account has {account.balance:g}: it could not be made"
            )
        return self._shown(market, market_id(account.id, self.question))

    def _shown(self, market: Market, ref: str | None) -> int:
        body = market.to_send(ref)
        url = f"{self._base_url()}/{PATH}"
        self.document["would_send"] = {"method": "POST", "url": url, "body": body}

        def show() -> None:
            click.echo(f"POST {url}\n")
            for name, value in body.items():
                if name == "descriptionMarkdown":
                    continue
                shown = "(made from the account's id)" if value is None else value
                click.echo(f"{name}: {shown}")
            click.echo(f"\ndescriptionMarkdown:\n\n{body['descriptionMarkdown']}")
            click.echo(f"It would cost {market.cost} mana. Nothing was sent; --yes sends it.")

        self._print_notes()
        self.session.print(self.document, show)
        return 0

    # for real

    def _send(self, market: Market) -> int:
        from tracker.publish.flow import publish

        if self.session.settings.manifold_key is None:
            raise UsageError("--yes needs the key of a Manifold account: SPEEDUP_MANIFOLD_KEY, or …_FILE")
        target = own_file(
            self.session.settings.questions_path,
            self.links_file,
            option="--links",
            name=FILE_NAME,
            purpose="--yes",
        )
        self.document["links_file"] = target
        if not os.access(target.parent, os.W_OK):
            raise UsageError(f"{target}: its folder is not yours to write to; nothing was sent")
        store = self.session.store()
        try:
            with self.session.client() as client:
                desk = self._desk(client)
                done = publish(desk, self._account(desk), market, self._as_sent, store)
        finally:
            store.close()
        self._found(done.market)
        fresh = self._fresh(links_to(done.market, self._as_sent(done.market), self.session.now()))
        text = recorded.links_text(fresh)
        said = f"{'made' if done.created else 'found'}: {printable(done.market.url or done.market.id)}"
        status = "created" if done.created else "found"
        try:
            if fresh:
                add_text(target, text, header=recorded.LINKS_HEADER)
        except UsageError as error:
            self._note(f"{error}; run this again, or add to a file of yours:\n{text}")
            self._end(status, said)
            return 1
        if not self._is_read(target):
            self._note(f"{target} is in no folder of SPEEDUP_QUESTIONS_PATH: nobody follows these links yet")
        return self._end(status, f"{said}\n{counted(len(fresh), 'link')} written to {target}", fresh)

    def _is_read(self, target: Path) -> bool:
        """Whether the catalogue will read the file."""
        read = {path.resolve() for path in self.session.settings.questions_path}
        return target.resolve() in read or target.resolve().parent in read

    def _fresh(self, links: Sequence[Link]) -> list[Link]:
        """Links the catalogue does not have; one that stands there with another relation is left alone."""
        there = {link.key for link in self.linked}
        for link in links:
            if link.key in there:
                self._note(
                    f"{link.external_id} ({link.outcome}) is linked already, with another relation or question"
                )
        return [link for link in links if link.key not in there]

    # shared

    def _base_url(self) -> str:
        traits = SOURCES[PLATFORM].traits
        return self.session.settings.url_of(traits.setting, traits.base_url)

    def _desk(self, client: Any) -> Desk:
        from tracker.publish.flow import Desk

        key = self.session.settings.secret_of("manifold_key")
        return Desk(client, SOURCES[PLATFORM].traits, self._base_url(), key, self.session.now)

    def _account(self, desk: Desk) -> Account:
        account = desk.account()
        self.document["account"] = printable(account.username)
        self.document["balance_mana"] = account.balance
        return account

    def _found(self, standing: Standing) -> None:
        self.document["market"] = {"id": standing.id, "url": standing.url}

    def _note(self, text: str) -> None:
        self.document["notes"].append(text)

    def _print_notes(self) -> None:
        for note in self.document["notes"]:
            click.echo(note, err=True)

    def _end(self, status: str, said: str, links: Sequence[Link] = ()) -> int:
        self.document["status"] = status
        self.document["links"] = [link.model_dump(mode="json") for link in links]
        self._print_notes()
        self.session.print(self.document, lambda: click.echo(said))
        return 0
