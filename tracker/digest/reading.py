"""A store read for one digest: what was asked before is not asked again."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, cast

from storage.store import Store

REMEMBERED = frozenset(
    {
        "streams",
        "latest",
        "series_ids",
        "versions",
        "measurements",
        "resolutions",
        "infos",
        "question_health",
        "forecasts",
        "receipts",
        "raw_payloads",
        "runs",
        "orderings",
    }
)


@contextmanager
def unswept() -> Iterator[None]:
    """No search for garbage in cycles meanwhile: what a digest is made from stays in use until it is made, and looking
    through it again and again takes a tenth of the time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


class _Remembering:
    """Answers with what it heard, as long as nothing is written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heard: dict[Any, Any] = {}

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._store, name)
        if name not in REMEMBERED:
            return asked
        answer = self._remembered(name, asked)
        self.__dict__[name] = answer
        return answer

    def _remembered(self, name: str, asked: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(asked)
        def answer(*arguments: Any, **named: Any) -> Any:
            told = tuple(tuple(one) if isinstance(one, list) else one for one in arguments)
            key = (name, told, tuple(sorted(named.items())))
            if key not in self._heard:
                found = asked(*arguments, **named)
                self._heard[key] = found if isinstance(found, dict) else list(found)
            return self._heard[key]

        return answer


def remembering(store: Store) -> Store:
    """The same store, each question asked once: for a reader of what was known at a time, who writes nothing."""
    return cast("Store", _Remembering(store))
