"""Agreement behind the noise: exact without noise, wide with it, and covering the truth in known worlds."""

import numpy as np
import pytest

from tests.bench.recovery_orders import table
from tracker.estimates.kendall import tau_b
from tracker.estimates.latent import latent_tau
from tracker.estimates.ordering import generator, voice_from_draws
from tracker.estimates.voice import Voice

AREAS = tuple("abcdefgh")


def voice(scores, sd, name="v", seed=1):
    noise = np.random.default_rng(seed).normal(0, sd, (4_000, len(scores)))
    means = dict(zip(AREAS, map(float, scores), strict=True))
    return voice_from_draws(name, "m", means, np.asarray(scores) + noise, {})


def interval(a, b):
    return latent_tau(a, b, AREAS, 4_000, generator(5))


def test_without_noise_it_is_tau_itself():
    x, y = [1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 3, 5, 4, 6, 8, 7]
    low, high = interval(voice(x, 1e-4), voice(y, 1e-4, seed=2))
    assert low == pytest.approx(float(tau_b(x, y)))
    assert high == pytest.approx(float(tau_b(x, y)))


def test_noise_widens_it_and_a_scale_does_not_matter():
    x, y = np.array([1, 2, 3, 4, 5, 6, 7, 8.0]), np.array([2, 1, 3, 5, 4, 6, 8, 7.0])
    firm = interval(voice(x, 0.3), voice(y, 0.3, seed=2))
    loose = interval(voice(x, 3.0), voice(y, 3.0, seed=2))
    assert firm[1] - firm[0] < loose[1] - loose[0]
    assert loose[0] < 0 < loose[1]
    scaled = interval(voice(100 * x + 7, 30.0), voice(y, 0.3, seed=2))
    assert scaled == pytest.approx(firm, abs=0.08)


def test_areas_that_may_never_come_or_unknown_doubt_leave_it_open():
    draws = np.zeros((10, 8))
    draws[0, 0] = -np.inf
    never = voice_from_draws("n", "m", dict.fromkeys(AREAS, 0.0), draws, {})
    assert interval(never, voice(range(8), 1.0)) is None
    bare = Voice("b", "m", scores=dict.fromkeys(AREAS, 1.0), coverage=AREAS)
    assert interval(bare, voice(range(8), 1.0)) is None


def test_known_worlds_are_recovered():
    """Forty of the worlds of the recovery program; its full table has a thousand."""
    found = table(40)
    assert 0.82 <= found["market: pair probabilities inside 90%"] <= 0.98
    assert found["internal-market: tau of the true orders inside 90%"] >= 0.78
    voices = [found[f"mean tau to the true order: {name}"] for name in ("internal", "market", "panel")]
    assert found["mean tau to the true order: all pooled"] >= max(voices) - 0.01
