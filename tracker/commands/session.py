"""What every command shares: settings, the store, the catalogue, the clock, and how things are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import Enum
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from questions.time import iso, parse_utc
from tracker.errors import UsageError

if TYPE_CHECKING:
    from threading import Event

    from questions.catalogue import Catalogue
    from storage.store import Store
    from tracker.config import Settings
    from tracker.http import HttpClient

F = TypeVar("F", bound=Callable[..., Any])


class Moment(click.ParamType[datetime]):
    """An ISO 8601 instant with an offset, or a date (midnight UTC)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = parse_utc(str(value))
        except ValueError as error:
            self.fail(
                f"{value!r} is not a date or a time with an offset, such as 2026-03-01T12:00Z ({error})",
                param,
                ctx,
            )
        if not 1971 <= moment.year <= 9000:
            self.fail(f"{value!r}: the year must lie in 1971..9000", param, ctx)
        return moment


class Day(click.ParamType[date]):
    """A calendar day, YYYY-MM-DD."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a date; write YYYY-MM-DD", param, ctx)


@dataclass(frozen=True)
class Session:
    """One call of the program. Everything is opened on first use."""

    db: str | None
    config: Path | None
    as_json: bool
    as_of: datetime | None = None

    @cached_property
    def settings(self) -> Settings:
        from tracker.config import load_settings

        return load_settings(config=self.config, overrides={"database_url": self.db})

    @cached_property
    def catalogue(self) -> Catalogue:
        from questions.catalogue import load_catalogue

        return load_catalogue(self.settings.questions_path)

    def store(self, *, create: bool = True) -> Store:
        """The store in force. ``create=False``: an absent database is an error (exit 3)."""
        from storage import open_store

        return open_store(self.settings.database(), create=create)

    def store_if_any(self) -> Store | None:
        """The store, or None when there is no database yet (nothing is created)."""
        from storage.engine import locate

        path = locate(self.settings.database()).path
        if path is not None and not path.exists():
            return None
        return self.store(create=False)

    def client(
        self,
        attempts: int = 3,
        *,
        stop: Event | None = None,
        quick: bool = False,
        budget: Callable[[str], float] | None = None,
    ) -> HttpClient:
        """The client that asks. Once ``stop`` is set its waits end at once, by Stopped; ``quick``: for calls
        that nothing depends on; ``budget``: see ``HttpClient``."""
        from tracker import __version__
        from tracker.config import pace_file
        from tracker.http import HostLimits, HttpClient, HttpSettings, machine_limits, sleep_until

        contact = self.settings.contact or "no contact set"
        agent = f"speedup-tracker/{__version__} ({contact})"
        settings = HttpSettings(attempts=attempts)
        if quick:
            settings = replace(settings, total_deadline_s=15.0, backoff_max_s=2.0)
        if stop is None:
            return HttpClient(user_agent=agent, settings=settings, limits=machine_limits(pace_file()))
        sleep = sleep_until(stop)
        pace = HostLimits(shared=pace_file(), sleep=sleep)
        return HttpClient(user_agent=agent, settings=settings, limits=pace, sleep=sleep, budget=budget)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def print(self, document: dict[str, Any], text: Callable[[], None]) -> None:
        """One JSON document on stdout with ``--json``, else what ``text`` prints."""
        if self.as_json:
            sys.stdout.write(to_json(document) + "\n")
        else:
            text()


def to_json(document: dict[str, Any]) -> str:
    """JSON with UTC times ending in Z; NaN and infinity are refused (they must be null with a reason)."""
    return json.dumps(document, default=_plain, allow_nan=False, ensure_ascii=False, indent=2)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def with_session(*, as_of: bool = False) -> Callable[[F], F]:
    """Give a command ``--json``, ``--db``, ``--config`` (and ``--as-of``) and hand it a Session."""

    def decorate(function: F) -> F:
        def wrapped(*args: Any, db: str | None, config: Path | None, as_json: bool, **kwargs: Any) -> Any:
            session = Session(db, config, as_json, kwargs.pop("as_of", None))
            return function(session, *args, **kwargs)

        command: Any = update_wrapper(wrapped, function)
        options = [
            click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
            click.option(
                "--db",
                metavar="URL",
                help="sqlite:///path or postgresql://… (default: SPEEDUP_DATABASE_URL).",
            ),
            click.option(
                "--config",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                help="A TOML settings file.",
            ),
        ]
        if as_of:
            options.append(click.option("--as-of", type=Moment(), help="Answer as known at this time."))
        for option in reversed(options):
            command = option(command)
        return command  # type: ignore[no-any-return]

    return decorate


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()
) -> None:
    """Print a table for people; remote text is shown as it is, without markup or control characters."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for index, column in enumerate(columns):
        grid.add_column(column, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    console = Console(highlight=False)
    if not console.is_terminal and console.width < 160:
        console = Console(highlight=False, width=160)
    console.print(grid)


def _cell(value: object) -> Any:
    from rich.text import Text

    if value is None:
        return Text("-")
    if isinstance(value, datetime):
        return Text(iso(value.replace(microsecond=0)))
    if isinstance(value, float):
        return Text(f"{value:.4g}")
    return Text(printable(str(value)))


def printable(text: str) -> str:
    """Remote text made safe for a terminal: control, bidi and zero-width characters become spaces."""
    return "".join(character if character.isprintable() else " " for character in text)


def parse_pairs(texts: Sequence[str], what: str) -> dict[str, str]:
    """``NAME=VALUE`` words as a mapping; UsageError names the word that is not of that form."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name or not value:
            raise UsageError(f"{what} {text!r}: write NAME=VALUE")
        pairs[name] = value
    return pairs
