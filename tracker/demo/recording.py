"""What four platforms would have answered at any moment from late January to August 2026.

Every answer is a pure function of the bundled facts, the request and the moment; the formats are those of
``tracker.demo.formats``. ``python -m tracker.demo.recording DIR`` writes a sample of moments as plain files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from questions.time import utc
from tracker.demo.facts import Facts, QuestionFact, load_facts
from tracker.demo.formats import (
    FIRST_NIGHT_AFTER,
    Post,
    day_over,
    due_dates,
    manifold_market,
    manifold_probs,
    metr_yaml,
    newest_night,
    question_set,
    resolution_set,
    set_dates,
)

PLATFORMS = ("forecastbench", "manifold", "metaculus", "metr")

METACULUS_PAGE = 20  # results a page when ``limit`` is absent
METACULUS_MOST = 100  # higher limits are cut to this without an error
METACULUS_POSTS = "https://www.metaculus.com/api/posts/"  # what ``next`` links start with
MANIFOLD_MOST = 100  # ids in one market-probs call
LATEST_SET = "datasets/question_sets/latest-llm.json"

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
YAML = "text/yaml; charset=utf-8"

Params = Sequence[tuple[str, str]]

_METR_PATH = re.compile(r"assets/benchmark_results_(\d)_(\d)\.yaml")
_MARKET_PATH = re.compile(r"v0/market/([^/]+)")
_POST_PATH = re.compile(r"api/posts/(\d+)/")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer without its transport headers."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Recording:
    """The facts, and how four platforms show them at a moment. Safe to share between threads."""

    facts: Facts

    @property
    def first_day(self) -> date:
        """The day of the first crowd value."""
        return min(question.days[0] for question in self.facts.questions)

    @property
    def last_day(self) -> date:
        """The day of the last crowd value."""
        return max(question.days[-1] for question in self.facts.questions)

    def questions(self, source: str) -> tuple[QuestionFact, ...]:
        """The questions of one platform: ``infer``, ``manifold``, ``metaculus`` or ``polymarket``."""
        return tuple(question for question in self.facts.questions if question.source == source)

    def has_value(self, source: str, question_id: str, at: datetime) -> bool:
        """Whether the crowd's value of a question can be seen at ``at``; False for unknown questions."""
        question = self._by_key.get((source, question_id))
        return question is not None and question.value(day_over(at)) is not None

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, str], QuestionFact]:
        return {(question.source, question.id): question for question in self.facts.questions}

    @cached_property
    def sets(self) -> Mapping[date, tuple[QuestionFact, ...]]:
        """ForecastBench's question sets by due date; sets that none of our questions is in are empty."""
        placed: dict[date, list[QuestionFact]] = {due: [] for due in due_dates()}
        for question in self.facts.questions:
            for due in set_dates(question, tuple(placed)):
                placed[due].append(question)
        return {due: tuple(members) for due, members in placed.items()}

    @cached_property
    def _posts(self) -> Mapping[str, Post]:
        newest_first = sorted(
            self.questions("metaculus"), key=lambda question: int(question.id), reverse=True
        )
        return {question.id: Post.of(question) for question in newest_first}

    def edition(self, platform: str, at: datetime) -> Hashable:
        """While this stays equal, every answer of the platform stays the same: a key for caches."""
        if platform == "metr":
            return max((row.seen for row in self.facts.published if row.seen <= utc(at).date()), default=None)
        if platform == "forecastbench":
            return newest_night(at), utc(at).date()
        return day_over(at)

    def answer(
        self, platform: str, path: str, params: Params = (), *, at: datetime, authorization: str = ""
    ) -> Answer:
        """What the platform says to ``GET path?params`` at ``at``.

        ``path`` is below the platform's base URL, decoded, without a leading slash; ``authorization`` is the
        header of that name. Whatever a client gets wrong is an answer (400, 403, 404), never an exception.
        Raises ValueError for a platform the recording does not have and for a naive ``at``.
        """
        at = utc(at)
        if platform == "metr":
            return self._metr(path, at)
        if platform == "forecastbench":
            return self._forecastbench(path, at)
        if platform == "manifold":
            return self._manifold(path, params, day_over(at))
        if platform == "metaculus":
            return self._metaculus(path, params, day_over(at), authorization)
        raise ValueError(f"no platform {platform!r} in the recording, there are {', '.join(PLATFORMS)}")

    def _metr(self, path: str, at: datetime) -> Answer:
        match = _METR_PATH.fullmatch(path)
        text = metr_yaml(self.facts, ".".join(match.groups()), at.date()) if match else None
        return _missing_file() if text is None else Answer(200, YAML, text.encode())

    def _forecastbench(self, path: str, at: datetime) -> Answer:
        today, night = at.date(), newest_night(at)
        out = [due for due in self.sets if due <= today]
        if path == LATEST_SET and out:
            return Answer(200, TEXT, f"{out[-1]}-llm.json".encode())  # a pointer, not JSON, whatever its name
        for due in out:
            if path == _questions_path(due):
                return Answer(200, TEXT, _encode(question_set(due, self.sets[due])))
            if path == _resolutions_path(due) and due + FIRST_NIGHT_AFTER <= night:
                return Answer(200, TEXT, _encode(resolution_set(due, self.sets[due], night)))
        return _missing_file()

    def _manifold(self, path: str, params: Params, day: date) -> Answer:
        many, one = path == "v0/market-probs", _MARKET_PATH.fullmatch(path)
        if not many and not one:
            return _json(404, {"message": "Not in this recording"})
        allowed = {"ids", "ids[]"} if many else {"lite"}
        wrong = sorted({name for name, _ in params} - allowed)
        ids = [one[1]] if one else [value for name, value in params if name in allowed]
        if wrong or not 1 <= len(ids) <= MANIFOLD_MOST:
            return _invalid(wrong or ["ids"])
        found = [self._by_key.get(("manifold", number)) for number in dict.fromkeys(ids)]
        markets = [question for question in found if question is not None]
        if many:
            return _json(200, manifold_probs(markets, day))
        if not markets:
            return _json(404, {"message": "Contract not found"})
        return _json(200, manifold_market(markets[0], day))

    def _metaculus(self, path: str, params: Params, day: date, authorization: str) -> Answer:
        if not authorization.removeprefix("Token").strip():
            return _json(403, {"detail": "The API is only available to authenticated users."})
        if path == "api/posts/":
            return _json(200, self._metaculus_page(params, day))
        match = _POST_PATH.fullmatch(path)
        post = self._posts.get(match[1]) if match else None
        if post is None:
            return _json(404, {"detail": "Post not found"})
        with_cp = _flag(params, "with_cp", default=True)
        return _json(200, post.as_of(day, with_cp=with_cp, with_history=True))

    def _metaculus_page(self, params: Params, day: date) -> dict[str, Any]:
        wanted = {value for name, value in params if name == "ids"}
        posts = [post for number, post in self._posts.items() if not wanted or number in wanted]
        limit = min(_number(params, "limit", METACULUS_PAGE) or METACULUS_PAGE, METACULUS_MOST)
        offset = _number(params, "offset", 0)
        with_cp = _flag(params, "with_cp", default=False)
        with_history = _flag(params, "include_cp_history", default=False)
        page = posts[offset : offset + limit]
        return {
            "next": _page_link(params, limit, offset + limit),
            "previous": _page_link(params, limit, max(0, offset - limit)) if offset else None,
            "results": [post.as_of(day, with_cp=with_cp, with_history=with_history) for post in page],
        }


