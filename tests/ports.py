"""A port for a program that has to be told one."""

from __future__ import annotations

import os
import random
import socket


def free_port() -> int:
    """A loopback port that nobody listens on, below those that the system hands out by itself: a connection made
    meanwhile, or a server that asks for any port, does not get it."""
    chance = random.Random(os.urandom(8))
    for _ in range(200):
        port = chance.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("200 ports were tried and all are taken")
