"""``speedup questions``: the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from tracker.commands import batteries, check_links, lint, new_question, publish
from tracker.commands.linked import show_linked
from tracker.commands.resolving import (
    find_question,
    judge,
    print_receipt,
    print_schema,
    receipt_document,
    receipts_of,
    resolve_questions,
)
from tracker.commands.session import Session, table, with_session
from tracker.errors import UsageError
from tracker.report.wording import counted

if TYPE_CHECKING:
    from questions.model import Link
    from questions.question import Question


@click.group("questions")
def command() -> None:
    """The question catalogue: list, show, new, lint, proxies, resolve, judge, publish, check-links."""


command.add_command(batteries.command)
command.add_command(check_links.command)
command.add_command(lint.command)
command.add_command(new_question.command)
command.add_command(publish.command)
command.add_command(publish.export)


for _more in (resolve_questions, judge, print_schema):
    command.add_command(_more)


@command.command("list", epilog="Example:  speedup questions list --area interpretability --kind date")
@click.option("--area", help="Only questions about this area.")
@click.option("--kind", help="Only this kind (date, ordering, binary, …).")
@click.option("--links", is_flag=True, help="List the linked questions of other platforms instead.")
@click.option("--summary", "counted", is_flag=True, help="Only count them, and say who decides them.")
@with_session()
def list_questions(session: Session, area: str | None, kind: str | None, links: bool, counted: bool) -> int:
    """Our questions, or with --links the external ones that bear on them.

    --summary counts them by area, view, kind and horizon, and by who decides: a program, judges, or both.
    """
    catalogue = session.catalogue
    keys = {entry.key for entry in catalogue.areas}
    if area is not None and area not in keys:
        raise UsageError(f"--area {area}: there is no such area; there are: {', '.join(sorted(keys))}")
    if links and counted:
        raise UsageError("--links and --summary exclude each other")
    if links:
        _print_links(session, [link for link in catalogue.links if area is None or area in link.areas])
        return 0
    picked = [
        question
        for question in catalogue.questions.values()
        if (area is None or area in question.areas) and (kind is None or question.kind.value == kind)
    ]
    if counted:
        _print_summary(session, picked, area)
    else:
        _print_questions(session, picked)
    return 0


def _print_links(session: Session, links: Sequence[Link]) -> None:
    session.print(
        {"links": [link.model_dump(mode="json") for link in links]},
        lambda: table(
            counted(len(links), "linked question"),
            ["platform", "id", "relation", "sign", "view", "areas", "about"],
            [
                (
                    link.platform,
                    link.external_id,
                    link.relation.value,
                    "+" if link.polarity > 0 else "-",
                    link.view.value,
                    ", ".join(link.areas),
                    link.label,
                )
                for link in links
            ],
        ),
    )


def _print_summary(session: Session, questions: Sequence[Question], area: str | None) -> None:
    from questions.subjects import JUDGES_NEEDED
    from questions.summary import Decider, Row, summary

    told = summary(questions)
    rows = [row for row in told.rows if area in (None, row.area)]
    document = {
        "questions": told.questions,
        "deciders": {who.value: count for who, count in told.deciders.items()},
        "each_quarter": {
            "proxies_read_by_judges": told.proxies,
            "panels": told.panels,
            "minutes_a_reading": told.minutes_each,
            "minutes_of_two_judges": told.judge_minutes,
        },
        "minutes_of_judged_questions": told.judged_minutes,
        "minutes_of_judged_questions_of_two_judges": JUDGES_NEEDED * told.judged_minutes,
        "rows": [asdict(row) for row in rows],
    }

    def show() -> None:
        columns = ["area", "view", "kind", "months", "questions", "program", "both", "judges"]
        cells = [[getattr(row, name) for name in Row.__dataclass_fields__] for row in rows]
        table("A question on several areas counts for each", columns, cells, right=range(3, 8))
        click.echo(
            f"{counted(told.questions, 'question')}; decided by "
            + ", ".join(f"{who.value}: {count}" for who, count in told.deciders.items())
        )
        click.echo(
            f"each quarter judges read {told.proxies} proxies, {told.minutes_each} minutes each: "
            f"{told.judge_minutes} minutes for two judges of all; {counted(told.panels, 'panel')} answer where "
            "proxies cannot"
        )
        alone = told.deciders[Decider.JUDGES]
        each = told.judged_minutes / alone if alone else 0
        click.echo(
            f"at the end of {counted(alone, 'question')} judges alone decide, {each:g} minutes each: "
            f"{JUDGES_NEEDED * told.judged_minutes} minutes for two judges of all"
        )

    session.print(document, show)


def _print_questions(session: Session, picked: Sequence[Question]) -> None:
    session.print(
        {
            "questions": [
                {
                    "id": question.id,
                    "version": question.version,
                    "kind": question.kind,
                    "title": question.title,
                    "areas": list(question.areas),
                    "view": question.view,
                    "speedup_kind": question.speedup_kind,
                    "close": question.dates.close,
                    "resolve": question.dates.resolve,
                }
                for question in picked
            ]
        },
        lambda: table(
            counted(len(picked), "question"),
            ["id", "kind", "closes", "title"],
            [(q.id, q.kind.value, q.dates.close.date(), q.title) for q in picked],
        ),
    )


@command.command("show", epilog="Example:  speedup questions show date-interpretability-10x")
@click.argument("question_id", metavar="ID")
@with_session(as_of=True)
def show_question(session: Session, question_id: str) -> int:
    """The whole record of one question, and the receipt of every verdict on it.

    Of a question elsewhere (ID is metaculus:17728) every stored value, and the payload it was read from.
    """
    if ":" in question_id:
        return show_linked(session, question_id)
    question = find_question(session, question_id)
    receipts = receipts_of(session, question)
    record = question.model_dump(mode="json")
    document = record | {"receipts": [receipt_document(receipt) for receipt in receipts]}

    def show() -> None:
        click.echo(f"{question.title}\n")
        _print_tree({name: value for name, value in record.items() if name != "fixtures"}, 0)
        click.echo(f"test worlds: {', '.join(fixture.name for fixture in question.fixtures) or 'none'}")
        for receipt in receipts:
            print_receipt(receipt)

    session.print(document, show)
    return 0


def _print_tree(node: object, depth: int) -> None:
    indent = "  " * depth
    if isinstance(node, dict):
        for key, value in node.items():
            if value in (None, [], {}, ""):
                continue
            if isinstance(value, (dict, list)):
                click.echo(f"{indent}{key}:")
                _print_tree(value, depth + 1)
            else:
                click.echo(f"{indent}{key}: {value}")
    elif isinstance(node, list):
        for item in node:
            if isinstance(item, dict):
                click.echo(f"{indent}-")
                _print_tree(item, depth + 1)
            else:
                click.echo(f"{indent}- {item}")
