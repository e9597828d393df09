"""What the README shows can be copied into a folder and loads."""

from __future__ import annotations

import re
from importlib import resources

from questions.catalogue import Catalogue, load_catalogue
from questions.lint import RULES
from questions.question import Question
from tests.questions.conftest import Write

README = (resources.files("questions") / "README.md").read_text("utf-8")


def test_the_examples_of_the_readme_load(own: Write, catalogue: Catalogue) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 4
    loaded = load_catalogue([own("\n".join(blocks))])
    assert len(loaded.questions) == len(catalogue.questions) + 1
    assert loaded.links[-1].external_id == "ExampleMarketId"
    assert ("manifold", "ExampleMarketId") in loaded.seen


def test_the_readme_names_every_data_file_and_kind_of_block() -> None:
    for entry in (resources.files("questions") / "data").iterdir():
        if entry.name.endswith(".toml"):
            assert f"`{entry.name}`" in README
    for block in ("date_range", "numeric_range", "ordering", "threshold", "conditional"):
        assert block in Question.model_fields
        assert f"[question.{block}]" in README


def test_the_readme_names_every_rule_of_the_linter_with_its_severity() -> None:
    rows = re.findall(r"^\| (Q[Q0-9, ]+) \| (\w+) \|", README, re.MULTILINE)
    told = {name: severity for names, severity in rows for name in names.split(", ")}
    assert told == {rule.id: rule.severity.value for rule in RULES}
