"""Is the daemon on this machine well?  python -m tracker.daemon.probe [/readyz]

For a container's health check, where there is no curl and the pages are on loopback. Exit 0 when the page answers
200, else 1 with what it said; 2 when the daemon answers no HTTP at all (``SPEEDUP_HTTP_BIND`` is ``off``). ``/readyz``
goes by the age of the last good look at what is due, so it is not well when the process lives but nothing goes on.
"""

from __future__ import annotations

import http.client
import os
import sys

TIMEOUT_S = 5.0
MOST_BYTES = 1 << 20


def probe(bind: str, page: str) -> tuple[int, str]:
    """The exit code and what there is to say."""
    host, _, port = bind.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", page)
        answer = connection.getresponse()
        said = answer.read(MOST_BYTES).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return 1, f"{bind}{page}: {type(error).__name__}"
    finally:
        connection.close()
    return (0 if answer.status == 200 else 1), said


def main(arguments: list[str]) -> int:
    # The image sets it, so that the settings (and what reads them) need not be loaded twice a minute.
    bind = os.environ.get("SPEEDUP_HTTP_BIND")
    if not bind:
        from tracker.config import load_settings

        bind = load_settings().http_bind or "off"
    if bind == "off":
        code, said = 2, "SPEEDUP_HTTP_BIND is off: there is nothing to ask"
    else:
        code, said = probe(bind, arguments[0] if arguments else "/readyz")
    sys.stdout.write(said + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
