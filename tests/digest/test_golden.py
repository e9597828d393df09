"""The digest of a recorded week is what it was when a person looked at it, whatever was learnt afterwards."""

from __future__ import annotations

import io
from datetime import timedelta

import numpy as np
import pytest
from PIL import Image

from tests.digest.recorded import GOLDEN, LAST, content, noon, played, weeks_up_to
from tracker.digest.render import browsable
from tracker.mail.content import MailContent


@pytest.fixture(scope="module")
def later() -> MailContent:
    """Of the same week, from a store that has gone on by one more."""
    return content(played([*weeks_up_to(LAST), noon(LAST + timedelta(days=7))]))


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.int16)


def test_it_says_what_it_said_then(later: MailContent) -> None:
    assert browsable(later, prefix="digest-") == (GOLDEN / "digest.html").read_text(encoding="utf-8")
    assert later.text == (GOLDEN / "digest.txt").read_text(encoding="utf-8")


def test_its_pictures_are_what_they_were(later: MailContent) -> None:
    """By what is seen: another build of the library that draws letters may round an edge differently."""
    assert [image.filename for image in later.images] == ["slope.png", "calibration.png", "trend.png"]
    for image in later.images:
        now, then = pixels(image.png), pixels((GOLDEN / f"digest-{image.filename}").read_bytes())
        assert now.shape == then.shape, image.filename
        assert now.shape[1] == 600
        assert np.abs(now - then).mean() < 1.0, image.filename
        assert len(image.png) < 60_000
