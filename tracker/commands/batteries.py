"""``speedup questions proxies``: what decides about each area, who reads it, and what it read last."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from tracker.commands.session import Session, table, with_session
from tracker.errors import UsageError

if TYPE_CHECKING:
    from questions.catalogue import Catalogue
    from tracker.batteries import Evaluated, Quarter


@click.command("proxies", epilog="Example:  speedup questions proxies --area pretraining_algorithms")
@click.option("--area", help="Only the battery of this area.")
@with_session(as_of=True)
def command(session: Session, area: str | None) -> int:
    """The proxies of each area: what kind of evidence, who reads them, the series behind them, the last ratio.

    Ratios are computed now from what is stored; nothing is stored.
    """
    from storage import open_store
    from tracker.batteries import evaluate

    catalogue = session.catalogue
    if area is not None and area not in catalogue.area_keys:
        raise UsageError(f"--area {area}: there is no such area; there are: {', '.join(catalogue.area_keys)}")
    store = session.store_if_any() or open_store("memory://")
    try:
        known_at = session.as_of or session.now()
        read = evaluate(store, catalogue.questions.values(), known_at, keep=False)
    finally:
        store.close()
    rows = _rows(catalogue, area, {one.series: one for one in read})
    session.print({"proxies": rows}, lambda: _show(rows))
    return 0


def _rows(catalogue: Catalogue, area: str | None, read: dict[str, Evaluated]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for question in catalogue.questions.values():
        for arm in question.battery.arms if question.battery is not None else ():
            for proxy in arm.proxies:
                series = arm.series(proxy)
                if area in (None, arm.area) and series not in rows:
                    rows[series] = {
                        "series": series,
                        "name": proxy.name,
                        "evidence": proxy.evidence.value,
                        "read_by": proxy.read_by.value,
                        "behind": list(proxy.behind),
                        "no_series": proxy.no_series,
                        **_last(read.get(series)),
                    }
    return [rows[series] for series in sorted(rows)]


def _last(read: Evaluated | None) -> dict[str, Any]:
    """The newest quarter that has a ratio; the newest without one tells why."""
    quarters: tuple[Quarter, ...] = read.quarters if read is not None else ()
    told = [one for one in quarters if one.point is not None]
    point = told[-1].point if told else None
    end: date | None = told[-1].end if told else None
    return {
        "quarter": end,
        "ratio": None if point is None else point.value,
        "lower": None if point is None else point.lower,
        "upper": None if point is None else point.upper,
        "why": quarters[-1].reason if quarters and quarters[-1].point is None else "",
    }


def _interval(lower: float | None, upper: float | None) -> str | None:
    """An interval in words; judges give its lower end alone."""
    if lower is None:
        return None
    return f"{lower:.2f} or more" if upper is None else f"{lower:.2f} to {upper:.2f}"


def _show(rows: list[dict[str, Any]]) -> None:
    table(
        f"{len(rows)} proxies",
        ["proxy", "what", "evidence", "read by", "series behind it", "quarter", "ratio", "80% interval"],
        [
            (
                row["series"],
                row["name"],
                row["evidence"],
                row["read_by"],
                ", ".join(row["behind"]) or f"none: {row['no_series']}",
                row["quarter"] or row["why"] or None,
                None if row["ratio"] is None else f"{row['ratio']:.2f}",
                _interval(row["lower"], row["upper"]),
            )
            for row in rows
        ],
        right=(6,),
    )
