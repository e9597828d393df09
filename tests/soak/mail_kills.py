"""Kill the making and sending of digests at every step: ``python -m tests.soak.mail_kills [--kills N]``.

Each week is begun, killed at a step, begun again, killed at another, and so on, and at last left to end. Then
everybody must have the week's digest, whole, and whoever has it twice must have it under one Message-ID.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage import open_store
from storage.mailing import LetterState
from storage.records import RunState
from storage.store import Store
from tests.mail.server import Post, Received, mail_server
from tests.soak.mailroom import TO
from tracker.mail.message import Mailing, Sender
from tracker.mail.sending import content_of, week_of_slot
from tracker.schedule import LocalTime

ROOT = Path(__file__).parents[2]
FIRST = datetime(2026, 1, 5, 7, tzinfo=UTC)
WEEK = timedelta(days=7)
KILLS_A_WEEK = 4
GOLDEN = 0.618034
MORE_THAN_THERE_ARE = 10**9


@dataclass
class Outcome:
    """The table's row; ``problems`` is empty when all is well."""

    kills: int = 0
    weeks: int = 0
    steps: int = 0
    received: int = 0
    repeated: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


class Mailroom:
    """The process that forks them."""

    def __init__(self, database: str, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.mailroom", database, str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    def work(self, at: datetime, step: int = 0) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{step} {at.isoformat()}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        self._process.communicate(timeout=30)


@contextmanager
def _mailroom(database: str, port: int) -> Iterator[Mailroom]:
    room = Mailroom(database, port)
    try:
        yield room
    finally:
        room.end()


def kill_often(database: str, kills: int, *, offset: float = 0.5) -> Outcome:
    """So many kills, spread evenly over all steps of a week's digest from its making to its last letter.

    ``offset`` (0..1): where in its share of the steps each kill falls.
    """
    outcome, post = Outcome(), Post()
    open_store(database).close()
    begun = time.monotonic()
    with mail_server(post) as port, _mailroom(database, port) as room:
        whole = room.work(FIRST, MORE_THAN_THERE_ARE)
        outcome.steps = int(whole.removeprefix("steps "))
        outcome.weeks = 1
        while outcome.kills < kills:
            monday = FIRST + outcome.weeks * WEEK
            outcome.weeks += 1
            last = ""
            for number in range(KILLS_A_WEEK):
                # Spread over the whole way from the first kill on, so that few are not all early ones.
                share = (outcome.kills * GOLDEN + offset / kills) % 1.0
                last = room.work(monday + number * timedelta(minutes=1), 1 + int(share * outcome.steps))
                if last != "killed":
                    break  # the earlier ones had left less to do than this
                outcome.kills += 1
            else:
                last = room.work(monday + timedelta(hours=1))
            if not last.removeprefix("steps ").isdigit():
                outcome.problems.append(f"{_week(monday)}: {last}")
        with closing(open_store(database)) as store:
            _judge(store, post.received, outcome)
    outcome.seconds = time.monotonic() - begun
    return outcome


def _week(monday: datetime) -> str:
    return week_of_slot(LocalTime.parse("mon 07:00 UTC"), monday)


def _judge(store: Store, received: list[Received], outcome: Outcome) -> None:
    outcome.problems += store.check()
    made: list[tuple[str, datetime]] = []
    for number in range(outcome.weeks):
        monday = FIRST + number * WEEK
        made.append((_week(monday), monday))
    problems, outcome.repeated = judge_letters(store, made, received, monday_to_monday)
    outcome.problems += problems
    outcome.received = len(received)
    slots = {run.slot: run.state for run in store.runs("digest")}
    outcome.problems += [
        f"{slot}: {state.value}" for slot, state in slots.items() if state is not RunState.DONE
    ]


def monday_to_monday(slot: datetime) -> datetime:
    """Until when a week's letters are worth sending."""
    return slot + WEEK


def judge_letters(
    store: Store,
    made: Sequence[tuple[str, datetime]],
    received: Sequence[Received],
    until: Callable[[datetime], datetime],
) -> tuple[list[str], int]:
    """Whether everybody got each of these digests (week, slot), whole and under one Message-ID; and how many
    messages were repeats of one that had arrived."""
    problems: list[str] = []
    sender = Sender("tracker@example.org", "https://t.example.org", "sixteen or more characters")
    bodies: dict[tuple[str, str], list[bytes]] = {}
    for one in received:
        bodies.setdefault((one.to, one.message_id), []).append(one.body)
    repeated = len(received) - len(bodies)
    expected: dict[tuple[str, str], bytes] = {}
    for week, slot in made:
        issues = store.issues(week)
        if len(issues) != 1 or f"{week} as known at {slot.isoformat()}, skipped: ()" not in issues[0].text:
            problems.append(f"{week}: {len(issues)} digests, or another's")
            continue
        name, at = f"digest:{week}", issues[0].made_at
        mailing = Mailing(content_of(issues[0]), sender, name, "digest", week, "weekly", at, until(slot))
        for address in TO:
            expected[address, mailing.message_id(address)] = mailing.letter(address).body
    for who, body in expected.items():
        found = bodies.pop(who, [])
        if not found:
            problems.append(f"{who}: never got it")
        if any(one != body for one in found):
            problems.append(f"{who}: got something else than what was made")
    problems += [f"{who}: a message nobody made" for who in bodies]
    unsent = Counter(one.state.value for one in store.letters() if one.state is not LetterState.SENT)
    problems += [f"{number} letters {state}" for state, number in unsent.items()]
    return problems, repeated


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.mail_kills")
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--db", help="another database than a new SQLite file")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="speedup-mail-") as folder:
        outcome = kill_often(chosen.db or f"sqlite:///{folder}/mail.sqlite", chosen.kills)
    for problem in outcome.problems[:20]:
        print("  problem:", problem, file=sys.stderr)
    print("| SIGKILLs | weeks | steps of one | messages | of them repeats | problems | seconds |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {outcome.kills} | {outcome.weeks} | {outcome.steps} | {outcome.received} | {outcome.repeated} |"
        f" {len(outcome.problems)} | {outcome.seconds:.0f} |"
    )
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
