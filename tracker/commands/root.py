"""The command group: loads a command's module only when that command is called."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from questions.errors import TrackerError
from tracker import __version__

COMMANDS = {
    "demo": ("demo", "The whole main job in a minute, without keys or internet."),
    "run": ("run", "The daemon: run what is due, and stay (or --once and exit)."),
    "pull": ("pull", "Poll sources now and store what they say."),
    "import": ("imports", "Enter values that a person may see but a program may not."),
    "reparse": ("pull:reparse", "Read stored payloads again with today's parsers."),
    "source": ("source", "Ask one adapter for one question; nothing is stored."),
    "status": ("status", "Per source and job: last success, next due, data age, what is wrong."),
    "questions": ("questions", "The catalogue: list, show, lint, new, resolve, judge, publish, check-links."),
    "series": ("series", "Measurements and their revisions: list, show, diff."),
    "trend": ("trend", "Fit trends in time horizons and say when they cross thresholds."),
    "order": ("order", "Which area first? The voices' orderings and how they compare."),
    "forecast": ("forecast", "Forecasts by people and panels: add, import, list."),
    "digest": ("digest", "The week in one mail: look at it, send it, export the archive."),
    "alerts": ("alerts", "What would alert, what did and on what grounds; a test message."),
    "export": ("export", "Everything stored, as CSV tables with a guide to their columns."),
    "calibration": ("calibration", "Scores and calibration of forecasters."),
    "recipients": ("recipients", "Who gets mail: add, confirm, set, remove, list, show."),
    "outbox": ("outbox", "What is to be sent and what became of it: list, send, hold, resume."),
    "db": ("db", "The database: upgrade, check, backup, restore."),
    "doctor": ("doctor", "Check settings, keys, reachability, clock, disk and mail."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps, and imports them on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(f"tracker.commands.{module}"), attribute or "command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"{error.message}{hint}", ctx) from None


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example:  speedup demo\n\nthen:  "
    "speedup order --db sqlite:///speedup-demo/demo.sqlite --as-of 2026-08-17T12:00Z"
    '\n\nShell completion:  eval "$(_SPEEDUP_COMPLETE=bash_source speedup)"  (or zsh_source, fish_source)',
)
@click.version_option(__version__, prog_name="speedup", message="%(prog)s %(version)s")
def cli() -> None:
    """Which areas of AI research does AI speed up first?

    Defines questions that resolve, pulls community forecasts and trend data, keeps what was known when,
    compares the orderings they imply and scores everyone.
    """


def run(arguments: Sequence[str]) -> int:
    """Run a command line; a user's mistake or a source's fault is a message, never a traceback."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        outcome = cli.main(args=list(arguments), prog_name="speedup", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return _failed(arguments, error.format_message(), 2)
    except click.Abort:
        click.echo("stopped", err=True)
        return 130
    except TrackerError as error:
        click.echo(f"speedup: {error}", err=True)
        return _failed(arguments, str(error), error.exit_code)
    except BrokenPipeError:
        # The reader went away (`speedup ... | head`): leave quietly, as other filters do.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        message = f"{error.filename or 'input or output'}: {error.strerror or error}"
        click.echo(f"speedup: {message}", err=True)
        return _failed(arguments, message, 3)
    return outcome if isinstance(outcome, int) else 0


def _failed(arguments: Sequence[str], message: str, code: int) -> int:
    """Whoever asked for JSON gets a document on stdout for a failure too; people read stderr."""
    if "--json" in arguments:
        click.echo(json.dumps({"error": message, "exit_code": code}, ensure_ascii=False, indent=2))
    return code
