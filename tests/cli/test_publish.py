"""``speedup questions publish`` against a server that behaves like Manifold's documented write API."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import threading
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from questions import catalogue as catalogue_module
from questions.catalogue import Catalogue
from questions.time import EPOCH
from storage import open_store
from storage.records import Run, RunState
from tests.cli.speedup import Answer, Program
from tests.cli.test_lint import RULE
from tests.questions.examples import changed
from tests.questions.test_lint_files import written
from tests.servers.local import LocalServer, hang_up, html_page, json_reply, reset, stall, too_many
from tests.servers.manifold import Fault, Manifold, Owner
from tracker.commands import session as session_module
from tracker.publish import flow

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = "canary-4f1c9e"
TITLE = "Does a system score at least 80% on AgentBench Hard by 2027-12-31?"
QUESTION = changed(
    changed(written("binary"), 'id = "agentbench-80-2027"', 'id = "own-binary"'),
    "outcomes = ",
    f"{RULE}\noutcomes = ",
)
ORDERING = "ord-agent-scaffolding-vs-ai-control-3x"
DATE = "date-interpretability-10x"


@dataclass
class Place:
    """A question of one's own, an account with mana, and the program that is pointed at both."""

    program: Program
    server: LocalServer
    manifold: Manifold
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    now: datetime = NOW

    def publish(self, *arguments: str, question: str = "own-binary", to: str = "manifold") -> Answer:
        return self.program("questions", "publish", question, "--to", to, *arguments, "--json")

    def links(self) -> list[dict[str, Any]]:
        file = self.folder / "links.toml"
        return tomllib.loads(file.read_text())["link"] if file.exists() else []

    def ledger(self) -> list[tuple[str, str, str]]:
        store = open_store(self.program.db)
        try:
            return [(run.job, run.state.value, run.message) for run in store.runs() if "publish" in run.job]
        finally:
            store.close()

    def without_key(self) -> None:
        self.monkeypatch.delenv("SPEEDUP_MANIFOLD_KEY")


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: its migrations take longer than all else here."""
    file = tmp_path_factory.mktemp("database") / "empty.sqlite"
    open_store(f"sqlite:///{file}", create=True).close()
    return file


@pytest.fixture(scope="module")
def generated() -> Callable[..., Any]:
    """The shipped questions, made once: they are the same in every test."""
    real, made = catalogue_module.generate, []

    def generate(*arguments: Any) -> Any:
        if not made:
            made.extend(real(*arguments))
        return made

    return generate


@pytest.fixture
def place(
    program: Program,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    empty_database: Path,
    generated: Callable[..., Any],
) -> Iterator[Place]:
    monkeypatch.setattr(catalogue_module, "generate", generated)
    shutil.copy(empty_database, tmp_path / "speedup.sqlite")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.toml").write_text(QUESTION)
    with LocalServer() as server:
        manifold = Manifold(server, lambda: int(here.now.timestamp() * 1000))
        manifold.accounts[KEY] = Owner("u1", "maker", 500)
        here = Place(program, server, manifold, folder, monkeypatch)
        monkeypatch.setenv("SPEEDUP_MANIFOLD_URL", server.url)
        monkeypatch.setenv("SPEEDUP_MANIFOLD_KEY", KEY)
        monkeypatch.setenv("SPEEDUP_QUESTIONS_PATH", str(folder))
        monkeypatch.setattr(session_module.Session, "now", lambda self: here.now)
        monkeypatch.setattr(flow, "LOOK_AGAIN_S", (0.0, 0.01, 0.02))
        monkeypatch.setattr(flow, "CREATING_S", 0.3)
        yield here


# Showing ----------------------------------------------------------------------------------------------


def test_without_yes_nothing_is_sent_and_everything_is_shown(place: Place) -> None:
    answer = place.publish()
    assert answer.code == 0, answer.err
    shown = answer.json
    assert (shown["status"], shown["cost_mana"], shown["balance_mana"]) == ("dry_run", 100, 500)
    assert shown["would_send"]["url"] == f"{place.server.url}/v0/market"
    assert not place.manifold.posts
    assert place.links() == []
    assert place.ledger() == []

    assert place.publish("--yes").code == 0
    assert place.manifold.posts == [shown["would_send"]["body"]]


def test_in_words_it_says_what_it_costs_and_that_nothing_was_sent(place: Place) -> None:
    answer = place.program("questions", "publish", DATE, "--to", "manifold")
    assert "By 2033-12-31" in answer.out
    assert "It would cost 175 mana. Nothing was sent; --yes sends it." in answer.out
    assert "## Resolution" in answer.out


def test_without_a_key_nobody_is_asked(place: Place) -> None:
    place.without_key()
    answer = place.publish()
    assert answer.code == 0
    assert answer.json["would_send"]["body"]["idempotencyKey"] is None
    assert "SPEEDUP_MANIFOLD_KEY is not set" in answer.err
    assert place.server.requests == []
    refused = place.publish("--yes")
    assert (refused.code, "SPEEDUP_MANIFOLD_KEY" in refused.err) == (2, True)
    assert place.server.requests == []


def test_a_dry_run_says_when_the_mana_would_not_do(place: Place) -> None:
    place.manifold.accounts[KEY].balance = 99
    answer = place.publish("--dry-run")
    assert answer.code == 0
    assert "the account has 99: it could not be made" in answer.err


# Making it --------------------------------------------------------------------------------------------


def test_a_market_is_made_once_linked_as_the_same_and_paid_once(place: Place) -> None:
    answer = place.publish("--send")
    assert answer.code == 0, answer.err
    assert answer.json["status"] == "created"
    (ref,) = place.manifold.markets
    (link,) = place.links()
    assert (link["platform"], link["external_id"], link["relation"]) == ("manifold", ref, "same")
    assert (link["question"], link.get("outcome", "yes")) == ("own-binary", "yes")
    assert "by" not in link  # no speedup: Yes tells no direction
    assert place.ledger() == [("publish:manifold:own-binary@1", "done", ref)]
    assert place.manifold.accounts[KEY].balance == 400

    again = place.publish("--yes")
    assert (again.code, again.json["status"]) == (0, "already_linked")
    assert again.json["market"]["id"] == ref
    assert again.json["notes"] == []
    assert len(place.manifold.posts) == 1


@pytest.mark.parametrize(
    ("question", "outcomes", "cost"), [(ORDERING, 4, 100), (DATE, 2, 175)], ids=["ordering", "date"]
)
def test_what_was_published_is_followed(place: Place, question: str, outcomes: int, cost: int) -> None:
    assert place.publish("--yes", question=question).code == 0
    assert place.manifold.accounts[KEY].balance == 500 - cost
    (ref,) = place.manifold.markets
    links = place.links()
    assert len(links) == outcomes

    whole: Callable[..., Catalogue] = catalogue_module.load_catalogue

    def only_ours(paths: Any = ()) -> Catalogue:
        found = whole(paths)
        return replace(found, links=tuple(link for link in found.links if link.external_id == ref))

    place.monkeypatch.setattr("questions.catalogue.load_catalogue", only_ours)
    pulled = place.program("pull", "manifold", "--json")
    assert pulled.code == 0, pulled.out
    assert pulled.json["sources"][0]["snapshots_new"] >= outcomes
    assert len(place.links()) == outcomes
    assert place.publish(question=question).json["status"] == "already_linked"


def test_links_go_to_the_end_of_a_file_that_is_there(place: Place) -> None:
    file = place.folder / "links.toml"
    file.write_text("# mine\n" + 'platform = [{key = "own", money = "none", transform = "identity"}]')
    file.chmod(0o600)
    assert place.publish("--yes").code == 0
    assert file.read_text().startswith("# mine\n")
    assert len(place.links()) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_elsewhere_is_written_and_said_not_to_be_read(place: Place, tmp_path: Path) -> None:
    answer = place.publish("--yes", "--links", str(tmp_path / "other.toml"))
    assert answer.code == 0
    assert "in no folder of SPEEDUP_QUESTIONS_PATH" in answer.err
    assert len(tomllib.loads((tmp_path / "other.toml").read_text())["link"]) == 1
    # Its link is unknown to the next run: the market is found, and not made again.
    assert place.publish("--yes").json["status"] == "found"
    assert len(place.manifold.posts) == 1


def test_a_lost_file_of_links_is_written_again_from_the_market(place: Place) -> None:
    assert place.publish("--yes", question=DATE).code == 0
    before = place.links()
    (place.folder / "links.toml").unlink()
    place.now += timedelta(days=900)  # by then two steps of the ladder are past
    answer = place.publish("--yes", question=DATE)
    assert (answer.code, answer.json["status"]) == (0, "found"), answer.err
    strip = [{**link, "checked": ""} for link in before]
    assert [{**link, "checked": ""} for link in place.links()] == strip
    assert len(place.manifold.posts) == 1


def test_another_version_is_another_market_once_the_first_is_let_go_of(place: Place) -> None:
    assert place.publish("--yes").code == 0
    second = changed(QUESTION, "version = 1\n", "version = 2\n")
    (place.folder / "mine.toml").write_text(second)
    linked = place.publish("--yes")
    assert linked.json["status"] == "already_linked"
    assert "does not say that this is version 2" in linked.json["notes"][0]
    (place.folder / "links.toml").unlink()
    assert "or rename it" in place.publish("--yes").err  # the same title stands already
    (place.folder / "mine.toml").write_text(changed(second, "Does a system", "Does any system"))
    assert place.publish("--yes").json["status"] == "created"
    assert len(place.manifold.markets) == 2


def test_without_leave_to_write_the_links_nothing_is_sent(place: Place) -> None:
    place.monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != place.folder)
    answer = place.publish("--yes")
    assert (answer.code, "not yours to write to" in answer.err) == (2, True)
    assert not place.manifold.posts


def test_links_that_cannot_be_written_are_shown_and_the_market_told(place: Place, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.toml"
    spoilt.write_bytes(b"\xff")
    answer = place.publish("--yes", "--links", str(spoilt))
    assert (answer.code, answer.json["status"]) == (1, "created")
    (ref,) = place.manifold.markets
    assert f'external_id = "{ref}"' in answer.err
    assert spoilt.read_bytes() == b"\xff"
    assert place.publish("--yes").json["status"] == "found"


# Refusals ---------------------------------------------------------------------------------------------


def test_a_key_that_is_none_sends_nothing(place: Place) -> None:
    place.monkeypatch.setenv("SPEEDUP_MANIFOLD_KEY", "canary-wrong")
    for arguments in ((), ("--yes",)):
        answer = place.publish(*arguments)
        assert answer.code == 3
        assert "does not accept SPEEDUP_MANIFOLD_KEY (HTTP 401)" in answer.err
        assert "canary" not in answer.out + answer.err
    assert not place.manifold.posts


def test_too_little_mana_sends_nothing(place: Place) -> None:
    place.manifold.accounts[KEY].balance = 99
    answer = place.publish("--yes")
    assert answer.code == 3
    assert "it costs 100 mana and maker has 99; nothing was sent" in answer.err
    assert not place.manifold.posts
    assert place.ledger() == []


def test_mana_spent_in_between_is_manifolds_refusal_and_may_be_tried_again(place: Place) -> None:
    def spend() -> None:
        place.manifold.accounts[KEY].balance = 10

    place.manifold.before_post = spend
    answer = place.publish("--yes")
    assert answer.code == 3
    assert "answered 403" in answer.err
    assert "Balance must be at least 100." in answer.err
    assert place.ledger()[0][1] == "failed"
    place.manifold.before_post = lambda: None
    place.manifold.accounts[KEY].balance = 500
    assert place.publish("--yes").json["status"] == "created"


@pytest.mark.parametrize("status", [401, 403, 404, 429])
def test_what_manifold_surely_refused_is_not_looked_for(place: Place, status: int) -> None:
    refusal = too_many(1) if status == 429 else json_reply({"message": "You are banned"}, status)
    place.manifold.faults.append(Fault(instead=refusal))
    answer = place.publish("--yes")
    assert (answer.code, f"answered {status}" in answer.err) == (3, True)
    assert place.server.requests[-1].method == "POST"
    assert place.ledger()[0][1] == "failed"
    assert place.links() == []


def test_a_bad_request_is_told_with_manifolds_words_and_looked_for_once(place: Place) -> None:
    wrong = {
        "message": "Error validating request.",
        "details": [{"field": "closeTime", "error": "in the past"}],
    }
    place.manifold.faults.append(Fault(instead=json_reply(wrong, 400)))
    answer = place.publish("--yes")
    assert answer.code == 3
    assert "closeTime" in answer.err
    assert "No market was made" in answer.err
    assert [seen.path for seen in place.server.requests][-1] == "/v0/markets"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 302])
def test_a_fault_on_their_side_is_looked_into_and_may_be_tried_again(place: Place, status: int) -> None:
    place.manifold.faults.append(Fault(instead=json_reply({"message": "Transaction conflict"}, status)))
    answer = place.publish("--yes")
    assert (answer.code, "there was no market" in answer.err) == (3, True)
    assert len(place.manifold.posts) == 1
    assert place.ledger()[0][1:2] == ("failed",)
    assert place.publish("--yes").json["status"] == "created"
    assert len(place.manifold.markets) == 1


@pytest.mark.parametrize("fault", [stall(), hang_up(), reset()], ids=["silence", "hang up", "reset"])
def test_an_answer_lost_before_acceptance_makes_no_market_and_may_be_tried_again(
    place: Place, fault: Any
) -> None:
    place.manifold.faults.append(Fault(instead=fault))
    answer = place.publish("--yes")
    assert (answer.code, "there was no market" in answer.err) == (3, True)
    assert "answer lost" in place.ledger()[0][2]
    assert place.links() == []
    assert place.publish("--yes").json["status"] == "created"
    assert place.manifold.accounts[KEY].balance == 400


@pytest.mark.parametrize(
    "fault",
    [stall(), hang_up(), reset(), json_reply({}, 500), html_page(), json_reply({"message": "dup"}, 400)],
    ids=["silence", "hang up", "reset", "500", "a page", "400"],
)
def test_an_answer_lost_after_acceptance_finds_the_market(place: Place, fault: Any) -> None:
    place.manifold.faults.append(Fault(after=fault))
    answer = place.publish("--yes")
    assert answer.code == 0, answer.err
    (ref,) = place.manifold.markets
    assert answer.json["market"]["id"] == ref
    assert place.links()[0]["external_id"] == ref
    assert place.ledger() == [("publish:manifold:own-binary@1", "done", ref)]
    assert len(place.manifold.posts) == 1
    assert place.manifold.accounts[KEY].balance == 400


def test_a_market_that_got_another_id_is_found_by_title_and_mark(place: Place) -> None:
    place.manifold.ignores_keys = True
    place.manifold.faults.append(Fault(after=hang_up()))
    answer = place.publish("--yes")
    assert answer.code == 0, answer.err
    assert [link["external_id"] for link in place.links()] == list(place.manifold.markets)
    (place.folder / "links.toml").unlink()
    assert place.publish("--yes").json["status"] == "found"
    assert len(place.manifold.posts) == 1


def test_a_market_that_shows_up_late_is_waited_for(place: Place) -> None:
    place.manifold.faults.append(Fault(after=stall(), hidden_for=4))
    answer = place.publish("--yes")
    assert answer.code == 0, answer.err
    assert len(place.manifold.markets) == 1


def test_a_market_that_shows_up_much_later_is_found_by_the_next_run(place: Place) -> None:
    place.manifold.faults.append(Fault(after=stall(), hidden_for=10))
    assert place.publish("--yes").code == 3
    place.manifold.hidden = 0
    answer = place.publish("--yes")
    assert (answer.code, answer.json["status"]) == (0, "found")
    assert len(place.manifold.posts) == 1


def test_a_second_sending_of_a_market_that_stays_hidden_is_refused_by_its_id(place: Place) -> None:
    place.manifold.faults.append(Fault(after=stall(), hidden_for=10))
    assert place.publish("--yes").code == 3
    place.manifold.hidden = 2  # once more it does not show: at the look before the sending
    answer = place.publish("--yes")
    assert answer.code == 0, answer.err
    assert len(place.manifold.posts) == 2
    assert len(place.manifold.markets) == 1
    assert place.manifold.accounts[KEY].balance == 400


def test_when_manifold_is_gone_after_the_sending_that_is_said(place: Place) -> None:
    def vanish() -> None:
        place.server.route_others(lambda _: json_reply({"message": "gone"}, 400))

    place.manifold.before_post = vanish
    place.manifold.faults.append(Fault(after=stall()))
    answer = place.publish("--yes")
    assert answer.code == 3
    assert "Whether the market was made is not known" in answer.err
    assert "answer lost" in place.ledger()[0][2]
    place.server.route_others(place.manifold.answer)
    place.manifold.before_post = lambda: None
    assert place.publish("--yes").json["status"] == "found"


# Never twice ------------------------------------------------------------------------------------------


def test_of_two_runs_at_once_one_sends(place: Place, tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=5)
    real = flow.find
    local = threading.local()

    def look_together(*arguments: Any) -> Any:
        found = real(*arguments)
        if not getattr(local, "met", False):
            local.met = True
            both.wait()  # both have looked and seen nothing
        return found

    place.monkeypatch.setattr(flow, "find", look_together)
    arguments = ["questions", "publish", "own-binary", "--to", "manifold", "--yes", "--db", place.program.db]
    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(lambda _: _run(arguments), range(2)))
    assert codes == [0, 3]
    assert len(place.manifold.posts) == 1
    assert len(place.links()) == 1


def test_of_two_machines_at_once_one_makes_it_and_the_other_finds_it(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "CREATING_S", 30.0)  # both wait for each other
    both = threading.Barrier(2, timeout=30)
    place.manifold.before_post = lambda: both.wait() and None
    shutil.copy(tmp_path / "speedup.sqlite", tmp_path / "other.sqlite")
    databases = [f"sqlite:///{tmp_path / name}.sqlite" for name in ("speedup", "other")]
    arguments = ["questions", "publish", "own-binary", "--to", "manifold", "--yes", "--db"]
    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(lambda db: _run([*arguments, db]), databases))
    assert codes == [0, 0]
    assert len(place.manifold.posts) == 2
    assert len(place.manifold.markets) == 1
    assert place.manifold.accounts[KEY].balance == 400


def _run(arguments: list[str]) -> int:
    from tracker.commands.root import run

    return run(arguments)


def test_a_run_broken_off_while_sending_is_known_and_waited_for(place: Place) -> None:
    store = open_store(place.program.db)
    store.begin_run("publish:manifold:own-binary@1", EPOCH, NOW)
    store.close()
    answer = place.publish("--yes")
    assert answer.code == 3
    assert "since 2026-11-20T12:00:00Z, or was broken off" in answer.err
    assert "2026-11-20T13:00:00Z" in answer.err
    assert not place.manifold.posts
    place.now += timedelta(hours=1, minutes=1)
    assert place.publish("--yes").json["status"] == "created"


def test_a_run_broken_off_after_acceptance_is_mended_at_once(place: Place) -> None:
    assert place.publish("--yes").code == 0
    (ref,) = place.manifold.markets
    (place.folder / "links.toml").unlink()
    store = open_store(place.program.db)
    store.end_run(Run("publish:manifold:own-binary@1", EPOCH, RunState.RUNNING, NOW))
    store.close()
    assert place.publish("--yes").json["status"] == "found"
    assert place.ledger() == [("publish:manifold:own-binary@1", "done", ref)]


def test_a_market_that_was_made_and_is_gone_is_not_made_again(place: Place) -> None:
    assert place.publish("--yes").code == 0
    (place.folder / "links.toml").unlink()
    place.manifold.markets.clear()
    answer = place.publish("--yes")
    assert (answer.code, "does not show that market any more" in answer.err) == (3, True)
    assert len(place.manifold.posts) == 1


def test_a_market_of_the_same_title_made_by_hand_is_not_doubled(place: Place) -> None:
    body = {
        "outcomeType": "BINARY",
        "question": TITLE,
        "closeTime": int((NOW + timedelta(days=9)).timestamp() * 1000),
        "liquidityTier": 100,
    }
    place.manifold.create(Owner("u1", "maker", 500), body)
    for arguments in ((), ("--yes",)):
        answer = place.publish(*arguments)
        assert answer.code == 3
        assert "add a [[link]] to it by hand" in answer.err
    assert not place.manifold.posts


def test_the_same_title_by_somebody_else_does_not_matter(place: Place) -> None:
    place.manifold.accounts["other"] = Owner("u2", "another", 500)
    place.monkeypatch.setenv("SPEEDUP_MANIFOLD_KEY", "other")
    assert place.publish("--yes", "--links", str(place.folder.parent / "x.toml")).code == 0
    place.monkeypatch.setenv("SPEEDUP_MANIFOLD_KEY", KEY)
    assert place.program("questions", "publish", "own-binary", "--to", "manifold", "--json").json[
        "status"
    ] == ("dry_run")


def test_a_market_under_our_id_that_is_not_ours_is_left_alone(place: Place) -> None:
    assert place.publish("--yes").code == 0
    (place.folder / "links.toml").unlink()
    (market,) = place.manifold.markets.values()
    market["creatorId"] = "u2"
    answer = place.publish("--yes")
    assert (answer.code, "it belongs to another account" in answer.err) == (3, True)
    assert len(place.manifold.posts) == 1


# Fit to be published ----------------------------------------------------------------------------------


def test_a_question_the_linter_refuses_is_not_published(place: Place) -> None:
    (place.folder / "mine.toml").write_text(changed(QUESTION, 'if_gone = "last_snapshot"\n', ""))
    shown = place.publish()
    assert (shown.code, "--yes would refuse it: Q09" in shown.err) == (0, True)
    refused = place.publish("--yes")
    assert (refused.code, "not fit to be published" in refused.err, "Q09" in refused.err) == (2, True, True)
    assert not place.manifold.posts
    assert "not fit to be published: Q09" in place.publish(to="metaculus").err


def test_a_test_world_that_comes_out_otherwise_forbids_it(place: Place) -> None:
    (place.folder / "mine.toml").write_text(changed(QUESTION, 'expected = "yes"', 'expected = "no"'))
    refused = place.publish("--yes")
    assert (refused.code, "Q13" in refused.err) == (2, True)
    assert not place.manifold.posts


# The key ----------------------------------------------------------------------------------------------


def test_the_key_is_in_one_header_and_nowhere_else(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "key"
    secret.write_text(KEY + "\n")
    place.monkeypatch.delenv("SPEEDUP_MANIFOLD_KEY")
    place.monkeypatch.setenv("SPEEDUP_MANIFOLD_KEY_FILE", str(secret))
    place.manifold.faults.append(Fault(instead=json_reply({"message": f"bad key {KEY}"}, 403)))
    said = ""
    with caplog.at_level(logging.DEBUG):
        for arguments in ((), ("--yes",), ("--yes",)):
            answer = place.publish(*arguments)
            said += answer.out + answer.err
    assert place.manifold.markets
    assert all(seen.headers["authorization"] == f"Key {KEY}" for seen in place.server.requests)
    assert KEY not in said + caplog.text + json.dumps(place.manifold.posts) + str(place.ledger())
    assert KEY not in (place.folder / "links.toml").read_text()


# Drafts and pages -------------------------------------------------------------------------------------


def test_drafts_are_printed_or_written_to_a_new_file(place: Place, tmp_path: Path) -> None:
    printed = place.program("questions", "publish", DATE, "--to", "metaculus")
    assert (printed.code, printed.out.startswith("# Draft for Metaculus: ")) == (0, True)
    out = tmp_path / "draft.md"
    assert (
        place.publish("--out", str(out), "--dry-run", question=DATE, to="metaculus").json["written"] is False
    )
    assert not out.exists()
    assert place.publish("--out", str(out), question=DATE, to="metaculus").json["written"] is True
    assert out.read_text() == printed.out
    again = place.publish("--out", str(out), question=DATE, to="file")
    assert (again.code, "is there already" in again.err) == (2, True)
    assert out.read_text() == printed.out
    assert place.server.requests == []


def test_export_writes_a_page_for_each_question_and_an_index(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    assert place.program("questions", "export", str(folder), "--dry-run").code == 0
    assert not folder.exists()
    answer = place.program("questions", "export", str(folder), "--json")
    assert answer.code == 0
    assert sorted(path.name for path in folder.iterdir()) == answer.json["files"]
    assert (
        len(answer.json["files"]) == len(catalogue_module.load_catalogue().questions) + 2
    )  # the one of our own, the index
    page = place.publish(question="own-binary", to="file").json["draft"]
    assert (folder / "own-binary.md").read_text() == page
    assert "- [own-binary](own-binary.md): " in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["publish", "own-binry", "--to", "file"], "close: own-binary"),
        (["publish", "own-binary", "--to", "file", "--yes"], "--yes and --links belong to --to manifold"),
        (["publish", "own-binary", "--to", "manifold", "--out", "x"], "--out belongs to drafts"),
        (["publish", "own-binary", "--to", "manifold", "--yes", "--dry-run"], "exclude each other"),
        (["publish", "own-binary", "--to", "manifold", "--yes", "--links", "x.txt"], "end in .toml"),
        (["publish", "own-binary", "--to", "manifold", "--tier", "50"], "--tier"),
        (["export", "pages", "no-such"], "no question 'no-such'"),
    ],
)
def test_wrong_calls_say_what_would_be_right(place: Place, arguments: list[str], said: str) -> None:
    answer = place.program("questions", *arguments)
    assert (answer.code, said in answer.err) == (2, True), answer.err
    assert not place.manifold.posts


def test_without_a_folder_of_ones_own_nothing_is_sent(place: Place) -> None:
    place.monkeypatch.setenv("SPEEDUP_QUESTIONS_PATH", str(place.folder / "mine.toml"))
    answer = place.publish("--yes")
    assert (answer.code, "SPEEDUP_QUESTIONS_PATH" in answer.err) == (2, True)
    assert place.server.requests == []
