"""``speedup run``."""

from __future__ import annotations

import click

from tracker import jobs
from tracker.commands.pull import exit_code, show
from tracker.commands.session import Session, with_session
from tracker.errors import UsageError


@click.command("run", epilog="Example (cron, hourly):  speedup run --once")
@click.option("--once", is_flag=True, help="Run what is due now and exit.")
@click.option("--only", metavar="JOB", help="Only this job, such as poll:manifold.")
@with_session()
def command(session: Session, once: bool, only: str | None) -> int:
    """Run the jobs that are due by the ledger in the database, each at most once per slot.

    Missed slots are recorded as gaps. Start it from cron or a systemd timer as often as you like.
    """
    if not once:
        raise UsageError(
            "write `speedup run --once` and let cron or a timer repeat it; there is no daemon yet"
        )
    names = [] if only is None else [only.removeprefix(jobs.PREFIX)]
    sources = jobs.choose(names, jobs.COLLECTED)
    started = session.now()
    store = session.store()
    try:
        with session.client() as client:
            reports = jobs.run_due(
                sources,
                session.catalogue,
                store=store,
                client=client,
                settings=session.settings,
                now=session.now,
            )
    finally:
        store.close()
    document = {
        "started_at": started,
        "finished_at": session.now(),
        "requests": sum(report.requests for report in reports),
        "sources": [report.as_json() for report in reports],
    }
    session.print(document, lambda: show(reports))
    return exit_code(reports, asked=only is not None)
