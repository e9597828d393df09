"""What a person recorded of a linked question, as TOML to add to a file of one's own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from questions.model import Seen
from questions.time import iso

HEADER = """\
# What stood on the platforms when a person read the linked questions; `speedup questions check-links`
# compares with it. Of several records of one question the latest counts. See questions/README.md.
"""


def text_of(records: Iterable[Seen]) -> str:
    """The records as ``[[seen]]`` blocks, each after an empty line; reading them gives the same records."""
    return "".join(_block(record) for record in records)


def _block(record: Seen) -> str:
    lines = [
        f"{name} = {_value(value)}"
        for name, value in record.model_dump(exclude_defaults=True, exclude_none=True).items()
    ]
    return "\n".join(["", "[[seen]]", *lines, ""])


def _value(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    return _string(str(value))


def _string(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, but DEL needs one, and half a surrogate has none."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
