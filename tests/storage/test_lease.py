"""One leader at a time: who gets the lease, when it passes on, and what the old leader may still write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from storage import open_store
from storage.errors import LeaseLost
from storage.mailing import Channel, LetterState
from storage.memory import MemoryStore
from storage.records import Batch, Gap, Lease, Run, RunState, SourceHealth
from storage.store import Store
from tests.storage.samples import T0, issue, payload, poll, recipient
from tests.storage.test_concurrency import ROOT, at_once

TERM = timedelta(seconds=30)
LONG = timedelta(days=1)


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def test_one_leads_and_renews_and_the_other_waits(store: Store) -> None:
    first = store.take_lease("daemon", "a", T0, LONG)
    assert first is not None
    assert (first.holder, first.token) == ("a", 1)
    renewed = store.take_lease("daemon", "a", T0 + after(10), LONG)
    assert renewed is not None
    assert renewed.token == 1
    assert renewed.expires_at > first.expires_at
    assert store.lease("daemon") == renewed
    assert store.lease("other") is None


def test_a_lease_given_up_passes_on_with_a_greater_token_and_its_token_is_not_used_again(
    store: Store,
) -> None:
    first = store.take_lease("daemon", "a", T0, LONG)
    assert first is not None
    store.give_up_lease(first)
    second = store.take_lease("daemon", "b", T0, LONG)
    assert second is not None
    assert second.token == 2
    store.give_up_lease(first)
    assert store.lease("daemon") == second, "who has lost it cannot end the next one's"


def test_nothing_at_all_is_written_under_an_old_lease(store: Store) -> None:
    old = store.take_lease("daemon", "a", T0, LONG)
    assert old is not None
    store.fence(old)
    store.put_raw(payload(b"while leading"))
    store.fence(None)
    store.give_up_lease(old)
    assert store.take_lease("daemon", "b", T0, LONG) is not None
    before = store.counts()
    store.fence(old)
    writes = [
        lambda: store.put_raw(payload(b"too late")),
        lambda: store.append(Batch(snapshots=(poll(1),))),
        lambda: store.begin_run("pull", T0, T0),
        lambda: store.end_run(Run("pull", T0, RunState.DONE, T0, T0)),
        lambda: store.add_gap(Gap("s", T0, T0, "late")),
        lambda: store.set_health(SourceHealth("s", "ok")),
        lambda: store.add_drifts([]),
        lambda: store.add_forecasts([]),
        lambda: store.add_scores([]),
        lambda: store.add_question_versions([]),
        lambda: store.add_judgements([]),
        lambda: store.add_receipts([]),
        lambda: store.add_orderings([]),
        lambda: store.queue_letters([]),
        lambda: store.claim_letter(Channel.MAIL, T0),
        lambda: store.settle_letter("k", LetterState.SENT, T0, ""),
        lambda: store.move_letters(LetterState.QUEUED, LetterState.HELD, T0),
        lambda: store.add_issue(issue("2026-W09", 0)),
        lambda: store.add_recipient(recipient("a@example.org", 0)),
        lambda: store.keep_alerts([], []),
        lambda: store.decide_alerts([]),
    ]
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    assert store.counts() == before
    store.fence(None)
    store.put_raw(payload(b"without a fence"))


@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(-40, 40), st.sampled_from(["take", "take", "give up"])),
        max_size=30,
    )
)
def test_whatever_the_clock_does_tokens_only_grow_and_no_two_lead_under_one(
    steps: list[tuple[str, int, str]],
) -> None:
    leases = [lease for lease in _one_leader(MemoryStore(), steps) if lease is not None]
    assert [lease.token for lease in leases] == sorted(lease.token for lease in leases)
    assert all(one.holder == other.holder for one in leases for other in leases if one.token == other.token)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(-40, 40), st.sampled_from(["take", "take", "give up"])),
        max_size=12,
    )
)
def test_a_database_in_memory_decides_like_the_reference(steps: list[tuple[str, int, str]]) -> None:
    store = open_store("sqlite://")
    assert _one_leader(store, steps) == _one_leader(MemoryStore(), steps)
    store.close()


def _one_leader(store: Store, steps: list[tuple[str, int, str]]) -> list[Lease | None]:
    """Carry the steps out; returns what each taking gave."""
    at, given_out, owner, newest = T0, [], {}, 0
    for holder, moved, step in steps:
        at += after(moved)
        if step == "give up":
            standing = store.lease("daemon")
            if standing is not None:
                store.give_up_lease(Lease("daemon", holder, standing.token, at))
            continue
        lease = store.take_lease("daemon", holder, at, TERM)
        given_out.append(lease)
        if lease is not None:
            assert lease.token >= newest
            newest = lease.token
            assert owner.setdefault(lease.token, holder) == holder
            assert lease.expires_at == at + TERM
    return given_out


def test_a_clock_set_back_by_an_hour_does_not_make_anybody_wait_for_an_hour() -> None:
    store = MemoryStore()
    assert store.take_lease("daemon", "a", T0 + after(3600), TERM)
    assert store.take_lease("daemon", "b", T0 + after(3601), TERM) is None
    assert store.take_lease("daemon", "b", T0, TERM) is not None


def test_who_looked_at_the_clock_before_the_other_but_asked_after_it_does_not_lead_too() -> None:
    store = MemoryStore()
    assert store.take_lease("daemon", "a", T0 + after(1), TERM)
    assert store.take_lease("daemon", "b", T0, TERM) is None


def test_of_many_who_ask_at_once_one_leads(url: str) -> None:
    open_store(url).close()

    asked = threading.Barrier(4)  # nobody lets go before all have asked

    def ask(number: int) -> Callable[[Store], bool]:
        def work(store: Store) -> bool:
            found = store.take_lease("daemon", f"h{number}", datetime.now(UTC), LONG)
            asked.wait(30)
            return found is not None

        return work

    assert sum(at_once(url, [ask(number) for number in range(4)])) == 1


HOLDER = """
import sys, storage
from datetime import UTC, datetime, timedelta
from storage.records import Gap
store = storage.open_store(sys.argv[1])
lease = store.take_lease("daemon", "first", datetime.now(UTC), timedelta(seconds=float(sys.argv[2])))
store.fence(lease)
print(lease.token, flush=True)
sys.stdin.readline()
at = datetime.now(UTC)
try:
    store.add_gap(Gap("old leader", at, at, "written late"))
