"""What is said before anything resolves: movement, coherence and proxies from the store, each by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from questions.catalogue import load_catalogue
from questions.records import Forecast, OutcomeState, Quantity, Resolution, Snapshot, StreamKey
from storage.memory import MemoryStore
from storage.records import Batch
from tracker.beforehand import before_resolution

CATALOGUE = load_catalogue()
DAY = timedelta(days=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + 100 * DAY
LADDER = sorted((one for one in CATALOGUE.links if one.ladder == "agi_remni"), key=lambda one: str(one.by))
ORDERING = [q for q in CATALOGUE.questions.values() if q.ordering is not None and q.threshold.value == 3.0]


def said(link, values: dict[int, float], until: int = 100) -> tuple[Snapshot, ...]:
    """A value from each of these days on, looked at every other day."""
    key = StreamKey(link.platform, *link.key, Quantity.PLAY_MONEY_PRICE)
    days = [(n, [p for day, p in values.items() if day <= n][-1]) for n in range(0, until + 1, 2)]
    return tuple(Snapshot(key, START + n * DAY, START + n * DAY, probability=p) for n, p in days)


def found(*snapshots, forecasts=(), resolutions=(), catalogue=CATALOGUE, **options):
    kept = MemoryStore()
    kept.append(Batch(snapshots=tuple(s for many in snapshots for s in many), resolutions=tuple(resolutions)))
    kept.add_forecasts(forecasts)
    return before_resolution(kept, catalogue, now=NOW, known_at=NOW, **options)


def forecast(question, outcome: str, p: float, who: str = "ann") -> Forecast:
    return Forecast(question.id, outcome, who, "person", START, p)


def test_movement_counts_days_not_polls_and_all_questions_resolved_or_not():
    link, other = LADDER[:2]
    word = Resolution(
        link.platform, link.platform, link.external_id, "yes", OutcomeState.YES, START + 61 * DAY, value=1.0,
        resolved_at=START + 61 * DAY,
    )  # fmt: skip
    document = found(said(link, {0: 0.5, 20: 0.7, 62: 1.0}), said(other, {0: 0.4}), resolutions=[word])
    (one,) = document["belief_movement"]["forecasters"]
    lost = (0.25 - 0.21) / 2
    assert one["movement"] == pytest.approx(0.04 / 2)
    assert one["uncertainty_lost"] == pytest.approx(lost)
    assert one["excess"]["value"] == pytest.approx(0.02 - lost)
    assert one["excess"]["n_events"] == 1  # rungs of one ladder
    assert "not" in document["label"]


def test_a_later_deadline_that_is_less_likely_is_a_violation_and_a_resolved_rung_is_none():
    low, high = said(LADDER[0], {0: 0.40}), said(LADDER[1], {0: 0.30})
    (one,) = found(low, high)["coherence"]["violations"]
    assert (one["rule"], one["kind"]) == ("ladder", "violation")
    assert one["excess"] == pytest.approx(0.1)
    assert one["about"] == ["/".join(link.key) for link in LADDER[:2]]
    over = Resolution(
        LADDER[0].platform, LADDER[0].platform, LADDER[0].external_id, "yes", OutcomeState.YES, NOW, value=1.0
    )
    document = found(low, high, resolutions=[over])["coherence"]
    assert document["violations"] == []
    assert document["n_checked"]["ladder"] == 0


def test_answers_that_exclude_each_other_are_no_rungs():
    """Between two dates is not by the later of them: a smaller share of the later span breaks no rule."""
    spans = tuple(link.model_copy(update={"bucket": "dated"}) for link in LADDER[:2])
    document = found(
        said(LADDER[0], {0: 0.4}), said(LADDER[1], {0: 0.3}), catalogue=replace(CATALOGUE, links=spans)
    )["coherence"]
    assert document["violations"] == []
    assert document["n_checked"]["ladder"] == 0


def test_sums_triangles_and_cycles_of_pairs_that_somebody_gave():
    pairs = {frozenset((q.ordering.a, q.ordering.b)): q for q in ORDERING}
    areas = sorted({area for pair in pairs for area in pair})
    a, b, c = next(
        (x, y, z) for x in areas for y in areas for z in areas
        if {frozenset((x, y)), frozenset((y, z)), frozenset((x, z))} <= set(pairs) and len({x, y, z}) == 3
    )  # fmt: skip
    stated = {(a, b): 0.9, (b, a): 0.2, (b, c): 0.9, (c, b): 0.05, (a, c): 0.1, (c, a): 0.7}
    forecasts = [forecast(pairs[frozenset(pair)], pair[0], p) for pair, p in stated.items()]
    document = found(forecasts=forecasts)["coherence"]
    broken = {one["rule"]: one for one in document["violations"]}
    assert broken["pairs"]["excess"] == pytest.approx(0.1)
    assert broken["options"]["excess"] == pytest.approx(0.1)
    assert broken["triangle"]["excess"] == pytest.approx(0.9 + 0.9 - 0.1 - 1.0)
    assert set(broken["cycle"]["about"]) == {a, b, c}
    assert broken["cycle"]["kind"].startswith("no error")
    assert document["n_checked"]["triangle"] == 1
    assert found(forecasts=forecasts, forecasters=["bob"])["coherence"]["violations"] == []


def test_proxies_score_an_earlier_word_by_the_later_pool():
    link = LADDER[0]
    ann = Forecast(":".join(link.key[:2]), "yes", "ann", "person", START, 0.2)
    document = found(said(link, {0: 0.5, 80: 0.8}), forecasts=[ann])["proxies"]
    rows = {(one["forecaster"], one["days_before"]): one for one in document["forecasters"]}
    pooled = 1 / (1 + math.exp(-0.5 * (math.log(0.8 / 0.2) + math.log(0.2 / 0.8))))
    assert pooled == pytest.approx(0.5)
    crowd, person = rows["manifold", 30]["proxy_brier"], rows["ann", 90]["proxy_brier"]
    assert crowd["value"] == pytest.approx(0.25)
    assert person["value"] == pytest.approx(0.5 * 0.64 + 0.5 * 0.04)
    assert rows["manifold", 30]["n_against_itself"] == 0
    assert found(said(link, {0: 0.5}))["proxies"]["forecasters"][0]["n_against_itself"] == 1


def test_twins_that_disagree_are_told_of_as_disagreement():
    twins = [one for one in CATALOGUE.links if one.twin == "gpt6_before_gta6"]
    (one,) = found(said(twins[0], {0: 0.5}), said(twins[1], {0: 0.6}))["coherence"]["violations"]
    assert (one["rule"], one["kind"], one["excess"]) == ("twins", "disagreement", pytest.approx(0.1))
