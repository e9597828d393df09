"""A full page's contents, invented but of one piece, and the emptiest page there can be."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache

from storage.records import Change
from tests.report.horizons import CROSSINGS, FIT, OUTLOOK, VERSIONS
from tests.report.voices import AREAS, INTERNAL, MARKET, PANEL, TREND
from tracker.estimates.ordering import compare
from tracker.estimates.voice import Comparison, Disagreement
from tracker.report import plots
from tracker.report.content import (
    PARTS,
    AreaDateRow,
    CauseRow,
    Changes,
    Chart,
    DatabaseNote,
    EvidenceRow,
    HealthRow,
    PageContent,
    PairRow,
    ReliabilityBin,
    ReliabilityReport,
    SourceCredit,
    comparison_row,
    ordering,
    revision_row,
)

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
VOICES = (INTERNAL, MARKET, TREND, PANEL)

COMPARISONS = (
    Comparison(
        "internal",
        "market",
        MARKET.coverage,
        0.2,
        (-0.4, 0.8),
        0.41,
        0.31,
        (Disagreement("training_efficiency", "interpretability", 0.93, 0.31, 2),),
        tau_latent_ci90=(-0.52, 0.97),
    ),
    Comparison("internal", "trend", TREND.coverage, 0.667, (0.0, 1.0), 0.49, 0.12),
    Comparison("internal", "panel", (), reason="panel has no view on any area"),
)
WEEKS = tuple(
    (NOW - timedelta(days=7 * back), [compare(INTERNAL, MARKET, seed=back, resamples=200)])
    for back in (2, 1, 0)
)
RELIABILITY = ReliabilityReport(
    "manifold",
    312,
    1504,
    0.1432,
    (0.1291, 0.1588),
    0.4411,
    (0.4021, 0.4832),
    0.36,
    (
        ReliabilityBin(0.0, 0.25, 610, 0.09, 0.06, (0.03, 0.1)),
        ReliabilityBin(0.25, 0.5, 404, 0.37, 0.31, (0.25, 0.38)),
        ReliabilityBin(0.5, 0.75, 268, 0.61, 0.58, (0.5, 0.66)),
        ReliabilityBin(0.75, 1.0, 222, 0.9, 0.93, (0.88, 0.97)),
    ),
)


def changes(earlier: date, later: date) -> list[Change]:
    """What happened between two of the invented versions."""
    before, after = ({p.key: p for p in VERSIONS[version]} for version in (earlier, later))
    found = [Change(k, "p50", "added", None, p) for k, p in after.items() if k not in before]
    for key, point in before.items():
        if key in after and after[key].value != point.value:
            found.append(Change(key, "p50", "revised", point, after[key]))
    return found


@cache
def full_content(
    headline: str = "Markets and the model disagree most about training efficiency.",
) -> PageContent:
    slope = plots.slope_chart(VOICES, AREAS, title="Which research areas does AI speed up first?", as_of=NOW)
    horizon = plots.horizon_chart(VERSIONS, FIT, CROSSINGS, as_of=NOW, outlook=OUTLOOK)
    reliability = plots.reliability_chart(RELIABILITY, as_of=NOW)
    ranks = plots.rank_chart(MARKET, AREAS, as_of=NOW)
    pairs = plots.pair_chart(INTERNAL, MARKET, AREAS, as_of=NOW)
    agreement = plots.agreement_chart(WEEKS)
    dates = sorted(VERSIONS)
    return PageContent(
        headline=headline,
        as_of=NOW,
        ordering=ordering(VOICES, AREAS),
        comparisons=tuple(comparison_row(comparison, AREAS) for comparison in COMPARISONS),
        evidence=(
            EvidenceRow(
                "Interpretability",
                "market",
                "Will a frontier model's inner workings be explained by 2028?",
                "manifold",
                "proxy",
                0.5,
                0.23,
                NOW,
                "https://manifold.markets/example/inner-workings",
            ),
            EvidenceRow(
                "Training efficiency", "trend", "speedrun record time", "curated table", "proxy", 0.35
            ),
        ),
        area_dates=(
            AreaDateRow(
                "Interpretability",
                2527.0,
                date(2026, 10, 13),
                (date(2026, 3, 11), date(2027, 8, 11)),
                {date(2027, 12, 31): 0.96, date(2029, 12, 31): 0.998},
            ),
            AreaDateRow(
                "Alignment theory",
                114_362.0,
                date(2028, 6, 8),
                (date(2027, 5, 26), None),
                {date(2027, 12, 31): 0.32, date(2029, 12, 31): 0.74},
            ),
        ),
        revisions=(
            revision_row(
                dates[1], changes(dates[0], dates[1]), doubling_before_days=128.1, doubling_after_days=122.6
            ),
            revision_row(dates[2], changes(dates[1], dates[2]), doubling_after_days=128.7),
        ),
        calibration=(RELIABILITY, ReliabilityReport("kalshi", 9, 41, 0.201)),
        health=(
            HealthRow("manifold", "ok", NOW, 20413, 96, questions={"gone": 1, "no_trade": 2, "ok": 31}),
            HealthRow(
                "kalshi", "not_permitted", None, 0, 3, "the token may not see these questions; set a new one"
            ),
        ),
        n_overdue=2,
        sources=(
            SourceCredit(
                "METR", "METR, time horizons", "facts, attributed", "https://metr.org/time-horizons/"
            ),
            SourceCredit("Essay", "Jan Wehner, 2026-01-22", "cited", "http://plain.example/never-linked"),
        ),
        database=DatabaseNote(
            "sqlite:////var/lib/speedup/speedup.db",
            {"observation": 20413, "measurement": 63},
            (("speedup order --json", "the orderings as one JSON document"),),
        ),
        slope=Chart("Orderings", plots.svg_text(slope), plots.slope_alt(VOICES, AREAS)),
        ranks=(Chart("Ranks", plots.svg_text(ranks), plots.rank_alt(MARKET, AREAS)),),
        pairs=(Chart("Pairs", plots.svg_text(pairs), plots.pair_alt(INTERNAL, MARKET, AREAS)),),
        agreement=Chart("Agreement", plots.svg_text(agreement), plots.agreement_alt(WEEKS)),
        changes=Changes(
            NOW - timedelta(days=32),
            NOW - timedelta(days=4),
            ("Markets: Interpretability went from 3 to 1.",),
            (
                CauseRow(
                    "market",
                    "Will a frontier model's inner workings be explained by 2028?",
                    "0.12",
                    "0.23",
                    "Interpretability 2.04 times as likely per year; put Interpretability before AI control",
                    "https://manifold.markets/example/inner-workings",
                ),
                CauseRow("panel", "ann:q1", "nothing", "a 0.6", "AI control came in"),
            ),
        ),
        horizon=Chart(
            "Horizons", plots.svg_text(horizon), plots.horizon_alt(VERSIONS, FIT, CROSSINGS, outlook=OUTLOOK)
        ),
        reliability=(Chart("Calibration", plots.svg_text(reliability), plots.reliability_alt(RELIABILITY)),),
        compared=(
            PairRow("manifold", "kalshi", 31, 24, -0.0123, (-0.031, 0.0064), (-0.052, 0.0274)),
            PairRow("metaculus", "kalshi", 12, 11, 0.0041, (-0.02, 0.0282)),
        ),
        program_version="0.1.0",
    )


def empty_content() -> PageContent:
    """Only the internal model speaks; everything else is missing for a stated reason."""
    return PageContent(
        headline="Only the factor model has a view so far.",
        as_of=NOW,
        ordering=ordering((INTERNAL,), AREAS),
        reasons={part: f"nothing pulled for {part} yet" for part in PARTS},
    )
