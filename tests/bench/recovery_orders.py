"""Whether the machinery finds the truth in worlds where it is known. Run by hand:

    python -m tests.bench.recovery_orders [worlds, default 1000]

A world: ten areas with true log speeds; dates from exponential clocks that hang together through one shared factor
(correlation 0.5). Told of it: markets and proxies (no to three questions an area, each off by N(0, 1/sqrt(weight)) in
log hazard, as prices of real links with deadlines), a factor table (true cells, true weights, both seen with the noise
the model declares), and five people's probabilities of pairs. Everything goes through the voices as they are used.

Counted: how often 90% intervals hold the truth: the market's pair probabilities, tau between what two voices are
about (``tau_latent_ci90``; beside it how often ``tau_b_ci90``, made for single draws, holds the same); and mean tau
to the true order of speeds of every voice, of all pooled by how sure they are, and of how the dates fell.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from scipy.special import ndtr

from questions.catalogue import load_catalogue
from questions.model import FactorTable, Link
from questions.records import Forecast, ForecasterKind, Quantity, Snapshot, StreamKey
from storage.records import Observation
from tracker.estimates.factors import Noise, rank_factors
from tracker.estimates.kendall import tau_b
from tracker.estimates.market import market_voice
from tracker.estimates.ordering import compare
from tracker.estimates.panel import panel_voice
from tracker.estimates.voice import Voice

NOW = datetime(2027, 3, 1, tzinfo=UTC)
YEAR = timedelta(days=365.25)
CATALOGUE = load_catalogue()
AREAS, GROUPS = CATALOGUE.area_keys, CATALOGUE.groups
WEIGHTS = CATALOGUE.factors.weights
RHO, SPEED_SD, BASE_LOG_HAZARD = 0.5, 1.0, -1.6
PEOPLE, PERSON_SD, PAIRS_EACH = 5, 0.8, 15
DRAWS = 2_000


@dataclass(frozen=True)
class World:
    """What is true: log hazards, dates (years), and amenability, by area; and what each voice says of it."""

    log_hazards: np.ndarray
    years: np.ndarray
    amenability: np.ndarray
    voices: Mapping[str, Voice]


def world(number: int) -> World:
    random = np.random.default_rng([20261120, number])
    speeds = random.normal(0.0, SPEED_SD, len(AREAS))
    log_hazards = BASE_LOG_HAZARD + speeds
    shared, own = random.standard_normal(), random.standard_normal(len(AREAS))
    luck = ndtr(np.sqrt(RHO) * shared + np.sqrt(1 - RHO) * own)
    years = -np.log1p(-luck) / np.exp(log_hazards)
    internal, amenability = _internal(speeds, random, number)
    voices = {
        "internal": internal,
        "market": _market(log_hazards, random, number),
        "panel": _panel(log_hazards, random, number),
    }
    return World(log_hazards, years, amenability, voices)


def _market(log_hazards: np.ndarray, random: np.random.Generator, seed: int) -> Voice:
    links, observations = [], []
    for area, true in zip(AREAS, log_hazards.tolist(), strict=True):
        for place in range(int(random.choice(4, p=[0.1, 0.3, 0.3, 0.3]))):
            weight = float(random.choice([0.3, 0.5, 1.0]))
            ahead = float(random.uniform(1.0, 6.0))
            hazard = np.exp(true + random.normal(0.0, 1.0 / np.sqrt(weight)))
            name = f"{area}-{place}"
            link = Link(
                platform="metaculus",
                external_id=name,
                url="https://example.org/q",
                label=name,
                relation="proxy",
                view="model",
                areas=(area,),
                by=NOW + ahead * YEAR,
                weight=weight,
            )
            key = StreamKey("metaculus", "metaculus", name, "yes", Quantity.FORECASTER_MEDIAN)
            price = float(-np.expm1(-hazard * ahead))
            observations.append(Observation(Snapshot(key, NOW, NOW, probability=price), NOW, NOW, 1))
            links.append(link)
    return market_voice(links, observations, now=NOW, draws=DRAWS, seed=seed, groups=GROUPS)


def _internal(speeds: np.ndarray, random: np.random.Generator, seed: int) -> tuple[Voice, np.ndarray]:
    """The factor model on a table seen with noise, and the amenability it is about."""
    stated = np.array(list(WEIGHTS.values()))
    cells = 5.5 + 1.2 * speeds + random.normal(0.0, 1.0, (len(stated), len(AREAS)))
    cells = np.clip(cells, 1.5, 9.5)
    true_weights = stated * np.exp(random.normal(0.0, 0.5, len(stated)))
    seen = np.clip(cells + random.standard_normal(cells.shape), 1.0, 10.0)
    table = FactorTable(
        version="world",
        source_url="",
        weights=dict(WEIGHTS),
        scores={
            factor: dict(zip(AREAS, row.tolist(), strict=True))
            for factor, row in zip(WEIGHTS, seen, strict=True)
        },
    )
    voice = rank_factors(table, groups=GROUPS, noise=Noise(draws=DRAWS, seed=seed))
    return voice, true_weights @ cells / true_weights.sum()


def _panel(log_hazards: np.ndarray, random: np.random.Generator, seed: int) -> Voice:
    said = []
    for person in range(PEOPLE):
        for _ in range(PAIRS_EACH):
            i, j = random.choice(len(AREAS), size=2, replace=False)
            question = CATALOGUE.ordering(AREAS[i], AREAS[j], 10)
            assert question is not None
            odds = log_hazards[i] - log_hazards[j] + random.normal(0.0, PERSON_SD)
            share = float(1 / (1 + np.exp(-odds)))
            said += [
                Forecast(question.id, AREAS[i], f"p{person}", ForecasterKind.PERSON, NOW, 0.8 * share),
                Forecast(question.id, AREAS[j], f"p{person}", ForecasterKind.PERSON, NOW, 0.8 * (1 - share)),
            ]
    unique = {(one.question, one.outcome, one.forecaster): one for one in said}
    return panel_voice(
        CATALOGUE.questions, unique.values(), threshold=10, now=NOW, groups=GROUPS, draws=DRAWS, seed=seed
    )


def pooled(voices: Iterable[Voice]) -> np.ndarray:
    """Scores of all voices together: each in units of what it tells apart, weighted by how surely it does.

    A voice's signal variance is the variance of its scores less its mean squared doubt; a silent voice counts as
    0 there, with the prior's precision of 1.
    """
    total, precision = np.zeros(len(AREAS)), np.ones(len(AREAS))
    for voice in voices:
        places = [AREAS.index(area) for area in voice.coverage]
        scores = np.array([voice.scores[area] for area in voice.coverage])
        draws = voice.draws
        assert draws is not None
        sds = np.array([voice.score_sds[a] for a in voice.coverage]) if voice.score_sds else draws.std(axis=0)
        signal = max(float(scores.var() - (sds**2).mean()), 0.1 * float(scores.var()))
        weight = signal / sds**2
        total[places] += weight * (scores - scores.mean()) / np.sqrt(signal)
        precision[places] += weight
    return total / precision


def counts(number: int) -> dict[str, tuple[float, float]]:
    """Per measure (sum, number) in one world: coverage and tau, to be added up over worlds."""
    found: dict[str, tuple[float, float]] = {}
    one = world(number)

    def add(name: str, value: float) -> None:
        total, size = found.get(name, (0.0, 0.0))
        found[name] = total + value, size + 1.0

    market = one.voices["market"]
    for a, row in market.p_before_ci90.items():
        for b, (low, high) in row.items():
            if AREAS.index(a) < AREAS.index(b):
                i, j = AREAS.index(a), AREAS.index(b)
                true = 1 / (1 + np.exp(one.log_hazards[j] - one.log_hazards[i]))
                add("market: pair probabilities inside 90%", float(low <= true <= high))
    about = {"internal": one.amenability, "market": one.log_hazards}
    internal = one.voices["internal"]
    shared = [area for area in internal.coverage if area in market.coverage]
    places = [AREAS.index(area) for area in shared]
    result = compare(internal, market, seed=number, resamples=2_000)
    if result.tau_latent_ci90 is not None and result.tau_b_ci90 is not None:
        true_tau = float(tau_b(about["internal"][places], about["market"][places]))
        add("internal-market: tau of the true orders inside 90%", _inside(true_tau, result.tau_latent_ci90))
        add("internal-market: the same inside tau_b_ci90", _inside(true_tau, result.tau_b_ci90))
        width = result.tau_latent_ci90[1] - result.tau_latent_ci90[0]
        add("internal-market: width of the 90% interval of tau", width)
    for name, voice in one.voices.items():
        covered = [AREAS.index(area) for area in voice.coverage]
        scores = [voice.scores[AREAS[i]] for i in covered]
        add(f"mean tau to the true order: {name}", float(tau_b(scores, one.log_hazards[covered])))
    together = pooled(one.voices.values())
    add("mean tau to the true order: all pooled", float(tau_b(together, one.log_hazards)))
    for name, voice in one.voices.items():
        covered = [AREAS.index(area) for area in voice.coverage]
        same = float(tau_b(together[covered], one.log_hazards[covered]))
        add(f"mean tau to the true order: all pooled, on the areas of {name}", same)
    add("mean tau to the true order: dates as they fell", float(tau_b(-one.years, one.log_hazards)))
    return found


def _inside(value: float, interval: tuple[float, float]) -> float:
    return float(interval[0] - 1e-9 <= value <= interval[1] + 1e-9)


def table(worlds: int) -> dict[str, float]:
    """Every measure, averaged over worlds."""
    totals: dict[str, tuple[float, float]] = {}
    for number in range(worlds):
        for name, (value, size) in counts(number).items():
            total, so_far = totals.get(name, (0.0, 0.0))
            totals[name] = total + value, so_far + size
    return {name: value / size for name, (value, size) in totals.items()}


def main(arguments: list[str]) -> None:
    worlds = int(arguments[0]) if arguments else 1_000
    sys.stdout.write(f"{worlds} worlds of {len(AREAS)} areas\n")
    for name, value in table(worlds).items():
        sys.stdout.write(f"{name:70s} {value:.3f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
