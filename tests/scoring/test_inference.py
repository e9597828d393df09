"""Inference against scipy and scikit-learn, and by simulation: what is said to hold 95 times in 100 does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression

from tracker.scoring.inference import adjusted_scores, clustered_mean, discoveries, means_of, watch


def test_one_row_a_cluster_is_students_t():
    x = np.random.default_rng(0).normal(size=30)
    ours = clustered_mean(x, np.arange(30))
    theirs = stats.ttest_1samp(x, 0.0).confidence_interval()
    assert ours.ci95 == pytest.approx((theirs.low, theirs.high))


def test_rows_of_equal_clusters_count_as_their_means():
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(25), 8)
    x = rng.normal(size=25)[cluster] + 0.1 * rng.normal(size=200)
    theirs = stats.ttest_1samp(means_of(x, cluster, 25), 0.0).confidence_interval()
    assert clustered_mean(x, cluster).ci95 == pytest.approx((theirs.low, theirs.high))
    as_if_independent = clustered_mean(x, np.arange(200)).ci95
    assert np.ptp(clustered_mean(x, cluster).ci95) > 2.5 * np.ptp(as_if_independent)


def test_few_clusters_get_no_interval_however_many_rows():
    few = clustered_mean(np.arange(900.0), np.arange(900) % 9)
    assert few.ci95 is None
    assert few.se is not None
    assert clustered_mean(np.arange(5.0), np.zeros(5, dtype=int)).se is None


def looks(d):
    return [watch(d[: t + 1]) for t in range(9, len(d), 10)]


def test_looking_every_week_misleads_a_t_test_and_not_the_sequence():
    rng = np.random.default_rng(2)
    runs, wrong_t, wrong_sequence, wrong_e = 100, 0, 0, 0
    limits = {t: stats.t.ppf(0.975, t - 1) for t in range(10, 151, 10)}
    for _ in range(runs):
        d = np.clip(rng.normal(0.0, 0.2, size=150), -1, 1)
        wrong_t += any(
            abs(d[:t].mean()) > limit * d[:t].std(ddof=1) / np.sqrt(t) for t, limit in limits.items()
        )
        seen = looks(d)
        wrong_sequence += any(not one.ci95[0] <= 0.0 <= one.ci95[1] for one in seen)
        wrong_e += any(one.e_first_better >= 20 or one.e_second_better >= 20 for one in seen)
    assert wrong_t > 0.12 * runs
    assert wrong_sequence <= 0.06 * runs
    assert wrong_e <= 0.1 * runs


def test_a_real_difference_is_found_and_on_the_right_side():
    d = np.clip(np.random.default_rng(3).normal(-0.06, 0.15, size=400), -1, 1)
    found = watch(d)
    assert found.ci95[1] < 0.0
    assert found.ci95[0] < -0.06 < found.ci95[1]
    assert found.e_first_better > 20 > 1 > found.e_second_better
    mirrored = watch(-d)
    assert mirrored.ci95 == pytest.approx((-found.ci95[1], -found.ci95[0]))
    assert mirrored.e_second_better == pytest.approx(found.e_first_better)


def test_differences_beyond_their_bound_are_refused():
    with pytest.raises(ValueError, match="within 1"):
        watch([0.1, 1.5])
    with pytest.raises(ValueError, match="one or more"):
        watch([])


def invented(seed: int = 4):
    rng = np.random.default_rng(seed)
    who = rng.integers(4, size=600)
    # the better somebody is, the harder the questions he picks
    what = np.clip((rng.integers(60, size=600) + 15 * who) % 90, 0, 89)
    difficulty = np.linspace(0.05, 0.4, 90)
    skill = np.array([0.09, 0.06, 0.03, 0.0])
    return skill[who] + difficulty[what] + 0.02 * rng.normal(size=600), who, what


def test_the_difficulty_model_is_least_squares_on_dummies():
    score, who, what = invented()
    found = adjusted_scores(score, who, what, list("abcd"), resamples=0)
    cells = {}
    for s, f, q in zip(score, who, what, strict=True):
        cells.setdefault((f, q), []).append(s)
    design = np.zeros((len(cells), 4 + 90))
    for row, (f, q) in enumerate(cells):
        design[row, f] = design[row, 4 + q] = 1.0
    theirs = LinearRegression(fit_intercept=False).fit(design, [np.mean(v) for v in cells.values()])
    ours = np.array([one.value for one in found])
    assert np.diff(ours) == pytest.approx(np.diff(theirs.coef_[:4]), abs=1e-9)


def test_it_undoes_the_choice_of_questions_and_says_how_surely():
    score, who, what = invented()
    found = adjusted_scores(score, who, what, list("abcd"), seed=1)
    raw = means_of(score, who, 4)
    assert list(np.argsort(raw)) != [3, 2, 1, 0]
    assert [one.value for one in found] == sorted([one.value for one in found], reverse=True)
    gaps = np.diff([one.value for one in found])
    assert gaps == pytest.approx([-0.03] * 3, abs=0.01)
    assert all(one.ci95[0] < one.value < one.ci95[1] for one in found)
    together = adjusted_scores(score, who, what, list("abcd"), event=what // 5, seed=1)
    assert [one.value for one in together] == pytest.approx([one.value for one in found])


def test_who_shares_no_question_with_anybody_is_not_compared():
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.9])
    found = adjusted_scores(score, np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 2]), list("abc"))
    assert [one.value is None for one in found] == [False, False, True]
    assert found[1].value - found[0].value == pytest.approx(0.2)


def test_discoveries_against_scipy():
    rng = np.random.default_rng(5)
    p = np.concatenate([rng.uniform(size=40), rng.uniform(0, 0.004, size=10)])
    assert discoveries(p.tolist()) == (stats.false_discovery_control(p) <= 0.05).tolist()
