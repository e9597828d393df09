"""``speedup questions check-links`` over real HTTP: recorded once, then the platform changes."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from questions import catalogue as catalogue_module
from questions.catalogue import Catalogue
from tests.cli.speedup import Answer, Program
from tests.servers.local import LocalServer, json_reply, reply
from tracker.commands import session as session_module

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LINKS = """\
[[link]]
platform = "manifold"
external_id = "first"
url = "https://manifold.markets/market/first"
label = "First"
relation = "context"
view = "model"
by = 2027-01-01T00:00:00Z
ladder = "steps"

[[link]]
platform = "manifold"
external_id = "second"
url = "https://manifold.markets/market/second"
label = "Second"
relation = "context"
view = "model"
by = 2028-01-01T00:00:00Z
ladder = "steps"

[[link]]
platform = "manifold"
external_id = "third"
url = "https://manifold.markets/market/third"
label = "Third"
relation = "context"
view = "model"
"""


def millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@dataclass
class Place:
    """Three markets on loopback, a clock, and the program that is pointed at them."""

    program: Program
    server: LocalServer
    folder: Path
    now: datetime = NOW

    def market(self, name: str, **changes: Any) -> None:
        """Serve a market; ``changes`` replace keys of its answer."""
        body: dict[str, Any] = {
            "id": name,
            "outcomeType": "BINARY",
            "question": f"Will the {name} thing happen?",
            "url": f"https://manifold.markets/Someone/{name}",
            "createdTime": millis(NOW - timedelta(days=60)),
            "closeTime": millis(NOW + timedelta(days=60)),
            "probability": {"first": 0.2, "second": 0.3, "third": 0.5}[name],
            "uniqueBettorCount": 40,
            "volume": 9000,
            "totalLiquidity": 1000,
            "isResolved": False,
            "textDescription": f"Resolves Yes if the {name} thing happens.",
        }
        self.server.route(f"/v0/market/{name}", json_reply(body | changes))

    def check(self, *arguments: str) -> Answer:
        """An hour later: the command, with ``--json``."""
        self.now += timedelta(hours=1)
        return self.program("questions", "check-links", *arguments, "--json")

    def errors(self, *arguments: str) -> list[tuple[str, str]]:
        """(question, message) of every error; the exit code says whether there are any."""
        answer = self.check(*arguments)
        found = [f for f in answer.json["findings"] if f["severity"] == "error"]
        assert answer.code == (1 if found else 0), answer.err
        assert all(f["rule"] == "X01" and f["file"].endswith("mine.toml") and f["fix"] for f in found)
        return [(f["question"], f["message"]) for f in found]


@pytest.fixture
def place(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.toml").write_text(LINKS)
    whole: Callable[..., Catalogue] = catalogue_module.load_catalogue

    def only_mine(paths: Any = ()) -> Catalogue:
        found = whole(paths)
        mine = ("first", "second", "third")
        return replace(found, links=tuple(link for link in found.links if link.external_id in mine))

    with LocalServer() as server:
        server.route("/v0/bets", json_reply([]))
        here = Place(program, server, folder)
        for name in ("first", "second", "third"):
            here.market(name)
        monkeypatch.setenv("SPEEDUP_MANIFOLD_URL", server.url)
        monkeypatch.setenv("SPEEDUP_QUESTIONS_PATH", str(folder))
        monkeypatch.setattr("questions.catalogue.load_catalogue", only_mine)
        monkeypatch.setattr(session_module.Session, "now", lambda self: here.now)
        yield here


@pytest.fixture
def recorded(place: Place) -> Place:
    answer = place.check("--record", "--yes")
    assert answer.code == 0, answer.err
    return place


def test_what_was_never_recorded_is_said_to_be_so(place: Place) -> None:
    answer = place.check()
    assert answer.code == 0
    assert answer.json["questions"] == 3
    unknown = [f for f in answer.json["findings"] if "no person has recorded" in f["message"]]
    assert {(f["rule"], f["severity"]) for f in unknown} == {("X01", "warning")}
    assert [(f["question"], f["line"]) for f in unknown] == [
        ("manifold:first", 1),
        ("manifold:second", 11),
        ("manifold:third", 21),
    ]
    assert set(unknown[0]) == {"question", "rule", "severity", "file", "line", "message", "fix"}


def test_recorded_once_there_is_nothing_to_say_until_something_changes(recorded: Place) -> None:
    assert not [f for f in recorded.check().json["findings"] if f["severity"] != "advice"]
    records = tomllib.loads((recorded.folder / "seen.toml").read_text())["seen"]
    assert {record["external_id"] for record in records} == {"first", "second", "third"}
    again = recorded.check("--record", "--yes")
    assert again.json["recorded"] == []
    assert len(tomllib.loads((recorded.folder / "seen.toml").read_text())["seen"]) == 3


def test_a_changed_title_is_found_and_recording_it_again_accepts_it(recorded: Place) -> None:
    recorded.market("third", question="Will the third thing not happen?")
    ((question, message),) = recorded.errors()
    assert question == "manifold:third"
    assert "title changed" in message
    assert recorded.errors("third") == [(question, message)]
    accepted = recorded.check("manifold:third", "--record", "--yes")
    assert (accepted.code, accepted.json["recorded"]) == (0, ["manifold:third"])
    assert recorded.errors() == []
    text = (recorded.folder / "seen.toml").read_text()
    assert text.startswith("#")
    assert len(tomllib.loads(text)["seen"]) == 4  # the earlier record is kept


def test_changed_criteria_are_found(recorded: Place) -> None:
    recorded.market("third", textDescription="Resolves Yes  if the third thing happens.\n")
    assert recorded.errors() == []
    recorded.market("third", textDescription="Resolves Yes if the third thing is announced.")
    ((question, message),) = recorded.errors()
    assert (question, "criteria changed" in message) == ("manifold:third", True)


def test_a_moved_close_is_found(recorded: Place) -> None:
    recorded.market("third", closeTime=millis(NOW + timedelta(days=90)))
    ((_, message),) = recorded.errors()
    assert "2027-01-19T12:00:00Z to 2027-02-18T12:00:00Z" in message


def test_a_question_that_is_gone_is_found_and_cannot_be_recorded(recorded: Place) -> None:
    recorded.server.route("/v0/market/third", json_reply({"message": "Contract not found"}, 404))
    ((question, message),) = recorded.errors()
    assert (question, "not there" in message) == ("manifold:third", True)
    assert recorded.check("third", "--record", "--yes").json["recorded"] == []
    recorded.market("third")
    assert recorded.errors() == []


def test_a_market_of_another_type_loses_its_outcome(recorded: Place) -> None:
    answers = [{"id": name, "probability": p} for name, p in (("a", 0.5), ("b", 0.5))]
    recorded.market("third", outcomeType="MULTIPLE_CHOICE", answers=answers)
    messages = " ".join(message for _, message in recorded.errors())
    assert "type changed" in messages
    assert "outcome" in messages


def test_thin_overdue_and_contradicting_markets_are_warnings(recorded: Place) -> None:
    recorded.market("first", probability=0.6, uniqueBettorCount=3)
    recorded.now += timedelta(days=100)
    answer = recorded.check()
    assert answer.code == 0
    found = {(f["rule"], f["question"]) for f in answer.json["findings"] if f["severity"] == "warning"}
    assert found >= {("X04", "manifold:first"), ("X05", "manifold:first"), ("X03", "manifold:second")}
    assert ("X04", "manifold:second") not in found


def test_checking_one_rung_asks_for_its_whole_ladder_and_nothing_else(recorded: Place) -> None:
    before = len(recorded.server.requests)
    assert recorded.check("second").json["questions"] == 2
    asked = {seen.path for seen in recorded.server.requests[before:] if seen.path != "/v0/bets"}
    assert asked == {"/v0/market/first", "/v0/market/second"}


def test_a_question_never_polled_is_asked_for_with_its_whole_past(place: Place) -> None:
    """Seeing it once makes it known: without its past then, no later poll would ask for that."""
    made = millis(NOW - timedelta(days=60))
    bet = {"id": "b", "contractId": "third", "createdTime": made + 5000, "probBefore": 0.5, "amount": 5}
    place.server.route("/v0/bets", json_reply([bet | {"probAfter": 0.45, "fills": []}]))
    place.check("third")
    asked = [dict(seen.query) for seen in place.server.seen("/v0/bets")]
    assert [int(query["afterTime"]) for query in asked if query["contractId"] == "third"] == [made - 1]
    place.check("third")
    last = dict(place.server.seen("/v0/bets")[-1].query)
    assert int(last["afterTime"]) > millis(NOW - timedelta(days=2))


def test_the_bytes_are_kept_and_a_later_pull_goes_on_as_ever(recorded: Place) -> None:
    from storage import open_store

    store = open_store(recorded.program.db, create=False)
    try:
        bodies = [raw.body.decode() for raw in store.raw_payloads("manifold")]
        assert any('"Will the third thing happen?"' in body for body in bodies)
    finally:
        store.close()
    recorded.server.route(
        "/v0/market-probs", json_reply({n: {"prob": 0.4} for n in ("first", "second", "third")})
    )
    recorded.now += timedelta(hours=1)
    assert recorded.program("pull", "manifold", "--json").json["sources"][0]["status"] == "ok"


def test_offline_judges_what_is_stored_and_asks_nobody(recorded: Place) -> None:
    recorded.market("third", question="Another title")
    asked = len(recorded.server.requests)
    assert recorded.errors("--offline") == []
    assert len(recorded.server.requests) == asked
    recorded.errors()
    assert len(recorded.errors("--offline")) == 1


def test_a_part_that_cannot_be_fetched_is_exit_1_and_nothing_at_all_is_exit_3(place: Place) -> None:
    place.server.route("/v0/market/third", reply(400, b"{}"))
    answer = place.check()
    assert answer.code == 1
    failed = [f["question"] for f in answer.json["findings"] if "not fetched just now" in f["message"]]
    assert failed == ["manifold:third"]
    assert place.program("questions", "check-links", "--offline", db="sqlite:///none.sqlite").code == 3
    for name in ("first", "second", "third"):
        place.server.route(f"/v0/market/{name}", reply(400, b"{}"))
    elsewhere = f"sqlite:///{place.folder / 'new.sqlite'}"
    nothing = place.program("questions", "check-links", "--json", db=elsewhere)
    assert nothing.code == 3
    assert nothing.json["sources"][0]["status"] == "failed"


def test_a_dry_run_writes_nothing_and_shows_what_it_would(place: Place) -> None:
    document = place.check("--record", "--dry-run").json
    assert [one["external_id"] for one in document["to_record"]] == ["first", "second", "third"]
    assert document["recorded"] == []
    shown = place.program("questions", "check-links", "--record", "--dry-run")
    assert "[[seen]]" in shown.out
    assert list(place.folder.iterdir()) == [place.folder / "mine.toml"]


def test_recording_wants_a_yes_a_place_and_a_toml_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, word in [
        (("--record",), "--yes"),
        (("--yes",), "--record"),
        (("--record", "--yes", "--seen", "seen.txt"), ".toml"),
        (("--record", "--yes", "--seen", "nowhere/seen.toml"), "no folder"),
        (("frist",), "close: first"),
    ]:
        answer = place.check(*arguments)
        assert (answer.code, word in answer.err) == (2, True), answer.err
    assert list(place.folder.iterdir()) == [place.folder / "mine.toml"]
    monkeypatch.setenv("SPEEDUP_QUESTIONS_PATH", str(place.folder / "mine.toml"))
    answer = place.check("--record", "--yes")
    assert (answer.code, "--seen" in answer.err) == (2, True)


def test_a_file_named_by_hand_is_written_and_read(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.toml"
    kept = tmp_path / "kept.toml"
    kept.write_text("# my own words")
    file.symlink_to(kept)
    assert place.check("third", "--record", "--yes", "--seen", str(file)).code == 0
    assert file.is_symlink()
    assert kept.read_text().startswith("# my own words\n")
    place.market("third", question="Another title")
    assert len(place.errors("--seen", str(file))) == 1
    assert place.errors() == []


def test_the_table_counts_and_joins_what_many_questions_share(place: Place) -> None:
    place.now += timedelta(hours=1)
    answer = place.program("questions", "check-links")
    assert answer.code == 0
    assert "3 linked questions: 0 error" in answer.out
    assert "manifold:first and 2 more" in answer.out
