"""The linter over files: right lines, refused records, fixes that keep comments."""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from questions.catalogue import read_draft
from questions.lint import SCHEMA, WAIVER, Report, lint_draft
from questions.lint.buckets import bucket, faults
from questions.lint.fixes import mended
from questions.locate import Locator
from questions.problems import CatalogueFile
from questions.toml_text import toml_value
from tests.questions.conftest import Write
from tests.questions.examples import QUESTION, changed, line_of
from tests.questions.lint_examples import GOOD

LONG = "This is written at length because a short reason is none."


def written(kind: str) -> str:
    """A good question of a kind as its author would write it, one table a block."""
    lines = ["[[question]]"]
    tables: list[str] = []
    for key, value in GOOD[kind].items():
        if isinstance(value, dict):
            tables += [
                "",
                f"[question.{key}]",
                *(f"{name} = {toml_value(item)}" for name, item in value.items()),
            ]
        else:
            lines.append(f"{key} = {toml_value(value)}")
    return "\n".join([*lines, *tables, ""])


@dataclass(frozen=True)
class Look:
    """Reads a folder of one's own beside a small packaged catalogue."""

    base: Path

    def report(self, folder: Path) -> Report:
        draft = read_draft([folder], base=self.base)
        return lint_draft(draft, {file.name for file in draft.files if file.name.startswith(str(folder))})

    def file(self, folder: Path) -> CatalogueFile:
        files = read_draft([folder], base=self.base).files
        return next(file for file in files if file.name.startswith(str(folder)))

    def mended(self, folder: Path) -> str:
        return mended(self.file(folder), self.report(folder).findings)


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Look:
    """The packaged data with one multiple and no links, which is quicker to read."""
    base = tmp_path_factory.mktemp("small")
    for name in ("areas", "batteries", "factors", "requirements", "templates"):
        text = (resources.files("questions") / "data" / f"{name}.toml").read_text("utf-8")
        if name == "templates":
            start = text.index("[[template.threshold]]")
            text = text[:start] + text[text.index("[[template.threshold]]", start + 1) :]
        (base / f"{name}.toml").write_text(text, "utf-8")
    return Look(base)


@pytest.mark.parametrize("kind", sorted(set(GOOD) - {"conditional"}))
def test_a_file_with_a_good_question_has_no_findings(own: Write, look: Look, kind: str) -> None:
    told = look.report(own(written(kind)))
    assert (told.questions, told.findings) == (1, ())


@pytest.mark.parametrize(
    ("old", "new", "rule", "at"),
    [
        (
            'primary_url = "https://bench.example.org/hard/v2.1/results.csv"',
            'primary_url = "https://x.org"',
            "Q01",
            "",
        ),
        ('unit = "%"', 'unit = ""', "Q06", ""),
        ("report_grace_days = 30", "report_grace_days = 0", "Q25", ""),
        ("by 2027-12-31?", "by 2027-11-30?", "Q04", "title ="),
        ('if_silent = "default_outcome"', 'if_gone_silent = "annul"', SCHEMA, "if_gone_silent"),
        ("resolve = 2028-01-31T00:00:00Z", "resolve = 2027-12-30T00:00:00Z", "Q03", ""),
        ("close = 2027-12-31T23:59:59Z", "close = 2027-12-31T23:59:59", "Q04", ""),
        ('comparator = ">="', 'comparator = "about"', "Q06", ""),
        ('version_policy = "pin"', 'version_policy = "whatever"', "Q08", ""),
        ('default_outcome = "no"', 'default_outcome = "maybe"', "Q12", ""),
        ('speedup_kind = "capability_indicator"', 'speedup_kind = "fast"', "Q23", ""),
    ],
)
def test_a_finding_stands_at_the_line_to_edit(
    own: Write, look: Look, old: str, new: str, rule: str, at: str
) -> None:
    text = changed("# mine\n\n" + written("binary"), old, new)
    told = look.report(own(text))
    found = [finding for finding in told.findings if finding.rule == rule]
    assert [(one.question, one.line) for one in found][:1] == [
        ("agentbench-80-2027", line_of(text, at or new))
    ]
    assert found[0].file.endswith("/own/mine.toml")
    assert told.questions == 1


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('tie_outcome = "tie"', 'tie_outcome = "50-50"', "Q15"),
        ('b = "ai_control"\ntie', 'b = "interpretability"\ntie', "Q15"),
        ("[question.ordering]", "[question.numeric_range]", "Q17"),
    ],
)
def test_what_a_record_refuses_carries_its_rule(
    own: Write, look: Look, old: str, new: str, rule: str
) -> None:
    told = look.report(own(changed(QUESTION, old, new)))
    assert rule in {finding.rule for finding in told.findings}
    assert {finding.question for finding in told.findings} == {"own-ordering-2x"}


def test_a_refused_question_does_not_hide_the_findings_of_another(own: Write, look: Look) -> None:
    bad = changed(written("binary"), 'kind = "binary"', 'kind = "perhaps"')
    other = changed(written("event"), 'id = "agentbench-80-2027"', 'id = "bill-2027"')
    told = look.report(own(bad + "\n" + changed(other, 'if_gone = "last_snapshot"\n', "")))
    assert told.questions == 2
    assert {(one.question, one.rule) for one in told.findings} == {
        ("agentbench-80-2027", SCHEMA),
        ("bill-2027", "Q09"),
    }


