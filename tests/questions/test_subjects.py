"""What people read of a battery for a quarter: who is asked what, and how their readings become one number."""

from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest
from hypothesis import given, strategies as st

from questions.catalogue import Catalogue
from questions.evidence import Judgement
from questions.subjects import NOTHING, READING, Subject, joint, subjects
from questions.time import parse_utc

END = date(2027, 3, 31)


@pytest.fixture(scope="module")
def asked(catalogue: Catalogue) -> dict[str, Subject]:
    return subjects(catalogue.questions.values())


def said(subject: Subject, *values: float | None, names: str = "ABCDEFG") -> list[Judgement]:
    """One reading a judge, in this order; None: found nothing."""
    return [
        Judgement(
            subject.at(END),
            subject.version,
            name,
            NOTHING if value is None else READING,
            parse_utc("2027-04-10"),
            ("https://example.org/study",),
            value,
            END,
        )
        for name, value in zip(names, values, strict=False)
    ]


def test_judges_read_every_proxy_that_no_program_reads_and_every_area_has_a_panel(
    catalogue: Catalogue, asked: dict[str, Subject]
) -> None:
    wanted = {
        arm.series(proxy)
        for question in catalogue.questions.values()
        for arm in (question.battery.arms if question.battery else ())
        for proxy in arm.proxies
        if proxy.read_by == "judges"
    }
    panels = {f"{area}.panel" for area in catalogue.area_keys}
    assert set(asked) == wanted | panels
    assert {f"{area}.{name}" for area in catalogue.area_keys for name in ("C2", "C5")} <= wanted
    assert all("lower end" in asked[name].procedure for name in wanted)
    decided = asked["interpretability.C2"].questions
    assert decided == ("date-interpretability-labour-10x", "date-interpretability-labour-3x")


def test_a_subject_whose_text_changes_is_another_version(asked: dict[str, Subject]) -> None:
    versions = [subject.version for subject in asked.values()]
    assert len(set(versions)) == len(versions)
    assert all(len(version) == 64 for version in versions)


@pytest.mark.parametrize(
    ("values", "lower", "needs_more"),
    [
        ((), None, True),
        ((3.0,), None, True),
        ((3.0, 3.3), 3.0, False),  # the larger is 1.1 times the smaller, exactly
        ((3.3, 3.0), 3.0, False),
        ((3.0, 3.31), None, True),
        ((3.0, None), None, True),
        ((None, None), None, False),
        ((3.0, 9.0, 4.0), 4.0, False),
        ((3.0, None, 4.0), 3.0, False),
        ((3.0, 3.2, 9.0), 3.0, False),  # two agreed: nobody needed a third
        ((None, None, 9.0), None, False),
        ((None, 9.0, None), None, False),
        ((3.0, 9.0, 4.0, 5.0, 6.0), 4.0, False),  # a fourth is asked by nobody and changes nothing
        ((-0.5, -0.5), -0.5, False),
        ((-0.5, -0.51), None, True),
        ((0.0, 0.1), None, True),
    ],
)
def test_two_judges_agree_or_the_middle_one_of_three_counts(
    asked: dict[str, Subject], values: tuple[float | None, ...], lower: float | None, needs_more: bool
) -> None:
    subject = asked["interpretability.C2"]
    told = joint(subject, said(subject, *values))
    assert (told.lower, told.open) == (lower, needs_more)
    assert told.reason


def test_a_judge_who_reads_again_replaces_the_first_reading(asked: dict[str, Subject]) -> None:
    subject = asked["interpretability.C2"]
    readings = said(subject, 3.0, 9.0) + said(subject, 3.0, names="B")
    assert joint(subject, readings).lower == 3.0


def test_a_panel_needs_its_quorum_and_gives_the_median(asked: dict[str, Subject]) -> None:
    subject = asked["interpretability.panel"]
    assert joint(subject, said(subject, 2.0, None, 4.0)).open
    assert joint(subject, said(subject, 2.0, 9.0, 4.0)).lower == 4.0
    assert joint(subject, said(subject, 2.0, 9.0, 4.0, 5.0)).lower == 4.5


readings = st.lists(st.none() | st.floats(0.1, 100), min_size=2, max_size=3)


@given(values=readings)
def test_no_judge_alone_can_raise_what_counts_and_the_order_of_two_is_of_no_account(
    asked: dict[str, Subject], values: list[float | None]
) -> None:
    subject = asked["interpretability.C2"]
    for order in permutations(values):
        lower = joint(subject, said(subject, *order)).lower
        if lower is not None:
            assert sum(value is not None and value >= lower for value in values) >= 2
    pair = values[:2]
    assert joint(subject, said(subject, *pair)) == joint(subject, said(subject, *reversed(pair)))
