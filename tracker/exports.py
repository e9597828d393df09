"""Everything that is stored, as typed tables in plain files, with a README that explains each column."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from questions.catalogue import Catalogue
from questions.time import iso
from storage.records import Grain, OrderingRecord
from storage.store import Store
from tracker.columns import File, Format, Rows, Sheet, columns as _columns, guide, write
from tracker.own import counted
from tracker.scorecard import stored_forecasts
from tracker.scoring.table import Moments, Status
from tracker.week import read_week


@dataclass(frozen=True)
class View:
    """What is exported: a store and the catalogue beside it, as known at ``known_at`` (None: all)."""

    store: Store
    catalogue: Catalogue
    now: datetime
    known_at: datetime | None


@dataclass(frozen=True)
class Table(Sheet):
    """One file of an export, and where its rows come from."""

    rows: Callable[[View], Rows]


def export(
    store: Store,
    catalogue: Catalogue,
    *,
    now: datetime,
    known_at: datetime | None = None,
    form: Format = "csv",
) -> Iterator[File]:
    """All tables one after the other, then the README; as known at ``known_at`` (default: now)."""
    view = View(store, catalogue, now, known_at)
    told: list[tuple[Sheet, int]] = []
    for table in TABLES:
        file = write(table, table.rows(view), form)
        told.append((table, file.rows))
        yield file
    about = (
        f"As known at {iso(now if known_at is None else known_at)}.",
        "Whose data this is and on what terms: `speedup doctor` and the README of the program; crowd values from",
        "ForecastBench are CC BY-SA 4.0 (Forecasting Research Institute) and stay so here.",
    )
    yield guide("Export of Speedup Tracker", about, told, form)


def _values(view: View) -> Rows:
    for key in view.store.streams():
        for seen in view.store.history(key, known_at=view.known_at):
            one = seen.snapshot
            shape = one.distribution
            yield (
                key.source, key.platform, key.external_id, key.outcome, key.quantity, one.as_of, one.state,
                one.probability, one.value, one.forecasters, one.volume, one.liquidity, one.spread,
                None if shape is None else shape.x, None if shape is None else shape.cdf,
                None if shape is None else shape.unit, one.timed_by_source, seen.seen_first, seen.seen_last,
                seen.times_seen, one.payload_sha256,
            )  # fmt: skip


def _outcomes(view: View) -> Rows:
    for word in view.store.resolutions(known_at=view.known_at):
        yield (
            word.source, word.platform, word.external_id, word.outcome, word.state, word.value, word.text,
            word.resolved_at, word.fetched_at, word.payload_sha256,
        )  # fmt: skip


def _infos(view: View) -> Rows:
    for info in view.store.infos(known_at=view.known_at):
        yield (
            info.source, info.platform, info.external_id, info.title, info.url, info.question_type, info.status,
            info.opens_at, info.closes_at, info.resolves_by, info.criteria_sha256, info.fetched_at,
        )  # fmt: skip


def _measurements(view: View) -> Rows:
    for series in view.store.series_ids():
        for point in view.store.measurements(series, known_at=view.known_at):
            yield (
                point.series, point.key, point.metric, point.at, point.value, point.lower, point.upper,
                point.unit, point.label,
            )  # fmt: skip


def _forecasts(view: View) -> Rows:
    for one, at in counted(view.store, known_at=view.known_at):
        yield (
            one.question, one.outcome, one.forecaster, one.kind, one.made_at, at, one.probability, one.version,
            one.comment,
        )  # fmt: skip


def _scores(view: View) -> Rows:
    for one in view.store.scores():
        if view.known_at is None or one.computed_at <= view.known_at:
            yield (
                one.question, one.outcome, one.forecaster, one.made_at, one.rule, one.score_version, one.value,
                one.computed_at,
            )  # fmt: skip


def _scored(view: View) -> Rows:
    table = stored_forecasts(
        view.store, view.catalogue, lead_days=None, now=view.known_at or view.now, known_at=view.known_at
    )

    assert table.option is not None
    assert table.forecaster is not None
    assert table.area is not None
    assert table.event is not None
    columns = (
        table.question, table.option, table.forecaster, table.area, table.event, _times(table.made_at),
        _times(table.closes_at), _times(table.resolved_at), table.probability.tolist(), table.outcome.tolist(),
        table.status.tolist(),
    )  # fmt: skip
    for *rest, outcome, status in zip(*columns, strict=True):
        known = None if outcome != outcome else outcome
        yield (*rest, known, Status(status).name.lower())


def _times(column: Moments | None) -> Iterator[datetime | None]:
    assert column is not None
    for moment in column.astype("datetime64[s]").tolist():
        yield None if moment is None else moment.replace(tzinfo=UTC)


def _orderings(view: View) -> Rows:
    for one in _kept_orderings(view):
        yield (
            *_which(one), one.known_at, one.program, one.model, one.payload, one.sha256,
        )  # fmt: skip


def _ordering_voices(view: View) -> Rows:
    for one in _kept_orderings(view):
        for name, voice in read_week(one).voices.items():
            for place, area in enumerate(voice.ranking, 1):
                yield (
                    *_which(one), name, area, place, voice.mean_rank.get(area), voice.scores.get(area),
                    len(voice.coverage), voice.tau_b_self,
                )  # fmt: skip


def _ordering_comparisons(view: View) -> Rows:
    for one in _kept_orderings(view):
        for pair in read_week(one).comparisons:
            low, high = pair.tau_b_ci90 or (None, None)
            yield (
                *_which(one), pair.a, pair.b, pair.areas, pair.tau_b, low, high, pair.tau_null_sd,
                pair.weighted_distance, len(pair.disagreements), pair.reason,
            )  # fmt: skip


def _kept_orderings(view: View) -> Iterator[OrderingRecord]:
    for grain in Grain:
        yield from view.store.orderings(grain, until=view.known_at, known_at=view.known_at)


def _which(one: OrderingRecord) -> tuple[object, ...]:
    return one.grain, one.at, one.settings, one.made_at


def _thinned(view: View) -> Rows:
    for one in view.store.thinnings():
        key = one.key
        yield (
            key.source, key.platform, key.external_id, key.outcome, key.quantity, one.rule, one.gone, one.since,
            one.until, one.first_at, one.last_at,
        )  # fmt: skip


def _alerts(view: View) -> Rows:
    became = {(one.signal, one.alerted_at): one for one in view.store.alert_decisions(known_at=view.known_at)}
    for one in view.store.alerts(known_at=view.known_at):
        made = became.get((one.signal, one.at))
        yield (
            one.signal, one.at, one.kind, one.direction, one.title, one.before, one.after, one.text, one.url,
            " ".join(one.areas), one.size, json.dumps(one.rule, sort_keys=True),
            made.fate if made else "waiting", made.at if made else None, made.batch if made else None,
        )  # fmt: skip


def _alert_evidence(view: View) -> Rows:
    for alert in view.store.alerts(known_at=view.known_at):
        for number, one in enumerate(alert.evidence, 1):
            yield (
                alert.signal, alert.at, number, one.kind, one.source, one.key, one.metric, one.at, one.published,
                one.value, one.lower, one.upper, one.version, one.text, one.payload_sha256,
            )  # fmt: skip


def _questions(view: View) -> Rows:
    for question in view.catalogue.questions.values():
        yield (
            question.id, question.version, question.kind, question.title, " ".join(question.areas), question.view,
            question.speedup_kind, question.dates.open, question.dates.close, question.dates.resolve,
            question.outcomes, question.default_outcome,
        )  # fmt: skip


def _links(view: View) -> Rows:
    for link in view.catalogue.links:
        yield (
            link.platform, link.external_id, link.outcome, link.url, link.label, link.relation, link.polarity,
            link.view, " ".join(link.areas), link.question, link.by, link.weight, link.ladder, link.rung, link.twin,
        )  # fmt: skip


_KEY = (
    ("source", "text", "who delivered it to us"),
    ("platform", "text", "where the crowd forecast"),
    ("external_id", "text", "the question's id there"),
    ("outcome", "text", "which option; yes for a yes/no question, value for a number or a date"),
)
_WHICH = (
    ("grain", "text", "week or day"),
    ("at", "time", "the end of the week or day it is of"),
    ("settings", "text", "what it was asked with: other settings are another history"),
    ("made_at", "time", "when it was made; of several of one instant the last counts"),
)
_QUANTITY = (
    "quantity",
    "text",
    "what kind of number: median of people, play money, real money middle or last, …",
)
_ALERT = (
    ("signal", "text", "what changed, by its stable name"),
    ("found_at", "time", "the instant as known at which the change was found"),
)
_SHA = ("payload_sha256", "text", "SHA-256 of the stored answer it was read from")

TABLES = (
    Table(
        "values",
        "What platforms' crowds said: one row per value and correction that was in force, but for what is in"
        " values_thinned.",
        _columns(
            *_KEY,
            _QUANTITY,
            ("as_of", "time", "from when it stood, by the source's clock where timed_by_source"),
            (
                "state",
                "text",
                "ok, or why there is no value: no_forecast, hidden, not_permitted, no_trade, gone",
            ),
            ("probability", "number", "0..1"),
            ("value", "number", "in real units, for numbers; dates as Unix seconds"),
            ("forecasters", "count", "people"),
            ("volume", "number", "the platform's money"),
            ("liquidity", "number", "the platform's money"),
            ("spread", "number", "ask less bid, 0..1"),
            ("cdf_x", "numbers", "places of the distribution"),
            ("cdf", "numbers", "P(at most x) at each place"),
            ("cdf_unit", "text", "date: places are Unix seconds"),
            ("timed_by_source", "true/false", "whether as_of is the source's own time"),
            ("seen_first", "time", "when we first saw it"),
            ("seen_last", "time", "when we last saw it unchanged"),
            ("times_seen", "count", "how often"),
            _SHA,
        ),
        _values,
    ),
    Table(
        "values_thinned",
        "What was let go of values within days, when asked (`speedup db prune`): streams not named here are whole.",
        _columns(
            *_KEY,
            _QUANTITY,
            ("rule", "text", "by which rule"),
            ("gone", "count", "how many values"),
            ("since", "time", "as_of of the first of them"),
            ("until", "time", "as_of of the last of them"),
            ("first_at", "time", "when the first were let go"),
            ("last_at", "time", "when the last were"),
        ),
        _thinned,
    ),
    Table(
        "outcomes",
        "The last word of each source on what became of a question.",
        _columns(
            *_KEY,
            ("state", "text", "yes, no, fraction, value, ambiguous, void, unresolved (taken back)"),
            ("value", "number", "1, 0, the fraction or the number"),
            ("text", "text", "the platform's own word"),
            ("resolved_at", "time", "by the platform's clock"),
            ("fetched_at", "time", "when we learnt it"),
            _SHA,
        ),
        _outcomes,
    ),
    Table(
        "question_facts",
        "What platforms last told of the questions themselves.",
        _columns(
            *_KEY[:3],
            ("title", "text", "the platform's wording"),
            ("url", "text", "its page"),
            ("question_type", "text", "binary, numeric, date, …"),
            ("status", "text", "upcoming, open, closed, resolved, void"),
            ("opens_at", "time", ""),
            ("closes_at", "time", "as told last; platforms move it when a question resolves"),
            ("resolves_by", "time", ""),
            ("criteria_sha256", "text", "digest of the resolution criteria"),
            ("fetched_at", "time", "when we learnt it"),
        ),
        _infos,
    ),
    Table(
        "measurements",
        "The points of the newest version known of each series.",
        _columns(
            ("series", "text", "which series"),
            ("key", "text", "which point"),
            ("metric", "text", "which number of it"),
            ("at", "date", "the date it belongs to"),
            ("value", "number", "in unit"),
            ("lower", "number", "lower end of the published interval"),
            ("upper", "number", "upper end of the published interval"),
            ("unit", "text", ""),
            ("label", "text", "as the source names it"),
        ),
        _measurements,
    ),
    Table(
        "forecasts",
        "Forecasts that people, panels and programs gave here.",
        _columns(
            ("question", "text", "our id, or platform:external_id"),
            ("outcome", "text", "<=x: that the answer is at most x, which is how a quantile is kept"),
            ("forecaster", "text", "whose it is"),
            ("kind", "text", "person, panel, model, market, trend"),
            ("made_at", "time", "when it was made, as stated"),
            ("counts_from", "time", "when it was entered, if that is later: it is scored from then"),
            ("probability", "number", "0..1"),
            (
                "version",
                "text",
                "content hash of the version of our question it is about; empty: the one that stood then",
            ),
            ("comment", "text", "why"),
        ),
        _forecasts,
    ),
    Table(
        "scored",
        "Every forecast at the end of each day, as `speedup calibration` scores it, with its outcome.",
        _columns(
            ("question", "text", "platform/external_id; the unit of evidence"),
            ("option", "text", "the outcome it is of"),
            ("forecaster", "text", "platform, platform (via source), or a name"),
            ("area", "text", "areas it bears on, | between"),
            ("event", "text", "what several questions share"),
            ("made_at", "time", "the moment at which it stood"),
            ("closes_at", "time", "scheduled close as known before the outcome"),
            ("resolved_at", "time", "when the outcome was out"),
            ("probability", "number", "0..1"),
            ("outcome", "number", "1, 0, a fraction; empty while pending"),
            (
                "status",
                "text",
                "scored, or why not: fraction, void, pending, resolved_early, after_resolution",
            ),
        ),
        _scored,
    ),
    Table(
        "scores",
        "Scores that were kept: the record at each month's end as it was known then.",
        _columns(
            ("question", "text", "calibration: of all questions"),
            ("outcome", "text", "daily values, or the lead times in days"),
            ("forecaster", "text", "all: everybody together"),
            ("made_at", "time", "the month's last moment"),
            ("rule", "text", "brier, brier_low, brier_high (95 %), log_score (nats), n_questions"),
            ("score_version", "text", "changes with the rules"),
            ("value", "number", "lower is better"),
            ("computed_at", "time", ""),
        ),
        _scores,
    ),
    Table(
        "orderings",
        "What every voice said of the order, and how they compared, as it was stored each week and day.",
        _columns(
            *_WHICH,
            ("known_at", "time", "as known at"),
            ("program", "text", "the version that computed it"),
            ("model", "text", "the version of the internal model"),
            ("payload", "text", "all of it: JSON"),
            ("sha256", "text", "SHA-256 of the payload's UTF-8"),
        ),
        _orderings,
    ),
    Table(
        "ordering_voices",
        "Of each stored ordering, the place of every area that a voice covers.",
        _columns(
            *_WHICH,
            ("voice", "text", "internal, market, trend, panel, …"),
            ("area", "text", ""),
            ("place", "count", "1: soonest"),
            ("mean_rank", "number", "over the voice's uncertainty, from 1"),
            ("score", "number", "the voice's own unit; larger is sooner"),
            ("areas_covered", "count", "places go from 1 to this"),
            ("tau_b_self", "number", "how firm the voice's order is"),
        ),
        _ordering_voices,
    ),
    Table(
        "ordering_comparisons",
        "Of each stored ordering, how two voices compare on the areas that both cover.",
        _columns(
            *_WHICH,
            ("a", "text", "a voice"),
            ("b", "text", "another"),
            ("areas", "texts", "shared"),
            ("tau_b", "number", "Kendall's tau-b; nothing with fewer than four shared areas"),
            ("tau_b_low", "number", "90 % interval"),
            ("tau_b_high", "number", "90 % interval"),
            ("tau_null_sd", "number", "the spread that chance alone gives"),
            ("weighted_distance", "number", "0..1"),
            ("disagreements", "count", "pairs on opposite sides of one half by 0.15 each"),
            ("reason", "text", "why nothing is said"),
        ),
        _ordering_comparisons,
    ),
    Table(
        "alerts",
        "What changed enough to be told, and what became of telling it; never to whom.",
        _columns(
            *_ALERT,
            (
                "kind",
                "text",
                "move, flip, disagreement, series, source, drift, question, resolved, overdue, digest",
            ),
            (
                "direction",
                "text",
                "up, down or the kind's own word; ended: back to how it should be, told to nobody",
            ),
            ("title", "text", "of what: a platform's wording, a voice, a series, a source"),
            ("before", "text", "what was last told"),
            ("after", "text", "what it is now"),
            ("text", "text", "why"),
            ("url", "text", "where it can be seen"),
            ("areas", "text", "spaces between"),
            ("size", "number", "how big, in the unit of its rule: log-odds, share, days, …"),
            ("rule", "text", "the thresholds in force, as JSON"),
            (
                "fate",
                "text",
                "queued, folded (into a later one), withdrawn (it went back before), expired, waiting",
            ),
            ("decided_at", "time", "when that was decided"),
            ("batch", "text", "the message it went out in"),
        ),
        _alerts,
    ),
    Table(
        "alert_evidence",
        "What each alert rests on, piece by piece.",
        _columns(
            *_ALERT,
            ("number", "count", "1 is the first"),
            ("kind", "text", "value, version, point, resolution, health, drift, receipt, run, pair, …"),
            ("source", "text", "whose word"),
            ("key", "text", "of what: a question and its outcome, a point, a place"),
            ("metric", "text", "which number of it"),
            ("at", "text", "the instant or day it is about"),
            ("published", "text", "from when we know it"),
            ("value", "number", "what it said"),
            ("lower", "number", "lower end"),
            ("upper", "number", "upper end"),
            ("version", "text", "of a model or a question"),
            ("text", "text", "in words"),
            _SHA,
        ),
        _alert_evidence,
    ),
    Table(
        "questions",
        "Our own questions.",
        _columns(
            ("id", "text", ""),
            ("version", "count", ""),
            ("kind", "text", ""),
            ("title", "text", ""),
            ("areas", "text", "spaces between"),
            ("view", "text", "model, researcher, lab, economy"),
            ("speedup_kind", "text", "what is multiplied"),
            ("open", "time", ""),
            ("close", "time", ""),
            ("resolve", "time", ""),
            ("outcomes", "texts", ""),
            ("default_outcome", "text", "if nothing happens"),
        ),
        _questions,
    ),
    Table(
        "links",
        "Questions elsewhere that bear on an area.",
        _columns(
            ("platform", "text", ""),
            ("external_id", "text", ""),
            ("outcome", "text", ""),
            ("url", "text", ""),
            ("label", "text", "our wording"),
            ("relation", "text", "same, component, proxy, context"),
            ("polarity", "number", "1: yes there is faster here; -1 the reverse"),
            ("view", "text", ""),
            ("areas", "text", "spaces between"),
            ("question", "text", "ours that it asks too"),
            ("by", "time", "deadline asked about"),
            ("weight", "number", "how strongly the mapping is believed, 0..1"),
            ("ladder", "text", "same thing at several deadlines or thresholds"),
            ("rung", "number", "place on it"),
            ("twin", "text", "same thing on several platforms"),
        ),
        _links,
    ),
)
