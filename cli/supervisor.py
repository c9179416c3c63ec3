"""A server that ends with whoever started it, however that ends: `python -m cli.supervisor COMMAND…`.

Standard input is a pipe that only the starter holds. Where it ends, by kill -9 too, the system closes it; then the
whole process group of this process is asked to end, and killed if it does not.
"""

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 10.0
"""How long the server may take once its starter is gone."""


def main(command: list[str]) -> None:
    """Run the command as a leader of its own process group; exit as it does."""
    # The group is signalled as one: what the signal means to the server, it decides itself.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _outlive)
    # With the lock of the platform's folder, where there is one: who uses the state holds it.
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)
    threading.Thread(target=_end_with_starter, daemon=True).start()
    status = server.wait()
    os._exit(status if status >= 0 else 128 - status)


def _outlive(*_: object) -> None:
    """Not ignored, for the server would inherit that."""


def _end_with_starter() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
