"""``speedup demo``: the whole main job in a minute, without keys or internet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from tracker.commands.session import Session, with_session
from tracker.errors import UsageError

if TYPE_CHECKING:
    from tracker.demo.play import Progress

OURS = ("demo.sqlite", "demo.sqlite-wal", "demo.sqlite-shm")


@click.command("demo", epilog="Example:  speedup demo --dir speedup-demo")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("speedup-demo"),
    show_default=True,
    help="Where the database, the charts and the page go.",
)
@with_session()
def command(session: Session, folder: Path) -> int:
    """Play a bundled recording of 2026-01-26 to 2026-08-17 through the real program.

    A loopback HTTP server answers as METR, Manifold, Metaculus and ForecastBench did; the real adapters
    pull it day by day into SQLite. Ends with the orderings, what METR revised, the crowd's calibration,
    charts and one page, all in DIR.
    """
    from questions.catalogue import load_catalogue
    from tracker.demo.show import run_demo

    started = monotonic()
    _prepare(folder)
    with _bar(quiet=session.as_json) as progress:
        result = run_demo(folder, load_catalogue(), progress=progress, limits=session.settings.links)
    seconds = monotonic() - started
    document = {**result.as_json(), "seconds": round(seconds, 1)}

    def show() -> None:
        click.echo(result.text())
        click.echo(f"done in {seconds:.0f} s")

    session.print(document, show)
    return 0


def _prepare(folder: Path) -> None:
    """An empty or earlier demo folder is used again; anything else in the way is not touched."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / OURS[0]).exists():
        raise UsageError(f"--dir {folder}: is not empty and holds no earlier demo; name another folder")
    for name in OURS:
        (folder / name).unlink(missing_ok=True)


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress as Bar, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, quiet=quiet)
    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
    ]
    with Bar(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("pulling", total=None)

        def advance(day: date, number: int, total: int) -> None:
            bar.update(task, completed=number, total=total, description=f"pulling {day.isoformat()}")

        yield advance