except storage.errors.LeaseLost:
    print("refused", flush=True)
else:
    print("wrote", flush=True)
"""


@contextmanager
def holder(url: str, term_s: float) -> Iterator[subprocess.Popen[str]]:
    """Another process that leads, and then writes when it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import storage.errors\n" + HOLDER, url, str(term_s)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "1\n"
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


def now_of(store: Store) -> Lease | None:
    return store.take_lease("daemon", "second", datetime.now(UTC), LONG)


def test_when_the_leader_is_killed_the_next_need_not_wait_for_the_term(url: str) -> None:
    store = open_store(url)
    with holder(url, 3600) as process:
        assert now_of(store) is None, "it lives"
        process.kill()
        process.wait(10)
        # A server notices a broken connection in its own time, milliseconds later.
        lease = next((found for _ in range(200) if (found := _after_a_moment(store))), None)
    assert lease is not None
    assert lease.token == 2
    store.close()


def _after_a_moment(store: Store) -> Lease | None:
    found = now_of(store)
    if found is None:
        time.sleep(0.02)
    return found


def test_a_leader_that_was_stopped_for_longer_than_its_term_writes_nothing_afterwards(url: str) -> None:
    store = open_store(url)
    with holder(url, 0.2) as process:
        os.kill(process.pid, signal.SIGSTOP)
        lease = next((found for _ in range(200) if (found := _after_a_moment(store))), None)
        assert lease is not None
        assert lease.token == 2
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "refused\n"
    assert store.gaps() == []
    third = open_store(url)
    assert third.take_lease("daemon", "third", lease.expires_at - LONG, LONG) is None
    third.close()
    store.close()
