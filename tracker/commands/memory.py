"""How often Python looks for cycles of garbage: seldom while a program starts, as usual in one that stays."""

from __future__ import annotations

import gc

_USUAL = gc.get_threshold()
_SELDOM = 20_000
"""Objects made between two looks. Modules, models and the catalogue come to stay: to go through them again and
again while they are made takes a twelfth of the time of a short command and finds nothing."""


def starting() -> None:
    """What is made from here on mostly stays."""
    gc.set_threshold(_SELDOM, *_USUAL[1:])


def staying() -> None:
    """The start is over: what it made is not looked through any more, what comes is looked at as usual."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
