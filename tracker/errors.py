"""Errors of the doing part; the whole tree is drawn in ``questions.errors``."""

from __future__ import annotations

from collections.abc import Sequence

from questions.errors import CatalogueError, Problem, TrackerError

__all__ = [
    "CatalogueError",
    "ConfigError",
    "FetchError",
    "ParseError",
    "Problem",
    "SourceError",
    "Stopped",
    "TrackerError",
    "UsageError",
]


class UsageError(TrackerError):
    """The call or an input file is wrong; the message says where and what would be right."""

    exit_code = 2


class ConfigError(UsageError):
    """Settings are wrong: all mistakes in one message, each with the setting's name."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(["settings are wrong:", *(f"  {mistake}" for mistake in mistakes)]))


class Stopped(TrackerError):
    """The program was told to end; what was under way is given up and will be done again. Nobody's fault."""


class SourceError(TrackerError):
    """Something about one source and one ref. One of these is a line in the report, not the end of a run.

    ``kind`` is a short stable word (``http_429``, ``timeout``, ``shape``, ``not_permitted``, ...);
    ``retry`` tells whether trying again later can help.
    """

    def __init__(self, source: str, ref: str, kind: str, message: str, *, retry: bool) -> None:
        self.source, self.ref, self.kind, self.retry = source, ref, kind, retry
        self.message = message
        super().__init__(f"{source} {ref}: {message}")


class FetchError(SourceError):
    """The bytes could not be had. ``not_before_s``: seconds the source asked us to stay away.

    ``sent``: whether the source may have got the request.
    """

    def __init__(
        self,
        source: str,
        ref: str,
        kind: str,
        message: str,
        *,
        retry: bool,
        status: int | None = None,
        not_before_s: float | None = None,
        sent: bool = False,
    ) -> None:
        self.status, self.not_before_s, self.sent = status, not_before_s, sent
        super().__init__(source, ref, kind, message, retry=retry)


class ParseError(SourceError):
    """The bytes are not what they should be. ``field`` names the place (a JSON path or a YAML key)."""

    def __init__(self, source: str, ref: str, field: str, message: str) -> None:
        self.field = field
        super().__init__(source, ref, "shape", f"{field}: {message}" if field else message, retry=False)
