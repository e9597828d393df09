"""The short part of the kills; ``python -m tests.soak.mail_kills`` is the long one."""

from __future__ import annotations

from pathlib import Path

from tests.soak.mail_kills import kill_often
from tests.soak.mailroom import TO


def test_killed_at_any_step_everybody_gets_the_whole_digest_and_repeats_can_be_told(tmp_path: Path) -> None:
    outcome = kill_often(f"sqlite:///{tmp_path / 'mail.sqlite'}", 12)
    assert outcome.problems == []
    assert outcome.kills >= 12
    assert outcome.received == len(TO) * outcome.weeks + outcome.repeated
    assert outcome.steps > 1000, "so few steps are not all of them"
