"""What a person recorded of a linked question, and links, as TOML to add to a file of one's own."""

from __future__ import annotations

from collections.abc import Iterable

from questions.model import Link, Record, Seen
from questions.toml_text import toml_value

HEADER = """\
# What stood on the platforms when a person read the linked questions; `speedup questions check-links`
# compares with it. Of several records of one question the latest counts. See questions/README.md.
"""
LINKS_HEADER = """\
# Questions of ours on other platforms; `speedup questions publish` adds what it published. See questions/README.md.
"""


def text_of(records: Iterable[Seen]) -> str:
    """The records as ``[[seen]]`` blocks, each after an empty line; reading them gives the same records."""
    return "".join(_block("seen", record) for record in records)


def links_text(links: Iterable[Link]) -> str:
    """The links as ``[[link]]`` blocks, likewise."""
    return "".join(_block("link", link) for link in links)


def _block(table: str, record: Record) -> str:
    lines = [
        f"{name} = {toml_value(value)}"
        for name, value in record.model_dump(exclude_defaults=True, exclude_none=True).items()
    ]
    return "\n".join(["", f"[[{table}]]", *lines, ""])
