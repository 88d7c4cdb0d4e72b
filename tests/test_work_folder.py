"""A task's temporary folder goes with it; if it was killed, with the next task's."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from airflow_sm_hosting.work_folder import PREFIX, YOUNG, work_folder

HOLDS_ONE = """
import sys, time
from airflow_sm_hosting.work_folder import work_folder
with work_folder() as folder:
    (folder / "part").write_text("1")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def old(folder: Path) -> Path:
    os.utime(folder, (0, time.time() - YOUNG - 1))
    return folder


def test_it_is_removed_at_the_end(temporary: Path) -> None:
    with work_folder() as folder:
        (folder / "a" / "b").mkdir(parents=True)
    with pytest.raises(ZeroDivisionError), work_folder():
        1 / 0  # noqa: B018
    assert list(temporary.iterdir()) == []


def test_the_next_task_removes_what_a_killed_one_has_left_and_nothing_that_is_used(temporary: Path) -> None:
    task = subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert task.stdout
    folder = old(Path(task.stdout.readline().strip()))
    with work_folder():
        assert folder.is_dir(), "its task lives"
    task.send_signal(signal.SIGKILL)
    task.wait()
    task.stdout.close()
    assert (folder / "part").exists()
    with work_folder() as mine:
        assert list(temporary.iterdir()) == [mine]


def test_other_things_and_new_folders_are_left(temporary: Path) -> None:
    new = temporary / f"{PREFIX}new"
    new.mkdir()
    other = temporary / "sm-hosting-other"
    other.mkdir()
    file = temporary / f"{PREFIX}file"
    file.write_text("1")
    link = temporary / f"{PREFIX}link"
    link.symlink_to(other)
    for path in (other, file):
        old(path)
    with work_folder():
        pass
    assert sorted(temporary.iterdir()) == sorted([new, other, file, link])


def test_a_file_system_without_locks_is_no_obstacle(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS locks no folder that is open for reading; then nothing can be told to be left, and nothing is removed."""
    left = temporary / f"{PREFIX}left"
    left.mkdir()
    old(left)

    def refuse(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with work_folder() as folder:
        assert folder.is_dir()
    assert list(temporary.iterdir()) == [left]
