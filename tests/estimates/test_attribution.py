"""Which input moved an order: additive and interacting cases worked out by hand."""

import pytest
from hypothesis import given, settings, strategies as st

from tracker.estimates.attribution import attribute

AREAS = ("one", "two", "three")


def sums(inputs):
    """Each input is (area, amount); an area's score is the sum of its amounts."""
    found = {}
    for area, amount in inputs.values():
        found[area] = found.get(area, 0.0) + amount
    return found


def test_the_input_that_moved_is_named_with_its_effect():
    before = {"a": ("one", 2.0), "b": ("two", 1.0), "c": ("three", 0.5)}
    found = attribute(before, before | {"b": ("two", 3.0)}, sums)
    (cause,) = found.causes
    assert (cause.key, cause.before, cause.after) == ("b", ("two", 1.0), ("two", 3.0))
    assert cause.effect == {"one": 0.0, "two": 2.0, "three": 0.0}
    assert cause.undoes == (("two", "one"),)
    assert [(m.area, m.rank_a, m.rank_b) for m in found.moves if m.moved] == [("one", 1, 2), ("two", 2, 1)]
    assert found.changed


def test_nothing_changed_is_no_cause():
    same = {"a": ("one", 2.0), "b": ("two", 1.0)}
    found = attribute(same, dict(same), sums)
    assert (found.causes, found.changed) == ((), False)
    assert set(found.total.values()) == {0.0}


def test_new_and_lost_inputs_bring_and_take_areas():
    before = {"a": ("one", 2.0), "b": ("two", 1.0)}
    found = attribute(before, {"a": ("one", 2.0), "c": ("three", 5.0)}, sums)
    causes = {cause.key: cause for cause in found.causes}
    assert (causes["c"].brings, causes["c"].before) == (("three",), None)
    assert (causes["b"].takes, causes["b"].after) == (("two",), None)
    assert (found.entered, found.left) == (("three",), ("two",))


def test_what_inputs_do_together_is_told_apart():
    def product(inputs):
        return {"one": inputs["a"] * inputs["b"]}

    found = attribute({"a": 1.0, "b": 1.0}, {"a": 3.0, "b": 2.0}, product)
    effects = {cause.key: cause.effect["one"] for cause in found.causes}
    assert effects == {"a": 4.0, "b": 3.0}  # 6 - 2 and 6 - 3
    assert found.together["one"] == pytest.approx(5.0 - 7.0)
    assert [cause.key for cause in found.causes] == ["a", "b"]


amounts = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.sampled_from(AREAS), st.integers(-5, 5).map(float)), max_size=6
)


@settings(deadline=None)
@given(amounts, amounts)
def test_single_effects_of_an_additive_score_add_up(before, after):
    found = attribute(before, after, sums)
    full = {area for area in found.total if all(area in cause.effect for cause in found.causes)}
    for area in full:
        assert found.together[area] == pytest.approx(0.0)
