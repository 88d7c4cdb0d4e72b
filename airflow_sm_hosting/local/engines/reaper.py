"""A process that outlives its server only to kill what the server has left: ``python -I -S reaper.py FOLDER LOCK``.

Standard input tells it which process groups exist (``+123``) and which have ended (``-123``). When that is closed, for
whatever reason, it kills those that are left and removes the server's folder. It imports nothing of this package, so that it
takes a few milliseconds and megabytes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys


def _start_time(pid: int) -> str | None:
    """Return when a process was started, as the kernel counts; None where that is unknown."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def main() -> None:
    """Wait for the end of the server."""
    groups: dict[int, str | None] = {}
    for line in sys.stdin:
        pid = int(line[1:])
        if line.startswith("+"):
            groups[pid] = _start_time(pid)
        else:
            groups.pop(pid, None)
    for pid, started in groups.items():
        now = _start_time(pid)
        if now is not None and now != started:
            # Another process has that id by now.
            continue
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    if groups:
        folder, lock = sys.argv[1:]
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(lock)


if __name__ == "__main__":
    # The terminal's signals are for the server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