def make_recording(facts: Facts | None = None) -> Recording:
    """The recording of these facts (default: the bundled ones)."""
    return Recording(load_facts() if facts is None else facts)


def _questions_path(due: date) -> str:
    return f"datasets/question_sets/{due}-llm.json"


def _resolutions_path(due: date) -> str:
    return f"datasets/resolution_sets/{due}_resolution_set.json"


def _missing_file() -> Answer:
    return Answer(404, TEXT, b"404: Not Found")


def _invalid(names: Iterable[str]) -> Answer:
    """Manifold checks parameters strictly: one it does not know spoils the call."""
    details = [{"field": name, "error": "Unrecognized or invalid parameter"} for name in names]
    return _json(400, {"message": "Error validating request.", "details": details})


def _page_link(params: Params, limit: int, offset: int) -> str:
    """The platform's own link, never null ahead: its paginator pretends that there is always more."""
    kept = [(name, value) for name, value in params if name not in ("limit", "offset")]
    return f"{METACULUS_POSTS}?{urlencode([('limit', limit), ('offset', offset), *kept])}"


def _flag(params: Params, name: str, *, default: bool) -> bool:
    values = [value for key, value in params if key == name]
    return values[-1].lower() in ("true", "1") if values else default


def _number(params: Params, name: str, default: int) -> int:
    """The last whole number given; anything else is ignored without an error, as the platform does."""
    values = [value for key, value in params if key == name]
    return int(values[-1]) if values and re.fullmatch(r"[0-9]{1,9}", values[-1]) else default


def _encode(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _json(status: int, content: object) -> Answer:
    return Answer(status, JSON, _encode(content))


# Looking at it ----------------------------------------------------------------------------------------


def sample_moments(recording: Recording) -> tuple[datetime, ...]:
    """Noon of the first and last day, of each day METR's file changed, and of every first of a month."""
    days = {recording.first_day, recording.last_day, *(row.seen for row in recording.facts.published)}
    span = (recording.last_day - recording.first_day).days
    every = (recording.first_day + timedelta(days=number) for number in range(span + 1))
    days |= {day for day in every if day.day == 1}
    return tuple(datetime(day.year, day.month, day.day, 12, tzinfo=UTC) for day in sorted(days))


def sample_answers(recording: Recording, at: datetime) -> Iterator[tuple[str, Answer]]:
    """Every file and list the platforms have at a moment, each with a relative path to keep it under."""
    for suite in ("1_0", "1_1"):
        path = f"assets/benchmark_results_{suite}.yaml"
        yield f"metr/{path}", recording.answer("metr", path, at=at)
    paths = [LATEST_SET]
    for due in recording.sets:
        paths += [_questions_path(due), _resolutions_path(due)]
    for path in paths:
        yield f"forecastbench/{path}", recording.answer("forecastbench", path, at=at)
    markets = [question.id for question in recording.questions("manifold")]
    probs = recording.answer("manifold", "v0/market-probs", [("ids", number) for number in markets], at=at)
    yield "manifold/v0/market-probs.json", probs
    for number in markets:
        yield f"manifold/v0/market/{number}.json", recording.answer("manifold", f"v0/market/{number}", at=at)
    every = [("with_cp", "true"), ("include_cp_history", "true"), ("limit", str(METACULUS_MOST))]
    yield (
        "metaculus/api/posts.json",
        recording.answer("metaculus", "api/posts/", every, at=at, authorization="Token sample"),
    )


def write_sample(recording: Recording, folder: Path) -> int:
    """Write what is out at the sample moments under ``folder/<date>/<platform>/``; returns how many files."""
    count = 0
    for at in sample_moments(recording):
        for name, answer in sample_answers(recording, at):
            if answer.status == 200:
                place = folder / str(at.date()) / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(answer.body)
                count += 1
    return count


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Write a sample of the demo's recording as plain files into FOLDER."""
    click.echo(f"{write_sample(make_recording(), folder)} files in {folder}")


if __name__ == "__main__":
    main()
