"""The folder of a server's temporary files, and the lock that shows whether the server lives."""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

LOG = logging.getLogger(__name__)

_PREFIX = "sm-hosting-"


class WorkDir:
    """A folder for temporary files, and a lock beside it that is held for as long as the server lives.

    A server that was killed leaves both behind; the next one that starts sweeps them away.
    """

    def __init__(self) -> None:
        handle, path = tempfile.mkstemp(prefix=_PREFIX, suffix=".lock")
        os.close(handle)
        #: The lock, by which others know that this server lives.
        self.lock_file = Path(path)
        self._lock = FileLock(path, thread_local=False)
        self._lock.acquire()
        #: The folder.
        self.folder = self.lock_file.with_suffix("")
        self.folder.mkdir(mode=0o700)

    def close(self) -> None:
        """Remove the folder and the lock."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
        self.lock_file.unlink(missing_ok=True)


def sweep() -> None:
    """Remove the folders of servers that are gone: those with a lock beside them that nobody holds.

    Other folders of that prefix are not ours to judge; tests make some.
    """
    for lock_file in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*.lock"):
        folder = lock_file.with_suffix("")
        try:
            mine = lock_file.stat().st_uid == os.getuid() and not folder.is_symlink()
        except OSError:
            continue
        if mine and is_free(lock_file):
            LOG.info("removing %s: its server is no longer running", folder)
            shutil.rmtree(folder, ignore_errors=True)


def is_free(lock_file: Path) -> bool:
    """Return whether nobody holds a server's lock; a server that ended well has removed it.

    Paths come out of labels of containers, too, and an image can bring labels: only what can be a lock of ours is opened.
    """
    if lock_file.parent != Path(tempfile.gettempdir()) or not re.fullmatch(
        rf"{_PREFIX}[\w.-]+\.lock", lock_file.name
    ):
        return False
    if not lock_file.exists():
        return True
    lock = FileLock(lock_file, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except OSError:
        # Another user's lock: not ours to judge.
        return False
    lock.release()
    lock_file.unlink(missing_ok=True)
    return True
