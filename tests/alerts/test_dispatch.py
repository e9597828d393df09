"""What goes out, when, together with what; what has passed by then; and that nothing goes out twice or not at all."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from storage import open_store
from storage.alerting import Alert, Fate
from storage.mailing import Channel, Recipient, RecipientState
from tests.alerts.world import World, followed, hours
from tracker.alerts.dispatch import wanted
from tracker.alerts.moves import log_odds
from tracker.config import Settings
from tracker.mail.recipients import Options
from tracker.schedule import QuietHours

ROOT = Path(__file__).parents[2]


def moving(world: World, hour: float, probability: float, external_id: str = "a") -> None:
    world.value(hour, probability, external_id)
    world.look(hour + 0.1)


def fates(world: World) -> list[tuple[str, Fate]]:
    return [(one.signal.rpartition(":")[2], one.fate) for one in world.store.alert_decisions()]


def test_an_alert_is_queued_once_for_every_way_out() -> None:
    world = World()
    moving(world, 0, 0.2)
    moving(world, 1, 0.6)
    made = world.tell(2)
    assert [alert.signal for alert in made.told] == ["move:fair:a"]
    assert [world.tell(hour).told for hour in (2, 2, 3, 50)] == [(), (), (), ()]
    (letter,) = world.store.letters(kind="alerts")
    assert (letter.channel, letter.address, letter.period) == (Channel.WEBHOOK, "generic", made.batch)
    assert fates(world) == [("a", Fate.QUEUED)]


def test_what_comes_up_together_goes_out_together_and_messages_keep_their_distance() -> None:
    world = World(followed("a"), followed("b"), followed("c"), batch_minutes=60)
    for one in "abc":
        moving(world, 0, 0.2, one)
    moving(world, 1, 0.6, "a")
    assert len(world.tell(1.2).told) == 1
    moving(world, 1.5, 0.6, "b")
    moving(world, 2, 0.6, "c")
    held = world.tell(2.1)
    assert (held.told, held.waiting) == ((), 2)
    assert "2026-08-03T14:12:00Z" in held.held
    assert len(world.tell(2.2).told) == 2
    assert len(world.store.letters()) == 2


def test_of_one_signal_nothing_more_is_told_while_it_cools_down_and_then_all_of_it_at_once() -> None:
    world = World(cooldown_hours=24)
    moving(world, 0, 0.2)
    moving(world, 1, 0.5)
    assert len(world.tell(2).told) == 1
    moving(world, 5, 0.8)
    moving(world, 9, 0.95)
    assert (world.tell(10).told, world.tell(25.9).told) == ((), ())
    (alert,) = world.tell(26).told
    assert (alert.before, alert.after, alert.size) == ("50%", "95%", pytest.approx(2.944, abs=0.001))
    assert [one.value for one in alert.evidence] == [0.5, 0.95]
    assert [fate for _, fate in fates(world)] == [Fate.QUEUED, Fate.FOLDED, Fate.QUEUED]


def test_what_went_back_before_anybody_was_told_is_withdrawn() -> None:
    world = World(cooldown_hours=24)
    moving(world, 0, 0.2)
    moving(world, 1, 0.5)
    world.tell(2)
    moving(world, 5, 0.9)
    moving(world, 9, 0.55)
    assert world.tell(30).told == ()
    assert [fate for _, fate in fates(world)] == [Fate.QUEUED, Fate.WITHDRAWN, Fate.WITHDRAWN]
    assert world.tell(60).told == ()


def test_an_outage_in_the_quiet_of_the_night_that_was_over_by_the_morning_is_not_told() -> None:
    four = [followed(one) for one in "abcd"]
    world = World(*four, quiet="22:00-07:00 Europe/Berlin")  # 20:00 to 05:00 UTC: hours 8 to 17
    world.health(0, "ok", *"abcd")
    world.look(0.5)
    world.health(9, "stale", *"abcd")
    assert len(world.look(9.5)) == 1
    assert world.tell(9.6).held == "quiet until 2026-08-04T05:00:00Z"
    world.health(15, "ok", *"abcd")
    assert len(world.look(15.5)) == 1
    assert world.tell(17).told == ()
    assert {fate for _, fate in fates(world)} == {Fate.WITHDRAWN}


def test_what_nobody_could_be_told_for_three_days_is_no_news_any_more() -> None:
    world = World()
    moving(world, 0, 0.2)
    moving(world, 1, 0.6)
    webhook, world.settings = world.settings, Settings()
    assert world.tell(2).held.startswith("nobody is to be told")
    assert world.tell(72).decisions == ()
    world.tell(73.2)
    assert fates(world) == [("a", Fate.EXPIRED)]
    world.settings = webhook
    assert world.tell(74).told == ()


def alert(**more: object) -> Alert:
    return replace(
        Alert("s", hours(0), "move", "up", "t", "20%", "50%", areas=("evals",), size=1.3),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("options", "yes"),
    [
        (Options(), True),
        (Options(areas=("evals",)), True),
        (Options(areas=("interpretability",)), False),
        (Options(alerts=("move", "flip")), True),
        (Options(alerts=("flip",)), False),
        (Options(thresholds={"move": 1.3}), True),
        (Options(thresholds={"move": 1.4}), False),
        (Options(thresholds={"flip": 9.0}), True),
    ],
)
def test_everybody_gets_what_they_chose(options: Options, yes: bool) -> None:
    assert wanted(options, alert()) is yes


def test_what_is_about_no_area_is_for_everybody() -> None:
    assert wanted(Options(areas=("evals",)), alert(areas=()))


def test_mail_goes_to_each_recipient_with_what_they_chose_and_to_nobody_with_nothing() -> None:
    world = World(followed("a"), followed("b"))
    told = {"mail_from": "tracker@example.org", "mail_to": "ada@example.org", "mail_drop": "x"}
    world.settings = Settings.model_validate(
        world.settings.model_dump(exclude={"alert_webhook"}, exclude_unset=True) | told
    )
    for address, chosen in (("bob@example.org", {"alerts": ["flip"]}), ("eve@example.org", {})):
        state = RecipientState.UNSUBSCRIBED if address.startswith("eve") else RecipientState.CONFIRMED
        world.store.add_recipient(Recipient(address, hours(0), state, chosen))
    for hour, value in ((0, 0.2), (1, 0.6)):
        world.value(hour, value, "a")
        world.value(hour, value, "b")
        world.look(hour + 0.1)
    assert len(world.tell(2).told) == 2
    (letter,) = world.store.letters()
    assert letter.address == "ada@example.org"
    assert b"question b" in letter.body


# quiet hours --------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
    st.sampled_from(["22:00-07:00", "01:30-02:30", "02:15-03:45", "23:30-00:30", "12:00-13:00"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_quiet_ends_after_now_at_the_local_time_and_lasts_no_longer_than_the_clocks_can_stretch_it(
    moment: datetime, stretch: str, zone: str
) -> None:
    now = moment.replace(tzinfo=UTC)
    quiet = QuietHours.parse(f"{stretch} {zone}")
    until = quiet.until(now)
    if until is None:
        return
    assert now < until
    assert until - now <= timedelta(hours=10)
    assert quiet.until(until) is None
    local = until.astimezone(ZoneInfo(zone))
    shifted = local.utcoffset() != (until - timedelta(hours=2)).astimezone(ZoneInfo(zone)).utcoffset()
    assert shifted or f"{local:%H:%M}" == stretch.partition("-")[2]


@pytest.mark.parametrize(
    ("night", "begins", "ends"),
    [
        (datetime(2026, 3, 28), "21:00", "05:00"),  # the clocks go forward: 8 hours
        (datetime(2026, 10, 24), "20:00", "06:00"),  # and back: 10 hours
        (datetime(2026, 8, 3), "20:00", "05:00"),
    ],
)
def test_a_night_is_one_stretch_also_when_the_clocks_are_changed(
    night: datetime, begins: str, ends: str
) -> None:
    quiet = QuietHours.parse("22:00-07:00 Europe/Berlin")
    start = night.replace(hour=12, tzinfo=UTC)
    minutes = [start + timedelta(minutes=5 * step) for step in range(24 * 12)]
    still = [minute for minute in minutes if quiet.until(minute) is not None]
    assert f"{still[0]:%H:%M}" == begins
    assert f"{still[-1] + timedelta(minutes=5):%H:%M}" == ends
    assert still == [still[0] + timedelta(minutes=5 * step) for step in range(len(still))]


@pytest.mark.parametrize("text", ["22:00", "22:00-22:00", "25:00-07:00 UTC", "22:00-07:00 Mars/Base", "-"])
def test_quiet_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|zone|begins"):
        Settings(alerts={"quiet": text})


# nothing twice, nothing lost ----------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.05, 0.2, 0.5, 0.8, 0.95]), min_size=3, max_size=16),
    st.lists(
        st.sampled_from(["ok", "dies before keeping", "dies before queueing"]), min_size=16, max_size=16
    ),
    st.sampled_from([0, 3]),
)
def test_whatever_dies_in_between_readers_can_follow_the_value_without_a_repeat(
    path: list[float], deaths: list[str], cooldown: float
) -> None:
    """Each message begins where the one before ended, but for what was too little to tell; each alert is decided."""
    world = World(cooldown_hours=cooldown)
    told: list[Alert] = []
    for hour, value in enumerate(path):
        world.value(hour, value)
        if deaths[hour] == "dies before keeping":
            world.evaluate(hour + 0.1)
            continue
        world.look(hour + 0.1)
        if deaths[hour] == "ok":
            told += world.tell(hour + 0.2).told
    end = len(path) + 10
    world.look(end)
    told += world.tell(end + 0.1).told
    ends = [(one.evidence[0].value, one.evidence[1].value) for one in told]
    assert all(one.size is not None and one.size >= 1.0 - 1e-9 for one in told)
    assert len(world.store.letters()) == len(told)
    decided = [(one.signal, one.alerted_at) for one in world.store.alert_decisions()]
    assert sorted(decided) == sorted((one.signal, one.at) for one in world.store.alerts())
    for one, other in pairwise(ends):
        assert abs(log_odds(one[1] or 0.0) - log_odds(other[0] or 0.0)) < 1.0


KILLED = """
    import os, signal, sys
    import storage.engine, storage.sql
    from storage import open_store
    from tests.alerts.world import World

    def die(*_args, **_more):
        os.kill(os.getpid(), signal.SIGKILL)

    World().look(0)  # everything is loaded before the children are born
    for argument in sys.argv[1:]:
        place, _, url = argument.partition("=")
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, place
            continue
        world = World(store=open_store(url))
        world.value(2, 0.6)
        if place == "before keeping":
            world.store.keep_alerts = die
        world.look(3)
        if place == "before queueing":
            die()
        if place == "between deciding and queueing":
            world.store.queue_letters = die
        world.tell(4)
        die()
