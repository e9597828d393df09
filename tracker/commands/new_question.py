"""``speedup questions new``: asks for what the linter will want and writes the question as TOML."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from questions.catalogue import Catalogue
from questions.draft import TODO, Answers, toml_of
from questions.errors import Problem
from questions.lint import Context, Report, lint
from questions.lint.rule import SPEEDUPS
from questions.model import QuestionKind, SpeedupKind, View
from questions.problems import CatalogueFile, read_record
from questions.question import Question
from questions.resolver import fixture_findings
from tracker.commands.files import add_text
from tracker.commands.session import Moment, Session, with_session
from tracker.commands.shown import show_findings
from tracker.errors import UsageError

Given = dict[str, Any]

_HEADER = "# Questions of my own. `speedup questions lint` says what is still missing.\n"
_SLUG = re.compile(r"[^a-z0-9]+")


def _always(_given: Given) -> bool:
    return True


def _never(_given: Given) -> bool:
    return False


@dataclass(frozen=True)
class _Field:
    """One thing to ask: its option, what to ask, when it must be known, and what may be chosen."""

    name: str
    ask: str
    needed: Callable[[Given], bool]
    type: click.ParamType[Any] = click.STRING
    asked: Callable[[Given], bool] = _always
    many: bool = False


def _kind(*kinds: QuestionKind) -> Callable[[Given], bool]:
    return lambda given: given["kind"] in {kind.value for kind in kinds}


def _leveled(given: Given) -> bool:
    """Whether the question asks when or whether a level is reached."""
    ranged = _kind(QuestionKind.NUMERIC, QuestionKind.MULTIPLE_CHOICE)(given)
    return not ranged and (SpeedupKind(given["speedup_kind"]) in SPEEDUPS or given["kind"] == "ordering")


def _unranged(given: Given) -> bool:
    return not _kind(QuestionKind.NUMERIC, QuestionKind.MULTIPLE_CHOICE)(given)


_CHOICE = click.Choice
_FIELDS: tuple[_Field, ...] = (
    _Field("title", "Title, so that Yes means it happens, with the deadline as YYYY-MM-DD", _always),
    _Field("kind", "Kind", _always, _CHOICE([kind.value for kind in QuestionKind])),
    _Field("area", "Areas, separated by commas", _always, many=True),
    _Field("view", "Whose eyes", _always, _CHOICE([view.value for view in View])),
    _Field("speedup_kind", "What is multiplied", _always, _CHOICE([kind.value for kind in SpeedupKind])),
    _Field("open", "Opens (date or time with offset)", _always, Moment()),
    _Field("close", "Closes: the last moment an event counts", _always, Moment()),
    _Field("level", "Level to be reached", _leveled, click.FLOAT, _unranged),
    _Field("comparator", "Comparator", _never, _CHOICE([">=", ">", "<=", "<"]), _leveled),
    _Field(
        "lower",
        "Lower bound of the answer",
        _kind(QuestionKind.NUMERIC),
        click.FLOAT,
        _kind(QuestionKind.NUMERIC),
    ),
    _Field(
        "upper",
        "Upper bound of the answer",
        _kind(QuestionKind.NUMERIC),
        click.FLOAT,
        _kind(QuestionKind.NUMERIC),
    ),
    _Field(
        "option",
        "Options, separated by commas",
        _kind(QuestionKind.MULTIPLE_CHOICE),
        asked=_kind(QuestionKind.MULTIPLE_CHOICE),
        many=True,
    ),
    _Field(
        "parent",
        "Id of the question that must come out yes",
        _kind(QuestionKind.CONDITIONAL),
        asked=_kind(QuestionKind.CONDITIONAL),
    ),
    _Field(
        "parent_deadline",
        "By when it must have",
        _kind(QuestionKind.CONDITIONAL),
        Moment(),
        _kind(QuestionKind.CONDITIONAL),
    ),
    _Field("unit", "Unit (%, x, minutes, …)", _never),
    _Field("statistic", "Statistic (point estimate, median, lower end of the 95% interval, …)", _never),
    _Field("formula", "Formula: what is computed from which entries", _never),
    _Field("procedure", "Criteria: when exactly has it happened", _never),
    _Field("eligibility", "Which entries count (systems, attempts, scaffold, human help, cost)", _never),
    _Field("url", "Page that decides (https://…)", _never),
    _Field("selector", "Where on the page", _never),
    _Field("fallback_url", "A second page on another host", _never),
    _Field("series", "Stored series a script can resolve by", _never),
    _Field("current", "The figure now", _never, click.FLOAT),
    _Field("resolve", "Resolves by (30 days after the close)", _never, Moment()),
)


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for field in reversed(_FIELDS):
        name = f"--{field.name.replace('_', '-')}"
        help_text = f"{field.ask.removesuffix(', separated by commas')}."
        function = click.option(name, field.name, type=field.type, multiple=field.many, help=help_text)(
            function
        )
    return function


@click.command(
    "new",
    epilog='Example:  speedup questions new --title "Does METR publish a horizon of 100 hours by 2027-12-31?" '
    "--kind binary --area agent_scaffolding --view model --speedup-kind capability_indicator "
    "--open 2027-01-04 --close 2027-12-31T23:59:59Z --level 100 --unit hours --dry-run",
)
@_options
@click.option("--id", "name", help="Id of the question (default: made of its title).")
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to add it to (default: ID.toml in the first folder of SPEEDUP_QUESTIONS_PATH).",
)
@click.option("--dry-run", is_flag=True, help="Show the question, write nothing.")
@with_session()
def command(session: Session, name: str | None, target: Path | None, dry_run: bool, **given: Any) -> int:
    """Write a new question, asking for what the linter will want.

    On a terminal everything that no option says is asked for; an empty answer leaves it open. What is still to
    be decided stands in the file as TODO, and the linter names it until it is decided.
    """
    if not session.as_json and sys.stdin.isatty():
        given = _asked(given)
    answers = _answers(given, name, session.now())
    catalogue = session.catalogue
    _check_names(answers, catalogue)
    text = toml_of(answers)
    report = _linted(text, catalogue)
    path = None if dry_run and target is None else _target(session, target, answers.id)
    if path is not None and not dry_run:
        add_text(path, text, header=_HEADER)
    document = {
        "id": answers.id,
        "file": path,
        "written": not dry_run,
        "text": text,
        "findings": [finding.as_json() for finding in report.findings],
    }
    session.print(document, lambda: _show(text, path, report, dry_run=dry_run))
    return 0


def _asked(given: Given) -> Given:
    """The same answers with the missing ones asked for, one after the other."""
    answers = dict(given)
    for field in _FIELDS:
        if answers[field.name] not in (None, ()) or not field.asked(answers):
            continue
        needed = field.needed(answers)
        default = None if needed else ""
        show_choices = isinstance(field.type, click.Choice)
        kind = field.type if needed or show_choices else _Optional(field.type)
        if show_choices and not needed:
            default = field.type.choices[0]  # type: ignore[attr-defined]
        value = click.prompt(field.ask, type=kind, default=default, show_default=bool(default), err=True)
        answers[field.name] = tuple(filter(None, map(str.strip, value.split(",")))) if field.many else value
    return answers


class _Optional(click.ParamType[Any]):
    """Another type, or nothing."""

    name = "answer"

    def __init__(self, of: click.ParamType[Any]) -> None:
        self._of = of

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return None if value == "" else self._of.convert(value, param, ctx)


def _answers(given: Given, name: str | None, now: datetime) -> Answers:
    """What was said, complete enough to be written. UsageError names every option that is missing."""
    early = [field.name for field in _FIELDS if field.needed is _always and given[field.name] in (None, ())]
    missing = early or [
        field.name for field in _FIELDS if field.needed(given) and given[field.name] in (None, ())
    ]
    if missing:
        words = ", ".join(f"--{field.replace('_', '-')}" for field in missing)
        raise UsageError(f"a question needs {words} (on a terminal, without --json, they are asked for)")
    said = {key: value for key, value in given.items() if value is not None and key not in ("area", "option")}
    if said.get("current") is not None:
        said["current_on"] = now.replace(microsecond=0)
    return Answers(
        **{
            **said,
            "id": name or _slug(given["title"]),
            "kind": QuestionKind(given["kind"]),
            "areas": tuple(given["area"]),
            "options": tuple(given["option"]),
            "speedup_kind": SpeedupKind(given["speedup_kind"]),
        }
    )


def _slug(title: str) -> str:
    words = _SLUG.sub("-", title.casefold()).strip("-").split("-")
    return "-".join(words)[:60].rstrip("-")


def _check_names(answers: Answers, catalogue: Catalogue) -> None:
    if answers.id in catalogue.questions:
        raise UsageError(f"--id {answers.id}: there is such a question already")
    for option, words, known in (
        ("--area", answers.areas, catalogue.area_keys),
        ("--parent", (answers.parent,) if answers.parent else (), tuple(catalogue.questions)),
    ):
        for word in words:
            if word not in known:
                close = get_close_matches(word, known, n=3) or list(known)[:10]
                raise UsageError(f"{option} {word}: there is none; there are: {', '.join(close)}")
    if answers.kind is QuestionKind.ORDERING and len(answers.areas) < 2:
        raise UsageError("an ordering needs two areas: --area A --area B")


def _linted(text: str, catalogue: Catalogue) -> Report:
    """What the linter says of the text. UsageError when the answers contradict each other."""
    file = CatalogueFile("new question", text, tomllib.loads(text))
    problems: list[Problem] = []
    question = read_record(Question, file.data["question"][0], file, ("question", 0), problems)
    if question is None:
        raise UsageError(
            "\n".join(
                ["this cannot become a question:", *(f"  {one.key}: {one.message}" for one in problems)]
            )
        )
    areas: Mapping[str, Any] = {area.key: area for area in catalogue.areas}
    return lint(
        [question],
        lambda _name, path: (file.name, file.line(("question", 0, *path))),
        Context(areas=areas, fixtures=fixture_findings),
    )


def _target(session: Session, named: Path | None, name: str) -> Path:
    if named is None:
        folder = next((path for path in session.settings.questions_path if path.is_dir()), None)
        if folder is None:
            raise UsageError(
                "there is no place for it: name a folder of your own in SPEEDUP_QUESTIONS_PATH, or a file with --to"
            )
        return folder / f"{name}.toml"
    if named.suffix != ".toml" or not named.parent.is_dir():
        raise UsageError(f"--to {named}: it must end in .toml, in a folder that exists")
    return named


def _show(text: str, path: Path | None, report: Report, *, dry_run: bool) -> None:
    where = f" to {path}" if path is not None else ""
    click.echo(f"would be added{where}:" if dry_run else f"added{where}:", err=True)
    click.echo(text)
    if report.findings:
        show_findings(f"still to be decided (search for {TODO})", report.findings, places=False)
