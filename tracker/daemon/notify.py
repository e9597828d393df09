"""Telling systemd how we are: one datagram to the socket it names (sd_notify(3)); nothing without one."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)


class Notifier:
    """``READY=1``, ``STATUS=…``, ``WATCHDOG=1``, ``STOPPING=1``. A message that does not arrive is no error.

    ``watchdog_s``: how often systemd wants to hear of us, None when it does not (or asks another process).
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        found = os.environ if environ is None else environ
        address = found.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        micros = found.get("WATCHDOG_USEC", "")
        ours = found.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(micros) / 1e6 if self._address and ours and micros.isdigit() else None

    def __call__(self, *messages: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.sendto("\n".join(messages).encode(), self._address)
        except OSError as error:
            log.warning("systemd cannot be told: %s", error.strerror)
