"""Values as TOML text; reading it gives the same values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime

from questions.time import iso


def toml_value(value: object) -> str:
    """One value: a number, a boolean, a time (UTC), a day, a list, an inline table, else its text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {toml_value(item)}' for key, item in value.items())} }}"
    return _string(str(value))


def _string(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, but DEL needs one, and half a surrogate has none."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
