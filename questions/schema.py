"""The JSON Schema of a catalogue file, so that editors complete and check it while it is written."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from questions.model import Link, Record
from questions.question import Question

URL = "https://json-schema.org/draft/2020-12/schema"


class CatalogueTables(Record):
    """A file of questions and links."""

    question: tuple[Question, ...] = ()
    link: tuple[Link, ...] = ()


def catalogue_schema() -> dict[str, Any]:
    """The schema of a TOML file with ``[[question]]`` and ``[[link]]`` tables, dates as ISO text."""
    schema = TypeAdapter(CatalogueTables).json_schema()
    for name in ("factors", "requirements"):
        schema["properties"][name] = {"type": "object"}
    return {"$schema": URL, "title": "Questions and links of Speedup Tracker", **schema}


def schema_text() -> str:
    """The schema as the packaged file holds it."""
    return json.dumps(catalogue_schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
