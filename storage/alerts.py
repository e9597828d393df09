"""Alerts, armings and decisions in SQL: rows are added, never changed. See ``storage.alerting`` for what they mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, and_, func, select

from questions.receipts import exhibits_from
from storage.alerting import Alert, Arming, Decision, fresh, in_time
from storage.bulk import insert_many, key_table, key_values
from storage.tables import table

ALERT, ARMING, DECISION = table("alert"), table("alert_arming"), table("alert_decision")
Record = TypeVar("Record", Alert, Arming, Decision)


def _alert_row(alert: Alert) -> dict[str, Any]:
    row = {name: getattr(alert, name) for name in Alert.__dataclass_fields__}
    evidence = json.dumps([asdict(one) for one in alert.evidence])
    return row | {"areas": json.dumps(alert.areas), "rule": json.dumps(alert.rule), "evidence": evidence}


def _alert(row: Mapping[str, Any]) -> Alert:
    values = {name: json.loads(row[name]) for name in ("areas", "rule")}
    return Alert(**{**row, **values, "evidence": exhibits_from(json.loads(row["evidence"]))})


def _arming_row(arming: Arming) -> dict[str, Any]:
    return {"signal": arming.signal, "at": arming.at, "state": json.dumps(arming.state)}


def _arming(row: Mapping[str, Any]) -> Arming:
    return Arming(row["signal"], row["at"], json.loads(row["state"]))


def _decision_row(decision: Decision) -> dict[str, Any]:
    row = {name: getattr(decision, name) for name in Decision.__dataclass_fields__}
    return row | {"fate": decision.fate.value}


def _decision(row: Mapping[str, Any]) -> Decision:
    return Decision(**row)


def keep(connection: Connection, alerts: Iterable[Alert], armings: Iterable[Arming]) -> int:
    """Add what one evaluation found; returns how many alerts were new."""
    count = _add(connection, ALERT, "at", alerts, _alert_row, _alert, "alert")
    _add(connection, ARMING, "at", armings, _arming_row, _arming, "arming")
    return count


def decide(connection: Connection, decisions: Iterable[Decision]) -> int:
    """Add what became of alerts; returns how many were new."""
    return _add(connection, DECISION, "alerted_at", decisions, _decision_row, _decision, "decision")


def _add(
    connection: Connection,
    rows: Table,
    time: str,
    records: Iterable[Record],
    write: Callable[[Record], dict[str, Any]],
    read: Callable[[Mapping[str, Any]], Record],
    what: str,
) -> int:
    def key(record: Record) -> tuple[str, datetime]:
        at: datetime = getattr(record, time)
        return (record.signal, at)

    new = {key(record): record for record in records}
    if not new:
        return 0
    dialect = connection.dialect.name
    kinds = (str, datetime)
    wanted = key_table(dialect, kinds)
    same = and_(rows.c.signal == wanted.c.k0, rows.c[time] == wanted.c.k1)
    query = select(rows).select_from(wanted).where(same)
    found = connection.execute(query, key_values(dialect, kinds, list(new)))
    known = {key(one): one for one in (read(dict(row._mapping)) for row in found)}
    count = fresh(new, known, what)
    insert_many(connection, rows.name, [write(record) for at, record in new.items() if at not in known])
    return count


def alerts(connection: Connection, signal: str | None, known_at: datetime | None) -> list[Alert]:
    query = select(ALERT)
    if signal is not None:
        query = query.where(ALERT.c.signal == signal)
    if known_at is not None:
        query = query.where(ALERT.c.at <= known_at)
    return sorted((_alert(dict(row._mapping)) for row in connection.execute(query)), key=in_time)


def armings(connection: Connection, known_at: datetime | None) -> dict[str, Arming]:
    """The newest of each signal."""
    last = select(ARMING.c.signal, func.max(ARMING.c.at).label("at")).group_by(ARMING.c.signal)
    if known_at is not None:
        last = last.where(ARMING.c.at <= known_at)
    newest = last.subquery()
    query = select(ARMING).join(newest, and_(ARMING.c.signal == newest.c.signal, ARMING.c.at == newest.c.at))
    found = (_arming(dict(row._mapping)) for row in connection.execute(query))
    return {one.signal: one for one in sorted(found, key=lambda one: one.signal)}


def decisions(connection: Connection, known_at: datetime | None) -> list[Decision]:
    query = select(DECISION)
    if known_at is not None:
        query = query.where(DECISION.c.at <= known_at)
    return sorted((_decision(dict(row._mapping)) for row in connection.execute(query)), key=in_time)
