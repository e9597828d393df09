"""How alike two voices' orders are behind their noise: tau-b of what each is about, with an interval.

Two noisy orders agree less than what they are about, so tau-b between single draws is drawn towards 0. Here both
voices' values are taken as noisy sightings of true values, area by area, and the true values of the two as
correlated: (a_i, b_i) ~ N(0, [[s_a^2, r s_a s_b], [r s_a s_b, s_b^2]]), sighted with each voice's own sd. The
spreads and the correlation r are integrated out over a grid with flat priors (r uniform in -1..1, spreads uniform
up to twice what is seen), and tau-b of the true values gets its posterior distribution.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracker.estimates.kendall import tau_b
from tracker.estimates.voice import Voice

Floats = NDArray[np.float64]

_SPREADS = np.linspace(0.05, 2.0, 14)
_CORRELATIONS = np.linspace(-0.98, 0.98, 29)


def latent_tau(
    a: Voice, b: Voice, areas: Sequence[str], draws: int, random: np.random.Generator
) -> tuple[float, float] | None:
    """The 90% interval of tau-b between the true values of two voices on ``areas``.

    What each side is about: its scores as they would be without doubt about them, not how dates then fall.
    None for a voice of which no doubt is known, or with areas that may never come (no mean to speak of).
    """
    sights = [_sighted(voice, areas) for voice in (a, b)]
    if sights[0] is None or sights[1] is None:
        return None
    (x, sd_x), (y, sd_y) = sights[0], sights[1]
    taus = tau_b(*_true_values(x, sd_x, y, sd_y, draws, random))
    defined = taus[~np.isnan(taus)]
    if not defined.size:
        return None
    low, high = np.quantile(defined, [0.05, 0.95]).tolist()
    return low, high


def _sighted(voice: Voice, areas: Sequence[str]) -> tuple[Floats, Floats] | None:
    """A voice's scores and how unsure they are, per area, in units of the spread of the scores."""
    if voice.score_sds:
        means = np.array([voice.scores[area] for area in areas])
        sds = np.array([voice.score_sds[area] for area in areas])
    elif voice.draws is not None:
        columns = voice.draws[:, [voice.coverage.index(area) for area in areas]]
        if not np.isfinite(columns).all():
            return None
        means, sds = columns.mean(axis=0), columns.std(axis=0)
    else:
        return None
    means = means - means.mean()
    unit = float(means.std()) or 1.0
    return means / unit, np.maximum(sds / unit, 1e-6)


def _true_values(
    x: Floats, sd_x: Floats, y: Floats, sd_y: Floats, draws: int, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draws of both sides' true values given what was seen, (draws, areas) each."""
    wide = [float(np.sqrt(1.0 + np.mean(sd**2))) for sd in (sd_x, sd_y)]
    s_x, s_y, r = (
        grid.ravel()
        for grid in np.meshgrid(_SPREADS * wide[0], _SPREADS * wide[1], _CORRELATIONS, indexing="ij")
    )
    xx, yy, xy = s_x[:, None] ** 2, s_y[:, None] ** 2, (r * s_x * s_y)[:, None]
    seen_xx, seen_yy = xx + sd_x**2, yy + sd_y**2
    determinant = seen_xx * seen_yy - xy**2
    square = (seen_yy * x**2 - 2 * xy * x * y + seen_xx * y**2) / determinant
    log_weight = -0.5 * (square + np.log(determinant)).sum(axis=1)
    weight = np.exp(log_weight - log_weight.max())
    picked = random.choice(len(weight), size=draws, p=weight / weight.sum())
    xx, yy, xy = xx[picked], yy[picked], xy[picked]
    seen_xx, seen_yy, determinant = seen_xx[picked], seen_yy[picked], determinant[picked]
    # gains K = S (S + D)^-1, then mean K z and covariance S - K S, two by two for every area
    k_xx, k_xy = (xx * seen_yy - xy**2) / determinant, (xy * seen_xx - xx * xy) / determinant
    k_yx, k_yy = (xy * seen_yy - yy * xy) / determinant, (yy * seen_xx - xy**2) / determinant
    mean_x, mean_y = k_xx * x + k_xy * y, k_yx * x + k_yy * y
    var_x = np.maximum(xx - k_xx * xx - k_xy * xy, 1e-18)
    var_y = yy - k_yx * xy - k_yy * yy
    cov = xy - k_xx * xy - k_xy * yy
    one, two = random.standard_normal((2, draws, len(x)))
    rest = np.sqrt(np.maximum(var_y - cov**2 / var_x, 0.0))
    true_x: Floats = mean_x + np.sqrt(var_x) * one
    true_y: Floats = mean_y + cov / np.sqrt(var_x) * one + rest * two
    return true_x, true_y
