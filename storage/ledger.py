"""Operations in SQL: runs, gaps, health, validators, drift; and forecasts and scores on our own questions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, select

from questions.records import Forecast, ForecasterKind, Score
from storage.bulk import insert_many, key_table, key_values, payload_ids, upsert, url_digest
from storage.decide import in_sight, joined, may_claim, refuse_second_forecast, refuse_upside_down
from storage.records import Drift, DriftKind, Gap, Run, RunState, SourceHealth, Validator
from storage.tables import table

RUN, GAP, HEALTH, VALIDATOR = table("run"), table("gap"), table("source_health"), table("http_validator")
FORECAST, SCORE, PAYLOAD, DRIFT = table("forecast"), table("score"), table("payload"), table("drift")

_FORECAST_KEY = ("question", "outcome", "forecaster", "made_at")
_FORECAST_REST = ("kind", "probability", "version", "comment")
_SCORE_KEY = ("question", "outcome", "forecaster", "made_at", "rule", "score_version")
_SCORE_REST = ("value", "computed_at")


def _run(row: Any) -> Run:
    job, slot, state, started_at, finished_at, message = row
    return Run(job, slot, RunState(state), started_at, finished_at, message)


def claim(connection: Connection, claimed: Run) -> bool:
    same = and_(RUN.c.job == claimed.job, RUN.c.slot == claimed.slot)
    row = connection.execute(select(RUN).where(same)).one_or_none()
    if not may_claim(None if row is None else _run(row), claimed.started_at):
        return False
    put_run(connection, claimed)
    return True


def put_run(connection: Connection, run: Run) -> None:
    values = {
        "state": run.state.value,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "message": run.message,
    }
    upsert(connection, "run", {"job": run.job, "slot": run.slot}, values)


def runs(connection: Connection, job: str | None, since: datetime | None) -> list[Run]:
    query = select(RUN)
    if job is not None:
        query = query.where(RUN.c.job == job)
    if since is not None:
        query = query.where(RUN.c.slot >= since)
    return sorted(map(_run, connection.execute(query)), key=lambda run: (run.slot, run.job))


def put_gap(connection: Connection, gap: Gap) -> None:
    refuse_upside_down(gap)
    same = and_(GAP.c.source == gap.source, GAP.c.start == gap.start)
    known = connection.execute(select(GAP.c.end).where(same)).scalar()
    if known is None or gap.end > known:
        key = {"source": gap.source, "start": gap.start}
        upsert(connection, "gap", key, {"end": gap.end, "reason": gap.reason})


def gaps(connection: Connection, source: str | None) -> list[Gap]:
    query = select(GAP)
    if source is not None:
        query = query.where(GAP.c.source == source)
    found = [Gap(*row) for row in connection.execute(query)]
    return sorted(found, key=lambda gap: (gap.source, gap.start))


def put_health(connection: Connection, health: SourceHealth) -> None:
    values = {column.name: getattr(health, column.name) for column in HEALTH.c if column.name != "source"}
    upsert(connection, "source_health", {"source": health.source}, values)


def health(connection: Connection) -> dict[str, SourceHealth]:
    found = [SourceHealth(*row) for row in connection.execute(select(HEALTH))]
    return {one.source: one for one in sorted(found, key=lambda one: one.source)}


def put_validator(connection: Connection, validator: Validator) -> None:
    number = payload_ids(connection, [validator.payload_sha256])[validator.payload_sha256]
    values = {"etag": validator.etag, "last_modified": validator.last_modified, "payload_id": number}
    key = {"url_sha256": url_digest(validator.url)}
    upsert(connection, "http_validator", key, values | {"url": validator.url})


_VALIDATOR = (
    select(VALIDATOR.c.url, VALIDATOR.c.etag, VALIDATOR.c.last_modified, PAYLOAD.c.sha256)
    .join(PAYLOAD, PAYLOAD.c.id == VALIDATOR.c.payload_id)
    .where(VALIDATOR.c.url_sha256 == bindparam("wanted"))
)


def validator(connection: Connection, url: str) -> Validator | None:
    row = connection.execute(_VALIDATOR, {"wanted": url_digest(url)}).one_or_none()
    return None if row is None else Validator(*row)


# drift --------------------------------------------------------------------------------------------


def put_drift(connection: Connection, drift: Drift) -> bool:
    """Keep one drift; True when it was not known."""
    same = [DRIFT.c[name] == getattr(drift, name) for name in ("source", "place", "kind", "detail")]
    known = next(iter(_drifts(connection, *same)), None)
    whole = joined(known, drift)
    if whole != known:
        key = {"source": drift.source, "place": drift.place, "kind": drift.kind.value, "detail": drift.detail}
        number = payload_ids(connection, [whole.payload_sha256])[whole.payload_sha256]
        values = {"payload_id": number, "seen_first": whole.seen_first, "seen_last": whole.seen_last}
        upsert(connection, "drift", key, values)
    return known is None


def drifts(connection: Connection, source: str | None, known_at: datetime | None) -> list[Drift]:
    found = _drifts(connection, *([DRIFT.c.source == source] if source is not None else []))
    return in_sight(found, known_at)


def _drifts(connection: Connection, *where: Any) -> list[Drift]:
    query = (
        select(
            DRIFT.c.source,
            DRIFT.c.place,
            DRIFT.c.kind,
            DRIFT.c.detail,
            PAYLOAD.c.sha256,
            DRIFT.c.seen_first,
            DRIFT.c.seen_last,
        )
        .join(PAYLOAD, PAYLOAD.c.id == DRIFT.c.payload_id)
        .where(*where)
    )
    return [Drift(row[0], row[1], DriftKind(row[2]), *row[3:]) for row in connection.execute(query)]


# forecasts and scores -----------------------------------------------------------------------------


def _forecast(row: Sequence[Any]) -> Forecast:
    question, outcome, forecaster, made_at, kind, probability, version, comment = row
    return Forecast(
        question, outcome, forecaster, ForecasterKind(kind), made_at, probability, version, comment
    )


def add_forecasts(connection: Connection, forecasts: Sequence[Forecast]) -> int:
    keys = [tuple(getattr(forecast, name) for name in _FORECAST_KEY) for forecast in forecasts]
    known = {
        row[:4]: _forecast(row)
        for row in _matching(connection, FORECAST, (*_FORECAST_KEY, *_FORECAST_REST), keys, 4)
    }
    fresh: list[dict[str, Any]] = []
    for key, forecast in zip(keys, forecasts, strict=True):
        standing = known.get(key)
        refuse_second_forecast(standing, forecast)
        if standing is None:
            known[key] = forecast
            row = {name: getattr(forecast, name) for name in (*_FORECAST_KEY, *_FORECAST_REST)}
            fresh.append(row | {"kind": forecast.kind.value, "probability": float(forecast.probability)})
    insert_many(connection, "forecast", fresh)
    return len(fresh)


def _matching(
    connection: Connection, rows: Table, names: Sequence[str], keys: Sequence[tuple[Any, ...]], length: int
) -> list[tuple[Any, ...]]:
    """The rows whose first ``length`` named columns are among the given keys."""
    if not keys:
        return []
    kinds = tuple(datetime if name == "made_at" else str for name in names[:length])
    wanted = key_table(connection.dialect.name, kinds)
    same = and_(*(rows.c[name] == wanted.c[f"k{i}"] for i, name in enumerate(names[:length])))
    query = select(*(rows.c[name] for name in names)).select_from(wanted.join(rows, same))
    bound = key_values(connection.dialect.name, kinds, keys)
    return [tuple(row) for row in connection.execute(query, bound)]


def forecasts(connection: Connection, known_at: datetime | None) -> list[Forecast]:
    query = select(*(FORECAST.c[name] for name in (*_FORECAST_KEY, *_FORECAST_REST)))
    if known_at is not None:
        query = query.where(FORECAST.c.made_at <= known_at)
    found = map(_forecast, connection.execute(query))
    return sorted(found, key=lambda f: (f.made_at, f.question, f.outcome, f.forecaster))


def add_scores(connection: Connection, scores: Sequence[Score]) -> int:
    keys = [tuple(getattr(score, name) for name in _SCORE_KEY) for score in scores]
    known = set(_matching(connection, SCORE, _SCORE_KEY, keys, 6))
    fresh: list[dict[str, Any]] = []
    for key, score in zip(keys, scores, strict=True):
        if key not in known:
            known.add(key)
            row = {name: getattr(score, name) for name in (*_SCORE_KEY, *_SCORE_REST)}
            fresh.append(row | {"value": float(score.value)})
    insert_many(connection, "score", fresh)
    return len(fresh)


def scores(connection: Connection) -> list[Score]:
    query = select(*(SCORE.c[name] for name in (*_SCORE_KEY, *_SCORE_REST)))
    found = [Score(*row) for row in connection.execute(query)]
    return sorted(
        found, key=lambda s: (s.question, s.outcome, s.forecaster, s.made_at, s.rule, s.score_version)
    )
