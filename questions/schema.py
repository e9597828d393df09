"""The JSON Schema of a catalogue file, so that editors complete and check it while it is written."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from questions.model import Link, Platform, Record, Seen
from questions.question import Question

URL = "https://json-schema.org/draft/2020-12/schema"


class CatalogueTables(Record):
    """A file of one's own."""

    question: tuple[Question, ...] = ()
    link: tuple[Link, ...] = ()
    platform: tuple[Platform, ...] = ()
    seen: tuple[Seen, ...] = ()


def catalogue_schema() -> dict[str, Any]:
    """The schema of a TOML file of questions, links, platforms and what was seen; dates are ISO text."""
    schema = TypeAdapter(CatalogueTables).json_schema()
    for name in ("factors", "requirements"):
        schema["properties"][name] = {"type": "object"}
    return {"$schema": URL, "title": "Questions and links of Speedup Tracker", **schema}


def schema_text() -> str:
    """The schema as the packaged file holds it."""
    return json.dumps(catalogue_schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
