"""Temporary folders of tasks; those of killed tasks are removed by the next one."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

PREFIX = "sm-hosting-work-"
#: A younger folder may not be locked yet, in seconds.
YOUNG = 60.0


@contextmanager
def work_folder() -> Iterator[Path]:
    """Yield a new temporary folder, and remove it at the end.

    It is locked as long as it is used (flock, which ends with the process), so folders of killed tasks can be told from others.
    """
    _sweep()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(
                OSError
            ):  # some network file systems lock no folders; there, nothing is swept either
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Path(name)
        finally:
            os.close(descriptor)


def is_in_use(folder: Path) -> bool:
    """Return whether the task of a work folder lives; also where the folder cannot be looked at.

    :param folder: The folder.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _sweep() -> None:
    """Remove the folders of this user whose task was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            found = folder.lstat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < YOUNG:
                continue
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # another task has removed it, or it is no folder
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its task lives, or this file system has no locks
        else:
            log.info("Removing %s, which a killed task has left", folder)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)