"""
PLACES = ("before keeping", "before queueing", "between deciding and queueing", "after queueing")


def test_killed_at_any_step_the_message_is_queued_exactly_once(tmp_path: Path) -> None:
    urls = {place: f"sqlite:///{tmp_path / place.replace(' ', '-')}.db" for place in PLACES}
    for url in urls.values():
        store = open_store(url)
        world = World(store=store)
        world.value(0, 0.2)
        world.look(1)
        store.close()
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), *(f"{place}={url}" for place, url in urls.items())],
        cwd=ROOT,
        check=True,
        timeout=100,
    )
    for place, url in urls.items():
        store = open_store(url)
        queued_before = len(store.letters())
        assert queued_before == (1 if place == "after queueing" else 0), place
        world = World(store=store)
        for hour in (3, 4, 5):
            world.look(hour)
            world.tell(hour + 0.5)
        assert [letter.address for letter in store.letters()] == ["generic"], place
        assert [one.fate for one in store.alert_decisions()] == [Fate.QUEUED], place
        assert [one.after for one in store.alerts()] == ["60%"], place
        store.close()


def test_a_clock_that_was_set_back_sends_nothing_again() -> None:
    world = World()
    moving(world, 0, 0.2)
    moving(world, 1, 0.6)
    assert world.tell(9).told
    world.tell(2)
    assert len(world.store.letters()) == 1
    assert fates(world) == [("a", Fate.QUEUED)]
