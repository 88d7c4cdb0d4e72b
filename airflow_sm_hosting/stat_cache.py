"""Remembers what was computed from files, as long as their status says that they have not changed."""

from __future__ import annotations

import hashlib
import json
import logging
import marshal
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

log = logging.getLogger(__name__)

#: Part of each entry's name. Another meaning of a value needs another number.
VERSION = 1
#: Nanoseconds: a file that changed so shortly before it was read may change again within the same tick of its file system's clock (FAT: two
#: seconds), and no status would show it. Such a file is read again the next time.
RECENT = 2_000_000_000
#: The entries that are kept, by their last use.
MOST_ENTRIES = 512


def state_of(found: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file is written anew; ctime changes even where mtime is set back.

    :param found: the file's status
    """
    return (found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def file_state(found: os.stat_result) -> tuple[str, bool]:
    """Return the state of one file, and whether it is settled (:data:`RECENT`).

    :param found: the file's status
    """
    return repr(state_of(found)), found.st_ctime_ns + RECENT < time.time_ns()


def tree_state(
    root: str | os.PathLike[str],
    *,
    skips: Callable[[str], bool] | None = None,
    follows_links: bool = False,
    others: Iterable[str] = (),
) -> tuple[str, bool]:
    """Return the state of all files of a folder, and whether it is settled (:data:`RECENT`).

    As lean as can be: it is all that the unchanged case costs.

    :param root: the folder
    :param skips: tells of a folder, by its path in the root, whether nothing in it counts
    :param follows_links: whether it also counts where a link leads, in the end, and the status of what is there; otherwise a link counts by
        itself
    :param others: paths of files that count, too
    """
    began = time.time_ns()
    top = f"{os.fspath(root)}/"
    names, inodes, sizes, changes = list[str](), list[int](), list[int](), [0]
    add_name, add_inode, add_size, add_change = names.append, inodes.append, sizes.append, changes.append
    links: list[str] = []
    folders = [""]
    while folders:
        prefix = folders.pop()
        add_name(prefix)
        with os.scandir(top + prefix) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    path = prefix + entry.name
                    if skips is None or not skips(path):
                        folders.append(f"{path}/")
                    continue
                found = entry.stat(follow_symlinks=False)
                add_name(entry.name)
                add_inode(found.st_ino)
                add_size(found.st_size)
                # It changes with the content, the mode and mtime.
                add_change(found.st_ctime_ns)
                if follows_links and entry.is_symlink():
                    links.append(entry.path)
    names += map(os.path.realpath, links)
    # A link that leads to nothing is what its reader tells.
    apart = [state_of(os.stat(other)) for other in (*others, *links) if os.path.exists(other)]
    newest = max(max(changes), *(state[-1] for state in apart), 0)
    # Version 2, as later ones look for equal objects, which takes longer than all else here.
    told = marshal.dumps((names, inodes, sizes, changes, apart), 2)
    return hashlib.sha256(told).hexdigest(), newest + RECENT < began


class StatCache:
    """A folder with one small file for each thing that was computed.

    An entry counts only if it is whole, belongs to this user, and was written for the same status. Each one is replaced as a whole, so tasks
    that run at once do not disturb each other. A folder that cannot be used is as one that is empty.

    :param folder: the folder (default: in the user's cache folder)
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or user_cache_path("airflow-sm-hosting") / f"stat-{VERSION}"

    def get(self, key: str, state: str) -> dict[str, Any] | None:
        """Return what was put for the same state; None if nothing was.

        :param key: what was computed, of which files
        :param state: their status
        """
        try:
            # O_NOFOLLOW: an entry is never another file.
            descriptor = os.open(self._place(key), os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(file.fileno())
                if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                    return None
                entry = json.loads(file.read())
                value = entry["value"]
                if entry["state"] != state or entry["check"] != _check(key, state, value):
                    return None
            os.utime(self._place(key))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return dict(value)

    def put(self, key: str, state: str, value: Mapping[str, Any]) -> None:
        """Keep a value until the state changes.

        :param key: what was computed, of which files
        :param state: their status before they were read
        :param value: plain JSON
        """
        entry = {"state": state, "value": value, "check": _check(key, state, value)}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder, prefix="new-")
            try:
                with os.fdopen(descriptor, "w") as file:
                    json.dump(entry, file)
                os.replace(name, self._place(key))
            except BaseException:
                with suppress(OSError):
                    os.unlink(name)
                raise
            self._forget_oldest()
        except OSError as error:
            log.debug("Nothing is kept in %s: %s", self._folder, error)

    def _place(self, key: str) -> str:
        return f"{self._folder}/{hashlib.sha256(key.encode(errors='surrogateescape')).hexdigest()}"

    def _forget_oldest(self) -> None:
        with os.scandir(self._folder) as entries:
            names = [entry.path for entry in entries]
        if len(names) <= MOST_ENTRIES:
            return
        used = {}
        for name in names:
            with suppress(OSError):  # another task has just removed it
                used[name] = os.stat(name).st_mtime_ns
        for name in sorted(used, key=used.__getitem__)[: len(names) - MOST_ENTRIES]:
            with suppress(OSError):
                os.unlink(name)


def remembered(
    cache: StatCache | None,
    key: str,
    state: str,
    *,
    settled: bool,
    compute: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """Return a value from the cache, or compute and keep it.

    The status is from before the files are read: what changes meanwhile has a later one, and is computed again the next time.

    :param cache: None to compute in any case
    :param key: what is computed, of which files
    :param state: their status
    :param settled: whether none of them has changed in the last two seconds (:data:`RECENT`)
    :param compute: returns the value
    """
    if cache is None:
        return compute()
    found = cache.get(key, state)
    if found is None:
        found = compute()
        if settled:
            cache.put(key, state, found)
    return found


def _check(key: str, state: str, value: Mapping[str, Any]) -> str:
    """Return the digest by which a damaged entry is known."""
    return hashlib.sha256(
        json.dumps([key, state, value], sort_keys=True).encode(errors="surrogateescape")
    ).hexdigest()