def test_a_file_that_is_no_toml_is_a_finding(own: Write, look: Look) -> None:
    (found,) = look.report(own("[[question]\n")).findings
    assert (found.rule, found.line) == (SCHEMA, 1)
    assert "not valid TOML" in found.message


def test_generated_questions_point_to_their_template(base: Path) -> None:
    path = base / "templates.toml"
    text = path.read_text().replace('rounding = "ratios and interval ends are compared unrounded"\n', "", 1)
    path.write_text(text)
    told = lint_draft(read_draft(base=base))
    found = [finding for finding in told.findings if finding.rule == "Q07"]
    laid_over = [finding for finding in found if finding.question.startswith("ord-safety-vs-capabilities-")]
    assert {finding.line for finding in laid_over} == {line_of(text, "[template.group.measurement]")}
    found = [finding for finding in found if finding not in laid_over]
    assert (len(found), len(laid_over)) == (90, 4)
    assert {(one.file, one.line) for one in found} == {
        (str(path), line_of(text, "[template.ordering.measurement]"))
    }


# Fixes --------------------------------------------------------------------------------------------------


def test_fixes_change_notation_alone_and_keep_comments(own: Write, look: Look) -> None:
    good = written("binary") + f'\n[question.waivers]\nQ18 = "{LONG}"  # old\n'
    spoilt = good
    for old, new in (
        ('kind = "binary"', "kind = 'Binary'   # two outcomes"),
        ("open = 2027-01-04T00:00:00Z", 'open = "2027-01-04T00:00:00Z"  # a Monday'),
        ('comparator = ">="', 'comparator = "≥"'),
        ('event_basis = "event_date"', 'event_basis = "Event date"'),
    ):
        spoilt = changed(spoilt, old, new)
    folder = own(spoilt)
    first = look.mended(folder)
    assert 'kind = "binary"   # two outcomes' in first
    assert "open = 2027-01-04T00:00:00Z  # a Monday" in first
    second = look.mended(own(first))
    assert "Q18" not in second
    assert look.report(own(second)).findings == ()
    values = tomllib.loads(second)["question"][0]
    expected = tomllib.loads(good)["question"][0]
    assert {**values, "waivers": None} == {**expected, "waivers": None}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("close = 2027-12-31T23:59:59Z", 'close = "2027-12-31T23:59:59"'),
        ("close = 2027-12-31T23:59:59Z", "close = 2027-12-31T23:59:59"),
        ("close = 2027-12-31T23:59:59Z", 'close = "the last day"'),
        ('primary_url = "https://bench', 'primary_url = "http://bench'),
        ('if_gone = "last_snapshot"\n', ""),
        ('kind = "binary"', 'kind = "yes/no"'),
    ],
)
def test_what_would_have_to_be_guessed_is_left_alone(own: Write, look: Look, old: str, new: str) -> None:
    folder = own(changed(written("binary"), old, new))
    assert look.mended(folder) == look.file(folder).text


def test_a_waiver_that_is_needed_is_not_taken_out(own: Write, look: Look) -> None:
    vague = written("binary").replace("a system", "a leading system")
    folder = own(f'{vague}\n[question.waivers]\nQ18 = "{LONG}"\n')
    assert WAIVER not in {finding.rule for finding in look.report(folder).findings}
    assert look.mended(folder) == look.file(folder).text


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.booleans()
        | st.integers(-(2**60), 2**60)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"]))
        | st.dates(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), inner)
        ),
        max_leaves=8,
    )
)
def test_values_survive_being_written_as_toml(value: object) -> None:
    text = f"value = {toml_value(value)}"
    assert tomllib.loads(text) == {"value": value}
    assert Locator(text).line(("value",)) == 1


# Ranges -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("< 10", (float("-inf"), 10.0, False, False)),
        ("at most 10%", (float("-inf"), 10.0, False, True)),
        ("1,000 or more", (1000.0, float("inf"), True, False)),
        ("[10; 20)", (10.0, 20.0, True, False)),
        ("10 to under 20 minutes", (10.0, 20.0, True, False)),
        ("10–20", (10.0, 20.0, None, None)),
        ("2.5x to 3.5x", (2.5, 3.5, None, None)),
    ],
)
def test_a_range_is_read_from_its_wording(
    text: str, ends: tuple[float, float, bool | None, bool | None]
) -> None:
    found = bucket(text)
    assert found is not None
    assert (found.lower, found.upper, found.with_lower, found.with_upper) == ends


@pytest.mark.parametrize("text", ["Alpha", "yes", "GPT-4 or later", "2027-01-01", "other or none"])
def test_other_outcomes_are_no_ranges(text: str) -> None:
    assert bucket(text) is None


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=5, unique=True), st.integers(-60, 60))
def test_ranges_without_a_fault_hold_every_number_exactly_once(ends: list[int], value: int) -> None:
    """Random cuts of the number line, one of them moved: a fault is told if and only if a number falls out."""
    cuts = sorted(ends)
    names = [f"< {cuts[0]}", *(f"[{a}, {b})" for a, b in itertools.pairwise(cuts)), f">= {cuts[-1]}"]
    assert list(faults(names, whole=False)) == []
    held = [one for one in map(bucket, names) if one and one.lower <= value < one.upper]
    assert len(held) == 1
    if len(names) > 2:
        assert list(faults([*names[:1], *names[2:]], whole=False)) != []
