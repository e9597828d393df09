"""Voices built by hand: the essay's factor model under noise, and what markets and trends might say.

The internal voice is simulated from the ten printed scores (Wehner 2026) with rank probabilities from
draws, so that its numbers hang together the way real ones do; the others are small and invented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from questions.model import Area, Group
from tracker.estimates.voice import Voice

AREAS: tuple[Area, ...] = tuple(
    Area(key=key, name=name, short=short, group=group, scope="for tests")
    for key, name, short, group in [
        ("interpretability", "Interpretability", "interp", Group.SAFETY),
        ("alignment_theory", "Alignment theory", "theory", Group.SAFETY),
        ("scalable_oversight", "Scalable oversight", "overs", Group.SAFETY),
        ("ai_control", "AI control", "contr", Group.SAFETY),
        ("dangerous_capability_evals", "Dangerous capability evaluations", "DCE", Group.SAFETY),
        ("pretraining_algorithms", "Pre-training algorithms", "pretr", Group.CAPABILITIES),
        ("post_training", "Post-training", "postt", Group.CAPABILITIES),
        ("data_generation", "Data generation", "data", Group.CAPABILITIES),
        ("agent_scaffolding", "Agent scaffolding", "scaff", Group.CAPABILITIES),
        ("training_efficiency", "Training and inference efficiency", "teff", Group.CAPABILITIES),
    ]
)
ESSAY_SCORES = {
    "agent_scaffolding": 7.3490,
    "training_efficiency": 7.0872,
    "data_generation": 6.2193,
    "post_training": 6.2110,
    "dangerous_capability_evals": 5.9272,
    "ai_control": 5.7791,
    "interpretability": 5.5321,
    "pretraining_algorithms": 5.3709,
    "scalable_oversight": 4.7587,
    "alignment_theory": 4.0419,
}


def voice_from_scores(
    name: str, scores: Mapping[str, float], *, spread: float, seed: int = 1, model: str = "by hand"
) -> Voice:
    """A voice whose draws are ``scores`` plus normal noise; equal scores keep their given order."""
    keys = sorted(scores, key=lambda key: -scores[key])
    noise = np.random.default_rng(seed).normal(0.0, spread, size=(4000, len(keys)))
    draws = np.array([scores[key] for key in keys]) + noise
    ranks = (-draws).argsort(axis=1).argsort(axis=1) + 1
    places = range(1, len(keys) + 1)
    chances = {k: tuple(float((ranks[:, i] == r).mean()) for r in places) for i, k in enumerate(keys)}
    before = {
        a: {b: float((draws[:, i] > draws[:, j]).mean()) for j, b in enumerate(keys) if i != j}
        for i, a in enumerate(keys)
    }
    groups = {group: [k for k in keys if _group(k) is group] for group in Group}
    return Voice(
        name=name,
        model=model,
        scores=dict(scores),
        ranking=tuple(keys),
        rank_probabilities=chances,
        mean_rank={k: float(ranks[:, i].mean()) for i, k in enumerate(keys)},
        p_before=before,
        group_means={g.value: float(np.mean([scores[k] for k in ks])) for g, ks in groups.items() if ks},
        p_capabilities_first=0.92 if all(groups.values()) else None,
        tau_b_self=0.67,
        coverage=tuple(keys),
    )


def _group(key: str) -> Group:
    return next(area.group for area in AREAS if area.key == key)


INTERNAL = voice_from_scores("internal", ESSAY_SCORES, spread=0.75, model="factor model 2026-01-22")
MARKET = voice_from_scores(
    "market",
    {
        "agent_scaffolding": 1.1,
        "dangerous_capability_evals": 0.7,
        "interpretability": 0.1,
        "training_efficiency": -0.2,
        "alignment_theory": -0.6,
    },
    spread=0.9,
    seed=2,
    model="pairwise pool",
)
TREND = voice_from_scores(
    "trend",
    {
        "training_efficiency": 0.9,
        "agent_scaffolding": 0.8,
        "post_training": 0.3,
        "dangerous_capability_evals": -0.4,
    },
    spread=0.35,
    seed=3,
    model="proxy series",
)
PANEL = Voice(name="panel", model="", reason="no panel forecast is stored yet")


def tie_heavy(name: str, areas: Sequence[Area] = AREAS) -> Voice:
    """Every area has the same score: nothing to tell them apart."""
    return voice_from_scores(name, {area.key: 5.0 for area in areas}, spread=1.0, seed=4)
